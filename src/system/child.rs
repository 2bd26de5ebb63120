//! Child processes, and the places of their programs.

use std::env;
use std::ffi::OsStr;
use std::ffi::c_int;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Folders of programs, in addition to `PATH`: the `PATH` of boot hooks may lack them.
const FOLDERS: &str = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin";

/// Executable file of this program. The path at which it was started may be hidden in a namespace.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// Capability to change the network (CAP_NET_ADMIN of linux/capability.h).
pub const NET_ADMIN: u8 = 12;

/// Capability to open raw sockets (CAP_NET_RAW of linux/capability.h).
pub const NET_RAW: u8 = 13;

/// Capability to change the groups of a process (CAP_SETGID of linux/capability.h).
pub const SETGID: u8 = 6;

/// Capability to change the user of a process (CAP_SETUID of linux/capability.h).
pub const SETUID: u8 = 7;

/// Mark of the kernel behind the path of a file that was removed or replaced (proc(5), `/proc/PID/exe`).
const DELETED: &[u8] = b" (deleted)";

/// Returns the path of this program. After an upgrade, a newer program may be there.
pub fn this_program() -> io::Result<PathBuf> {
    fs::read_link(THIS_PROGRAM).map(|path| without_mark(&path))
}

fn without_mark(path: &Path) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    OsStr::from_bytes(bytes.strip_suffix(DELETED).unwrap_or(bytes)).into()
}

/// Returns the path of a program, if it is installed.
pub fn path_of(program: &str) -> Option<PathBuf> {
    let searched = env::var_os("PATH").unwrap_or_default();
    path_in(OsStr::new(FOLDERS), program).or_else(|| path_in(&searched, program))
}

fn path_in(folders: &OsStr, program: &str) -> Option<PathBuf> {
    for folder in env::split_paths(folders) {
        let path = folder.join(program);
        if path.is_file() {
            return Some(path);
        }
    }
    None
}

/// Process of a program that this process has started.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    /// Set once the process was waited for: then, another process may have its number.
    status: Option<ExitStatus>,
}

impl Child {
    /// Returns a child that nobody has waited for.
    pub(super) fn of(pid: Pid) -> Self {
        Self { pid, status: None }
    }

    /// Returns the number of the process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until the program ends.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.wait_with(0)? {
                return Ok(status);
            }
        }
    }

    /// Returns how the program has ended; `None` if it still runs. Never waits.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.wait_with(libc::WNOHANG)
    }

    fn wait_with(&mut self, options: c_int) -> io::Result<Option<ExitStatus>> {
        while self.status.is_none() {
            let mut status = 0;
            // SAFETY: the place of the status is valid.
            match Errno::result(unsafe { libc::waitpid(self.pid.as_raw(), &raw mut status, options) }) {
                Ok(0) => break,
                Ok(_) => self.status = Some(ExitStatus::from_raw(status)),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(self.status)
    }

    /// Kills the program, unless it was waited for.
    pub fn kill(&self) -> io::Result<()> {
        if self.status.is_none() {
            kill(self.pid, Signal::SIGKILL)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_program_has_its_path() {
        for (path, wanted) in [
            ("/usr/bin/portals", "/usr/bin/portals"),
            ("/usr/bin/portals (deleted)", "/usr/bin/portals"),
            ("/root/a (deleted) folder/portals", "/root/a (deleted) folder/portals"),
        ] {
            assert_eq!(without_mark(path.as_ref()), Path::new(wanted));
        }
    }
}
