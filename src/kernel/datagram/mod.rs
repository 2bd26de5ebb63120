//! UDP packets with a source that the caller chooses: packets of links from the ports of tunnels, and answers
//! of a helper from the address that a question came to.

mod helper;
mod message;
mod raw;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt};

pub(super) use helper::BoundSocket;
pub(super) use message::sender;
pub(super) use raw::{RawSockets, open_raw_udp, receive_raw_udp};

use crate::state::TUNNEL_MARK;

/// Number of packets that are received before anything else has its turn: any host may send them.
const AT_ONCE: usize = 64;

/// Bytes of packets that may wait. Packets are short and few; a flood of them must not take memory.
const WAITING: usize = 64 << 10;

/// Packet that has come to a port of this host, which need not be the port of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelPacket {
    /// Port of this host.
    pub port: u16,
    /// Sender.
    pub from: SocketAddr,
    /// Payload. It begins with [`crate::nat::packet::MAGIC`].
    pub packet: Vec<u8>,
}

/// Packet that has come to the port of a helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelperPacket {
    /// Sender.
    pub from: SocketAddr,
    /// Address of this host that the packet came to.
    pub to: SocketAddr,
    /// Payload, up to the length of the longest packet of links and more.
    pub packet: Vec<u8>,
}

/// Opens a socket that never waits. Its packets leave through the uplink, as those of tunnels do.
fn open(family: AddressFamily, kind: SockType, protocol: Option<SockProtocol>) -> Result<OwnedFd, Errno> {
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, protocol)?;
    setsockopt(&socket, sockopt::Mark, &TUNNEL_MARK.value)?;
    setsockopt(&socket, sockopt::RcvBuf, &WAITING)?;
    Ok(socket)
}

/// Opens a socket for IPv6; `None` if this kernel has none.
fn open_ipv6(kind: SockType, protocol: Option<SockProtocol>) -> Result<Option<OwnedFd>, Errno> {
    match open(AddressFamily::Inet6, kind, protocol) {
        Err(Errno::EAFNOSUPPORT) => Ok(None),
        socket => socket.map(Some),
    }
}

/// Sets an option that `nix` does not know.
///
/// # Safety
/// The kernel must read no more of `value` than there is, and any pointers in it must be valid.
unsafe fn set_option<T>(socket: &OwnedFd, level: c_int, option: c_int, value: &T) -> Result<(), Errno> {
    let length = size_of::<T>().try_into().unwrap_or_default();
    // SAFETY: the value is as long as the kernel is told, and the caller vouches for its content.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const *value).cast(), length) };
    Errno::result(result).map(drop)
}
