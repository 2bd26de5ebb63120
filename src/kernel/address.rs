//! Addresses of interfaces: rtnetlink's address messages.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use nix::errno::Errno;
use nix::libc;

use super::constant::of_8_bits;
use super::message::{Decode, Message};
use super::netlink::{Refusal, Socket};
use super::rtnetlink::{AddressHeader, Request, address_of};
use crate::base::error::{Context, Result};
use crate::base::net::{Family, InterfaceAddress};
use crate::nat::is_home_address;

/// Flag of an address that is used at once, without a search for duplicates.
const NODAD: u8 = of_8_bits(libc::IFA_F_NODAD.cast_signed());

/// Flag of IPv6 addresses that the kernel changes from time to time.
const TEMPORARY: u8 = of_8_bits(libc::IFA_F_TEMPORARY.cast_signed());

/// Flags of addresses under which this host cannot be found, or not for long.
const PASSING: u8 = of_8_bits(
    (libc::IFA_F_TEMPORARY | libc::IFA_F_DEPRECATED | libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED)
        .cast_signed(),
);

/// Prefix of the global IPv6 addresses, in the first 16 bits, and its mask (RFC 4291 § 2.4): 2000::/3.
const GLOBAL_IPV6: (u16, u16) = (0x2000, 0xe000);

/// Lists all addresses in this network namespace.
pub fn list(socket: &mut Socket) -> Result<Vec<AddressEntry>> {
    entries(socket, 0).context(cannot_list)
}

/// Lists the addresses of the interface with this number.
pub fn list_of(socket: &mut Socket, index: u32) -> Result<Vec<InterfaceAddress>> {
    let mut addresses = Vec::new();
    for entry in entries_of(socket, index)? {
        addresses.push(entry.address);
    }
    Ok(addresses)
}

/// Lists the addresses of the interface with this number under which other hosts may find this host from now
/// on: without those that the kernel changes from time to time (RFC 8981), gives up, or still checks.
pub fn list_lasting(socket: &mut Socket, index: u32) -> Result<Vec<IpAddr>> {
    let mut lasting = Vec::new();
    for AddressEntry { address: InterfaceAddress { address, .. }, flags, .. } in entries_of(socket, index)? {
        // The flag of temporary IPv6 addresses is that of secondary IPv4 addresses, which last.
        let passing = if address.is_ipv4() { PASSING & !TEMPORARY } else { PASSING };
        if flags & passing == 0 {
            lasting.push(address);
        }
    }
    Ok(lasting)
}

/// Lists the addresses of one interface; none if the interface has disappeared.
fn entries_of(socket: &mut Socket, index: u32) -> Result<Vec<AddressEntry>> {
    let mut entries = match entries(socket, index) {
        Err(Refusal { errno: Errno::ENODEV, .. }) => Vec::new(),
        entries => entries.context(cannot_list)?,
    };
    // Kernels since 4.20 send only the addresses of that interface; older kernels send all.
    entries.retain(|entry| entry.index == index);
    Ok(entries)
}

/// Chooses the addresses that other sites may use: global IPv6 addresses, and private IPv4 addresses for
/// sites in the same home. The public IPv4 address is the one that helpers see.
pub(super) fn for_peers(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (prefix, mask) = GLOBAL_IPV6;
    let is_global = |address: &IpAddr| matches!(address, IpAddr::V6(v6) if v6.segments()[0] & mask == prefix);
    let mut chosen = Vec::new();
    chosen.extend(addresses.iter().copied().find(is_global));
    let most = chosen.len() + 2;
    for address in addresses {
        if address.is_ipv4() && is_home_address(address) && chosen.len() < most {
            chosen.push(address);
        }
    }
    chosen
}

/// Lists the addresses of one interface, or of all if `index` is 0.
fn entries(socket: &mut Socket, index: u32) -> Result<Vec<AddressEntry>, Refusal> {
    let filter = AddressHeader { index, ..AddressHeader::default() };
    socket.dump(filter.request().message(libc::RTM_GETADDR))
}

fn cannot_list() -> String {
    "cannot list the addresses of the interfaces".to_owned()
}

/// An address of an interface.
#[derive(Debug, PartialEq, Eq)]
pub struct AddressEntry {
    /// Number of the interface.
    pub index: u32,
    /// Address, and the length of its network.
    pub address: InterfaceAddress,
    /// Flags (libc's `IFA_F_*`), as far as they fit.
    pub flags: u8,
}

impl Decode for AddressEntry {
    fn decode(payload: &[u8]) -> Option<Self> {
        let (AddressHeader { family, length, index, flags }, attributes) = AddressHeader::split(payload)?;
        let (mut own, mut other_end) = (None, None);
        for (attribute, value) in attributes.iter() {
            match attribute {
                libc::IFA_LOCAL => own = Some(address_of(family?, value)?),
                libc::IFA_ADDRESS => other_end = Some(address_of(family?, value)?),
                _ => {}
            }
        }
        // On a point-to-point interface "address" is the other end, and "local" our own (rtnetlink(7)).
        // Elsewhere IPv6 has no "local".
        let address = own.or(other_end)?;
        Some(Self { index, address: InterfaceAddress { address, length }, flags })
    }
}

/// Reports whether an address is one of IPv6's link-local addresses, which the kernel adds to interfaces
/// itself.
pub fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// Returns the request that adds an address to the interface with this number.
pub fn add(index: u32, address: InterfaceAddress) -> Message {
    // Otherwise the kernel looks for duplicates of an IPv6 address first, which takes a while, and refuses
    // routes with this source until then. The plan gives an address once.
    let flags = if address.address.is_ipv6() { NODAD } else { 0 };
    encode(index, address, flags).message(libc::RTM_NEWADDR).with_flags(NLM_F_CREATE | NLM_F_EXCL)
}

/// Returns the request that removes an address from the interface with this number.
pub fn remove(index: u32, address: InterfaceAddress) -> Message {
    encode(index, address, 0).message(libc::RTM_DELADDR)
}

fn encode(index: u32, InterfaceAddress { address, length }: InterfaceAddress, flags: u8) -> Request {
    let header = AddressHeader { family: Some(Family::of(address)), length, flags, index };
    header.request().with_address(libc::IFA_LOCAL, address).with_address(libc::IFA_ADDRESS, address)
}
