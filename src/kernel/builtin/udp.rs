//! UDP sockets of a tunnel: one for each address family, at the same port.

// The lengths have another type in musl than in glibc.
#![allow(clippy::useless_conversion)]

use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU32;
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrLike as _, SockaddrStorage};
use nix::sys::socket::{bind, socket};

use crate::base::net::Family;

/// Options of UDP sockets (linux/udp.h).
const UDP_SEGMENT: c_int = 103;
pub(super) const UDP_GRO: c_int = 104;

/// Number of calls for which messages are not sent as runs, after the kernel could not: the way out has no
/// offload of checksums (EIO), or takes no messages of this length in one piece (EINVAL). Routes change.
const PAUSE: u32 = 10_000;

/// Bytes of messages that may wait at a socket, in each direction. The kernel's default is room for 90
/// messages: a transfer at full speed then loses every sixth. A large message that finds no room is lost as a
/// whole.
const WAITING: c_int = 1 << 20;

/// Most runs that leave by one call.
pub(super) const RUNS: usize = 32;

/// Messages to one address, in one piece of memory. All are of one length; the last may be shorter.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// Receiver.
    pub(super) to: SocketAddr,
    /// Length of a message.
    pub(super) size: usize,
    /// Place of the first message.
    pub(super) start: usize,
    /// End of the last message.
    pub(super) end: usize,
}

/// UDP sockets of a tunnel. They are not connected: a connected socket would keep its source address when the
/// address of the uplink changes.
#[derive(Debug)]
pub(super) struct Sockets {
    v4: UdpSocket,
    /// `None` if this kernel has no IPv6.
    v6: Option<UdpSocket>,
    port: u16,
    /// Set if the kernel splits runs of messages.
    splits: bool,
    /// Number of calls until it is asked again to do so.
    pause: u32,
}

/// A control message with the length of the messages of a run, `struct cmsghdr`, padded as the kernel pads.
#[repr(C)]
#[derive(Clone, Copy)]
struct Control {
    length: usize,
    level: c_int,
    kind: c_int,
    size: u16,
    padding: [u8; size_of::<usize>() - 2],
}

impl Sockets {
    /// Opens sockets at a port; 0 lets the kernel choose one. `batches` lets the kernel split and merge
    /// messages, if it can.
    ///
    /// # Errors
    /// EADDRINUSE if another program has the port.
    pub(super) fn open(port: u16, mark: Option<NonZeroU32>, batches: bool) -> Result<Self, Errno> {
        let v4 = bound(Ipv4Addr::UNSPECIFIED.into(), port, mark)?;
        let port = v4.local_addr().map_or(port, |address| address.port());
        let v6 = match bound(Ipv6Addr::UNSPECIFIED.into(), port, mark) {
            Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) => None,
            socket => Some(socket?),
        };
        // Old kernels would send a run as one message.
        let splits = batches && set(&v4, libc::IPPROTO_UDP, UDP_SEGMENT, 0).is_ok();
        for socket in [Some(&v4), v6.as_ref()].into_iter().flatten().filter(|_| batches) {
            let _ = set(socket, libc::IPPROTO_UDP, UDP_GRO, 1);
        }
        Ok(Self { v4, v6, port, splits, pause: 0 })
    }

    /// Reports whether the kernel splits runs of messages.
    pub(super) fn splits(&self) -> bool {
        self.splits && self.pause == 0
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

    /// Sends messages, or loses them: the network may lose any message as well, and WireGuard repeats what
    /// matters. Queues may be full (EAGAIN, ENOBUFS), firewalls refuse (EPERM), addresses have no route.
    pub(super) fn send(&mut self, mut runs: &[Run], bytes: &[u8]) {
        self.pause = self.pause.saturating_sub(1);
        while let Some(first) = runs.first() {
            let family = Family::of(first.to.ip());
            let of_family = runs.iter().take_while(|run| Family::of(run.to.ip()) == family).count();
            let Some(socket) = self.of(family) else {
                runs = &runs[of_family..];
                continue;
            };
            match send_all(socket, &runs[..of_family], bytes) {
                Ok(sent) => runs = &runs[sent.max(1)..],
                Err(error) => {
                    let is_refused = matches!(error, Errno::EIO | Errno::EINVAL | Errno::EMSGSIZE);
                    if first.end - first.start > first.size && is_refused {
                        for start in (first.start..first.end).step_by(first.size) {
                            let end = first.end.min(start + first.size);
                            let _ = send_all(socket, &[Run { start, end, ..*first }], bytes);
                        }
                        self.pause = PAUSE;
                    }
                    runs = &runs[1..];
                }
            }
        }
    }
}

