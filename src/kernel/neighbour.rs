//! Who is on our wires: rtnetlink's neighbour messages, for IPv4. The kernel learns of a device when it speaks to it (ARP).

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use netlink_sys::{SocketAddr, protocols::NETLINK_ROUTE};
use nix::libc::{self, MSG_DONTWAIT};

use super::attributes::{self, Attributes};
use super::message::{Decode, Message};
use super::netlink::Socket;
use super::nfnetlink::messages;
use crate::base::error::{Context as _, Result};
use crate::base::net::Mac;

/// Bytes in front of a neighbour's attributes: `struct ndmsg` of linux/neighbour.h, with the family at 0.
const HEADER: usize = 12;

/// NDA_DST and NDA_LLADDR
const ADDRESS: u16 = 1;
const HARDWARE_ADDRESS: u16 = 2;

/// RTNLGRP_NEIGH
const GROUP: u32 = 3;

/// An address of a device, and the hardware address that it has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// IPv4.
    pub address: IpAddr,
    /// Of the network card that it was last seen at.
    pub mac: Mac,
}

/// Those that the kernel knows now.
pub fn list(socket: &mut Socket) -> Result<Vec<Neighbour>> {
    let mut filter = vec![0; HEADER];
    filter[0] = u8::try_from(libc::AF_INET).expect("a small number");
    socket.dump(Message::raw(libc::RTM_GETNEIGH, filter)).context(|| "cannot list the neighbours".to_owned())
}

/// `None` for one whose hardware address is not known, or that is none of Ethernet's.
impl Decode for Neighbour {
    fn decode(payload: &[u8]) -> Option<Self> {
        let (header, attributes) = payload.split_at_checked(HEADER)?;
        let attributes = Attributes::of(attributes);
        let address = attributes::address(attributes.bytes(ADDRESS)?).filter(IpAddr::is_ipv4)?;
        let mac = Mac(*attributes.bytes(HARDWARE_ADDRESS)?.as_array()?);
        (i32::from(header[0]) == libc::AF_INET).then_some(Self { address, mac })
    }
}

/// Hears of every device that shows up, in this network namespace.
#[derive(Debug)]
pub struct Neighbourhood(netlink_sys::Socket);

impl Neighbourhood {
    /// Listens from now on.
    pub fn open() -> Result<Self> {
        let open = || {
            let mut socket = netlink_sys::Socket::new(NETLINK_ROUTE)?;
            socket.bind(&SocketAddr::new(0, 0))?;
            socket.add_membership(GROUP)?;
            io::Result::Ok(socket)
        };
        open().map(Self).context(|| "cannot listen to news of neighbours".to_owned())
    }

    /// What to poll for input.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: the socket is open for as long as `self` is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }

    /// Takes what has come in, and never waits; `None` if some of it was lost.
    pub fn hear(&self) -> Option<Vec<Neighbour>> {
        let mut neighbours = Vec::new();
        let mut buffer = Vec::with_capacity(1 << 13);
        loop {
            buffer.clear();
            match self.0.recv(&mut buffer, MSG_DONTWAIT) {
                Ok(_) => neighbours
                    .extend(messages(&buffer).filter_map(|message| Neighbour::decode(message.payload()))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(neighbours),
                // ENOBUFS is told once, behind what was lost.
                Err(_) => return None,
            }
        }
    }
}
