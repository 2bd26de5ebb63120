//! Portals of a site, derived from the network file and the host's facts.

use super::ids::{exit_interface, provider_table, site_table};
use super::tunnel::resolvers_at;
use super::{
    Entrance, Exit, PortFilter, Portal, ReplyPath, RouterAccess, SiteIpv6, SiteTunnel, chains, marks,
    obstacle_search, vlan,
};
use crate::base::net::{Cidr, Family, IfName, InterfaceAddress, Mark, are_all_ipv4};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::{self, ExitRef, Name, Network};
use crate::config::{portal_addresses, portal_addresses6};
use crate::site::access_point;
use crate::site::access_point::AccessPointPlan;
use crate::site::facts::Facts;
use crate::wifi::card::Card;

/// Sources that all portals of a site are derived from.
struct PortalInputs<'a> {
    network: &'a Network,
    /// Name of the site.
    own: &'a str,
    tunnels: &'a SortedMap<IfName, SiteTunnel>,
    facts: &'a Facts,
    wifi: &'a AccessPointPlan,
    /// Addresses of portals' LANs, by name of the portal.
    addresses: SortedMap<Name, InterfaceAddress>,
    /// Set if the tunnels carry IPv6.
    carries_ipv6: bool,
    /// IPv6 addresses of portals' LANs, by name of the portal; empty if the tunnels carry no IPv6.
    addresses6: SortedMap<Name, InterfaceAddress>,
    /// Marks of portals that need one, by name of the portal.
    marks: SortedMap<Name, Mark>,
}

/// Returns the portals of the site `own`, in the order of the file.
pub(super) fn portals(
    network: &Network,
    own: &str,
    tunnels: &SortedMap<IfName, SiteTunnel>,
    facts: &Facts,
    wifi: &AccessPointPlan,
    ipv6: Option<SiteIpv6>,
) -> Vec<Portal> {
    let entries = &network.sites[own].portals;
    let (addresses, marks) = (portal_addresses(network, own), marks::of_portals(entries));
    let carries_ipv6 = ipv6.is_some();
    let addresses6 = if carries_ipv6 { portal_addresses6(network, own) } else { SortedMap::new() };
    let sources =
        PortalInputs { network, own, tunnels, facts, wifi, addresses, carries_ipv6, addresses6, marks };
    let mut portals: Vec<Portal> = entries.iter().map(|entry| sources.portal(entry)).collect();
    obstacle_search::find(&mut portals, facts);
    portals
}

/// Returns the exit of the site `own` that the file refers to.
pub(super) fn exit(network: &Network, own: &str, exit: &ExitRef) -> Exit {
    let tunnel =
        |name: &Name, table| Exit::Tunnel { name: name.clone(), interface: exit_interface(name), table };
    match exit {
        ExitRef::Site(name) => tunnel(name, site_table(network.sites[name].id)),
        ExitRef::Provider(name) => tunnel(name, provider_table(&network.sites[own], name)),
        ExitRef::Chain(_) => chains::exit(network, own, exit),
        ExitRef::Direct => Exit::Direct,
    }
}

/// Returns the IPv4 sources of portals that take in all destinations. The firewall recognises IPv6 of the
/// devices there by their hardware addresses.
pub fn sources_with_ipv6(entry: &model::SiteConfig) -> Vec<Cidr> {
    let mut all = Vec::new();
    for portal in entry.portals.iter().filter(|portal| takes_everything(portal)) {
        if let model::EntranceConfig::From(sources) = &portal.entrance {
            all.extend(sources.iter().filter(|source| source.family() == Family::V4));
        }
    }
    all
}

/// Reports whether a portal takes in all destinations, IPv6 included: a list that covers all of IPv4 means
/// the same as an empty list.
fn takes_everything(portal: &model::PortalConfig) -> bool {
    portal.to.is_empty() || are_all_ipv4(&portal.to)
}

