//! Waiting for descriptors, with a deadline.

use std::time::Instant;

use nix::poll::{PollFd, PollTimeout, poll};

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
