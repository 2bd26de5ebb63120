//! All that follows from the network file for one site: interfaces, ports, tables, peers and portals.
//!
//! `Network` + which site am I + host facts → `Site`. Two sites agree without talking, since both derive from the same file.

mod exit;
pub mod facts;
mod firewall;
mod ground;
mod inputs;
mod links;
mod marks;
mod obstacle;
mod providers;
mod served;
mod unbuilt;
mod view;
mod vlan;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use exit::Exit;
pub use inputs::{Inputs, Known};
pub use links::{KEEPALIVE, address, names_to_resolve, networks_of, tunnels};
pub use marks::Probe;
pub use obstacle::Obstacle;
pub use served::{Answers, Served};
pub use view::{own_name, sources_with_ipv6, view};

use crate::base::net::{Cidr, Family, IfName, InterfaceAddress, Mac, Mark, PublicKey, Secret, Table};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::{Failover, Host, Mtu, Name, Ports};
use crate::firewall::{Backend, Barrier, Chain};
use crate::site::facts::Neighbours;
use crate::site::facts::Uplink;
use crate::state;
use crate::wifi::access_point::AccessPoint;

/// The interface that all peers share whose networks do not overlap.
pub const SHARED_INTERFACE: &str = "portals0";

/// Table of the exit that is site N: 7700 + N. Table 7700 itself stays empty.
pub const TABLE_BASE: u32 = 7700;

/// UDP and TCP port of portals' resolvers at their own addresses. What asks such an address at port 53 is sent there, so nobody else
/// answers it while the resolver is away, and one of this host's that takes port 53 everywhere is not in its way.
pub const RESOLVER_PORT: u16 = 5053;

/// One site, as the plan needs it.
#[derive(Debug, Clone)]
pub struct Site {
    /// Name of the network.
    pub network: Name,
    /// Name of the site.
    pub name: Name,
    /// Its address on all its tunnels.
    pub address: IpAddr,
    /// The network's subnet.
    pub subnet: Cidr,
    /// MTU of the tunnels.
    pub mtu: Mtu,
    /// The site's key.
    pub private_key: Secret,
    /// Who runs the tunnels.
    pub backend: state::Backend,
    /// Which firewall guards the portals, and why that one: to go behind "because".
    pub firewall: Backend,
    /// See [`Self::firewall`].
    pub firewall_reason: &'static str,
    /// Rules of others that refuse what they do not know, and in which chain.
    pub barriers: SortedSet<(Barrier, Chain)>,
    /// The host's way out.
    pub uplink: Option<Uplink>,
    /// The uplink's connected networks: the exit's own neighbours.
    pub uplink_networks: SortedSet<Cidr>,
    /// Networks on the host's other interfaces.
    pub local: SortedSet<Cidr>,
    /// Addresses of the host on interfaces that are not ours, IPv4: where its own resolver may answer.
    pub own: SortedSet<IpAddr>,
    /// Whether the host speaks IPv6.
    pub ipv6: bool,
    /// How what this router asks time servers goes by its uplink, where its own traffic enters a portal; none = it does not.
    pub ntp: Option<WayOut>,
    /// Devices with addresses that portals choose by, as far as they are known.
    pub neighbours: Neighbours,
    /// Those addresses.
    pub sources_with_ipv6: Vec<Cidr>,
    /// Interfaces that only devices of portals are on: no router there has a say in this host's IPv6.
    pub deaf: SortedSet<IfName>,
    /// Whether tunnels loosen reverse-path filtering.
    pub loose_rp_filter: bool,
    /// Networks here that linked sites may reach.
    pub lan: Vec<Cidr>,
    /// By interface, in order of name.
    pub tunnels: SortedMap<IfName, Tunnel>,
    /// In the order of the file.
    pub portals: Vec<Portal>,
    /// How soon portals leave an exit, and come back to it.
    pub failover: Failover,
    /// What exits of lists are asked beyond, and how the answers are told; empty, if nothing is.
    pub probes: Vec<Probe>,
    /// How long a link may go without a handshake before its name is resolved again.
    pub resolve_after: Duration,
    /// The program to run when a portal moves to another exit; its path, from the network file's folder.
    pub hook: Option<PathBuf>,
    /// The configuration of the inadyn that keeps this site's name up to date; its whole path.
    pub dyndns: Option<PathBuf>,
    /// The Wi-Fi cards at work.
    pub access_points: Vec<AccessPoint>,
    /// What a person should know, though it is no fault.
    pub notes: Vec<String>,
    /// Those of them that tell why a Wi-Fi is off.
    pub wifi_notes: Vec<String>,
}

