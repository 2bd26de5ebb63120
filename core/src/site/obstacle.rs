//! Obstacles that keep a portal closed though its exits may be fine, with the reason and the way out.

use std::fmt::{self, Display, Formatter};

use super::{Entrance, Exit, Portal, Vlan};
use crate::base::error::Error;
use crate::base::net::{Cidr, IfName, InterfaceAddress};
use crate::base::sorted::SortedSet;
use crate::config::model::Name;
use crate::site::facts::CatchAll;
use crate::site::facts::Firmware;
use crate::site::facts::Sort;
use crate::site::facts::{Facts, Master};
use crate::state::PRIORITIES;

/// An obstacle that keeps a portal closed though its exits may be fine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// All that comes in on its interface comes in by another one, which that is a port of.
    Port {
        /// The portal's interface.
        port: IfName,
        /// The other one.
        master: IfName,
        /// The sort of that.
        sort: Sort,
        /// Set where this host can drop packets that come in on the port.
        is_closed: bool,
        /// The firmware that has its own way to free a port.
        firmware: Option<Firmware>,
    },
    /// The interface that carries its VLAN is closed, as another portal enters there and it is a port.
    ClosedCarrier {
        /// The interface.
        carrier: IfName,
        /// The other portal.
        portal: Name,
    },
    /// Devices may take another interface on the same wire for its own.
    SharedWire {
        /// Its interface.
        interface: IfName,
        /// The other one.
        other: IfName,
    },
    /// The portal's interface has another name than the file says.
    Renamed {
        /// The name in the file.
        interface: IfName,
        /// The name that it has.
        now: IfName,
    },
    /// Another interface has the name of the portal's, whose address and devices are behind a third name.
    Replaced {
        /// The name in the file.
        interface: IfName,
        /// The name that the portal's interface has.
        now: IfName,
        /// The address that it has kept.
        address: InterfaceAddress,
    },
    /// Somebody else's policy rule sends all IPv4 traffic elsewhere before ours are asked.
    RuleInFront(CatchAll),
}

impl Obstacle {
    /// One word for it, for programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Port { .. } => "port",
            Self::ClosedCarrier { .. } => "closed-carrier",
            Self::SharedWire { .. } => "shared-wire",
            Self::Renamed { .. } => "renamed",
            Self::Replaced { .. } => "replaced",
            Self::RuleInFront(_) => "rule-in-front",
        }
    }

    /// The port that has to be closed for it, if this host can do that.
    pub fn closed_port(&self) -> Option<&IfName> {
        match self {
            Self::Port { port, is_closed: true, .. } => Some(port),
            _ => None,
        }
    }

    /// Tells whether the portal's devices come in by another interface than the one with its name.
    pub fn takes_wire(&self) -> bool {
        matches!(self, Self::Port { .. } | Self::Replaced { .. })
    }
}

impl Display for Obstacle {
    /// The reason and the way out, to go behind the name of the portal.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port { port, master, sort, is_closed, firmware } => {
                write!(
                    f,
                    "{port} is a port of {master}, so that all that comes in there comes in by {master}; "
                )?;
                if *is_closed {
                    f.write_str("it is dropped until the port is free: ")?;
                } else {
                    write!(
                        f,
                        "this kernel cannot drop it (nftables with a hook at ingress is needed), so it goes where the \
                               traffic of {master} goes: "
                    )?;
                }
                free(f, port, master, *sort, *firmware)
            }
            Self::ClosedCarrier { carrier, portal } => {
                write!(
                    f,
                    "{carrier}, which carries it, is a port and closed for portal `{portal}`: free it, or take that portal out"
                )
            }
            Self::SharedWire { interface, other } => write!(
                f,
                "{other} is on the wire of {interface}, and devices may take it for their router: remove it (`ip link delete {other}`), \
                 or choose another entrance"
            ),
            Self::Renamed { interface, now } => {
                write!(
                    f,
                    "{interface} is called {now} now; write that into the file, or give it its name back"
                )
            }
            Self::Replaced { interface, now, address } => write!(
                f,
                "{interface} is another interface now: the address {address} is on {now}; give that its name back, or, if {interface} \
                 is the right one, take the address away (`ip address delete {address} dev {now}`)"
            ),
            Self::RuleInFront(rule) => write!(
                f,
                "the rule `{rule}` stands in front of ours: take it away, or give it a priority above {}",
                PRIORITIES.end()
            ),
        }
    }
}

/// Words for freeing a port on this host, and for what to write instead.
fn free(
    f: &mut Formatter<'_>,
    port: &IfName,
    master: &IfName,
    sort: Sort,
    firmware: Option<Firmware>,
) -> fmt::Result {
    match firmware {
        Some(Firmware::OpenWrt) => {
            write!(f, "take it out (remove `{port}` from the ports of {master} in /etc/config/network)")?;
        }
        Some(Firmware::EdgeOs) => {
            let group = if sort == Sort::Bridge { "bridge-group" } else { "bond-group" };
            write!(f, "take it out (`delete interfaces ethernet {port} {group}`)")?;
        }
        // The controller puts every port back into a bridge.
        Some(Firmware::UniFi) if sort == Sort::Bridge => {
            return write!(
                f,
                "give the portal a network of its own in the UniFi app, let the port have that one only, and write `interface = \
                 \"…\"` with the bridge of that network (`br` and its VLAN's number)"
            );
        }
        _ => write!(f, "take it out (`ip link set {port} nomaster`)")?,
    }
    match sort {
        Sort::Vrf => f.write_str(", or choose another entrance"),
        _ => write!(f, ", or let all of {master} enter: `interface = \"{master}\"`"),
    }
}

