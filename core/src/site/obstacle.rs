//! Obstacles that keep a portal closed although its exits may be up.

use std::fmt::{self, Display, Formatter};

use crate::base::net::{IfName, InterfaceAddress};
use crate::config::model::Name;
use crate::site::facts::CatchAll;
use crate::site::facts::Firmware;
use crate::site::facts::LinkSort;
use crate::state::PRIORITIES;

/// Obstacle that keeps a portal closed although its exits may be up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The portal's interface is a port of another interface, and packets come in on the other one.
    Port {
        /// Interface of the portal.
        port: IfName,
        /// Interface that it is a port of.
        master: IfName,
        /// Sort of the master.
        sort: LinkSort,
        /// Set if this host can drop packets that come in on the port.
        is_closed: bool,
        /// Firmware with its own way to free a port.
        firmware: Option<Firmware>,
    },
    /// The interface that carries the portal's VLAN is a closed port, because another portal enters there.
    ClosedCarrier {
        /// Interface that carries the VLAN.
        carrier: IfName,
        /// Name of the other portal.
        portal: Name,
    },
    /// Devices may mistake another interface on the same link for the portal's.
    SharedWire {
        /// Interface of the portal.
        interface: IfName,
        /// Interface on the same link.
        other: IfName,
    },
    /// The portal's interface has another name than in the file.
    Renamed {
        /// Name in the file.
        interface: IfName,
        /// Present name.
        now: IfName,
    },
    /// The name of the portal's interface belongs to another interface now; the portal's address and devices
    /// are at an interface with a third name.
    Replaced {
        /// Name in the file.
        interface: IfName,
        /// Present name of the portal's interface.
        now: IfName,
        /// Address that the portal's interface has kept.
        address: InterfaceAddress,
    },
    /// A policy rule of another program sends all IPv4 traffic elsewhere before our rules match.
    RuleInFront(CatchAll),
}

impl Obstacle {
    /// Returns the word for the obstacle that other programs read.
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

    /// Returns the port that must be closed because of the obstacle, if this host can close it.
    pub fn closed_port(&self) -> Option<&IfName> {
        match self {
            Self::Port { port, is_closed: true, .. } => Some(port),
            _ => None,
        }
    }

    /// Reports whether packets of the portal's devices come in on another interface than the one with the
    /// portal's name.
    pub fn takes_wire(&self) -> bool {
        matches!(self, Self::Port { .. } | Self::Replaced { .. })
    }
}

impl Display for Obstacle {
    /// Writes the reason and the way out, to follow the name of the portal.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port { port, master, sort, is_closed, firmware } => {
                write_port(f, port, master, *is_closed)?;
                write_way_to_free(f, port, master, *sort, *firmware)
            }
            Self::ClosedCarrier { carrier, portal } => write!(
                f,
                "{carrier}, which carries its VLAN, is a port that is closed for portal `{portal}`: free the \
                 port, or remove that portal"
            ),
            Self::SharedWire { interface, other } => write!(
                f,
                "{other} is on the same link as {interface}, and devices may take it for their router: \
                 remove it (`ip link delete {other}`), or choose another entrance"
            ),
            Self::Renamed { interface, now } => write!(
                f,
                "{interface} is now called {now}: write the new name into the file, or rename the interface \
                 back"
            ),
            Self::Replaced { interface, now, address } => write!(
                f,
                "{interface} is now another interface: the address {address} is on {now}; rename {now} back, \
                 or, if {interface} is the right one, delete the address (`ip address delete {address} dev \
                 {now}`)"
            ),
            Self::RuleInFront(rule) => write!(
                f,
                "the rule `{rule}` comes before ours: delete it, or give it a priority above {}",
                PRIORITIES.end()
            ),
        }
    }
}

fn write_port(f: &mut Formatter<'_>, port: &IfName, master: &IfName, is_closed: bool) -> fmt::Result {
    write!(f, "{port} is a port of {master}, so its packets come in on {master}; ")?;
    if is_closed {
        f.write_str("they are dropped until the port is free: ")
    } else {
        write!(
            f,
            "this kernel cannot drop them (that needs nftables with an ingress hook), so they take the way \
             of other traffic from {master}: "
        )
    }
}

/// Writes how to free a port on this host, and which entrance to write into the file instead.
fn write_way_to_free(
    f: &mut Formatter<'_>,
    port: &IfName,
    master: &IfName,
    sort: LinkSort,
    firmware: Option<Firmware>,
) -> fmt::Result {
    match firmware {
        Some(Firmware::OpenWrt) => {
            write!(
                f,
                "take the port out (remove `{port}` from the ports of {master} in /etc/config/network)"
            )?;
        }
        Some(Firmware::EdgeOs) => {
            let group = if sort == LinkSort::Bridge { "bridge-group" } else { "bond-group" };
            write!(f, "take the port out (`delete interfaces ethernet {port} {group}`)")?;
        }
        // The controller puts every port back into a bridge.
        Some(Firmware::UniFi) if sort == LinkSort::Bridge => {
            return write!(
                f,
                "give the portal its own network in the UniFi app, assign only that network to the port, and \
                 write `interface = \"…\"` with the bridge of that network (`br` and the number of its VLAN)"
            );
        }
        _ => write!(f, "take the port out (`ip link set {port} nomaster`)")?,
    }
    match sort {
        LinkSort::Vrf => f.write_str(", or choose another entrance"),
        _ => write!(f, ", or let all traffic of {master} enter: `interface = \"{master}\"`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(sort: LinkSort, is_closed: bool, firmware: Option<Firmware>) -> String {
        let (port, master) = ("eth1".parse().unwrap(), "br-lan".parse().unwrap());
        Obstacle::Port { port, master, sort, is_closed, firmware }.to_string()
    }

    #[test]
    fn each_firmware_has_its_own_way_out() {
        let reason = "eth1 is a port of br-lan, so its packets come in on br-lan; ";
        let closed = "they are dropped until the port is free: ";
        let open = "this kernel cannot drop them (that needs nftables with an ingress hook), so they take \
                    the way of other traffic from br-lan: ";
        let instead = ", or let all traffic of br-lan enter: `interface = \"br-lan\"`";
        for (sort, firmware, way_out) in [
            (LinkSort::Bridge, None, format!("take the port out (`ip link set eth1 nomaster`){instead}")),
            (
                LinkSort::Vrf,
                None,
                "take the port out (`ip link set eth1 nomaster`), or choose another entrance".to_owned(),
            ),
            (
                LinkSort::Bridge,
                Some(Firmware::OpenWrt),
                format!(
                    "take the port out (remove `eth1` from the ports of br-lan in \
                     /etc/config/network){instead}"
                ),
            ),
            (
                LinkSort::Bridge,
                Some(Firmware::EdgeOs),
                format!("take the port out (`delete interfaces ethernet eth1 bridge-group`){instead}"),
            ),
            (
                LinkSort::Other,
                Some(Firmware::EdgeOs),
                format!("take the port out (`delete interfaces ethernet eth1 bond-group`){instead}"),
            ),
            (
                LinkSort::Bridge,
                Some(Firmware::UniFi),
                "give the portal its own network in the UniFi app, assign only that network to the port, and \
                 write `interface = \"…\"` with the bridge of that network (`br` and the number of its VLAN)"
                    .to_owned(),
            ),
        ] {
            assert_eq!(port(sort, true, firmware), format!("{reason}{closed}{way_out}"));
            assert_eq!(port(sort, false, firmware), format!("{reason}{open}{way_out}"));
        }
    }
}
