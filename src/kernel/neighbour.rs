//! Devices on our links: rtnetlink's neighbour messages, for IPv4. The kernel learns of a device when it
//! exchanges packets with it (ARP).

use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use nix::libc;

use super::message::Decode;
use super::netlink::protocols::NETLINK_ROUTE;
use super::netlink::{Listener, Received, Socket, frames};
use super::rtnetlink::{NeighbourHeader, address_of};
use crate::base::error::{Context as _, Result};
use crate::base::net::{Family, Mac};

/// Bytes of news that are received at once.
const ROOM: usize = 1 << 13;

/// Address of a device, with its hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// IPv4 address.
    pub address: IpAddr,
    /// Hardware address of the network card that had the IPv4 address last.
    pub mac: Mac,
    /// Number of the interface that the device is behind.
    pub index: u32,
}

/// Lists the devices that the kernel knows now.
pub fn list(socket: &mut Socket) -> Result<Vec<Neighbour>> {
    let filter = NeighbourHeader { family: Some(Family::V4), index: 0 };
    let neighbours = socket.dump(filter.request().message(libc::RTM_GETNEIGH));
    neighbours.context(|| "cannot list the neighbours".to_owned())
}

impl Decode for Neighbour {
    /// Returns `None` for a device whose hardware address is not known, or is not an address of Ethernet, and
    /// for a device of another family than IPv4.
    fn decode(payload: &[u8]) -> Option<Self> {
        let (header, attributes) = NeighbourHeader::split(payload)?;
        let family = header.family.filter(|family| *family == Family::V4)?;
        let (mut address, mut mac) = (None, None);
        for (attribute, value) in attributes.iter() {
            match attribute {
                libc::NDA_DST => address = Some(address_of(family, value)?),
                libc::NDA_LLADDR => mac = value.as_array().copied().map(Mac),
                _ => {}
            }
        }
        Some(Self { address: address?, mac: mac?, index: header.index })
    }
}

/// A socket that reports every device that appears, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct NeighbourSocket(Listener);

impl NeighbourSocket {
    /// Begins to listen.
    pub fn open() -> Result<Self> {
        Listener::open(NETLINK_ROUTE, &[libc::RTNLGRP_NEIGH])
            .map(Self)
            .context(|| "cannot listen for new neighbours".to_owned())
    }

    /// Returns the descriptor to poll for input.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.descriptor()
    }

    /// Receives all waiting news, and never waits; `None` if some news were lost.
    pub fn hear(&self) -> Option<Vec<Neighbour>> {
        let mut neighbours = Vec::new();
        let mut buffer = Vec::with_capacity(ROOM);
        loop {
            match self.0.hear(&mut buffer) {
                Received::Messages => {
                    neighbours.extend(frames(&buffer).filter_map(|frame| Neighbour::decode(frame.payload)));
                }
                Received::Nothing => return Some(neighbours),
                Received::Lost => return None,
            }
        }
    }
}
