//! The wall clock under a running agent: it may begin in 1970, and be set at any time.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::Agent;
use crate::system::clock::{Judgement, LastKnown};
use crate::system::logging::utc;
use crate::system::wall_clock::{self, Jumps};

/// Time between two notes of the clock. A machine that loses its power comes back so far behind at most; flash bears a
/// few bytes an hour.
const ROUND: Duration = Duration::from_hours(1);

/// The most that a time server corrects from one look to the next without the clock having been set.
const SLIGHT: Duration = Duration::from_secs(2);

/// The agent's knowledge of the clock.
#[derive(Debug)]
pub(super) struct Clock {
    last: LastKnown,
    /// None where the kernel cannot tell: then a jump is seen when something else wakes the agent.
    jumps: Option<Jumps>,
    /// The two clocks when they were looked at last.
    seen: (SystemTime, Instant),
    /// When the time is kept next.
    due: Instant,
    /// The time was taken from the disk at the start, and nobody has said since that it is right.
    is_borrowed: bool,
    /// Set once a failure to keep it was said.
    is_silent: bool,
}

/// A leap of the clock between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Jump {
    Ahead(Duration),
    Back(Duration),
}

impl Clock {
    /// Looks at the clock, and has one that is behind what it was here before go on from there. That is never
    /// later than it is, unless the clock was wrong then, too.
    pub(super) fn open(file: &Path) -> Self {
        let last = LastKnown::beside(file);
        let is_borrowed = last.go_on();
        let jumps =
            Jumps::open().inspect_err(|error| log::warn!("cannot listen to changes of the clock: {error}"));
        let begun = Instant::now();
        let mut clock = Self {
            last,
            jumps: jumps.ok(),
            seen: (SystemTime::now(), begun),
            due: begun + ROUND,
            is_borrowed,
            is_silent: false,
        };
        if let Some(complaint) = clock.complaint() {
            log::warn!("{complaint}");
        }
        clock.keep();
        clock
    }

    /// The descriptor to poll for input.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.jumps.as_ref().map(Jumps::as_fd)
    }

    /// When to look at it though nothing has happened.
    pub(super) fn deadline(&self) -> Instant {
        self.due
    }

    /// Why links may stay down; none if nothing is wrong.
    pub(super) fn complaint(&self) -> Option<String> {
        let now = SystemTime::now();
        let borrowed = || {
            format!(
                "this machine began without the time of day, and its clock, which says {}, goes on from the \
                 last that was known here: no time server has confirmed it yet",
                utc(now)
            )
        };
        self.last.judge(now).complaint(now).or_else(|| self.is_borrowed.then(borrowed))
    }

    /// Keeps the time for the next start; one that is behind the last that is known only if a time server
    /// vouches for it.
    pub(super) fn keep(&mut self) {
        if self.last.judge(SystemTime::now()) == Judgement::Plausible || wall_clock::is_synchronized() {
            self.keep_whatever_it_is();
        }
        self.due = Instant::now() + ROUND;
    }

    fn keep_whatever_it_is(&mut self) {
        let now = SystemTime::now();
        if let Err(error) = self.last.keep(now)
            && !std::mem::replace(&mut self.is_silent, true)
        {
            log::warn!("{error}");
        }
    }

    /// Tells whether the clock was set since the last look, and how.
    fn turn(&mut self, now: (SystemTime, Instant)) -> Option<Jump> {
        let (then, before) = std::mem::replace(&mut self.seen, now);
        if let Some(Err(error)) = self.jumps.as_ref().map(Jumps::arm) {
            log::warn!("cannot listen to changes of the clock any more: {error}");
            self.jumps = None;
        }
        let jump = jump(then, now.1 - before, now.0);
        self.is_borrowed &= jump.is_none() && !wall_clock::is_synchronized();
        if jump.is_some() {
            // Somebody says that it was wrong before: the next start does not go on from there.
            self.keep_whatever_it_is();
        } else if self.due <= now.1 {
            self.keep();
        }
        jump
    }
}

/// The leap of a clock that said `then` a while ago, and says `now`.
fn jump(then: SystemTime, passed: Duration, now: SystemTime) -> Option<Jump> {
    // Beyond what it can say, it was set wherever it is.
    let expected = then.checked_add(passed)?;
    let jump = match now.duration_since(expected) {
        Ok(ahead) => Jump::Ahead(ahead),
        Err(error) => Jump::Back(error.duration()),
    };
    let (Jump::Ahead(by) | Jump::Back(by)) = jump;
    (by >= SLIGHT).then_some(jump)
}

impl Agent {
    /// Peers that have not answered to the time as it was are asked again, with the time as it is.
    pub(super) fn look_at_clock(&mut self) {
        let now = (SystemTime::now(), Instant::now());
        match self.clock.turn(now) {
            None => {}
            Some(Jump::Ahead(by)) => {
                log::info!("the clock was set ahead by {} s: it is {}", by.as_secs(), utc(now.0));
                self.kernel.begin_handshakes_anew();
            }
            Some(Jump::Back(by)) => {
                log::info!("the clock was set back by {} s: it is {}", by.as_secs(), utc(now.0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_jumps_and_one_that_goes_does_not() {
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let jump = |passed: u64, now: u64| {
            super::jump(then, Duration::from_secs(passed), SystemTime::UNIX_EPOCH + Duration::from_secs(now))
        };
        assert_eq!(jump(0, 1000), None);
        assert_eq!(jump(3600, 4601), None, "a time server corrects a little");
        assert_eq!(jump(10, 1_800_000_010), Some(Jump::Ahead(Duration::from_secs(1_799_999_000))));
        assert_eq!(jump(10, 0), Some(Jump::Back(Duration::from_secs(1010))));
    }
}
