//! Checks of the platform: the agent, the boot hook, and offload that bypasses the kernel's rules.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::case::{Case, Live};
use super::finding::{Findings, Words};
use super::programs::is_of_service;
use crate::base::text::append;
use crate::cli::amounts::duration;
use crate::cli::shell::start_command;
use crate::site::facts::Firmware;
use crate::state::{WireGuardBackend, words};
use crate::system::disk::{self, FileOrigin};
use crate::system::packages;
use crate::system::platform;

/// Time in which an agent repairs a difference, with room for a busy machine.
const REPAIR: Duration = Duration::from_secs(3);

/// Age in seconds up to which a repair is told: a day.
const RECENT: u64 = 24 * 60 * 60;

/// Largest number of differences that are named.
const MOST: usize = 8;

/// Beginnings of failures whose facts other checks tell.
const TOLD: [&str; 2] = ["the clock of this machine", "the path to "];

/// Checks that the agent runs, and tells its failures.
pub(super) fn agent(live: &mut Live, findings: &mut Findings) {
    const CHECK: &str = "agent";
    if !live.report.agent {
        let way_out = start_command(&live.here.files.file);
        return findings.wrong(
            &Words {
                check: CHECK,
                seen: "No agent runs.",
                why: "Nothing repairs the portals, gives addresses to devices, or follows other sites.",
                way_out: "{0}",
            },
            &[&way_out],
        );
    }
    let Some(agent) = live.agent() else {
        return findings.wrong(
            &Words {
                check: CHECK,
                seen: "The agent runs, and does not answer.",
                why: "It may have another version than this program.",
                way_out: "End it, and start it again.",
            },
            &[],
        );
    };
    if let Some(left) = agent.unconfirmed {
        findings.note(
            &Words {
                check: CHECK,
                seen: "A change is undone in {0} s.",
                why: "It waits to be confirmed.",
                way_out: "portals confirm",
            },
            &[&left],
        );
    }
    if let Some((since, things)) = &agent.put_back
        && *since < RECENT
    {
        findings.note(
            &Words {
                check: CHECK,
                seen: "{0} ago the agent put back {1}.",
                why: "Until then, one layer of protection less kept portals closed.",
                way_out: "Nothing, unless it happens again: the log has the time of each repair.",
            },
            &[&duration(*since), things],
        );
    }
    let mut is_well = true;
    for failure in &agent.failures {
        let is_told = TOLD.iter().any(|part| failure.starts_with(part)) || is_of_service(live, failure);
        if !is_told {
            findings.fault(CHECK, failure);
            is_well = false;
        }
    }
    if is_well {
        findings.ok(CHECK, "", &[]);
    }
}

/// Checks that the kernel is as the file says.
pub(super) fn drift(live: &mut Live, findings: &mut Findings) {
    const CHECK: &str = "kernel";
    const WHY: &str = "Portals stay closed, or their traffic takes another way, until it is put right.";
    const SEEN: &str = "The kernel differs from the file in {0}:{1}";
    if live.report.agent && !live.steps.is_empty() {
        sleep(REPAIR);
        // An error here was an error before.
        let _ = live.compare();
    }
    if live.steps.is_empty() {
        return findings.ok(CHECK, "", &[]);
    }
    let mut changes = String::new();
    for step in live.steps.iter().take(MOST) {
        changes.push_str("\n    ");
        changes.push_str(&words::step(step));
    }
    if live.steps.len() > MOST {
        changes.push_str("\n    …");
    }
    let points = words::count(live.steps.len(), "point");
    if live.report.agent {
        let installed = platform::layout_here().is_some_and(|layout| platform::is_installed(&layout));
        let log = if installed { "portals logs" } else { "portals run writes it to standard error" };
        let way_out = "If the file was edited: portals reload{config}\n\
             Else another program may undo it; see the log: {2}";
        findings.wrong(&Words { check: CHECK, seen: SEEN, why: WHY, way_out }, &[&points, &changes, &log]);
    } else {
        // The built-in WireGuard is a part of the agent.
        let way_out = match live.report.wireguard {
            WireGuardBackend::Kernel => "{2}\nOr, once: portals apply{config}",
            WireGuardBackend::BuiltIn => "{2}",
        };
        let start = start_command(&live.here.files.file);
        findings.wrong(&Words { check: CHECK, seen: SEEN, why: WHY, way_out }, &[&points, &changes, &start]);
    }
}

fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

