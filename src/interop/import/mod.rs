//! A file of wg-quick as a network file that does the same.
//!
//! What dials somebody becomes an exit, with the file as it is, and a portal for this router's own traffic. A box that is dialled
//! becomes a site; those that dial it its phones, where their addresses are those that follow from ids.

mod left_out;

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use crate::base::error::{Error, Result};
use crate::base::json::Json;
use crate::base::net::{Cidr, Family, InterfaceAddress, PublicKey, Secret, are_all_ipv4};
use crate::config::model::{MOST_PHONES, Name};
use crate::config::site_network;
use crate::wgquick::{Interface, Parsed, Peer, RoutingTable};

/// What the file does not say.
#[derive(Debug)]
pub struct Wishes<'a> {
    /// Name of the network.
    pub network: &'a str,
    /// Name of this site.
    pub site: &'a str,
    /// Its number, if it is given.
    pub id: Option<u8>,
    /// Where tunnels and portal LANs are carved from, if it is given.
    pub subnet: Option<Cidr>,
    /// The site's key.
    pub public_key: PublicKey,
    /// What the exit is called, and the file of wg-quick beside the network file, less `.conf`.
    pub exit: &'a str,
}

/// The text of the network file; not checked.
pub fn network_file(parsed: &Parsed, wishes: &Wishes) -> Result<String> {
    let peers = &parsed.config.peers;
    let dials = peers.iter().any(|peer| peer.endpoint.is_some());
    if peers.is_empty() {
        return Err(Error::wrong("the file has no `[Peer]`: there is nobody to be linked to"));
    }
    // An empty `to` would stand for everything.
    if dials && v4(&allowed(peers)).is_empty() {
        return Err(Error::wrong(
            "the `AllowedIPs` of those that it dials have no IPv4, and portals are IPv4 so far: none of it can be carried over",
        ));
    }
    if dials && !parsed.config.interface.addresses.iter().any(|own| own.address.is_ipv4()) {
        return Err(Error::wrong(
            "`[Interface]` has no IPv4 `Address`, and portals are IPv4 so far: get a file with one from the other end",
        ));
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = if dials { dialling(&mut text, parsed, wishes) } else { dialled(&mut text, parsed, wishes) };
    Ok(text)
}

/// The name of an exit by that of a file of wg-quick, at a site that has another name.
pub fn exit_name(stem: &str, site: &str) -> Name {
    let lower = stem.to_ascii_lowercase().replace(['_', '.'], "-");
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-';
    let name: String = lower.chars().filter(allowed).take(12).collect();
    let is_free = |name: &&str| !["", "direct", site].contains(name);
    let free = [name.as_str(), "vpn", "provider"].into_iter().find(is_free);
    free.expect("three names, of which two can be taken").to_owned()
}

fn dialling(text: &mut String, parsed: &Parsed, wishes: &Wishes) -> std::fmt::Result {
    let Wishes { site, exit, .. } = wishes;
    let config = &parsed.config;
    let allowed = allowed(&config.peers);
    let v4 = v4(&allowed);
    let addresses = config.interface.addresses.iter().map(|address| address.network());
    let used: Vec<Cidr> =
        v4.iter().copied().filter(|network| network.length() > 1).chain(addresses).collect();
    head(
        text,
        wishes,
        wishes.subnet.unwrap_or_else(|| free_subnet(&used)),
        wishes.id.unwrap_or(1),
        Tunnels::default(),
    )?;
    writeln!(
        text,
        "\n# The file as it is, with mode 600 beside this one: its key, addresses, MTU, peers and keepalive are used.\n[site.{site}.exit.{exit}]\nconfig = \"{exit}.conf\""
    )?;
    let everything = are_all_ipv4(&v4);
    let to = if everything { String::new() } else { format!("\nto   = {}", list(&v4)) };
    let portal = |name: &str, entrance: &str| {
        format!("[site.{site}.portal.{name}]\nexit = \"{exit}\"\n{entrance}{to}")
    };
    let router = portal("router", "self = true");
    if let Some(why) = is_sent_nothing(&config.interface.table) {
        let router = commented(&router);
        writeln!(text, "\n# {why} To have what this router sends itself go there:\n{router}")?;
    } else {
        let what = if everything { "all" } else { "what goes there" };
        let lan = commented(&portal("lan", "from = [\"192.168.1.0/24\"]"));
        writeln!(
            text,
            "\n# As wg-quick does: {what} that this router sends itself, but not to its own networks.\n{router}"
        )?;
        writeln!(
            text,
            "\n# If it passes on what computers behind it send, that went there, too. Here they are named:\n{lan}"
        )?;
    }
    left_out::dialling(text, parsed, &allowed, everything)
}

/// Why wg-quick sends nothing into the tunnel, if it does not.
fn is_sent_nothing(table: &RoutingTable) -> Option<String> {
    match table {
        RoutingTable::Off => Some("`Table = off`: wg-quick sends nothing there by itself.".to_owned()),
        RoutingTable::Named(name) if !table.is_asked_for_everything() => Some(format!(
            "`Table = {name}`: wg-quick puts the routes there, and rules that this file does not hold say what\n\
             # they are for (`ip rule` shows them): put that into a portal, or it LEAVES IN THE CLEAR.\n#"
        )),
        RoutingTable::Auto | RoutingTable::Named(_) => None,
    }
}

/// What is sent to those that are dialled.
fn allowed(peers: &[Peer]) -> Vec<Cidr> {
    let dialled = peers.iter().filter(|peer| peer.endpoint.is_some());
    dialled.flat_map(|peer| peer.allowed_ips.iter().copied()).collect()
}

fn v4(networks: &[Cidr]) -> Vec<Cidr> {
    networks.iter().copied().filter(|network| network.family() == Family::V4).collect()
}

fn dialled(text: &mut String, parsed: &Parsed, wishes: &Wishes) -> std::fmt::Result {
    let Interface { listen_port, mtu, .. } = &parsed.config.interface;
    let (subnet, id) = site_of(parsed, wishes);
    let mtu = mtu.filter(|mtu| MTUS.contains(mtu));
    head(text, wishes, subnet, id, Tunnels { port: *listen_port, mtu })?;
    writeln!(text, "# endpoint = \"…\"   # host name or address under which the phones dial it")?;
    let mut strangers = Vec::new();
    for peer in &parsed.config.peers {
        let Some(number) = phone(peer, subnet, id) else {
            strangers.push(peer);
            continue;
        };
        writeln!(
            text,
            "\n[phone.peer-{number}]\nid         = {number}\nat         = \"{}\"\npublic_key = \"{}\"",
            wishes.site, peer.public_key
        )?;
        if peer.preshared_key.is_some() {
            writeln!(text, "# Its pre-shared key, beside this file, with mode 600; `--keys` puts it there.")?;
            writeln!(text, "preshared_key_file = \"{}\"", key_file(number))?;
        }
    }
    left_out::dialled(text, parsed, mtu.is_some(), &strangers)
}

/// The pre-shared keys of those that become phones, and the names of their files beside the network file.
pub fn preshared_keys<'a>(parsed: &'a Parsed, wishes: &Wishes) -> Vec<(String, &'a Secret)> {
    let peers = &parsed.config.peers;
    if peers.iter().any(|peer| peer.endpoint.is_some()) {
        return Vec::new();
    }
    let (subnet, id) = site_of(parsed, wishes);
    let key = |peer: &'a Peer| Some((key_file(phone(peer, subnet, id)?), peer.preshared_key.as_ref()?));
    peers.iter().filter_map(key).collect()
}

