//! Health of an exit, by its answers to probes. Time comes in as a value: no clock is read here.

use std::time::{Duration, Instant};

use crate::base::moment::{after, is_due};
use crate::config::model::FailoverDelays;
use crate::site::Exit;

/// Number of unanswered probes that count as silence. Fewer may be chance, or a time in which no probe was
/// sent.
const SILENCE: u32 = 2;

/// Number of probes within the time after which a silent exit is down.
const PROBES: u32 = 6;

/// State of an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExitState {
    /// Unknown: not probed for long enough.
    Unproven,
    /// The exit answers.
    Up,
    /// The exit does not answer, or has not answered for long enough since it was down.
    Down,
}

impl ExitState {
    /// Returns the word in `portals status --json`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unproven => "unproven",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// Health of one exit.
#[derive(Debug)]
pub(super) struct Health {
    times: FailoverDelays,
    state: ExitState,
    /// Time of the last change of the state.
    since: Instant,
    /// Probes since the last answer.
    unanswered: u32,
    /// Time of the first unanswered probe.
    silent_since: Option<Instant>,
    /// Time of the first answer after the last silence.
    answering_since: Option<Instant>,
}

impl Health {
    /// Begins with an exit that was down, or of which nothing is known.
    pub(super) fn new(times: FailoverDelays, was_down: bool) -> Self {
        let state = if was_down { ExitState::Down } else { ExitState::Unproven };
        Self { times, state, since: Instant::now(), unanswered: 0, silent_since: None, answering_since: None }
    }

    /// Returns the state of the exit.
    pub(super) fn state(&self) -> ExitState {
        self.state
    }

    /// Returns the time of the last change of the state.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Returns the time in which silence means down, and the time for which answers must hold.
    pub(super) fn times(&self) -> FailoverDelays {
        self.times
    }

    /// Changes the times for all later verdicts.
    pub(super) fn set_times(&mut self, times: FailoverDelays) {
        self.times = times;
    }

    /// Takes note of a probe.
    pub(super) fn asked(&mut self, now: Instant) {
        self.unanswered = self.unanswered.saturating_add(1);
        self.silent_since.get_or_insert(now);
    }

    /// Takes note of an answer.
    pub(super) fn answered(&mut self, now: Instant) {
        self.unanswered = 0;
        self.silent_since = None;
        let since = *self.answering_since.get_or_insert(now);
        let has_held = now.duration_since(since) >= self.times.up_after;
        if self.state == ExitState::Unproven || has_held {
            self.becomes(ExitState::Up, now);
        }
    }

    /// Judges the silence of the exit, if it is silent.
    pub(super) fn judge(&mut self, now: Instant) {
        if is_due(self.verdict_due(), now) {
            self.becomes(ExitState::Down, now);
            self.answering_since = None;
        }
    }

    fn becomes(&mut self, state: ExitState, now: Instant) {
        if self.state != state {
            (self.state, self.since) = (state, now);
        }
    }

