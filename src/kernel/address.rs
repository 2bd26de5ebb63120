//! Addresses of interfaces: rtnetlink's address messages.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, Parseable as _};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use nix::errno::Errno;
use nix::libc;

use super::message::{Decode, Message};
use super::netlink::{Refusal, Socket};
use crate::base::error::{Context, Result};
use crate::base::net::InterfaceAddress;

/// Lists all addresses in this network namespace, each with the number of its interface.
pub fn list(socket: &mut Socket) -> Result<Vec<(u32, InterfaceAddress)>> {
    dump(socket, 0).context(cannot_list)
}

/// Lists the addresses of the interface with this number.
pub fn list_of(socket: &mut Socket, index: u32) -> Result<Vec<InterfaceAddress>> {
    let addresses = match dump(socket, index) {
        // The interface has disappeared.
        Err(Refusal { errno: Errno::ENODEV, .. }) => Vec::new(),
        addresses => addresses.context(cannot_list)?,
    };
    // Kernels since 4.20 send only the addresses of that interface; older kernels send all.
    let addresses = addresses.into_iter();
    Ok(addresses.filter(|(at, _)| *at == index).map(|(_, address)| address).collect())
}

/// Lists the addresses of one interface, or of all if `index` is 0.
fn dump(socket: &mut Socket, index: u32) -> Result<Vec<(u32, InterfaceAddress)>, Refusal> {
    let mut filter = AddressMessage::default();
    filter.header.index = index;
    let addresses: Vec<AddressEntry> = socket.dump(Message::new(libc::RTM_GETADDR, &filter))?;
    Ok(addresses.into_iter().map(|AddressEntry(index, address)| (index, address)).collect())
}

fn cannot_list() -> String {
    "cannot list the addresses of the interfaces".to_owned()
}

/// An address, behind the number of its interface.
#[derive(Debug)]
pub(crate) struct AddressEntry(u32, InterfaceAddress);

impl Decode for AddressEntry {
    fn decode(payload: &[u8]) -> Option<Self> {
        let AddressMessage { header, attributes, .. } = AddressMessage::parse(payload).ok()?;
        let (mut own, mut other_end) = (None, None);
        for attribute in attributes {
            match attribute {
                AddressAttribute::Local(address) => own = Some(address),
                AddressAttribute::Address(address) => other_end = Some(address),
                _ => {}
            }
        }
        // On a point-to-point interface "address" is the other end, and "local" our own (rtnetlink(7)).
        // Elsewhere IPv6 has no "local".
        let address = own.or(other_end)?;
        Some(Self(header.index, InterfaceAddress { address, length: header.prefix_len }))
    }
}

/// Reports whether an address is one of IPv6's link-local addresses, which the kernel adds to interfaces
/// itself.
pub fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// Returns the request that adds an address to the interface with this number.
pub fn add(index: u32, address: InterfaceAddress) -> Message {
    let mut message = encode(index, address);
    if address.address.is_ipv6() {
        // Otherwise the kernel looks for duplicates first, which takes a while, and refuses routes with this
        // source until then. The plan gives an address once.
        message.header.flags = AddressHeaderFlags::Nodad;
    }
    Message::new(libc::RTM_NEWADDR, &message).with_flags(NLM_F_CREATE | NLM_F_EXCL)
}

/// Returns the request that removes an address from the interface with this number.
pub fn remove(index: u32, address: InterfaceAddress) -> Message {
    Message::new(libc::RTM_DELADDR, &encode(index, address))
}

fn encode(index: u32, InterfaceAddress { address, length }: InterfaceAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.index = index;
    message.header.prefix_len = length;
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    message
}
