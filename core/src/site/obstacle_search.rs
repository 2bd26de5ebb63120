//! Search for obstacles of portals in the host's facts.

use super::{Entrance, Exit, Obstacle, Portal, Vlan};
use crate::base::net::{Cidr, IfName};
use crate::base::sorted::SortedSet;
use crate::config::model::Name;
use crate::site::facts::{Facts, Master};

/// Finds the obstacles of portals, and closes the portals that have one.
pub(super) fn find(portals: &mut [Portal], facts: &Facts) {
    for portal in &mut *portals {
        portal.obstacle = of_interface(portal, facts)
            .or_else(|| renamed(portal, facts))
            .or_else(|| in_front(portal, facts));
    }
    let mut closed: Vec<(IfName, Name)> = Vec::new();
    for portal in &*portals {
        if let Some(port) = portal.obstacle.as_ref().and_then(Obstacle::closed_port) {
            closed.push((port.clone(), portal.name.clone()));
        }
    }
    for portal in portals {
        portal.obstacle = portal.obstacle.take().or_else(|| closed_carrier(portal, &closed));
        if portal.obstacle.is_some() {
            portal.exit = Exit::Nowhere;
        }
    }
}

/// Returns the obstacle of a VLAN whose parent is one of the closed ports, which are listed with their
/// portals.
fn closed_carrier(portal: &Portal, closed: &[(IfName, Name)]) -> Option<Obstacle> {
    let Entrance::Vlan(Vlan { parent, .. }) = &portal.entrance else { return None };
    let (carrier, portal) = closed.iter().find(|(port, _)| port == parent)?;
    Some(Obstacle::ClosedCarrier { carrier: carrier.clone(), portal: portal.clone() })
}

fn of_interface(portal: &Portal, facts: &Facts) -> Option<Obstacle> {
    let interface = portal.entrance_interface()?;
    let tie = facts.ties.get(interface)?;
    if let Some(Master { interface: master, sort, .. }) = &tie.master {
        return Some(Obstacle::Port {
            port: interface.clone(),
            master: master.clone(),
            sort: *sort,
            is_closed: facts.closes_ports,
            firmware: facts.firmware,
        });
    }
    let other = tie.sharing.iter().next()?.clone();
    Some(Obstacle::SharedWire { interface: interface.clone(), other })
}

/// Returns the obstacle of a portal whose interface was renamed. An interface keeps its addresses when its
/// name changes, so they appear under a name to which no program gave them.
fn renamed(portal: &Portal, facts: &Facts) -> Option<Obstacle> {
    let Entrance::Interface(interface) = &portal.entrance else { return None };
    let address = portal.address?;
    let has_kept = |name: &IfName, networks: &SortedSet<Cidr>| {
        let lan = address.network();
        name != interface && networks.contains(&lan) && !facts.given.contains(&(name.clone(), lan))
    };
    let (now, _) = facts.behind.iter().find(|(name, networks)| has_kept(name, networks))?;
    let (interface, now) = (interface.clone(), now.clone());
    Some(if portal.is_here {
        Obstacle::Replaced { interface, now, address }
    } else {
        Obstacle::Renamed { interface, now }
    })
}

/// Returns the rule of another program in front of a portal. It is no obstacle to direct traffic, which
/// follows the host's rules anyway, nor to IPv6, which the firewall refuses.
fn in_front(portal: &Portal, facts: &Facts) -> Option<Obstacle> {
    let rule = facts.rules_in_front.iter().next()?;
    portal.exits.iter().any(|exit| *exit != Exit::Direct).then_some(Obstacle::RuleInFront(*rule))
}
