//! Check for unknown keys: handshakes that come to the ports of tunnels, and are not for a peer of the file.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::case::Live;
use super::finding::{Findings, Words};
use crate::base::net::PublicKey;
use crate::base::sorted::SortedSet;
use crate::base::text::append;
use crate::kernel::knocks::{Knock, Knocks};
use crate::state::words::count;

const CHECK: &str = "unknown keys";

/// Time to listen: a WireGuard that gets no answer begins a handshake every 5 s.
const LISTENING: Duration = Duration::from_millis(6500);

/// Largest number of strangers that are counted: anybody can send a handshake, under any address.
const MOST: usize = 1000;

/// Largest number of strangers that are named.
const NAMED: usize = 3;

/// Listens for handshakes with unknown keys, if a link is down that might be one of them. They are a fault
/// only if they come from the address of such a link.
pub(super) fn unknown_keys(live: &mut Live, findings: &mut Findings) {
    if live.report.links.iter().all(|link| link.up) {
        return;
    }
    let ends = ends_of_links_that_are_down(live);
    let mut ports = SortedSet::new();
    for tunnel in live.here.site.tunnels.values() {
        ports.insert(tunnel.port);
    }
    let Ok(knocks) = Knocks::listen(&live.here.site.private_key) else { return };
    let until = Instant::now() + LISTENING;
    let mut strangers = Vec::new();
    let mut said = Vec::new();
    while let Some(Knock { from, key }) = knocks.next(&ports, until) {
        let from = from.ip();
        if said.contains(&from) || key.is_some_and(|key| is_known(live, key)) {
            continue;
        }
        if !ends.contains(&from) {
            if strangers.len() < MOST && !strangers.contains(&from) {
                strangers.push(from);
            }
            continue;
        }
        said.push(from);
        match key {
            Some(key) => findings.wrong(
                &Words {
                    check: CHECK,
                    seen: "{0} knocks with a key that is not in the file: {1}.",
                    why: "This machine does not answer unknown keys. It may be a site with a new or a \
                          wrong key.",
                    way_out: "If you know the site, write this key into its [site.…], at all sites: \
                              portals push{config}",
                },
                &[&from, &key],
            ),
            None => findings.wrong(
                &Words {
                    check: CHECK,
                    seen: "{0} knocks, and means another key than this site's.",
                    why: "The other site has an old or a wrong `public_key` of this site.",
                    way_out: "Write this site's present key into the file at all sites: portals push{config}",
                },
                &[&from],
            ),
        }
    }
    if !strangers.is_empty() {
        let mut list = String::new();
        for stranger in strangers.iter().take(NAMED) {
            append(&mut list, stranger);
        }
        if strangers.len() > NAMED {
            append(&mut list, &"…");
        }
        findings.note(
            &Words {
                check: CHECK,
                seen: "Handshakes with unknown keys come from {0} ({1}).",
                why: "This machine does not answer them. Probably they come from a scanner or a removed \
                      phone.",
                way_out: "Nothing. If one of them is a site of yours, run there: portals doctor",
            },
            &[&count(strangers.len(), "host"), &list],
        );
    } else if said.is_empty() {
        findings.ok(CHECK, "", &[]);
    }
}

/// Returns the addresses of the other ends of links that are down, as the file and the kernel know them.
fn ends_of_links_that_are_down(live: &Live) -> Vec<IpAddr> {
    let mut ends = Vec::new();
    for link in live.report.links.iter().filter(|link| !link.up) {
        let tunnel = live.here.site.tunnels.get(&link.interface);
        let peer = tunnel.and_then(|tunnel| tunnel.peers.get(&link.peer));
        let dialled = peer.and_then(|peer| peer.endpoint.as_ref()?.address);
        for end in [dialled, link.endpoint].into_iter().flatten() {
            ends.push(end.ip());
        }
    }
    ends
}

/// Reports whether a key is one of this network.
fn is_known(live: &Live, key: PublicKey) -> bool {
    let sites = &live.here.files.network.sites;
    sites.values().any(|site| site.public_key == key)
        || live.here.site.peers().any(|(_, _, peer)| peer.public_key == key)
}
