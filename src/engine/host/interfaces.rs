//! Interfaces of a host, for a person who chooses one of them.

use std::path::Path;

use super::{find_uplink, radios};
use crate::base::error::Result;
use crate::base::net::{IfName, InterfaceAddress};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::kernel::address;
use crate::kernel::link::{self, HostLink};
use crate::kernel::netlink::{Socket, protocols};
use crate::kernel::nl80211::Wireless;
use crate::site::facts::LinkSort;
use crate::system::disk::kernel_text;
use crate::wifi::card::Card;

/// Interface of the host that portals did not make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostInterface {
    /// Name of the interface.
    pub name: IfName,
    /// Kind of the interface, in a word.
    pub kind: String,
    /// State, in words: `up`, `no link` without a cable or a connection, `off`.
    pub state: &'static str,
    /// Set if the interface leads to the internet.
    pub is_uplink: bool,
    /// Interface that has this one as a port, and its sort.
    pub master: Option<(IfName, LinkSort)>,
    /// Wi-Fi card of the interface.
    pub card: Option<Card>,
    /// Addresses that the kernel did not add itself.
    pub addresses: Vec<InterfaceAddress>,
}

/// Lists the interfaces of this host by name, without the loopback interface. Loads no module of the kernel
/// and starts no program.
pub fn list() -> Result<Vec<HostInterface>> {
    let mut socket = Socket::open(protocols::NETLINK_ROUTE)?;
    let links = link::list(&mut socket)?;
    let numbers: SortedMap<u32, &HostLink> = links.values().map(|link| (link.index, link)).collect();
    let uplink = find_uplink(&mut socket, &numbers, None).and_then(|route| route.device);
    let addresses = address::list(&mut socket)?;
    let names: SortedSet<IfName> = match Wireless::find()? {
        Some(mut wireless) => wireless.names()?.into_iter().collect(),
        None => SortedSet::new(),
    };
    let mut cards = radios::read(&names)?.cards;
    let mut found = Vec::new();
    for link in links.values() {
        if link.name.as_str() == "lo" || link.ours().is_some() {
            continue;
        }
        let master = link.master.and_then(|index| numbers.get(&index));
        let card = cards.remove(&link.name);
        let mut interface = HostInterface {
            name: link.name.clone(),
            kind: kind(link, card.is_some()),
            state: match (link.up, link.is_running) {
                (false, _) => "off",
                (true, false) => "no link",
                (true, true) => "up",
            },
            is_uplink: uplink == Some(link.index),
            master: master.map(|master| (master.name.clone(), master.sort)),
            card,
            addresses: Vec::new(),
        };
        for own in &addresses {
            if own.index == link.index && !address::is_link_local(own.address.address) {
                interface.addresses.push(own.address);
            }
        }
        found.push(interface);
    }
    Ok(found)
}

/// Returns the kind of an interface in a word: the kernel's, if it has one.
fn kind(link: &HostLink, is_wifi: bool) -> String {
    let folder = Path::new("/sys/class/net").join(link.name.as_str());
    let event = kernel_text(folder.join("uevent")).unwrap_or_default();
    let kind = match link.sort {
        _ if is_wifi => "Wi-Fi",
        LinkSort::Bridge => "bridge",
        LinkSort::Vlan => "VLAN",
        LinkSort::Vrf => "VRF",
        LinkSort::Sharing | LinkSort::Other => {
            match event.lines().find_map(|line| line.strip_prefix("DEVTYPE=")) {
                Some(kind) => kind,
                None if folder.join("device").exists() => "wired",
                None => "virtual",
            }
        }
    };
    kind.to_owned()
}
