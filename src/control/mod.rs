//! The agent's control socket: how other calls of this program ask it for something, and hear what came of it.
//!
//! A question and its answer are fields with a zero between them, each closed by the end of the stream.

pub(crate) mod question;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;

use crate::base::error::{Context as _, Error, Errors, Result};
use crate::system::logging::Seldom;
pub use question::{Done, Knowledge, Known, Question};
use question::{decode_answer, encode_answer};

/// Where the agent listens.
pub const SOCKET: &str = "/run/portals.sock";

/// How long the agent may take for an answer. It may be at something else when it is asked; each may have to wait ten
/// seconds for another call to finish.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long an agent may take from its lock to its socket, when it starts.
const START: Duration = Duration::from_secs(1);

/// How long a visitor may take to say what he wants, or to take his answer.
const HEARING: Duration = Duration::from_secs(1);

/// Bytes of a question: a path is 4096 at most.
const LONGEST_QUESTION: usize = 8192;

/// So many may be heard at once. When another one comes in, the one who is there longest has to leave: who says what he wants at
/// once is always heard.
const ROOM: usize = 8;

/// The answer to what is no question.
const STRANGE: &str =
    "the agent does not know what that means: it is of another version; end it, and start it again";

/// The fields of what the agent says to a question, or why it could not do it.
pub type Answer = Result<Vec<String>, Errors>;

/// Asks the agent of this machine, and waits for its answer: up to a minute.
pub fn ask(question: &Question) -> Answer {
    ask_within(question, PATIENCE)
}

/// Asks the agent of this machine, and waits for its answer for so long.
pub fn ask_within(question: &Question, patience: Duration) -> Answer {
    let stream =
        connect(Path::new(SOCKET)).doing(|| format!("an agent runs, but does not answer at {SOCKET}"))?;
    match exchange(stream, &question.encode(), patience) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(Error::failed(format!(
            "the agent has not answered for {} seconds, and may still be at it: its log and `portals plan --check` tell when it is done",
            patience.as_secs()
        ))
        .into()),
        answer => decode_answer(&answer.doing(|| "cannot ask the agent".to_owned())?),
    }
}

fn broken_off() -> Error {
    Error::failed(
        "the agent broke off its answer: did it end? `portals plan --check` tells what is left to do",
    )
}

/// An agent that has just begun may not listen yet.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let until = Instant::now() + START;
    loop {
        match UnixStream::connect(path) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
                    && Instant::now() < until =>
            {
                sleep(Duration::from_millis(20));
            }
            result => return result,
        }
    }
}

fn exchange(mut stream: UnixStream, question: &[u8], patience: Duration) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(question)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// The agent's end: where visitors come in.
#[derive(Debug)]
pub struct Reception {
    path: PathBuf,
    listener: UnixListener,
    /// Those who have not said all yet, in the order in which they came.
    visitors: VecDeque<Visitor>,
    /// Until when nobody is let in, since the last one could not be.
    closed_until: Option<Instant>,
    /// About visitors.
    complaints: Seldom,
}

/// Somebody who has come in.
#[derive(Debug)]
struct Visitor {
    stream: UnixStream,
    said: Vec<u8>,
    until: Instant,
}

impl Reception {
    /// Opens it at [`SOCKET`]. The caller is the one agent of this machine: a socket that is there is a dead one's.
    pub fn open() -> Result<Self> {
        Self::at(Path::new(SOCKET))
    }

    fn at(path: &Path) -> Result<Self> {
        // If there is none, all the better.
        let _ = fs::remove_file(path);
        let listen = || {
            let listener = UnixListener::bind(path)?;
            fs::set_permissions(path, Permissions::from_mode(0o600))?;
            listener.set_nonblocking(true)?;
            Ok::<_, io::Error>(listener)
        };
        let listener = listen().doing(|| format!("cannot listen at {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            listener,
            visitors: VecDeque::new(),
            closed_until: None,
            complaints: Seldom::default(),
        })
    }

