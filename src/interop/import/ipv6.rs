//! IPv6 of a wg-quick file, and `subnet6`, which carries it over.

use std::net::{IpAddr, Ipv6Addr};

use super::{Wishes, phone_id};
use crate::base::net::{Cidr, Family, InterfaceAddress, PublicKey};
use crate::config::site_network6;
use crate::wgquick::Parsed;

/// Returns the `subnet6` with which the tunnel to the peers that this host dials carries IPv6; `None` if the
/// file has no IPv6 for them and none is wished for.
pub(super) fn dialling(parsed: &Parsed, wishes: &Wishes, allowed: &[Cidr]) -> Option<Cidr> {
    let carries = has_v6(&parsed.config.interface.addresses) && allowed.iter().any(is_v6);
    wishes.subnet6.or_else(|| carries.then(|| of_key(wishes.public_key)))
}

/// Returns the `subnet6` in which the site with this id, which the peers dial, has the file's IPv6 address;
/// `None` if there is none, or if the MTU is too small for IPv6, and none is wished for.
pub(super) fn dialled(parsed: &Parsed, wishes: &Wishes, id: u8, mtu: Option<u32>) -> Option<Cidr> {
    let addresses = parsed.config.interface.addresses.iter();
    let mut addresses = addresses.filter(|_| mtu.is_none_or(|mtu| mtu >= 1280));
    wishes.subnet6.or_else(|| addresses.find_map(|own| subnet_with(own.address, id)))
}

/// Returns a network of unique local addresses (RFC 4193). Its number follows from the site's key, which is
/// random: such numbers hardly ever meet, and the same file always gives the same text.
pub(super) fn of_key(key: PublicKey) -> Cidr {
    let mut address = [0; 16];
    address[0] = 0xfd;
    address[1..6].copy_from_slice(&key.0[..5]);
    Cidr::new(Ipv6Addr::from(address).into(), 48).expect("a valid length")
}

/// Returns the /48 in which the site with this id has the address.
fn subnet_with(address: IpAddr, id: u8) -> Option<Cidr> {
    let IpAddr::V6(v6) = address else { return None };
    let subnet = Cidr::new(address, 48)?;
    let is_site = site_network6(subnet, id)?.nth(1) == Some(address);
    (v6.is_unique_local() && is_site).then_some(subnet)
}

/// Returns the notes on the peers that become phones, and whose IPv6 addresses do not follow from their ids.
pub(super) fn other_phones(parsed: &Parsed, subnet: Cidr, subnet6: Cidr, id: u8) -> Vec<String> {
    let mut notes = Vec::new();
    for peer in &parsed.config.peers {
        let number = phone_id(peer, subnet, id).map(u128::from);
        let follows = site_network6(subnet6, id).zip(number).and_then(|(site, number)| site.nth(1 + number));
        let Some(follows) = follows else { continue };
        if peer.allowed_ips.iter().any(|own| is_v6(own) && *own != Cidr::host(follows)) {
            notes.push(format!(
                "peer {}: its IPv6 address is {follows} here: change it on the phone",
                peer.public_key
            ));
        }
    }
    notes
}

/// Reports whether the networks together contain all of IPv6.
pub(super) fn is_all(networks: &[Cidr]) -> bool {
    let halves = || {
        let [low, high] = [Ipv6Addr::UNSPECIFIED, Ipv6Addr::from_bits(1 << 127)];
        [low, high].into_iter().filter_map(|half| Cidr::new(half.into(), 1))
    };
    networks.contains(&Family::V6.everything()) || halves().all(|half| networks.contains(&half))
}

pub(super) fn is_v6(network: &Cidr) -> bool {
    network.family() == Family::V6
}

pub(super) fn has_v6(addresses: &[InterfaceAddress]) -> bool {
    addresses.iter().any(|own| own.address.is_ipv6())
}
