//! Conflicts between the network file and the host of a site: errors that the host's facts reveal.

use super::{Entrance, Portal, SiteTunnel, Vlan};
use crate::base::error::Error;
use crate::base::net::{Cidr, IfName, InterfaceAddress};
use crate::base::sorted::SortedMap;
use crate::config::model::{Network, SharedNetwork, free_network};
use crate::firewall::FirewallBackend;
use crate::site::facts::{Facts, Uplink};

/// Adds an error for each network of a peer, as others see it, that is also connected to this host: the
/// route to the peer would take the traffic of the host's own computers away.
pub(super) fn shared_networks_that_are_local(
    errors: &mut Vec<Error>,
    network: &Network,
    tunnels: &SortedMap<IfName, SiteTunnel>,
    facts: &Facts,
) {
    let here = networks_here(facts);
    for (name, peer) in tunnels.values().flat_map(|tunnel| &tunnel.peers) {
        for there in &peer.networks {
            let Some(local) = here.iter().find(|local| local.overlaps(*there)) else { continue };
            let advice = match shown_elsewhere(network, name, *there, &here) {
                Some(line) => format!("write `{line}` at site `{name}`, in the files of all sites"),
                None => "change `subnet`, or the `address` of the portal there, or renumber this network"
                    .to_owned(),
            };
            errors.push(Error::wrong(format!(
                "site `{name}` has the network {there}, but {local} is already connected to this router: \
                 {advice}"
            )));
        }
    }
}

/// Adds an error for each network that this site shows in place of one of its own, and that is also
/// connected to this host: the firewall would refuse the traffic of the computers there.
pub(super) fn networks_shown_that_are_local(
    errors: &mut Vec<Error>,
    network: &Network,
    name: &str,
    facts: &Facts,
) {
    let here = networks_here(facts);
    for (own, seen_as) in network.sites[name].lan.iter().filter_map(|lan| lan.translation()) {
        let Some(local) = here.iter().find(|local| local.overlaps(seen_as)) else { continue };
        let advice = match shown_elsewhere(network, name, seen_as, &here) {
            Some(line) => format!("write `{line}`"),
            None => "choose another network".to_owned(),
        };
        errors.push(Error::wrong(format!(
            "`lan` shows {own} as {seen_as}, but {local} is already connected to this router: {advice}"
        )));
    }
}

/// Returns all networks that are connected to this host.
fn networks_here(facts: &Facts) -> Vec<Cidr> {
    facts.local.iter().chain(&facts.uplink_networks).copied().collect()
}

/// Returns the line `lan = […]` with which a site shows one of its networks as a free one; `None` if the site
/// does not share that network, or none is free.
fn shown_elsewhere(network: &Network, name: &str, visible: Cidr, here: &[Cidr]) -> Option<String> {
    let site = network.sites.get(name)?;
    let meant = site.lan.iter().find(|lan| lan.visible() == visible)?;
    let mut taken = here.to_vec();
    taken.push(network.subnet);
    taken.extend(network.subnet6.map(|subnet6| subnet6.network));
    for lan in network.sites.values().flat_map(|site| &site.lan) {
        taken.extend_from_slice(&[lan.network, lan.visible()]);
    }
    let seen_as = Some(free_network(meant.network, site.id, &taken)?);
    let entry = |lan: &SharedNetwork| {
        let lan = if lan == meant { SharedNetwork { seen_as, ..*lan } } else { *lan };
        format!("\"{lan}\"")
    };
    Some(format!("lan = [{}]", site.lan.iter().map(entry).collect::<Vec<_>>().join(", ")))
}