impl PortalInputs<'_> {
    fn portal(&self, entry: &model::PortalConfig) -> Portal {
        let entrance = self.entrance(entry);
        let lacks_ipv6 = entrance.interface().is_some_and(|here| self.facts.without_ipv6.contains(here));
        let address6 = self.addresses6.get(&entry.name).copied().filter(|_| !lacks_ipv6);
        let exits: Vec<Exit> = entry.exits.iter().map(|entry| exit(self.network, self.own, entry)).collect();
        let exit = exits.first().expect("validated: there is one").clone();
        let has_lan = entry.entrance.has_lan();
        let dhcp = has_lan && entry.dhcp.unwrap_or(true);
        // A resolver of ours whose address devices get by DHCP needs resolvers to ask; devices of another LAN
        // may ask this host.
        let asks_by_exit = (dhcp || entry.entrance.has_devices()) && entry.dns.is_empty();
        Portal {
            name: entry.name.clone(),
            is_here: self.is_here(&entrance),
            behind: self.behind(&entrance),
            entrance,
            address: self.addresses.get(&entry.name).copied(),
            address6,
            dhcp,
            resolvers: if asks_by_exit { resolvers_at(&exit, self.tunnels) } else { entry.dns.clone() },
            asks_by_exit,
            obstacle: None,
            page: entry.page && has_lan,
            answers: if entry.inbound { ReplyPath::ByUplink } else { ReplyPath::ByExit },
            router: if entry.router.unwrap_or(!has_lan) { RouterAccess::All } else { RouterAccess::Basics },
            exit,
            exits,
            to: if takes_everything(entry) { Vec::new() } else { entry.to.clone() },
            ports: self.ports(entry),
            except: entry.except.clone(),
        }
    }

    fn entrance(&self, entry: &model::PortalConfig) -> Entrance {
        match &entry.entrance {
            model::EntranceConfig::Interface(interface) => Entrance::Interface(interface.clone()),
            model::EntranceConfig::From(sources) => Entrance::From(sources.iter().copied().collect()),
            model::EntranceConfig::Own => Entrance::Own,
            model::EntranceConfig::Mac(devices) => {
                Entrance::Mac { devices: devices.iter().copied().collect(), mark: self.marks[&entry.name] }
            }
            model::EntranceConfig::Wifi(wifi) => Entrance::Wifi {
                interface: access_point::interface(&self.network.sites[self.own].portals, entry, wifi),
                card: wifi.interface.clone(),
                ssid: wifi.ssid.clone(),
            },
            model::EntranceConfig::Vlan { parent, id } => Entrance::Vlan(vlan::view(parent, *id, self.facts)),
        }
    }

    fn ports(&self, entry: &model::PortalConfig) -> Option<PortFilter> {
        let filter = || PortFilter { ports: entry.ports.clone(), mark: self.marks[&entry.name] };
        (!entry.ports.is_empty()).then(filter)
    }

    fn is_here(&self, entrance: &Entrance) -> bool {
        let facts = self.facts;
        match entrance {
            Entrance::Interface(interface) => facts.interfaces.contains_key(interface),
            Entrance::Vlan(vlan) => vlan.mtu.is_some(),
            Entrance::Wifi { interface, card, .. } => {
                let is_on = |card: &Card| !card.is_switched_off;
                // A card that is no access point may be in a foreign network: the LAN's address and services
                // do not belong there.
                facts.interfaces.contains_key(interface)
                    && facts.radios.cards.get(card).is_some_and(is_on)
                    && self.wifi.offers(interface)
            }
            Entrance::From(_) | Entrance::Mac { .. } | Entrance::Own => true,
        }
    }

    fn behind(&self, entrance: &Entrance) -> SortedSet<Cidr> {
        let networks = entrance.interface().and_then(|interface| self.facts.behind.get(interface));
        let carried = |network: &&Cidr| self.carries_ipv6 || network.family() == Family::V4;
        networks.into_iter().flatten().filter(carried).copied().collect()
    }
}
