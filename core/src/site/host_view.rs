//! Host of a site, as far as the plan depends on it.

use std::net::IpAddr;

use crate::base::net::{Cidr, IfName};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model;
use crate::site::facts::{Facts, LinkSort, Neighbours, Uplink};
use crate::state::WireGuardBackend;

/// Host of a site.
#[derive(Debug, Clone)]
pub struct HostView {
    /// Uplink: the interface of the route to the internet.
    pub uplink: Option<Uplink>,
    /// Interface of the route to the IPv6 internet.
    pub uplink6: Option<IfName>,
    /// Connected networks of the uplink: the exit's own neighbours.
    pub uplink_networks: SortedSet<Cidr>,
    /// Networks on the host's other interfaces.
    pub local_networks: SortedSet<Cidr>,
    /// IPv4 addresses of the host on interfaces that are not ours, where the host's own resolver may answer.
    pub own_addresses: SortedSet<IpAddr>,
    /// Networks by interface.
    pub behind: SortedMap<IfName, SortedSet<Cidr>>,
    /// Bridges that have ports, with the networks on them.
    pub bridges: SortedMap<IfName, SortedSet<Cidr>>,
    /// Set if the host has IPv6.
    pub ipv6: bool,
    /// Known devices whose addresses a portal names.
    pub neighbours: Neighbours,
    /// WireGuard that runs the tunnels.
    pub wireguard: WireGuardBackend,
}

impl HostView {
    /// Makes the view of a host whose site's network has these subnets.
    pub(super) fn new(subnets: &[Cidr], facts: &Facts, uplink: Option<Uplink>) -> Self {
        let mut bridges = SortedMap::new();
        for tie in facts.ties.values() {
            if let Some(master) = tie.master.as_ref().filter(|master| master.sort == LinkSort::Bridge) {
                let name = &master.interface;
                bridges.insert(name.clone(), facts.behind.get(name).cloned().unwrap_or_default());
            }
        }
        let is_inside = |network: Cidr| subnets.iter().any(|subnet| subnet.overlaps(network));
        Self {
            uplink,
            uplink6: facts.uplink6.clone(),
            uplink_networks: facts.uplink_networks.clone(),
            // Our own portal LANs appear among the local networks once they exist. They follow from the file,
            // not from the host.
            local_networks: facts.local.iter().copied().filter(|local| !is_inside(*local)).collect(),
            own_addresses: facts.own.iter().copied().filter(|own| !is_inside(Cidr::host(*own))).collect(),
            behind: facts.behind.clone(),
            bridges,
            ipv6: facts.ipv6,
            neighbours: facts.neighbours.clone(),
            wireguard: facts.wireguard.unwrap_or(WireGuardBackend::BuiltIn),
        }
    }
}

/// Returns the uplink that the file names, with the kernel's details if the kernel uses the same; otherwise
/// the kernel's uplink.
pub(super) fn chosen_uplink(entry: &model::SiteConfig, facts: &Facts) -> Option<Uplink> {
    let found = facts.uplink.clone();
    match &entry.uplink {
        Some(named) if found.as_ref().is_none_or(|uplink| uplink.interface != *named) => {
            Some(Uplink { interface: named.clone(), gateway: None, addresses: SortedSet::new() })
        }
        _ => found,
    }
}
