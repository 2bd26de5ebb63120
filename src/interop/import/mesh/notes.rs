//! Remarks on the network of several boxes: what differs from the old one, and what is left out.

use super::super::add_item;
use super::super::ipv6::is_v6;
use super::super::left_out::{ipv6, mark, name_servers, remarks};
use super::Draft;
use super::boxes::MeshBox;
use crate::base::net::Cidr;
use crate::config::{site_network, site_network6};
use crate::wgquick::{PeerSection, RoutingTable};

/// Adds all remarks on a complete draft.
pub(super) fn add(draft: &mut Draft) {
    let mut changes = Vec::new();
    for own in &draft.boxes {
        let mut new = address(draft.subnet, own.id, 1);
        let site6 = draft.subnet6.and_then(|subnet6| site_network6(subnet6, own.id));
        if let Some(address6) = site6.and_then(|site| site.nth(1)) {
            add_item(&mut new, &address6);
        }
        let mut old = String::new();
        for address in &own.parsed.config.interface.addresses {
            add_item(&mut old, &address.address);
        }
        if new != old {
            let old = if old.is_empty() { "none" } else { &old };
            changes.push(format!("{}: tunnel address {new}; until now {old}", own.name));
        }
    }
    changes.append(&mut draft.changes);
    for index in 0..draft.boxes.len() {
        changes.extend(port_of_exit(draft, index));
        changes.extend(through_others(draft, index));
    }
    general(draft, &mut changes);
    draft.changes = changes;
    let mut left_out = Vec::new();
    for own in &draft.boxes {
        for note in of_box(own, draft.subnet6.is_some()) {
            left_out.push(format!("{}: {note}", own.name));
        }
    }
    draft.left_out.append(&mut left_out);
}

/// Returns the remark on the second port of a box that others dial, and that has an exit.
fn port_of_exit(draft: &Draft, index: usize) -> Option<String> {
    let own = &draft.boxes[index];
    let exit = &draft.boxes[own.exit?];
    own.endpoint?;
    let port = u32::from(own.port?) + u32::from(exit.id);
    Some(format!(
        "{}: its tunnel to {} has UDP port {port}: let it in where a firewall or a router lets in the old \
         port",
        own.name, exit.name
    ))
}

/// Returns the remark on the later boxes that a box reaches only through another one.
fn through_others(draft: &Draft, index: usize) -> Option<String> {
    let own = &draft.boxes[index];
    let mut names = String::new();
    for (other, later) in draft.boxes.iter().enumerate().skip(index + 1) {
        if !own.names(other) && !later.names(index) && sends(own, later) && sends(later, own) {
            add_item(&mut names, &later.name);
        }
    }
    (!names.is_empty()).then(|| {
        format!("{}: it may have reached {names} through another box; to keep that, write `links`", own.name)
    })
}

/// Reports whether a box sends packets for an address of another one to any of the boxes.
fn sends(own: &MeshBox, other: &MeshBox) -> bool {
    let addresses = &other.parsed.config.interface.addresses;
    let is_theirs = |network: &Cidr| addresses.iter().any(|address| network.contains(address.address));
    own.peers.iter().any(|(_, peer)| peer.allowed_ips.iter().any(is_theirs))
}

/// Adds the remarks on the whole network.
fn general(draft: &Draft, changes: &mut Vec<String>) {
    let has = |is: &dyn Fn(&MeshBox) -> bool| draft.boxes.iter().any(is);
    if has(&|own| !own.lan.is_empty()) {
        changes.push("all linked sites, and phones, reach the networks in `lan`".to_owned());
    }
    if has(&|own| !own.phones.is_empty()) {
        changes.push(format!(
            "phones need their new `Address`, and {} in their `AllowedIPs` in place of the old addresses; \
             they do not reach each other",
            draft.subnet
        ));
    }
    if has(&|own| own.peers.iter().any(|(_, peer)| peer.preshared_key.is_some())) {
        changes.push(
            "pre-shared keys between sites: portals derives new ones from `network.secret`, the same file at \
             all sites; without it there are none"
                .to_owned(),
        );
    }
}

/// Returns the address of a site, or of something at it, as text.
pub(super) fn address(subnet: Cidr, id: u8, number: u128) -> String {
    site_network(subnet, id).and_then(|site| site.nth(number)).map_or_else(String::new, |own| own.to_string())
}

/// Returns the remarks on everything in a file that is not carried over.
fn of_box(own: &MeshBox, has_ipv6: bool) -> Vec<String> {
    let interface = &own.parsed.config.interface;
    let mut notes = remarks(own.parsed);
    if interface.table != RoutingTable::Auto {
        notes.push("`Table`: portals has its own tables".to_owned());
    }
    notes.extend(mark(interface.fwmark));
    notes.extend(name_servers(&interface.dns));
    let mut allowed = Vec::new();
    for (_, peer) in &own.peers {
        allowed.extend_from_slice(&peer.allowed_ips);
    }
    notes.extend(ipv6(own.parsed, &allowed, has_ipv6));
    if !has_ipv6 && own.phones.iter().any(|phone| phone.peer.allowed_ips.iter().any(is_v6)) {
        notes.push("the IPv6 of phones, which is off without `subnet6`, is dropped".to_owned());
    }
    for peer in &own.strangers {
        notes.push(stranger(peer));
    }
    notes
}

fn stranger(peer: &PeerSection) -> String {
    let PeerSection { public_key, endpoint, allowed_ips, .. } = peer;
    if let Some(endpoint) = endpoint {
        return format!(
            "peer {public_key} at {endpoint} is none of these boxes: import its file together with these, or \
             as an exit of this box (`portals import` with a single file)"
        );
    }
    let mut networks = String::new();
    for network in allowed_ips {
        add_item(&mut networks, network);
    }
    format!(
        "peer {public_key} ({networks}) is none of these boxes: import its file together with these, or make \
         a new file for it with `portals phone add`"
    )
}