/// A way to tell traffic that is to skip a portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayOut {
    /// A policy rule that asks for its port.
    Rule,
    /// The tunnels' mark, where rules cannot ask for ports.
    Mark,
}

/// Names of portals, and the exits that they use now, where that is not the first of the list.
pub type Choices = Vec<(Name, Exit)>;

/// A tunnel interface and who is at its other end.
#[derive(Debug, Clone)]
pub struct Tunnel {
    /// UDP port it listens on.
    pub port: u16,
    /// The exit's table; `None` for the shared interface.
    pub table: Option<Table>,
    /// By name of the site, or of the exit that is a provider; a second one of that, and more, have a number behind it.
    pub peers: SortedMap<Name, Peer>,
    /// By name; only on the shared interface.
    pub phones: SortedMap<Name, Phone>,
    /// What is its own where no site is at the other end.
    pub provider: Option<Provider>,
    /// Bytes of the packets that the way to the other end takes, where that is measured and less than all.
    pub narrow: Option<u32>,
}

/// A tunnel to a provider, by the file that came from there: what other tunnels have of the site and its network.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Path of the file, from the network file's folder.
    pub config: PathBuf,
    /// The key of this end.
    pub private_key: Secret,
    /// The IPv4 addresses of this end with their networks, in the order of the file; there is one at least.
    pub addresses: Vec<InterfaceAddress>,
    /// MTU in bytes.
    pub mtu: u32,
    /// Name servers that are to be asked through it, IPv4.
    pub dns: Vec<IpAddr>,
}

/// The other end of a link.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address on all its tunnels; that of a provider is not known, and this one is somewhere behind it.
    pub address: IpAddr,
    /// Its key.
    pub public_key: PublicKey,
    /// Derived from the network's secret, if there is one; a provider's is in its file.
    pub preshared_key: Option<Secret>,
    /// Where it is dialled: the file's host and the port that follows from its ids. `None`: it dials us.
    pub endpoint: Option<Endpoint>,
    /// What of the network is behind it: tunnel address, portal LANs, shared networks.
    pub networks: SortedSet<Cidr>,
    /// What may come from it, and what is sent to it.
    pub allowed_ips: SortedSet<Cidr>,
    /// Seconds between keepalives; 0 = off.
    pub keepalive: u16,
    /// Whether it uses this site as an exit.
    pub exits_here: bool,
}

/// A phone that dials this site.
#[derive(Debug, Clone)]
pub struct Phone {
    /// It is behind its address alone.
    pub peer: Peer,
    /// Where its traffic leaves; directly is what it does as any guest from another site.
    pub exit: Exit,
}

/// Where a peer is dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address, as the file has it.
    pub host: Host,
    /// UDP port.
    pub port: u16,
    /// The address, once a name has been resolved.
    pub address: Option<SocketAddr>,
}

