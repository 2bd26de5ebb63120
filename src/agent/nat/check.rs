//! Check of a tunnel: echoes through it, until one is answered or a time is over.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::base::moment::{after, is_due};
use crate::kernel::Kernel;
use crate::kernel::echo::EchoPath;
use crate::kernel::sockets::EchoSocket;

/// Time between two echoes.
const PAUSE: Duration = Duration::from_millis(250);

/// Check of a tunnel.
#[derive(Debug)]
pub(super) struct Check {
    /// Socket for echoes; none if the interface or its address does not exist.
    echo: Option<Box<dyn EchoSocket>>,
    /// Time of the next echo.
    next: Instant,
    until: Instant,
}

/// Outcome of a check.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The other end has answered.
    Works,
    /// The other end has not answered in time.
    Silent,
    /// Still open.
    Open,
}

impl Check {
    /// Begins a check, whose first echo is due now.
    pub(super) fn begin(limit: Duration, now: Instant) -> Self {
        Self { echo: None, next: now, until: after(now, limit) }
    }

    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.echo.as_ref().map(|echo| echo.descriptor())
    }

    pub(super) fn deadline(&self) -> Instant {
        self.next.min(self.until)
    }

    /// Takes answers, and sends the echo that is due.
    pub(super) fn turn(&mut self, path: &EchoPath, kernel: &mut dyn Kernel, now: Instant) -> Verdict {
        if self.echo.as_mut().is_some_and(|echo| !echo.answers().is_empty()) {
            return Verdict::Works;
        }
        if is_due(Some(self.until), now) {
            return Verdict::Silent;
        }
        if is_due(Some(self.next), now) {
            self.next = after(now, PAUSE);
            if self.echo.is_none() {
                self.echo = kernel.echo_socket(path).ok();
            }
            // If sending fails, the interface may have been made anew.
            self.echo = self.echo.take().and_then(|mut echo| echo.ask().is_ok().then_some(echo));
        }
        Verdict::Open
    }
}
