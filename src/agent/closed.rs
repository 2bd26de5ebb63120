//! A start that fails leaves no way open: what entered the portals of the last file that could be read goes nowhere, until a start
//! does not fail.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;

use super::events::{next_signal, signals};
use super::{Agent, log_errors};
use crate::base::error::{Context as _, Error, Errors, Kind, Result};
use crate::base::path::folder_of;
use crate::engine::closing;
use crate::engine::journal::Journal;
use crate::engine::trial::Trial;
use crate::system::notify;

/// Time until a start is tried again though no file has changed: the host may have.
const PAUSE: Duration = Duration::from_secs(10);

/// The longest burst of changes of files.
const BURST: Duration = Duration::from_millis(200);

impl Agent {
    /// Takes the agent's place as [`Self::start`] does. If that fails, closes the portals and tries again when a file beside the network
    /// file changes, on SIGHUP, and now and then; `None` if it was told to end meanwhile.
    ///
    /// # Errors
    /// If there is an agent already, or nothing that could be closed, or this host cannot run it and never has.
    pub fn start_or_close(file: &Path) -> Result<Option<Self>, Errors> {
        let mut said = Vec::new();
        loop {
            let watch = Watch::open(file)?;
            let errors = match Self::start(file) {
                Ok(agent) => return Ok(Some(agent)),
                Err(errors) => errors,
            };
            // A host that has never run any of this is left as it was, and whoever tries it is told.
            let was_in_force = Trial::of(file).confirmed().exists();
            if is_taken() || errors.kind() != Kind::Wrong && !was_in_force {
                return Err(errors);
            }
            let Some(closed) = closing::close_by_file(file) else { return Err(errors) };
            let words: Vec<String> = errors.iter().map(Error::to_string).collect();
            if words != said {
                log_errors::<()>(&Err(errors));
                said = words;
                match closed {
                    Ok(copy) => log::error!(
                        "the agent cannot start: the portals of {} are closed until what is said above is put right",
                        copy.display()
                    ),
                    Err(errors) => log_errors::<()>(&Err(errors)),
                }
            }
            // An init that waits for more would end what keeps watch.
            notify::tell(notify::READY);
            if !watch.wait()? {
                return Ok(None);
            }
        }
    }
}

/// Tells whether another agent is at work.
fn is_taken() -> bool {
    Journal::open().and_then(|journal| journal.has_agent()).unwrap_or(false)
}

/// Waits for a reason to try again.
struct Watch {
    signals: SignalFd,
    /// Changes in the folder of the network file; none where it cannot be watched.
    files: Option<Inotify>,
    /// Prefix of the copies' names: they change by our own hand.
    copies: String,
}

impl Watch {
    fn open(file: &Path) -> Result<Self> {
        let watch = || -> nix::Result<Inotify> {
            let files = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
            let events =
                AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ATTRIB;
            files.add_watch(&folder_of(file), events)?;
            Ok(files)
        };
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self { signals: signals()?, files: watch().ok(), copies: format!("{name}.") })
    }

    /// Waits, and tells whether to try again; else it is to end.
    fn wait(&self) -> Result<bool> {
        let until = Instant::now() + PAUSE;
        loop {
            match next_signal(&self.signals)? {
                Some(Signal::SIGTERM | Signal::SIGINT) => return Ok(false),
                Some(Signal::SIGHUP) => return Ok(true),
                Some(_) | None => {}
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(true);
            }
            if self.has_changed() {
                // All of a burst is one change.
                self.poll(BURST, false)?;
                return Ok(true);
            }
            self.poll(left, true)?;
        }
    }

    fn has_changed(&self) -> bool {
        let events = self.files.as_ref().and_then(|files| files.read_events().ok()).unwrap_or_default();
        let is_copy = |name: &str| name.starts_with(&self.copies);
        events.iter().filter_map(|event| event.name.as_ref()).any(|name| !is_copy(&name.to_string_lossy()))
    }

    fn poll(&self, time: Duration, files: bool) -> Result<()> {
        let files = self.files.as_ref().filter(|_| files).map(|files| files.as_fd());
        let sources: Vec<BorrowedFd> = [self.signals.as_fd()].into_iter().chain(files).collect();
        let mut sources: Vec<PollFd> =
            sources.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut sources, PollTimeout::try_from(time.as_millis() + 1).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno).doing(|| "cannot wait for a file to change".to_owned()),
        }
    }
}