/// A portal of this site.
#[derive(Debug, Clone)]
pub struct Portal {
    /// Its name.
    pub name: Name,
    /// What enters.
    pub entrance: Entrance,
    /// Whether the interface that it enters by is there: some come later, or go.
    pub is_here: bool,
    /// The obstacle that keeps it closed, if anything does but its exits.
    pub obstacle: Option<Obstacle>,
    /// Where that may leave, in the order of preference; never empty.
    pub exits: Vec<Exit>,
    /// Where that leaves now: one of `exits`, the first unless [`Site::choose`] says otherwise; or nowhere, as with an obstacle.
    pub exit: Exit,
    /// The address of its LAN, if it has one.
    pub address: Option<InterfaceAddress>,
    /// Networks that the host has at its interface besides: their devices enter as well.
    pub behind: SortedSet<Cidr>,
    /// Whether devices on its LAN are given addresses.
    pub dhcp: bool,
    /// Whom the resolver of its LAN asks, through the exit; empty = there is no resolver. Of devices: the first is whom they ask where
    /// they ask this host.
    pub resolvers: Vec<IpAddr>,
    /// Whether those go with its exit, as the file names none.
    pub asks_by_exit: bool,
    /// The services of this router that its devices reach.
    pub router: Served,
    /// The way of its devices' answers to those who have reached them by the uplink.
    pub answers: Answers,
    /// Only to these destinations; empty = all.
    pub to: Vec<Cidr>,
    /// Only to these ports; empty = all.
    pub ports: Vec<Ports>,
    /// Never these destinations.
    pub except: Vec<Cidr>,
    /// What tells its packets, where a policy rule alone cannot.
    pub mark: Option<Mark>,
}

/// What enters a portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entrance {
    /// Everything that comes in on this interface.
    Interface(IfName),
    /// Everything on this VLAN, whose interface is ours.
    Vlan(Vlan),
    /// Everything that comes in by this Wi-Fi.
    Wifi {
        /// Its interface.
        interface: IfName,
        /// The interface of its card: the same, for the first of a card.
        card: IfName,
        /// The name that it is known by.
        ssid: String,
    },
    /// These sources on a LAN that exists already.
    From(SortedSet<Cidr>),
    /// These devices on a LAN that exists already.
    Mac(SortedSet<Mac>),
    /// This router's own traffic.
    Own,
}

/// A VLAN that enters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vlan {
    /// The interface that is made for it.
    pub interface: IfName,
    /// The interface that carries it.
    pub parent: IfName,
    /// Its number, 1 to 4094.
    pub id: u16,
    /// MTU of the parent in bytes; 0 while that is not there.
    pub mtu: u32,
}

impl Portal {
    /// The interface all of which enters, if it is one.
    pub fn entrance_interface(&self) -> Option<&IfName> {
        match &self.entrance {
            Entrance::Interface(interface)
            | Entrance::Vlan(Vlan { interface, .. })
            | Entrance::Wifi { interface, .. } => Some(interface),
            Entrance::From(_) | Entrance::Mac(_) | Entrance::Own => None,
        }
    }

    /// Whether all enters that comes by its entrance.
    pub fn takes_all(&self) -> bool {
        self.to.is_empty() && self.ports.is_empty()
    }

    /// The address that its resolver has, and asks from, if it has one.
    pub fn resolver(&self) -> Option<IpAddr> {
        self.address.filter(|_| !self.resolvers.is_empty()).map(|lan| lan.address)
    }

    /// Whether it has other exits to go to.
    pub fn can_fail_over(&self) -> bool {
        self.exits.len() > 1
    }

    /// All that it can be told to do: to leave at an exit of its list, or nowhere where that has several.
    pub fn all_choices(&self) -> impl Iterator<Item = &Exit> {
        self.exits.iter().chain(self.can_fail_over().then_some(&Exit::Nowhere))
    }

    /// Tells whether packets on its wire come in by its interface, and not by another.
    pub fn has_wire(&self) -> bool {
        self.is_here && !self.obstacle.as_ref().is_some_and(Obstacle::takes_wire)
    }

