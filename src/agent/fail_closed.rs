//! Failing closed: if the agent cannot start, the portals of the last readable network file stay closed until
//! a start succeeds.

use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::Signal;

use super::signals::Signals;
use super::{Agent, log_all};
use crate::base::error::{Error, ErrorKind, Errors, Result};
use crate::base::moment::after;
use crate::base::path::folder_of;
use crate::engine::close_portals;
use crate::engine::commit_confirmed::CommitConfirmed;
use crate::engine::journal::Journal;
use crate::system::logging as log;
use crate::system::notify;
use crate::system::wait::wait_for_input;

/// Time until another start although no file has changed: the host may have changed.
const PAUSE: Duration = Duration::from_secs(10);

/// Wait for further changes of files: all changes of a burst count as one.
const BURST: Duration = Duration::from_millis(200);

impl Agent {
    /// Takes the agent's place as [`Self::start`] does. If that fails, closes the portals and tries again
    /// when a file next to the network file changes, on SIGHUP, and every 10 s. Returns `None` if SIGTERM or
    /// SIGINT has come meanwhile.
    ///
    /// # Errors
    /// If another agent runs, or there is no portal to close, or this host cannot run the agent and never
    /// has.
    pub fn start_or_close(file: &Path) -> Result<Option<Self>, Errors> {
        let mut said = Vec::new();
        loop {
            let watch = ReopeningWatch::open(file)?;
            let errors = match Self::start(file) {
                Ok(agent) => return Ok(Some(agent)),
                Err(errors) => errors,
            };
            // A host that has never run the agent stays as it was, and the person who tries it sees the
            // errors.
            let was_in_force = CommitConfirmed::of(file).confirmed().exists();
            if is_taken() || errors.kind() != ErrorKind::Wrong && !was_in_force {
                return Err(errors);
            }
            let Some(closed) = close_portals::close_by_file(file) else { return Err(errors) };
            let words: Vec<String> = errors.iter().map(Error::to_string).collect();
            if words != said {
                log_all(&errors);
                said = words;
                match closed {
                    Ok(copy) => log::error!(
                        "the agent cannot start: the portals of {} are closed until the errors above are \
                         fixed",
                        copy.display()
                    ),
                    Err(errors) => log_all(&errors),
                }
            }
            // The init must not wait any longer: it would end the process that watches for a change.
            notify::tell(notify::READY);
            if !watch.wait()? {
                return Ok(None);
            }
        }
    }
}

/// Reports whether another agent runs.
fn is_taken() -> bool {
    Journal::open().and_then(|journal| journal.has_agent()).unwrap_or(false)
}

/// Watch for a reason to try again.
struct ReopeningWatch {
    signals: Signals,
    /// Changes in the folder of the network file; none if the folder cannot be watched.
    files: Option<Inotify>,
    /// Prefix of the copies' names: the agent itself changes the copies.
    copies: String,
}

impl ReopeningWatch {
    fn open(file: &Path) -> Result<Self> {
        let watch = || -> nix::Result<Inotify> {
            let files = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
            let events =
                AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ATTRIB;
            files.add_watch(&folder_of(file), events)?;
            Ok(files)
        };
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self { signals: Signals::open()?, files: watch().ok(), copies: format!("{name}.") })
    }

    /// Waits, and reports whether to try again; otherwise the process must end.
    fn wait(&self) -> Result<bool> {
        let until = after(Instant::now(), PAUSE);
        loop {
            match self.signals.next()? {
                Some(Signal::SIGTERM | Signal::SIGINT) => return Ok(false),
                Some(Signal::SIGHUP) => return Ok(true),
                Some(_) | None => {}
            }
            if until <= Instant::now() {
                return Ok(true);
            }
            if self.has_changed() {
                wait_for_input(&[self.signals.as_fd()], Some(after(Instant::now(), BURST)))?;
                return Ok(true);
            }
            let mut descriptors = vec![self.signals.as_fd()];
            descriptors.extend(self.files.as_ref().map(|files| files.as_fd()));
            wait_for_input(&descriptors, Some(until))?;
        }
    }

    fn has_changed(&self) -> bool {
        let events = self.files.as_ref().and_then(|files| files.read_events().ok()).unwrap_or_default();
        let is_copy = |name: &str| name.starts_with(&self.copies);
        events.iter().filter_map(|event| event.name.as_ref()).any(|name| !is_copy(&name.to_string_lossy()))
    }
}