fn key_file(number: u8) -> String {
    format!("peer-{number}.psk")
}

/// The subnet and the number of the site that is dialled.
fn site_of(parsed: &Parsed, wishes: &Wishes) -> (Cidr, u8) {
    let addresses = &parsed.config.interface.addresses;
    let used: Vec<Cidr> = addresses.iter().map(|address| address.network()).collect();
    let place = addresses.iter().find_map(|address| place(*address));
    let (subnet, id) = place.unwrap_or_else(|| (free_subnet(&used), 1));
    (wishes.subnet.unwrap_or(subnet), wishes.id.unwrap_or(id))
}

/// Bytes that the tunnels of a network may take.
const MTUS: RangeInclusive<u32> = 576..=1500;

/// Settings of tunnels that the file has.
#[derive(Clone, Copy, Default)]
struct Tunnels {
    port: Option<u16>,
    mtu: Option<u32>,
}

/// `[network]` and `[site]`.
fn head(text: &mut String, wishes: &Wishes, subnet: Cidr, id: u8, tunnels: Tunnels) -> std::fmt::Result {
    let Wishes { network, site, public_key, exit, .. } = wishes;
    writeln!(
        text,
        "# Made of {exit}.conf by `portals import`: `portals plan` tells what it would do here.\n"
    )?;
    writeln!(text, "[network]\nname   = {}\nsubnet = \"{subnet}\"", Json::text(network))?;
    tunnels.mtu.map_or(Ok(()), |mtu| writeln!(text, "mtu    = {mtu}"))?;
    writeln!(
        text,
        "\n# This router; `private.key` beside this file is its key.\n[site.{site}]\nid         = {id}"
    )?;
    writeln!(text, "public_key = \"{public_key}\"")?;
    tunnels.port.map_or(Ok(()), |port| writeln!(text, "port       = {port}"))
}

fn commented(lines: &str) -> String {
    lines.lines().map(|line| format!("# {line}")).collect::<Vec<_>>().join("\n")
}

fn list(networks: &[Cidr]) -> Json {
    Json::List(networks.iter().map(|network| Json::text(&network.to_string())).collect())
}

/// One of 10.77.0.0/16 and those that follow, which none of `used` overlaps, if there is one.
fn free_subnet(used: &[Cidr]) -> Cidr {
    let subnet = |second| Cidr::new(IpAddr::V4(Ipv4Addr::new(10, second, 0, 0)), 16).expect("a valid length");
    let is_free = |subnet: &Cidr| !used.iter().any(|network| network.overlaps(*subnet));
    (77..=255).map(subnet).find(is_free).unwrap_or_else(|| subnet(77))
}

/// The subnet and the number of a site whose address is this one.
fn place(own: InterfaceAddress) -> Option<(Cidr, u8)> {
    let IpAddr::V4(address) = own.address else { return None };
    let [_, _, id, last] = address.octets();
    let subnet = Cidr::new(own.address, 16)?;
    (last == 1 && address.is_private() && (1..=250).contains(&id)).then_some((subnet, id))
}

/// The number of a phone whose IPv4 is that of this peer.
fn phone(peer: &Peer, subnet: Cidr, site: u8) -> Option<u8> {
    let networks = v4(&peer.allowed_ips);
    let [network] = networks.as_slice() else { return None };
    let own = site_network(subnet, site)?;
    (1..=MOST_PHONES).find(|number| own.nth(1 + u128::from(*number)).map(Cidr::host) == Some(*network))
}
