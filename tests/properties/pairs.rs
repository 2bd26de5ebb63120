//! Properties of any two entrances at one site: the effect of one portal on the packets of another.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::support::network;
use super::view;
use wg_portals::base::net::{Cidr, Family, Table};
use wg_portals::base::sorted::SortedSet;
use wg_portals::firewall::FirewallBackend;
use wg_portals::plan::plan;
use wg_portals::site::{Entrance, Exit, Portal, Site};
use wg_portals::state::{Rule, RuleAction, State};

/// Every kind of entrance, with all variants that make a difference to rules: with or without a resolver, by
/// marks or not.
const ENTRANCES: &[&str] = &[
    "interface = \"lan1\"",
    "interface = \"lan1\"\ndhcp = false",
    "interface = \"lan1\"\nports = [\"tcp/443\"]",
    "interface = \"lan1\"\nto = [\"198.51.100.0/24\"]\ndhcp = false",
    "vlan = { parent = \"lan2\", id = 30 }",
    "vlan = { parent = \"lan2\", id = 30 }\ndhcp = false",
    "wifi = { interface = \"wlan0\", ssid = \"Paris\", passphrase_file = \"wifi.key\", country = \"US\", \
     channel = 6 }",
    "from = [\"172.20.0.0/16\"]",
    "from = [\"172.20.0.50\"]\nports = [\"tcp/443\"]",
    "mac = [\"02:00:00:00:00:01\"]",
    "self = true",
    "self = true\nto = [\"128.0.0.0/1\"]",
    "self = true\nports = [\"tcp/443\"]",
];

/// Final table of a packet from this host, or of the reverse-path check.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// A table of the host.
    Host,
    /// A table of portals.
    Table(Table),
    Refused,
}

/// Result of the kernel's walk through the rules, for packets without a mark that are not requests to time
/// servers.
fn way(state: &State, incoming: &str, from: IpAddr, to: IpAddr) -> Way {
    let holds = |network: Option<Cidr>, address| network.is_none_or(|network| network.contains(address));
    let matches = |rule: &Rule| {
        let selector = &rule.selector;
        rule.family == Family::of(to)
            && selector.incoming.as_ref().is_none_or(|name| name.as_str() == incoming)
            && selector.mark.is_none()
            && selector.udp_port.is_none()
            && holds(selector.from, from)
            && holds(selector.to, to)
    };
    for rule in state.rules.iter().filter(|rule| matches(rule)) {
        match rule.action {
            RuleAction::Goto(_) => return Way::Host,
            RuleAction::Unreachable => return Way::Refused,
            RuleAction::Lookup(table) => {
                if state.routes.iter().any(|route| route.table == table && route.destination.contains(to)) {
                    return Way::Table(table);
                }
            }
        }
    }
    Way::Host
}

/// Pairs of entrances that can be at one site, with a plan for each pair.
fn pairs() -> Vec<(String, Site, State)> {
    let mut pairs = Vec::new();
    for one in ENTRANCES {
        for other in ENTRANCES.iter().filter(|other| kind(one) != kind(other)) {
            for exits in [["paris", "paris"], ["paris", "oslo"], ["paris", "direct"], ["direct", "paris"]] {
                let text = text(&[(one, exits[0]), (other, exits[1])]);
                let network = network(&text);
                let mut site = view(&network, "nyc");
                site.guard.firewall = FirewallBackend::Nftables;
                let state = plan(&site);
                pairs.push((text, site, state));
            }
        }
    }
    pairs
}

fn kind(entrance: &str) -> &str {
    entrance.split(' ').next().expect("a key")
}

fn text(portals: &[(&str, &str)]) -> String {
    let key = |id: u8| wg_portals::base::keys::public_key(&super::support::private_key(id));
    let mut text = format!(
        "[network]\nname = \"home\"\nsubnet = \"10.77.0.0/16\"\n[site.nyc]\nid = 1\npublic_key = \"{}\"\n\
         exits = [\"paris\", \"oslo\"]\n",
        key(1)
    );
    for (number, (entrance, exit)) in portals.iter().enumerate() {
        let _ = write!(text, "[site.nyc.portal.p{number}]\nexit = \"{exit}\"\n{entrance}\n");
    }
    for (id, name) in [(2, "paris"), (3, "oslo")] {
        let _ = write!(
            text,
            "[site.{name}]\nid = {id}\npublic_key = \"{}\"\nendpoint = \"192.0.2.{id}\"\n",
            key(id)
        );
    }
    text
}

/// A device of the portal, if the portal has a LAN with known addresses.
fn device(portal: &Portal) -> Option<IpAddr> {
    portal.address.and_then(|lan| lan.network().nth(20))
}

/// Property of strict `rp_filter`: the router accepts only packets, ARP included, whose reply would leave on
/// the same interface.
#[test]
fn routers_answer_the_devices_of_portals_next_to_any_other() {
    for (text, site, state) in pairs() {
        let own: SortedSet<IpAddr> = site.host.own_addresses.iter().copied().chain([site.address]).collect();
        for portal in &site.portals {
            let (Some(device), Some(lan)) = (device(portal), portal.address) else { continue };
            for address in own.iter().copied().chain([lan.address]) {
                assert_eq!(way(&state, "lo", address, device), Way::Host, "{text}: {address} to {device}");
            }
        }
        for address in own {
            let neighbour = "172.20.0.77".parse().unwrap();
            assert_eq!(way(&state, "lo", address, neighbour), Way::Host, "{text}: {address} to {neighbour}");
        }
    }
}

/// A destination that one portal leaves alone does not open another portal.
#[test]
fn portals_lead_to_their_own_exits_next_to_any_other() {
    let internet: IpAddr = "198.51.100.7".parse().unwrap();
    for (text, site, state) in pairs() {
        for portal in site.portals.iter().filter(|portal| portal.mark().is_none()) {
            let Exit::Tunnel { table, .. } = portal.exit else { continue };
            let (incoming, from) = match (portal.entrance_interface(), device(portal)) {
                (Some(interface), Some(device)) => (interface.as_str(), device),
                (None, _) if matches!(portal.entrance, Entrance::From(_)) => {
                    ("lan3", "172.20.0.50".parse().unwrap())
                }
                _ => ("lo", site.address),
            };
            assert_eq!(way(&state, incoming, from, internet), Way::Table(table), "{text}: {}", portal.name);
        }
    }
}
