//! Programs that we start.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::signal::SigSet;

/// Has a program begin with no signal blocked. The agent's are, to be read one by one, and a program inherits that, and so does all that
/// it starts itself: what a hook leaves behind could not be ended.
pub fn unblocked(command: &mut Command) -> &mut Command {
    let unblock = || SigSet::empty().thread_set_mask().map_err(io::Error::from);
    // SAFETY: between fork and exec the closure makes one system call: no allocation, no lock.
    unsafe { command.pre_exec(unblock) }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::Signal;

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
}
