//! Waiting for input.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::base::error::{Context as _, Result};

/// Waits until a descriptor has input, or until `deadline`. Reports for each descriptor whether it has input.
pub fn wait_for_input(descriptors: &[BorrowedFd], deadline: Option<Instant>) -> Result<Vec<bool>> {
    let mut polled = Vec::new();
    for descriptor in descriptors {
        polled.push(PollFd::new(*descriptor, PollFlags::POLLIN));
    }
    match poll_until(&mut polled, deadline) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(errno).context(|| "cannot wait for events".to_owned()),
    }
    let mut inputs = Vec::new();
    for one in &polled {
        inputs.push(one.any().unwrap_or(false));
    }
    Ok(inputs)
}

/// Waits until one of the descriptors is ready, or until the deadline; without a deadline, for as long as it
/// takes. Returns the number of those that are ready.
pub fn poll_until(descriptors: &mut [PollFd], deadline: Option<Instant>) -> nix::Result<i32> {
    let timeout = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
        None => PollTimeout::NONE,
        // Rounded up: a deadline half a millisecond away would otherwise keep the caller's loop turning.
        Some(left) => {
            let milliseconds = left.as_secs().saturating_mul(1000) + u64::from(left.subsec_millis());
            PollTimeout::try_from(milliseconds.saturating_add(1)).unwrap_or(PollTimeout::MAX)
        }
    };
    poll(descriptors, timeout)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsFd as _;
    use std::time::Duration;

    use super::*;

    #[test]
    fn input_belongs_to_the_descriptor_that_has_it() {
        let (quiet, _quiet_writer) = std::io::pipe().unwrap();
        let (busy, mut writer) = std::io::pipe().unwrap();
        let inputs = |deadline| wait_for_input(&[quiet.as_fd(), busy.as_fd()], deadline).unwrap();
        assert_eq!(inputs(Some(Instant::now())), [false, false]);
        writer.write_all(b"x").unwrap();
        assert_eq!(inputs(None), [false, true]);
        assert_eq!(inputs(Some(Instant::now() + Duration::from_hours(1))), [false, true]);
    }
}
