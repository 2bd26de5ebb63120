//! The end of all privileges of a process that talks to strangers.

use std::ffi::c_int;

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl::{set_dumpable, set_no_new_privs};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid, setuid};

use super::disk;
use crate::base::error::{Context as _, Error, Result};

/// Number of the user and of the group of the process that shows the pages of portals. No account has this
/// number: Debian reserves the numbers from 65000 to 65533 (Debian Policy § 9.2.2), and systemd uses none
/// from 65520 to 65533 (docs/UIDS-GIDS.md of systemd).
pub const PAGE_USER: u32 = 65_522;

/// Number of the user and of the group of a process that shows the page of this router. It is another one:
/// the process above, to which strangers talk, must not get at this one, which asks for private keys of
/// phones.
pub const ROUTER_PAGE_USER: u32 = 65_521;

/// Open files of a process that shows pages: its listeners, its connections, and its channel to the agent.
const OPEN_FILES: u64 = 256;

/// Niceness of such a process: strangers give it work, and the router has its own.
const LOW_PRIORITY: c_int = 10;

/// Layout and length of capability sets: `_LINUX_CAPABILITY_VERSION_3` of linux/capability.h.
const VERSION_3: u32 = 0x2008_0522;

/// Head of a call of capset(2).
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    /// Number of the process; 0 = the calling one.
    process: c_int,
}

/// Capability sets of 32 capabilities.
#[repr(C)]
#[derive(Clone, Copy)]
struct CapabilitySets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Gives up all privileges of this process: it becomes another user, has no capability, gets none from a
/// program that it executes, starts no process and writes no file. Where this user is the only one that
/// exists, the user stays.
///
/// # Errors
/// If a privilege is left.
pub fn give_up(user: u32) -> Result<()> {
    let context = || "cannot give up the privileges of this process".to_owned();
    let has_others = !disk::is_only_user();
    if has_others {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
        setgroups(&[]).context(context)?;
        setresgid(group, group, group).context(context)?;
        setresuid(user, user, user).context(context)?;
    }
    drop_capabilities().context(context)?;
    set_no_new_privs().context(context)?;
    // A change of the user has set this to the default of the kernel.
    set_dumpable(false).context(context)?;
    for (resource, most) in
        [(Resource::RLIMIT_NOFILE, OPEN_FILES), (Resource::RLIMIT_NPROC, 0), (Resource::RLIMIT_FSIZE, 0)]
    {
        // The filter of systemd's unit for the agent refuses all limits to the agent's children.
        let _ = setrlimit(resource, most, most);
    }
    // SAFETY: this changes a number of the process, and reads no memory.
    unsafe { libc::nice(LOW_PRIORITY) };
    if has_others && setuid(Uid::from_raw(0)).is_ok() {
        return Err(Error::failed("this process has given up its privileges, and could get them back"));
    }
    Ok(())
}

/// Empties the capability sets of this process. The ambient set follows (capabilities(7)).
fn drop_capabilities() -> nix::Result<()> {
    let header = CapabilityHeader { version: VERSION_3, process: 0 };
    let none = [CapabilitySets { effective: 0, permitted: 0, inheritable: 0 }; 2];
    // SAFETY: the kernel reads the head, and the two sets that this version has (capset(2)).
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) }).map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork, geteuid};

    use super::*;

    fn lines() -> Vec<String> {
        fs::read_to_string("/proc/self/status").unwrap().lines().map(str::to_owned).collect()
    }

    /// In a process of its own, which has no other thread: what it gives up is gone for good.
    #[test]
    fn nothing_is_left() {
        if !geteuid().is_root() {
            return;
        }
        // SAFETY: the child takes no lock but those of the C library, which a fork leaves open, and ends.
        match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            }
            ForkResult::Child => {
                let is_done = give_up(PAGE_USER).is_ok();
                let status = lines();
                let has = |line: &str| status.iter().any(|other| other == line);
                let none = |name: &str| has(&format!("{name}:\t{:016x}", 0));
                let is_other = disk::is_only_user() || has("Uid:\t65522\t65522\t65522\t65522");
                let is_right = is_done
                    && is_other
                    && none("CapEff")
                    && none("CapPrm")
                    && none("CapInh")
                    && none("CapAmb")
                    && has("NoNewPrivs:\t1")
                    && (disk::is_only_user() || fs::read("/etc/shadow").is_err());
                // SAFETY: nothing of this process is used again.
                unsafe { libc::_exit(i32::from(!is_right)) };
            }
        }
    }
}
