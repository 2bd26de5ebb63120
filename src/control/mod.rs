//! Control socket of the agent: other processes of this program send a request, and get an answer. The
//! process that shows pages has a channel of its own.
//!
//! Requests and answers consist of fields with a zero byte between them, and end with the stream.

mod agent_status;
mod channel;
mod invitation;
mod link_path;
mod page;
pub(crate) mod request;
#[cfg(test)]
mod tests;

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;

use crate::base::error::{Context as _, Error, Errors, Result};
use crate::base::moment::{after, earlier, has_come, is_due};
use crate::system::disk;
use crate::system::logging as log;
use crate::system::logging::RateLimit;
use crate::system::wait::poll_until;
pub use agent_status::{AgentStatus, BY_HAND, HelperStatus, SessionStatus, SiteFile, TimedState};
pub use channel::{AnsweringEnd, AskingEnd};
pub use invitation::{InvitationStatus, Stage};
pub use link_path::{LinkPath, LinkPathStatus, PathKind};
pub use page::{PageRequest, PageStatus};
pub use request::{ChangeReport, ControlRequest};
use request::{decode_answer, encode_answer};

/// Path of the agent's socket.
pub const SOCKET: &str = "/run/portals.sock";

/// Longest wait for an answer. The agent may be busy when the request comes, and each piece of work may have
/// to wait ten seconds for another process to finish.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// Longest wait for the agent's status: a person wants to see the rest.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest time from the lock to the socket of an agent that starts.
const START: Duration = Duration::from_secs(1);

/// Longest time for a client to send its request, or to read its answer.
const EXCHANGE_TIME: Duration = Duration::from_secs(1);

/// Longest request in bytes: a path has at most 4096.
const LONGEST_QUESTION: usize = 8192;

/// Most clients at once. Another client replaces the one that has been connected longest, so a client that
/// sends its request at once always gets through.
const MOST_CLIENTS: usize = 8;

/// Answer to an unknown request.
const UNKNOWN_REQUEST: &str =
    "the agent does not know this request, because it has another version: end it, and start it again";

/// Answer of the agent: its fields, or the errors of a request that failed.
pub type Answer = Result<Vec<String>, Errors>;

/// Asks the agent of this machine, and waits for its answer for up to a minute.
pub fn ask(request: &ControlRequest) -> Answer {
    ask_within(request, ANSWER_TIMEOUT)
}

/// Asks the agent of this machine, and waits for its answer for up to `limit`.
fn ask_within(request: &ControlRequest, limit: Duration) -> Answer {
    ask_at(Path::new(SOCKET), request, limit)
}

/// Returns the state that only the agent has; `None` if the agent has another version or is busy for long.
pub fn ask_status() -> Option<AgentStatus> {
    AgentStatus::from_fields(&ask_within(&ControlRequest::Status, STATUS_TIMEOUT).ok()?).ok()
}

/// Asks the agent that listens at a path, and waits for its answer for up to `limit`.
pub(crate) fn ask_at(path: &Path, request: &ControlRequest, limit: Duration) -> Answer {
    let stream =
        connect(path).context(|| format!("an agent runs, but does not answer at {}", path.display()))?;
    match exchange(stream, &request.encode(), limit) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(not_answered(limit)),
        answer => decode_answer(&answer.context(|| "cannot ask the agent".to_owned())?),
    }
}

fn not_answered(limit: Duration) -> Errors {
    Error::failed(format!(
        "the agent has not answered for {} seconds, and may still be working: its log and \
         `portals plan --check` tell when it is done",
        limit.as_secs()
    ))
    .into()
}

fn broken_off() -> Error {
    Error::failed(
        "the agent broke off its answer: did it end? `portals plan --check` shows what is left to do",
    )
}

/// Connects to the agent. An agent that has just started may not listen yet, so a failure is tried again for
/// a while.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let until = after(Instant::now(), START);
    loop {
        match UnixStream::connect(path) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
                    && !has_come(until) =>
            {
                sleep(Duration::from_millis(20));
            }
            result => return result,
        }
    }
}

fn exchange(mut stream: UnixStream, request: &[u8], limit: Duration) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(request)?;
    stream.shutdown(Shutdown::Write)?;
    disk::all_of(File::from(OwnedFd::from(stream)))
}

/// Agent's end of the control socket.
#[derive(Debug)]
pub struct ControlListener {
    path: PathBuf,
    listener: UnixListener,
    /// Clients whose request is not complete, in the order in which they came.
    clients: Vec<ControlClient>,
    /// End of the pause after a connection could not be accepted.
    closed_until: Option<Instant>,
    /// Rate limit on log lines about clients.
    complaints: RateLimit,
}

/// Connected client.
#[derive(Debug)]
struct ControlClient {
    stream: UnixStream,
    /// Bytes of the request so far.
    received: Vec<u8>,
    /// End of the time for the request.
    until: Instant,
}

