//! Check for unknown keys: handshakes that come to the ports of tunnels, and are not for a peer of the file.

use std::time::{Duration, Instant};

use super::case::Live;
use super::finding::Finding;
use crate::base::net::PublicKey;
use crate::kernel::knocks::{Knock, Knocks};

const CHECK: &str = "unknown keys";

/// Time to listen: a WireGuard that gets no answer begins a handshake every 5 s.
const LISTENING: Duration = Duration::from_millis(6500);

/// Listens for handshakes with unknown keys, if a link is down that might be one of them.
pub(super) fn unknown_keys(live: &mut Live, findings: &mut Vec<Finding>) {
    if live.report.links.iter().all(|link| link.up) {
        return;
    }
    let mut ports = Vec::new();
    for tunnel in live.site.tunnels.values() {
        ports.push(tunnel.port);
    }
    let Ok(mut knocks) = Knocks::listen(&ports, &live.site.private_key) else { return };
    let until = Instant::now() + LISTENING;
    let mut said = Vec::new();
    while let Some(Knock { from, key }) = knocks.next(until) {
        if said.contains(&from.ip()) {
            continue;
        }
        let known = key.and_then(|key| owner(live, key));
        let from_text = from.ip().to_string();
        let finding = match (key, known) {
            (Some(_), Some(Peer::Linked)) => continue,
            (Some(_), Some(Peer::Unlinked(name))) => Finding::wrong(
                CHECK,
                [&from_text, " knocks with the key of ", &name, ", which has no link to this site."].concat(),
                "This machine does not answer it: the files of the two sites differ.",
                "Bring the same file to both sites: portals push",
            ),
            (Some(key), None) => Finding::wrong(
                CHECK,
                [&from_text, " knocks with a key that is not in the file: ", &key.to_string(), "."].concat(),
                "This machine does not answer unknown keys. It may be a site with a new or a wrong key.",
                "If you know the site, write this `public_key` into its [site.…], at all sites: portals push",
            ),
            (None, _) => Finding::wrong(
                CHECK,
                [&from_text, " knocks, and means another key than this site's."].concat(),
                "The other site has an old or a wrong `public_key` of this site.",
                "Write this site's present `public_key` into the file at all sites: portals push",
            ),
        };
        said.push(from.ip());
        findings.push(finding);
    }
    if said.is_empty() {
        findings.push(Finding::ok(CHECK, "No unknown key has knocked within some seconds."));
    }
}

/// Owner of a key in the file.
enum Peer {
    /// Peer of a tunnel of this site.
    Linked,
    /// Site without a link to this one.
    Unlinked(String),
}

fn owner(live: &Live, key: PublicKey) -> Option<Peer> {
    if live.site.peers().any(|(_, _, peer)| peer.public_key == key) {
        return Some(Peer::Linked);
    }
    let sites = &live.files.network.sites;
    sites.iter().find(|(_, site)| site.public_key == key).map(|(name, _)| Peer::Unlinked(name.clone()))
}
