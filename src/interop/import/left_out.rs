//! Remarks on the settings of a wg-quick file that the network file does not carry over.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::add_item;
use super::ipv6::{has_v6, is_all, is_v6};
use crate::base::net::{Cidr, are_all_ipv4};
use crate::site::KEEPALIVE;
use crate::wgquick::{InterfaceSection, Parsed, PeerSection, Remark, RoutingTable};

/// Writes the remarks on a file that dials its peers, to which it sends the networks `allowed`.
pub(super) fn dialling(
    text: &mut String,
    parsed: &Parsed,
    allowed: &[Cidr],
    has_ipv6: bool,
) -> std::fmt::Result {
    let InterfaceSection { dns, listen_port, fwmark, .. } = &parsed.config.interface;
    let mut notes = remarks(parsed);
    notes.push("connections from the other end do not come in: only answers do".to_owned());
    notes.extend(ipv6(parsed, allowed, has_ipv6));
    notes.extend(name_servers(dns));
    if listen_port.is_some() {
        notes.push("`ListenPort`: portals gives each tunnel a port".to_owned());
    }
    notes.extend(mark(*fwmark));
    let peers = &parsed.config.peers;
    if peers.iter().any(|peer| peer.endpoint.is_some() && peer.keepalive.is_none()) {
        notes.push(format!(
            "`PersistentKeepalive` is off; portals sends a keepalive every {KEEPALIVE} seconds, to know that \
             the other end is there"
        ));
    }
    for peer in peers.iter().filter(|peer| peer.endpoint.is_none()) {
        notes.push(format!("peer {} dials this host: it cannot dial an exit", peer.public_key));
    }
    write(text, HEADING, &notes)
}

/// Returns the note on the IPv6 of a file that sends the networks `allowed` to its peers.
pub(super) fn ipv6(parsed: &Parsed, allowed: &[Cidr], is_on: bool) -> Option<String> {
    let everything = are_all_ipv4(allowed);
    if is_on {
        return (everything && !is_all(allowed)).then(|| {
            "IPv6 for other networks, which wg-quick sent via the uplink; a portal for all destinations \
             blocks it"
                .to_owned()
        });
    }
    let is_there = allowed.iter().any(is_v6) || has_v6(&parsed.config.interface.addresses);
    let effect = if everything {
        "a portal for all destinations blocks the IPv6 that enters it"
    } else {
        "the IPv6 that this file sends there LEAVES IN THE CLEAR, via the uplink"
    };
    is_there.then(|| format!("IPv6, which is off without `subnet6`; {effect}"))
}

/// Writes the remarks on a file whose peers dial this host. `strangers` are the peers that do not become
/// phones; `other_phones` are notes on the IPv6 of phones, if the network has IPv6.
pub(super) fn dialled(
    text: &mut String,
    parsed: &Parsed,
    takes_mtu: bool,
    strangers: &[&PeerSection],
    other_phones: Option<Vec<String>>,
) -> std::fmt::Result {
    let InterfaceSection { addresses, dns, mtu, fwmark, table, .. } = &parsed.config.interface;
    let mut notes = remarks(parsed);
    if let Some(mtu) = mtu.filter(|_| !takes_mtu) {
        notes.push(wrong_mtu(mtu));
    }
    notes.extend(mark(*fwmark));
    if *table != RoutingTable::Auto {
        notes.push("`Table`: the routes to phones are in `main`".to_owned());
    }
    notes.extend(name_servers(dns));
    let several = addresses.iter().filter(|own| own.address.is_ipv4()).count() > 1;
    if several {
        notes.push(
            "`Address`: this site has one IPv4 address in its tunnels, which follows from its id".to_owned(),
        );
    }
    let peers = &parsed.config.peers;
    match other_phones {
        Some(phones) => notes.extend(phones),
        None if has_v6(addresses) || peers.iter().any(|peer| peer.allowed_ips.iter().any(is_v6)) => {
            notes.push("IPv6, which is off without `subnet6`; the IPv6 of phones is dropped".to_owned());
        }
        None => {}
    }
    if peers.iter().any(|peer| peer.keepalive.is_some()) {
        notes.push(
            "`PersistentKeepalive`: this site sends no keepalives to phones; phones send their own"
                .to_owned(),
        );
    }
    for peer in strangers {
        notes.push(stranger(peer));
    }
    notes.push(
        "phones do not reach each other, and reach this site's computers only if they are in its `lan`"
            .to_owned(),
    );
    write(text, HEADING, &notes)
}

/// Returns the note on an MTU that no network can have.
pub(super) fn wrong_mtu(mtu: u32) -> String {
    format!("`MTU` {mtu}: the tunnels of a network have an MTU from 576 to 1500")
}

fn stranger(peer: &PeerSection) -> String {
    let mut networks = String::new();
    for network in &peer.allowed_ips {
        add_item(&mut networks, network);
    }
    format!("peer {} ({networks}): `portals phone add` makes a new file for it", peer.public_key)
}

/// Returns the remarks of the parser.
pub(super) fn remarks(parsed: &Parsed) -> Vec<String> {
    let mut remarks = Vec::new();
    for Remark { line, message, .. } in &parsed.remarks {
        remarks.push(format!("line {line}: {message}"));
    }
    remarks
}

/// Returns the note on the name servers.
pub(super) fn name_servers(dns: &[IpAddr]) -> Option<String> {
    let servers: Vec<String> = dns.iter().map(|server| format!("`nameserver {server}`")).collect();
    let servers = servers.join(" and ");
    (!dns.is_empty()).then(|| format!("`DNS`: for this router itself, put {servers} into /etc/resolv.conf"))
}

/// Returns the note on the firewall mark.
pub(super) fn mark(fwmark: Option<u32>) -> Option<String> {
    fwmark.map(|_| "`FwMark`: portals has its own mark".to_owned())
}

/// Heading of the remarks.
pub(super) const HEADING: &str = "Not carried over";

/// Writes remarks as comments. A control character cannot end a comment, or be in one: it becomes a space.
pub(super) fn write(text: &mut String, heading: &str, notes: &[String]) -> std::fmt::Result {
    writeln!(text, "\n# {heading}:")?;
    for note in notes {
        text.push_str("#   ");
        for c in note.chars() {
            text.push(if c.is_control() { ' ' } else { c });
        }
        text.push('\n');
    }
    Ok(())
}
