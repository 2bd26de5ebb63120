//! Checks of the firewall, and of others who filter.

use std::path::Path;

use super::case::{Case, Live};
use super::finding::Finding;
use crate::state::words::count;
use crate::system::disk::{self, FileOrigin};

const CHECK: &str = "firewall";

/// Programs that filter: the name, a file that exists while the program is at work, and words that the file
/// must contain then.
const OTHERS: [(&str, &str, &str); 3] = [
    ("Docker", "/run/docker.sock", ""),
    ("firewalld", "/run/firewalld", ""),
    ("ufw", "/etc/ufw/ufw.conf", "ENABLED=yes"),
];

/// Names the programs that filter here as well.
pub(super) fn others(_: &Case, findings: &mut Vec<Finding>) {
    for (name, path, words) in OTHERS {
        let path = Path::new(path);
        if path.exists() && (words.is_empty() || disk::text_or_empty(path, FileOrigin::Host).contains(words))
        {
            findings.push(Finding::note(
                CHECK,
                [name, " filters here as well."].concat(),
                "It may refuse packets of portals; portals opens its own ways through chains that refuse \
                 unknown packets, and does so again after each reload.",
                "Nothing, as long as this list has no ✗.",
            ));
        }
    }
}

/// Tells which firewall guards the portals, and names chains of others in which no way can be opened.
pub(super) fn guard(live: &mut Live, findings: &mut Vec<Finding>) {
    let guard = &live.site.guard;
    let mut words = ["Portals are guarded by ", guard.firewall.as_str(), ", because ", guard.reason].concat();
    if !guard.barriers.is_empty() {
        words.push_str("; a way is open through ");
        words.push_str(&count(guard.barriers.len(), "chain"));
        words.push_str(" of others that refuse");
    }
    words.push('.');
    findings.push(Finding::ok(CHECK, words));
    for note in live.site.notes.iter().filter(|note| is_about_filters(note)) {
        findings.push(Finding::wrong(CHECK, note.clone(), "", ""));
    }
}

/// Reports whether a note of the site is about chains in which portals cannot open a way.
pub(super) fn is_about_filters(note: &str) -> bool {
    note.starts_with("the firewall chain") || note.starts_with("legacy iptables")
}
