//! What wakes the agent up: signals, the kernel's news, and whatever else it waits for.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::base::error::{Context as _, Result};
use crate::kernel::news::News;

/// Others change things in bursts; a repair waits until they have been quiet for so long …
const QUIET: Duration = Duration::from_millis(50);

/// … but no longer than this after the first news.
const PATIENCE: Duration = Duration::from_millis(400);

/// Where signals and news come in.
pub(super) struct Events {
    signals: SignalFd,
    news: News,
}

/// What is there to be dealt with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready {
    pub(super) signal: bool,
    pub(super) news: bool,
}

impl Events {
    /// Listens from now on, to the signals of `signals` as well.
    pub(super) fn open(signals: SignalFd) -> Result<Self> {
        Ok(Self { signals, news: News::open()? })
    }

    /// Waits until something is there, here or at one of `others`, or until it is time.
    pub(super) fn wait(&self, others: Vec<BorrowedFd>, due: Option<Instant>) -> Result<Ready> {
        let mut all = vec![self.signals.as_fd()];
        all.extend(self.news.descriptors());
        let of_news = 1..all.len();
        all.extend(others);
        let mut sources: Vec<PollFd> = all.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let left = due.map(|due| due.saturating_duration_since(Instant::now()));
        // Rounded up, or a timer that is due in half a millisecond would keep us turning.
        let timeout = match left {
            None => PollTimeout::NONE,
            Some(time) => PollTimeout::try_from(time.as_millis() + 1).unwrap_or(PollTimeout::MAX),
        };
        match poll(&mut sources, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).doing(|| "cannot wait for events".to_owned()),
        }
        let is_ready = |index: usize| sources[index].any().unwrap_or(false);
        Ok(Ready { signal: is_ready(0), news: of_news.into_iter().any(is_ready) })
    }

    /// Waits until no news has come in for a while: a firmware's burst is met once.
    pub(super) fn calm_down(&mut self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            self.news.forget();
            let ready = self.wait(Vec::new(), Some(Instant::now() + QUIET))?;
            if ready.signal || !ready.news || Instant::now() >= end {
                return Ok(());
            }
        }
    }

    /// Who made the last change that another process made, as far as the kernel tells.
    pub(super) fn take_culprit(&mut self) -> Option<String> {
        self.news.take_culprit()
    }

    /// Forgets the news so far.
    pub(super) fn forget_news(&mut self) {
        self.news.forget();
    }

    /// The next signal, if one is there.
    pub(super) fn signal(&mut self) -> Result<Option<Signal>> {
        next_signal(&self.signals)
    }
}

/// The next signal that has come in there, if one has.
pub(super) fn next_signal(signals: &SignalFd) -> Result<Option<Signal>> {
    let signal = signals.read_signal().doing(|| "cannot read a signal".to_owned())?;
    let number = signal.and_then(|signal| i32::try_from(signal.ssi_signo).ok());
    Ok(number.and_then(|number| Signal::try_from(number).ok()))
}

/// SIGHUP, SIGTERM, SIGINT and SIGCHLD, as something to poll. Called while the process has one thread, so that all later ones
/// inherit the mask.
pub(super) fn signals() -> Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD] {
        set.add(signal);
    }
    let doing = || "cannot watch for signals".to_owned();
    set.thread_block().doing(doing)?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).doing(doing)
}
