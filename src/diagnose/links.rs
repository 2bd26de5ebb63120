//! Checks of the links to other sites and providers.

use super::case::Live;
use super::finding::{Findings, Words};
use crate::cli::amounts::duration;
use crate::engine::status::{LinkEnd, LinkReport};

const CHECK: &str = "links";

/// Checks that each link is up; tells of a link that is down what is known about it.
pub(super) fn links(live: &mut Live, findings: &mut Findings) {
    for link in &live.report.links {
        let (name, age) = (&link.peer, link.handshake_age.map(duration));
        match age {
            Some(age) if link.up => {
                findings.ok(CHECK, "The link to {0} is up; the last handshake was {1} ago.", &[name, &age]);
            }
            age => down(live, link, age, findings),
        }
    }
}

fn down(live: &Live, link: &LinkReport, age: Option<String>, findings: &mut Findings) {
    let name = &link.peer;
    if !live.here.links.contains_key(&link.interface) {
        return findings.wrong(
            &Words {
                check: CHECK,
                seen: "The link to {0} is down: its tunnel, {1}, does not exist.",
                why: "Nothing reaches the other end.",
                way_out: "See `agent` and `kernel` above.",
            },
            &[&name, &link.interface],
        );
    }
    let mut tried = String::new();
    if let Some(path) = live.agent().and_then(|agent| agent.link(name, &link.interface)) {
        for sentence in &path.tried {
            tried.push_str(sentence);
            tried.push('\n');
        }
    }
    if link.end == LinkEnd::Unresolved {
        return findings.wrong(
            &Words {
                check: CHECK,
                seen: "The link to {0} is down: the name of its `endpoint` is not resolved.",
                why: "This machine cannot dial it, and it does not dial this machine.",
                way_out: "{1}See `endpoint` above.",
            },
            &[&name, &tried],
        );
    }
    let Some(endpoint) = link.endpoint else {
        return findings.wrong(
            &Words {
                check: CHECK,
                seen: "The link to {0} is down: it has no `endpoint`, and it does not dial this machine.",
                why: "A site without an `endpoint` has to dial the others.",
                way_out: "{1}At {0}: portals doctor. Or give {0} an `endpoint` here.",
            },
            &[&name, &tried],
        );
    };
    let age = match age {
        Some(age) => format!("the last handshake was {age} ago"),
        None => "there was never a handshake".to_owned(),
    };
    let is_provider =
        live.here.site.tunnels.get(&link.interface).is_some_and(|tunnel| tunnel.provider.is_some());
    let way_out = if is_provider {
        "Get a new file from the provider: its server or your key may be gone."
    } else if tried.is_empty() {
        "At {0}: portals doctor (does its agent run? is it the same file?)\nUDP {3} must reach it: forward \
         that port in the router in front of {0}, and let it through firewalls there.\nBoth sites must name \
         each other's present key."
    } else {
        "{4}"
    };
    findings.wrong(
        &Words {
            check: CHECK,
            seen: "The link to {0} is down: {1} does not answer; {2}.",
            why: "This machine dials, and nothing comes back.",
            way_out,
        },
        &[name, &endpoint, &age, &endpoint.port(), &tried],
    );
}
