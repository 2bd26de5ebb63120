//! Addresses of host names, from `/etc/hosts` and by the domain name system, without ever waiting: whoever asks polls.
//!
//! The questions carry the tunnels' mark: the way to the other end of a tunnel cannot lead through it.

pub(crate) mod files;
pub(crate) mod message;

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

use crate::base::random;
use crate::base::sorted::SortedMap;
use crate::state::TUNNEL_MARK;
use crate::system::disk::{self, Source};
use crate::system::platform;
use files::Settings;
use message::{Kind, Question, Reply};

/// How long a server may take, the first time and the second: a busy one shall not hold up the others, and a slow one shall be
/// heard in the end.
const ROUNDS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// Where forwarders on this host are told whom to ask: systemd-resolved, and dnsmasq of NetworkManager.
const BEHIND_FORWARDERS: [&str; 2] =
    ["/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf"];

/// Bytes of an answer: without extensions, a server sends no more (RFC 1035 § 4.2.1).
const LONGEST_ANSWER: usize = 512;

/// So many answers are taken before anything else has its turn.
const AT_ONCE: usize = 100;

/// A name whose addresses are being looked for.
#[derive(Debug)]
pub struct Lookup {
    /// Names that it may stand for: the last one is tried first.
    candidates: Vec<String>,
    servers: Vec<SocketAddr>,
    /// Questions to servers so far, for that one.
    attempts: usize,
    pending: Option<Pending>,
    found: Vec<IpAddr>,
    begun: Instant,
}

/// A server has been asked.
#[derive(Debug)]
struct Pending {
    socket: UdpSocket,
    questions: [Question; 2],
    until: Instant,
    replies: [Option<Reply>; 2],
}

impl Lookup {
    /// Begins: reads the host's files, which may have changed since the last time, and asks the first server.
    pub fn begin(name: &str, now: Instant) -> Self {
        let found = files::in_hosts(&read("/etc/hosts"), name);
        let mut settings = Settings::parse(&read("/etc/resolv.conf"), |name| if_nametoindex(name).ok());
        for path in BEHIND_FORWARDERS.iter().chain(platform::behind_forwarder()) {
            settings.add_those_behind(&read(path));
        }
        let mut candidates = if found.is_empty() { settings.candidates(name) } else { Vec::new() };
        candidates.reverse();
        let mut lookup =
            Self { candidates, servers: settings.servers, attempts: 0, pending: None, found, begun: now };
        lookup.ask(now);
        lookup
    }

    /// What to poll for input, while it is not over.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.pending.as_ref()?.socket.as_fd())
    }

    /// When there is something to do though nothing came in.
    pub fn deadline(&self) -> Instant {
        // Of what is over, the outcome is to be fetched at once.
        self.pending.as_ref().map_or(self.begun, |pending| pending.until)
    }

    /// Takes what has come in, and asks on: never waits. The addresses, once it is over; none if there are none. The first is the
    /// best: of a family that this host has a way for, and IPv4 if it has both.
    pub fn turn(&mut self, now: Instant) -> Option<Vec<IpAddr>> {
        while let Some(pending) = &mut self.pending {
            let is_gone = pending.listen().is_err() || pending.until <= now;
            if !is_gone && pending.replies.iter().any(Option::is_none) {
                return None;
            }
            self.conclude(now);
        }
        Some(best_first(&self.found))
    }

    /// The server has said all that it will say.
    fn conclude(&mut self, now: Instant) {
        let replies = self.pending.take().map(|pending| pending.replies).unwrap_or_default();
        let is_sure = replies.iter().all(|reply| matches!(reply, Some(Reply::Addresses(_))));
        let addresses = replies.into_iter().flatten().filter_map(|reply| match reply {
            Reply::Addresses(addresses) => Some(addresses),
            Reply::Failure => None,
        });
        self.found = addresses.flatten().collect();
        if !self.found.is_empty() {
            return;
        }
        if is_sure {
            self.candidates.pop();
            self.attempts = 0;
        }
        self.ask(now);
    }

    /// Asks the next server that can be asked; if there is none, it is over.
    fn ask(&mut self, now: Instant) {
        let Some(name) = self.candidates.last() else { return };
        while let Some(patience) = ROUNDS.get(self.attempts / self.servers.len()) {
            let server = self.servers[self.attempts % self.servers.len()];
            // A server that does not repeat the capitals is not heard at first.
            let is_mixed = self.attempts < self.servers.len();
            self.attempts += 1;
            if let Ok(pending) = Pending::ask(server, name, is_mixed, now + *patience) {
                self.pending = Some(pending);
                return;
            }
        }
    }
}

impl Pending {
    fn ask(server: SocketAddr, name: &str, is_mixed: bool, until: Instant) -> io::Result<Self> {
        let socket = socket_to(server)?;
        let ask = |kind| {
            let capitals = random::flips().map(|flip| flip && is_mixed);
            let question =
                Question::new(random::bits(), name, kind, capitals).ok_or(ErrorKind::InvalidInput)?;
            socket.send(question.bytes())?;
            Ok::<_, io::Error>(question)
        };
        let questions = [ask(Kind::A)?, ask(Kind::Aaaa)?];
        Ok(Self { socket, questions, until, replies: [None, None] })
    }

