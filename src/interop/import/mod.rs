//! Conversion of wg-quick files into a network file with the same effect.
//!
//! [`mesh`] makes one network of the files of several boxes; everything else here converts a single file.
//!
//! A file that dials a peer becomes an exit, which uses the file unchanged, and a portal for this router's
//! own traffic. A file of a host that peers dial becomes a site; a peer becomes a phone if its address is the
//! one that follows from a phone's id.

mod ipv6;
mod left_out;
pub mod mesh;

use std::fmt::{Display, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use crate::base::error::{Error, Result};
use crate::base::json::Json;
use crate::base::net::{Cidr, Family, InterfaceAddress, PublicKey, Secret, are_all_ipv4};
use crate::config::model::{MOST_PHONES, Name};
use crate::config::site_network;
use crate::wgquick::{InterfaceSection, Parsed, PeerSection, RoutingTable};

/// Settings of the network file that the wg-quick file does not contain.
#[derive(Debug)]
pub struct Wishes<'a> {
    /// Name of the network.
    pub network: &'a str,
    /// Name of this site.
    pub site: &'a str,
    /// Id of this site, if given.
    pub id: Option<u8>,
    /// Subnet for tunnel addresses and portal LANs, if given.
    pub subnet: Option<Cidr>,
    /// IPv6 subnet for tunnel addresses and portal LANs, if given.
    pub subnet6: Option<Cidr>,
    /// Public key of this site.
    pub public_key: PublicKey,
    /// Name of the exit, and of the wg-quick file next to the network file, without `.conf`.
    pub exit: &'a str,
}

