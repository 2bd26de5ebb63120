//! Checks of the portals of this site.

use super::case::Live;
use super::finding::Finding;
use super::firewall::is_about_filters;
use crate::engine::status::PortalState;

const CHECK: &str = "portals";

/// Checks that each portal is open, and tells what keeps it closed.
pub(super) fn portals(live: &mut Live, findings: &mut Vec<Finding>) {
    let Live { site, report, .. } = live;
    for (portal, shown) in site.portals.iter().zip(&report.portals) {
        let name = &portal.name;
        let head = |words: &[&str]| ["Portal ", name, &words.concat()].concat();
        findings.push(if let Some(obstacle) = &portal.obstacle {
            Finding::wrong(CHECK, head(&[" is closed."]), "Its packets would take another way.", {
                obstacle.to_string()
            })
        } else if !portal.is_here {
            Finding::wrong(
                CHECK,
                head(&[" is closed: the entrance, ", &shown.entrance, ", is not here now."]),
                "The portal opens by itself when the interface appears.",
                "See which interfaces there are: ip link. Correct the name in the file if it is wrong.",
            )
        } else if shown.state == PortalState::Blocked {
            let exits: Vec<String> = portal.exits.iter().map(ToString::to_string).collect();
            Finding::wrong(
                CHECK,
                head(&[" is closed: no exit of its list is up (", &exits.join(", "), ")."]),
                "Nothing that enters a portal leaves by this machine's own uplink instead.",
                "See `links` above. A second exit in the list takes over: exit = [\"…\", \"…\"]",
            )
        } else {
            Finding::ok(CHECK, head(&[" is open: ", &shown.entrance, " → ", &shown.exit, "."]))
        });
    }
    for note in &site.wifi.notes {
        findings.push(Finding::wrong("Wi-Fi", note.clone(), "", ""));
    }
    for note in &site.notes {
        // Other checks have the rest.
        let is_known = note.contains(" is blocked: ")
            || note.contains("does not exist now")
            || note.contains(" is not resolved yet")
            || note.starts_with("this router has no uplink")
            || is_about_filters(note)
            || site.wifi.notes.contains(note);
        if !is_known {
            findings.push(Finding::note(CHECK, note.clone(), "", ""));
        }
    }
}