/// Adds an error for each network of the host inside a subnet, which the file has under this key: sites
/// would take its traffic away. Networks of addresses that this program gave to interfaces are exempt, even
/// if the interfaces were renamed. A wider network than the subnet conflicts with networks of sites.
pub(super) fn networks_in_the_subnet(
    errors: &mut Vec<Error>,
    portals: &[Portal],
    (key, subnet): (&str, Cidr),
    facts: &Facts,
) {
    let mut ours: Vec<Cidr> = facts.given.iter().map(|(_, network)| *network).collect();
    for portal in portals {
        ours.extend(portal.addresses().map(InterfaceAddress::network));
    }
    for network in networks_here(facts) {
        if subnet.covers(network) && !ours.contains(&network) {
            errors.push(Error::wrong(format!(
                "`{key}` is {subnet}, but {network}, a part of it, is already connected to this router and \
                 would be cut off: choose a private network that no site uses yet, and write it into the \
                 files of all sites"
            )));
        }
    }
}

/// Adds an error for each portal that the uplink's own traffic would enter, including the answers to the
/// tunnels' packets.
pub(super) fn entrances_that_hold_the_uplink(
    errors: &mut Vec<Error>,
    portals: &[Portal],
    uplink: Option<&Uplink>,
) {
    let Some(uplink) = uplink else { return };
    let offends = |portal: &&Portal| match &portal.entrance {
        Entrance::Interface(interface)
        | Entrance::Vlan(Vlan { interface, .. })
        | Entrance::Wifi { card: interface, .. } => *interface == uplink.interface,
        Entrance::From(sources) => {
            uplink.addresses.iter().any(|own| sources.iter().any(|source| source.contains(own.address)))
        }
        Entrance::Mac { .. } | Entrance::Own => false,
    };
    for portal in portals.iter().filter(offends) {
        errors.push(Error::wrong(format!(
            "portal `{}` takes in the traffic of this router's own uplink {}: choose another entrance, or \
             name the right `uplink`",
            portal.name, uplink.interface
        )));
    }
}

/// Adds an error for each portal whose interface is a port of the interface that leads to the internet.
/// Such a port cannot be closed: all of the uplink might come in there.
pub(super) fn ports_of_the_uplink(errors: &mut Vec<Error>, portals: &[Portal], facts: &Facts) {
    for portal in portals {
        let Some(interface) = portal.entrance_interface() else { continue };
        let master = facts.ties.get(interface).and_then(|tie| tie.master.as_ref());
        let Some(master) = master.filter(|master| master.holds_uplink) else { continue };
        errors.push(Error::wrong(format!(
            "portal `{}`: {interface} is a port of {}, which carries this router's own uplink: choose \
             another entrance, or take the port out (`ip link set {interface} nomaster`)",
            portal.name, master.interface
        )));
    }
}

/// Adds an error for each VLAN whose interface another portal has already.
pub(super) fn interfaces_of_two_portals(errors: &mut Vec<Error>, portals: &[Portal]) {
    for portal in portals {
        let Entrance::Vlan(vlan) = &portal.entrance else { continue };
        let has_it = |other: &&Portal| {
            other.name != portal.name && other.entrance_interface() == Some(&vlan.interface)
        };
        let Some(other) = portals.iter().find(has_it) else { continue };
        errors.push(Error::wrong(format!(
            "portal `{}`: the interface of VLAN {} on {} would be {}, which portal `{}` already has: let the \
             VLAN enter only one of the two portals, or rename {}",
            portal.name, vlan.id, vlan.parent, vlan.interface, other.name, vlan.parent
        )));
    }
}

/// Adds an error for each interface name that ends with a plus: iptables takes such a name for a pattern
/// of all names that begin like it.
pub(super) fn names_iptables_cannot_take(
    errors: &mut Vec<Error>,
    firewall: FirewallBackend,
    portals: &[Portal],
    uplink: Option<&Uplink>,
) {
    if firewall == FirewallBackend::Nftables {
        return;
    }
    let mut names: Vec<&IfName> = portals.iter().filter_map(Portal::entrance_interface).collect();
    names.extend(uplink.map(|uplink| &uplink.interface));
    for name in names {
        if name.as_str().ends_with('+') {
            errors.push(Error::wrong(format!(
                "iptables would take the interface name {name} for a pattern: rename the interface"
            )));
        }
    }
}
