//! Wall clock under a running agent. The clock may begin in 1970, and can be set at any time.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::source::{Source, Task, Turn};
use crate::base::error::Result;
use crate::base::moment::after;
use crate::system::clock::{Judgement, LastKnown};
use crate::system::logging as log;
use crate::system::logging::utc;
use crate::system::wall_clock::{self, Jumps};

/// Time between two records of the time on disk. A machine that loses its power comes back this far behind at
/// most; flash memory bears a few bytes an hour.
const ROUND: Duration = Duration::from_hours(1);

/// Largest correction by a time server between two looks that does not count as setting the clock.
const SLIGHT: Duration = Duration::from_secs(2);

/// Wall clock as the agent knows it.
#[derive(Debug)]
pub(super) struct Clock {
    last: LastKnown,
    /// Kernel's report of jumps; none if the kernel cannot report them: then the agent sees a jump when
    /// another source wakes it.
    jumps: Option<Jumps>,
    /// Wall clock and monotonic clock at the last look.
    seen: (SystemTime, Instant),
    /// Time of the next record on disk.
    due: Instant,
    /// Set if the time came from the disk at the start, and no time server has confirmed it since.
    is_borrowed: bool,
    /// Set once a failure to record the time is logged.
    is_silent: bool,
}

/// Jump of the clock between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Jump {
    Ahead(Duration),
    Back(Duration),
}

impl Clock {
    /// Sets a clock that is behind the last recorded time to that time. The recorded time is never later than
    /// the true time, unless the clock was wrong when the time was recorded.
    pub(super) fn open(file: &Path) -> Self {
        let last = LastKnown::next_to(file);
        let is_borrowed = last.go_on();
        let jumps =
            Jumps::open().inspect_err(|error| log::warn!("cannot listen to changes of the clock: {error}"));
        let begun = Instant::now();
        let mut clock = Self {
            last,
            jumps: jumps.ok(),
            seen: (SystemTime::now(), begun),
            due: after(begun, ROUND),
            is_borrowed,
            is_silent: false,
        };
        if let Some(complaint) = clock.complaint() {
            log::warn!("{complaint}");
        }
        clock.keep();
        clock
    }

    /// Returns the reason why links may stay down; none if nothing is wrong with the clock.
    pub(super) fn complaint(&self) -> Option<String> {
        let now = SystemTime::now();
        let borrowed = || {
            format!(
                "this machine started without the time of day, and its clock, which says {}, continues from \
                 the last time that was known here: no time server has confirmed it yet",
                utc(now)
            )
        };
        self.last.judge(now).complaint(now).or_else(|| self.is_borrowed.then(borrowed))
    }

    /// Records the time for the next start. A time behind the last recorded one counts only if a time server
    /// vouches for it.
    pub(super) fn keep(&mut self) {
        if self.last.judge(SystemTime::now()) == Judgement::Plausible || wall_clock::is_synchronised() {
            self.keep_unconditionally();
        }
        self.due = after(Instant::now(), ROUND);
    }

    fn keep_unconditionally(&mut self) {
        let now = SystemTime::now();
        if let Err(error) = self.last.keep(now)
            && !std::mem::replace(&mut self.is_silent, true)
        {
            log::warn!("{error}");
        }
    }

    /// Returns the jump since the last look, if the clock was set.
    fn jump_since_last_look(&mut self, now: (SystemTime, Instant)) -> Option<Jump> {
        let (then, before) = std::mem::replace(&mut self.seen, now);
        if let Some(Err(error)) = self.jumps.as_ref().map(Jumps::arm) {
            log::warn!("cannot listen to changes of the clock any more: {error}");
            self.jumps = None;
        }
        let jump = jump(then, now.1 - before, now.0);
        self.is_borrowed &= jump.is_none() && !wall_clock::is_synchronised();
        if jump.is_some() {
            // The clock was wrong before: the next start must not continue from the earlier record.
            self.keep_unconditionally();
        } else if self.due <= now.1 {
            self.keep();
        }
        jump
    }
}

/// Returns the jump of a clock that said `then` when this time began to pass, and says `now`.
fn jump(then: SystemTime, passed: Duration, now: SystemTime) -> Option<Jump> {
    // If the expected time is out of the clock's range, no jump can be told.
    let expected = then.checked_add(passed)?;
    let jump = match now.duration_since(expected) {
        Ok(ahead) => Jump::Ahead(ahead),
        Err(error) => Jump::Back(error.duration()),
    };
    let (Jump::Ahead(by) | Jump::Back(by)) = jump;
    (by >= SLIGHT).then_some(jump)
}

impl Source for Clock {
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        all.extend(self.jumps.as_ref().map(Jumps::as_fd));
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.due)
    }

    /// Begins handshakes anew after a jump ahead: peers have refused the time before the jump, and may accept
    /// the time after it.
    fn turn(&mut self, turn: Turn) -> Result<Task> {
        let now = (SystemTime::now(), turn.now);
        match self.jump_since_last_look(now) {
            None => {}
            Some(Jump::Ahead(by)) => {
                log::info!("the clock was set ahead by {} s: it is {}", by.as_secs(), utc(now.0));
                turn.kernel.begin_handshakes_anew();
            }
            Some(Jump::Back(by)) => {
                log::info!("the clock was set back by {} s: it is {}", by.as_secs(), utc(now.0));
            }
        }
        Ok(Task::Nothing)
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
        assert_eq!(jump(3600, 4601), None, "a time server makes small corrections");
        assert_eq!(jump(10, 1_800_000_010), Some(Jump::Ahead(Duration::from_secs(1_799_999_000))));
        assert_eq!(jump(10, 0), Some(Jump::Back(Duration::from_secs(1010))));
    }
}
