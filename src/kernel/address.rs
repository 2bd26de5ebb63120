//! Addresses of interfaces: rtnetlink's address messages.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NetlinkMessage};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use nix::errno::Errno;
use nix::libc;

use super::attributes::{self, Attributes, native_number};
use super::message::{Decode, Message};
use super::netlink::{Refusal, Socket, request};
use crate::base::error::{Context, Result};
use crate::base::net::InterfaceAddress;

/// Bytes in front of an address's attributes: `struct ifaddrmsg` of linux/if_addr.h, with the prefix length at 1 and the
/// interface's number at 4.
const HEADER: usize = 8;

/// All addresses in this network namespace, each with the number of its interface.
pub fn list(socket: &mut Socket) -> Result<Vec<(u32, InterfaceAddress)>> {
    dump(socket, 0).context(cannot_list)
}

/// The addresses of the interface with that number.
pub fn list_of(socket: &mut Socket, index: u32) -> Result<Vec<InterfaceAddress>> {
    let addresses = match dump(socket, index) {
        // It went away meanwhile.
        Err(Refusal { errno: Errno::ENODEV, .. }) => Vec::new(),
        addresses => addresses.context(cannot_list)?,
    };
    // Kernels since 4.20 send only these; older ones send all.
    let addresses = addresses.into_iter();
    Ok(addresses.filter(|(at, _)| *at == index).map(|(_, address)| address).collect())
}

/// Of all interfaces if `index` is 0.
fn dump(socket: &mut Socket, index: u32) -> Result<Vec<(u32, InterfaceAddress)>, Refusal> {
    let mut filter = AddressMessage::default();
    filter.header.index = index;
    let addresses: Vec<Found> = socket.dump(Message::new(libc::RTM_GETADDR, &filter))?;
    Ok(addresses.into_iter().map(|Found(index, address)| (index, address)).collect())
}

fn cannot_list() -> String {
    "cannot list the addresses of the interfaces".to_owned()
}

/// An address, and the number of its interface.
#[derive(Debug)]
pub(crate) struct Found(u32, InterfaceAddress);

impl Decode for Found {
    fn decode(payload: &[u8]) -> Option<Self> {
        let (header, attributes) = payload.split_at_checked(HEADER)?;
        let attributes = Attributes::of(attributes);
        // On a point-to-point interface "address" is the other end, and "local" our own (rtnetlink(7)); IPv6 has no
        // "local" elsewhere.
        let value = attributes.bytes(libc::IFA_LOCAL).or_else(|| attributes.bytes(libc::IFA_ADDRESS))?;
        let address = attributes::address(value)?;
        Some(Self(native_number(&header[4..])?, InterfaceAddress { address, length: header[1] }))
    }
}

/// Whether it is one of IPv6's link-local addresses, which the kernel gives to interfaces by itself.
pub fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// Adds an address to the interface with that number.
pub fn add(index: u32, address: InterfaceAddress) -> NetlinkMessage<Message> {
    let mut message = encode(index, address);
    if address.address.is_ipv6() {
        // Else the kernel looks for duplicates first, in its own time, and refuses routes with this source until then. The
        // plan gives an address once.
        message.header.flags = AddressHeaderFlags::Nodad;
    }
    request(Message::new(libc::RTM_NEWADDR, &message), NLM_F_CREATE | NLM_F_EXCL)
}

/// Takes an address from the interface with that number.
pub fn remove(index: u32, address: InterfaceAddress) -> NetlinkMessage<Message> {
    request(Message::new(libc::RTM_DELADDR, &encode(index, address)), 0)
}

fn encode(index: u32, InterfaceAddress { address, length }: InterfaceAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.index = index;
    message.header.prefix_len = length;
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    message
}
