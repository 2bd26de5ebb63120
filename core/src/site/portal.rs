//! Portal of a site.

use std::fmt::Display;
use std::net::IpAddr;
use std::vec;

use super::{Entrance, Exit, Obstacle};
use crate::base::json::Json;
use crate::base::listed::listed;
use crate::base::net::{Cidr, IfName, InterfaceAddress, Mark};
use crate::base::sorted::SortedSet;
use crate::config::model::{Name, Ports};

/// Names of portals with the exits that they use now, where that is not the first exit of the list.
pub type ExitChoices = Vec<(Name, Exit)>;

/// Portal of this site.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent answers")]
pub struct Portal {
    /// Name of the portal.
    pub name: Name,
    /// Traffic that enters.
    pub entrance: Entrance,
    /// Set if the interface of the entrance exists. Some interfaces appear later, or disappear.
    pub is_here: bool,
    /// Obstacle that keeps the portal closed, although its exits may be up.
    pub obstacle: Option<Obstacle>,
    /// Exits in the order of preference; never empty.
    pub exits: Vec<Exit>,
    /// Exit in use: one of `exits`, the first unless [`Site::choose`](super::Site::choose) changed it;
    /// [`Exit::Nowhere`] if there is an obstacle.
    pub exit: Exit,
    /// IPv4 address of this host on the portal's LAN, if the portal has a LAN.
    pub address: Option<InterfaceAddress>,
    /// IPv6 address of this host on the portal's LAN, if the LAN has IPv6.
    pub address6: Option<InterfaceAddress>,
    /// Networks that the host has at the portal's interface besides the portal's LAN. Their devices enter as
    /// well.
    pub behind: SortedSet<Cidr>,
    /// Set if devices on the portal's LAN get addresses by DHCP.
    pub dhcp: bool,
    /// Resolvers that the resolver of the portal's LAN asks through the exit; empty = there is no resolver.
    /// Queries to this host from a portal of devices on an existing LAN go to the first of them.
    pub resolvers: Vec<IpAddr>,
    /// Set if `resolvers` follow from the exit, because the file names none.
    pub asks_by_exit: bool,
    /// Services of this router that the portal's devices reach.
    pub router: RouterAccess,
    /// Set if browsers of the portal's devices show its exits. The portal has a LAN then.
    pub page: bool,
    /// Way of devices' answers to hosts that reached them via the uplink.
    pub answers: ReplyPath,
    /// Destinations that enter; empty = all.
    pub to: Vec<Cidr>,
    /// Ports that enter; `None` = all.
    pub ports: Option<PortFilter>,
    /// Destinations that never enter.
    pub except: Vec<Cidr>,
}

/// Ports that enter a portal. The firewall matches them, and marks packets for the policy rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortFilter {
    /// Ranges of ports; never empty.
    pub ports: Vec<Ports>,
    /// Mark of the portal's packets; the same as the entrance's, if that has one.
    pub mark: Mark,
}

/// Way of answers to hosts that reached a device via the uplink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyPath {
    /// Way through the exit, like all other traffic.
    ByExit,
    /// Way via the uplink.
    ByUplink,
}

/// Services of a router for devices, in addition to forwarding their packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouterAccess {
    /// Every service.
    All,
    /// DHCP, DNS, ping and the portal's page.
    Basics,
}

impl Portal {
    /// Returns the interface all of whose traffic enters, if the entrance is one.
    pub fn entrance_interface(&self) -> Option<&IfName> {
        self.entrance.interface()
    }

    /// Returns the traffic that enters, in words: `interface eth1`.
    pub fn entrance_words(&self) -> String {
        let mut words = match &self.entrance {
            Entrance::Interface(interface) => format!("interface {interface}"),
            Entrance::Vlan(vlan) => format!("VLAN {} of {}", vlan.id, vlan.parent),
            Entrance::Wifi { interface, ssid, .. } => format!("wifi {} on {interface}", Json::text(ssid)),
            Entrance::From(sources) => {
                format!("from {}", listed(&mut sources.iter().map(|source| source as &dyn Display)))
            }
            Entrance::Mac { devices, .. } => {
                format!("mac {}", listed(&mut devices.iter().map(|device| device as &dyn Display)))
            }
            Entrance::Own => "self".to_owned(),
        };
        for ports in self.ports() {
            words.push_str(", ");
            words.push_str(&ports.to_string());
        }
        words
    }

    /// Returns the first and the last address that DHCP may give to the portal's devices; `None` if there is
    /// no DHCP. The router's own address may be between them.
    pub fn leased(&self) -> Option<(IpAddr, IpAddr)> {
        let lan = self.address.filter(|_| self.dhcp)?;
        let network = lan.network();
        let host = |number| network.nth(number).expect("validated: a LAN has room for devices");
        let (mut first, mut last) = (1, (1 << (network.family().bits() - network.length())) - 2);
        if host(first) == lan.address {
            first += 1;
        } else if host(last) == lan.address {
            last -= 1;
        }
        Some((host(first), host(last)))
    }

    /// Returns the mark of the portal's packets; `None` where policy rules recognise them without a mark.
    pub fn mark(&self) -> Option<Mark> {
        match &self.entrance {
            Entrance::Mac { mark, .. } => Some(*mark),
            _ => self.ports.as_ref().map(|ports| ports.mark),
        }
    }

    /// Returns the ranges of ports that enter; empty = all ports.
    pub fn ports(&self) -> &[Ports] {
        self.ports.as_ref().map_or(&[], |filter| &filter.ports)
    }

    /// Reports whether all traffic that comes in at the entrance enters.
    pub fn takes_all(&self) -> bool {
        self.to.is_empty() && self.ports.is_none()
    }

    /// Returns the addresses of this host on the portal's LAN, one of each family that the LAN has.
    pub fn addresses(&self) -> vec::IntoIter<InterfaceAddress> {
        let mut addresses = Vec::from_iter(self.address);
        addresses.extend(self.address6);
        addresses.into_iter()
    }

    /// Returns the addresses where the portal's resolver listens, and from which it asks; empty if there is
    /// no resolver.
    pub fn resolver(&self) -> vec::IntoIter<IpAddr> {
        let addresses = self.addresses().map(|lan| lan.address);
        let answered = if self.resolvers.is_empty() { Vec::new() } else { addresses.collect() };
        answered.into_iter()
    }

    /// Reports whether the portal has several exits.
    pub fn can_fail_over(&self) -> bool {
        self.exits.len() > 1
    }

    /// Returns all values that [`Self::exit`] may have without an obstacle: each exit of the list, and
    /// nowhere if there are several.
    pub fn all_choices(&self) -> impl Iterator<Item = &Exit> {
        self.exits.iter().chain(self.can_fail_over().then_some(&Exit::Nowhere))
    }

    /// Reports whether packets of the portal's devices come in on the portal's interface, and not on another.
    pub fn has_wire(&self) -> bool {
        self.is_here && !self.obstacle.as_ref().is_some_and(Obstacle::takes_wire)
    }

    /// Returns the portal's exit according to `choices`. A choice that is not in the portal's list is
    /// ignored.
    pub fn chosen(&self, choices: &ExitChoices) -> &Exit {
        let chosen = choices.iter().filter(|(portal, _)| *portal == self.name);
        let mut own = chosen.filter_map(|(_, exit)| self.all_choices().find(|choice| choice.is_same(exit)));
        own.next().unwrap_or(&self.exits[0])
    }
}
