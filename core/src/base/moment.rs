//! Moments in time.

use std::time::{Duration, Instant};

/// Returns the earlier of two moments, of which each may be none. Never inlined: see [`after`].
#[inline(never)]
pub fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    }
}

/// Returns the moment this time after another one. Never inlined: the sum of two times takes a hundred bytes
/// on a processor of 32 bits.
#[inline(never)]
pub fn after(moment: Instant, time: Duration) -> Instant {
    moment + time
}

/// Reports whether the clock has reached a moment. Never inlined: see [`after`].
#[inline(never)]
pub fn has_come(moment: Instant) -> bool {
    Instant::now() >= moment
}

/// Reports whether `moment` is not after `now`; none never comes. Never inlined: see [`after`].
#[inline(never)]
pub fn is_due(moment: Option<Instant>, now: Instant) -> bool {
    moment.is_some_and(|moment| moment <= now)
}

/// Returns twice a wait, but at least `first` and at most `longest`.
pub fn doubled(wait: Duration, first: Duration, longest: Duration) -> Duration {
    (wait + wait).clamp(first, longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_earlier_than_none() {
        let now = Some(Instant::now());
        let later = now.map(|now| now + Duration::from_secs(1));
        assert_eq!((earlier(now, later), earlier(later, now)), (now, now));
        assert_eq!((earlier(now, None), earlier(None, now), earlier(None, None)), (now, now, None));
    }
}