    /// Where it leaves by `choices`; a choice that is not in its list counts for nothing.
    pub fn chosen<'a>(&'a self, choices: &'a Choices) -> &'a Exit {
        let is_right = |exit: &Exit| self.all_choices().any(|choice| choice == exit);
        let chosen = choices.iter().find(|(portal, exit)| *portal == self.name && is_right(exit));
        chosen.map_or(&self.exits[0], |(_, exit)| exit)
    }
}

impl Tunnel {
    /// One without anybody at its other end.
    fn new(port: u16, table: Option<Table>) -> Self {
        Self { port, table, peers: SortedMap::new(), phones: SortedMap::new(), provider: None, narrow: None }
    }

    /// All who are at its other end, sites and phones.
    pub fn ends(&self) -> impl Iterator<Item = (&Name, &Peer)> {
        self.peers.iter().chain(self.phones.iter().map(|(name, phone)| (name, &phone.peer)))
    }
}

impl Site {
    /// Has portals leave where `choices` say.
    pub fn choose(&mut self, choices: &Choices) {
        for portal in &mut self.portals {
            let chosen = if portal.obstacle.is_some() { &Exit::Nowhere } else { portal.chosen(choices) };
            portal.exit = chosen.clone();
            if portal.asks_by_exit {
                portal.resolvers = exit::resolvers_at(&portal.exit, &self.tunnels);
            }
        }
    }

    /// This end's address in a tunnel, for what is sent to that one.
    pub fn address_in(&self, tunnel: &Tunnel, to: IpAddr) -> IpAddr {
        self.source_in(tunnel, Cidr::host(to))
    }

    /// This end's address for packets to a network.
    pub fn source_in(&self, tunnel: &Tunnel, to: Cidr) -> IpAddr {
        tunnel.provider.as_ref().and_then(|own| own.source_to(to)).unwrap_or(self.address)
    }

    /// MTU of a tunnel in bytes.
    pub fn mtu_of(&self, tunnel: &Tunnel) -> u32 {
        let measured = || tunnel.narrow.unwrap_or_else(|| self.mtu.most());
        tunnel.provider.as_ref().map_or_else(measured, |own| own.mtu)
    }

    /// Has tunnels take no larger packets than the ways to their other ends do, by their interfaces; if the file has it measured.
    pub fn narrow(&mut self, widths: &SortedMap<IfName, u32>) {
        if self.mtu != Mtu::Measured {
            return;
        }
        for (interface, width) in widths.iter().filter(|(_, width)| **width < self.mtu.most()) {
            if let Some(tunnel) = self.tunnels.get_mut(interface) {
                tunnel.narrow = Some(*width);
            }
        }
    }

    /// The tunnels that lead to providers.
    pub fn providers(&self) -> impl Iterator<Item = &IfName> {
        self.tunnels.iter().filter(|(_, tunnel)| tunnel.provider.is_some()).map(|(interface, _)| interface)
    }

    /// The host's way out, by name.
    pub fn uplink_interface(&self) -> Option<&IfName> {
        self.uplink.as_ref().map(|uplink| &uplink.interface)
    }

    /// All peers, sites and phones, with the interface they are on.
    pub fn peers(&self) -> impl Iterator<Item = (&IfName, &Name, &Peer)> {
        // Collected, or each who asks would have a copy of this chain of chains.
        let mut all = Vec::new();
        for (interface, tunnel) in &self.tunnels {
            all.extend(tunnel.ends().map(|(name, peer)| (interface, name, peer)));
        }
        all.into_iter()
    }

    /// All phones with the interface they are on.
    pub fn phones(&self) -> impl Iterator<Item = (&IfName, &Name, &Phone)> {
        self.tunnels.iter().flat_map(|(interface, tunnel)| {
            tunnel.phones.iter().map(move |(name, phone)| (interface, name, phone))
        })
    }
}

/// The families a host has to be told about.
pub fn families(site: &Site) -> impl Iterator<Item = Family> {
    [Some(Family::V4), site.ipv6.then_some(Family::V6)].into_iter().flatten()
}
