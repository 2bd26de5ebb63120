//! The agent: apply, then stay, watch and repair. One loop around `poll`; it wakes up only if something happened or is due.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::apply;
use crate::describe::count;
use crate::error::{Context as _, Error, Errors, Result};
use crate::journal::{Journal, Lock};
use crate::kernel::linux::Linux;
use crate::kernel::news::News;
use crate::load::{Files, resolve};
use crate::plan::plan;

/// Others change things in bursts; a repair waits until they have been quiet for so long …
const QUIET: Duration = Duration::from_millis(50);

/// … but no longer than this after the first news.
const PATIENCE: Duration = Duration::from_millis(400);

/// After an attempt that failed: the first wait, doubled each time up to the longest.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// The agent of this machine.
pub struct Agent {
    file: PathBuf,
    files: Files,
    resolved: BTreeMap<String, IpAddr>,
    kernel: Linux,
    journal: Journal,
    news: News,
    signals: SignalFd,
    retry: Option<Retry>,
    _place: Lock,
}

/// Another attempt that is due.
struct Retry {
    at: Instant,
    wait: Duration,
    cause: Cause,
}

/// Why another attempt is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// All is well but for host names that did not resolve.
    MissingNames,
    /// The last attempt failed.
    Failure,
}

/// Why the loop woke up.
enum Event {
    Reload,
    End,
    News,
    Due,
}

impl Agent {
    /// Takes the agent's place on this machine and makes it match the file once.
    pub fn start(file: &Path) -> Result<Self, Errors> {
        // First of all, while there is one thread: those of the resolver must not be the ones that a signal ends.
        let signals = signals()?;
        let journal = Journal::open()?;
        let place = journal
            .lock_agent()?
            .ok_or_else(|| Error::failed("an agent (`portals run`) is at work on this machine already"))?;
        let files = Files::read(file)?;
        let resolved = resolve(files.names()?);
        let mut agent = Self {
            file: file.to_owned(),
            files,
            resolved,
            kernel: Linux::open()?,
            journal,
            // Listening begins before the first look, so that nothing is missed in between.
            news: News::open()?,
            signals,
            retry: None,
            _place: place,
        };
        let is_complete = agent.make_it_so()?;
        agent.retry = (!is_complete).then(|| Retry {
            at: Instant::now() + RETRY,
            wait: RETRY,
            cause: Cause::MissingNames,
        });
        agent.say_ready();
        Ok(agent)
    }

    /// Watches and repairs until SIGTERM or SIGINT.
    pub fn stay(&mut self) -> Result<()> {
        loop {
            match self.wait()? {
                Event::End => return Ok(()),
                Event::Reload => self.reload(),
                Event::News => {
                    self.let_it_calm_down()?;
                    // An attempt that fails makes news itself; the next one comes when it is due.
                    if self.retry.as_ref().is_none_or(|retry| retry.cause != Cause::Failure) {
                        self.attempt();
                    }
                }
                Event::Due => {
                    let missing = self.files.names().unwrap_or_default();
                    self.resolved.extend(resolve(
                        missing.into_iter().filter(|name| !self.resolved.contains_key(*name)),
                    ));
                    self.attempt();
                }
            }
        }
    }

    /// Takes everything of ours away again.
    pub fn remove_all(&mut self) -> Result<()> {
        let _lock = self.lock()?;
        let steps = apply::remove_all(&mut self.kernel, &self.journal)?;
        log::info!("removed everything: {}", count(steps.len(), "change"));
        Ok(())
    }

    /// Reads the files again. If they are wrong, what stands goes on.
    fn reload(&mut self) {
        match Files::read(&self.file) {
            Ok(files) => {
                log::info!("reloading {}", self.file.display());
                self.files = files;
                self.resolved = resolve(self.files.names().unwrap_or_default());
                self.attempt();
            }
            Err(errors) => {
                for error in &errors {
                    log::error!("{error}");
                }
                log::error!("the network file was not reloaded; what stood before goes on");
            }
        }
    }

