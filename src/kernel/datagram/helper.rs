//! Port of a helper.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockType, SockaddrStorage, bind, setsockopt, sockopt};

use super::HelperPacket;
use super::message::{self, ROOM};
use super::{AT_ONCE, open, open_ipv6};
use crate::nat::ip_of;

/// A UDP socket at all addresses of this host, which tells to which of them a packet came.
#[derive(Debug)]
pub(in crate::kernel) struct BoundSocket {
    socket: OwnedFd,
    port: u16,
    /// Set if the socket is one of IPv6, which takes IPv4 addresses mapped into IPv6.
    is_ipv6: bool,
}

impl BoundSocket {
    /// Opens a socket at a port.
    ///
    /// # Errors
    /// EADDRINUSE if another socket has the port.
    pub(in crate::kernel) fn open(port: u16) -> Result<Self, Errno> {
        let ipv6 = open_ipv6(SockType::Datagram, None)?;
        let is_ipv6 = ipv6.is_some();
        let (socket, any) = if let Some(socket) = ipv6 {
            setsockopt(&socket, sockopt::Ipv6V6Only, &false)?;
            // IPv4 packets tell their mapped address since Linux 3.15.
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            (socket, IpAddr::V6(Ipv6Addr::UNSPECIFIED))
        } else {
            let socket = open(AddressFamily::Inet, SockType::Datagram, None)?;
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
            (socket, IpAddr::V4(Ipv4Addr::UNSPECIFIED))
        };
        bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(any, port)))?;
        Ok(Self { socket, port, is_ipv6 })
    }

    /// Receives waiting packets, a limited number at once, and never waits.
    pub(in crate::kernel) fn receive(&mut self) -> Vec<HelperPacket> {
        let (mut packets, mut buffer) = (Vec::new(), [0; ROOM]);
        for _ in 0..AT_ONCE {
            let Ok(received) = message::receive(&self.socket, &mut buffer) else { break };
            if let Some(to) = received.to {
                packets.push(HelperPacket {
                    from: received.from,
                    to: SocketAddr::new(to, self.port),
                    packet: buffer[..received.length].to_vec(),
                });
            }
        }
        packets
    }

    /// Sends a packet from an address of this host.
    pub(in crate::kernel) fn send(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        packet: &[u8],
    ) -> Result<(), Errno> {
        let mut to = to;
        to.set_ip(self.own_form(ip_of(&to)));
        message::send(&self.socket, Some(self.own_form(ip_of(&from))), to, packet)
    }

    /// Returns an address in the form that the socket takes.
    fn own_form(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(address) if self.is_ipv6 => address.to_ipv6_mapped().into(),
            address => address,
        }
    }
}

impl AsFd for BoundSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
