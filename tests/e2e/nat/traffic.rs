//! Pings between two homes in both directions, and the number of those that are lost.

use std::thread::sleep;
use std::time::{Duration, Instant};

use wg_portals::base::error::{Error, Result};
use wg_portals::demo::{Pings, Plot, World};

use crate::words::seconds;

/// Time between two pings of a home.
const PAUSE: Duration = Duration::from_millis(50);

/// Pings of both homes.
#[derive(Debug)]
pub(super) struct Traffic([Side; 2]);

#[derive(Debug)]
struct Side {
    pings: Pings,
    sent: Vec<u16>,
    answered: Vec<u16>,
}

impl Traffic {
    /// Begins with pings from each of two homes to the other.
    pub(super) fn begin(world: &mut World, [one, other]: [Plot; 2]) -> Self {
        let mut side = |site, exit| Side {
            pings: Pings::begin(world.site(site), exit),
            sent: Vec::new(),
            answered: Vec::new(),
        };
        Self([side(one, other), side(other, one)])
    }

    /// Sends a ping of each home, and takes the answers of the next moment.
    pub(super) fn turn(&mut self) {
        for side in &mut self.0 {
            side.sent.extend(side.pings.send());
        }
        sleep(PAUSE);
        for side in &mut self.0 {
            side.answered.extend(side.pings.answers());
        }
    }

    /// Pings until each home has an answer to a ping that it has sent meanwhile. Returns the number of pings
    /// of both homes that were lost before.
    pub(super) fn until_both_answered(&mut self, limit: Duration) -> Result<usize> {
        self.0.iter_mut().for_each(Side::forget);
        let start = Instant::now();
        while self.0.iter().any(|side| side.lost_before_answer().is_none()) {
            if start.elapsed() > limit {
                return Err(Error::failed(format!("the homes do not reach each other after {limit:?}")));
            }
            self.turn();
        }
        Ok(self.0.iter().filter_map(Side::lost_before_answer).sum())
    }

    /// Waits for the last answers, and returns the numbers of pings sent and lost.
    pub(super) fn finish(mut self) -> (usize, usize) {
        sleep(seconds(2.0));
        let count = |side: &mut Side| {
            side.answered.extend(side.pings.answers());
            let lost = side.sent.iter().filter(|number| !side.answered.contains(number)).count();
            (side.sent.len(), lost)
        };
        let [one, other] = self.0.each_mut().map(count);
        (one.0 + other.0, one.1 + other.1)
    }
}

impl Side {
    fn forget(&mut self) {
        self.sent.clear();
        self.answered.clear();
    }

    /// Returns the number of pings before the first one that was answered; `None` if none was.
    fn lost_before_answer(&self) -> Option<usize> {
        self.sent.iter().position(|number| self.answered.contains(number))
    }
}
