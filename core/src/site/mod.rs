//! View of one site: its interfaces, ports, tables, peers and portals, derived from the network file.
//!
//! `Network` + the site's own key + host facts → `Site`. Two sites agree without talking, because both derive
//! from the same file.

pub mod access_point;
mod agent_settings;
mod chains;
mod conflicts;
mod endpoints;
mod entrance;
mod exchange;
mod exit;
pub mod facts;
mod guard;
mod host_view;
mod ids;
mod inputs;
mod ipv6;
mod kernel_settings;
mod links;
mod marks;
mod names;
mod nat;
mod notes;
mod obstacle;
mod obstacle_search;
mod portal;
mod portals;
mod providers;
mod tunnel;
mod view;
mod vlan;

use std::iter::Copied;
use std::net::IpAddr;
use std::{slice, vec};

pub use agent_settings::AgentSettings;
pub use chains::{Chain, Relay, relays};
pub use endpoints::names_to_resolve;
pub use entrance::{Entrance, Vlan};
pub use exchange::{ExchangePart, ExchangePeer, links_of};
pub use exit::Exit;
pub use guard::Guard;
pub use host_view::HostView;
pub use ids::{PAGE_PORT, RESOLVER_PORT, SHARED_INTERFACE, TABLE_BASE};
pub use inputs::{Inputs, PeerKnowledge};
pub use kernel_settings::KernelSettings;
pub use links::{address, linked, networks_of, tunnels};
pub use marks::ExitProbe;
pub use names::HomeNames;
pub use nat::{HelperPart, SearchedLink, SiteNat};
pub use notes::UNRESOLVED;
pub use obstacle::Obstacle;
pub use portal::{ExitChoices, PortFilter, Portal, ReplyPath, RouterAccess};
pub use portals::sources_with_ipv6;
pub use tunnel::{KEEPALIVE, PeerEndpoint, ProviderSettings, SitePeer, SitePhone, SiteTunnel};
pub use view::{own_name, view};

use crate::base::net::{Cidr, Family, IfName, Secret};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::{Mtu, Name, SharedNetwork};
use crate::nat::is_home_address;
use crate::site::access_point::AccessPointPlan;

/// Site, as the plan needs it.
#[derive(Debug, Clone)]
pub struct Site {
    /// Name of the network.
    pub network: Name,
    /// Name of the site.
    pub name: Name,
    /// IPv4 address of the site on all its tunnels.
    pub address: IpAddr,
    /// IPv4 subnet of the network.
    pub subnet: Cidr,
    /// IPv6 of the site in the network; `None` if the tunnels carry no IPv6.
    pub ipv6: Option<SiteIpv6>,
    /// Networks here that linked sites may reach.
    pub lan: Vec<SharedNetwork>,
    /// Networks that linked sites share, by site, as this site sees them.
    pub far_lans: SortedMap<Name, SortedSet<Cidr>>,
    /// Networks in whose place linked sites have others at home.
    pub translated_elsewhere: SortedSet<Cidr>,
    /// Names of computers in the homes of this site and of linked sites.
    pub names: HomeNames,
    /// MTU of the tunnels.
    pub mtu: Mtu,
    /// Private key of the site.
    pub private_key: Secret,
    /// Tunnels by interface, in the order of names.
    pub tunnels: SortedMap<IfName, SiteTunnel>,
    /// Portals in the order of the file.
    pub portals: Vec<Portal>,
    /// Chains of exits that begin here, in the order of their names.
    pub chains: Vec<Chain>,
    /// Traffic of other sites' chains that goes on from here, in the order of its sources.
    pub relays: Vec<Relay>,
    /// Links behind NAT: those that this site searches a path for, and those that it helps with.
    pub nat: SiteNat,
    /// Packets between this site and linked ones, through their tunnels; `None` if there are none.
    pub exchange: Option<ExchangePart>,
    /// Way of this router's NTP requests via its uplink, where its own traffic enters a portal; `None` if
    /// they need none.
    pub ntp: Option<NtpBypass>,
    /// Host of the site.
    pub host: HostView,
    /// Firewall that guards the portals.
    pub guard: Guard,
    /// Kernel settings of interfaces.
    pub kernel: KernelSettings,
    /// Wi-Fi cards at work, and the reasons why other Wi-Fi networks are off.
    pub wifi: AccessPointPlan,
    /// Settings of the agent.
    pub agent: AgentSettings,
    /// Facts that people should know, but that are not errors; they include the notes of `wifi`.
    pub notes: Vec<String>,
}

