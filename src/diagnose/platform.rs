//! Checks of the platform: the agent, the boot hook, and offload that bypasses the kernel's rules.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::case::{Case, Live};
use super::finding::Finding;
use crate::site::facts::Firmware;
use crate::state::words;
use crate::system::disk::{self, FileOrigin};
use crate::system::packages;
use crate::system::platform::{Layout, Machine, ServiceAction, layout};

/// Time in which an agent repairs a difference, with room for a busy machine.
const REPAIR: Duration = Duration::from_secs(3);

/// Largest number of differences that are named.
const MOST: usize = 8;

/// Checks that the agent runs, and that all its services do.
pub(super) fn agent(live: &mut Live, findings: &mut Vec<Finding>) {
    const CHECK: &str = "agent";
    if !live.report.agent {
        let way_out = match here() {
            Some(layout) if is_installed(&layout) => layout.keeper.call(ServiceAction::Start).join(" "),
            Some(_) => "portals install".to_owned(),
            None => "portals run".to_owned(),
        };
        return findings.push(Finding::wrong(
            CHECK,
            "No agent runs.",
            "Nothing repairs the portals, gives addresses to devices, or follows other sites.",
            way_out,
        ));
    }
    let Some(agent) = live.agent() else {
        return findings.push(Finding::wrong(
            CHECK,
            "The agent runs, and does not answer.",
            "It may have another version than this program.",
            here().map_or_else(String::new, |layout| layout.keeper.call(ServiceAction::Restart).join(" ")),
        ));
    };
    findings.push(Finding::ok(CHECK, "The agent runs."));
    if let Some(left) = agent.unconfirmed {
        findings.push(Finding::note(
            CHECK,
            ["A change is undone in ", &left.to_string(), " s."].concat(),
            "It waits to be confirmed.",
            "portals confirm",
        ));
    }
    // Others check clock and paths themselves.
    for failure in &agent.failures {
        if !failure.starts_with("the clock of this machine") {
            findings.push(Finding::wrong(CHECK, failure.clone(), "", ""));
        }
    }
}

/// Checks that the kernel is as the file says.
pub(super) fn drift(live: &mut Live, findings: &mut Vec<Finding>) {
    const CHECK: &str = "kernel";
    if live.report.agent && !live.steps.is_empty() {
        sleep(REPAIR);
        // An error here was an error before.
        let _ = live.compare();
    }
    if live.steps.is_empty() {
        return findings
            .push(Finding::ok(CHECK, "Interfaces, routes, rules and firewall are as the file says."));
    }
    let mut seen =
        ["The kernel differs from the file in ", &words::count(live.steps.len(), "point"), ":"].concat();
    for step in live.steps.iter().take(MOST) {
        for part in ["\n    ", &words::step(step)] {
            seen.push_str(part);
        }
    }
    if live.steps.len() > MOST {
        seen.push_str("\n    …");
    }
    let way_out = if live.report.agent {
        let log = here().map_or("portals run writes it to standard error", |layout| layout.log);
        ["The agent cannot keep it so: another program may undo it. See its log: ", log].concat()
    } else {
        "Start the agent; or, once: portals apply".to_owned()
    };
    let why = "Portals stay closed, or their traffic takes another way, until it is put right.";
    findings.push(Finding::wrong(CHECK, seen, why, way_out));
}

fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

/// Returns the layout of an installation on this machine, if something here can start the agent at boot.
fn here() -> Option<Layout> {
    layout(&Machine { is_live: true, has: &exists })
}

fn is_installed(layout: &Layout) -> bool {
    exists(&layout.program) && exists(&layout.files[0].path)
}

/// Checks that the agent starts at boot, and that it still does after an upgrade of the firmware.
pub(super) fn hook(case: &Case, findings: &mut Vec<Finding>) {
    const CHECK: &str = "boot";
    let Some(layout) = here() else { return };
    if let Some(command) = packages::removal_command(Path::new("/")) {
        let words = ["Portals is a package, which starts the agent at boot (removal: ", command, ")."];
        return findings.push(Finding::ok(CHECK, words.concat()));
    }
    let mut missing = Vec::new();
    if !exists(&layout.program) {
        missing.push(layout.program.as_str());
    }
    for file in &layout.files {
        if disk::text_or_empty(Path::new(&file.path), FileOrigin::Host) != file.text {
            missing.push(&file.path);
        }
    }
    for link in &layout.links {
        if !fs::read_link(&link.path).is_ok_and(|target| target == Path::new(&link.target)) {
            missing.push(&link.path);
        }
    }
    if missing.is_empty() {
        findings.push(Finding::ok(CHECK, ["The agent starts at boot (", layout.platform, ")."].concat()));
    } else {
        findings.push(Finding::wrong(
            CHECK,
            ["Missing or changed, of what starts the agent at boot: ", &missing.join(", "), "."].concat(),
            "After the next start of this machine, the portals do not open.",
            "portals install",
        ));
    }
    let udm_boot = ["/etc/systemd/system/udm-boot.service", "/lib/systemd/system/udm-boot.service"];
    if case.firmware == Some(Firmware::UniFi) && !udm_boot.into_iter().any(exists) {
        findings.push(Finding::note(
            CHECK,
            "An upgrade of the firmware may remove what starts the agent.",
            "UniFi OS keeps /data alone, and on-boot-script (udm-boot), which would put it back, is not here.",
            [&layout.program, " install    (after each upgrade)"].concat(),
        ));
    }
}

/// Looks for offload that moves packets past the rules of portals.
pub(super) fn offload(case: &Case, findings: &mut Vec<Finding>) {
    const CHECK: &str = "offload";
    const WHY: &str = "Offloaded packets pass the rules of portals by, and can leave by the wrong way.";
    let (path, signs, seen, way_out): (_, &[&str], _, _) = match case.firmware {
        Some(Firmware::EdgeOs) => (
            "/config/config.boot",
            &["hwnat enable"],
            "Hardware NAT (hwnat) is on.",
            "configure\nset system offload hwnat disable\ncommit; save; exit",
        ),
        Some(Firmware::OpenWrt) => (
            "/etc/config/firewall",
            &["option flow_offloading '1'", "option flow_offloading_hw '1'"],
            "Flow offloading is on.",
            "uci set firewall.@defaults[0].flow_offloading=0\n\
             uci set firewall.@defaults[0].flow_offloading_hw=0\n\
             uci commit firewall; /etc/init.d/firewall restart",
        ),
        _ => return,
    };
    let text = disk::text_or_empty(Path::new(path), FileOrigin::Host);
    // Tabs and several blanks stand between words.
    let is_on = text.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        signs.contains(&words.join(" ").as_str())
    });
    findings.push(if is_on {
        Finding::wrong(CHECK, seen, WHY, way_out)
    } else {
        Finding::ok(CHECK, "No offload that is known here is on.")
    });
}