/// Finds them, and has the portals leave nowhere that have one.
pub(super) fn find(portals: &mut [Portal], facts: &Facts) {
    for portal in &mut *portals {
        portal.obstacle = of_interface(portal, facts)
            .or_else(|| renamed(portal, facts))
            .or_else(|| in_front(portal, facts));
    }
    let closed: Vec<(IfName, Name)> = portals
        .iter()
        .filter_map(|portal| Some((portal.obstacle.as_ref()?.closed_port()?.clone(), portal.name.clone())))
        .collect();
    for portal in portals {
        if let (None, Entrance::Vlan(Vlan { parent, .. })) = (&portal.obstacle, &portal.entrance) {
            let closed = closed.iter().find(|(port, _)| port == parent);
            portal.obstacle = closed.map(|(carrier, portal)| Obstacle::ClosedCarrier {
                carrier: carrier.clone(),
                portal: portal.clone(),
            });
        }
        if portal.obstacle.is_some() {
            portal.exit = Exit::Nowhere;
        }
    }
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

/// An interface keeps its addresses when it gets another name: there they are where nobody has put them.
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

/// The foreign rule in front of a portal. Direct traffic goes wherever the host sends it, by whatever rule;
/// IPv6 is refused by the firewall, whatever rule there is.
fn in_front(portal: &Portal, facts: &Facts) -> Option<Obstacle> {
    let rule = facts.rules_in_front.iter().next()?;
    portal.exits.iter().any(|exit| *exit != Exit::Direct).then_some(Obstacle::RuleInFront(*rule))
}

/// Interfaces that some of a portal's devices may get to by tags of their own.
pub(super) fn notes(portals: &[Portal], facts: &Facts) -> Vec<String> {
    let nothing = SortedSet::new();
    let note = |portal: &Portal| {
        if let Some(obstacle) = &portal.obstacle {
            return Some(format!("portal `{}` is blocked: {obstacle}", portal.name));
        }
        let interface = portal.entrance_interface()?;
        let ours = |name: &IfName| portals.iter().any(|portal| portal.entrance_interface() == Some(name));
        let vlans = facts.ties.get(interface).map_or(&nothing, |tie| &tie.vlans);
        let others: Vec<&str> = vlans.iter().filter(|vlan| !ours(vlan)).map(IfName::as_str).collect();
        (!others.is_empty()).then(|| {
            format!(
                "portal `{}`: what devices on {interface} send with the tag of a VLAN does not enter it, but {}; `vlan = {{ parent = \
                 \"{interface}\", id = … }}` makes a portal of that, too",
                portal.name,
                others.join(", ")
            )
        })
    };
    portals.iter().filter_map(note).collect()
}

/// A port of what the way to the internet leads out of cannot be closed: all of the uplink might come in there.
pub(super) fn ports_of_the_uplink(portals: &[Portal], facts: &Facts) -> Vec<Error> {
    let refusal = |portal: &Portal| {
        let interface = portal.entrance_interface()?;
        let master = facts.ties.get(interface)?.master.as_ref().filter(|master| master.holds_uplink)?;
        Some(Error::wrong(format!(
            "portal `{}`: {interface} is a port of {}, by which this router's own uplink leads: choose another entrance, or take the \
             port out (`ip link set {interface} nomaster`)",
            portal.name, master.interface
        )))
    };
    portals.iter().filter_map(refusal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(sort: Sort, is_closed: bool, firmware: Option<Firmware>) -> String {
        let (port, master) = ("eth1".parse().unwrap(), "br-lan".parse().unwrap());
        Obstacle::Port { port, master, sort, is_closed, firmware }.to_string()
    }

    #[test]
    fn the_way_out_is_that_of_the_firmware() {
        let reason = "eth1 is a port of br-lan, so that all that comes in there comes in by br-lan; ";
        let closed = "it is dropped until the port is free: ";
        let open = "this kernel cannot drop it (nftables with a hook at ingress is needed), so it goes where the traffic of br-lan goes: ";
        let instead = ", or let all of br-lan enter: `interface = \"br-lan\"`";
        for (sort, firmware, way_out) in [
            (Sort::Bridge, None, format!("take it out (`ip link set eth1 nomaster`){instead}")),
            (Sort::Vrf, None, "take it out (`ip link set eth1 nomaster`), or choose another entrance".to_owned()),
            (
                Sort::Bridge,
                Some(Firmware::OpenWrt),
                format!("take it out (remove `eth1` from the ports of br-lan in /etc/config/network){instead}"),
            ),
            (
                Sort::Bridge,
                Some(Firmware::EdgeOs),
                format!("take it out (`delete interfaces ethernet eth1 bridge-group`){instead}"),
            ),
            (
                Sort::Other,
                Some(Firmware::EdgeOs),
                format!("take it out (`delete interfaces ethernet eth1 bond-group`){instead}"),
            ),
            (
                Sort::Bridge,
                Some(Firmware::UniFi),
                "give the portal a network of its own in the UniFi app, let the port have that one only, and write `interface = \"…\"` \
                 with the bridge of that network (`br` and its VLAN's number)"
                    .to_owned(),
            ),
        ] {
            assert_eq!(port(sort, true, firmware), format!("{reason}{closed}{way_out}"));
            assert_eq!(port(sort, false, firmware), format!("{reason}{open}{way_out}"));
        }
    }
}
