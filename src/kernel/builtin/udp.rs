//! UDP sockets of a tunnel: one for each address family, at the same port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU32;
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage};
use nix::sys::socket::{bind, setsockopt, socket, sockopt};

use crate::base::net::Family;

/// Bytes of messages that may wait at a socket. The kernel's default is room for 90 messages: a transfer at
/// full speed then loses every sixth.
const WAITING: usize = 1 << 20;

/// UDP sockets of a tunnel. They are not connected: a connected socket would keep its source address when the
/// address of the uplink changes.
#[derive(Debug)]
pub(super) struct Sockets {
    v4: UdpSocket,
    /// `None` if this kernel has no IPv6.
    v6: Option<UdpSocket>,
    port: u16,
}

impl Sockets {
    /// Opens sockets at a port; 0 lets the kernel choose one.
    ///
    /// # Errors
    /// EADDRINUSE if another program has the port.
    pub(super) fn open(port: u16, mark: Option<NonZeroU32>) -> Result<Self, Errno> {
        let v4 = bound(Ipv4Addr::UNSPECIFIED.into(), port, mark)?;
        let port = v4.local_addr().map_or(port, |address| address.port());
        let v6 = match bound(Ipv6Addr::UNSPECIFIED.into(), port, mark) {
            Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) => None,
            socket => Some(socket?),
        };
        Ok(Self { v4, v6, port })
    }

    /// Marks the packets of these sockets.
    pub(super) fn mark(&self, mark: Option<NonZeroU32>) -> Result<(), Errno> {
        for socket in [Some(&self.v4), self.v6.as_ref()].into_iter().flatten() {
            set_mark(socket, mark)?;
        }
        Ok(())
    }

    /// Returns the port of these sockets.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the socket of an address family; `None` if this kernel lacks the family.
    pub(super) fn of(&self, family: Family) -> Option<&UdpSocket> {
        match family {
            Family::V4 => Some(&self.v4),
            Family::V6 => self.v6.as_ref(),
        }
    }

    /// Sends a message, or loses it: the network may lose any message as well, and WireGuard repeats what
    /// matters. Queues may be full (EAGAIN, ENOBUFS), firewalls refuse (EPERM), addresses have no route.
    pub(super) fn send(&self, message: &[u8], to: SocketAddr) {
        if let Some(socket) = self.of(Family::of(to.ip())) {
            let _ = socket.send_to(message, to);
        }
    }
}

/// Opens a socket that never waits. It shares its port with sockets that allow it: those of our other
/// tunnels, which may be about to change their ports.
fn bound(address: IpAddr, port: u16, mark: Option<NonZeroU32>) -> Result<UdpSocket, Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = UdpSocket::from(socket(family, SockType::Datagram, flags, None)?);
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    // Only the machine's own root may go beyond the system's limit.
    if setsockopt(&socket, sockopt::RcvBufForce, &WAITING).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &WAITING)?;
    }
    if mark.is_some() {
        set_mark(&socket, mark)?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(address, port)))?;
    Ok(socket)
}

fn set_mark(socket: &UdpSocket, mark: Option<NonZeroU32>) -> Result<(), Errno> {
    setsockopt(socket, sockopt::Mark, &mark.map_or(0, NonZeroU32::get))
}
