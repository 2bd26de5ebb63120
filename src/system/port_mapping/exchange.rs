//! Exchange of one question and its answer with a router, over sockets that never block.
//!
//! The sockets are bound to the uplink, and their packets carry the mark of the tunnels' own packets: no
//! portal takes them.

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt,
};

use super::Router;
use crate::base::moment::{after, is_due};
use crate::nat::mapping::{LONGEST_ANSWER, PORT, Question, SEARCH_GROUP, SEARCH_PORT, is_complete};
use crate::state::TUNNEL_MARK;

/// Wait for the answer to a datagram, which doubles with each repetition. RFC 6886 § 3.1 doubles it eight
/// times, for routers that still start; here, the next protocol is due.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// Number of times that a datagram is sent.
const TRIES: u32 = 4;

/// Wait for the end of an answer over TCP.
const PAGE_WAIT: Duration = Duration::from_secs(3);

/// First wait for a connection, which doubles: the poll loop wakes up for input only.
const FIRST_CONNECT_WAIT: Duration = Duration::from_millis(2);

/// Largest datagram in bytes. Larger ones are no answers.
const LONGEST_DATAGRAM: usize = 2048;

/// Question to a router that waits for its answer.
#[derive(Debug)]
pub(super) struct Exchange {
    channel: Channel,
    question: Vec<u8>,
    router: Ipv4Addr,
    /// Time of the next repetition, or of the next look at a connection.
    next: Instant,
    /// Wait that ends at `next`.
    wait: Duration,
    /// Time at which the router counts as silent.
    until: Instant,
}

#[derive(Debug)]
enum Channel {
    /// Datagrams to these addresses.
    Datagrams(UdpSocket, Vec<SocketAddr>),
    /// Connection, and the answer so far; none until the request was sent.
    Connection(TcpStream, Option<Vec<u8>>),
}

/// Finding of a look at an exchange.
pub(super) enum Heard {
    /// Silence so far.
    Nothing,
    /// Message of the router.
    Message(Vec<u8>),
    /// The router does not answer.
    Silence,
}

impl Exchange {
    /// Sends a question.
    pub(super) fn begin(question: Question, router: &Router, now: Instant) -> io::Result<Self> {
        let place = |port| SocketAddr::from((router.address, port));
        let search = [place(SEARCH_PORT), (SEARCH_GROUP, SEARCH_PORT).into()];
        let (question, channel, wait, patience) = match question {
            Question::Request(bytes) => (bytes, datagrams(router, &[place(PORT)])?, FIRST_WAIT, None),
            Question::Search(bytes) => (bytes, datagrams(router, &search)?, FIRST_WAIT, None),
            Question::Page(port, bytes) => {
                let channel = Channel::Connection(connection(router, port)?, None);
                (bytes, channel, FIRST_CONNECT_WAIT, Some(PAGE_WAIT))
            }
        };
        // The sum of all waits for a datagram.
        let until = after(now, patience.unwrap_or(FIRST_WAIT * ((1 << TRIES) - 1)));
        let mut exchange =
            Self { channel, question, router: router.address, next: after(now, wait), wait, until };
        exchange.send()?;
        Ok(exchange)
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        match &self.channel {
            Channel::Datagrams(socket, _) => socket.as_fd(),
            Channel::Connection(stream, _) => stream.as_fd(),
        }
    }

    /// Returns the time of the next look even if nothing comes in.
    pub(super) fn due(&self) -> Instant {
        match &self.channel {
            Channel::Connection(_, Some(_)) => self.until,
            _ => self.next.min(self.until),
        }
    }

