//! Messages from the network: one call of the kernel hands over many. Where the kernel can, it merges those
//! of one length from one sender into one large message (UDP_GRO, Linux 5.0).

// The lengths have another type in musl than in glibc.
#![allow(clippy::useless_conversion)]

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use nix::libc::{self, c_int};

use super::udp::{UDP_GRO, empty};
use crate::kernel::datagram::sender;

/// Length of the longest message in bytes.
const LONGEST: usize = 1 << 16;

/// Number of messages that come by one call.
const SLOTS: usize = 16;

/// Number of messages that come by one call after one that brought merged ones: each of these holds up to 64.
const SLOTS_OF_MERGED: usize = 2;

/// Distance of two messages in memory. No two begin at the same place of a page: they would push each other
/// out of the processor's cache. Pages that no message has reached take no memory.
const DISTANCE: usize = LONGEST + 1600;

/// A control message with a number, `struct cmsghdr`, as the kernel writes it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Control {
    length: usize,
    level: c_int,
    kind: c_int,
    number: c_int,
}

type Name = [u8; size_of::<libc::sockaddr_in6>()];

/// Messages that came by one call.
pub(super) struct Inbox {
    bytes: [[u8; DISTANCE]; SLOTS],
    names: [Name; SLOTS],
    /// Length of each, and of the messages of which it was merged.
    lengths: [(usize, usize); SLOTS],
    /// Set if the last call brought merged messages.
    has_merged: bool,
}

impl Inbox {
    /// Returns empty room. All its bytes are zeros.
    #[allow(clippy::large_stack_arrays, reason = "the room is a static")]
    pub(super) const fn new() -> Self {
        Self { bytes: [[0; _]; SLOTS], names: [[0; _]; SLOTS], lengths: [(0, 0); SLOTS], has_merged: false }
    }

    /// Receives messages, and never waits. Returns their number, and true if no more of them wait.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> (usize, bool) {
        let most = if self.has_merged { SLOTS_OF_MERGED } else { SLOTS };
        let mut controls = [Control { length: 0, level: 0, kind: 0, number: 0 }; SLOTS];
        let mut parts = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: LONGEST }; SLOTS];
        let mut messages = [empty(); SLOTS];
        for (at, message) in messages.iter_mut().enumerate() {
            parts[at].iov_base = self.bytes[at].as_mut_ptr().cast();
            let header = &mut message.msg_hdr;
            header.msg_name = self.names[at].as_mut_ptr().cast();
            header.msg_namelen = size_of::<Name>().try_into().expect("a short name");
            header.msg_iov = &raw mut parts[at];
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut controls[at]).cast();
            header.msg_controllen = size_of::<Control>().try_into().expect("a short message");
        }
        let time_limit = std::ptr::null_mut::<libc::timespec>();
        // SAFETY: all pointers are to buffers of these lengths, which live until the end of the call. The
        // call of the C library takes another time limit on some machines.
        let number = unsafe {
            libc::syscall(libc::SYS_recvmmsg, socket.as_raw_fd(), messages.as_mut_ptr(), most, 0, time_limit)
        };
        let number = usize::try_from(number).unwrap_or(0);
        self.has_merged = false;
        for (at, message) in messages.iter().enumerate().take(number) {
            let (length, control) = (message.msg_len as usize, controls[at]);
            let is_merged = message.msg_hdr.msg_controllen != 0
                && (control.level, control.kind) == (libc::IPPROTO_UDP, UDP_GRO);
            let size = usize::try_from(control.number).ok().filter(|size| is_merged && *size > 0);
            self.has_merged |= size.is_some_and(|size| size < length);
            self.lengths[at] = (length, size.unwrap_or(LONGEST));
        }
        (number, number < most)
    }

    /// Returns the sender of a message, its bytes, and the length of the messages of which it was merged.
    pub(super) fn get(&self, at: usize) -> Option<(SocketAddr, &[u8], usize)> {
        let (length, size) = self.lengths[at];
        Some((sender(&self.names[at])?, &self.bytes[at][..length.min(LONGEST)], size))
    }
}
