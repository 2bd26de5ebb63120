//! Text of the network file. It contains no text of the wg-quick files except validated values: names have
//! only the characters of names, and remarks are comments without control characters.

use std::fmt::{self, Display, Write as _};

use super::super::ipv6::is_all;
use super::super::{left_out, list, portals};
use super::boxes::MeshBox;
use super::{Draft, notes};
use crate::base::json::Json;
use crate::base::net::{Cidr, Family, are_all_ipv4};

/// Writes the network file.
pub(super) fn write(text: &mut String, draft: &Draft) -> fmt::Result {
    text.push_str(
        "# Made from wg-quick files by `portals import`. Every site has this file, and next to it its own\n\
         # `private.key` with mode 600: the `PrivateKey` of its wg-quick file. `portals import --to FOLDER`\n\
         # writes both files for each site.\n\n[network]\n",
    );
    let width = if draft.subnet6.is_some() { 7 } else { 6 };
    entry(text, "name", width, &Json::text(draft.network))?;
    quoted(text, "subnet", width, &draft.subnet)?;
    if let Some(subnet6) = draft.subnet6 {
        quoted(text, "subnet6", width, &subnet6)?;
    }
    if let Some(mtu) = draft.mtu {
        entry(text, "mtu", width, &mtu)?;
    }
    for own in &draft.boxes {
        site(text, draft, own)?;
    }
    for own in &draft.boxes {
        phones(text, draft, own)?;
    }
    for (heading, notes) in [("Changes", &draft.changes), (left_out::HEADING, &draft.left_out)] {
        if !notes.is_empty() {
            left_out::write(text, heading, notes)?;
        }
    }
    Ok(())
}

fn entry(text: &mut String, key: &str, width: usize, value: &dyn Display) -> fmt::Result {
    writeln!(text, "{key:width$} = {value}")
}

/// Writes an entry whose value is a text without characters to escape.
fn quoted(text: &mut String, key: &str, width: usize, value: &dyn Display) -> fmt::Result {
    entry(text, key, width, &format_args!("\"{value}\""))
}

fn site(text: &mut String, draft: &Draft, own: &MeshBox) -> fmt::Result {
    writeln!(text, "\n[site.{}]", own.name)?;
    entry(text, "id", 10, &own.id)?;
    quoted(text, "public_key", 10, &own.public_key)?;
    if let Some(endpoint) = own.endpoint {
        quoted(text, "endpoint", 10, endpoint)?;
    } else if !own.phones.is_empty() {
        writeln!(text, "# endpoint = \"…\"   # host name or address at which the phones dial this site")?;
    }
    if let Some(port) = own.port {
        entry(text, "port", 10, &port)?;
    }
    let mut names = Vec::new();
    for index in &own.links {
        names.push(draft.boxes[*index].name.as_str());
    }
    if let Some(exit) = own.exit {
        entry(text, "exits", 10, &format_args!("[\"{}\"]", draft.boxes[exit].name))?;
    }
    if !names.is_empty() {
        entry(text, "links", 10, &format_args!("[\"{}\"]", names.join("\",\"")))?;
    }
    if !own.lan.is_empty() {
        entry(text, "lan", 10, &list(&own.lan))?;
    }
    match own.exit {
        Some(exit) => router(text, draft, own, exit),
        None => Ok(()),
    }
}

/// Writes the portal of a box that sends everything to another one.
fn router(text: &mut String, draft: &Draft, own: &MeshBox, exit: usize) -> fmt::Result {
    let mut networks: Vec<Cidr> = Vec::new();
    for (_, peer) in own.peers.iter().filter(|(index, _)| *index == exit) {
        if are_all_ipv4(&peer.allowed_ips) {
            networks.push(Family::V4.everything());
        }
        if draft.subnet6.is_some() && is_all(&peer.allowed_ips) {
            networks.push(Family::V6.everything());
        }
    }
    // An empty `to` would mean everything.
    if networks.is_empty() {
        return Ok(());
    }
    portals(text, &own.name, &draft.boxes[exit].name, &own.parsed.config.interface.table, &networks)
}

fn phones(text: &mut String, draft: &Draft, own: &MeshBox) -> fmt::Result {
    for phone in &own.phones {
        let new = notes::address(draft.subnet, own.id, 1 + u128::from(phone.id));
        writeln!(
            text,
            "\n# Address {new}; until now {}.\n[phone.phone-{}]\nid         = {}\nat         = \"{}\"",
            phone.address, phone.id, phone.id, own.name
        )?;
        quoted(text, "public_key", 10, &phone.peer.public_key)?;
        if phone.peer.preshared_key.is_some() {
            writeln!(
                text,
                "# Pre-shared key of the phone, in a file of mode 600 next to this one at {}.\n\
                 preshared_key_file = \"{}\"",
                own.name,
                MeshBox::key_file(phone)
            )?;
        }
    }
    Ok(())
}
