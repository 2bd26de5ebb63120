//! Log of this process: `simplelog` behind the macros of `log`, with a logger of our own that writes the
//! lines.
//!
//! The log goes to standard error, to systemd's journal behind standard error, to a file of limited size, or
//! to syslog. No writer waits or fails: a line that cannot be written at once is lost, and the agent goes on.

mod file;
mod macros;
mod rate_limit;
mod standard_error;
mod syslog;
mod utc;

use std::io::{IsTerminal as _, Write, stderr};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use log::{Level, LevelFilter, Log, Metadata, Record};
use nix::sys::stat::{SFlag, fstat};
use simplelog::{CombinedLogger, Config, SharedLogger};

use crate::base::error::Error;
use file::LogFile;
pub(crate) use macros::{debug, error, info, warn, write};
pub use rate_limit::RateLimit;
use standard_error::StandardError;
use syslog::Syslog;
pub(crate) use utc::utc;

/// Longest line in bytes: a pipe takes this many as a whole as soon as it takes any (PIPE_BUF, pipe(7)).
const LONGEST_LINE: usize = 4096;

/// Longest text of a line in bytes: the rest is room for the time, the heading and the newline.
const LONGEST_TEXT: usize = LONGEST_LINE - 96;

/// Destination of the lines of the log.
#[derive(Debug, PartialEq, Eq)]
enum Destination {
    /// Standard error, read by a person, a pipe or a file: `warning: …`.
    StandardError,
    /// Standard error, read by systemd's journal: `<4>…` (sd-daemon(3)).
    Journal,
    /// A file of our own: `2026-11-22T16:47:24Z warning: …`.
    File(PathBuf),
    /// The syslog daemon at [`syslog::SOCKET`].
    Syslog,
}

/// Starts the log of this process. A service whose standard error has no reader logs to syslog, unless it has
/// a `file`. Returns the error of a file that cannot be written: its lines are lost until it can be.
pub fn start(level: LevelFilter, file: Option<&Path>, is_service: bool) -> Option<Error> {
    let journal = std::env::var("JOURNAL_STREAM").ok();
    let destination = match file {
        Some(path) => Destination::File(path.to_owned()),
        None => Destination::of(&stderr(), journal.as_deref(), stderr().is_terminal(), is_service),
    };
    let writer = destination.writer();
    // This fails only if the process has a logger already, and it has none.
    let _ = CombinedLogger::init(vec![Box::new(LineLogger::new(level, destination, writer))]);
    let error = file::open(file?).err()?;
    let fault =
        ["cannot write the log ", &file?.to_string_lossy(), ", whose lines are lost until that works"];
    Some(Error::failed(fault.concat()).because(error))
}

impl Destination {
    /// Returns the destination that suits a standard error. `journal` names the device and the inode of the
    /// journal's socket, as systemd writes them into JOURNAL_STREAM (systemd.exec(5)).
    fn of(error: &impl AsFd, journal: Option<&str>, is_terminal: bool, is_service: bool) -> Self {
        let Ok(stat) = fstat(error) else { return Self::StandardError };
        let is_device = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFCHR;
        if journal == Some(format!("{}:{}", stat.st_dev, stat.st_ino).as_str()) {
            Self::Journal
        } else if is_service && is_device && !is_terminal {
            // /dev/null: init gives it to the services that it starts.
            Self::Syslog
        } else {
            Self::StandardError
        }
    }

    fn writer(&self) -> Box<dyn Write + Send> {
        match self {
            Self::StandardError | Self::Journal => Box::new(StandardError),
            Self::File(path) => Box::new(LogFile::at(path)),
            Self::Syslog => Box::new(Syslog),
        }
    }

    /// Words or marks in front of a text, which tell its level to the readers of this destination.
    fn heading(&self, level: Level) -> String {
        match (self, level) {
            (Self::Journal, _) => format!("<{}>", priority(level)),
            (Self::Syslog, _) => syslog::heading(priority(level)),
            (_, Level::Error) => "error: ".to_owned(),
            (_, Level::Warn) => "warning: ".to_owned(),
            _ => String::new(),
        }
    }

    /// Returns the time for the beginning of a line. Only a file needs it: the journal and syslog add it to
    /// each line, and a person at a terminal sees it pass.
    fn time(&self) -> String {
        if matches!(self, Self::File(_)) { utc(SystemTime::now()) + " " } else { String::new() }
    }
}

/// Severity of a level in syslog's numbers (syslog(3)).
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// Logger that writes each line of a message with a heading for its destination. Readers of logs take one
/// line at a time.
struct LineLogger {
    level: LevelFilter,
    destination: Destination,
    output: Mutex<Box<dyn Write + Send>>,
}

