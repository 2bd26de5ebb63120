//! Where the log goes: standard error, the journal behind it, a file that never grows large, or the machine's syslog.
//!
//! Nothing here waits or fails: a line that cannot be written at once is lost, and the agent goes on.

mod file;
mod seldom;
mod syslog;

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use log::{Level, LevelFilter, Log, Metadata, Record};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};

pub use seldom::Seldom;

/// Bytes that a pipe takes as a whole as soon as it takes any (PIPE_BUF, pipe(7)); a longer line is cut.
const LONGEST_LINE: usize = 4096;

/// Where lines go.
#[derive(Debug, PartialEq, Eq)]
enum Sink {
    /// To a person, a pipe or a file: `warning: …`.
    StandardError,
    /// The same, read by systemd's journal: `<4>…` (sd-daemon(3)).
    Journal,
    /// A file of our own.
    File(PathBuf),
    /// [`syslog::SOCKET`].
    Syslog,
}

/// Starts the log of this process. A service whose standard error nobody reads speaks to syslog, if it has no `file`.
pub fn start(level: LevelFilter, file: Option<&Path>, is_service: bool) {
    let journal = std::env::var("JOURNAL_STREAM").ok();
    let sink = match file {
        Some(path) => Sink::File(path.to_owned()),
        None => of(&stderr(), journal.as_deref(), stderr().is_terminal(), is_service),
    };
    // It fails only if a logger was set before, and none was.
    if log::set_boxed_logger(Box::new(sink)).is_ok() {
        log::set_max_level(level);
    }
}

/// Tells by what standard error is: `journal` is the device and inode of the journal's end, as systemd says them.
fn of(error: &impl AsFd, journal: Option<&str>, is_terminal: bool, is_service: bool) -> Sink {
    let Ok(stat) = fstat(error) else { return Sink::StandardError };
    let is_device = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFCHR;
    if journal == Some(format!("{}:{}", stat.st_dev, stat.st_ino).as_str()) {
        Sink::Journal
    } else if is_service && is_device && !is_terminal {
        // /dev/null: where init puts what it starts.
        Sink::Syslog
    } else {
        Sink::StandardError
    }
}

impl Log for Sink {
    /// Libraries are not heard: what they say may hold keys.
    fn enabled(&self, metadata: &Metadata) -> bool {
        let target = metadata.target();
        target == "portals" || target.starts_with("wg_portals")
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // Each line of a text on its own: readers of logs take lines apart.
        for line in record.args().to_string().lines() {
            self.write(record.level(), line);
        }
    }

    fn flush(&self) {}
}

impl Sink {
    fn write(&self, level: Level, line: &str) {
        match self {
            Self::StandardError => say(&format!("{}{line}\n", title(level))),
            Self::Journal => say(&format!("<{}>{line}\n", priority(level))),
            // A full disk, or one that is not there: the next line may find it better.
            Self::File(path) => {
                let line = format!("{} {}{line}\n", utc(SystemTime::now()), title(level));
                let _ = file::append(path, &line, file::LIMIT);
            }
            // As it is while syslogd is started again.
            Self::Syslog => drop(syslog::send(Path::new(syslog::SOCKET), priority(level), line)),
        }
    }
}

/// Writes to standard error what it takes at once.
fn say(line: &str) {
    let mut out = stderr().lock();
    let is_ready = poll(&mut [PollFd::new(out.as_fd(), PollFlags::POLLOUT)], PollTimeout::ZERO);
    if is_ready.is_ok_and(|ready| ready > 0) {
        let bytes = line.as_bytes();
        let _ = out.write_all(&bytes[..bytes.len().min(LONGEST_LINE)]);
    }
}

/// What a line of importance begins with.
fn title(level: Level) -> &'static str {
    match level {
        Level::Error => "error: ",
        Level::Warn => "warning: ",
        _ => "",
    }
}

/// The number that syslog(3) gives it.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// `2026-11-22T16:47:24Z`: the same on every router, whatever it knows of time zones.
pub(crate) fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = date(seconds / 86_400);
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    let mut text = String::new();
    let _ = write!(text, "{year}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{:02}Z", seconds % 60);
    text
}

/// Year, month and day, by the days since 1970-01-01.
fn date(mut days: u64) -> (u64, usize, u64) {
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    #[test]
    fn time_is_told_as_everywhere() {
        let told = |seconds| utc(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(told(0), "1970-01-01T00:00:00Z");
        assert_eq!(told(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(told(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(told(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(told(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(told(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn standard_error_tells_where_the_log_goes() {
        let null = File::options().write(true).open("/dev/null").unwrap();
        let (_, pipe) = std::io::pipe().unwrap();
        let stat = fstat(&pipe).unwrap();
        let journal = format!("{}:{}", stat.st_dev, stat.st_ino);
        assert_eq!(of(&pipe, Some(&journal), false, true), Sink::Journal);
        assert_eq!(of(&pipe, Some(&journal), false, false), Sink::Journal);
        assert_eq!(of(&pipe, Some("1:2"), false, true), Sink::StandardError, "it was redirected since");
        assert_eq!(of(&pipe, None, false, true), Sink::StandardError);
        assert_eq!(of(&null, None, false, true), Sink::Syslog);
        assert_eq!(of(&null, None, false, false), Sink::StandardError, "a command, told to be quiet");
        assert_eq!(of(&null, None, true, true), Sink::StandardError, "a terminal");
    }

    #[test]
    fn only_our_own_words_are_written() {
        let metadata = |target| Metadata::builder().level(Level::Error).target(target).build();
        assert!(Sink::Journal.enabled(&metadata("wg_portals::agent")));
        assert!(!Sink::Journal.enabled(&metadata("defguard_boringtun::device")));
    }
}
