//! Networks of the host that the file's own network and entrances are laid upon.

use super::{Entrance, Exit, Portal};
use crate::base::error::Error;
use crate::base::net::{Cidr, IfName, InterfaceAddress};
use crate::base::sorted::SortedSet;
use crate::site::facts::Facts;

/// Networks of the host in the own network's subnet: its sites would take their traffic away. What this program gave to interfaces itself
/// is none of them, whatever those are called now. A wider network clashes with those of the sites.
pub(super) fn taken(portals: &[Portal], subnet: Cidr, facts: &Facts) -> Vec<Error> {
    let lans = portals.iter().filter_map(|portal| portal.address).map(InterfaceAddress::network);
    let ours: Vec<Cidr> = lans.chain(facts.given.iter().map(|(_, network)| *network)).collect();
    let here = facts.local.iter().chain(&facts.uplink_networks);
    here.filter(|network| subnet.covers(**network) && !ours.contains(network))
        .map(|network| {
            Error::wrong(format!(
                "`subnet` is {subnet}, but {network} in it is connected to this router already and would be cut off: choose a \
                 private network that no home has, and write it into the files of all sites"
            ))
        })
        .collect()
}

/// Entrances that can be told so; a VLAN's interface is what its parent is.
pub(super) fn deaf(portals: &[Portal], facts: &Facts) -> SortedSet<IfName> {
    let can_be = |portal: &Portal| match &portal.entrance {
        Entrance::Vlan(vlan) => facts.can_be_deaf.contains(&vlan.parent),
        _ => portal.entrance_interface().is_some_and(|interface| facts.can_be_deaf.contains(interface)),
    };
    let deaf = portals.iter().filter(|portal| portal.has_wire() && can_be(portal));
    deaf.filter_map(Portal::entrance_interface).cloned().collect()
}

/// Devices that were on a portal's interface before, and enter it as well.
pub(super) fn whose_devices_enter(portal: &Portal) -> Option<String> {
    let Entrance::Interface(interface) = &portal.entrance else { return None };
    let lan = portal.address.map(InterfaceAddress::network);
    let networks = portal.behind.iter().filter(|network| Some(**network) != lan);
    let networks: Vec<String> = networks.map(ToString::to_string).collect();
    let exit = &portal.exits[0];
    (portal.obstacle.is_none() && *exit != Exit::Direct && !networks.is_empty()).then(|| {
        let (name, networks) = (&portal.name, networks.join(", "));
        format!("portal `{name}`: the devices of {networks}, behind {interface}, will leave at {exit}")
    })
}