impl LineLogger {
    fn new(level: LevelFilter, destination: Destination, writer: Box<dyn Write + Send>) -> Self {
        Self { level, destination, output: Mutex::new(writer) }
    }
}

impl Log for LineLogger {
    /// Reports whether a message is logged. Libraries do not log: their messages may hold keys.
    fn enabled(&self, metadata: &Metadata) -> bool {
        let is_ours = ["portals", "wg_portals"].iter().any(|own| metadata.target().starts_with(own));
        is_ours && metadata.level() <= self.level
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let begin = self.destination.time() + &self.destination.heading(record.level());
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        for line in record.args().to_string().lines() {
            let text = &line[..line.floor_char_boundary(LONGEST_TEXT)];
            // One write for each line: lines of several processes do not mix. A writer loses what it cannot
            // write.
            let _ = output.write_all(format!("{begin}{text}\n").as_bytes());
        }
    }

    fn flush(&self) {
        // No writer keeps anything back.
    }
}

impl SharedLogger for LineLogger {
    fn level(&self) -> LevelFilter {
        self.level
    }

    fn config(&self) -> Option<&Config> {
        None
    }

    fn as_log(self: Box<Self>) -> Box<dyn Log> {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{self, Read as _};
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn standard_error_tells_where_the_log_goes() {
        let null: OwnedFd = File::options().write(true).open("/dev/null").unwrap().into();
        let pipe: OwnedFd = io::pipe().unwrap().1.into();
        let of = |error: &OwnedFd, journal, is_terminal, is_service| {
            Destination::of(error, journal, is_terminal, is_service)
        };
        let stat = fstat(&pipe).unwrap();
        let journal = format!("{}:{}", stat.st_dev, stat.st_ino);
        let journal = journal.as_str();
        assert_eq!(of(&pipe, Some(journal), false, true), Destination::Journal);
        assert_eq!(of(&pipe, Some(journal), false, false), Destination::Journal);
        assert_eq!(
            of(&pipe, Some("1:2"), false, true),
            Destination::StandardError,
            "it was redirected since"
        );
        assert_eq!(of(&pipe, None, false, true), Destination::StandardError);
        assert_eq!(of(&null, None, false, true), Destination::Syslog);
        assert_eq!(
            of(&null, None, false, false),
            Destination::StandardError,
            "a command whose errors are discarded"
        );
        assert_eq!(of(&null, None, true, true), Destination::StandardError, "a terminal");
    }

    /// Lines that a destination gets for a message of the agent, and for one of a library.
    fn logged(destination: Destination, level: Level, message: &str) -> String {
        let (mut reader, writer) = io::pipe().unwrap();
        let logger = LineLogger::new(LevelFilter::Info, destination, Box::new(writer));
        for (target, message) in [("wg_portals::agent", message), ("defguard_boringtun::device", "a secret")]
        {
            logger
                .log(&Record::builder().level(level).target(target).args(format_args!("{message}")).build());
        }
        drop(logger);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn each_line_of_our_own_messages_is_headed_for_its_destination() {
        let message = "no route\nto paris";
        let at_terminal = |level| logged(Destination::StandardError, level, message);
        assert_eq!(at_terminal(Level::Error), "error: no route\nerror: to paris\n");
        assert_eq!(at_terminal(Level::Warn), "warning: no route\nwarning: to paris\n");
        assert_eq!(at_terminal(Level::Info), "no route\nto paris\n");
        assert_eq!(at_terminal(Level::Debug), "", "too verbose");
        assert_eq!(logged(Destination::Journal, Level::Warn, message), "<4>no route\n<4>to paris\n");
        let id = std::process::id();
        let expected = format!("<27>portals[{id}]: no route\n<27>portals[{id}]: to paris\n");
        assert_eq!(logged(Destination::Syslog, Level::Error, message), expected);
    }

    #[test]
    fn lines_of_a_file_begin_with_the_time() {
        let text = logged(Destination::File(PathBuf::new()), Level::Warn, "no route\nto paris");
        let headed = |(line, words): (&str, &str)| line.as_bytes()[19] == b'Z' && line[20..] == *words;
        let expected = [" warning: no route", " warning: to paris"];
        assert!(text.lines().zip(expected).all(headed) && text.lines().count() == 2, "{text}");
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_between_characters() {
        let text = logged(Destination::StandardError, Level::Info, &"ä".repeat(LONGEST_LINE));
        assert_eq!(text, format!("{}\n", "ä".repeat(LONGEST_TEXT / 2)));
    }
}
