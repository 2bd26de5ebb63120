//! ICMP echo (RFC 792) through one interface: whether the other end of a tunnel answers.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, bind, recv, sendto, setsockopt,
    socket, sockopt,
};

use crate::net::IfName;
use crate::random;

/// Types of ICMP messages.
const ANSWER: u8 = 0;
const QUESTION: u8 = 8;

/// Bytes of a question or an answer without data: type, code, checksum, identifier, sequence number.
const LENGTH: usize = 8;

/// The socket option that says which types of ICMP messages are kept from a raw socket, one bit each (linux/icmp.h).
const ICMP_FILTER: libc::c_int = 1;

/// Questions to one address, out of one interface, and the answers that come in there.
#[derive(Debug)]
pub struct Echo {
    socket: OwnedFd,
    to: SockaddrIn,
    identifier: u16,
    sequence: u16,
}

impl Echo {
    /// Gets ready to ask `to`, out of `interface` whatever the routes say, under the address `from` of that interface.
    pub fn open(interface: &IfName, from: Ipv4Addr, to: Ipv4Addr) -> Result<Self, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Icmp)?;
        setsockopt(&socket, sockopt::BindToDevice, &interface.as_str().into())?;
        bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(from, 0)))?;
        hear_answers_alone(&socket)?;
        // Tells our answers from those to `ping`.
        let identifier = random::bits();
        Ok(Self { socket, to: SocketAddrV4::new(to, 0).into(), identifier, sequence: 0 })
    }

    /// Sends something through a tunnel, so that a handshake begins at once. If it cannot be sent, a keepalive does it later.
    pub fn knock(interface: &IfName, from: IpAddr, to: IpAddr) {
        if let (IpAddr::V4(from), IpAddr::V4(to)) = (from, to) {
            let _ = Self::open(interface, from, to).and_then(|mut echo| echo.ask());
        }
    }

    /// Asks once.
    pub fn ask(&mut self) -> Result<(), Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let question = question(self.identifier, self.sequence);
        sendto(self.socket.as_raw_fd(), &question, &self.to, MsgFlags::empty()).map(drop)
    }

    /// Takes what has come in, and never waits; whether an answer was among it.
    pub fn is_answered(&mut self) -> bool {
        let mut packet = [0; 128];
        let mut answered = false;
        while let Ok(length) = recv(self.socket.as_raw_fd(), &mut packet, MsgFlags::empty()) {
            answered |= is_answer(&packet[..length], self.to.ip(), self.identifier);
        }
        answered
    }
}

impl AsFd for Echo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What others ask us would wake us up each time.
fn hear_answers_alone(socket: &OwnedFd) -> Result<(), Errno> {
    let kept_away: u32 = !(1 << ANSWER);
    // SAFETY: the kernel reads the four bytes of the number during the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_RAW,
            ICMP_FILTER,
            (&raw const kept_away).cast(),
            size_of_val(&kept_away).try_into().unwrap_or_default(),
        )
    };
    Errno::result(result).map(drop)
}

fn question(identifier: u16, sequence: u16) -> [u8; LENGTH] {
    let [i, d] = identifier.to_be_bytes();
    let [s, q] = sequence.to_be_bytes();
    let mut message = [QUESTION, 0, 0, 0, i, d, s, q];
    let checksum = checksum(message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// The ones' complement of the ones' complement sum of all 16-bit words (RFC 1071).
fn checksum(message: [u8; LENGTH]) -> u16 {
    let words = message.as_chunks::<2>().0.iter().map(|word| u32::from(u16::from_be_bytes(*word)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or_default()
}

/// A raw socket gets packets with their IPv4 header, whose length in words is in the lower half of the first byte, and the source
/// at byte 12.
fn is_answer(packet: &[u8], from: Ipv4Addr, identifier: u16) -> bool {
    let header = packet.first().map_or(0, |first| usize::from(first & 0xf) * 4);
    let (Some(source), Some(message)) = (packet.get(12..16), packet.get(header..)) else { return false };
    source == from.octets()
        && matches!(message, [ANSWER, 0, _, _, i, d, ..] if [*i, *d] == identifier.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_as_rfc_792_says() {
        // `ping -c 1 -s 0` with this identifier, as tcpdump shows it: the sum of all words with the checksum is all ones.
        let message = question(0x1234, 7);
        assert_eq!(message, [8, 0, 0xe5, 0xc4, 0x12, 0x34, 0, 7]);
    }

    #[test]
    fn only_an_answer_to_us_counts() {
        let from = Ipv4Addr::new(10, 77, 2, 1);
        let mut packet = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 77, 2, 1, 10, 77, 1, 1].to_vec();
        packet.extend([ANSWER, 0, 0, 0, 0x12, 0x34, 0, 7]);
        assert!(is_answer(&packet, from, 0x1234));
        assert!(!is_answer(&packet, from, 0x1235), "somebody else's");
        assert!(!is_answer(&packet, Ipv4Addr::new(10, 77, 3, 1), 0x1234), "from somewhere else");
        packet[20] = QUESTION;
        assert!(!is_answer(&packet, from, 0x1234), "a question");
        for length in 0..packet.len() {
            assert!(!is_answer(&packet[..length], from, 0x1234));
        }
    }
}
