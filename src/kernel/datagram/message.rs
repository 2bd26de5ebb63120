//! Calls that receive or send a packet, with the local address in a control message (ip(7), ipv6(7)).
//!
//! The functions of `nix` decode every kind of control message, which is several kilobytes of code. Here is
//! one kind only, in the layout of the kernel: `struct cmsghdr` (a length as wide as a pointer, level, type),
//! and the data directly behind.

// The lengths have another type in musl than in glibc.
#![allow(clippy::useless_conversion)]

use std::io::{IoSlice, IoSliceMut};
use std::mem;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::sys::socket::{SockaddrLike as _, SockaddrStorage};

/// Length of `struct cmsghdr` in bytes. Data behind it needs no padding.
const HEADER: usize = size_of::<usize>() + 2 * size_of::<c_int>();

/// Length of `struct in_pktinfo` in bytes: number of the interface, local address, destination.
const V4: usize = 12;

/// Length of `struct in6_pktinfo` in bytes: local address, number of the interface.
const V6: usize = 20;

/// Length of the longest control message in bytes, up to a multiple of the length of a pointer.
const CONTROL: usize = (HEADER + V6).next_multiple_of(size_of::<usize>());

/// Bytes of a packet that are received. The rest of a longer one is cut off; packets of links, and pieces of
/// network files, are shorter.
pub(super) const ROOM: usize = 1280;

/// Packet in a buffer.
pub(super) struct Received {
    /// Number of bytes, up to [`ROOM`].
    pub(super) length: usize,
    /// Sender. A raw socket does not know the port.
    pub(super) from: SocketAddr,
    /// Address of this host that the packet came to, if the socket tells.
    pub(super) to: Option<IpAddr>,
}

/// Receives a packet, and never waits.
///
/// # Errors
/// EAGAIN if no packet waits.
pub(super) fn receive(socket: &OwnedFd, buffer: &mut [u8; ROOM]) -> Result<Received, Errno> {
    let (mut name, mut control) = ([0; size_of::<libc::sockaddr_in6>()], [0; CONTROL]);
    let mut parts = [IoSliceMut::new(buffer)];
    let mut message = empty();
    message.msg_name = name.as_mut_ptr().cast();
    message.msg_namelen = name.len().try_into().expect("a short name");
    // Both have the layout of `struct iovec`.
    message.msg_iov = parts.as_mut_ptr().cast();
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = control.len().try_into().expect("a short message");
    // SAFETY: all pointers are to buffers of these lengths, which live until the end of the call.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) };
    let length = Errno::result(length)?.try_into().unwrap_or_default();
    Ok(Received { length, from: sender(&name).ok_or(Errno::EPROTO)?, to: local_address(&control) })
}

/// Sends a packet, from an address of this host if one is given. It is of the family of the receiver.
pub(super) fn send(
    socket: &OwnedFd,
    from: Option<IpAddr>,
    to: SocketAddr,
    packet: &[u8],
) -> Result<(), Errno> {
    let name = SockaddrStorage::from(to);
    let mut control = [0; CONTROL];
    let parts = [IoSlice::new(packet)];
    let mut message = empty();
    message.msg_name = name.as_ptr().cast_mut().cast();
    message.msg_namelen = name.len();
    message.msg_iov = parts.as_ptr().cast_mut().cast();
    message.msg_iovlen = 1;
    if let Some(from) = from {
        message.msg_controllen = encode(from, &mut control).try_into().expect("a short message");
        message.msg_control = control.as_mut_ptr().cast();
    }
    // SAFETY: all pointers are to buffers of these lengths, which live until the end of the call. The kernel
    // only reads them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, 0) };
    Errno::result(sent).map(drop)
}

fn empty() -> libc::msghdr {
    // SAFETY: zeros are null pointers and lengths of 0. A literal would need the padding of some C libraries.
    unsafe { mem::zeroed() }
}

/// Decodes `struct sockaddr_in` or `struct sockaddr_in6`.
pub(in crate::kernel) fn sender(name: &[u8; size_of::<libc::sockaddr_in6>()]) -> Option<SocketAddr> {
    let [f, a, p, o, rest @ ..] = *name;
    let port = u16::from_be_bytes([p, o]);
    match c_int::from(u16::from_ne_bytes([f, a])) {
        libc::AF_INET => Some(SocketAddr::new(rest.first_chunk::<4>().copied()?.into(), port)),
        libc::AF_INET6 => {
            let ip = rest.get(4..)?.first_chunk::<16>().copied()?.into();
            let scope = u32::from_ne_bytes(rest.last_chunk().copied()?);
            let from = SocketAddrV6::new(ip, port, 0, scope);
            Some(ip.to_ipv4_mapped().map_or(from.into(), |v4| SocketAddr::new(v4.into(), port)))
        }
        _ => None,
    }
}

/// Decodes the local address of a packet.
fn local_address(control: &[u8; CONTROL]) -> Option<IpAddr> {
    let (header, info) = control.split_first_chunk::<HEADER>()?;
    let kind = header.get(size_of::<usize>()..)?;
    let [level, option] = *kind.as_chunks::<{ size_of::<c_int>() }>().0 else { return None };
    match (c_int::from_ne_bytes(level), c_int::from_ne_bytes(option)) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => Some(info.get(4..)?.first_chunk::<4>().copied()?.into()),
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            Some(IpAddr::from(info.first_chunk::<16>().copied()?).to_canonical())
        }
        _ => None,
    }
}

/// Encodes the local address of a packet to send. Returns the length of the control message.
fn encode(from: IpAddr, control: &mut [u8; CONTROL]) -> usize {
    let (level, option, length) = match from {
        IpAddr::V4(ip) => {
            control[HEADER + 4..][..4].copy_from_slice(&ip.octets());
            (libc::IPPROTO_IP, libc::IP_PKTINFO, HEADER + V4)
        }
        IpAddr::V6(ip) => {
            control[HEADER..][..16].copy_from_slice(&ip.octets());
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, HEADER + V6)
        }
    };
    let (first, rest) = control.split_at_mut(size_of::<usize>());
    first.copy_from_slice(&length.to_ne_bytes());
    rest[..4].copy_from_slice(&level.to_ne_bytes());
    rest[4..8].copy_from_slice(&option.to_ne_bytes());
    length.next_multiple_of(size_of::<usize>())
}
