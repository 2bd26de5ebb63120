//! Resolver for host names, from `/etc/hosts` and the domain name system. Never blocks: the caller polls.
//!
//! The questions carry the mark of the tunnels' own packets: the path to the other end of a tunnel cannot
//! lead through that tunnel.

pub(crate) mod files;
pub(crate) mod message;

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{setsockopt, sockopt};

use crate::base::moment::{after, earlier, has_come};
use crate::base::random;
use crate::base::sorted::{SortedMap, SortedSet};
use crate::state::TUNNEL_MARK;
use crate::system::disk::{self, FileOrigin};
use crate::system::platform;
use crate::system::wait::wait_for_input;
use files::Settings;
use message::{AddressKind, DnsQuestion, DnsReply};

/// Time to wait for each server in the first round and in the second: a busy server must not delay other
/// servers, and a slow server must get its answer through in the end.
const ROUNDS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// Files that list the upstream servers of forwarders on this host: systemd-resolved, and NetworkManager's
/// dnsmasq.
const BEHIND_FORWARDERS: [&str; 2] =
    ["/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf"];

/// Largest answer in bytes: without extensions, a server sends no more (RFC 1035 § 4.2.1).
const LONGEST_ANSWER: usize = 512;

/// Longest wait for the answer of one server, where its time is measured.
const PATIENCE: Duration = Duration::from_secs(2);

/// Number of answers to read before the caller's other work gets its turn.
const ANSWERS_PER_TURN: usize = 100;

/// Lookup of the addresses of one name.
#[derive(Debug)]
pub struct Lookup {
    /// Full names still to try, the next one last.
    candidates: Vec<String>,
    servers: Vec<SocketAddr>,
    /// Number of attempts so far for the current candidate.
    attempts: usize,
    pending: Option<Pending>,
    found: Vec<IpAddr>,
    begun: Instant,
}

/// Questions to a server that wait for replies.
#[derive(Debug)]
struct Pending {
    socket: UdpSocket,
    questions: [DnsQuestion; 2],
    until: Instant,
    replies: [Option<DnsReply>; 2],
}

impl Lookup {
    /// Begins a lookup: reads the host's files, which may have changed since the last lookup, and asks the
    /// first server.
    pub fn begin(name: &str, now: Instant) -> Self {
        let found = files::in_hosts(&read("/etc/hosts"), name);
        let mut settings = Settings::parse(&read("/etc/resolv.conf"), &|name| if_nametoindex(name).ok());
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

    /// Returns the descriptor to poll for input while the lookup is not over.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.pending.as_ref()?.socket.as_fd())
    }

    /// Returns the time at which to call [`Self::turn`] even without input.
    pub fn deadline(&self) -> Instant {
        // A finished lookup has its result ready now.
        self.pending.as_ref().map_or(self.begun, |pending| pending.until)
    }

    /// Reads the replies that have arrived, and asks the next server if necessary. Never waits. Returns the
    /// addresses once the lookup is over, an empty list if there are none. The first address is the best: of
    /// a family for which this host has a route, and IPv4 if it has routes for both.
    pub fn turn(&mut self, now: Instant) -> Option<Vec<IpAddr>> {
        while let Some(pending) = &mut self.pending {
            let is_gone = pending.listen().is_err() || pending.until <= now;
            if !is_gone && pending.replies.iter().any(Option::is_none) {
                return None;
            }
            self.evaluate(now);
        }
        Some(best_first(&self.found))
    }

    /// Evaluates the replies of the current server: they are complete, or the time is up.
    fn evaluate(&mut self, now: Instant) {
        let Some(Pending { replies, .. }) = self.pending.take() else { return };
        let is_sure = replies.iter().all(|reply| matches!(reply, Some(DnsReply::Addresses(_))));
        self.found.clear();
        for reply in replies {
            if let Some(DnsReply::Addresses(addresses)) = reply {
                self.found.extend(addresses);
            }
        }
        if !self.found.is_empty() {
            return;
        }
        if is_sure {
            self.candidates.pop();
            self.attempts = 0;
        }
        self.ask(now);
    }