    /// Readable when there is something to [`hear`](Self::hear).
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let door = self.closed_until.is_none().then(|| self.listener.as_fd());
        door.into_iter().chain(self.visitors.iter().map(|visitor| visitor.stream.as_fd()))
    }

    /// When to [`hear`](Self::hear) again though nothing may have come: to show a visitor out, or to let others in again.
    pub fn deadline(&self) -> Option<Instant> {
        let longest = self.visitors.front().map(|visitor| visitor.until);
        longest.into_iter().chain(self.closed_until).min()
    }

    /// Lets in one who waits, and takes what all have said so far: never waits. A question, and who asks it, once it is whole.
    pub fn hear(&mut self) -> Option<(Question, Asker)> {
        if let Some(visitor) = self.admit() {
            if self.visitors.len() == ROOM {
                self.visitors.pop_front();
            }
            self.visitors.push_back(visitor);
        }
        let (now, mut asked) = (Instant::now(), None);
        for mut visitor in std::mem::take(&mut self.visitors) {
            // The others wait until this one has his answer.
            if asked.is_some() {
                self.visitors.push_back(visitor);
                continue;
            }
            match visitor.listen() {
                Ok(true) => match Question::decode(&visitor.said) {
                    Some(question) => asked = Some((question, Asker(visitor.stream))),
                    None => self.tell(Asker(visitor.stream), &Err(Error::failed(STRANGE).into())),
                },
                Ok(false) if now < visitor.until => self.visitors.push_back(visitor),
                Ok(false) => self.complain("somebody came and asked nothing"),
                Err(error) => self.complain(&format!("cannot hear what is asked: {error}")),
            }
        }
        asked
    }

    /// Tells who has asked, if he is still there and takes it soon.
    pub fn tell(&mut self, asker: Asker, answer: &Answer) {
        if let Err(error) = asker.write(encode_answer(answer).as_bytes()) {
            self.complain(&format!("cannot answer whoever asked: {error}"));
        }
    }

    fn complain(&mut self, what: &str) {
        if let Some(message) = self.complaints.say(format!("{}: {what}", self.path.display()), Instant::now())
        {
            log::warn!("{message}");
        }
    }

    /// The next one who is root, or who we are.
    fn admit(&mut self) -> Option<Visitor> {
        if self.closed_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        self.closed_until = None;
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted
                ) =>
            {
                return None;
            }
            // He would stand at the door, and wake us at once again.
            Err(error) => {
                self.complain(&format!("cannot let anybody in: {error}"));
                self.closed_until = Some(Instant::now() + HEARING);
                return None;
            }
        };
        let user = getsockopt(&stream, PeerCredentials).ok()?.uid();
        stream.set_nonblocking(true).ok()?;
        let is_known = user == 0 || user == geteuid().as_raw();
        is_known.then(|| Visitor { stream, said: Vec::new(), until: Instant::now() + HEARING })
    }
}

impl Drop for Reception {
    fn drop(&mut self) {
        // If it is gone already, all the better.
        let _ = fs::remove_file(&self.path);
    }
}

impl Visitor {
    /// Takes what has come; whether that was all.
    fn listen(&mut self) -> io::Result<bool> {
        let mut piece = [0; 1024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return Ok(true),
                Ok(length) => self.said.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.said.len() > LONGEST_QUESTION {
                return Err(ErrorKind::InvalidInput.into());
            }
        }
    }
}

/// Who waits for an answer.
#[derive(Debug)]
pub struct Asker(UnixStream);

impl Asker {
    /// Nearly every answer fits into the socket. Who takes a long one by the byte gets no more time for it.
    fn write(mut self, mut bytes: &[u8]) -> io::Result<()> {
        let until = Instant::now() + HEARING;
        while !bytes.is_empty() {
            match self.0.write(bytes) {
                Ok(length) => bytes = &bytes[length..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => wait_for_room(&self.0, until)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn wait_for_room(stream: &UnixStream, until: Instant) -> io::Result<()> {
    let left = until.saturating_duration_since(Instant::now());
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)], timeout)? {
        0 => Err(ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}