/// IPv6 of a site in its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteIpv6 {
    /// Address of the site on all its tunnels.
    pub address: IpAddr,
    /// Subnet of the network.
    pub subnet: Cidr,
}

/// Way of traffic that must skip a portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NtpBypass {
    /// Policy rule that matches the port.
    Rule,
    /// Mark of the tunnels' packets, where policy rules cannot match ports.
    Mark,
}

impl Site {
    /// Sets the exits of portals to those in `choices`.
    pub fn choose(&mut self, choices: &ExitChoices) {
        for portal in &mut self.portals {
            let chosen = if portal.obstacle.is_some() { &Exit::Nowhere } else { portal.chosen(choices) };
            portal.exit = chosen.clone();
            if portal.asks_by_exit {
                portal.resolvers = tunnel::resolvers_at(&portal.exit, &self.tunnels);
            }
        }
    }

    /// Returns this end's address in a tunnel for packets to an address: one of the same family, if this end
    /// has one.
    pub fn address_in(&self, tunnel: &SiteTunnel, to: IpAddr) -> IpAddr {
        self.source_in(tunnel, Cidr::host(to)).unwrap_or(self.address)
    }

    /// Returns this end's address in a tunnel for packets to a network; `None` if this end has no address of
    /// that family there.
    pub fn source_in(&self, tunnel: &SiteTunnel, to: Cidr) -> Option<IpAddr> {
        match &tunnel.provider {
            Some(own) => own.source_to(to),
            None => self.address(to.family()),
        }
    }

