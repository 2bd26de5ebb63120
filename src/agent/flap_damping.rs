//! Flap damping: another program undoes a repair as often as the agent makes it, and neither wins. The agent
//! notices, logs it, and repairs more slowly. It never gives up, because the repaired object may be the one
//! that keeps a portal closed.

use std::time::{Duration, Instant};

use super::source::{Source, Task, Turn};
use crate::base::error::Result;
use crate::base::moment::{after, is_due};
use crate::base::sorted::SortedMap;
use crate::state::step::Step;
use crate::state::words;

/// Number of repairs of one object within [`WINDOW`] that count as flapping.
const FLAPS: usize = 8;

/// Time in which repairs are counted. The agent looks at everything up to 200 times in it, and at legacy
/// iptables 13 times if other programs change it without its lock, or 40 times where it has no lock.
const WINDOW: Duration = Duration::from_secs(10);

/// Time between two repairs of a flapping object.
const PAUSE: Duration = Duration::from_secs(1);

/// Time between two log lines about flapping.
const SILENCE: Duration = Duration::from_mins(5);

/// Recent repairs, and the pause that they have led to.
#[derive(Default)]
pub(super) struct FlapDamping {
    /// Times of the repairs by their description.
    repairs: SortedMap<String, Vec<Instant>>,
    /// End of the pause in which nothing is repaired.
    pause: Option<Instant>,
    /// Time of the last log line.
    said: Option<Instant>,
}

impl FlapDamping {
    /// Reports whether repairs pause.
    pub(super) fn is_pausing(&self) -> bool {
        self.pause.is_some()
    }

    /// Ends a pause that is over. Reports whether a pause has just ended.
    fn ends(&mut self, now: Instant) -> bool {
        self.pause.take_if(|until| is_due(Some(*until), now)).is_some()
    }

    /// Takes note of repairs. Returns a flapping one in words, if the log must say so.
    pub(super) fn repaired(&mut self, steps: &[Step], now: Instant) -> Option<String> {
        self.repairs.retain(|_, times| {
            times.retain(|time| after(*time, WINDOW) >= now);
            !times.is_empty()
        });
        for step in steps {
            self.repairs.get_or_default(words::step(step)).push(now);
        }
        let repair = steps.iter().map(words::step).find(|repair| self.repairs[repair].len() >= FLAPS)?;
        self.pause = Some(after(now, PAUSE));
        if self.said.is_some_and(|said| !is_due(Some(after(said, SILENCE)), now)) {
            return None;
        }
        self.said = Some(now);
        Some(repair)
    }
}

impl Source for FlapDamping {
    fn deadline(&self) -> Option<Instant> {
        self.pause
    }

    /// Repairs everything that has waited for the end of a pause.
    fn turn(&mut self, turn: Turn) -> Result<Task> {
        Ok(if self.ends(turn.now) { Task::Repair } else { Task::Nothing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::step::RoutingStep;

    fn up() -> Vec<Step> {
        vec![Step::Routing(RoutingStep::BringUp("to-paris".parse().unwrap()))]
    }

    #[test]
    fn repairs_in_quick_succession_are_flapping() {
        let mut damping = FlapDamping::default();
        let start = Instant::now();
        let mut repair = |number: u32| damping.repaired(&up(), start + Duration::from_millis(900) * number);
        assert_eq!((0..7).find_map(&mut repair), None);
        assert_eq!(repair(7).as_deref(), Some("bring to-paris up"));
        assert_eq!((8..100).find_map(&mut repair), None, "logged once");
        assert!(damping.is_pausing());
        let last = start + Duration::from_millis(900) * 99;
        assert!(!damping.ends(last));
        assert!(damping.ends(last + PAUSE) && !damping.is_pausing() && !damping.ends(last + PAUSE));
    }

    #[test]
    fn occasional_repairs_are_no_flapping() {
        let mut damping = FlapDamping::default();
        let start = Instant::now();
        for number in 0..100 {
            assert_eq!(damping.repaired(&up(), start + Duration::from_secs(2) * number), None);
            assert!(!damping.is_pausing());
        }
    }
}