    /// Makes the machine match, and sees to it that a failure is tried again.
    fn attempt(&mut self) {
        let cause = match self.make_it_so() {
            Ok(true) => None,
            Ok(false) => Some(Cause::MissingNames),
            Err(errors) => {
                for error in &errors {
                    log::error!("{error}");
                }
                Some(Cause::Failure)
            }
        };
        let wait = self.next_wait();
        self.retry = cause.map(|cause| Retry { at: Instant::now() + wait, wait, cause });
    }

    fn next_wait(&self) -> Duration {
        self.retry.as_ref().map_or(RETRY, |retry| (retry.wait * 2).min(LONGEST_RETRY))
    }

    /// Makes the machine match the file as the host is now. `false` if names are still missing.
    fn make_it_so(&mut self) -> Result<bool, Errors> {
        // Forgotten before looking, not after: what others change meanwhile wakes us again. So does what we change
        // ourselves; then a second look finds nothing to do.
        self.news.forget();
        let site = self.files.site(&mut self.kernel, &self.resolved)?;
        let _lock = self.lock()?;
        let steps = apply::apply(&mut self.kernel, &self.journal, &plan(&site))?;
        if !steps.is_empty() {
            for note in &site.notes {
                log::warn!("{note}");
            }
            log::info!("done: {}", count(steps.len(), "change"));
        }
        Ok(self.files.names()?.into_iter().all(|name| self.resolved.contains_key(name)))
    }

    fn lock(&self) -> Result<Lock> {
        self.journal.lock(|| log::warn!("another portals is changing this machine; waiting for it"))
    }

    fn wait(&mut self) -> Result<Event> {
        let timeout = self.retry.as_ref().map(|retry| retry.at.saturating_duration_since(Instant::now()));
        let (signalled, news) = self.poll(timeout)?;
        if signalled && let Some(event) = self.signal()? {
            return Ok(event);
        }
        Ok(if news { Event::News } else { Event::Due })
    }

    /// Waits until nothing has come in for a while: a firmware's burst is met once.
    fn let_it_calm_down(&mut self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            self.news.forget();
            let (signalled, news) = self.poll(Some(QUIET))?;
            if signalled || !news || Instant::now() >= end {
                return Ok(());
            }
        }
    }

    /// Whether there are a signal, and news. Both are false when the time is up.
    fn poll(&self, timeout: Option<Duration>) -> Result<(bool, bool)> {
        let [routing, firewall] = self.news.descriptors();
        let mut sources =
            [self.signals.as_fd(), routing, firewall].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        // Rounded up, or a timer that is due in half a millisecond would keep us turning.
        let timeout = match timeout {
            None => PollTimeout::NONE,
            Some(time) => PollTimeout::try_from(time.as_millis() + 1).unwrap_or(PollTimeout::MAX),
        };
        match poll(&mut sources, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).doing(|| "cannot wait for events".to_owned()),
        }
        let [signals, routing, firewall] = sources.map(|source| source.any().unwrap_or(false));
        Ok((signals, routing || firewall))
    }

    fn signal(&mut self) -> Result<Option<Event>> {
        let signal = self.signals.read_signal().doing(|| "cannot read a signal".to_owned())?;
        let number = signal.and_then(|signal| i32::try_from(signal.ssi_signo).ok());
        Ok(match number.and_then(|number| Signal::try_from(number).ok()) {
            Some(Signal::SIGHUP) => Some(Event::Reload),
            Some(_) => Some(Event::End),
            None => None,
        })
    }

    fn say_ready(&self) {
        if self.kernel.runs_tunnels() {
            log::info!(
                "ready, with the built-in WireGuard: portals are closed while this agent does not run"
            );
        } else {
            log::info!("ready");
        }
    }
}

/// SIGHUP, SIGTERM and SIGINT, as something to poll. Called while the process has one thread, so that all later ones inherit
/// the mask.
fn signals() -> Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT] {
        set.add(signal);
    }
    let doing = || "cannot watch for signals".to_owned();
    set.thread_block().doing(doing)?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).doing(doing)
}
