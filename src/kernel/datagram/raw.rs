//! Packets of links, from and to the ports of tunnels, next to the WireGuard that has these ports.
//!
//! A raw socket for UDP (raw(7)) sends packets from any port, and gets a copy of all UDP packets that come to
//! this host. It sits behind connection tracking and the firewall: it sees the ports of this host, and
//! answers pass a firewall that drops unknown packets. WireGuard gets the packets as well, and drops them,
//! because their first byte is no type of its messages.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::libc::{self, sock_filter, sock_fprog};
use nix::sys::socket::{AddressFamily, SockProtocol, SockType, setsockopt, sockopt};

use super::TunnelPacket;
use super::message::{self, ROOM};
use super::{AT_ONCE, open, open_ipv6, set_option};
use crate::base::net::Family;
use crate::kernel::checksum::checksum;
use crate::kernel::constant::of_16_bits;
use crate::nat::ip_of;
use crate::nat::packet::MAGIC;
use crate::state::TUNNEL_MARK;

/// Length of a UDP header in bytes: both ports, length, checksum (RFC 768).
const HEADER: usize = 8;

/// Offset of the checksum in a UDP header.
const CHECKSUM: libc::c_int = 6;

/// Filter for IPv4 packets with our magic behind the UDP header (classic BPF,
/// Documentation/networking/filter.rst in the kernel). X is the length of the IPv4 header. A packet that is
/// too short ends the filter with 0.
const FILTER: [sock_filter; 5] = [
    instruction(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0, 0),
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_IND, 0, 8),
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, u32::from_be_bytes(MAGIC)),
    instruction(libc::BPF_RET | libc::BPF_K, 0, u32::MAX),
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0),
];

const fn instruction(code: u32, skip_unless: u8, k: u32) -> sock_filter {
    sock_filter { code: of_16_bits(code.cast_signed()), jt: 0, jf: skip_unless, k }
}

/// Raw sockets for UDP.
#[derive(Debug)]
pub(in crate::kernel) struct RawSockets {
    v4: OwnedFd,
    /// `None` if this host has no IPv6.
    v6: Option<OwnedFd>,
}

impl RawSockets {
    /// Opens the sockets.
    pub(in crate::kernel) fn open() -> Result<Self, Errno> {
        let v4 = open(AddressFamily::Inet, SockType::Raw, Some(SockProtocol::Udp))?;
        hear_links_alone(&v4, Family::V4)?;
        let v6 = open_ipv6(SockType::Raw, Some(SockProtocol::Udp))?;
        if let Some(v6) = &v6 {
            hear_links_alone(v6, Family::V6)?;
            // SAFETY: the kernel reads a number.
            unsafe { set_option(v6, libc::IPPROTO_IPV6, libc::IPV6_CHECKSUM, &CHECKSUM)? };
        }
        Ok(Self { v4, v6 })
    }

    /// Adds the descriptors to poll for input.
    pub(in crate::kernel) fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        all.push(self.v4.as_fd());
        if let Some(v6) = &self.v6 {
            all.push(v6.as_fd());
        }
    }

    /// Sends a packet from a port.
    pub(in crate::kernel) fn send(
        &mut self,
        port: u16,
        to: SocketAddr,
        hops: u8,
        packet: &[u8],
    ) -> Result<(), Errno> {
        let mut datagram = header(port, to.port(), packet);
        datagram.extend(packet);
        // The port of a raw socket is the protocol, or 0.
        let receiver = SocketAddr::new(ip_of(&to), 0);
        match to.ip() {
            IpAddr::V4(ip) => {
                let from = source(to).map_err(|error| errno(&error))?;
                let checksum = checksum_of(from, ip, &datagram);
                datagram[6..HEADER].copy_from_slice(&checksum.to_be_bytes());
                setsockopt(&self.v4, sockopt::Ipv4Ttl, &hops.into())?;
                message::send(&self.v4, Some(from.into()), receiver, &datagram)
            }
            // The kernel fills in the checksum.
            IpAddr::V6(_) => {
                let socket = self.v6.as_ref().ok_or(Errno::EAFNOSUPPORT)?;
                setsockopt(socket, sockopt::Ipv6Ttl, &hops.into())?;
                message::send(socket, None, receiver, &datagram)
            }
        }
    }

    /// Receives waiting packets, a limited number at once, and never waits.
    pub(in crate::kernel) fn receive(&mut self) -> Vec<TunnelPacket> {
        let (mut packets, mut buffer) = (Vec::new(), [0; ROOM]);
        for (family, socket) in [(Family::V4, Some(&self.v4)), (Family::V6, self.v6.as_ref())] {
            let Some(socket) = socket else { continue };
            for _ in 0..AT_ONCE {
                let Ok(received) = message::receive(socket, &mut buffer) else { break };
                if let Some(packet) = decode(family, ip_of(&received.from), &buffer[..received.length]) {
                    packets.push(packet);
                }
            }
        }
        packets
    }
}

