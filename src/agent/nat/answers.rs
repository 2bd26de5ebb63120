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

/// Seconds that a small router needs to begin and to end a trace.
const BEGINNING: u8 = 10;

/// Time between two looks at a trace that was ended.
const GLANCE: Duration = Duration::from_millis(20);

/// Largest number of reads of output before other work has its turn.
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
    /// Output of the process, until the output has ended.
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
        // It has to draw its picture before it is ended.
        let wait = trace.seconds.min(LONGEST_TIME).saturating_sub(BEGINNING).max(1).to_string();
        command.args(&["trace", "--live", "--wait", &wait, &trace.from.to_string(), &to]);
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::thread::sleep;

    use super::*;
    use crate::base::net::PublicKey;

    fn paris() -> ExchangePeer {
        ExchangePeer {
            id: 2,
            name: "paris".parse().unwrap(),
            key: PublicKey([2; 32]),
            address: "10.77.2.1".parse().unwrap(),
            port: 52075,
            networks: ["10.77.2.0/24".parse().unwrap(), "fd77:2::/64".parse().unwrap()].into(),
        }
    }

    fn trace(id: u8, from: &str, to: &str) -> Trace {
        let to: SocketAddr = to.parse().unwrap();
        Trace { id: [id; 8], from: from.parse().unwrap(), to, is_udp: false, seconds: 20, offset: 0 }
    }

    fn ask(answers: &mut Answers, trace: Trace, now: Instant) -> Traced {
        let answer = answers.answer(&paris(), [9; 8], &Message::Trace(trace), now);
        let Some((Message::Traced(traced), 0)) = answer else { panic!("{answer:?}") };
        assert_eq!(traced.question, [9; 8]);
        traced
    }

    /// Lets time pass until nothing is due any more.
    fn finish(answers: &mut Answers) {
        let until = Instant::now() + Duration::from_mins(2);
        while answers.deadline().is_some() {
            assert!(Instant::now() < until, "{answers:?}");
            answers.turn(Instant::now());
            sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn an_echo_has_the_length_that_it_asks_for() {
        for (asked, length) in [(0, 0), (80, 80), (LONGEST_ECHO, 1252), (u16::MAX, 1252)] {
            let answer = Answers::default().answer(&paris(), [9; 8], &Message::Echo(asked), Instant::now());
            assert_eq!(answer, Some((Message::Echoed([9; 8]), length)));
        }
        let answer = Answers::default().answer(&paris(), [9; 8], &Message::Echoed([1; 8]), Instant::now());
        assert_eq!(answer, None, "an answer is no question");
    }

    #[test]
    fn a_trace_begins_once_and_its_output_is_told_in_pieces() {
        let (mut answers, now) = (Answers { file: "/none.toml".into(), last: None }, Instant::now());
        let question = trace(1, "10.77.2.65", "9.9.9.9:443");
        assert_eq!(ask(&mut answers, question, now).state, TraceState::Runs);
        let pid = |answers: &Answers| answers.last.as_ref()?.child.as_ref().map(Child::pid);
        let first = pid(&answers);
        assert_eq!(ask(&mut answers, question, now).state, TraceState::Runs);
        assert_eq!(ask(&mut answers, trace(2, "10.77.2.65", "9.9.9.9:0"), now).state, TraceState::Busy);
        assert_eq!(pid(&answers), first);
        // The program of the tests complains about its arguments.
        finish(&mut answers);
        let whole = ask(&mut answers, question, now);
        let text = String::from_utf8(whole.bytes.clone()).unwrap();
        assert_eq!((whole.state, usize::from(whole.length)), (TraceState::Done, text.len()));
        assert!(text.contains("config"), "{text}");
        let rest = ask(&mut answers, Trace { offset: 3, ..question }, now);
        assert_eq!(rest.bytes, whole.bytes[3..]);
        assert_eq!(ask(&mut answers, Trace { offset: u16::MAX, ..question }, now).bytes, []);
        // Another question takes its place.
        assert_eq!(ask(&mut answers, trace(2, "10.77.2.65", "9.9.9.9:0"), now).state, TraceState::Runs);
    }

    #[test]
    fn a_trace_ends_after_its_time() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        ask(&mut answers, trace(1, "fd77:2::5", "[2620:fe::fe]:53"), now);
        let due = answers.deadline().unwrap();
        assert_eq!(due, now + Duration::from_secs(20));
        answers.turn(due);
        let question = trace(1, "fd77:2::5", "[2620:fe::fe]:53");
        assert_eq!(ask(&mut answers, question, now).state, TraceState::Done);
        finish(&mut answers);
        let long = Trace { seconds: 255, ..trace(3, "10.77.2.65", "9.9.9.9:0") };
        ask(&mut answers, long, now);
        assert_eq!(answers.deadline(), Some(now + Duration::from_secs(30)));
    }

    #[test]
    fn only_flows_of_the_asking_site_are_traced() {
        let mut answers = Answers::default();
        for (from, to) in [
            ("192.168.1.50", "9.9.9.9:443"),
            ("10.77.1.65", "9.9.9.9:443"),
            ("10.77.2.65", "[2620:fe::fe]:443"),
            ("fd77:1::5", "[2620:fe::fe]:443"),
        ] {
            let traced = ask(&mut answers, trace(1, from, to), Instant::now());
            assert_eq!((traced.state, traced.length), (TraceState::Foreign, 0), "{from} to {to}");
        }
        assert_eq!(answers.deadline(), None);
    }

    #[test]
    fn too_much_output_is_cut_off() {
        let (reader, mut writer) = io::pipe().unwrap();
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let (due, pipe) = (Instant::now(), Some(reader));
        let mut last = LastTrace { id: (2, [1; 8]), text: Vec::new(), child: None, pipe, due };
        for _ in 0..20 {
            io::Write::write_all(&mut writer, &[b'#'; 1024]).unwrap();
            last.read();
        }
        assert_eq!(last.text.len(), usize::from(LONGEST_TRACE));
        drop(writer);
        last.read();
        assert!(last.pipe.is_none());
    }
}
