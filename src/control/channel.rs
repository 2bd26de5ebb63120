//! Channel from a process that shows pages to the process that knows the answers: a pair of sockets without a
//! name, so that nobody else can ask. Each message follows its length, a big-endian number of 32 bits.
//!
//! Only read(2) and write(2) are used: the process that shows pages has no other call for sockets.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use super::page::PageRequest;
use super::request::{decode_answer, encode_answer};
use super::{Answer, EXCHANGE_TIME, LONGEST_QUESTION, write_within};
use crate::base::error::{Context as _, Error};
use crate::base::moment::{after, has_come};
use crate::system::wait::wait_for_input;

/// Bytes of the length of a message.
const LENGTH: usize = size_of::<u32>();

/// End at which requests are answered. It is closed once the other end is gone, breaks the protocol, or does
/// not read its answers.
#[derive(Debug)]
pub struct AnsweringEnd {
    /// None once the end is closed.
    channel: Option<Channel>,
    fault: Option<&'static str>,
}

impl AnsweringEnd {
    /// Makes a channel, and returns this end of it with the socket for the process that asks.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, flags)?;
        Ok((Self { channel: Some(Channel::new(ours, LONGEST_QUESTION)), fault: None }, theirs))
    }

    /// Returns the descriptor that has input when there is something to [`hear`](Self::hear); `None` once the
    /// end is closed.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.channel.as_ref().map(|channel| channel.socket.as_fd())
    }

    /// Returns the fault of the other process for which this end was closed.
    pub fn fault(&self) -> Option<&'static str> {
        self.fault
    }

    /// Returns the next request, once it is complete. Never waits.
    pub fn hear(&mut self) -> Option<PageRequest> {
        let request = match self.channel.as_mut()?.receive() {
            Ok(None) => return None,
            Ok(Some(message)) => PageRequest::decode(&message).ok_or(ErrorKind::InvalidData.into()),
            Err(error) => Err(error),
        };
        request.map_err(|error| self.close(&error)).ok()
    }

    /// Sends the answer to the request that was heard first among those without one. Waits up to `patience`
    /// for a reader that is slow.
    pub fn tell(&mut self, answer: &Answer, patience: Duration) {
        let answer = encode_answer(answer);
        let sent = self.channel.as_ref().map_or(Ok(()), |channel| channel.send(answer.as_bytes(), patience));
        if let Err(error) = sent {
            self.close(&error);
        }
    }

    fn close(&mut self, error: &io::Error) {
        self.channel = None;
        self.fault = match error.kind() {
            ErrorKind::InvalidData => Some("it broke the protocol of its channel"),
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Some("it did not read its answers"),
            _ => None,
        };
    }
}

/// End of the process that asks.
#[derive(Debug)]
pub struct AskingEnd {
    channel: Channel,
    /// Number of requests whose answers have not come yet.
    open: usize,
}

impl AskingEnd {
    /// Takes over the standard input of this process.
    pub fn inherited() -> io::Result<Self> {
        Ok(Self::of(io::stdin().as_fd().try_clone_to_owned()?))
    }

    /// Takes over a socket.
    pub(crate) fn of(socket: OwnedFd) -> Self {
        Self { channel: Channel::new(socket, usize::MAX), open: 0 }
    }

    /// Sends a request whose answer does not matter.
    pub fn tell(&mut self, request: &PageRequest) -> io::Result<()> {
        self.channel.send(&request.encode(), EXCHANGE_TIME)?;
        self.open += 1;
        Ok(())
    }

    /// Sends a request, and waits for its answer for up to `limit`.
    pub fn ask(&mut self, request: &PageRequest, limit: Duration) -> Answer {
        let context = || "the page gets no answer".to_owned();
        let until = after(Instant::now(), limit);
        self.tell(request).context(context)?;
        loop {
            match self.receive().context(context)? {
                Some(answer) if self.open == 0 => return decode_answer(&answer),
                Some(_) => {}
                None if has_come(until) => {
                    let words =
                        format_args!("no answer has come for {} seconds: try again later", limit.as_secs());
                    return Err(Error::failed(words).into());
                }
                None => drop(wait_for_input(&[self.as_fd()], Some(until))?),
            }
        }
    }

    /// Takes in answers that nobody waits for any more. Reports whether the other end is still there.
    pub fn is_open(&mut self) -> bool {
        loop {
            match self.receive() {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Returns the next answer, if it has come. Answers come in the order of the requests.
    fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let answer = self.channel.receive()?;
        if answer.is_some() {
            self.open = self.open.checked_sub(1).ok_or(ErrorKind::InvalidData)?;
        }
        Ok(answer)
    }
}

impl AsFd for AskingEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.socket.as_fd()
    }
}

/// Socket, and the part of a message that has come so far.
#[derive(Debug)]
struct Channel {
    socket: File,
    received: Vec<u8>,
    /// Longest message to take in, in bytes.
    longest: usize,
}

impl Channel {
    fn new(socket: OwnedFd, longest: usize) -> Self {
        Self { socket: socket.into(), received: Vec::new(), longest }
    }

    fn send(&self, message: &[u8], patience: Duration) -> io::Result<()> {
        let length = u32::try_from(message.len()).map_err(|_| ErrorKind::InvalidInput)?;
        write_within(patience, &self.socket, &[&length.to_be_bytes(), message].concat())
    }

