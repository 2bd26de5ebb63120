//! ICMP echo (RFC 792) through one interface, to find out whether the other end of a tunnel answers.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, bind, recv, sendto, setsockopt,
    socket, sockopt,
};

use crate::base::net::IfName;
use crate::base::random;

/// Types of ICMP messages: echo reply and echo request (RFC 792).
const ANSWER: u8 = 0;
const QUESTION: u8 = 8;

/// Bytes of a question or an answer without data: type, code, checksum, identifier, sequence number.
const LENGTH: usize = 8;

/// Bytes of an IPv4 header without options.
const HEADER: usize = 20;

/// Number of packets that are received before anything else has its turn: any host may send them.
const AT_ONCE: usize = 100;

/// Socket option with the types of ICMP messages that a raw socket does not get, one bit each (linux/icmp.h).
const ICMP_FILTER: libc::c_int = 1;

/// A socket for questions to one address, out of one interface, and for the answers that come in there.
#[derive(Debug)]
pub struct Echo {
    socket: OwnedFd,
    to: SockaddrIn,
    identifier: u16,
    sequence: u16,
}

impl Echo {
    /// Opens a socket for questions to `to`, out of `interface` regardless of the routes, from the
    /// interface's address `from`.
    pub fn open(interface: &IfName, from: Ipv4Addr, to: Ipv4Addr) -> Result<Self, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Icmp)?;
        setsockopt(&socket, sockopt::BindToDevice, &interface.as_str().into())?;
        bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(from, 0)))?;
        hear_answers_alone(&socket)?;
        // The identifier tells our answers from answers to `ping`.
        let identifier = random::bits();
        Ok(Self { socket, to: SocketAddrV4::new(to, 0).into(), identifier, sequence: 0 })
    }

    /// Sends one question.
    pub fn ask(&mut self) -> Result<(), Errno> {
        self.ask_in(HEADER + LENGTH).map(drop)
    }

    /// Sends one question in a packet of that many bytes, and returns the number of the question. The answer
    /// is as long.
    pub fn ask_in(&mut self, bytes: usize) -> Result<u16, Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let question = question(self.identifier, self.sequence, bytes.saturating_sub(HEADER));
        sendto(self.socket.as_raw_fd(), &question, &self.to, MsgFlags::empty()).map(|_| self.sequence)
    }

    /// Receives all waiting packets, and never waits. Returns the numbers of the questions that were
    /// answered.
    pub fn answers(&mut self) -> Vec<u16> {
        // Bytes beyond the buffer are of no interest.
        let mut packet = [0; 128];
        let mut answered = Vec::new();
        for _ in 0..AT_ONCE {
            let Ok(length) = recv(self.socket.as_raw_fd(), &mut packet, MsgFlags::empty()) else { break };
            answered.extend(answer(&packet[..length], self.to.ip(), self.identifier));
        }
        answered
    }
}

impl AsFd for Echo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Filters out all messages except answers: each question from another host would wake the agent.
fn hear_answers_alone(socket: &OwnedFd) -> Result<(), Errno> {
    let filtered_out: u32 = !(1 << ANSWER);
    // SAFETY: the kernel reads the four bytes of the number during the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_RAW,
            ICMP_FILTER,
            (&raw const filtered_out).cast(),
            size_of_val(&filtered_out).try_into().unwrap_or_default(),
        )
    };
    Errno::result(result).map(drop)
}

/// Returns a question of that many bytes, or of the shortest possible length.
fn question(identifier: u16, sequence: u16, length: usize) -> Vec<u8> {
    let [i, d] = identifier.to_be_bytes();
    let [s, q] = sequence.to_be_bytes();
    let mut message = vec![QUESTION, 0, 0, 0, i, d, s, q];
    message.resize(length.max(LENGTH), 0);
    let checksum = checksum(&message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// Returns the ones' complement of the ones' complement sum of all 16-bit words (RFC 1071). A last byte
/// without a partner does not count: it is zero in our messages.
fn checksum(message: &[u8]) -> u16 {
    let words = message.as_chunks::<2>().0.iter().map(|word| u32::from(u16::from_be_bytes(*word)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or_default()
}

/// Returns the number of the question that a packet answers. A raw socket gets packets with their IPv4
/// header: its length in words is in the lower half of the first byte, and the source at byte 12.
fn answer(packet: &[u8], from: Ipv4Addr, identifier: u16) -> Option<u16> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let (source, message) = (packet.get(12..16)?, packet.get(header..)?);
    let [ANSWER, 0, _, _, i, d, s, q, ..] = *message else { return None };
    (source == from.octets() && [i, d] == identifier.to_be_bytes()).then_some(u16::from_be_bytes([s, q]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_as_rfc_792_says() {
        // `ping -c 1 -s 0` with this identifier, as tcpdump shows it: the sum of all words with the checksum
        // is all ones.
        assert_eq!(question(0x1234, 7, 0), [8, 0, 0xe5, 0xc4, 0x12, 0x34, 0, 7]);
        let long = question(0x1234, 7, 1252);
        assert_eq!((long.len(), &long[..8]), (1252, &[8, 0, 0xe5, 0xc4, 0x12, 0x34, 0, 7][..]));
    }

    #[test]
    fn only_an_answer_to_us_counts() {
        let from = Ipv4Addr::new(10, 77, 2, 1);
        let mut packet = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 77, 2, 1, 10, 77, 1, 1].to_vec();
        packet.extend([ANSWER, 0, 0, 0, 0x12, 0x34, 0, 7]);
        assert_eq!(answer(&packet, from, 0x1234), Some(7));
        assert_eq!(answer(&packet, from, 0x1235), None, "somebody else's");
        assert_eq!(answer(&packet, Ipv4Addr::new(10, 77, 3, 1), 0x1234), None, "from somewhere else");
        packet[20] = QUESTION;
        assert_eq!(answer(&packet, from, 0x1234), None, "a question");
        for length in 0..packet.len() {
            assert_eq!(answer(&packet[..length], from, 0x1234), None);
        }
    }
}
