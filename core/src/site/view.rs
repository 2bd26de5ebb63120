//! How a site's view is derived from the network file, and what stands against it.

use super::exit::resolvers_at;
use super::firewall::choose;
use super::links::{exit_view, site_address, tunnels};
use super::{Answers, Endpoint, Entrance, Exit, Inputs, Portal, Served, Site, Tunnel, Vlan, WayOut};
use super::{ground, marks, obstacle, providers, vlan};
use crate::base::error::{Error, Errors};
use crate::base::net::{Cidr, Family, IfName, InterfaceAddress, PublicKey, are_all_ipv4};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::{self, Host, Name, Network, RpFilter};
use crate::config::portal_addresses;
use crate::firewall;
use crate::site::facts::{Facts, Uplink};
use crate::state::Backend;
use crate::wifi::access_point::{Decision, decide};
use crate::wifi::{self, card::Card};

/// The name of the site with that public key: this one, if it is this router's.
pub fn own_name(network: &Network, public_key: PublicKey) -> Result<&Name, Error> {
    network.sites.iter().find(|(_, site)| site.public_key == public_key).map(|(name, _)| name).ok_or_else(|| {
        Error::wrong(format!(
            "no site of network `{}` has the public key of this router, {public_key}; put it into the [site.…] that this \
             router is",
            network.name
        ))
    })
}

/// The view of the site that `inputs.public_key` belongs to, or all that stands against it.
pub fn view(network: &Network, inputs: &Inputs) -> Result<Site, Errors> {
    let name = own_name(network, inputs.public_key)?;
    let entry = &network.sites[name];
    let facts = inputs.facts;
    let uplink = chosen_uplink(entry, facts);

    let mut errors = Vec::from_iter(crate::site::unbuilt::refusal(inputs.file, network));
    let (to_providers, faults) = providers::tunnels(entry, inputs);
    errors.extend(faults);
    let mut tunnels = tunnels(network, name, &inputs.known());
    tunnels.extend(to_providers);
    let wifi = decide(&entry.portals, &facts.interfaces, &facts.radios, inputs.passphrases);
    let portals = portals(network, name, &tunnels, facts, &wifi);
    let probes = marks::probes(&portals, network.probe);
    errors.extend(shared_networks_that_are_local(&tunnels, facts));
    errors.extend(ground::taken(&portals, network.subnet, facts));
    errors.extend(marks::are_too_few(&entry.portals, &probes));
    errors.extend(entrances_that_hold_the_uplink(&portals, uplink.as_ref()));
    errors.extend(obstacle::ports_of_the_uplink(&portals, facts));
    errors.extend(vlan::clashes(&portals));
    let (firewall, firewall_reason) = choose(entry.firewall, &facts.filters).unwrap_or_else(|error| {
        errors.push(error);
        (firewall::Backend::Nftables, "")
    });
    errors.extend(names_iptables_cannot_take(firewall, &portals, uplink.as_ref()));
    let mut notes = notes(entry, &portals, uplink.as_ref(), &tunnels, inputs);
    notes.extend(wifi.notes.iter().cloned());

    let site = Site {
        network: network.name.clone(),
        name: name.clone(),
        address: site_address(network, entry.id),
        subnet: network.subnet,
        mtu: network.mtu,
        private_key: inputs.private_key.clone(),
        backend: facts.wireguard.unwrap_or(Backend::BuiltIn),
        firewall,
        firewall_reason,
        barriers: facts.filters.barriers.clone(),
        notes,
        wifi_notes: wifi.notes,
        access_points: wifi.access_points,
        uplink,
        uplink_networks: facts.uplink_networks.clone(),
        // Our own portal LANs show up among them once they stand; they follow from the file, not from the host.
        local: facts.local.iter().copied().filter(|local| !network.subnet.overlaps(*local)).collect(),
        own: facts.own.iter().copied().filter(|own| !network.subnet.contains(*own)).collect(),
        ipv6: facts.ipv6,
        ntp: entry.portals.iter().any(model::Portal::has_open_time).then_some(if facts.rules_know_ports {
            WayOut::Rule
        } else {
            WayOut::Mark
        }),
        neighbours: facts.neighbours.clone(),
        sources_with_ipv6: if facts.ipv6 { sources_with_ipv6(entry) } else { Vec::new() },
        deaf: ground::deaf(&portals, facts),
        loose_rp_filter: entry.rp_filter == RpFilter::Loose,
        lan: entry.lan.clone(),
        tunnels,
        portals,
        failover: network.failover,
        probes,
        resolve_after: network.resolve_after,
        hook: entry.hook.clone(),
        dyndns: entry.dyndns.as_ref().map(|path| inputs.file.with_file_name(path)),
    };
    Errors::check(errors, site)
}

