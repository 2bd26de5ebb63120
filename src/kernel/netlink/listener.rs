//! Sockets that report changes: multicast groups of netlink.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use netlink_sys::{Socket, SocketAddr};
use nix::libc::MSG_DONTWAIT;

/// Socket that reports changes, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub(in crate::kernel) struct Listener(Socket);

/// Result of an attempt to receive.
pub(in crate::kernel) enum Received {
    /// Messages came in.
    Messages,
    /// The socket has no message waiting.
    Nothing,
    /// Messages were lost (ENOBUFS). The kernel says so once.
    Lost,
}

impl Listener {
    /// Opens a socket for a protocol, and joins its multicast groups.
    pub(in crate::kernel) fn open(protocol: isize, groups: &[u32]) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        groups.iter().try_for_each(|group| socket.add_membership(*group))?;
        Ok(Self(socket))
    }

    /// Returns the descriptor to poll for input.
    pub(in crate::kernel) fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: the socket is open for as long as `self` is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }

    /// Receives waiting messages into `buffer`, in place of its content, up to its capacity. Never waits.
    pub(in crate::kernel) fn hear(&self, buffer: &mut Vec<u8>) -> Received {
        buffer.clear();
        match self.0.recv(buffer, MSG_DONTWAIT) {
            Ok(_) => Received::Messages,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Received::Nothing,
            Err(_) => Received::Lost,
        }
    }
}