    /// Returns the next message, once it is complete. Never waits, and reads nothing of the message behind
    /// it, for which the socket wakes its reader again.
    fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut piece = [0; 4096];
        loop {
            let missing = self.missing()?;
            if missing == 0 {
                let message = self.received.split_off(LENGTH);
                self.received.clear();
                return Ok(Some(message));
            }
            let room = missing.min(piece.len());
            match self.socket.read(&mut piece[..room]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.received.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the number of bytes that are missing: of the length, and then of the message.
    fn missing(&self) -> io::Result<usize> {
        let Some((length, message)) = self.received.split_first_chunk::<LENGTH>() else {
            return Ok(LENGTH - self.received.len());
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > self.longest { Err(ErrorKind::InvalidData.into()) } else { Ok(length - message.len()) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::thread;

    use super::*;
    use crate::base::error::Errors;

    fn channel() -> (AnsweringEnd, AskingEnd) {
        let (ours, theirs) = AnsweringEnd::pair().unwrap();
        (ours, AskingEnd::of(theirs))
    }

    fn about(portal: &str) -> PageRequest {
        PageRequest::Portal(portal.to_owned())
    }

    fn heard(end: &mut AnsweringEnd) -> PageRequest {
        loop {
            wait_for_input(&[end.descriptor().expect("an open channel")], None).unwrap();
            if let Some(request) = end.hear() {
                return request;
            }
        }
    }

    #[test]
    fn requests_and_answers_arrive_unchanged() {
        let (mut agent, mut page) = channel();
        let long = "a".repeat(1 << 20);
        let answers =
            [Ok(vec![]), Ok(vec!["image/svg+xml".to_owned(), long]), Err(Errors::from(Error::wrong("no")))];
        for answer in answers {
            thread::scope(|scope| {
                scope.spawn(|| {
                    assert_eq!(heard(&mut agent), about("guest"));
                    agent.tell(&answer, Duration::from_mins(1));
                });
                let got = page.ask(&about("guest"), Duration::from_mins(1));
                match (got, &answer) {
                    (Ok(got), Ok(told)) => assert_eq!(&got, told),
                    (Err(got), Err(told)) => assert_eq!(got.to_string(), told.to_string()),
                    other => panic!("{other:?}"),
                }
            });
        }
        assert!(page.is_open());
    }

    #[test]
    fn requests_that_come_together_are_heard_one_by_one() {
        let (mut agent, mut page) = channel();
        for portal in ["guest", "tv"] {
            page.tell(&about(portal)).unwrap();
        }
        assert_eq!([heard(&mut agent), heard(&mut agent)], [about("guest"), about("tv")]);
        assert_eq!(agent.hear(), None);
        assert!(agent.descriptor().is_some());
    }

    #[test]
    fn an_answer_that_comes_too_late_is_not_taken_for_another_one() {
        let (mut agent, mut page) = channel();
        let late = page.ask(&about("guest"), Duration::ZERO).unwrap_err().to_string();
        assert!(late.contains("no answer has come for 0 seconds"), "{late}");
        assert_eq!(heard(&mut agent), about("guest"));
        agent.tell(&Ok(vec!["guest".to_owned()]), Duration::ZERO);
        thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(heard(&mut agent), about("tv"));
                agent.tell(&Ok(vec!["tv".to_owned()]), Duration::ZERO);
            });
            assert_eq!(page.ask(&about("tv"), Duration::from_mins(1)).unwrap(), ["tv"]);
        });
    }

    #[test]
    fn each_end_notices_the_end_of_the_other_one() {
        let (agent, mut page) = channel();
        drop(agent);
        assert!(!page.is_open());
        assert!(page.ask(&about("guest"), Duration::from_mins(1)).is_err());
        let (mut agent, page) = channel();
        drop(page);
        assert_eq!(agent.hear(), None);
        assert!(agent.descriptor().is_none() && agent.fault().is_none(), "its end is no fault");
    }

    #[test]
    fn a_process_that_does_not_read_holds_nobody_up() {
        let (mut agent, mut page) = channel();
        for asked in 0.. {
            page.tell(&about("guest")).unwrap();
            assert_eq!(heard(&mut agent), about("guest"));
            agent.tell(&Ok(vec!["a".repeat(4096)]), Duration::ZERO);
            if agent.descriptor().is_none() {
                assert!(asked > 2, "an honest process has one or two answers open");
                break;
            }
        }
        assert_eq!(agent.fault(), Some("it did not read its answers"));
    }

    #[test]
    fn a_process_that_breaks_the_protocol_is_not_heard_again() {
        let message = |words: &[u8]| [&u32::try_from(words.len()).unwrap().to_be_bytes(), words].concat();
        for wrong in [&message(b"status")[..], &message(b""), &[0xff; LENGTH]] {
            let (mut agent, theirs) = AnsweringEnd::pair().unwrap();
            let mut theirs = File::from(theirs);
            theirs.write_all(wrong).unwrap();
            theirs.write_all(&message(b"portal\0guest")).unwrap();
            assert_eq!(agent.hear(), None);
            assert!(agent.descriptor().is_none(), "{wrong:?}");
            assert_eq!(agent.fault(), Some("it broke the protocol of its channel"));
        }
    }

    #[test]
    fn half_a_request_is_not_waited_for() {
        let (mut agent, theirs) = AnsweringEnd::pair().unwrap();
        let mut theirs = File::from(theirs);
        theirs.write_all(b"\0\0\0\x0cportal").unwrap();
        assert_eq!(agent.hear(), None);
        theirs.write_all(b"\0guest").unwrap();
        assert_eq!(agent.hear(), Some(about("guest")));
    }
}