fn portals(
    network: &Network,
    own: &str,
    tunnels: &SortedMap<IfName, Tunnel>,
    facts: &Facts,
    wifi: &Decision,
) -> Vec<Portal> {
    let entries = &network.sites[own].portals;
    let addresses = portal_addresses(network, own);
    let portal = |portal| portal_view(network, own, portal, &addresses, tunnels, facts);
    let mut portals: Vec<Portal> = entries.iter().map(portal).collect();
    for portal in &mut portals {
        // Its LAN's address and services have no business on a card that is no access point: it may be in another's network.
        if let Entrance::Wifi { interface, .. } = &portal.entrance {
            portal.is_here &= wifi.offers(interface);
        }
    }
    marks::assign(&mut portals, entries);
    obstacle::find(&mut portals, facts);
    portals
}

fn portal_view(
    network: &Network,
    own: &str,
    portal: &model::Portal,
    addresses: &SortedMap<Name, InterfaceAddress>,
    tunnels: &SortedMap<IfName, Tunnel>,
    facts: &Facts,
) -> Portal {
    let entrance = match &portal.entrance {
        model::Entrance::Interface(interface) => Entrance::Interface(interface.clone()),
        model::Entrance::From(sources) => Entrance::From(sources.iter().copied().collect()),
        model::Entrance::Own => Entrance::Own,
        model::Entrance::Mac(devices) => Entrance::Mac(devices.iter().copied().collect()),
        model::Entrance::Wifi(wifi) => Entrance::Wifi {
            interface: wifi::interface(&network.sites[own].portals, portal, wifi),
            card: wifi.interface.clone(),
            ssid: wifi.ssid.clone(),
        },
        model::Entrance::Vlan { parent, id } => Entrance::Vlan(vlan::view(parent, *id, facts)),
    };
    let exits: Vec<Exit> = portal.exits.iter().map(|exit| exit_view(network, own, exit)).collect();
    let exit = exits.first().expect("validated: there is one").clone();
    let dhcp = portal.entrance.has_lan() && portal.dhcp.unwrap_or(true);
    // Where devices are told of a resolver of ours, it needs some to ask; those of another LAN may ask this host.
    let asks_by_exit = (dhcp || portal.entrance.has_devices()) && portal.dns.is_empty();
    let mut view = Portal {
        name: portal.name.clone(),
        is_here: match &entrance {
            Entrance::Interface(interface) => facts.interfaces.contains_key(interface),
            Entrance::Vlan(vlan) => vlan.mtu > 0,
            Entrance::Wifi { interface, card, .. } => {
                let is_on = |card: &Card| !card.is_switched_off;
                facts.interfaces.contains_key(interface) && facts.radios.cards.get(card).is_some_and(is_on)
            }
            Entrance::From(_) | Entrance::Mac(_) | Entrance::Own => true,
        },
        entrance,
        address: addresses.get(&portal.name).copied(),
        dhcp,
        resolvers: if asks_by_exit { resolvers_at(&exit, tunnels) } else { portal.dns.clone() },
        asks_by_exit,
        obstacle: None,
        answers: if portal.inbound { Answers::ByUplink } else { Answers::ByExit },
        router: if portal.router.unwrap_or(!portal.entrance.has_lan()) {
            Served::All
        } else {
            Served::Basics
        },
        exit,
        exits,
        to: if takes_everything(portal) { Vec::new() } else { portal.to.clone() },
        ports: portal.ports.clone(),
        except: portal.except.clone(),
        behind: SortedSet::new(),
        mark: None,
    };
    if let Some(networks) = view.entrance_interface().and_then(|interface| facts.behind.get(interface)) {
        view.behind.clone_from(networks);
    }
    view
}

/// Whether a portal takes in all destinations, IPv6 ones as well: a list that leaves out no IPv4 means what an empty one does.
fn takes_everything(portal: &model::Portal) -> bool {
    portal.to.is_empty() || are_all_ipv4(&portal.to)
}

/// What the file names, with the kernel's details if it is the same; else what the kernel answers.
fn chosen_uplink(entry: &model::Site, facts: &Facts) -> Option<Uplink> {
    let found = facts.uplink.clone();
    match &entry.uplink {
        Some(named) if found.as_ref().is_none_or(|uplink| uplink.interface != *named) => {
            Some(Uplink { interface: named.clone(), gateway: None, addresses: SortedSet::new() })
        }
        _ => found,
    }
}

