//! Guardian: a process that does some last work when its maker ends, however it ends.

use std::os::fd::OwnedFd;

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe2, read, setsid};

/// Guardian process. It begins its work when this end of the pipe is closed. Without this value, its work is
/// done.
#[derive(Debug)]
pub(super) struct Guardian {
    pipe: Option<OwnedFd>,
    child: Pid,
}

impl Drop for Guardian {
    fn drop(&mut self) {
        self.pipe = None;
        let _ = waitpid(self.child, None);
    }
}

impl Guardian {
    /// Starts a guardian with its last work. This process must have one thread only.
    pub(super) fn start(work: &dyn Fn()) -> nix::Result<Self> {
        let (theirs, ours) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        // SAFETY: this process has one thread, so the child may do what it likes.
        match unsafe { fork()? } {
            ForkResult::Parent { child } => Ok(Self { pipe: Some(ours), child }),
            ForkResult::Child => {
                drop(ours);
                // Signals to the terminal's processes must not end the guardian before its work.
                let _ = setsid();
                let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), None);
                // Nobody waits at the ends of a pipeline for the guardian.
                for stream in 0..3 {
                    // SAFETY: this process uses no standard stream any more.
                    unsafe { libc::close(stream) };
                }
                while read(&theirs, &mut [0; 8]) == Err(nix::errno::Errno::EINTR) {}
                work();
                // SAFETY: the process ends here, without the destructors of its maker.
                unsafe { libc::_exit(0) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread::sleep;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_work_is_done_when_the_maker_lets_go() {
        let file = std::env::temp_dir().join(format!("portals-guardian-{}", std::process::id()));
        let guardian = Guardian::start(&|| drop(fs::write(&file, "done"))).unwrap();
        sleep(Duration::from_millis(50));
        assert!(!file.exists(), "too early");
        drop(guardian);
        fs::remove_file(&file).expect("the guardian's file");
    }
}
