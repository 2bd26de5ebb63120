//! Random valid networks: drawn as a few choices, written as a network file, and read like any other.

use proptest::prelude::*;
use std::fmt::Write as _;
use wg_portals::config::model::Network;

use crate::support::{network, private_key};

/// Names of the drawn sites, in order of their ids.
pub(crate) const NAMES: [&str; 5] = ["nyc", "paris", "oslo", "rome", "home-2"];

#[derive(Debug, Clone)]
struct Site {
    has_endpoint: bool,
    /// Place in [`HELPER_KEYS`].
    helps: usize,
    lan: Lan,
    /// A bit for each other site; the two highest bits are the number of providers.
    exits: u8,
    links: u8,
    portals: Vec<Portal>,
    /// Exit of each phone, by its place among the exits and chains of the site; the site itself if the place
    /// is too high.
    phones: Vec<usize>,
}

/// Lines of sites that help others, which need an endpoint.
const HELPER_KEYS: [&str; 5] =
    ["", "helper_port = 443", "relay = false", "port_mapping = false", "fastpath = true"];

/// Networks that a site shares.
#[derive(Debug, Clone, Copy)]
enum Lan {
    Nothing,
    Plain,
    /// Networks that every site with this choice has, under others.
    Translated,
}

/// Networks at each site that shares translated networks.
pub(crate) const HOME: [&str; 2] = ["172.20.5.0/24", "172.20.6.9/32"];

#[derive(Debug, Clone)]
struct Portal {
    entrance: u8,
    exit: usize,
    others: bool,
    /// Place of a chain in the list, and its number among the chains of the site.
    chain: (u8, usize),
    to: bool,
    except: bool,
}

/// Valid networks of one to five sites.
pub(crate) fn networks() -> impl Strategy<Value = Network> {
    texts().prop_map(|text| network(&text))
}

/// Files of valid networks.
pub(crate) fn texts() -> impl Strategy<Value = String> {
    (prop::collection::vec(sites(), 1..=NAMES.len()), any::<bool>())
        .prop_map(|(sites, ipv6)| text(&sites, ipv6))
}

fn sites() -> impl Strategy<Value = Site> {
    let portals = prop::collection::vec(portals(), 0..4);
    let phones = prop::collection::vec(0..8usize, 0..3);
    let lan = prop::sample::select(vec![Lan::Nothing, Lan::Plain, Lan::Translated]);
    let helps = 0..HELPER_KEYS.len();
    (any::<bool>(), helps, lan, any::<u8>(), any::<u8>(), portals, phones).prop_map(
        |(has_endpoint, helps, lan, exits, links, portals, phones)| Site {
            has_endpoint,
            helps,
            lan,
            exits,
            links,
            portals,
            phones,
        },
    )
}

fn portals() -> impl Strategy<Value = Portal> {
    let flag = any::<bool>;
    let chain = (0..3u8, 0..64usize);
    (0..4u8, 0..4usize, flag(), chain, flag(), flag()).prop_map(
        |(entrance, exit, others, chain, to, except)| Portal { entrance, exit, others, chain, to, except },
    )
}

fn text(sites: &[Site], ipv6: bool) -> String {
    let mut text = String::from("[network]\nname = \"home\"\nsubnet = \"10.77.0.0/16\"\n");
    if ipv6 {
        text.push_str("subnet6 = \"fd77:1:2::/48\"\n");
    }
    for (index, site) in sites.iter().enumerate() {
        text.push_str(&site_text(sites, index, site, ipv6));
    }
    text
}

