//! News from the kernel: something about links, addresses, routes, rules or the firewall has changed.

use std::fs;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use netlink_sys::{
    Socket, SocketAddr,
    protocols::{NETLINK_NETFILTER, NETLINK_ROUTE},
};
use nix::libc::MSG_DONTWAIT;

use super::nfnetlink::{Message, messages};
use crate::error::{Context as _, Result};

/// Multicast groups of rtnetlink (linux/rtnetlink.h): links, and addresses, routes and rules of both families.
const ROUTING_GROUPS: [u32; 7] = [1, 5, 7, 8, 9, 11, 19];

/// NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h).
const NFTABLES_GROUP: u32 = 7;

/// NFT_MSG_NEWGEN with NFNL_SUBSYS_NFTABLES in the upper byte.
const NEW_GENERATION: u16 = 10 << 8 | 0xf;

/// Sockets that hear of every change.
#[derive(Debug)]
pub struct News {
    sockets: [Socket; 2],
    culprit: Option<String>,
}

impl News {
    /// Listens from now on, in the network namespace of this thread.
    pub fn open() -> Result<Self> {
        Ok(Self {
            sockets: [listen(NETLINK_ROUTE, &ROUTING_GROUPS)?, listen(NETLINK_NETFILTER, &[NFTABLES_GROUP])?],
            culprit: None,
        })
    }

    /// What to poll for input.
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        // SAFETY: the sockets are open for as long as `self` is borrowed.
        self.sockets.each_ref().map(|socket| unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) })
    }

    /// Who made the last change that another process made, as far as the kernel tells.
    pub fn culprit(&self) -> Option<&str> {
        self.culprit.as_deref()
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
                self.culprit = culprit(&buffer).or(self.culprit.take());
            }
        }
    }
}

/// Who made the last change that another process made, as far as the kernel tells: `nft (process 1234)`.
fn culprit(news: &[u8]) -> Option<String> {
    let (name, process) =
        messages(news).filter_map(author).filter(|(_, process)| *process != own()).last()?;
    Some(match name {
        Some(name) => format!("{name} (process {process})"),
        None => format!("process {process}"),
    })
}

fn own() -> u32 {
    std::process::id()
}

/// nftables names the process behind a new generation (NFTA_GEN_PROC_PID and _NAME); rtnetlink only the port of its socket, which is
/// the number of the process for the first socket that a process opens, and beyond all processes for the others.
fn author(message: Message) -> Option<(Option<String>, u32)> {
    if message.kind == NEW_GENERATION {
        let attributes = message.attributes();
        return Some((attributes.text(3).map(str::to_owned), attributes.number(2)?));
    }
    let process = message.port;
    let name = fs::read_to_string(format!("/proc/{process}/comm")).ok();
    (1..=i32::MAX.cast_unsigned())
        .contains(&process)
        .then(|| (name.map(|name| name.trim_end().to_owned()), process))
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
