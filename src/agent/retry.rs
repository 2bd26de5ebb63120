//! When an attempt that failed is made again.

use std::time::{Duration, Instant};

/// The first wait, doubled each time up to the longest. News is not acted upon meanwhile, as the attempt that failed made some
/// itself; so it is no longer than what another fault may wait for its repair.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5);

/// Another attempt that is due, if the last one failed.
#[derive(Debug, Default)]
pub(super) struct Retry(Option<(Instant, Duration)>);

impl Retry {
    /// When it is due; none if there is nothing to try again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.map(|(due, _)| due)
    }

    /// An attempt was made.
    pub(super) fn attempted(&mut self, has_failed: bool, now: Instant) {
        let wait = self.0.map_or(FIRST, |(_, wait)| (wait * 2).min(LONGEST));
        self.0 = has_failed.then_some((now + wait, wait));
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
