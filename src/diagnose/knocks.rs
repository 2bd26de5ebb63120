//! Check for unknown keys: handshakes that come to the ports of tunnels, and are not for a peer of the file.

use std::time::{Duration, Instant};

use super::case::Live;
use super::finding::{Findings, Words};
use crate::base::net::PublicKey;
use crate::base::sorted::SortedSet;
use crate::kernel::knocks::{Knock, Knocks};

const CHECK: &str = "unknown keys";

/// Time to listen: a WireGuard that gets no answer begins a handshake every 5 s.
const LISTENING: Duration = Duration::from_millis(6500);

/// Listens for handshakes with unknown keys, if a link is down that might be one of them.
pub(super) fn unknown_keys(live: &mut Live, findings: &mut Findings) {
    if live.report.links.iter().all(|link| link.up) {
        return;
    }
    let mut ports = SortedSet::new();
    for tunnel in live.here.site.tunnels.values() {
        ports.insert(tunnel.port);
    }
    let Ok(knocks) = Knocks::listen(&live.here.site.private_key) else { return };
    let until = Instant::now() + LISTENING;
    let mut said = Vec::new();
    while let Some(Knock { from, key }) = knocks.next(&ports, until) {
        if said.contains(&from.ip()) {
            continue;
        }
        let from = from.ip();
        match key {
            Some(key) if is_known(live, key) => continue,
            Some(key) => findings.wrong(
                &Words {
                    check: CHECK,
                    seen: "{0} knocks with a key that is not in the file: {1}.",
                    why: "This machine does not answer unknown keys. It may be a site with a new or a \
                          wrong key.",
                    way_out: "If you know the site, write this key into its [site.…], at all sites: \
                              portals push",
                },
                &[&from, &key],
            ),
            None => findings.wrong(
                &Words {
                    check: CHECK,
                    seen: "{0} knocks, and means another key than this site's.",
                    why: "The other site has an old or a wrong `public_key` of this site.",
                    way_out: "Write this site's present key into the file at all sites: portals push",
                },
                &[&from],
            ),
        }
        said.push(from);
    }
    if said.is_empty() {
        findings.ok(CHECK, "", &[]);
    }
}

/// Reports whether a key is one of this network.
fn is_known(live: &Live, key: PublicKey) -> bool {
    let sites = &live.here.files.network.sites;
    sites.values().any(|site| site.public_key == key)
        || live.here.site.peers().any(|(_, _, peer)| peer.public_key == key)
}
