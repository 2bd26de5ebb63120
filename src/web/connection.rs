//! Connection of a browser: one request, one answer, and the end. Each step has a time, whatever the browser
//! does: a browser that sends or reads drop by drop has no more of it.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::PollFlags;
use nix::sys::socket::{Shutdown, shutdown};

use super::request::{LONGEST_BODY, LONGEST_HEAD};
use crate::base::moment::after;

/// Time for the request. Browsers open connections ahead, and say nothing on them.
pub(super) const ASKING: Duration = Duration::from_secs(5);

/// Time for the answer, which may be some hundred kilobytes.
const READING: Duration = Duration::from_secs(15);

/// Time for the browser to end the connection. Otherwise the kernel would tell the browser of a reset, and
/// the browser would lose the end of the answer.
const ENDING: Duration = Duration::from_secs(1);

/// Connection of a browser.
#[derive(Debug)]
pub(super) struct Connection {
    /// Socket, as a file: read(2) and write(2) are the only calls for it that this process has left.
    stream: File,
    /// Number of the page.
    pub(super) door: usize,
    /// Address of the browser.
    pub(super) browser: Ipv4Addr,
    /// End of the time for the present step.
    pub(super) until: Instant,
    step: Step,
}

/// Step of a connection.
#[derive(Debug)]
enum Step {
    /// The browser asks: the bytes so far.
    Asks(Vec<u8>),
    /// The browser reads: the answer, and the number of bytes that it has got.
    Reads(Vec<u8>, usize),
    /// The browser ends the connection.
    Ends,
}

/// Outcome of a turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The connection goes on.
    GoesOn,
    /// Bytes have come: they may be a request now.
    HasNews,
    /// The connection has ended.
    HasEnded,
}

impl Connection {
    /// Begins with a browser that has just connected.
    pub(super) fn new(stream: TcpStream, door: usize, browser: Ipv4Addr, now: Instant) -> io::Result<Self> {
        fcntl(&stream, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let stream = OwnedFd::from(stream).into();
        Ok(Self { stream, door, browser, until: after(now, ASKING), step: Step::Asks(Vec::new()) })
    }

    /// Returns the events to wait for.
    pub(super) fn events(&self) -> PollFlags {
        if matches!(self.step, Step::Reads(..)) { PollFlags::POLLOUT } else { PollFlags::POLLIN }
    }

    /// Returns the bytes that the browser has sent; empty once it has its answer.
    pub(super) fn received(&self) -> &[u8] {
        if let Step::Asks(received) = &self.step { received } else { &[] }
    }

    /// Reads or writes as much as goes without waiting.
    pub(super) fn turn(&mut self, now: Instant) -> Outcome {
        match self.work(now) {
            Ok(outcome) => outcome,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Outcome::GoesOn
            }
            Err(_) => Outcome::HasEnded,
        }
    }

    fn work(&mut self, now: Instant) -> io::Result<Outcome> {
        let mut piece = [0; 1024];
        match &mut self.step {
            Step::Asks(received) => {
                let length = self.stream.read(&mut piece)?;
                received.extend_from_slice(&piece[..length]);
                // Longer ones are refused when they are parsed.
                let is_over = length == 0 || received.len() > LONGEST_HEAD + LONGEST_BODY + piece.len();
                Ok(if is_over { Outcome::HasEnded } else { Outcome::HasNews })
            }
            Step::Reads(answer, sent) => {
                *sent += self.stream.write(&answer[*sent..])?;
                if *sent == answer.len() {
                    shutdown(self.stream.as_raw_fd(), Shutdown::Write)?;
                    (self.step, self.until) = (Step::Ends, after(now, ENDING));
                }
                Ok(Outcome::GoesOn)
            }
            Step::Ends => {
                let length = self.stream.read(&mut piece)?;
                Ok(if length == 0 { Outcome::HasEnded } else { Outcome::GoesOn })
            }
        }
    }

    /// Begins with the answer.
    pub(super) fn answer(&mut self, answer: Vec<u8>, now: Instant) {
        (self.step, self.until) = (Step::Reads(answer, 0), after(now, READING));
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
