//! Waiting for input.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};

use crate::base::error::{Context as _, Result};
use crate::system::polling::poll_until;

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
