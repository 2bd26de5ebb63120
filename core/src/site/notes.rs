//! Notes on a site: facts that people should know, but that are not errors.

use std::fmt::Display;

use super::{Entrance, Exit, PeerEndpoint, Portal, SiteTunnel, Vlan, providers};
use crate::base::listed::listed;
use crate::base::net::{IfName, InterfaceAddress};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::{self, EndpointHost};
use crate::site::facts::{Facts, Uplink};

use super::Inputs;

/// Returns all notes, apart from those on Wi-Fi.
pub(super) fn all(
    entry: &model::SiteConfig,
    portals: &[Portal],
    uplink: Option<&Uplink>,
    tunnels: &SortedMap<IfName, SiteTunnel>,
    inputs: &Inputs,
) -> Vec<String> {
    let facts = inputs.facts;
    let mut notes = Vec::new();
    if uplink.is_none() {
        notes.push(
            "this router has no uplink (no route to the internet): nothing can leave until it has one"
                .to_owned(),
        );
    }
    unresolved_names(&mut notes, tunnels);
    for note in [missing_interface, obstacle, devices_that_enter] {
        for portal in portals {
            notes.extend(note(portal, portals, facts));
        }
    }
    notes.extend_from_slice(&facts.filters.notes);
    providers::remarks(&mut notes, entry, inputs);
    notes
}

/// Beginning of the note on a name that has no address yet. An agent that asks for the name need not tell
/// this note: the answer may come a moment later.
pub const UNRESOLVED: &str = "the name ";

fn unresolved_names(notes: &mut Vec<String>, tunnels: &SortedMap<IfName, SiteTunnel>) {
    for tunnel in tunnels.values() {
        for (name, peer) in &tunnel.peers {
            if let Some(PeerEndpoint { host: EndpointHost::Name(host), address: None, .. }) = &peer.endpoint {
                notes.push(format!(
                    "{UNRESOLVED}{host} of `{name}` is not resolved yet: the link waits until it is, or \
                     until the other end dials"
                ));
            }
        }
    }
}

/// Returns the note on a portal whose interface does not exist, or whose radio is off.
fn missing_interface(portal: &Portal, _: &[Portal], facts: &Facts) -> Option<String> {
    if portal.is_here || portal.obstacle.is_some() {
        return None;
    }
    let name = &portal.name;
    match &portal.entrance {
        Entrance::Wifi { card, .. }
            if facts.radios.cards.get(card).is_some_and(|card| card.is_switched_off) =>
        {
            Some(format!(
                "portal `{name}`: the radio of {card} is switched off (`rfkill list` shows how); the portal \
                 opens when the radio is on"
            ))
        }
        // hostapd makes the interfaces of a card that exists.
        Entrance::Wifi { card, .. } if facts.interfaces.contains_key(card) => None,
        Entrance::Interface(interface)
        | Entrance::Vlan(Vlan { parent: interface, .. })
        | Entrance::Wifi { card: interface, .. } => Some(format!(
            "portal `{name}`: the interface {interface} does not exist now; the portal opens when it appears"
        )),
        Entrance::From(_) | Entrance::Mac { .. } | Entrance::Own => None,
    }
}

/// Returns the note on a portal's obstacle, or on VLANs that some of its devices may reach by tagging their
/// packets.
fn obstacle(portal: &Portal, portals: &[Portal], facts: &Facts) -> Option<String> {
    if let Some(obstacle) = &portal.obstacle {
        return Some(format!("portal `{}` is blocked: {obstacle}", portal.name));
    }
    let interface = portal.entrance_interface()?;
    let ours = |name: &IfName| portals.iter().any(|portal| portal.entrance_interface() == Some(name));
    let nothing = SortedSet::new();
    let vlans = facts.ties.get(interface).map_or(&nothing, |tie| &tie.vlans);
    let others = vlans.iter().filter(|vlan| !ours(vlan));
    let others = listed(&mut others.map(|vlan| vlan as &dyn Display));
    (!others.is_empty()).then(|| {
        format!(
            "portal `{}`: packets that devices on {interface} send with a VLAN tag do not enter it, but {}; \
             `vlan = {{ parent = \"{interface}\", id = … }}` makes a portal for them, too",
            portal.name, others
        )
    })
}

/// Returns the note on devices that were on a portal's interface before, and that enter the portal as well.
fn devices_that_enter(portal: &Portal, _: &[Portal], _: &Facts) -> Option<String> {
    let Entrance::Interface(interface) = &portal.entrance else { return None };
    let lan = portal.address.map(InterfaceAddress::network);
    let networks = portal.behind.iter().filter(|network| Some(**network) != lan);
    let networks = listed(&mut networks.map(|network| network as &dyn Display));
    let exit = &portal.exits[0];
    (portal.obstacle.is_none() && *exit != Exit::Direct && !networks.is_empty()).then(|| {
        let name = &portal.name;
        format!("portal `{name}`: the devices of {networks}, behind {interface}, will leave at {exit}")
    })
}
