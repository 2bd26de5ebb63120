//! Checks of the programs for DHCP, DNS and Wi-Fi, and of the ports that portals needs.

use super::case::Live;
use super::finding::Finding;
use super::processes::owners_of;
use crate::services;
use crate::system::child::path_of;

const PROGRAMS: &str = "programs";
const PORTS: &str = "ports";

/// Port of DHCP servers.
const DHCP: u16 = 67;

/// Checks that the programs that the site needs are installed.
pub(super) fn programs(live: &mut Live, findings: &mut Vec<Finding>) {
    // The agent has named what is missing, and what failed.
    if live.agent().is_none() {
        for words in services::missing(&services::plan(&live.site, live.journal.folder())) {
            findings.push(Finding::wrong(PROGRAMS, words, "", ""));
        }
    }
    for (program, _) in services::programs(&live.site) {
        if let Some(path) = path_of(program.name) {
            let path = path.display().to_string();
            findings.push(Finding::ok(PROGRAMS, [program.purpose, ": ", &path, " is installed."].concat()));
        }
    }
}

/// Checks that no other program has a port that portals needs.
pub(super) fn ports(live: &mut Live, findings: &mut Vec<Finding>) {
    for (interface, tunnel) in &live.site.tunnels {
        let port = tunnel.port.to_string();
        for owner in owners_of(tunnel.port) {
            // The built-in WireGuard is the agent.
            if !owner.words.starts_with("portals") {
                findings.push(Finding::wrong(
                    PORTS,
                    ["UDP ", &port, ", the port of ", interface.as_str(), ", belongs to ", &owner.words, "."]
                        .concat(),
                    "The tunnel cannot start without its port.",
                    "End that program, or write another `port` into this site, at all sites.",
                ));
            }
        }
    }
    if !live.site.portals.iter().any(|portal| portal.dhcp) {
        return;
    }
    let ours = services::folder(live.journal.folder(), "");
    for owner in owners_of(DHCP) {
        if !owner.arguments.contains(&*ours.to_string_lossy()) {
            findings.push(Finding::note(
                PORTS,
                ["UDP 67, for DHCP, is used by ", &owner.words, ", too."].concat(),
                "Devices of a portal get no address if that program takes the port on all interfaces.",
                "If it is a dnsmasq, write `bind-dynamic` into its configuration, and restart it.",
            ));
        }
    }
}
