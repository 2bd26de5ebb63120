//! Standard error as an output of the log.

use std::io::{self, Write, stderr};
use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Writer to standard error that never waits: a line that standard error does not take at once is lost.
pub(super) struct StandardError;

impl Write for StandardError {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut out = stderr().lock();
        let is_ready = poll(&mut [PollFd::new(out.as_fd(), PollFlags::POLLOUT)], PollTimeout::ZERO);
        if is_ready.is_ok_and(|ready| ready > 0) {
            let _ = out.write_all(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