impl ControlListener {
    /// Listens at a path. The caller holds the agent's place on this machine: a socket that exists already
    /// belongs to a dead agent.
    pub fn at(path: &Path) -> Result<Self> {
        // A socket that does not exist is no error.
        let _ = fs::remove_file(path);
        let listen = || {
            let listener = UnixListener::bind(path)?;
            fs::set_permissions(path, Permissions::from_mode(0o600))?;
            listener.set_nonblocking(true)?;
            Ok::<_, io::Error>(listener)
        };
        let listener = listen().context(|| format!("cannot listen at {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            listener,
            clients: Vec::new(),
            closed_until: None,
            complaints: RateLimit::default(),
        })
    }

    /// Adds the descriptors that have input when there is something to [`hear`](Self::hear).
    pub fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        if self.closed_until.is_none() {
            all.push(self.listener.as_fd());
        }
        for client in &self.clients {
            all.push(client.stream.as_fd());
        }
    }

    /// Returns the time at which to [`hear`](Self::hear) again even without input: to drop a slow client, or
    /// to accept clients again.
    pub fn deadline(&self) -> Option<Instant> {
        earlier(self.clients.first().map(|client| client.until), self.closed_until)
    }

    /// Accepts a waiting client, and reads from all clients. Never waits. Returns a request, with the client
    /// that asks it, once the request is complete.
    pub fn hear(&mut self) -> Option<(ControlRequest, WaitingClient)> {
        if let Some(client) = self.accept() {
            if self.clients.len() == MOST_CLIENTS {
                self.clients.remove(0);
            }
            self.clients.push(client);
        }
        let (now, mut asked) = (Instant::now(), None);
        for mut client in std::mem::take(&mut self.clients) {
            // Other clients wait until this one has its answer.
            if asked.is_some() {
                self.clients.push(client);
                continue;
            }
            match client.read() {
                Ok(true) => match ControlRequest::decode(&client.received) {
                    Some(request) => asked = Some((request, WaitingClient(client.stream))),
                    None => {
                        self.tell(WaitingClient(client.stream), &Err(Error::failed(UNKNOWN_REQUEST).into()));
                    }
                },
                Ok(false) if !is_due(Some(client.until), now) => self.clients.push(client),
                Ok(false) => self.complain("a client has connected and sent no complete request"),
                Err(error) => self.complain(&format!("cannot read a request: {error}")),
            }
        }
        asked
    }

    /// Sends an answer, if the client is still connected and reads it soon.
    pub fn tell(&mut self, client: WaitingClient, answer: &Answer) {
        if let Err(error) = client.write(encode_answer(answer).as_bytes()) {
            self.complain(&format!("cannot answer a request: {error}"));
        }
    }

    fn complain(&mut self, what: &str) {
        if let Some(message) = self.complaints.say(format!("{}: {what}", self.path.display()), Instant::now())
        {
            log::warn!("{message}");
        }
    }

    /// Returns the next client that may ask.
    fn accept(&mut self) -> Option<ControlClient> {
        if self.closed_until.is_some_and(|until| !has_come(until)) {
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
            // The client stays in the queue, and would wake the agent again at once.
            Err(error) => {
                self.complain(&format!("cannot accept a connection: {error}"));
                self.closed_until = Some(after(Instant::now(), EXCHANGE_TIME));
                return None;
            }
        };
        let user = getsockopt(&stream, PeerCredentials).ok()?.uid();
        stream.set_nonblocking(true).ok()?;
        let is_allowed = user == 0 || user == geteuid().as_raw();
        is_allowed.then(|| ControlClient {
            stream,
            received: Vec::new(),
            until: after(Instant::now(), EXCHANGE_TIME),
        })
    }
}

impl Drop for ControlListener {
    fn drop(&mut self) {
        // A socket that is gone already is no error.
        let _ = fs::remove_file(&self.path);
    }
}

impl ControlClient {
    /// Reads the bytes that have come. Reports whether the request is complete.
    fn read(&mut self) -> io::Result<bool> {
        let mut piece = [0; 1024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return Ok(true),
                Ok(length) => self.received.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.received.len() > LONGEST_QUESTION {
                return Err(ErrorKind::InvalidInput.into());
            }
        }
    }
}

/// Client that waits for an answer.
#[derive(Debug)]
pub struct WaitingClient(UnixStream);

impl WaitingClient {
    fn write(self, bytes: &[u8]) -> io::Result<()> {
        write_within(EXCHANGE_TIME, &File::from(OwnedFd::from(self.0)), bytes)
    }
}

/// Writes to a socket that does not wait. Nearly every message fits into its buffer. A reader that takes a
/// long one slowly gets no more time than `patience`.
fn write_within(patience: Duration, mut socket: &File, mut bytes: &[u8]) -> io::Result<()> {
    let until = after(Instant::now(), patience);
    while !bytes.is_empty() {
        match socket.write(bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == ErrorKind::WouldBlock && !has_come(until) => {
                wait_for_room(socket, until)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait_for_room(socket: &File, until: Instant) -> io::Result<()> {
    match poll_until(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)], Some(until))? {
        0 => Err(ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}
