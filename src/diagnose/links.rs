//! Checks of the links to other sites and providers.

use super::case::Live;
use super::finding::Findings;
use crate::cli::amounts::duration;
use crate::engine::status::LinkReport;

const CHECK: &str = "links";

/// Checks that each link is up; tells of a link that is down what is known about it.
pub(super) fn links(live: &mut Live, findings: &mut Findings) {
    for link in &live.report.links {
        let (name, age) = (&link.peer, link.handshake_age.map(duration));
        match age {
            Some(age) if link.up => findings
                .ok(CHECK, format_args!("The link to {name} is up; the last handshake was {age} ago.")),
            age => down(live, link, age, findings),
        }
    }
}

fn down(live: &Live, link: &LinkReport, age: Option<String>, findings: &mut Findings) {
    let name = &link.peer;
    if !live.links.contains_key(&link.interface) {
        return findings.wrong(
            CHECK,
            format_args!("The link to {name} is down: its tunnel, {}, does not exist.", link.interface),
            "Nothing reaches the other end.",
            format_args!("See `agent` and `kernel` above."),
        );
    }
    let mut tried = String::new();
    if let Some(path) = live.agent().and_then(|agent| agent.link(name, &link.interface)) {
        for sentence in &path.tried {
            tried.push_str(sentence);
            tried.push('\n');
        }
    }
    let Some(endpoint) = link.endpoint else {
        return findings.wrong(
            CHECK,
            format_args!(
                "The link to {name} is down: it has no `endpoint`, and it does not dial this machine."
            ),
            "A site without an `endpoint` has to dial the others.",
            format_args!("{tried}At {name}: portals doctor. Or give {name} an `endpoint` here."),
        );
    };
    let age = match age {
        Some(age) => ["the last handshake was ", &age, " ago"].concat(),
        None => "there was never a handshake".to_owned(),
    };
    let seen = format_args!("The link to {name} is down: {endpoint} does not answer; {age}.");
    let why = "This machine dials, and nothing comes back.";
    let is_provider = live.site.tunnels.get(&link.interface).is_some_and(|tunnel| tunnel.provider.is_some());
    if is_provider {
        let way_out = "Get a new file from the provider: its server or your key may be gone.";
        findings.wrong(CHECK, seen, why, format_args!("{way_out}"));
    } else if tried.is_empty() {
        let port = endpoint.port();
        findings.wrong(
            CHECK,
            seen,
            why,
            format_args!(
                "At {name}: portals doctor (does its agent run? is it the same file?)\nUDP {port} must reach \
                 it: forward that port in the router in front of {name}, and let it through firewalls \
                 there.\nBoth sites must name each other's present key."
            ),
        );
    } else {
        findings.wrong(CHECK, seen, why, format_args!("{tried}"));
    }
}
