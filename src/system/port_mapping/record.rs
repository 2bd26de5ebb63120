//! Record of the mappings that the router holds, so that a later process renews them or gives them back: it
//! has a line for the router, and one for each mapping.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use super::Router;
use super::entry::Entry;
use crate::nat::mapping::{LIFETIME, Mapping, Nonce, Protocol};
use crate::system::disk::{self, FileOrigin};
use crate::system::logging as log;

/// Reads the record; empty if there is none. A line that cannot be parsed does not count.
pub(super) fn read(path: &Path) -> (Option<Router>, Vec<Entry>) {
    let text = disk::text_or_empty(path, FileOrigin::Ours);
    let mut lines = text.lines();
    let router = lines.next().and_then(|line| {
        let mut words = line.split(' ');
        let interface = words.next()?.parse().ok()?;
        let mut address = || words.next()?.parse::<Ipv4Addr>().ok();
        Some(Router { interface, address: address()?, client: address()? })
    });
    let mut entries = Vec::new();
    for line in lines {
        if let Some(entry) = entry(line) {
            entries.push(entry);
        }
    }
    (router, entries)
}

fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split(' ');
    let port: u16 = words.next()?.parse().ok()?;
    let protocol: Protocol = words.next()?.parse().ok()?;
    let external: SocketAddrV4 = words.next()?.parse().ok()?;
    let mut nonce = Nonce::default();
    for bytes in nonce.as_chunks_mut().0 {
        *bytes = words.next()?.parse::<u32>().ok()?.to_be_bytes();
    }
    let mapping = Mapping { protocol, external, lifetime: LIFETIME };
    Some(Entry { mapping: Some(mapping), ..Entry::new(port, nonce) })
}

/// Replaces the record; removes it if no mapping is left.
pub(super) fn write(path: &Path, router: Option<&Router>, entries: &[Entry]) {
    let mut lines = String::new();
    for entry in entries {
        let Some(Mapping { protocol, external, .. }) = entry.mapping else { continue };
        let _ = write!(lines, "{} {protocol} {external}", entry.port);
        for bytes in entry.nonce.as_chunks().0 {
            let _ = write!(lines, " {}", u32::from_be_bytes(*bytes));
        }
        lines.push('\n');
    }
    let written = match router {
        Some(Router { interface, address, client }) if !lines.is_empty() => {
            disk::replace(path, format!("{interface} {address} {client}\n{lines}").as_bytes(), 0o600)
        }
        _ => disk::remove(path),
    };
    if let Err(error) = written {
        log::warn!("{}: {error}", disk::cannot_write(path));
    }
}