fn site_text(sites: &[Site], index: usize, site: &Site, ipv6: bool) -> String {
    let id = u8::try_from(index + 1).unwrap();
    let others =
        |bits: u8| (0..sites.len()).filter(move |other| *other != index && bits & (1 << *other) != 0);
    let exits: Vec<&str> = others(site.exits).map(|other| NAMES[other]).collect();
    let links: Vec<&str> = others(site.links & !site.exits).map(|other| NAMES[other]).collect();
    let key = wg_portals::base::keys::public_key(&private_key(id));
    let mut text = format!("\n[site.{}]\nid = {id}\npublic_key = \"{key}\"\n", NAMES[index]);
    // Two sites without endpoints need a third site that has one: the first.
    if site.has_endpoint || index == 0 {
        let _ = writeln!(text, "endpoint = \"198.51.100.{id}\"\n{}", HELPER_KEYS[site.helps]);
    }
    let _ = write!(text, "exits = {exits:?}\nlinks = {links:?}\n");
    let lan6 = if ipv6 { format!(", \"fd98:{id}::/64\"") } else { String::new() };
    let _ = match site.lan {
        Lan::Nothing => Ok(()),
        Lan::Plain => writeln!(text, "lan = [\"192.168.{id}.0/24\"{lan6}]"),
        Lan::Translated => {
            let [network, host] = HOME;
            let lan6 = if ipv6 { format!(", \"fd97::/64 as fd98:{id}::/64\"") } else { String::new() };
            let lan = format!("\"{network} as 10.78.{id}.0/24\", \"{host} as 10.79.0.{id}\"{lan6}");
            writeln!(text, "lan = [{lan}]\ndns = \"172.20.5.1\"")
        }
    };
    let providers: Vec<String> = (0..site.exits >> 6).map(|number| format!("vpn-{number}")).collect();
    for name in &providers {
        let _ = write!(text, "\n[site.{}.exit.{name}]\nconfig = \"{name}.conf\"\n", NAMES[index]);
    }
    let exits: Vec<&str> = exits.into_iter().chain(providers.iter().map(String::as_str)).collect();
    let chains = chains(sites, index);
    for (number, portal) in site.portals.iter().enumerate() {
        text.push_str(&portal_text(NAMES[index], number, portal, &exits, &chains, ipv6));
    }
    for (number, exit) in site.phones.iter().enumerate() {
        let id = 10 * id + u8::try_from(number).unwrap();
        let all = || exits.iter().copied().chain(chains.iter().map(String::as_str));
        let exit = all().nth(*exit).unwrap_or(NAMES[index]);
        let key = wg_portals::base::keys::public_key(&private_key(id));
        let at = NAMES[index];
        let _ = write!(
            text,
            "\n[phone.phone-{id}]\nid = {id}\nat = \"{at}\"\nexit = \"{exit}\"\npublic_key = \"{key}\"\n"
        );
    }
    text
}

/// Returns all chains of two and three hops that begin at a site.
fn chains(sites: &[Site], index: usize) -> Vec<String> {
    let exits = |from: usize| {
        (0..sites.len()).filter(move |to| *to != from && *to != index && sites[from].exits & (1 << *to) != 0)
    };
    let providers = |from: usize| (0..sites[from].exits >> 6).map(|number| format!("vpn-{number}"));
    let mut chains = Vec::new();
    for first in exits(index) {
        let ends = exits(first).map(|end| NAMES[end].to_owned()).chain(providers(first));
        chains.extend(ends.map(|end| format!("{end} via {}", NAMES[first])));
        for second in exits(first) {
            let ends = exits(second).filter(|end| *end != first).map(|end| NAMES[end].to_owned());
            let ends = ends.chain(providers(second));
            chains.extend(ends.map(|end| format!("{end} via {} via {}", NAMES[first], NAMES[second])));
        }
    }
    chains
}

fn portal_text(
    site: &str,
    number: usize,
    portal: &Portal,
    exits: &[&str],
    chains: &[String],
    ipv6: bool,
) -> String {
    let with_ipv6 = |ipv4: &str, network: &str| {
        if ipv6 { format!("{ipv4}, \"{network}\"") } else { ipv4.to_owned() }
    };
    let first = exits.get(portal.exit).copied();
    let others = exits.iter().copied().filter(|exit| portal.others && Some(*exit) != first);
    let mut exit: Vec<&str> = first.into_iter().chain(others).collect();
    let (place, number_of_chain) = portal.chain;
    if place > 0 && !chains.is_empty() {
        let chain = chains[number_of_chain % chains.len()].as_str();
        exit.insert(if place == 1 { 0 } else { exit.len() }, chain);
    }
    if first.is_none() {
        exit.push("direct");
    }
    let entrance = match portal.entrance {
        // Only one portal may take the router's own traffic: the first.
        0 if number == 0 => "self = true".to_owned(),
        1 => {
            let ipv4 = format!("\"172.20.{number}.0/28\", \"172.20.{number}.77\"");
            format!("from = [{}]", with_ipv6(&ipv4, &format!("fd99::{number}:0/112")))
        }
        _ => format!("interface = \"lan{number}\""),
    };
    let mut text = format!("\n[site.{site}.portal.p{number}]\nexit = {exit:?}\n{entrance}\n");
    if portal.to {
        let to = with_ipv6("\"198.18.0.0/15\", \"192.0.2.7/32\"", "2001:db8:7::/48");
        let _ = writeln!(text, "to = [{to}]");
    }
    if portal.except {
        let _ = writeln!(text, "except = [{}]", with_ipv6("\"198.19.0.0/16\"", "2001:db8:7:8::/64"));
    }
    text
}