/// Sends as many runs as the socket takes, at most [`RUNS`], and returns their number.
///
/// # Errors
/// If it does not take the first one.
fn send_all(socket: &UdpSocket, runs: &[Run], bytes: &[u8]) -> Result<usize, Errno> {
    // Only the entries of these runs are written: most calls have one.
    let mut names = [const { MaybeUninit::<SockaddrStorage>::uninit() }; RUNS];
    let mut controls = [const { MaybeUninit::<Control>::uninit() }; RUNS];
    let mut parts = [const { MaybeUninit::<libc::iovec>::uninit() }; RUNS];
    let mut messages = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; RUNS];
    for (at, run) in runs.iter().take(RUNS).enumerate() {
        let (start, length) = (bytes[run.start..run.end].as_ptr(), run.end - run.start);
        let name = names[at].write(run.to.into());
        let header = &mut messages[at].write(empty()).msg_hdr;
        header.msg_name = name.as_ptr().cast_mut().cast();
        header.msg_namelen = name.len();
        header.msg_iov = parts[at].write(libc::iovec { iov_base: start.cast_mut().cast(), iov_len: length });
        header.msg_iovlen = 1;
        if length > run.size {
            let control = controls[at].write(Control {
                length: std::mem::offset_of!(Control, padding),
                level: libc::IPPROTO_UDP,
                kind: UDP_SEGMENT,
                size: u16::try_from(run.size).unwrap_or(u16::MAX),
                padding: [0; _],
            });
            header.msg_control = (&raw mut *control).cast();
            header.msg_controllen = size_of::<Control>().try_into().expect("a short message");
        }
    }
    let number = runs.len().min(RUNS);
    // SAFETY: that many messages were written above. All pointers are to buffers of these lengths, which live
    // until the end of the call. The kernel only reads them, except for the lengths of messages. The call of
    // musl is a loop.
    let sent =
        unsafe { libc::syscall(libc::SYS_sendmmsg, socket.as_raw_fd(), messages.as_mut_ptr(), number, 0) };
    Errno::result(sent).map(|sent| usize::try_from(sent).unwrap_or(0))
}

/// Returns a message without content, in the layout of the kernel: where a field of the C library is
/// narrower, the padding behind it is zero.
pub(super) fn empty() -> libc::mmsghdr {
    // SAFETY: zeros are null pointers and lengths of 0.
    unsafe { std::mem::zeroed() }
}

/// Opens a socket that never waits. It shares its port with sockets that allow it: those of our other
/// tunnels, which may be about to change their ports.
fn bound(address: IpAddr, port: u16, mark: Option<NonZeroU32>) -> Result<UdpSocket, Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = UdpSocket::from(socket(family, SockType::Datagram, flags, None)?);
    set(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    if address.is_ipv6() {
        set(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    }
    for (forced, limited) in
        [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)]
    {
        // Only the machine's own root may go beyond the system's limit.
        if set(&socket, libc::SOL_SOCKET, forced, WAITING).is_err() {
            set(&socket, libc::SOL_SOCKET, limited, WAITING)?;
        }
    }
    if mark.is_some() {
        set_mark(&socket, mark)?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(address, port)))?;
    Ok(socket)
}

fn set_mark(socket: &UdpSocket, mark: Option<NonZeroU32>) -> Result<(), Errno> {
    set(socket, libc::SOL_SOCKET, libc::SO_MARK, mark.map_or(0, NonZeroU32::get).cast_signed())
}

/// Sets an option that is a number. One function for all types takes less room than one for each.
fn set(socket: &UdpSocket, level: c_int, option: c_int, number: c_int) -> Result<(), Errno> {
    let length = size_of::<c_int>().try_into().unwrap_or_default();
    // SAFETY: the kernel reads a number of that length.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const number).cast(), length) };
    Errno::result(result).map(drop)
}
