//! ICMP echo (RFC 792, and RFC 4443 for IPv6) through one interface, to find out whether the other end of a
//! tunnel answers.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, recvfrom, sendto,
    setsockopt, socket, sockopt,
};

use crate::base::net::{Family, IfName, Mark};
use crate::base::random;
use crate::kernel::checksum::checksum;

/// Bytes of a question or an answer without data: type, code, checksum, identifier, sequence number.
const LENGTH: usize = 8;

/// Number of packets that are received before anything else has its turn: any host may send them.
const AT_ONCE: usize = 100;

/// Socket option with the types of ICMP messages that a raw socket does not get, one bit each. Its number is
/// the same for IPv4 (linux/icmp.h) and for IPv6 (linux/icmpv6.h).
const ICMP_FILTER: libc::c_int = 1;

/// Path of echo requests and of their answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EchoPath {
    /// Interface that the requests leave by, and that the answers come in by.
    pub interface: IfName,
    /// Address of the interface, which is the source of the requests.
    pub from: IpAddr,
    /// Address that is asked, of the same family.
    pub to: IpAddr,
    /// Mark of the requests. IPv6 needs a route out of the interface, to which policy rules may lead marked
    /// packets only.
    pub mark: Option<Mark>,
}

/// A socket for questions to one address, out of one interface, and for the answers that come in there.
#[derive(Debug)]
pub struct Echo {
    socket: OwnedFd,
    to: IpAddr,
    identifier: u16,
    sequence: u16,
}

impl Echo {
    /// Opens a socket for questions. They leave by the interface of the path: IPv4 regardless of the routes,
    /// and IPv6 if a route leads there.
    pub fn open(path: &EchoPath) -> Result<Self, Errno> {
        let (domain, protocol) = match Family::of(path.to) {
            Family::V4 => (AddressFamily::Inet, SockProtocol::Icmp),
            Family::V6 => (AddressFamily::Inet6, SockProtocol::IcmpV6),
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(domain, SockType::Raw, flags, protocol)?;
        setsockopt(&socket, sockopt::BindToDevice, &path.interface.as_str().into())?;
        if let Some(mark) = path.mark {
            setsockopt(&socket, sockopt::Mark, &mark.value)?;
        }
        bind(socket.as_raw_fd(), &socket_address(path.from))?;
        hear_answers_alone(&socket, Family::of(path.to))?;
        // The identifier tells our answers from answers to `ping`.
        let identifier = random::bits();
        Ok(Self { socket, to: path.to, identifier, sequence: 0 })
    }

    /// Sends one question.
    pub fn ask(&mut self) -> Result<(), Errno> {
        self.ask_in(0).map(drop)
    }

    /// Sends one question in a packet of that many bytes, or of the shortest possible length, and returns the
    /// number of the question. The answer is as long.
    pub fn ask_in(&mut self, bytes: usize) -> Result<u16, Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let family = Family::of(self.to);
        let length = bytes.saturating_sub(header(family));
        let question = question(family, self.identifier, self.sequence, length);
        let to = socket_address(self.to);
        sendto(self.socket.as_raw_fd(), &question, &to, MsgFlags::empty()).map(|_| self.sequence)
    }

    /// Receives all waiting packets, and never waits. Returns the numbers of the questions that were
    /// answered.
    pub fn answers(&mut self) -> Vec<u16> {
        // Bytes beyond the buffer are of no interest.
        let mut packet = [0; 128];
        let mut answered = Vec::new();
        for _ in 0..AT_ONCE {
            let Ok((length, from)) = recvfrom::<SockaddrStorage>(self.socket.as_raw_fd(), &mut packet) else {
                break;
            };
            if from.as_ref().and_then(address_of) == Some(self.to) {
                let message = message(Family::of(self.to), &packet[..length]);
                answered.extend(
                    message.and_then(|message| answer(message, Family::of(self.to), self.identifier)),
                );
            }
        }
        answered
    }
}

impl AsFd for Echo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn socket_address(address: IpAddr) -> SockaddrStorage {
    SocketAddr::new(address, 0).into()
}

fn address_of(from: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = from.as_sockaddr_in().map(|from| from.ip().into());
    v4.or_else(|| from.as_sockaddr_in6().map(|from| from.ip().into()))
}

