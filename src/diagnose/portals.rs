//! Checks of the portals of this site.

use super::case::Live;
use super::finding::{Findings, Words};
use super::firewall::is_about_filters;
use crate::base::text::append;
use crate::engine::status::PortalState;

const CHECK: &str = "portals";

/// Starts or parts of notes whose facts other checks tell.
const KNOWN: [&str; 4] =
    [" is blocked: ", "does not exist now", " is not resolved yet", "this router has no uplink"];

/// Checks that each portal is open, and tells what keeps it closed.
pub(super) fn portals(live: &mut Live, findings: &mut Findings) {
    let Live { here, report, .. } = live;
    let site = &here.site;
    for (portal, shown) in site.portals.iter().zip(&report.portals) {
        let (name, entrance) = (&portal.name, &shown.entrance);
        if let Some(obstacle) = &portal.obstacle {
            findings.wrong(
                &Words {
                    check: CHECK,
                    seen: "Portal {0} is closed.",
                    why: "Its packets would take another way.",
                    way_out: "{1}",
                },
                &[&name, &obstacle],
            );
        } else if !portal.is_here {
            findings.wrong(
                &Words {
                    check: CHECK,
                    seen: "Portal {0} is closed: the entrance, {1}, is not here now.",
                    why: "The portal opens by itself when the interface appears.",
                    way_out: "See which interfaces there are: ip link. Correct the name in the file if it \
                              is wrong.",
                },
                &[&name, &entrance],
            );
        } else if shown.state == PortalState::Blocked {
            let mut exits = String::new();
            for exit in &portal.exits {
                append(&mut exits, exit);
            }
            findings.wrong(
                &Words {
                    check: CHECK,
                    seen: "Portal {0} is closed: no exit of its list is up ({1}).",
                    why: "Nothing that enters a portal leaves by this machine's own uplink instead.",
                    way_out: "See `links` above. A second exit in the list takes over: exit = [\"…\", \"…\"]",
                },
                &[&name, &exits],
            );
        } else {
            findings.ok(CHECK, "Portal {0} is open: {1} → {2}.", &[&name, &entrance, &shown.exit]);
        }
    }
    for note in &site.wifi.notes {
        findings.fault("Wi-Fi", note);
    }
    for note in &site.notes {
        let is_known = KNOWN.iter().any(|part| note.contains(part));
        if !is_known && !is_about_filters(note) && !site.wifi.notes.contains(note) {
            findings.note(&Words { check: CHECK, seen: "{0}", why: "", way_out: "" }, &[&note]);
        }
    }
}