    /// Takes what has come; an error if the server cannot be reached.
    fn listen(&mut self) -> io::Result<()> {
        let mut bytes = [0; LONGEST_ANSWER];
        for _ in 0..AT_ONCE {
            let length = match self.socket.recv(&mut bytes) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            for (question, place) in self.questions.iter().zip(&mut self.replies) {
                if let Some(reply) = question.reply(&bytes[..length]) {
                    *place = Some(reply);
                }
            }
        }
        Ok(())
    }
}

/// Those of a family that this host has a way for, before those of the other; in each, IPv4 before IPv6.
fn best_first(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let rate = |address: &IpAddr| (socket_to((*address, 9).into()).is_err(), address.is_ipv6(), *address);
    let rated: Vec<(bool, bool, IpAddr)> = addresses.iter().map(rate).collect();
    let of_class = |(no_way, v6)| {
        let ours = rated.iter().filter(move |(a, b, _)| (*a, *b) == (no_way, v6));
        ours.map(|(_, _, address)| *address)
    };
    [(false, false), (false, true), (true, false), (true, true)].into_iter().flat_map(of_class).collect()
}

/// A socket of a port of its own that hears that address alone; an error if there is no way there.
fn socket_to(address: SocketAddr) -> io::Result<UdpSocket> {
    let any =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { IpAddr::from(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind((any, 0))?;
    // Only root may; without, questions go where all others go.
    let _ = setsockopt(&socket, sockopt::Mark, &TUNNEL_MARK.value);
    socket.set_nonblocking(true)?;
    socket.connect(address)?;
    Ok(socket)
}

/// The text of a file; one that is not there, or not the host's own, says nothing.
fn read(path: &str) -> String {
    disk::read_if_there(Path::new(path), Source::Host).ok().flatten().unwrap_or_default()
}

/// The best addresses of those names that resolve in time, side by side: for calls that end at once anyway.
pub fn resolve<'a>(names: impl IntoIterator<Item = &'a str>, limit: Duration) -> SortedMap<String, IpAddr> {
    let begin = Instant::now();
    let mut lookups: Vec<(&str, Lookup)> =
        names.into_iter().map(|name| (name, Lookup::begin(name, begin))).collect();
    let mut resolved = SortedMap::new();
    loop {
        let now = Instant::now();
        lookups.retain_mut(|(name, lookup)| match lookup.turn(now) {
            None => true,
            Some(addresses) => {
                resolved.extend(addresses.first().map(|address| ((*name).to_owned(), *address)));
                false
            }
        });
        let next = lookups.iter().map(|(_, lookup)| lookup.deadline()).chain([begin + limit]).min();
        let left = next.map(|next| next.saturating_duration_since(now)).unwrap_or_default();
        if lookups.is_empty() || now >= begin + limit {
            return resolved;
        }
        let waiting = lookups.iter().filter_map(|(_, lookup)| lookup.descriptor());
        let mut waiting: Vec<PollFd> = waiting.map(|socket| PollFd::new(socket, PollFlags::POLLIN)).collect();
        let left = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        // Whatever it says, all are looked at again, and the limit ends it.
        let _ = poll(&mut waiting, left);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread;

    use super::*;

    /// Header, and the name in the question.
    const NAME: std::ops::Range<usize> = 12..12 + "a-name-of-many-letters.example.net".len() + 1;

    #[test]
    fn each_question_has_its_own_number_and_capitals_unless_a_server_does_not_repeat_them() {
        // In a network namespace of the tests alone it is down at first; elsewhere it is up already.
        let _ = Command::new("ip").args(["link", "set", "lo", "up"]).status();
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let now = Instant::now();
        let mut lookup = Lookup {
            candidates: vec!["a-name-of-many-letters.example.net".to_owned()],
            servers: vec![server.local_addr().unwrap()],
            attempts: 0,
            pending: None,
            found: Vec::new(),
            begun: now,
        };
        let mut questions = Vec::new();
        let mut answer_both = || {
            for _ in [Kind::A, Kind::Aaaa] {
                let mut bytes = [0; LONGEST_ANSWER];
                let (length, client) = server.recv_from(&mut bytes).unwrap();
                questions.push(bytes[..length].to_vec());
                let mut answer = bytes[..length].to_vec();
                answer[2] = 0x80;
                answer[NAME].make_ascii_lowercase();
                if answer[length - 3] == 1 {
                    answer[7] = 1;
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
                }
                server.send_to(&answer, client).unwrap();
            }
        };
        lookup.ask(now);
        answer_both();
        assert_eq!(lookup.turn(now), None, "capitals are missing");
        let later = now + ROUNDS[0];
        assert_eq!(lookup.turn(later), None, "it is asked once more");
        answer_both();
        // However late the answers come.
        let found = loop {
            match lookup.turn(later) {
                Some(found) => break found,
                None => thread::sleep(Duration::from_millis(10)),
            }
        };
        assert_eq!(found, [IpAddr::from([192, 0, 2, 1])]);
        assert!(questions[0][..2] != questions[1][..2], "two numbers");
        let has_capitals = |question: &Vec<u8>| question[NAME].iter().any(u8::is_ascii_uppercase);
        assert_eq!(questions.iter().map(has_capitals).collect::<Vec<_>>(), [true, true, false, false]);
    }
}
