//! Backoff between failed attempts to make the host match the site.

use std::time::{Duration, Instant};

use super::source::{Source, Task, Turn};
use crate::base::error::Result;
use crate::base::moment::{after, doubled, is_due};

/// First wait. It doubles with each failure up to the longest.
const FIRST: Duration = Duration::from_secs(1);

/// Longest wait. The agent ignores the netlink monitor meanwhile, because the failed attempt has itself made
/// changes; so the wait must be no longer than another fault may wait for its repair.
const LONGEST: Duration = Duration::from_secs(5);

/// Attempt that is due after a failed one: its time, and the wait before it.
#[derive(Debug, Default)]
pub(super) struct Retry(Option<(Instant, Duration)>);

impl Retry {
    /// Returns the time of the next attempt; none if the last attempt succeeded.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.map(|(due, _)| due)
    }

    /// Takes note of an attempt.
    pub(super) fn attempted(&mut self, has_failed: bool, now: Instant) {
        let wait = self.0.map_or(FIRST, |(_, wait)| doubled(wait, FIRST, LONGEST));
        self.0 = has_failed.then_some((after(now, wait), wait));
    }
}

impl Source for Retry {
    fn deadline(&self) -> Option<Instant> {
        self.due()
    }

    fn turn(&mut self, turn: Turn) -> Result<Task> {
        Ok(if is_due(self.due(), turn.now) {
            Task::Reconcile("the attempt before had failed")
        } else {
            Task::Nothing
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit_and_end_with_success() {
        let now = Instant::now();
        let mut retry = Retry::default();
        let waits = [1, 2, 4, 5, 5].map(|_| {
            retry.attempted(true, now);
            (retry.due().unwrap() - now).as_secs()
        });
        assert_eq!(waits, [1, 2, 4, 5, 5]);
        retry.attempted(false, now);
        assert_eq!(retry.due(), None);
    }
}
