//! News from the kernel: something about links, addresses, routes, rules or the firewall has changed.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use netlink_sys::{
    Socket, SocketAddr,
    protocols::{NETLINK_NETFILTER, NETLINK_ROUTE},
};
use nix::libc::MSG_DONTWAIT;

use crate::error::{Context as _, Result};

/// Multicast groups of rtnetlink (linux/rtnetlink.h): links, and addresses, routes and rules of both families.
const ROUTING_GROUPS: [u32; 7] = [1, 5, 7, 8, 9, 11, 19];

/// NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h).
const NFTABLES_GROUP: u32 = 7;

/// Sockets that hear of every change.
#[derive(Debug)]
pub struct News {
    sockets: [Socket; 2],
}

impl News {
    /// Listens from now on, in the network namespace of this thread.
    pub fn open() -> Result<Self> {
        Ok(Self {
            sockets: [listen(NETLINK_ROUTE, &ROUTING_GROUPS)?, listen(NETLINK_NETFILTER, &[NFTABLES_GROUP])?],
        })
    }

    /// What to poll for input.
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        // SAFETY: the sockets are open for as long as `self` is borrowed.
        self.sockets.each_ref().map(|socket| unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) })
    }

    /// Forgets what has come in: whoever asks looks at the machine itself. That also makes overruns (ENOBUFS) harmless.
    pub fn forget(&mut self) {
        let mut buffer = Vec::with_capacity(1 << 15);
        for socket in &self.sockets {
            loop {
                buffer.clear();
                // Other errors (ENOBUFS) are told once, behind what was lost; the next call goes on.
                let received = socket.recv(&mut buffer, MSG_DONTWAIT);
                if received.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
                    break;
                }
            }
        }
    }
}

fn listen(protocol: isize, groups: &[u32]) -> Result<Socket> {
    let doing = || "cannot listen to changes in the kernel".to_owned();
    let mut socket = Socket::new(protocol).doing(doing)?;
    socket.bind(&SocketAddr::new(0, 0)).doing(doing)?;
    for group in groups {
        socket.add_membership(*group).doing(doing)?;
    }
    Ok(socket)
}
