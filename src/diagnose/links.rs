//! Checks of the links to other sites and providers.

use super::case::Live;
use super::finding::Finding;
use crate::cli::amounts::duration;
use crate::engine::status::LinkReport;

const CHECK: &str = "links";

/// Checks that each link is up; tells of a link that is down what is known about it.
pub(super) fn links(live: &mut Live, findings: &mut Vec<Finding>) {
    for link in &live.report.links {
        let name = &link.peer;
        let age = link.handshake_age.map(duration);
        if link.up {
            let age = age.unwrap_or_default();
            findings.push(Finding::ok(
                CHECK,
                ["The link to ", name, " is up; the last handshake was ", &age, " ago."].concat(),
            ));
            continue;
        }
        findings.push(down(live, link, age.as_deref()));
    }
}

fn down(live: &Live, link: &LinkReport, age: Option<&str>) -> Finding {
    let name = &link.peer;
    let mut way_out = String::new();
    if let Some(path) = live.agent().and_then(|agent| agent.link(name, &link.interface)) {
        for sentence in &path.tried {
            way_out.push_str(sentence);
            way_out.push('\n');
        }
    }
    let Some(endpoint) = link.endpoint else {
        way_out.push_str(&["At ", name, ": portals doctor. Or give ", name, " an `endpoint` here."].concat());
        return Finding::wrong(
            CHECK,
            ["The link to ", name, " is down: it has no `endpoint`, and it does not dial this machine."]
                .concat(),
            "A site without an `endpoint` has to dial the others.",
            way_out,
        );
    };
    let endpoint_text = endpoint.to_string();
    let mut seen = ["The link to ", name, " is down: ", &endpoint_text, " does not answer; "].concat();
    match age {
        Some(age) => seen.push_str(&["the last handshake was ", age, " ago."].concat()),
        None => seen.push_str("there was never a handshake."),
    }
    let port = endpoint.port().to_string();
    let is_provider = live.site.tunnels.get(&link.interface).is_some_and(|tunnel| tunnel.provider.is_some());
    if is_provider {
        way_out.push_str("Get a new file from the provider: its server or your key may be gone.");
    } else if way_out.is_empty() {
        way_out.push_str(
            &[
                "At ",
                name,
                ": portals doctor (does its agent run? is it the same file?)\nUDP ",
                &port,
                " must reach it: forward that port in the router in front of ",
                name,
                ", and let it through firewalls there.\nBoth sites must name each other's present key.",
            ]
            .concat(),
        );
    }
    Finding::wrong(CHECK, seen, "This machine dials, and nothing comes back.", way_out)
}