/// A peer's shared network that is also one of ours would take our own computers' traffic away.
fn shared_networks_that_are_local(tunnels: &SortedMap<IfName, Tunnel>, facts: &Facts) -> Vec<Error> {
    let here: Vec<Cidr> = facts.local.iter().chain(&facts.uplink_networks).copied().collect();
    let peers = tunnels.values().flat_map(|tunnel| &tunnel.peers);
    peers
        .flat_map(|(name, peer)| peer.networks.iter().map(move |network| (name, *network)))
        .filter_map(|(name, network)| {
            let local = here.iter().find(|local| local.overlaps(network))?;
            Some(Error::wrong(format!(
                "site `{name}` brings the network {network}, but {local} is connected to this router already: give one of the two \
                 homes another network, or take it out of `lan` (or change `subnet`)"
            )))
        })
        .collect()
}

/// All of the uplink's traffic would enter the portal, replies to the tunnel included.
fn entrances_that_hold_the_uplink(portals: &[Portal], uplink: Option<&Uplink>) -> Vec<Error> {
    let Some(uplink) = uplink else { return Vec::new() };
    let offends = |portal: &&Portal| match &portal.entrance {
        Entrance::Interface(interface)
        | Entrance::Vlan(Vlan { interface, .. })
        | Entrance::Wifi { card: interface, .. } => *interface == uplink.interface,
        Entrance::From(sources) => {
            uplink.addresses.iter().any(|own| sources.iter().any(|source| source.contains(own.address)))
        }
        Entrance::Mac(_) | Entrance::Own => false,
    };
    let refuse = |portal: &Portal| {
        Error::wrong(format!(
            "portal `{}` takes in this router's own uplink {}: choose another entrance, or name the right `uplink`",
            portal.name, uplink.interface
        ))
    };
    portals.iter().filter(offends).map(refuse).collect()
}

/// A plus at the end stands for any ending there.
fn names_iptables_cannot_take(
    firewall: firewall::Backend,
    portals: &[Portal],
    uplink: Option<&Uplink>,
) -> Vec<Error> {
    if firewall == firewall::Backend::Nftables {
        return Vec::new();
    }
    let entrances = portals.iter().filter_map(Portal::entrance_interface);
    let names = entrances.chain(uplink.map(|uplink| &uplink.interface));
    let wild = names.filter(|name| name.as_str().ends_with('+'));
    wild.map(|name| {
        Error::wrong(format!("iptables would take the interface name {name} for a pattern: rename it"))
    })
    .collect()
}

fn notes(
    entry: &model::Site,
    portals: &[Portal],
    uplink: Option<&Uplink>,
    tunnels: &SortedMap<IfName, Tunnel>,
    inputs: &Inputs,
) -> Vec<String> {
    let facts = inputs.facts;
    let mut notes = Vec::new();
    if uplink.is_none() {
        notes.push(
            "no uplink was found (no route to the internet): nothing can leave here until there is one"
                .to_owned(),
        );
    }
    for (name, peer) in tunnels.values().flat_map(|tunnel| &tunnel.peers) {
        if let Some(Endpoint { host: Host::Name(host), address: None, .. }) = &peer.endpoint {
            notes.push(format!(
                "the name {host} of `{name}` is not resolved yet: the link waits for that, or for the other end to dial"
            ));
        }
    }
    for portal in portals.iter().filter(|portal| !portal.is_here && portal.obstacle.is_none()) {
        let name = &portal.name;
        let lacks = match &portal.entrance {
            Entrance::Wifi { card, .. }
                if facts.radios.cards.get(card).is_some_and(|card| card.is_switched_off) =>
            {
                format!(
                    "the radio of {card} is switched off (`rfkill list` tells how); it opens when that is on"
                )
            }
            // hostapd makes the interfaces of a card that is there.
            Entrance::Wifi { card, .. } if facts.interfaces.contains_key(card) => continue,
            Entrance::Interface(interface)
            | Entrance::Vlan(Vlan { parent: interface, .. })
            | Entrance::Wifi { card: interface, .. } => {
                format!("there is no interface {interface} now; it opens when there is one")
            }
            Entrance::From(_) | Entrance::Mac(_) | Entrance::Own => continue,
        };
        notes.push(format!("portal `{name}`: {lacks}"));
    }
    notes.extend(obstacle::notes(portals, facts));
    notes.extend(portals.iter().filter_map(ground::whose_devices_enter));
    notes.extend(facts.filters.notes.iter().cloned());
    notes.extend(providers::remarks(entry, inputs));
    notes
}

/// The sources of portals that choose by IPv4 address, and have to know the devices there for their IPv6.
pub fn sources_with_ipv6(entry: &model::Site) -> Vec<Cidr> {
    let portals = entry.portals.iter().filter(|portal| takes_everything(portal));
    let sources = portals.filter_map(|portal| match &portal.entrance {
        model::Entrance::From(sources) => Some(sources),
        _ => None,
    });
    sources.flatten().copied().filter(|source| source.family() == Family::V4).collect()
}
