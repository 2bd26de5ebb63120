//! Another program that takes away what we put there, as often as we do: a fight that nobody wins. It is noticed, said, and
//! fought more slowly, but never given up: what is repaired may be what keeps a portal closed.

use std::time::{Duration, Instant};

use crate::base::sorted::SortedMap;
use crate::state::diff::Step;
use crate::state::words;

/// So many repairs of one thing …
const BLOWS: usize = 8;

/// … within this time are a fight. Legacy iptables is looked at less than 13 times in it, everything else up to 200 times.
const ROUND: Duration = Duration::from_secs(10);

/// While there is a fight, repairs come no faster.
const PAUSE: Duration = Duration::from_secs(1);

/// It is said no more often.
const SILENCE: Duration = Duration::from_mins(5);

/// What was repaired of late.
#[derive(Default)]
pub(super) struct Fights {
    /// By what it does in words: when it was done.
    repairs: SortedMap<String, Vec<Instant>>,
    /// Until when things are left alone.
    pause: Option<Instant>,
    said: Option<Instant>,
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
        self.pause.take_if(|until| *until <= now).is_some()
    }

    /// Takes note of repairs. What we do again and again, if that has to be said.
    pub(super) fn repaired(&mut self, steps: &[Step], now: Instant) -> Option<String> {
        self.repairs.retain(|_, times| {
            times.retain(|time| *time + ROUND >= now);
            !times.is_empty()
        });
        for step in steps {
            self.repairs.get_or_default(words::step(step)).push(now);
        }
        let fought_over = steps.iter().map(words::step);
        let repair = fought_over.into_iter().find(|repair| self.repairs[repair].len() >= BLOWS)?;
        self.pause = Some(now + PAUSE);
        if self.said.is_some_and(|said| said + SILENCE > now) {
            return None;
        }
        self.said = Some(now);
        Some(repair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up() -> Vec<Step> {
        vec![Step::BringUp("to-paris".parse().unwrap())]
    }

    #[test]
    fn blows_that_come_fast_are_a_fight() {
        let mut fights = Fights::default();
        let start = Instant::now();
        let mut blow = |number: u32| fights.repaired(&up(), start + Duration::from_millis(900) * number);
        assert_eq!((0..7).find_map(&mut blow), None);
        assert_eq!(blow(7).as_deref(), Some("bring to-paris up"));
        assert_eq!((8..100).find_map(&mut blow), None, "said once");
        assert!(fights.is_pausing());
        let last = start + Duration::from_millis(900) * 99;
        assert!(!fights.ends(last));
        assert!(fights.ends(last + PAUSE) && !fights.is_pausing() && !fights.ends(last + PAUSE));
    }

    #[test]
    fn what_happens_now_and_then_is_none() {
        let mut fights = Fights::default();
        let start = Instant::now();
        for blow in 0..100 {
            assert_eq!(fights.repaired(&up(), start + Duration::from_secs(2) * blow), None);
            assert!(!fights.is_pausing());
        }
    }
}
