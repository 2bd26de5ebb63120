//! The agent's control socket: how other calls of this program ask it for something, and hear what came of it.
//!
//! A question and its answer are fields with a zero between them, each closed by the end of the stream.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;

use crate::error::{Context as _, Error, Errors, Kind, Result};

/// Where the agent listens.
pub const SOCKET: &str = "/run/portals.sock";

/// How long the agent may take for an answer: it may have to wait ten seconds for another call to finish, and for names.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a visitor may take to say what he wants.
const HEARING: Duration = Duration::from_secs(1);

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
    let answer = exchange(Path::new(SOCKET), &question.encode()).doing(|| {
        format!("cannot ask the agent at {SOCKET} (is it an older one? end it, and start it again)")
    })?;
    decode_answer(&answer)
}

fn exchange(path: &Path, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path)?;
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
    match answer {
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
    }
}

fn decode_answer(answer: &[u8]) -> Result<Done, Errors> {
    let text = String::from_utf8_lossy(answer);
    let fields: Vec<&str> = text.split('\0').collect();
    if let ["done", changes, notes @ ..] = fields.as_slice() {
        let notes = notes.iter().map(|note| (*note).to_owned()).collect();
        return Ok(Done { changes: changes.parse().unwrap_or_default(), notes });
    }
    let error = |pair: &[&str]| match *pair {
        ["wrong", text] => Error::wrong(text),
        ["failed", text] => Error::failed(text),
        _ => Error::failed("the agent gave no answer: its log may say why"),
    };
    Err(Errors::all(fields.chunks(2).map(error).collect()))
}

/// The agent's end: visitors come in one after the other.
#[derive(Debug)]
pub struct Reception {
    listener: UnixListener,
    visitor: Option<Visitor>,
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
        Ok(Self { listener, visitor: None })
    }

    /// Readable when there is something to [`hear`](Self::hear).
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        match &self.visitor {
            Some(visitor) => visitor.stream.as_fd(),
            None => self.listener.as_fd(),
        }
    }

    /// Until when the visitor who is in may go on; then it is time to [`hear`](Self::hear) again, to show him out.
    pub fn deadline(&self) -> Option<Instant> {
        self.visitor.as_ref().map(|visitor| visitor.until)
    }

    /// Lets in who waits, and takes what he has said so far: never waits. A question, and who asks it, once it is whole.
    pub fn hear(&mut self) -> Option<(Question, Asker)> {
        let mut visitor = self.visitor.take().or_else(|| self.admit())?;
        match visitor.listen() {
            Ok(true) => Some((Question::decode(&visitor.said)?, Asker(visitor.stream))),
            Ok(false) => {
                self.visitor = (Instant::now() < visitor.until).then_some(visitor);
                None
            }
            Err(_) => None,
        }
    }

    /// The next one who is root, or who we are.
    fn admit(&self) -> Option<Visitor> {
        let (stream, _) = self.listener.accept().ok()?;
        let user = getsockopt(&stream, PeerCredentials).ok()?.uid();
        stream.set_nonblocking(true).ok()?;
        let is_known = user == 0 || user == geteuid().as_raw();
        is_known.then(|| Visitor { stream, said: Vec::new(), until: Instant::now() + HEARING })
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
    /// Tells him, if he is still there and takes it: an answer is far smaller than what a socket holds.
    pub fn tell(mut self, answer: &Result<Done, Errors>) {
        let _ = self.0.write_all(encode_answer(answer).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A socket of a test, gone with it.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("portals-{name}-{}.sock", std::process::id())))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn heard(reception: &mut Reception) -> (Question, Asker) {
        loop {
            if let Some(heard) = reception.hear() {
                return heard;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn questions_and_answers_survive_the_way() {
        let place = Place::new("control");
        let mut reception = Reception::at(&place.0).unwrap();
        let answers = [
            Ok(Done { changes: 3, notes: vec!["one".to_owned(), "two\nlines".to_owned()] }),
            Err(Errors::all(vec![Error::wrong("a"), Error::failed("b").because("c")])),
        ];
        for answer in answers {
            let question = || Question::Apply("/etc/a file".into());
            thread::scope(|scope| {
                let client = scope.spawn(|| exchange(&place.0, &question().encode()).unwrap());
                let (heard, asker) = heard(&mut reception);
                assert_eq!(heard, question());
                asker.tell(&answer);
                match (decode_answer(&client.join().unwrap()), &answer) {
                    (Ok(got), Ok(told)) => assert_eq!((got.changes, &got.notes), (told.changes, &told.notes)),
                    (Err(got), Err(told)) => {
                        assert_eq!((got.to_string(), got.kind()), (told.to_string(), told.kind()));
                    }
                    other => panic!("{other:?}"),
                }
            });
        }
    }

    #[test]
    fn bad_company_is_shown_out() {
        let place = Place::new("company");
        let mut reception = Reception::at(&place.0).unwrap();
        let connect = || UnixStream::connect(&place.0).unwrap();

        let mut talker = connect();
        talker.write_all(&[b'a'; 2 * LONGEST_QUESTION]).unwrap();
        assert!(reception.hear().is_none() && reception.deadline().is_none(), "too much was said");

        let mut stranger = connect();
        stranger.write_all(b"dance\0").unwrap();
        stranger.shutdown(Shutdown::Write).unwrap();
        assert!(reception.hear().is_none() && reception.deadline().is_none(), "nobody knows what that means");

        let _silent = connect();
        assert!(reception.hear().is_none() && reception.deadline().is_some(), "he has a while");
        thread::sleep(HEARING);
        assert!(reception.hear().is_none() && reception.deadline().is_none(), "his time is up");

        let mut patient = connect();
        patient.write_all(b"apply").unwrap();
        assert!(reception.hear().is_none());
        patient.write_all(b"\0/etc").unwrap();
        patient.shutdown(Shutdown::Write).unwrap();
        assert_eq!(heard(&mut reception).0, Question::Apply("/etc".into()));
    }

    #[test]
    fn nobody_else_can_open_the_door() {
        let place = Place::new("door");
        let _reception = Reception::at(&place.0).unwrap();
        assert_eq!(fs::metadata(&place.0).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn silence_is_an_error() {
        let errors = decode_answer(b"").unwrap_err();
        assert_eq!(errors.to_string(), "the agent gave no answer: its log may say why");
    }
}
