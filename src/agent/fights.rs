//! Another program that takes away what we put there, as often as we do: a fight that nobody wins. It is noticed, said, and
//! fought more slowly.

use std::time::{Duration, Instant};

use crate::describe;
use crate::diff::Step;
use crate::sorted::SortedMap;

/// So many repairs of one thing …
const BLOWS: usize = 8;

/// … within this time are a fight. Between two repairs there are 50 ms at least, of waiting for quiet.
const ROUND: Duration = Duration::from_secs(2);

/// The first pause, doubled with each round up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// After so long without one, all is forgotten.
const PEACE: Duration = Duration::from_mins(2);

/// What was repaired of late.
#[derive(Default)]
pub(super) struct Fights {
    /// By what it does in words: when it was done.
    repairs: SortedMap<String, Vec<Instant>>,
    /// Until when things are left alone.
    pause: Option<Instant>,
    /// How long the last pause was, and when it began.
    last: Option<(Duration, Instant)>,
}

/// A fight that has just been noticed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fight {
    /// What we do again and again.
    pub(super) repair: String,
    /// How long we leave it now.
    pub(super) pause: Duration,
}

impl Fights {
    /// Until when news is left alone.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.pause
    }

    /// Whether it is time to leave things alone.
    pub(super) fn is_pausing(&self) -> bool {
        self.pause.is_some()
    }

    /// Whether a pause has just ended: then what was left alone is to be repaired.
    pub(super) fn ends(&mut self, now: Instant) -> bool {
        let ended = self.pause.take_if(|until| *until <= now);
        ended.is_some()
    }

    /// Takes note of repairs.
    pub(super) fn repaired(&mut self, steps: &[Step], now: Instant) -> Option<Fight> {
        self.repairs.retain(|_, times| {
            times.retain(|time| *time + ROUND >= now);
            !times.is_empty()
        });
        for step in steps {
            self.repairs.get_or_default(describe::step(step)).push(now);
        }
        let (repair, _) = self.repairs.iter().find(|(_, times)| times.len() >= BLOWS)?;
        let repair = repair.clone();
        self.repairs = SortedMap::new();
        let last = self.last.filter(|(_, begun)| *begun + PEACE > now);
        let pause = last.map_or(PAUSE, |(length, _)| (length * 2).min(LONGEST_PAUSE));
        self.last = Some((pause, now));
        self.pause = Some(now + pause);
        Some(Fight { repair, pause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up() -> Vec<Step> {
        vec![Step::BringUp("to-paris".parse().unwrap())]
    }

    #[test]
    fn blows_that_come_fast_are_a_fight_and_pauses_grow() {
        let mut fights = Fights::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        while pauses.len() < 7 {
            now += Duration::from_millis(100);
            if let Some(fight) = fights.repaired(&up(), now) {
                assert_eq!(fight.repair, "bring to-paris up");
                assert!(fights.is_pausing() && !fights.ends(now));
                now += fight.pause;
                assert!(fights.ends(now) && !fights.is_pausing() && !fights.ends(now));
                pauses.push(fight.pause.as_secs());
            }
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn what_happens_now_and_then_is_none() {
        let mut fights = Fights::default();
        let start = Instant::now();
        for blow in 0..100 {
            assert_eq!(fights.repaired(&up(), start + Duration::from_millis(300) * blow), None);
        }
    }

    #[test]
    fn peace_lets_the_next_one_begin_anew() {
        let mut fights = Fights::default();
        let mut fight = |start: Instant| {
            (0..)
                .find_map(|blow| fights.repaired(&up(), start + Duration::from_millis(60) * blow))
                .unwrap()
                .pause
        };
        let start = Instant::now();
        assert_eq!(fight(start), PAUSE);
        assert_eq!(fight(start + Duration::from_secs(10)), PAUSE * 2);
        assert_eq!(fight(start + PEACE * 2), PAUSE);
    }
}
