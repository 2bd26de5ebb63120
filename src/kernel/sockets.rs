//! Sockets of a long-running caller, which keeps them open and polls their descriptors. They are traits, so
//! that a test can bring its own.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd};

use nix::errno::Errno;

use super::datagram::{BoundSocket, RawSockets};
pub use super::datagram::{HelperPacket, TunnelPacket};
use super::echo::Echo;
use super::neighbour::{Neighbour, NeighbourSocket};
use super::netlink_monitor::NetlinkMonitor;

/// Subscription to the changes of links, addresses, routes, rules and the firewall.
pub trait ChangeMonitor {
    /// Adds the descriptors to poll for input.
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>);

    /// Discards all waiting news: the caller looks at the machine itself.
    fn forget(&mut self);

    /// Returns the author of the last change by another process since the last call, as far as the kernel
    /// tells.
    fn take_culprit(&mut self) -> Option<String>;
}

/// Subscription to the devices that show up on our links.
pub trait NeighbourMonitor: fmt::Debug {
    /// Returns the descriptor to poll for input.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Receives all waiting news, and never waits; `None` if some news were lost.
    fn hear(&self) -> Option<Vec<Neighbour>>;
}

/// Echo requests to one address, out of one interface, and the answers.
pub trait EchoSocket: fmt::Debug {
    /// Returns the descriptor that has input when an answer has come.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Sends one request of the smallest size.
    fn ask(&mut self) -> Result<(), Errno>;

    /// Sends one request in a packet of that many bytes, and returns its number. The answer is as long.
    fn ask_in(&mut self, bytes: usize) -> Result<u16, Errno>;

    /// Receives all waiting packets, and never waits. Returns the numbers of the requests that were answered.
    fn answers(&mut self) -> Vec<u16>;
}

/// Packets of links (see [`crate::nat::packet`]), which leave from the ports of tunnels, and come in there.
pub trait TunnelPackets: fmt::Debug {
    /// Adds the descriptors to poll for input.
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>);

    /// Sends a packet from the port of a tunnel. Routers on the way drop it after this number of hops.
    ///
    /// # Errors
    /// If there is no route, or if this host lacks the family.
    fn send(&mut self, port: u16, to: SocketAddr, hops: u8, packet: &[u8]) -> Result<(), Errno>;

    /// Receives waiting packets, a limited number at once, and never waits.
    fn receive(&mut self) -> Vec<TunnelPacket>;
}

/// Port of a helper, at all addresses of this host.
pub trait HelperSocket: fmt::Debug {
    /// Returns the descriptor to poll for input.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Receives waiting packets, a limited number at once, and never waits.
    fn receive(&mut self) -> Vec<HelperPacket>;

    /// Sends a packet from an address of this host, and the port of this socket.
    ///
    /// # Errors
    /// If this host no longer has the address, or if there is no route.
    fn send(&mut self, from: SocketAddr, to: SocketAddr, packet: &[u8]) -> Result<(), Errno>;
}

impl ChangeMonitor for NetlinkMonitor {
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        self.descriptors(all);
    }

    fn forget(&mut self) {
        self.forget();
    }

    fn take_culprit(&mut self) -> Option<String> {
        self.take_culprit()
    }
}

impl NeighbourMonitor for NeighbourSocket {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor()
    }

    fn hear(&self) -> Option<Vec<Neighbour>> {
        self.hear()
    }
}

impl EchoSocket for Echo {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }

    fn ask(&mut self) -> Result<(), Errno> {
        self.ask()
    }

    fn ask_in(&mut self, bytes: usize) -> Result<u16, Errno> {
        self.ask_in(bytes)
    }

    fn answers(&mut self) -> Vec<u16> {
        self.answers()
    }
}

impl TunnelPackets for RawSockets {
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        self.descriptors(all);
    }

    fn send(&mut self, port: u16, to: SocketAddr, hops: u8, packet: &[u8]) -> Result<(), Errno> {
        self.send(port, to, hops, packet)
    }

    fn receive(&mut self) -> Vec<TunnelPacket> {
        self.receive()
    }
}

impl HelperSocket for BoundSocket {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }

    fn receive(&mut self) -> Vec<HelperPacket> {
        self.receive()
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, packet: &[u8]) -> Result<(), Errno> {
        self.send(from, to, packet)
    }
}
