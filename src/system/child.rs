//! Child processes, and the places of their programs.

use std::env;
use std::ffi::c_int;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::system::disk::kernel_text;

/// Folders of programs, in addition to `PATH`: the `PATH` of boot hooks may lack them.
const FOLDERS: &str = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin";

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

/// Reports whether the user of this process is the only one that exists, such as in a container of an
/// ordinary user: there no program can become another user (user_namespaces(7)).
pub fn is_only_user() -> bool {
    kernel_text("/proc/self/uid_map").is_ok_and(|map| maps_one_user(&map))
}

/// Reports whether a map has one user. Each line is a range: its first user here, its first user outside, and
/// its length.
fn maps_one_user(map: &str) -> bool {
    let mut sizes = map.lines().map(|line| line.split_whitespace().nth(2));
    sizes.next() == Some(Some("1")) && sizes.next().is_none()
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
    fn one_user_is_alone() {
        for (map, alone) in [
            ("         0          0 4294967295\n", false),
            ("         0       1000          1\n", true),
            ("         0       1000          1\n         1     100000      65536\n", false),
            ("", false),
            ("0 0", false),
        ] {
            assert_eq!(maps_one_user(map), alone, "{map}");
        }
    }
}