/// Returns the text of the network file, which is not checked yet.
pub fn network_file(parsed: &Parsed, wishes: &Wishes) -> Result<String> {
    let peers = &parsed.config.peers;
    let dials = peers.iter().any(|peer| peer.endpoint.is_some());
    if peers.is_empty() {
        return Err(Error::wrong(
            "the file has no `[Peer]`, so it links to nothing: get a complete file from the other end",
        ));
    }
    // An empty `to` would mean everything.
    if dials && v4(&allowed(peers)).is_empty() {
        return Err(Error::wrong(
            "the peers with an `Endpoint` have no IPv4 in `AllowedIPs`, and a portal without IPv4 is not \
             possible: nothing can be carried over",
        ));
    }
    if dials && !parsed.config.interface.addresses.iter().any(|own| own.address.is_ipv4()) {
        return Err(Error::wrong(
            "`[Interface]` has no IPv4 `Address`, and a portal without IPv4 is not possible: get a file with \
             one from the other end",
        ));
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = if dials { dialling(&mut text, parsed, wishes) } else { dialled(&mut text, parsed, wishes) };
    Ok(text)
}

/// Returns a name for the exit, from the name of the wg-quick file and different from the name of the site.
pub fn exit_name(stem: &str, site: &str) -> Name {
    let name = usable_name(stem);
    let is_free = |name: &&str| !["", "direct", site].contains(name);
    let free = [name.as_str(), "vpn", "provider"].into_iter().find(is_free);
    free.expect("three names, of which two can be taken").to_owned()
}

/// Returns the name of a file, reduced to the characters and the length that a name can have. It may be
/// empty.
fn usable_name(stem: &str) -> Name {
    let mut name = Name::new();
    for c in stem.chars() {
        let c = if matches!(c, '_' | '.') { '-' } else { c.to_ascii_lowercase() };
        if name.len() < 12 && (c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
            name.push(c);
        }
    }
    name
}

fn dialling(text: &mut String, parsed: &Parsed, wishes: &Wishes) -> std::fmt::Result {
    let Wishes { site, exit, .. } = wishes;
    let config = &parsed.config;
    let allowed = allowed(&config.peers);
    let v4 = v4(&allowed);
    let subnet6 = ipv6::dialling(parsed, wishes, &allowed);
    let mut used = v4.clone();
    used.retain(|network| network.length() > 1);
    used.extend(config.interface.addresses.iter().map(|address| address.network()));
    network_and_site(
        text,
        wishes,
        Subnets { ipv4: wishes.subnet.unwrap_or_else(|| free_subnet(&used)), ipv6: subnet6 },
        wishes.id.unwrap_or(1),
        Tunnels::default(),
    )?;
    writeln!(
        text,
        "\n# The unchanged file, with mode 600, next to this one: portals uses its key, addresses, MTU, \
         peers and keepalive.\n[site.{site}.exit.{exit}]\nconfig = \"{exit}.conf\""
    )?;
    let carried = if subnet6.is_some() { &allowed } else { &v4 };
    portals(text, site, exit, &config.interface.table, carried)?;
    left_out::dialling(text, parsed, &allowed, subnet6.is_some())
}

/// Writes a portal for this router's own traffic to the networks of the exit, and a commented one for a LAN.
fn portals(
    text: &mut String,
    site: &str,
    exit: &str,
    table: &RoutingTable,
    networks: &[Cidr],
) -> std::fmt::Result {
    let everything = are_all_ipv4(networks);
    let to = if everything { String::new() } else { format!("\nto   = {}", list(networks)) };
    let portal = |name: &str, entrance: &str| {
        format!("[site.{site}.portal.{name}]\nexit = \"{exit}\"\n{entrance}{to}")
    };
    let router = portal("router", "self = true");
    if let Some(why) = why_nothing_is_sent(table) {
        let router = commented(&router);
        writeln!(text, "\n# {why} To send this router's own traffic there:\n{router}")
    } else {
        let traffic = if everything { "all traffic" } else { "traffic for these networks" };
        let lan = commented(&portal("lan", "from = [\"192.168.1.0/24\"]"));
        writeln!(
            text,
            "\n# As with wg-quick: {traffic} that this router itself sends, except to its own networks.\n\
             {router}"
        )?;
        writeln!(
            text,
            "\n# With wg-quick, traffic that this router forwards for computers behind it went there too. To \
             keep that:\n{lan}"
        )
    }
}

/// Returns a comment on why wg-quick itself sends nothing into the tunnel; `None` if it does send traffic
/// there.
fn why_nothing_is_sent(table: &RoutingTable) -> Option<String> {
    match table {
        RoutingTable::Off => Some("`Table = off`: wg-quick itself sends nothing there.".to_owned()),
        RoutingTable::Named(name) if !table.sees_every_packet() => Some(format!(
            "`Table = {name}`: wg-quick puts the routes into this table, and rules outside this file\n\
             # select the traffic for it (`ip rule` shows them): write a portal for this traffic, or it\n\
             # LEAVES IN THE CLEAR.\n#"
        )),
        RoutingTable::Auto | RoutingTable::Named(_) => None,
    }
}

/// Returns the networks that this end sends to the peers that it dials.
fn allowed(peers: &[PeerSection]) -> Vec<Cidr> {
    let mut allowed = Vec::new();
    for peer in peers.iter().filter(|peer| peer.endpoint.is_some()) {
        allowed.extend_from_slice(&peer.allowed_ips);
    }
    allowed
}

fn v4(networks: &[Cidr]) -> Vec<Cidr> {
    let mut v4 = Vec::new();
    for network in networks.iter().filter(|network| network.family() == Family::V4) {
        v4.push(*network);
    }
    v4
}

fn dialled(text: &mut String, parsed: &Parsed, wishes: &Wishes) -> std::fmt::Result {
    let InterfaceSection { listen_port, mtu, .. } = &parsed.config.interface;
    let (subnet, id) = site_of(parsed, wishes);
    let mtu = mtu.filter(|mtu| MTUS.contains(mtu));
    let subnet6 = ipv6::dialled(parsed, wishes, id, mtu);
    let tunnels = Tunnels { port: *listen_port, mtu };
    network_and_site(text, wishes, Subnets { ipv4: subnet, ipv6: subnet6 }, id, tunnels)?;
    writeln!(text, "# endpoint = \"…\"   # host name or address at which the phones dial this site")?;
    let mut strangers = Vec::new();
    for peer in &parsed.config.peers {
        let Some(number) = phone_id(peer, subnet, id) else {
            strangers.push(peer);
            continue;
        };
        writeln!(
            text,
            "\n[phone.peer-{number}]\nid         = {number}\nat         = \"{}\"\npublic_key = \"{}\"",
            wishes.site, peer.public_key
        )?;
        if peer.preshared_key.is_some() {
            writeln!(
                text,
                "# Pre-shared key of the phone, in a file of mode 600 next to this one; `--keys` writes it."
            )?;
            writeln!(text, "preshared_key_file = \"{}\"", key_file(number))?;
        }
    }
    let other_phones = subnet6.map(|subnet6| ipv6::other_phones(parsed, subnet, subnet6, id));
    left_out::dialled(text, parsed, mtu.is_some(), &strangers, other_phones)
}

/// Returns the pre-shared keys of the peers that become phones, with the names of their files next to the
/// network file.
pub fn preshared_keys<'a>(parsed: &'a Parsed, wishes: &Wishes) -> Vec<(String, &'a Secret)> {
    let peers = &parsed.config.peers;
    if peers.iter().any(|peer| peer.endpoint.is_some()) {
        return Vec::new();
    }
    let (subnet, id) = site_of(parsed, wishes);
    let mut keys = Vec::new();
    for peer in peers {
        if let (Some(number), Some(key)) = (phone_id(peer, subnet, id), &peer.preshared_key) {
            keys.push((key_file(number), key));
        }
    }
    keys
}

