//! Checks of the programs for DHCP, DNS and Wi-Fi, and of the ports that portals needs.

use super::case::Live;
use super::finding::{Findings, Words};
use super::processes::owners_of;
use crate::plan::kept_out_by;
use crate::services::{self, Service};
use crate::site::RESOLVER_PORT;
use crate::system::child::path_of;

const PROGRAMS: &str = "programs";
const PORTS: &str = "ports";

/// Port of DHCP servers.
const DHCP: u16 = 67;

/// Checks that the programs that the site needs are installed.
pub(super) fn programs(live: &mut Live, findings: &mut Findings) {
    match live.agent() {
        // The agent knows what is missing, and what failed.
        Some(agent) => {
            for words in agent.failures.iter().filter(|words| is_of_service(live, words)) {
                findings.fault(PROGRAMS, words);
            }
        }
        None => {
            for words in services::missing(&planned(live)) {
                findings.fault(PROGRAMS, &words);
            }
        }
    }
    for (program, _) in services::programs(&live.here.site) {
        if let Some(path) = path_of(program.name) {
            let path = path.display();
            findings.ok(PROGRAMS, "{0}: {1} is installed.", &[&program.purpose, &path]);
        }
    }
}

/// Returns the services that the site needs.
fn planned(live: &Live) -> Vec<Service> {
    services::plan(&live.here.site, live.here.journal.folder())
}

/// Reports whether a failure that the agent tells is one of a service: its words begin with the name.
pub(super) fn is_of_service(live: &Live, failure: &str) -> bool {
    planned(live).iter().any(|service| failure.starts_with(&service.name))
}

/// Names portals whose devices ask for names outside of them.
pub(super) fn questions(live: &mut Live, findings: &mut Findings) {
    for portal in &live.here.site.portals {
        let Some(key) = kept_out_by(portal) else { continue };
        let way_out = match key {
            "ports" => "Add \"udp/53\" and \"tcp/53\" to its `ports`, unless that is meant so.",
            _ => "Add the addresses of the devices' resolvers to its `to`, unless that is meant so.",
        };
        findings.note(
            &Words {
                check: "DNS",
                seen: "DNS queries of portal {0} do not enter it: its `{1}` leaves them out.",
                why: "They leave by this site's own uplink, and tell which names the devices look for.",
                way_out,
            },
            &[&portal.name, &key],
        );
    }
}

/// Checks that no other program has a port that portals needs.
pub(super) fn ports(live: &mut Live, findings: &mut Findings) {
    for (interface, tunnel) in &live.here.site.tunnels {
        let port = tunnel.port;
        for owner in owners_of(tunnel.port) {
            // The built-in WireGuard is the agent.
            if !owner.words.starts_with("portals") {
                findings.wrong(
                    &Words {
                        check: PORTS,
                        seen: "UDP {0}, the port of {1}, belongs to {2}.",
                        why: "The tunnel cannot start without its port.",
                        way_out: "End that program, or write another `port` into this site, at all sites.",
                    },
                    &[&port, &interface, &owner.words],
                );
            }
        }
    }
    let portals = &live.here.site.portals;
    if portals.iter().any(|portal| portal.dhcp) {
        others_at(live, DHCP, &DHCP_WORDS, findings);
    }
    if portals.iter().any(|portal| portal.resolver().len() != 0) {
        others_at(live, RESOLVER_PORT, &DNS_WORDS, findings);
    }
}

const DHCP_WORDS: Words = Words {
    check: PORTS,
    seen: "UDP 67, for DHCP, is used by {0}.",
    why: "Devices of a portal get no address if that program takes the port on all interfaces.",
    way_out: "If it is a dnsmasq of your own, write `bind-dynamic` into its configuration, and restart it.",
};

const DNS_WORDS: Words = Words {
    check: PORTS,
    seen: "UDP 5053, to which DNS questions of portals are led, is used by {0}.",
    why: "Devices of a portal get no names if that program takes the port on all interfaces.",
    way_out: "Give that program another port.",
};

/// Names the programs at a port, unless one that portals has started has it, too.
fn others_at(live: &Live, port: u16, words: &Words, findings: &mut Findings) {
    let ours = services::folder(live.here.journal.folder(), "");
    let owners = owners_of(port);
    if !owners.iter().any(|owner| owner.arguments.contains(&*ours.to_string_lossy())) {
        for owner in owners {
            findings.note(words, &[&owner.words]);
        }
    }
}