    /// Tells whether the router counts as silent. A message that was read nevertheless may still answer.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        is_due(Some(self.until), now)
    }

    /// Reads what has come in, and repeats the question if that is due. Never waits.
    pub(super) fn hear(&mut self, now: Instant) -> Heard {
        match self.read() {
            Ok(Some(message)) => return Heard::Message(message),
            // An ICMP error says that nobody listens there.
            Err(error) if !is_for_later(&error) => return self.rest(),
            _ => {}
        }
        if self.is_over(now) {
            return self.rest();
        }
        if is_due(Some(self.due()), now) {
            self.wait *= 2;
            self.next = after(now, self.wait);
            if self.send().is_err() {
                return Heard::Silence;
            }
        }
        Heard::Nothing
    }

    /// Returns the answer so far. A router may leave the connection open behind a complete answer without a
    /// length, or reset it.
    fn rest(&mut self) -> Heard {
        match &mut self.channel {
            Channel::Connection(_, Some(answer)) if !answer.is_empty() => {
                Heard::Message(std::mem::take(answer))
            }
            _ => Heard::Silence,
        }
    }

    /// Sends the question: each time if it is a datagram, and once if there is a connection.
    fn send(&mut self) -> io::Result<()> {
        match &mut self.channel {
            Channel::Datagrams(socket, places) => {
                let mut result = Err(ErrorKind::InvalidInput.into());
                for place in places {
                    // A router without a route for multicast may still answer the other question.
                    result = result.or(socket.send_to(&self.question, *place));
                }
                result.map(drop).or_else(later)
            }
            Channel::Connection(stream, answer @ None) => match stream.write(&self.question) {
                // A request is smaller than the buffer of an empty connection.
                Ok(sent) if sent == self.question.len() => {
                    *answer = Some(Vec::new());
                    Ok(())
                }
                Ok(_) => Err(ErrorKind::WriteZero.into()),
                Err(error) => later(error),
            },
            Channel::Connection(_, Some(_)) => Ok(()),
        }
    }

    /// Reads the next datagram, or the rest of an answer over TCP; `None` if more is to come.
    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = [0; LONGEST_DATAGRAM];
        match &mut self.channel {
            Channel::Datagrams(socket, _) => {
                let (length, from) = socket.recv_from(&mut bytes)?;
                let is_routers = from.ip() == self.router;
                // A foreign datagram is an empty message, which answers nothing.
                Ok(Some(if is_routers { bytes[..length].to_vec() } else { Vec::new() }))
            }
            Channel::Connection(stream, None) => match stream.take_error()? {
                Some(error) => Err(error),
                None => Ok(None),
            },
            Channel::Connection(stream, Some(answer)) => loop {
                let length = stream.read(&mut bytes)?;
                answer.extend(&bytes[..length]);
                if length == 0 || answer.len() > LONGEST_ANSWER || is_complete(answer) {
                    answer.truncate(LONGEST_ANSWER);
                    return Ok(Some(std::mem::take(answer)));
                }
            },
        }
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn later(error: io::Error) -> io::Result<()> {
    if is_for_later(&error) { Ok(()) } else { Err(error) }
}

/// Opens a socket for datagrams to the router. It hears ICMP errors if it has one destination.
fn datagrams(router: &Router, to: &[SocketAddr]) -> io::Result<Channel> {
    let socket = UdpSocket::bind((IpAddr::V4(router.client), 0))?;
    socket.set_nonblocking(true)?;
    lead_out(&socket, router);
    if let [one] = to {
        socket.connect(one)?;
    }
    Ok(Channel::Datagrams(socket, to.to_vec()))
}

/// Begins a connection to a port of the router.
fn connection(router: &Router, port: u16) -> io::Result<TcpStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    lead_out(&socket, router);
    let place = |address, port| SockaddrIn::from(SocketAddrV4::new(address, port));
    // Routers map ports only to the address that asks.
    bind(socket.as_raw_fd(), &place(router.client, 0))?;
    match connect(socket.as_raw_fd(), &place(router.address, port)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket.into()),
        Err(errno) => Err(errno.into()),
    }
}

/// Binds a socket to the uplink and marks its packets. Only root may do either; without, the packets take the
/// same path as all other traffic.
fn lead_out(socket: &impl AsFd, router: &Router) {
    let _ = setsockopt(socket, sockopt::Mark, &TUNNEL_MARK.value);
    let _ = setsockopt(socket, sockopt::BindToDevice, &router.interface.as_str().into());
}