/// Returns the types of ICMP messages of a family: echo request and echo reply (RFC 792, RFC 4443 § 4).
fn types(family: Family) -> (u8, u8) {
    match family {
        Family::V4 => (8, 0),
        Family::V6 => (128, 129),
    }
}

/// Returns the number of bytes of a header without options.
fn header(family: Family) -> usize {
    match family {
        Family::V4 => 20,
        Family::V6 => 40,
    }
}

/// Filters out all messages except answers: each question from another host would wake the agent. IPv6
/// neighbours would do so as well.
fn hear_answers_alone(socket: &OwnedFd, family: Family) -> Result<(), Errno> {
    let (_, answer) = types(family);
    let mut filtered_out = [u32::MAX; 8];
    filtered_out[usize::from(answer / 32)] &= !(1 << (answer % 32));
    // IPv4 has one number, for the types up to 31.
    let (level, numbers) = match family {
        Family::V4 => (libc::SOL_RAW, 1),
        Family::V6 => (libc::IPPROTO_ICMPV6, filtered_out.len()),
    };
    let length = size_of::<u32>() * numbers;
    // SAFETY: the kernel reads `length` bytes of the numbers, which are not more than there are, during the
    // call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            ICMP_FILTER,
            filtered_out.as_ptr().cast(),
            length.try_into().unwrap_or_default(),
        )
    };
    Errno::result(result).map(drop)
}

/// Returns a question of that many bytes, or of the shortest possible length.
fn question(family: Family, identifier: u16, sequence: u16, length: usize) -> Vec<u8> {
    let (request, _) = types(family);
    let [i, d] = identifier.to_be_bytes();
    let [s, q] = sequence.to_be_bytes();
    let mut message = vec![request, 0, 0, 0, i, d, s, q];
    message.resize(length.max(LENGTH), 0);
    // The kernel fills in the checksum of ICMPv6 (RFC 3542 § 3.1).
    if family == Family::V4 {
        let checksum = checksum(&message);
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
    message
}

/// Returns the ICMP message in a packet. A raw socket gets IPv4 packets with their header, whose length in
/// words is in the lower half of the first byte, and IPv6 packets without it.
fn message(family: Family, packet: &[u8]) -> Option<&[u8]> {
    match family {
        Family::V4 => packet.get(usize::from(packet.first()? & 0xf) * 4..),
        Family::V6 => Some(packet),
    }
}

/// Returns the number of the question that a message answers.
fn answer(message: &[u8], family: Family, identifier: u16) -> Option<u16> {
    let (_, reply) = types(family);
    let [kind, 0, _, _, i, d, s, q, ..] = *message else { return None };
    (kind == reply && [i, d] == identifier.to_be_bytes()).then_some(u16::from_be_bytes([s, q]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_as_rfc_792_says() {
        // `ping -c 1 -s 0` with this identifier, as tcpdump shows it: the sum of all words with the checksum
        // is all ones.
        assert_eq!(question(Family::V4, 0x1234, 7, 0), [8, 0, 0xe5, 0xc4, 0x12, 0x34, 0, 7]);
        let long = question(Family::V4, 0x1234, 7, 1252);
        assert_eq!((long.len(), &long[..8]), (1252, &[8, 0, 0xe5, 0xc4, 0x12, 0x34, 0, 7][..]));
        assert_eq!(question(Family::V6, 0x1234, 7, 9), [128, 0, 0, 0, 0x12, 0x34, 0, 7, 0]);
    }

    #[test]
    fn only_an_answer_to_us_counts() {
        let header = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 77, 2, 1, 10, 77, 1, 1];
        for (family, header, reply, request) in
            [(Family::V4, &header[..], 0, 8), (Family::V6, &[][..], 129, 128)]
        {
            let number = |packet: &[u8], identifier| answer(message(family, packet)?, family, identifier);
            let mut packet = header.to_vec();
            packet.extend([reply, 0, 0, 0, 0x12, 0x34, 0, 7]);
            assert_eq!(number(&packet, 0x1234), Some(7));
            assert_eq!(number(&packet, 0x1235), None, "somebody else's");
            packet[header.len()] = request;
            assert_eq!(number(&packet, 0x1234), None, "a question");
            packet[header.len()] = reply;
            for length in 0..packet.len() {
                assert_eq!(number(&packet[..length], 0x1234), None);
            }
        }
    }
}
