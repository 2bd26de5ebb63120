//! Interfaces of a host, for a person who chooses one of them.

use super::find_uplink;
use crate::base::error::Result;
use crate::base::net::IfName;
use crate::base::sorted::SortedMap;
use crate::kernel::address;
use crate::kernel::link::{self, HostLink};
use crate::kernel::netlink::{Socket, protocols};
use crate::kernel::nl80211::Wireless;
use crate::site::facts::LinkSort;

/// Interface of the host that portals did not make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostInterface {
    /// Name of the interface.
    pub name: IfName,
    /// Set if the interface leads to the internet.
    pub is_uplink: bool,
    /// Sort of the interface.
    pub sort: LinkSort,
    /// Interface that has this one as a port, and its sort.
    pub master: Option<(IfName, LinkSort)>,
    /// Set if the interface belongs to a Wi-Fi card.
    pub is_wifi: bool,
    /// Set if the interface has an address that the kernel did not add itself.
    pub has_address: bool,
}

/// Lists the interfaces of this host by name, without the loopback interface. Loads no module of the kernel
/// and starts no program.
pub fn list() -> Result<Vec<HostInterface>> {
    let mut socket = Socket::open(protocols::NETLINK_ROUTE)?;
    let links = link::list(&mut socket)?;
    let numbers: SortedMap<u32, &HostLink> = links.values().map(|link| (link.index, link)).collect();
    let uplink = find_uplink(&mut socket, &numbers, None).and_then(|route| route.device);
    let addresses = address::list(&mut socket)?;
    let cards = match Wireless::find()? {
        Some(mut wireless) => wireless.names()?,
        None => Vec::new(),
    };
    let mut found = Vec::new();
    for link in links.values() {
        if link.name.as_str() == "lo" || link.ours().is_some() {
            continue;
        }
        let master = link.master.and_then(|index| numbers.get(&index));
        found.push(HostInterface {
            name: link.name.clone(),
            is_uplink: uplink == Some(link.index),
            sort: link.sort,
            master: master.map(|master| (master.name.clone(), master.sort)),
            is_wifi: cards.contains(&link.name),
            has_address: addresses
                .iter()
                .any(|own| own.index == link.index && !address::is_link_local(own.address.address)),
        });
    }
    Ok(found)
}
