//! Two hosts on one link.
//!
//! ```text
//! near: 192.0.2.1, 192.0.2.9 ── 192.0.2.12 :far
//!       2001:db8::1, ::8001     2001:db8::12
//! ```

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use wg_portals::kernel::Kernel as _;
use wg_portals::kernel::linux::Linux;
use wg_portals::kernel::sockets::{HelperPacket, HelperSocket, TunnelPacket, TunnelPackets};
use wg_portals::nat::packet::MAGIC;

use crate::namespace::{inside, ip};

/// Port of a tunnel.
pub(crate) const PORT: u16 = 51820;

/// Port at the other host, of a helper or of another site.
pub(crate) const FAR_PORT: u16 = 52075;

pub(crate) const NEAR: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
pub(crate) const SECOND: [&str; 2] = ["192.0.2.9", "2001:db8::8001"];
pub(crate) const FAR: [&str; 2] = ["192.0.2.12", "2001:db8::12"];

/// Runs a test in the near namespace.
pub(crate) fn between_two(test: impl FnOnce() + Send + 'static) {
    inside(|| {
        ip("netns add far");
        ip("link add wan type veth peer name wan netns far");
        // The first IPv4 address and the last IPv6 address are the usual sources.
        for address in [NEAR[0], SECOND[0], SECOND[1], NEAR[1]] {
            ip(&format!("address add {address}/{} dev wan {}", length(address), nodad(address)));
        }
        for address in FAR {
            ip(&format!("-n far address add {address}/{} dev wan {}", length(address), nodad(address)));
        }
        ip("link set wan up");
        ip("-n far link set wan up");
        ip("-n far link set lo up");
        test();
    });
}

fn length(address: &str) -> u8 {
    if address.contains(':') { 64 } else { 24 }
}

fn nodad(address: &str) -> &'static str {
    if address.contains(':') { "nodad" } else { "" }
}

/// Does something in the far namespace.
pub(crate) fn far<T>(work: impl FnOnce() -> T) -> T {
    within("far", work)
}

/// Does something in another namespace. Sockets that are opened there stay there.
pub(crate) fn within<T>(namespace: &str, work: impl FnOnce() -> T) -> T {
    let here = File::open("/proc/thread-self/ns/net").unwrap();
    let there = File::open(format!("/run/netns/{namespace}")).unwrap();
    setns(there, CloneFlags::CLONE_NEWNET).unwrap();
    let result = work();
    setns(here, CloneFlags::CLONE_NEWNET).unwrap();
    result
}

pub(crate) fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

/// Time limit on a packet that comes.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) fn far_socket(address: &str) -> UdpSocket {
    let socket = far(|| UdpSocket::bind(at(address, FAR_PORT)).unwrap());
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket
}

/// Returns a packet of a link: the magic, and this content.
pub(crate) fn packet(content: &str) -> Vec<u8> {
    [&MAGIC, content.as_bytes()].concat()
}

pub(crate) fn received(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2000];
    let (length, from) = socket.recv_from(&mut buffer).expect("a packet within the limit");
    (buffer[..length].to_vec(), from)
}

pub(crate) fn has_input(descriptors: &[BorrowedFd], milliseconds: u16) -> bool {
    let mut polled: Vec<_> = descriptors.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    poll(&mut polled, PollTimeout::from(milliseconds)).unwrap() > 0
}

pub(crate) fn descriptors(sockets: &dyn TunnelPackets) -> Vec<BorrowedFd<'_>> {
    let mut descriptors = Vec::new();
    sockets.descriptors(&mut descriptors);
    descriptors
}

/// Receives the packets that have come, or come within a second.
pub(crate) fn heard(sockets: &mut dyn TunnelPackets) -> Vec<TunnelPacket> {
    assert!(has_input(&descriptors(sockets), 1000), "a packet comes in");
    sockets.receive()
}

pub(crate) fn asked(socket: &mut dyn HelperSocket) -> Vec<HelperPacket> {
    assert!(has_input(&[socket.descriptor()], 1000), "a packet comes in");
    socket.receive()
}

pub(crate) fn tunnel_packets() -> Box<dyn TunnelPackets> {
    Linux::open().unwrap().tunnel_packets().unwrap()
}