    /// Returns the site's address of a family on all its tunnels.
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => Some(self.address),
            Family::V6 => self.ipv6.map(|ipv6| ipv6.address),
        }
    }

    /// Returns the addresses of the site on all its tunnels, one of each family that they carry.
    pub fn addresses(&self) -> vec::IntoIter<IpAddr> {
        // A vector, because otherwise each caller would get its own copy of a longer type's code. The same
        // holds for the other small lists here.
        let mut addresses = vec![self.address];
        addresses.extend(self.ipv6.map(|ipv6| ipv6.address));
        addresses.into_iter()
    }

    /// Returns the subnets of the network, one of each family that the tunnels carry.
    pub fn subnets(&self) -> vec::IntoIter<Cidr> {
        let mut subnets = vec![self.subnet];
        subnets.extend(self.ipv6.map(|ipv6| ipv6.subnet));
        subnets.into_iter()
    }

    /// Returns the address families that the tunnels carry.
    pub fn carried(&self) -> Families {
        first_families(self.carries_ipv6())
    }

    /// Reports whether the tunnels carry IPv6.
    pub fn carries_ipv6(&self) -> bool {
        self.ipv6.is_some()
    }

    /// Reports whether an exit takes packets of a family, as far as this site knows: the uplink of another
    /// site may lack IPv6.
    pub fn takes(&self, exit: &Exit, family: Family) -> bool {
        match exit {
            Exit::Tunnel { interface, .. } => {
                self.tunnels.get(interface).is_some_and(|tunnel| tunnel.takes(family))
            }
            Exit::Direct => match family {
                Family::V4 => true,
                Family::V6 => self.carries_ipv6() && self.host.uplink6.is_some(),
            },
            Exit::Nowhere => false,
        }
    }

    /// Returns the MTU of a tunnel in bytes.
    pub fn mtu_of(&self, tunnel: &SiteTunnel) -> u32 {
        let measured = || tunnel.path_mtu.unwrap_or_else(|| self.mtu.most());
        tunnel.provider.as_ref().map_or_else(measured, |own| own.mtu)
    }

    /// Limits the MTUs of tunnels, given by interface, to the widths of the paths to their other ends in
    /// bytes. Does nothing unless the file asks for measured MTUs.
    pub fn narrow(&mut self, widths: &SortedMap<IfName, u32>) {
        if self.mtu != Mtu::Measured {
            return;
        }
        for (interface, width) in widths.iter().filter(|(_, width)| **width < self.mtu.most()) {
            if let Some(tunnel) = self.tunnels.get_mut(interface) {
                tunnel.path_mtu = Some(*width);
            }
        }
    }

    /// Returns the interfaces of the tunnels that lead to providers.
    pub fn providers(&self) -> impl Iterator<Item = &IfName> {
        self.tunnels.iter().filter(|(_, tunnel)| tunnel.provider.is_some()).map(|(interface, _)| interface)
    }

    /// Returns the interfaces by which traffic for an exit leaves this host: one, or two if IPv6 has an
    /// uplink of its own.
    pub fn exit_interfaces<'a>(&'a self, exit: &'a Exit) -> vec::IntoIter<&'a IfName> {
        match exit {
            Exit::Tunnel { interface, .. } => vec![interface].into_iter(),
            Exit::Direct => self.uplinks(),
            Exit::Nowhere => Vec::new().into_iter(),
        }
    }

    /// Returns the interfaces that lead to the internet: one, or two if IPv6 goes through portals and has an
    /// uplink of its own.
    pub fn uplinks(&self) -> vec::IntoIter<&IfName> {
        let mut uplinks = Vec::from_iter(self.uplink_interface());
        if let Some(of_ipv6) = &self.host.uplink6
            && self.carries_ipv6()
            && !uplinks.contains(&of_ipv6)
        {
            uplinks.push(of_ipv6);
        }
        uplinks.into_iter()
    }

    /// Returns the interface of the uplink.
    pub fn uplink_interface(&self) -> Option<&IfName> {
        self.host.uplink.as_ref().map(|uplink| &uplink.interface)
    }

    /// Returns all peers, sites and phones, with the interfaces that they are on.
    pub fn peers(&self) -> impl Iterator<Item = (&IfName, &Name, &SitePeer)> {
        // Collected, because otherwise each caller would get its own copy of this chain of chains.
        let mut all = Vec::new();
        for (interface, tunnel) in &self.tunnels {
            all.extend(tunnel.ends().map(|(name, peer)| (interface, name, peer)));
        }
        all.into_iter()
    }

    /// Returns all phones, with the interfaces that they are on.
    pub fn phones(&self) -> impl Iterator<Item = (&IfName, &Name, &SitePhone)> {
        let mut all = Vec::new();
        for (interface, tunnel) in &self.tunnels {
            all.extend(tunnel.phones.iter().map(|(name, phone)| (interface, name, phone)));
        }
        all.into_iter()
    }
}

impl Site {
    /// Returns the UDP ports that a router in front of this host must forward to it; empty if there is no
    /// such router: the uplink has an address that is not private.
    pub fn forwarded_ports(&self) -> &[u16] {
        let addresses = self.host.uplink.iter().flat_map(|uplink| &uplink.addresses);
        let mut own = addresses.map(|own| own.address).filter(IpAddr::is_ipv4).peekable();
        let is_behind_router =
            self.nat.may_be_behind_router && own.peek().is_some() && own.all(is_home_address);
        if is_behind_router { &self.nat.dialled_ports } else { &[] }
    }

    /// Returns the networks here that linked sites may reach, as they are here.
    pub fn own_lans(&self) -> impl Iterator<Item = Cidr> {
        self.lan.iter().map(|lan| lan.network)
    }

    /// Returns the networks here that linked sites see as other networks, each with that other one.
    pub fn translations(&self) -> vec::IntoIter<(Cidr, Cidr)> {
        let mut translations = Vec::new();
        for lan in &self.lan {
            translations.extend(lan.translation());
        }
        translations.into_iter()
    }
}

/// Address families, IPv4 first.
pub type Families = Copied<slice::Iter<'static, Family>>;

/// Returns the address families that the host has.
pub fn families(site: &Site) -> Families {
    first_families(site.host.ipv6)
}

/// Returns IPv4, and IPv6 if `both`.
#[inline(never)]
fn first_families(both: bool) -> Families {
    const ALL: [Family; 2] = [Family::V4, Family::V6];
    ALL[..=usize::from(both)].iter().copied()
}
