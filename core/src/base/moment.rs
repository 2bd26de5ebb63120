//! Moments in time.

use std::time::Instant;

/// Returns the earlier of two moments, of which each may be none.
pub fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_moment_is_earlier_than_none() {
        let now = Some(Instant::now());
        let later = now.map(|now| now + Duration::from_secs(1));
        assert_eq!((earlier(now, later), earlier(later, now)), (now, now));
        assert_eq!((earlier(now, None), earlier(None, now), earlier(None, None)), (now, now, None));
    }
}
