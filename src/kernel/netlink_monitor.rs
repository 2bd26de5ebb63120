//! News from the kernel: changes of links, addresses, routes, rules and the firewall.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use nix::libc::{self, O_NONBLOCK};

use super::netlink::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use super::netlink::{Frame, Listener, Received, frames};
use super::nfnetlink::attributes;
use super::nftables::call::NEW_GENERATION;
use super::step_errors::NOT_ALLOWED;
use crate::base::error::{Error, Result};
use crate::system::disk::kernel_text;

/// Multicast groups of rtnetlink: links, and addresses, routes and rules of both families.
const ROUTING_GROUPS: [u32; 7] = [
    libc::RTNLGRP_LINK,
    libc::RTNLGRP_IPV4_IFADDR,
    libc::RTNLGRP_IPV4_ROUTE,
    libc::RTNLGRP_IPV4_RULE,
    libc::RTNLGRP_IPV6_IFADDR,
    libc::RTNLGRP_IPV6_ROUTE,
    libc::RTNLGRP_IPV6_RULE,
];

/// Multicast group of nfnetlink for nftables.
const NFTABLES_GROUP: u32 = libc::NFNLGRP_NFTABLES.cast_unsigned();

/// Attributes of a new generation of nftables: NFTA_GEN_PROC_PID and NFTA_GEN_PROC_NAME.
const GENERATION_PROCESS: u16 = 2;
const GENERATION_NAME: u16 = 3;

/// Number of messages that are received before anything else has its turn.
const AT_ONCE: usize = 1000;

/// Bytes of one `struct rfkill_event_ext` and more (linux/rfkill.h).
const SWITCH_EVENT: usize = 16;

/// File that is readable whenever a radio is switched off or on (Documentation/driver-api/rfkill.rst). The
/// interface of a radio that comes on stays down, so rtnetlink has nothing to report.
const SWITCHES: &str = "/dev/rfkill";

/// Sockets that report every change.
#[derive(Debug)]
pub struct NetlinkMonitor {
    listeners: [Listener; 2],
    /// File of radio switches; `None` where the kernel knows no radios.
    switches: Option<File>,
    culprit: Option<String>,
}

impl NetlinkMonitor {
    /// Begins to listen, in the network namespace of this thread.
    pub fn open() -> Result<Self> {
        Ok(Self {
            listeners: [
                listen(NETLINK_ROUTE, &ROUTING_GROUPS)?,
                listen(NETLINK_NETFILTER, &[NFTABLES_GROUP])?,
            ],
            switches: File::options().read(true).custom_flags(O_NONBLOCK).open(SWITCHES).ok(),
            culprit: None,
        })
    }

    /// Adds the descriptors to poll for input.
    pub fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        for listener in &self.listeners {
            all.push(listener.descriptor());
        }
        all.extend(self.switches.as_ref().map(File::as_fd));
    }

    /// Returns the author of the last change by another process since the last call, as far as the kernel
    /// tells.
    pub fn take_culprit(&mut self) -> Option<String> {
        self.culprit.take()
    }

    /// Discards all waiting news: the caller looks at the machine itself. That also makes overruns (ENOBUFS)
    /// harmless.
    pub fn forget(&mut self) {
        let mut buffer = Vec::with_capacity(1 << 15);
        for listener in &self.listeners {
            // News that come in faster than this loop wake the caller again.
            for _ in 0..AT_ONCE {
                match listener.hear(&mut buffer) {
                    Received::Messages => self.culprit = culprit(&buffer).or(self.culprit.take()),
                    Received::Nothing => break,
                    Received::Lost => {}
                }
            }
        }
        if let Some(mut switches) = self.switches.as_ref() {
            // The file returns one event at a time, none of which is needed.
            let mut next = || switches.read(&mut [0; SWITCH_EVENT]).is_ok_and(|length| length > 0);
            (0..AT_ONCE).all(|_| next());
        }
    }
}

/// Returns the author of the last change by another process, as far as the kernel tells: `nft (process
/// 1234)`.
fn culprit(news: &[u8]) -> Option<String> {
    let own = std::process::id();
    let others = frames(news).filter_map(|frame| author(&frame)).filter(|(process, _)| *process != own);
    let (process, name) = others.last()?;
    let comm = || kernel_text(format!("/proc/{process}/comm")).ok();
    Some(match name.map(str::to_owned).or_else(comm) {
        Some(name) => format!("{} (process {process})", name.trim_end()),
        None => format!("process {process}"),
    })
}

/// Returns the process that caused a message, and its name.
///
/// nftables reports number and name of the process behind a new generation. rtnetlink reports only the port
/// of its socket: the number of the process for the first socket that a process opens, and a number beyond
/// all processes for the others.
fn author<'a>(frame: &Frame<'a>) -> Option<(u32, Option<&'a str>)> {
    if frame.kind == NEW_GENERATION {
        let attributes = attributes(frame.payload);
        return Some((attributes.number(GENERATION_PROCESS)?, attributes.text(GENERATION_NAME)));
    }
    (1..=i32::MAX.cast_unsigned()).contains(&frame.port).then_some((frame.port, None))
}

/// Joins multicast groups. The kernel reports changes of nftables only to processes that may make them, so an
/// agent without permission fails here, before it changes anything.
fn listen(protocol: isize, groups: &[u32]) -> Result<Listener> {
    Listener::open(protocol, groups).map_err(|error| {
        let hint = if error.kind() == io::ErrorKind::PermissionDenied { NOT_ALLOWED } else { "" };
        Error::failed(format!("cannot listen for changes in the kernel{hint}")).because(error)
    })
}