    /// Returns the time at which silence becomes a verdict; none if the exit is not silent, or judged
    /// already.
    pub(super) fn verdict_due(&self) -> Option<Instant> {
        let is_judged = self.state == ExitState::Down && self.answering_since.is_none();
        let since = self.silent_since.filter(|_| self.unanswered >= SILENCE && !is_judged)?;
        Some(after(since, self.times.down_after))
    }
}

/// Returns the time between two probes.
pub(super) fn interval(times: FailoverDelays) -> Duration {
    times.down_after / PROBES
}

/// Chooses the exit of a portal with these exits, which leaves through `current` now: the first exit that is
/// up, or that is unproven and in use already.
pub(super) fn choose<'a>(exits: &'a [Exit], current: &Exit, state: impl Fn(&str) -> ExitState) -> &'a Exit {
    let can_be_used = |exit: &&Exit| match exit {
        Exit::Tunnel { name, .. } => match state(name) {
            ExitState::Up => true,
            ExitState::Unproven => *exit == current,
            ExitState::Down => false,
        },
        Exit::Direct => true,
        Exit::Nowhere => false,
    };
    exits.iter().find(can_be_used).unwrap_or(&Exit::Nowhere)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::net::Table;

    const TIMES: FailoverDelays =
        FailoverDelays { down_after: Duration::from_secs(3), up_after: Duration::from_secs(10) };

    /// Probes twice a second, once for each of `answers`, and judges a hundred times in between. Returns each
    /// change of the state with its time in tenths of a second.
    fn changes(answers: &[bool], was_down: bool) -> Vec<(u128, ExitState)> {
        let start = Instant::now();
        let mut health = Health::new(TIMES, was_down);
        let (mut now, mut changes) = (start, Vec::new());
        for answer in answers {
            health.asked(now);
            for step in 0..100 {
                let before = health.state();
                // After 20 ms.
                if step == 4 && *answer {
                    health.answered(now);
                }
                health.judge(now);
                if health.state() != before {
                    changes.push(((now - start).as_millis() / 100, health.state()));
                }
                now += interval(TIMES) / 100;
            }
        }
        changes
    }

    #[test]
    fn an_exit_is_down_after_silence_and_up_after_it_has_held() {
        let answers = [[true; 8].as_slice(), &[false; 8], &[true; 30]].concat();
        let expected = [(0, ExitState::Up), (70, ExitState::Down), (180, ExitState::Up)];
        // Silent from 4.0 s on; answers from 8.02 s on.
        assert_eq!(changes(&answers, false), expected);
    }

    #[test]
    fn an_exit_that_was_down_has_to_hold_first() {
        assert_eq!(changes(&[true; 30], true), [(100, ExitState::Up)]);
        assert_eq!(changes(&[true; 30], false), [(0, ExitState::Up)]);
    }

    #[test]
    fn a_lost_probe_is_no_silence() {
        let mut answers = [true; 40];
        answers.iter_mut().skip(5).step_by(4).for_each(|answer| *answer = false);
        assert_eq!(changes(&answers, false), [(0, ExitState::Up)]);
        assert_eq!(
            changes(&answers, true),
            [(100, ExitState::Up)],
            "a lost probe does not restart the ten seconds"
        );
    }

    #[test]
    fn a_time_without_probes_is_no_silence() {
        let start = Instant::now();
        let mut health = Health::new(TIMES, false);
        health.asked(start);
        health.answered(start);
        health.asked(start + Duration::from_secs(1));
        health.judge(start + Duration::from_mins(1));
        assert_eq!(health.state(), ExitState::Up);
    }

    fn site(name: &str, number: u32) -> Exit {
        let interface = format!("to-{name}").parse().unwrap();
        Exit::Tunnel { name: name.to_owned(), interface, table: Table(number) }
    }

    #[test]
    fn the_first_exit_that_is_up_is_chosen() {
        use ExitState::{Down, Unproven, Up};
        let (paris, oslo) = (site("paris", 2), site("oslo", 3));
        let (pair, with_direct) =
            ([paris.clone(), oslo.clone()], [paris.clone(), oslo.clone(), Exit::Direct]);
        for (current, in_paris, in_oslo, chosen) in [
            (&paris, Up, Up, &paris),
            (&paris, Unproven, Up, &paris),
            (&paris, Down, Up, &oslo),
            (&oslo, Down, Unproven, &oslo),
            (&oslo, Unproven, Up, &oslo),
            (&oslo, Up, Up, &paris),
            (&paris, Down, Unproven, &Exit::Nowhere),
            (&oslo, Down, Down, &Exit::Nowhere),
            (&Exit::Nowhere, Unproven, Down, &Exit::Nowhere),
            (&Exit::Nowhere, Down, Up, &oslo),
        ] {
            let state = |name: &str| if name == "paris" { in_paris } else { in_oslo };
            assert_eq!(choose(&pair, current, state), chosen, "{current} {in_paris:?} {in_oslo:?}");
            let last = if *chosen == Exit::Nowhere { &Exit::Direct } else { chosen };
            assert_eq!(choose(&with_direct, current, state), last);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 256,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_standing_never_flaps(answers in prop::collection::vec(any::<bool>(), 1..200), was_down: bool) {
            let changes = changes(&answers, was_down);
            for pair in changes.windows(2) {
                prop_assert_ne!(pair[0].1, pair[1].1);
                if pair[1].1 == ExitState::Up {
                    prop_assert!(pair[1].0 - pair[0].0 >= 100, "up again after {:?}", pair);
                }
            }
            // Six probes in a row without an answer are three seconds of silence; five are not.
            let silent = answers.windows(6).any(|six| six.iter().all(|answer| !answer));
            let went_down = changes.iter().any(|(_, state)| *state == ExitState::Down);
            prop_assert!(silent || !went_down);
        }
    }
}