/// Lets only packets of links in: each packet of a tunnel would wake the agent. Packets that came before the
/// filter was in force are dropped by [`decode`].
fn hear_links_alone(socket: &OwnedFd, family: Family) -> Result<(), Errno> {
    // The header of IPv6 is not part of the packet, and X begins as 0.
    let mut filter = match family {
        Family::V4 => FILTER.to_vec(),
        Family::V6 => FILTER[1..].to_vec(),
    };
    let program =
        sock_fprog { len: filter.len().try_into().unwrap_or_default(), filter: filter.as_mut_ptr() };
    // SAFETY: the kernel reads the program, and as many instructions as it tells.
    unsafe { set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program) }
}

/// Opens a raw socket that gets all UDP packets that come to this host by IPv4.
pub(in crate::kernel) fn open_raw_udp() -> Result<OwnedFd, Errno> {
    open(AddressFamily::Inet, SockType::Raw, Some(SockProtocol::Udp))
}

/// Receives a packet from such a socket, and never waits: the port that it came to, its sender and its
/// payload.
pub(in crate::kernel) fn receive_raw_udp(socket: &OwnedFd) -> Option<TunnelPacket> {
    let mut buffer = [0; ROOM];
    let received = message::receive(socket, &mut buffer).ok()?;
    let packet = buffer.get(..received.length)?;
    let unfit = TunnelPacket { port: 0, from: received.from, packet: Vec::new() };
    Some(split(Family::V4, ip_of(&received.from), packet).unwrap_or(unfit))
}

/// Returns the UDP header of a packet, without its checksum.
fn header(from: u16, to: u16, packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER + packet.len()).unwrap_or(u16::MAX);
    [from, to, length, 0].map(u16::to_be_bytes).concat()
}

/// Returns the address from which this host's packets to another one leave.
fn source(to: SocketAddr) -> std::io::Result<Ipv4Addr> {
    let socket = UdpSocket::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0))?;
    setsockopt(&socket, sockopt::Mark, &TUNNEL_MARK.value)?;
    socket.connect(to)?;
    match socket.local_addr()?.ip() {
        IpAddr::V4(ip) => Ok(ip),
        IpAddr::V6(_) => Err(Errno::EAFNOSUPPORT.into()),
    }
}

fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// Returns the checksum of a UDP packet over IPv4: over a header of both addresses, the protocol and the
/// length as well (RFC 768).
pub(super) fn checksum_of(from: Ipv4Addr, to: Ipv4Addr, datagram: &[u8]) -> u16 {
    let length = u16::try_from(datagram.len()).unwrap_or_default().to_be_bytes();
    let protocol = [0, 17];
    let summed = [&from.octets()[..], &to.octets(), &protocol, &length, datagram].concat();
    // A sum of 0 is sent as its other form, because 0 means "no checksum".
    match checksum(&summed) {
        0 => u16::MAX,
        checksum => checksum,
    }
}

/// Decodes a packet of a link as a raw socket gets it.
pub(super) fn decode(family: Family, from: IpAddr, packet: &[u8]) -> Option<TunnelPacket> {
    split(family, from, packet).filter(|packet| packet.packet.starts_with(&MAGIC))
}

/// Splits a packet as a raw socket gets it into the port that it came to, its sender and its payload: an IPv4
/// packet with its header, whose length in words is in the lower half of the first byte, and an IPv6 packet
/// without it.
fn split(family: Family, from: IpAddr, packet: &[u8]) -> Option<TunnelPacket> {
    let skipped = match family {
        Family::V4 => usize::from(packet.first()? & 0xf) * 4,
        Family::V6 => 0,
    };
    let (&[s, p, d, t, ..], payload) = packet.get(skipped..)?.split_first_chunk::<HEADER>()?;
    let (from_port, port) = (u16::from_be_bytes([s, p]), u16::from_be_bytes([d, t]));
    Some(TunnelPacket { port, from: SocketAddr::new(from, from_port), packet: payload.to_vec() })
}
