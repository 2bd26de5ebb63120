//! The agent's control socket: how other calls of this program ask it for something, and hear what came of it.
//!
//! A question and its answer are fields with a zero between them, each closed by the end of the stream.

#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;

use crate::error::{Context as _, Error, Errors, Kind, Result};

/// Where the agent listens.
pub const SOCKET: &str = "/run/portals.sock";

/// How long the agent may take for an answer. It may be at something else when it is asked; each may have to wait ten
/// seconds for another call to finish.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long an agent may take from its lock to its socket, when it starts.
const START: Duration = Duration::from_secs(1);

/// How long a visitor may take to say what he wants, or to take his answer.
const HEARING: Duration = Duration::from_secs(1);

/// The last field of every answer: one without it was cut short.
const END: &str = "\0end";

/// Bytes of a question: a path is 4096 at most.
const LONGEST_QUESTION: usize = 8192;

/// What the agent can be asked.
#[derive(Debug, PartialEq, Eq)]
pub enum Question {
    /// Read this network file again, and make the machine match it.
    Apply(PathBuf),
}

/// What the agent has done about it.
#[derive(Debug)]
pub struct Done {
    /// How many changes it took.
    pub changes: usize,
    /// What else there is to say about it.
    pub notes: Vec<String>,
}

/// Asks the agent of this machine, and waits for its answer.
pub fn ask(question: &Question) -> Result<Done, Errors> {
    let stream =
        connect(Path::new(SOCKET)).doing(|| format!("an agent runs, but does not answer at {SOCKET}"))?;
    match exchange(stream, &question.encode()) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(Error::failed(format!(
            "the agent has not answered for {} seconds, and may still be at it: its log and `portals plan --check` tell when it is done",
            PATIENCE.as_secs()
        ))
        .into()),
        answer => decode_answer(&answer.doing(|| "cannot ask the agent".to_owned())?),
    }
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

fn exchange(mut stream: UnixStream, question: &[u8]) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(question)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

impl Question {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Apply(file) => [b"apply\0", file.as_os_str().as_bytes()].concat(),
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let file = bytes.strip_prefix(b"apply\0")?;
        Some(Self::Apply(OsStr::from_bytes(file).into()))
    }
}

fn encode_answer(answer: &Result<Done, Errors>) -> String {
    let fields = match answer {
        Ok(Done { changes, notes }) => {
            let mut fields = vec!["done".to_owned(), changes.to_string()];
            fields.extend(notes.iter().cloned());
            fields.join("\0")
        }
        Err(errors) => {
            let errors = errors.iter().map(|error| {
                let word = match error.kind() {
                    Kind::Wrong => "wrong",
                    Kind::Failed => "failed",
                };
                format!("{word}\0{error}")
            });
            errors.collect::<Vec<_>>().join("\0")
        }
    };
    fields + END
}

fn decode_answer(answer: &[u8]) -> Result<Done, Errors> {
    let incomplete = || {
        Error::failed(
            "the agent broke off its answer: did it end? `portals plan --check` tells what is left to do",
        )
    };
    let text = String::from_utf8_lossy(answer);
    let fields: Vec<&str> = text.strip_suffix(END).ok_or_else(incomplete)?.split('\0').collect();
    if let ["done", changes, notes @ ..] = fields.as_slice() {
        let changes = changes.parse().map_err(|_| incomplete())?;
        return Ok(Done { changes, notes: notes.iter().map(|note| (*note).to_owned()).collect() });
    }
    let error = |pair: &[&str]| match *pair {
        ["wrong", text] => Error::wrong(text),
        ["failed", text] => Error::failed(text),
        _ => incomplete(),
    };
    Err(Errors::all(fields.chunks(2).map(error).collect()))
}

/// The agent's end: visitors come in one after the other.
#[derive(Debug)]
pub struct Reception {
    path: PathBuf,
    listener: UnixListener,
    visitor: Option<Visitor>,
    /// Until when nobody is let in, since the last one could not be.
    closed_until: Option<Instant>,
}

/// Somebody who has come in, and has not said all yet.
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
        Ok(Self { path: path.to_owned(), listener, visitor: None, closed_until: None })
    }

    /// Readable when there is something to [`hear`](Self::hear); none while there cannot be.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match (&self.visitor, self.closed_until) {
            (Some(visitor), _) => Some(visitor.stream.as_fd()),
            (None, None) => Some(self.listener.as_fd()),
            (None, Some(_)) => None,
        }
    }

    /// When to [`hear`](Self::hear) again though nothing may have come: to show a visitor out, or to let others in again.
    pub fn deadline(&self) -> Option<Instant> {
        self.visitor.as_ref().map(|visitor| visitor.until).or(self.closed_until)
    }

    /// Lets in who waits, and takes what he has said so far: never waits. A question, and who asks it, once it is whole.
    pub fn hear(&mut self) -> Option<(Question, Asker)> {
        let mut visitor = self.visitor.take().or_else(|| self.admit())?;
        match visitor.listen() {
            Ok(true) => return visitor.question(),
            Ok(false) if Instant::now() < visitor.until => self.visitor = Some(visitor),
            Ok(false) => log::warn!("somebody came to {} and asked nothing", self.path.display()),
            Err(error) => log::warn!("cannot hear what is asked at {}: {error}", self.path.display()),
        }
        None
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
                log::warn!("cannot let anybody in at {}: {error}", self.path.display());
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
    /// What he has asked; if that means nothing he is told so.
    fn question(self) -> Option<(Question, Asker)> {
        let asker = Asker(self.stream);
        let question = Question::decode(&self.said);
        if question.is_none() {
            let strange = "the agent does not know what that means: it is of another version; end it, and start it again";
            asker.tell(&Err(Error::failed(strange).into()));
            return None;
        }
        Some((question?, asker))
    }

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
    /// Tells him, if he is still there and takes it soon.
    pub fn tell(mut self, answer: &Result<Done, Errors>) {
        let mut tell = || {
            self.0.set_nonblocking(false)?;
            self.0.set_write_timeout(Some(HEARING))?;
            self.0.write_all(encode_answer(answer).as_bytes())
        };
        if let Err(error) = tell() {
            log::warn!("cannot answer whoever asked: {error}");
        }
    }
}
