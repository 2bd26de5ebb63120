//! News from the kernel: something about links, addresses, routes, rules or the firewall has changed.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use netlink_sys::{
    Socket, SocketAddr,
    protocols::{NETLINK_NETFILTER, NETLINK_ROUTE},
};
use nix::libc::{MSG_DONTWAIT, O_NONBLOCK};

use super::nfnetlink::{Message, messages};
use super::refusal::NOT_ALLOWED;
use crate::base::error::{Error, Result};
use crate::system::disk::kernel_text;

/// Multicast groups of rtnetlink (linux/rtnetlink.h): links, and addresses, routes and rules of both families.
const ROUTING_GROUPS: [u32; 7] = [1, 5, 7, 8, 9, 11, 19];

/// NFNLGRP_NFTABLES (linux/netfilter/nfnetlink.h).
const NFTABLES_GROUP: u32 = 7;

/// NFT_MSG_NEWGEN with NFNL_SUBSYS_NFTABLES in the upper byte; NFTA_GEN_PROC_PID and NFTA_GEN_PROC_NAME.
const NEW_GENERATION: u16 = 10 << 8 | 0xf;
const GENERATION_PROCESS: u16 = 2;
const GENERATION_NAME: u16 = 3;

/// So many messages are taken before anything else has its turn.
const AT_ONCE: usize = 1000;

/// Readable whenever a radio is switched off or on (Documentation/driver-api/rfkill.rst). The interface of one that comes on stays down,
/// of which rtnetlink has nothing to tell.
const SWITCHES: &str = "/dev/rfkill";

/// Sockets that hear of every change.
#[derive(Debug)]
pub struct News {
    sockets: [Socket; 2],
    /// None where the kernel knows no radios.
    switches: Option<File>,
    culprit: Option<String>,
}

impl News {
    /// Listens from now on, in the network namespace of this thread.
    pub fn open() -> Result<Self> {
        Ok(Self {
            sockets: [listen(NETLINK_ROUTE, &ROUTING_GROUPS)?, listen(NETLINK_NETFILTER, &[NFTABLES_GROUP])?],
            switches: File::options().read(true).custom_flags(O_NONBLOCK).open(SWITCHES).ok(),
            culprit: None,
        })
    }

    /// What to poll for input.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        // SAFETY: the sockets are open for as long as `self` is borrowed.
        let sockets = self.sockets.iter().map(|socket| unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) });
        sockets.chain(self.switches.as_ref().map(File::as_fd))
    }

    /// Who made the last change that another process made since this was last asked, as far as the kernel tells.
    pub fn take_culprit(&mut self) -> Option<String> {
        self.culprit.take()
    }

    /// Forgets what has come in: whoever asks looks at the machine itself. That also makes overruns (ENOBUFS) harmless.
    pub fn forget(&mut self) {
        let mut buffer = Vec::with_capacity(1 << 15);
        for socket in &self.sockets {
            // What comes in faster than this wakes the caller again.
            for _ in 0..AT_ONCE {
                buffer.clear();
                // Other errors (ENOBUFS) are told once, behind what was lost; the next call goes on.
                let received = socket.recv(&mut buffer, MSG_DONTWAIT);
                if received.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                    break;
                }
                self.culprit = culprit(&buffer).or(self.culprit.take());
            }
        }
        if let Some(mut switches) = self.switches.as_ref() {
            // One event at a time; of those nothing is needed.
            let mut next = || switches.read(&mut [0; 16]).is_ok_and(|length| length > 0);
            (0..AT_ONCE).all(|_| next());
        }
    }
}

/// Who made the last change that another process made, as far as the kernel tells: `nft (process 1234)`.
fn culprit(news: &[u8]) -> Option<String> {
    let own = std::process::id();
    let (process, name) = messages(news).filter_map(author).filter(|(process, _)| *process != own).last()?;
    let comm = || kernel_text(format!("/proc/{process}/comm")).ok();
    Some(match name.map(str::to_owned).or_else(comm) {
        Some(name) => format!("{} (process {process})", name.trim_end()),
        None => format!("process {process}"),
    })
}

/// nftables tells number and name of the process behind a new generation; rtnetlink only the port of its socket, which is the
/// number of the process for the first socket that a process opens, and beyond all processes for the others.
fn author(message: Message<'_>) -> Option<(u32, Option<&str>)> {
    if message.kind == NEW_GENERATION {
        let attributes = message.attributes();
        return Some((attributes.number(GENERATION_PROCESS)?, attributes.text(GENERATION_NAME)));
    }
    (1..=i32::MAX.cast_unsigned()).contains(&message.port).then_some((message.port, None))
}

/// The kernel tells of nftables only whoever may change it, so that an agent without permission learns it here, before
/// anything is begun.
fn listen(protocol: isize, groups: &[u32]) -> Result<Socket> {
    let listen = || {
        let mut socket = Socket::new(protocol)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        groups.iter().try_for_each(|group| socket.add_membership(*group))?;
        Ok(socket)
    };
    listen().map_err(|error: io::Error| {
        let hint = if error.kind() == io::ErrorKind::PermissionDenied { NOT_ALLOWED } else { "" };
        Error::failed(format!("cannot listen to changes in the kernel{hint}")).because(error)
    })
}
