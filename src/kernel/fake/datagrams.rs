//! Packets of links and of helpers. Nothing carries them: a test takes those that were sent, and delivers
//! others.

use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

use super::sockets::{pair, waiting, wake};
use crate::base::sorted::SortedMap;
use crate::kernel::sockets::{HelperPacket, HelperSocket, TunnelPacket, TunnelPackets};

/// UDP packets of a fake machine. All clones are one.
#[derive(Debug, Clone, Default)]
pub struct FakeDatagrams(Arc<Mutex<Datagrams>>);

#[derive(Debug, Default)]
struct Datagrams {
    sent_by_tunnels: Vec<SentPacket>,
    sent_by_helper: Vec<HelperPacket>,
    at_tunnels: Vec<TunnelPacket>,
    at_helper: SortedMap<u16, Vec<HelperPacket>>,
    /// Far end of the socket at the tunnels, while it is open.
    tunnels: Option<UnixStream>,
    /// Far ends of the open sockets of the helper, by port.
    helper: SortedMap<u16, UnixStream>,
}

/// Packet that was sent from the port of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentPacket {
    /// Port of this host.
    pub port: u16,
    /// Receiver.
    pub to: SocketAddr,
    /// Number of hops.
    pub hops: u8,
    /// Payload.
    pub packet: Vec<u8>,
}

impl FakeDatagrams {
    /// Takes the packets that were sent from ports of tunnels since the last call.
    pub fn take_sent_by_tunnels(&self) -> Vec<SentPacket> {
        mem::take(&mut self.look().sent_by_tunnels)
    }

    /// Takes the packets that were sent from ports of the helper since the last call: `from` is the address
    /// of this host.
    pub fn take_sent_by_helper(&self) -> Vec<HelperPacket> {
        mem::take(&mut self.look().sent_by_helper)
    }

    /// Delivers a packet at the port of a tunnel. It is lost if nobody listens. Reports whether somebody
    /// does.
    pub fn deliver_to_tunnel(&self, packet: TunnelPacket) -> bool {
        let mut datagrams = self.look();
        let is_open = datagrams.tunnels.as_ref().is_some_and(wake);
        if is_open {
            datagrams.at_tunnels.push(packet);
        }
        is_open
    }

    /// Delivers a packet at a port of the helper. It is lost if nobody listens. Reports whether somebody
    /// does.
    pub fn deliver_to_helper(&self, packet: HelperPacket) -> bool {
        let mut datagrams = self.look();
        let port = packet.to.port();
        let is_open = datagrams.helper.get(&port).is_some_and(wake);
        if is_open {
            datagrams.at_helper.get_or_default(port).push(packet);
        }
        is_open
    }

    /// Returns the ports at which the helper listens.
    pub fn helper_ports(&self) -> Vec<u16> {
        self.look().helper.keys().copied().collect()
    }

    pub(super) fn open_at_tunnels(&self) -> Result<Box<dyn TunnelPackets>, Errno> {
        let (near, far) = open()?;
        self.look().tunnels = Some(far);
        Ok(Box::new(FakeTunnelPackets { near, datagrams: self.clone() }))
    }

    pub(super) fn open_at(&self, port: u16) -> Result<Box<dyn HelperSocket>, Errno> {
        let (near, far) = open()?;
        let mut datagrams = self.look();
        if datagrams.helper.contains_key(&port) {
            return Err(Errno::EADDRINUSE);
        }
        datagrams.helper.insert(port, far);
        Ok(Box::new(FakeHelperSocket { near, port, datagrams: self.clone() }))
    }

    fn look(&self) -> MutexGuard<'_, Datagrams> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open() -> Result<(UnixStream, UnixStream), Errno> {
    pair().map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or_default()))
}

#[derive(Debug)]
struct FakeTunnelPackets {
    near: UnixStream,
    datagrams: FakeDatagrams,
}

impl TunnelPackets for FakeTunnelPackets {
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        all.push(self.near.as_fd());
    }

    fn send(&mut self, port: u16, to: SocketAddr, hops: u8, packet: &[u8]) -> Result<(), Errno> {
        let packet = packet.to_vec();
        self.datagrams.look().sent_by_tunnels.push(SentPacket { port, to, hops, packet });
        Ok(())
    }

    fn receive(&mut self) -> Vec<TunnelPacket> {
        drop(waiting(&self.near));
        mem::take(&mut self.datagrams.look().at_tunnels)
    }
}

impl Drop for FakeTunnelPackets {
    fn drop(&mut self) {
        let mut datagrams = self.datagrams.look();
        (datagrams.tunnels, datagrams.at_tunnels) = (None, Vec::new());
    }
}

#[derive(Debug)]
struct FakeHelperSocket {
    near: UnixStream,
    port: u16,
    datagrams: FakeDatagrams,
}

impl HelperSocket for FakeHelperSocket {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.near.as_fd()
    }

    fn receive(&mut self) -> Vec<HelperPacket> {
        drop(waiting(&self.near));
        self.datagrams.look().at_helper.remove(&self.port).unwrap_or_default()
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, packet: &[u8]) -> Result<(), Errno> {
        let packet = packet.to_vec();
        self.datagrams.look().sent_by_helper.push(HelperPacket { from, to, packet });
        Ok(())
    }
}

impl Drop for FakeHelperSocket {
    fn drop(&mut self) {
        let mut datagrams = self.datagrams.look();
        datagrams.helper.remove(&self.port);
        datagrams.at_helper.remove(&self.port);
    }
}
