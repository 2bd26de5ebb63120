//! Capture of the packets that leave through an interface: proves that none leaked.

use std::fmt;
use std::io::{self, PipeReader, PipeWriter, pipe};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, socket};

use super::namespace::Namespace;
use crate::base::error::{Context as _, Result};
use crate::system::threads::spawn;

/// Capture of the packets that leave through an interface, from its start to its end.
#[derive(Debug)]
pub struct Capture {
    stop: PipeWriter,
    thread: JoinHandle<()>,
    /// Packets that the thread has seen, once it has ended.
    seen: Arc<Mutex<io::Result<Vec<Packet>>>>,
}

/// Headers of a captured packet, and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Protocol number: 1 ICMP, 6 TCP, 17 UDP, 58 ICMPv6. Extension headers of IPv6 are not followed.
    pub protocol: u8,
    /// Source and destination port of TCP and UDP.
    pub ports: Option<(u16, u16)>,
    /// Type of an ICMP or ICMPv6 message.
    pub icmp_type: Option<u8>,
    /// First bytes of the payload of UDP, if it has as many.
    pub payload: Option<[u8; 4]>,
    /// Length in bytes, without the header of the link.
    pub length: usize,
    /// Time since the start of the capture.
    pub at: Duration,
}

impl Packet {
    /// Reports whether this is a packet of WireGuard: a handshake, or data.
    pub fn is_wireguard(&self) -> bool {
        matches!(self.payload, Some([1..=4, 0, 0, 0]))
    }

    /// Reports whether this is IPv6's neighbour discovery (RFC 4861), which hosts on a link do by themselves.
    pub fn is_neighbour_discovery(&self) -> bool {
        self.protocol == 58 && matches!(self.icmp_type, Some(133..=137))
    }
}

impl Capture {
    /// Starts to capture packets that leave through an interface.
    pub fn start(namespace: &Namespace, interface: &str) -> Result<Self> {
        let (stopped, stop) = pipe().context(|| "cannot make a pipe".to_owned())?;
        let (index, socket) = namespace.run(|| {
            open(interface).context(|| format!("cannot watch {interface} of {}", namespace.name()))
        })?;
        let seen = Arc::new(Mutex::new(Ok(Vec::new())));
        let end = seen.clone();
        let thread = spawn(Box::new(move || {
            let packets = note_until_closed(&socket, index, &stopped);
            *end.lock().expect("nobody panics") = packets;
        }));
        Ok(Self { stop, thread, seen })
    }

    /// Ends the capture, and returns the packets that left, in order.
    pub fn stop(self) -> Result<Vec<Packet>> {
        drop(self.stop);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        std::mem::replace(&mut *self.seen.lock().expect("nobody panics"), Ok(Vec::new()))
            .context(|| "cannot read the packets that passed the interface".to_owned())
    }
}

fn open(interface: &str) -> nix::Result<(usize, OwnedFd)> {
    let index = if_nametoindex(interface)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    // Packets of a datagram socket come without their link-layer header.
    let socket = socket(AddressFamily::Packet, SockType::Datagram, flags, SockProtocol::EthAll)?;
    Ok((index as usize, socket))
}

/// Reads packets until the other end of `stopped` is closed and no packet waits.
fn note_until_closed(socket: &OwnedFd, index: usize, stopped: &PipeReader) -> io::Result<Vec<Packet>> {
    let start = Instant::now();
    let mut packets = Vec::new();
    loop {
        let mut waiting =
            [PollFd::new(socket.as_fd(), PollFlags::POLLIN), PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
        poll(&mut waiting, PollTimeout::NONE)?;
        let last = waiting[1].any() == Some(true);
        read_waiting(socket, index, start, &mut packets)?;
        if last {
            return Ok(packets);
        }
    }
}

fn read_waiting(
    socket: &OwnedFd,
    index: usize,
    start: Instant,
    packets: &mut Vec<Packet>,
) -> nix::Result<()> {
    let mut bytes = [0; 128];
    loop {
        match recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut bytes) {
            // PACKET_OUTGOING (linux/if_packet.h)
            Ok((length, Some(from))) if from.ifindex() == index && from.pkttype() == 4 => {
                packets.extend(parse(&bytes[..length], start.elapsed()));
            }
            // ENETDOWN: an interface went down; the capture on other interfaces goes on.
            Ok(_) | Err(Errno::ENETDOWN | Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}

/// Parses the headers of an IP packet. Returns `None` for anything else, such as ARP.
fn parse(bytes: &[u8], at: Duration) -> Option<Packet> {
    let (source, destination, protocol, header): (IpAddr, IpAddr, u8, usize) = match bytes.first()? >> 4 {
        4 => (
            Ipv4Addr::from(array::<4>(bytes, 12)?).into(),
            Ipv4Addr::from(array::<4>(bytes, 16)?).into(),
            *bytes.get(9)?,
            usize::from(bytes[0] & 15) * 4,
        ),
        6 => (
            Ipv6Addr::from(array::<16>(bytes, 8)?).into(),
            Ipv6Addr::from(array::<16>(bytes, 24)?).into(),
            *bytes.get(6)?,
            40,
        ),
        _ => return None,
    };
    let number = |offset| array(bytes, offset).map(u16::from_be_bytes);
    let port = |offset| number(header + offset);
    let length = if source.is_ipv4() { usize::from(number(2)?) } else { header + usize::from(number(4)?) };
    let ports = if matches!(protocol, 6 | 17) { port(0).zip(port(2)) } else { None };
    let icmp_type = if matches!(protocol, 1 | 58) { bytes.get(header).copied() } else { None };
    let payload = if protocol == 17 { array(bytes, header + 8) } else { None };
    Some(Packet { source, destination, protocol, ports, icmp_type, payload, length, at })
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, destination, protocol, ports, .. } = self;
        match protocol {
            1 | 58 => f.write_str("ICMP ")?,
            6 => f.write_str("TCP ")?,
            17 => f.write_str("UDP ")?,
            other => write!(f, "protocol {other} ")?,
        }
        match ports {
            Some((from, to)) => {
                write!(
                    f,
                    "{} to {}",
                    SocketAddr::from((*source, *from)),
                    SocketAddr::from((*destination, *to))
                )
            }
            None => write!(f, "{source} to {destination}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_described() {
        let mut bytes = vec![0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 77, 1, 70, 198, 18, 0, 10];
        bytes.extend([0x82, 0x9a, 0, 53, 0, 12, 0, 0]);
        let packet = parse(&bytes, Duration::ZERO).unwrap();
        assert_eq!(packet.to_string(), "UDP 10.77.1.70:33434 to 198.18.0.10:53");
        assert_eq!(packet.length, 32);
        assert_eq!((packet.payload, parse(&bytes[..21], Duration::ZERO).unwrap().ports), (None, None));
        bytes.extend([1, 0, 0, 0]);
        assert_eq!(parse(&bytes, Duration::ZERO).unwrap().payload, Some([1, 0, 0, 0]));
        assert_eq!(parse(&bytes[..19], Duration::ZERO), None);
    }

    #[test]
    fn a_ping_over_ipv6_is_described() {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 8, 58, 64];
        bytes.extend("fd77::1".parse::<Ipv6Addr>().unwrap().octets());
        bytes.extend("2001:db8::10".parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!(parse(&bytes, Duration::ZERO).unwrap().to_string(), "ICMP fd77::1 to 2001:db8::10");
    }
}
