//! Checks of the portals of this site.

use super::case::Live;
use super::finding::{Findings, Words};
use super::firewall::is_about_filters;
use crate::base::net::Family;
use crate::base::text::append;
use crate::engine::status::PortalState;
use crate::kernel::host_rule;
use crate::site::Obstacle;
use crate::state::PRIORITIES;

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

/// Names policy rules of other programs that come before those of portals. The rules that keep a portal
/// closed are told with the portal.
pub(super) fn rules(live: &mut Live, findings: &mut Findings) {
    let site = &live.here.site;
    let obstacles: Vec<String> =
        site.portals.iter().filter_map(|portal| portal.obstacle.as_ref().map(Obstacle::to_string)).collect();
    for family in [Family::V4, Family::V6] {
        for rule in host_rule::list(live.here.kernel.route(), family).unwrap_or_default() {
            let words = rule.words();
            // The rule with priority 0 is the kernel's own, for the addresses of this machine.
            let is_before = (1..*PRIORITIES.start()).contains(&rule.priority);
            if is_before && !obstacles.iter().any(|obstacle| obstacle.contains(&words)) {
                findings.note(
                    &Words {
                        check: "rules",
                        seen: "The rule `{0}` of another program comes before those of portals.",
                        why: "Packets that it matches go its way, even if they come from a portal's device.",
                        way_out: "Nothing, if that is meant so. Else give it a priority above {1}.",
                    },
                    &[&words, &PRIORITIES.end()],
                );
            }
        }
    }
}
