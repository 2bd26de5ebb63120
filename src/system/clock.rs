//! The time of day, as far as this machine knows it. Routers without a battery begin in 1970, and a WireGuard
//! peer refuses a handshake that is older than the last handshake with the same key: it could be a replay.
//!
//! Therefore the last known time is kept next to the network file, as `network.toml.clock`.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::base::error::{Context as _, Result};
use crate::system::disk::{self, FileOrigin};
use crate::system::logging as log;
use crate::system::logging::utc;
use crate::system::wall_clock;

/// Time since 1970 at which this program was written. A clock that shows an earlier time is wrong.
const WRITTEN: Duration = Duration::from_hours(495_816); // 2026-07-25

/// Tolerance for a clock that is behind the last known time: peers refuse its handshakes for no longer than
/// this.
const LITTLE: Duration = Duration::from_secs(10);

/// File with the last time that was known on this machine.
#[derive(Debug)]
pub struct LastKnown {
    path: PathBuf,
}

/// Judgement of a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// The clock may be right.
    Plausible,
    /// The clock is behind this time, which it has shown already.
    BehindItself(SystemTime),
    /// The clock is wrong: it shows a time before this program was written.
    Unset,
}

impl LastKnown {
    /// Returns the last known time of a machine with this network file.
    pub fn next_to(file: &Path) -> Self {
        Self { path: file.with_added_extension("clock") }
    }

    /// Judges the clock of this machine, which shows `now`. A file that cannot be read counts as missing.
    pub fn judge(&self, now: SystemTime) -> Judgement {
        let last = self.read().ok().flatten();
        match last {
            Some(last) if now + LITTLE < last => Judgement::BehindItself(last),
            _ if now < SystemTime::UNIX_EPOCH + WRITTEN => Judgement::Unset,
            _ => Judgement::Plausible,
        }
    }

    /// Sets a clock that is behind the last known time to that time, and logs this; reports whether the clock
    /// was set. The caller is allowed to set the clock, and has begun no handshake yet.
    pub fn go_on(&self) -> bool {
        let now = SystemTime::now();
        let Judgement::BehindItself(last) = self.judge(now) else { return false };
        let last_known = format!("{}, the last known time", utc(last));
        match wall_clock::set(last) {
            Ok(()) => log::warn!("the clock of this machine showed {}; it is set to {last_known}", utc(now)),
            Err(error) => {
                log::warn!("the clock cannot be set to {last_known}: {error}");
                return false;
            }
        }
        true
    }

    /// Writes a time to the file, unless the time cannot be right.
    pub fn keep(&self, time: SystemTime) -> Result<()> {
        let Some(seconds) =
            time.duration_since(SystemTime::UNIX_EPOCH).ok().filter(|since| *since >= WRITTEN)
        else {
            return Ok(());
        };
        let text = format!("{}\n", seconds.as_secs());
        disk::replace(&self.path, text.as_bytes(), 0o600)
            .context(|| format!("cannot keep the time of day in {}", self.path.display()))
    }

    fn read(&self) -> Result<Option<SystemTime>> {
        let text = disk::text_if_there(&self.path, FileOrigin::Ours)?;
        Ok(text.as_deref().and_then(parse))
    }
}

/// Parses the content of the file: seconds since 1970. `None` if the time cannot be right.
fn parse(text: &str) -> Option<SystemTime> {
    let since = Duration::from_secs(text.trim_end().parse().ok()?);
    let time = SystemTime::UNIX_EPOCH.checked_add(since)?;
    (since >= WRITTEN).then_some(time)
}

impl Judgement {
    /// Returns the reason why links may stay down, for a clock that shows `now`; `None` if the clock may be
    /// right.
    pub fn complaint(self, now: SystemTime) -> Option<String> {
        let known = match self {
            Self::Plausible => return None,
            Self::BehindItself(last) => format!("although it has shown {} before", utc(last)),
            Self::Unset => "which cannot be right".to_owned(),
        };
        Some(format!(
            "the clock of this machine shows {}, {known}: other sites refuse its handshakes until it is \
             set, by NTP or `date -s`",
            utc(now)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// Time in August 2026, in seconds since 1970.
    const KNOWN: u64 = 1_786_000_000;

    #[test]
    fn a_clock_is_judged_by_what_it_was_before() {
        let folder = std::env::temp_dir().join(format!("portals-clock-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let last = LastKnown::next_to(&folder.join("network.toml"));
        assert_eq!(last.judge(at(12)), Judgement::Unset);
        assert_eq!(last.judge(at(KNOWN)), Judgement::Plausible);
        last.keep(at(12)).unwrap();
        assert_eq!(last.read().unwrap(), None, "a time that cannot be right is not kept");
        last.keep(at(KNOWN)).unwrap();
        assert_eq!(last.judge(at(KNOWN)), Judgement::Plausible);
        assert_eq!(last.judge(at(KNOWN - 5)), Judgement::Plausible);
        assert_eq!(last.judge(at(KNOWN - 3600)), Judgement::BehindItself(at(KNOWN)));
        assert_eq!(last.judge(at(0)), Judgement::BehindItself(at(KNOWN)));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_text_that_is_not_a_time_is_ignored() {
        for text in ["", "soon", "-1", "12", "99999999999999999999", "18446744073709551615\n"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(parse("1786000000\n"), Some(at(KNOWN)));
    }

    #[test]
    fn a_wrong_clock_is_named() {
        let complaint = |judgement: Judgement| judgement.complaint(at(133));
        assert_eq!(complaint(Judgement::Plausible), None);
        assert_eq!(
            complaint(Judgement::BehindItself(at(KNOWN))).unwrap(),
            "the clock of this machine shows 1970-01-01T00:02:13Z, although it has shown \
             2026-08-06T07:06:40Z before: other sites refuse its handshakes until it is set, by NTP or \
             `date -s`"
        );
        assert!(
            complaint(Judgement::Unset).unwrap().contains("1970-01-01T00:02:13Z, which cannot be right: ")
        );
    }
}
