//! Limits for browsers: requests in a time, and connections at once. One device may not take the page from
//! the others, nor the processor from the router.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::base::moment::after;

/// Time after which a browser may make one more request.
const REFILL: Duration = Duration::from_millis(250);

/// Requests that a browser may make at once, as the time that refills them: a page, its style, and a few more
/// looks.
const ROOM: Duration = Duration::from_secs(5);

/// Most browsers whose requests are counted. A newer one replaces the one that has been quiet longest.
const MOST_BROWSERS: usize = 64;

/// Time after which one more request of any browser is answered.
const REFILL_OF_ALL: Duration = Duration::from_millis(50);

/// Requests of all browsers together that are answered at once, as the time that refills them.
const ROOM_OF_ALL: Duration = Duration::from_secs(3);

/// Most connections at once of one browser: browsers open up to six.
pub(super) const MOST_OF_ONE: usize = 8;

/// Most connections at once of all browsers. Another one replaces the oldest one.
pub(super) const MOST_OF_ALL: usize = 48;

/// Limit on requests in a time: a bucket that holds a number of requests, and is refilled one by one.
#[derive(Debug)]
struct Bucket {
    refill: Duration,
    /// Time that refills the empty bucket.
    room: Duration,
    /// Time at which the bucket will be full.
    full: Instant,
}

impl Bucket {
    fn new(room: Duration, refill: Duration, now: Instant) -> Self {
        Self { refill, room, full: now }
    }

    /// Takes a request, if there is one left.
    fn take(&mut self, now: Instant) -> bool {
        let full = after(self.full.max(now), self.refill);
        let has_one = full.saturating_duration_since(now) <= self.room;
        if has_one {
            self.full = full;
        }
        has_one
    }
}

/// Requests of all browsers.
#[derive(Debug)]
pub(super) struct Rates {
    all: Bucket,
    /// Browsers, the one that has been quiet longest first.
    browsers: Vec<(Ipv4Addr, Bucket)>,
}

impl Rates {
    /// Begins with full buckets.
    pub(super) fn new(now: Instant) -> Self {
        Self { all: Bucket::new(ROOM_OF_ALL, REFILL_OF_ALL, now), browsers: Vec::new() }
    }

    /// Reports whether a request of a browser may be answered, and counts it.
    pub(super) fn allow(&mut self, browser: Ipv4Addr, now: Instant) -> bool {
        let place = self.browsers.iter().position(|(known, _)| *known == browser);
        let (_, mut bucket) = match place {
            Some(place) => self.browsers.remove(place),
            None => (browser, Bucket::new(ROOM, REFILL, now)),
        };
        if self.browsers.len() == MOST_BROWSERS {
            self.browsers.remove(0);
        }
        let is_allowed = bucket.take(now) && self.all.take(now);
        self.browsers.push((browser, bucket));
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: u32 = 20;
    const BURST_OF_ALL: u32 = 60;

    fn browser(number: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 1, number)
    }

    /// Returns the number of requests in a row that are allowed.
    fn allowed(rates: &mut Rates, browser: Ipv4Addr, now: Instant) -> u32 {
        (0..1000).take_while(|_| rates.allow(browser, now)).count().try_into().unwrap()
    }

    #[test]
    fn a_browser_that_asks_too_often_has_to_wait() {
        let now = Instant::now();
        let mut rates = Rates::new(now);
        assert_eq!(allowed(&mut rates, browser(1), now), BURST);
        assert_eq!(allowed(&mut rates, browser(2), now), BURST, "another browser does not");
        assert_eq!(allowed(&mut rates, browser(1), now + REFILL / 2), 0);
        assert_eq!(allowed(&mut rates, browser(1), now + REFILL), 1);
        assert_eq!(allowed(&mut rates, browser(1), now + 3 * REFILL), 2);
        assert_eq!(allowed(&mut rates, browser(1), now + 1000 * REFILL), BURST);
    }

    #[test]
    fn many_browsers_together_have_a_limit() {
        let now = Instant::now();
        let mut rates = Rates::new(now);
        let all: u32 = (0..=u8::MAX).map(|number| allowed(&mut rates, browser(number), now)).sum();
        assert_eq!(all, BURST_OF_ALL);
        assert!(rates.browsers.len() <= MOST_BROWSERS);
        assert!(rates.allow(browser(9), now + REFILL_OF_ALL));
    }
}
