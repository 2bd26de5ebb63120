//! Checks of the portals of this site.

use super::case::Live;
use super::finding::{Findings, append};
use super::firewall::is_about_filters;
use crate::engine::status::PortalState;

const CHECK: &str = "portals";

/// Starts or parts of notes whose facts other checks tell.
const KNOWN: [&str; 4] =
    [" is blocked: ", "does not exist now", " is not resolved yet", "this router has no uplink"];

/// Checks that each portal is open, and tells what keeps it closed.
pub(super) fn portals(live: &mut Live, findings: &mut Findings) {
    let Live { site, report, .. } = live;
    for (portal, shown) in site.portals.iter().zip(&report.portals) {
        let (name, entrance) = (&portal.name, &shown.entrance);
        if let Some(obstacle) = &portal.obstacle {
            findings.wrong(
                CHECK,
                format_args!("Portal {name} is closed."),
                "Its packets would take another way.",
                format_args!("{obstacle}"),
            );
        } else if !portal.is_here {
            findings.wrong(
                CHECK,
                format_args!("Portal {name} is closed: the entrance, {entrance}, is not here now."),
                "The portal opens by itself when the interface appears.",
                format_args!(
                    "See which interfaces there are: ip link. Correct the name in the file if it is wrong."
                ),
            );
        } else if shown.state == PortalState::Blocked {
            let mut exits = String::new();
            for exit in &portal.exits {
                append(&mut exits, exit);
            }
            findings.wrong(
                CHECK,
                format_args!("Portal {name} is closed: no exit of its list is up ({exits})."),
                "Nothing that enters a portal leaves by this machine's own uplink instead.",
                format_args!(
                    "See `links` above. A second exit in the list takes over: exit = [\"…\", \"…\"]"
                ),
            );
        } else {
            findings.ok(CHECK, format_args!("Portal {name} is open: {entrance} → {}.", shown.exit));
        }
    }
    for note in &site.wifi.notes {
        findings.fault("Wi-Fi", note);
    }
    for note in &site.notes {
        let is_known = KNOWN.iter().any(|part| note.contains(part));
        if !is_known && !is_about_filters(note) && !site.wifi.notes.contains(note) {
            findings.note(CHECK, format_args!("{note}"), "", format_args!(""));
        }
    }
}
