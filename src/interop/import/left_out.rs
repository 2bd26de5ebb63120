//! Remarks on all of a file that is not carried over, for the network file that is made of it.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::base::net::{Cidr, Family, InterfaceAddress};
use crate::site::KEEPALIVE;
use crate::wgquick::{Interface, Parsed, Peer, RoutingTable};

/// Remarks on a file that dials.
pub(super) fn dialling(
    text: &mut String,
    parsed: &Parsed,
    allowed: &[Cidr],
    everything: bool,
) -> std::fmt::Result {
    let Interface { dns, listen_port, fwmark, addresses, .. } = &parsed.config.interface;
    let mut notes = remarks(parsed);
    notes.push("what the other end begins does not come in: only answers do".to_owned());
    if allowed.iter().any(is_v6) || has_v6(addresses) {
        let what = if everything {
            "the IPv6 of what enters a portal for everything is blocked"
        } else {
            "what of it this file sends there LEAVES IN THE CLEAR, by the uplink"
        };
        notes.push(format!("IPv6: portals are IPv4 so far; {what}"));
    }
    notes.extend(name_servers(dns));
    if listen_port.is_some() {
        notes.push("`ListenPort`: portals gives each tunnel a port".to_owned());
    }
    notes.extend(mark(*fwmark));
    let peers = &parsed.config.peers;
    if peers.iter().any(|peer| peer.endpoint.is_some() && peer.keepalive == 0) {
        notes.push(format!(
            "`PersistentKeepalive` is off; portals sends one every {KEEPALIVE} seconds, to know that the other end is there"
        ));
    }
    for peer in peers.iter().filter(|peer| peer.endpoint.is_none()) {
        notes.push(format!("peer {} dials this box: it cannot dial an exit", peer.public_key));
    }
    write(text, &notes)
}

/// Remarks on a file that is dialled. `strangers` become no phones.
pub(super) fn dialled(
    text: &mut String,
    parsed: &Parsed,
    takes_mtu: bool,
    strangers: &[&Peer],
) -> std::fmt::Result {
    let Interface { addresses, dns, mtu, fwmark, table, .. } = &parsed.config.interface;
    let mut notes = remarks(parsed);
    if let Some(mtu) = mtu.filter(|_| !takes_mtu) {
        notes.push(format!("`MTU` {mtu}: tunnels of a network have 576 to 1500"));
    }
    notes.extend(mark(*fwmark));
    if *table != RoutingTable::Auto {
        notes.push("`Table`: the routes to phones are in `main`".to_owned());
    }
    notes.extend(name_servers(dns));
    let several = addresses.iter().filter(|own| own.address.is_ipv4()).count() > 1;
    if several {
        notes.push("`Address`: this site has one IPv4 address in its tunnels, that of its number".to_owned());
    }
    let peers = &parsed.config.peers;
    if has_v6(addresses) || peers.iter().any(|peer| peer.allowed_ips.iter().any(is_v6)) {
        notes.push("IPv6: portals are IPv4 so far; what phones send of it goes nowhere".to_owned());
    }
    if peers.iter().any(|peer| peer.keepalive != 0) {
        notes.push("`PersistentKeepalive`: this site sends none to phones, which send their own".to_owned());
    }
    for Peer { public_key, allowed_ips, .. } in strangers {
        let networks: Vec<String> = allowed_ips.iter().map(ToString::to_string).collect();
        let networks = networks.join(", ");
        notes.push(format!("peer {public_key} ({networks}): `portals phone add` makes a new file for it"));
    }
    notes.push(
        "phones do not reach each other, and this site's computers only if they are in its `lan`".to_owned(),
    );
    write(text, &notes)
}

fn remarks(parsed: &Parsed) -> Vec<String> {
    parsed.remarks.iter().map(|remark| format!("line {}: {}", remark.line, remark.message)).collect()
}

fn name_servers(dns: &[IpAddr]) -> Option<String> {
    let servers: Vec<String> = dns.iter().map(|server| format!("`nameserver {server}`")).collect();
    let servers = servers.join(" and ");
    (!dns.is_empty()).then(|| format!("`DNS`: for this router itself, put {servers} into /etc/resolv.conf"))
}

fn mark(fwmark: Option<u32>) -> Option<String> {
    fwmark.map(|_| "`FwMark`: portals has a mark of its own".to_owned())
}

fn is_v6(network: &Cidr) -> bool {
    network.family() == Family::V6
}

fn has_v6(addresses: &[InterfaceAddress]) -> bool {
    addresses.iter().any(|own| own.address.is_ipv6())
}

fn write(text: &mut String, notes: &[String]) -> std::fmt::Result {
    writeln!(text, "\n# Not carried over:")?;
    notes.iter().try_for_each(|note| writeln!(text, "#   {note}"))
}
