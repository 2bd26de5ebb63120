//! Answers to questions of commands at linked sites: echoes, and traces of their flows.
//!
//! The asking site has the key of the pair and the address in the tunnel. A copy of a question does no harm:
//! its answer goes the same way as before; an echo leaves no trace here, and a trace only watches, ends soon,
//! and is one of one at a time. The flow must come from a network of the asking site: no site can learn who
//! of another home talks to whom.

use std::io::{self, ErrorKind, PipeReader, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::base::moment::{after, is_due};
use crate::base::net::Family;
use crate::nat::packet::{LONGEST_ECHO, LONGEST_TRACE, Message, Number, Trace, TraceState, Traced};
use crate::site::ExchangePeer;
use crate::system::child::{Child, THIS_PROGRAM};
use crate::system::command::Command;
use crate::system::logging as log;

/// Longest time of a trace.
const LONGEST_TIME: u8 = 30;

/// Time between two looks at a trace that was ended.
const GLANCE: Duration = Duration::from_millis(20);

/// Most reads of output before other work has its turn.
const AT_ONCE: usize = 64;

/// Answers to questions of linked sites.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Network file of this site.
    pub(super) file: PathBuf,
    last: Option<LastTrace>,
}

/// Last trace.
#[derive(Debug)]
struct LastTrace {
    /// Number of the trace, and id of the site that has asked for it.
    id: (u8, Number),
    text: Vec<u8>,
    /// Process, until it was waited for.
    child: Option<Child>,
    /// Its output, until it has ended.
    pipe: Option<PipeReader>,
    /// Time at which it is ended, or of the next look at its end.
    due: Instant,
}

impl Answers {
    /// Returns the answer to a question of a linked site, and the length of its packet in bytes; `None` if
    /// there is none.
    pub(super) fn answer(
        &mut self,
        peer: &ExchangePeer,
        question: Number,
        message: &Message,
        now: Instant,
    ) -> Option<(Message, usize)> {
        match message {
            Message::Echo(length) => Some((Message::Echoed(question), (*length).min(LONGEST_ECHO).into())),
            Message::Trace(trace) => {
                let state = self.state_of(peer, trace, now);
                let (mut length, mut bytes) = (0, Vec::new());
                if let TraceState::Runs | TraceState::Done = state
                    && let Some(last) = &self.last
                {
                    length = u16::try_from(last.text.len()).unwrap_or(LONGEST_TRACE);
                    let rest = last.text.get(trace.offset.into()..).unwrap_or_default();
                    bytes.extend(rest.iter().take(Traced::MOST));
                }
                Some((Message::Traced(Traced { question, state, length, bytes }), 0))
            }
            _ => None,
        }
    }

    /// Returns the state of a trace, which is begun if it is a new one.
    fn state_of(&mut self, peer: &ExchangePeer, trace: &Trace, now: Instant) -> TraceState {
        let id = (peer.id, trace.id);
        if let Some(last) = &self.last {
            let runs = last.pipe.is_some();
            if last.id == id {
                return if runs { TraceState::Runs } else { TraceState::Done };
            }
            if runs || last.child.is_some() {
                return TraceState::Busy;
            }
        }
        let is_theirs = peer.networks.iter().any(|network| network.contains(trace.from));
        if !is_theirs || Family::of(trace.from) != Family::of(trace.to.ip()) {
            return TraceState::Foreign;
        }
        match self.begin(trace) {
            Ok((child, pipe)) => {
                let due = after(now, Duration::from_secs(trace.seconds.min(LONGEST_TIME).into()));
                let (child, pipe) = (Some(child), Some(pipe));
                self.last = Some(LastTrace { id, text: Vec::new(), child, pipe, due });
                TraceState::Runs
            }
            Err(error) => {
                log::warn!("cannot trace for another site: {error}");
                TraceState::Failed
            }
        }
    }

    /// Starts a trace. All of its arguments are numbers of the question, written here.
    fn begin(&self, trace: &Trace) -> io::Result<(Child, PipeReader)> {
        let (reader, writer) = io::pipe()?;
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let to = match trace.to.port() {
            0 => trace.to.ip().to_string(),
            _ => trace.to.to_string(),
        };
        let mut command = Command::new(THIS_PROGRAM);
        command.arg0(c"portals").arg("--config").arg(&self.file);
        command.args(&["trace", "--live", &trace.from.to_string(), &to]);
        if trace.is_udp {
            command.arg("--udp");
        }
        command.in_own_group().stdout(writer.as_fd()).stderr(writer.as_fd());
        Ok((command.spawn()?, reader))
    }

    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.last.as_ref()?.pipe.as_ref()?.as_fd())
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let last = self.last.as_ref()?;
        last.child.as_ref().map(|_| last.due)
    }

    /// Reads the output of a trace, and ends one that has taken its time. Never waits.
    pub(super) fn turn(&mut self, now: Instant) {
        let Some(last) = &mut self.last else { return };
        last.read();
        let Some(child) = &mut last.child else { return };
        if last.pipe.is_some() && !is_due(Some(last.due), now) {
            return;
        }
        // Its rules go with it.
        let _ = child.kill();
        last.pipe = None;
        last.due = after(now, GLANCE);
        if !matches!(child.try_wait(), Ok(None)) {
            last.child = None;
        }
    }
}

impl LastTrace {
    /// Reads the output so far. What is too much is lost.
    fn read(&mut self) {
        let mut piece = [0; 1024];
        for _ in 0..AT_ONCE {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut piece) {
                Ok(length @ 1..) => {
                    let room = usize::from(LONGEST_TRACE) - self.text.len();
                    self.text.extend(&piece[..length.min(room)]);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                _ => self.pipe = None,
            }
        }
    }
}

impl Drop for LastTrace {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill().and_then(|()| child.wait());
        }
    }
}
