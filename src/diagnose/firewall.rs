//! Checks of the firewall, and of others who filter.

use std::path::Path;

use super::case::{Case, Live};
use super::finding::{Findings, Words};
use super::processes::runs;
use crate::firewall::Chain;
use crate::kernel::sysctl;
use crate::plan::bridged;
use crate::state::words::count;
use crate::system::disk::{self, FileOrigin};

const CHECK: &str = "firewall";

/// Programs that filter: the name, a file that exists while the program is at work, and words that the file
/// must contain then. A program without a file is found by its process: firewalld leaves its folder in /run
/// behind.
const OTHERS: [(&str, &str, &str); 3] =
    [("Docker", "/run/docker.sock", ""), ("firewalld", "", ""), ("ufw", "/etc/ufw/ufw.conf", "ENABLED=yes")];

/// Settings by which bridged packets pass the rules for routed ones, of IPv4 and IPv6.
const SETTINGS: [&str; 2] = ["net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables"];

/// Names the programs that filter here as well.
pub(super) fn others(_: &Case, findings: &mut Findings) {
    for (name, path, words) in &OTHERS {
        let path = Path::new(*path);
        let is_here = if path.as_os_str().is_empty() {
            runs(name)
        } else {
            path.exists() && disk::text_or_empty(path, FileOrigin::Host).contains(words)
        };
        if is_here {
            findings.note(
                &Words {
                    check: CHECK,
                    seen: "{0} filters here as well.",
                    why: "It may refuse packets of portals; portals opens its own ways through chains that \
                          refuse unknown packets, and does so again after each reload.",
                    way_out: "Nothing, as long as this list has no ✗.",
                },
                &[&name],
            );
        }
    }
}

/// Tells which firewall guards the portals, and names chains of others in which no way can be opened.
pub(super) fn guard(live: &mut Live, findings: &mut Findings) {
    let guard = &live.here.site.guard;
    let (firewall, reason) = (guard.firewall.as_str(), guard.reason);
    findings.ok(CHECK, "Portals are guarded by {0}, because {1}.", &[&firewall, &reason]);
    if guard.fastpath {
        findings.ok(CHECK, "A flowtable forwards known connections.", &[]);
    }
    if !guard.barriers.is_empty() {
        let chains = count(guard.barriers.len(), "chain");
        findings.ok(CHECK, "A way is open through {0} of others, which refuse packets.", &[&chains]);
    }
    for note in live.here.site.notes.iter().filter(|note| is_about_filters(note)) {
        findings.fault(CHECK, note);
    }
}

/// Checks that devices on the bridges of portals reach each other: packets between two ports of a bridge may
/// have to pass the chains of others, as Docker wants it (`br_netfilter`).
pub(super) fn bridges(live: &mut Live, findings: &mut Findings) {
    const CHECK: &str = "bridges";
    let site = &live.here.site;
    let is_on = |setting| sysctl::read(setting).ok().flatten().as_deref() == Some("1");
    if !SETTINGS.iter().copied().any(is_on) {
        return;
    }
    let is_barred = site.guard.barriers.iter().any(|(_, gate)| *gate == Chain::Forward);
    for (bridge, _) in &bridged(site) {
        if is_barred {
            findings.note(
                &Words {
                    check: CHECK,
                    seen: "Devices on {0} may not reach each other: others filter packets between them.",
                    why: "Bridged packets pass the rules for routed ones (net.bridge.bridge-nf-call-iptables \
                          is 1, which Docker sets).",
                    way_out: "iptables -I DOCKER-USER -i {0} -o {0} -j ACCEPT\nOr without Docker: sysctl -w \
                              net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0",
                },
                &[bridge],
            );
        } else {
            findings.ok(CHECK, "Packets between devices on {0} pass the rules of portals.", &[bridge]);
        }
    }
}

/// Reports whether a note of the site is about chains in which portals cannot open a way.
pub(super) fn is_about_filters(note: &str) -> bool {
    note.starts_with("the firewall chain") || note.starts_with("legacy iptables")
}