    /// Asks the next reachable server; the lookup is over if there is none.
    fn ask(&mut self, now: Instant) {
        let Some(name) = self.candidates.last() else { return };
        while let Some(patience) = ROUNDS.get(self.attempts / self.servers.len()) {
            let server = self.servers[self.attempts % self.servers.len()];
            // A server that does not preserve capitals gets an answer through only in the second round.
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
        let socket = socket_to(None, server)?;
        let ask = |kind| {
            let question = question(name, kind, is_mixed)?;
            socket.send(question.bytes())?;
            Ok::<_, io::Error>(question)
        };
        let questions = [ask(AddressKind::A)?, ask(AddressKind::Aaaa)?];
        Ok(Self { socket, questions, until, replies: [None, None] })
    }

    /// Reads the replies that have arrived; returns an error if the server is unreachable.
    fn listen(&mut self) -> io::Result<()> {
        let mut bytes = [0; LONGEST_ANSWER];
        for _ in 0..ANSWERS_PER_TURN {
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

/// Asks a server for the IPv4 addresses of a name, from an address of this host if one is given. Returns the
/// time that any answer takes; `None` if none comes within two seconds. Waits, so it is only for commands.
pub fn time_of_answer(from: Option<IpAddr>, server: SocketAddr, name: &str) -> Option<Duration> {
    let question = question(name, AddressKind::A, false).ok()?;
    exchange(from, server, question.bytes(), &mut |answer| question.reply(answer).is_some())
}

/// Sends a packet, and waits up to two seconds for a packet that `is_answer` accepts. Returns the time that
/// it takes. See [`socket_to`] for the way of the packets.
pub fn exchange(
    from: Option<IpAddr>,
    to: SocketAddr,
    packet: &[u8],
    is_answer: &mut dyn FnMut(&[u8]) -> bool,
) -> Option<Duration> {
    let socket = socket_to(from, to).ok()?;
    let begun = Instant::now();
    let end = after(begun, PATIENCE);
    socket.send(packet).ok()?;
    let mut bytes = [0; LONGEST_ANSWER];
    while !has_come(end) {
        wait_for_input(&[socket.as_fd()], Some(end)).ok()?;
        // An ICMP error says that nobody is there.
        match socket.recv(&mut bytes) {
            Ok(length) if is_answer(&bytes[..length]) => return Some(begun.elapsed()),
            Err(error) if error.kind() != ErrorKind::WouldBlock => return None,
            _ => {}
        }
    }
    None
}

/// Makes a question with a number of its own.
fn question(name: &str, kind: AddressKind, is_mixed: bool) -> io::Result<DnsQuestion> {
    let capitals = random::flips().map(|flip| flip && is_mixed);
    Ok(DnsQuestion::new(random::bits(), name, kind, capitals).ok_or(ErrorKind::InvalidInput)?)
}

/// Sorts addresses of a family for which this host has a route before other addresses, and in each group IPv4
/// before IPv6.
fn best_first(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let (mut rated, mut best_first) = (Vec::new(), Vec::new());
    for address in addresses {
        let no_way = socket_to(None, (*address, 9).into()).is_err();
        rated.push((no_way, address.is_ipv6(), *address));
    }
    for class in [(false, false), (false, true), (true, false), (true, true)] {
        for (no_way, is_ipv6, address) in &rated {
            if (*no_way, *is_ipv6) == class {
                best_first.push(*address);
            }
        }
    }
    best_first
}

/// Opens a socket on its own port that receives only from this address; returns an error if there is no
/// route. With `from`, an address of this host, packets go the way of that address; otherwise the way of the
/// tunnels' own packets.
pub fn socket_to(from: Option<IpAddr>, address: SocketAddr) -> io::Result<UdpSocket> {
    let any =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { IpAddr::from(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind((from.unwrap_or(any), 0))?;
    if from.is_none() {
        // Only root may set a mark. Without it, questions take the same path as all other traffic.
        let _ = setsockopt(&socket, sockopt::Mark, &TUNNEL_MARK.value);
    }
    socket.set_nonblocking(true)?;
    socket.connect(address)?;
    Ok(socket)
}

/// Reads the text of a file; a missing file, or one that does not belong to the host, counts as empty.
fn read(path: &str) -> String {
    disk::text_or_empty(Path::new(path), FileOrigin::Host)
}

/// Resolves names in parallel; returns the best address of each name that resolves within `limit`. Waits, so
/// it is only for commands that then end.
pub fn resolve(names: &SortedSet<&str>, limit: Duration) -> SortedMap<String, IpAddr> {
    let begin = Instant::now();
    let end = after(begin, limit);
    let mut lookups = Vec::new();
    for name in names {
        lookups.push((*name, Some(Lookup::begin(name, begin))));
    }
    let mut resolved = SortedMap::new();
    loop {
        let now = Instant::now();
        let mut next = Some(end);
        let mut waiting = Vec::new();
        for (name, place) in &mut lookups {
            let Some(lookup) = place else { continue };
            let Some(addresses) = lookup.turn(now) else {
                next = earlier(next, Some(lookup.deadline()));
                continue;
            };
            if let Some(address) = addresses.first() {
                resolved.insert((*name).to_owned(), *address);
            }
            *place = None;
        }
        for (_, lookup) in &lookups {
            waiting.extend(lookup.as_ref().and_then(Lookup::descriptor));
        }
        if waiting.is_empty() || now >= end {
            return resolved;
        }
        // The loop checks all lookups again after any result, and the limit ends it.
        let _ = wait_for_input(&waiting, next);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread;

    use super::*;

    /// Place of the name in the question, after the header.
    const NAME: std::ops::Range<usize> = 12..12 + "a-name-of-many-letters.example.net".len() + 1;

    fn lookup_at(server: &UdpSocket, now: Instant) -> Lookup {
        Lookup {
            candidates: vec!["a-name-of-many-letters.example.net".to_owned()],
            servers: vec![server.local_addr().unwrap()],
            attempts: 0,
            pending: None,
            found: Vec::new(),
            begun: now,
        }
    }

    /// Answers one question without its capitals, with an address if it asks for IPv4; returns the question.
    fn answer(server: &UdpSocket) -> Vec<u8> {
        let mut bytes = [0; LONGEST_ANSWER];
        let (length, client) = server.recv_from(&mut bytes).unwrap();
        let mut answer = bytes[..length].to_vec();
        answer[2] = 0x80;
        answer[NAME].make_ascii_lowercase();
        if answer[length - 3] == 1 {
            answer[7] = 1;
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        }
        server.send_to(&answer, client).unwrap();
        bytes[..length].to_vec()
    }

    #[test]
    fn each_question_has_its_own_number_and_capitals_unless_a_server_does_not_repeat_them() {
        // In the tests' own network namespace, the interface is down at first; elsewhere it is up already.
        let _ = Command::new("ip").args(["link", "set", "lo", "up"]).status();
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let now = Instant::now();
        let mut lookup = lookup_at(&server, now);
        let mut questions = Vec::new();
        let mut answer_both = || questions.extend([answer(&server), answer(&server)]);
        lookup.ask(now);
        answer_both();
        assert_eq!(lookup.turn(now), None, "capitals are missing");
        let later = now + ROUNDS[0];
        assert_eq!(lookup.turn(later), None, "it is asked once more");
        answer_both();
        // The answers may arrive late.
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
