//! Child processes: the place of a program, and the conditions under which it starts.

use std::env;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{self, Command};

use nix::libc;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};

/// Folders of programs, in addition to `PATH`: the `PATH` of boot hooks may lack them.
const FOLDERS: &str = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin";

/// Number above all capabilities. The kernel refuses numbers that it does not know.
const CAPABILITY_LIMIT: u8 = 64;

/// Capability to change the network (CAP_NET_ADMIN of linux/capability.h).
pub const NET_ADMIN: u8 = 12;

/// Capability to open raw sockets (CAP_NET_RAW of linux/capability.h).
pub const NET_RAW: u8 = 13;

/// Returns the path of a program, if it is installed.
pub fn path_of(program: &str) -> Option<PathBuf> {
    let searched = env::var_os("PATH").unwrap_or_default();
    let mut folders = env::split_paths(FOLDERS).chain(env::split_paths(&searched));
    folders.find_map(|folder| Some(folder.join(program)).filter(|path| path.is_file()))
}

/// Makes a program start with no signal blocked. The agent blocks its signals, to read them one by one, and
/// its children and their children would inherit this: processes that a hook leaves behind could not be
/// ended.
pub fn unblocked(command: &mut Command) -> &mut Command {
    let unblock = || SigSet::empty().thread_set_mask().map_err(io::Error::from);
    // SAFETY: between fork and exec the closure makes one system call: no allocation, no lock.
    unsafe { command.pre_exec(unblock) }
}

/// Makes a program start with SIGPIPE ignored: output to a reader that is gone is lost, and the program goes
/// on.
pub fn outliving(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec the closure makes one system call and sets no handler.
    let ignore = || unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) }.map(drop).map_err(io::Error::from);
    // SAFETY: between fork and exec the closure makes one system call: no allocation, no lock.
    unsafe { command.pre_exec(ignore) }
}

/// Limits the capabilities of a program, and of all programs that it executes, to `kept`: numbers of
/// linux/capability.h. A capability that cannot be given up, such as in a container, is kept.
pub fn limited<'a>(command: &'a mut Command, kept: &'static [u8]) -> &'a mut Command {
    let limit = move || {
        for capability in (0..CAPABILITY_LIMIT).filter(|capability| !kept.contains(capability)) {
            // SAFETY: this changes a number of the process, and reads no memory.
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) };
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes only system calls: no allocation, no lock.
    unsafe { command.pre_exec(limit) }
}

/// Makes a program write its process number to a file before it starts, so that it can be found even if this
/// process dies.
pub fn noted(command: &mut Command, file: File) -> &mut Command {
    let note = move || write!(&file, "{}", process::id());
    // SAFETY: between fork and exec the closure makes two system calls; a number is written without
    // allocation or lock.
    unsafe { command.pre_exec(note) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_can_be_ended() {
        let mut blocked = SigSet::empty();
        blocked.add(Signal::SIGTERM);
        blocked.thread_block().unwrap();
        let mut command = Command::new("grep");
        let output = unblocked(command.args(["SigBlk", "/proc/self/status"])).output().unwrap();
        blocked.thread_unblock().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "SigBlk:\t0000000000000000");
    }

    #[test]
    fn a_child_has_no_more_capabilities_than_it_needs() {
        let bounding = |command: &mut Command| {
            let output = command.args(["CapBnd", "/proc/self/status"]).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            u64::from_str_radix(text.trim_start_matches("CapBnd:").trim(), 16).unwrap()
        };
        let ours = bounding(&mut Command::new("grep"));
        let kept = bounding(limited(&mut Command::new("grep"), &[NET_ADMIN, NET_RAW]));
        let wanted = ours & (1 << NET_ADMIN | 1 << NET_RAW);
        // A process that may not give up capabilities keeps them.
        let may = nix::unistd::geteuid().is_root() && ours & (1 << SETPCAP) != 0;
        assert_eq!(kept, if may { wanted } else { ours });
    }

    /// Capability to give up capabilities (CAP_SETPCAP of linux/capability.h).
    const SETPCAP: u8 = 8;
}