fn key_file(number: u8) -> String {
    format!("peer-{number}.psk")
}

/// Returns the subnet and the id of the site that the peers dial.
fn site_of(parsed: &Parsed, wishes: &Wishes) -> (Cidr, u8) {
    let addresses = &parsed.config.interface.addresses;
    let used: Vec<Cidr> = addresses.iter().map(|address| address.network()).collect();
    let site = addresses.iter().find_map(|address| site_with(*address));
    let (subnet, id) = site.unwrap_or_else(|| (free_subnet(&used), 1));
    (wishes.subnet.unwrap_or(subnet), wishes.id.unwrap_or(id))
}

/// MTUs, in bytes, that the tunnels of a network may have.
const MTUS: RangeInclusive<u32> = 576..=1500;

/// Subnets of the network.
#[derive(Clone, Copy)]
struct Subnets {
    ipv4: Cidr,
    /// `None` if IPv6 is off.
    ipv6: Option<Cidr>,
}

/// Settings of the tunnels in the wg-quick file.
#[derive(Clone, Copy, Default)]
struct Tunnels {
    port: Option<u16>,
    mtu: Option<u32>,
}

/// Writes `[network]` and `[site]`.
fn network_and_site(
    text: &mut String,
    wishes: &Wishes,
    subnets: Subnets,
    id: u8,
    tunnels: Tunnels,
) -> std::fmt::Result {
    let Wishes { network, site, public_key, exit, .. } = wishes;
    writeln!(
        text,
        "# Made from {exit}.conf by `portals import`; `portals plan` shows the changes that it would make \
         here.\n"
    )?;
    let subnets = [("subnet", Some(subnets.ipv4)), ("subnet6", subnets.ipv6)];
    let width = if subnets.iter().all(|(_, subnet)| subnet.is_some()) { 7 } else { 6 };
    writeln!(text, "[network]\n{:width$} = {}", "name", Json::text(network))?;
    for (key, subnet) in subnets.into_iter().filter_map(|(key, subnet)| Some((key, subnet?))) {
        writeln!(text, "{key:width$} = \"{subnet}\"")?;
    }
    tunnels.mtu.map_or(Ok(()), |mtu| writeln!(text, "{:width$} = {mtu}", "mtu"))?;
    writeln!(
        text,
        "\n# This router; its private key is in `private.key`, next to this file.\n[site.{site}]\n\
         id         = {id}"
    )?;
    writeln!(text, "public_key = \"{public_key}\"")?;
    tunnels.port.map_or(Ok(()), |port| writeln!(text, "port       = {port}"))
}

fn commented(lines: &str) -> String {
    ["# ", &lines.replace('\n', "\n# ")].concat()
}

/// Appends an item to a list in a sentence.
fn add_item(items: &mut String, item: &dyn Display) {
    let separator = if items.is_empty() { "" } else { ", " };
    // Writing to a String cannot fail.
    let _ = write!(items, "{separator}{item}");
}

fn list(networks: &[Cidr]) -> Json {
    Json::List(networks.iter().map(|network| Json::text(&network.to_string())).collect())
}

/// Returns the first /16 from 10.77.0.0/16 on that no network in `used` overlaps; 10.77.0.0/16 if there is
/// none.
fn free_subnet(used: &[Cidr]) -> Cidr {
    first_free_subnet(used).unwrap_or_else(|| subnet(77))
}

/// Returns the first /16 from 10.77.0.0/16 on that no network in `used` overlaps.
fn first_free_subnet(used: &[Cidr]) -> Option<Cidr> {
    let is_free = |subnet: &Cidr| !used.iter().any(|network| network.overlaps(*subnet));
    (77..=255).map(subnet).find(is_free)
}

fn subnet(second: u8) -> Cidr {
    Cidr::new(IpAddr::V4(Ipv4Addr::new(10, second, 0, 0)), 16).expect("a valid length")
}

/// Returns the subnet and the id of the site that would have this address.
fn site_with(own: InterfaceAddress) -> Option<(Cidr, u8)> {
    let IpAddr::V4(address) = own.address else { return None };
    let [_, _, id, last] = address.octets();
    let subnet = Cidr::new(own.address, 16)?;
    (last == 1 && address.is_private() && (1..=250).contains(&id)).then_some((subnet, id))
}

/// Returns the id of the phone that would have this peer's IPv4 address.
fn phone_id(peer: &PeerSection, subnet: Cidr, site: u8) -> Option<u8> {
    let networks = v4(&peer.allowed_ips);
    let [network] = networks.as_slice() else { return None };
    let own = site_network(subnet, site)?;
    (1..=MOST_PHONES).find(|number| own.nth(1 + u128::from(*number)).map(Cidr::host) == Some(*network))
}