/// Checks that the agent starts at boot, and that it still does after an upgrade of the firmware.
pub(super) fn hook(case: &Case, findings: &mut Findings) {
    const CHECK: &str = "boot";
    let Some(layout) = platform::layout_here() else { return };
    // The files of a package are at other places; its links have other targets.
    let is_package = packages::removal_command(Path::new("/")).is_some();
    let (mut missing, mut changed) = (String::new(), String::new());
    if !is_package {
        if !exists(&layout.program) {
            append(&mut missing, &layout.program);
        }
        for file in &layout.files {
            let text = disk::text_or_empty(Path::new(&file.path), FileOrigin::Host);
            if text.is_empty() {
                append(&mut missing, &file.path);
            } else if text != file.text {
                append(&mut changed, &file.path);
            }
        }
    }
    for link in &layout.links {
        if !exists(&link.path) {
            append(&mut missing, &link.path);
        }
    }
    // Another program may have the name, and be in a folder that comes first in PATH.
    let program = packages::program().filter(|_| is_package).unwrap_or("portals");
    let way_out = "{1} install";
    if !missing.is_empty() {
        let why = "After the next start of this machine, the portals do not open.";
        let seen = "Missing, of what starts the agent at boot: {0}.";
        findings.wrong(&Words { check: CHECK, seen, why, way_out }, &[&missing, &program]);
    }
    if !changed.is_empty() {
        let why = "An older version or a person has written it.";
        let seen = "Not what this version would install: {0}.";
        findings.note(&Words { check: CHECK, seen, why, way_out }, &[&changed, &program]);
    }
    if missing.is_empty() && changed.is_empty() {
        findings.ok(CHECK, "The agent starts at boot ({0}).", &[&layout.platform]);
    }
    let udm_boot = ["/etc/systemd/system/udm-boot.service", "/lib/systemd/system/udm-boot.service"];
    if case.firmware == Some(Firmware::UniFi) && !udm_boot.into_iter().any(exists) {
        findings.note(
            &Words {
                check: CHECK,
                seen: "An upgrade of the firmware may remove what starts the agent.",
                why: "UniFi OS keeps /data, and on-boot-script (udm-boot), which would put it back, is not \
                      here.",
                way_out: "{0} install    (after each upgrade)",
            },
            &[&layout.program],
        );
    }
}

/// Reports whether a line of EdgeOS's or of OpenWrt's configuration switches offload on. In hardware, OpenWrt
/// offloads only if it offloads at all.
fn switches_on(line: &str) -> bool {
    /// Values that firewall4 takes for true, and EdgeOS's one.
    const ON: [&str; 6] = ["1", "on", "true", "yes", "enabled", "enable"];
    match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["hwnat", value] | ["option", "flow_offloading", value] => {
            ON.contains(&value.trim_matches(['\'', '"']))
        }
        _ => false,
    }
}

/// Looks for offload that moves packets past the rules of portals.
pub(super) fn offload(case: &Case, findings: &mut Findings) {
    const CHECK: &str = "offload";
    const WHY: &str = "Offloaded packets pass the rules of portals by, and can leave by the wrong way.";
    let (path, seen, way_out) = match case.firmware {
        Some(Firmware::EdgeOs) => (
            "/config/config.boot",
            "Hardware NAT (hwnat) is on.",
            "configure\nset system offload hwnat disable\ncommit; save; exit",
        ),
        Some(Firmware::OpenWrt) => (
            "/etc/config/firewall",
            "Flow offloading is on.",
            "uci set firewall.@defaults[0].flow_offloading=0\n\
             uci commit firewall; /etc/init.d/firewall restart",
        ),
        _ => return,
    };
    let text = disk::text_or_empty(Path::new(path), FileOrigin::Host);
    if text.lines().any(switches_on) {
        findings.wrong(&Words { check: CHECK, seen: "{0}", why: WHY, way_out: "{1}" }, &[&seen, &way_out]);
    } else {
        findings.ok(CHECK, "", &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offload_is_on_in_any_spelling() {
        for (line, is_on) in [
            ("\toption flow_offloading '1'", true),
            ("option flow_offloading 1", true),
            ("  option  flow_offloading \"true\"", true),
            ("option flow_offloading '0'", false),
            ("option flow_offloading_hw '1'", false),
            ("        hwnat enable", true),
            ("hwnat disable", false),
        ] {
            assert_eq!(switches_on(line), is_on, "{line}");
        }
    }
}
