//! Checks of the ways by which other sites reach this machine.

use std::net::IpAddr;

use super::case::Live;
use super::finding::{Findings, Words};
use super::helpers::helpers;
use crate::cli::amounts;
use crate::config::model::EndpointHost;
use crate::kernel::address;
use crate::nat::is_home_address;
use crate::site::PeerEndpoint;

const ENDPOINT: &str = "endpoint";
const PORTS: &str = "ports";

/// Checks that no peer's endpoint is this machine, and that all names have addresses.
pub(super) fn own_endpoint(live: &mut Live, findings: &mut Findings) {
    let own = address::list(live.here.kernel.route()).unwrap_or_default();
    for (_, name, peer) in live.here.site.peers() {
        let Some(PeerEndpoint { host, port, address }) = &peer.endpoint else { continue };
        let Some(address) = address else {
            findings.wrong(
                &Words {
                    check: ENDPOINT,
                    seen: "The name {0}, the `endpoint` of {1}, has no address.",
                    why: "This machine cannot dial it; the link waits until the other end dials.",
                    way_out: "Correct `endpoint` in [site.{1}], or see why it is not found: nslookup {0}",
                },
                &[&host, &name],
            );
            continue;
        };
        if own.iter().any(|entry| entry.address.address == address.ip()) {
            findings.wrong(
                &Words {
                    check: ENDPOINT,
                    seen: "The `endpoint` of {0}, {1}, is this machine itself.",
                    why: "This machine would dial itself, and the link never comes up.",
                    way_out: "Write the public address or name of {0} into [site.{0}]. If both are behind \
                              one router, it must forward UDP {2} to {0}.",
                },
                &[&name, &host, &port],
            );
        }
    }
}

/// Names the UDP ports that must reach this machine.
pub(super) fn ports(live: &mut Live, findings: &mut Findings) {
    if live.entry().endpoint.is_none() {
        return findings.ok(
            PORTS,
            "Other sites do not dial this machine: it has no `endpoint`, and needs no open port.",
            &[],
        );
    }
    let site = &live.here.site;
    let list = amounts::ports(&site.nat.dialled_ports);
    let Some(uplink) = &site.host.uplink else { return };
    let own = uplink.addresses.iter().map(|own| own.address).find(IpAddr::is_ipv4);
    match own {
        Some(own) if is_home_address(own) => findings.note(
            &Words {
                check: PORTS,
                seen: "This machine is behind another router: the address of its uplink is {0}.",
                why: "Other sites dial the `endpoint`, which is that router.",
                way_out: "Forward in that router UDP {1} to {0}.",
            },
            &[&own, &list],
        ),
        _ => findings.ok(PORTS, "Other sites dial UDP {0} of this machine.", &[&list]),
    }
}

/// Tells the outcome of port mappings at the home router, each once.
pub(super) fn mappings(live: &mut Live, findings: &mut Findings) {
    const CHECK: &str = "port mapping";
    let Some(agent) = live.agent() else { return };
    let mut said: Vec<&str> = Vec::new();
    for link in &agent.links {
        let words = link.port_mapping.as_str();
        if words.is_empty() || said.contains(&words) {
            continue;
        }
        said.push(words);
        if !SECOND_NAT.iter().any(|part| words.contains(part)) {
            findings.ok(CHECK, "{0}.", &[&words]);
            continue;
        }
        findings.note(
            &Words {
                check: CHECK,
                seen: "{0}.",
                why: "A port that is forwarded in your router alone does not reach it from the internet.",
                way_out: "If both routers are yours, forward the port in both, or let one of them be a \
                          bridge (a modem). If the other NAT is your provider's, ask for a public address.",
            },
            &[&words],
        );
    }
}

/// Parts of the words for a home router that is itself behind a NAT
/// ([`MappingState`](crate::nat::mapping::MappingState)).
const SECOND_NAT: [&str; 2] = ["behind a second NAT", "has no public address itself"];

/// Asks other sites under which address they see this machine.
pub(super) fn seen(live: &mut Live, findings: &mut Findings) {
    let expected = match &live.entry().endpoint {
        None => return,
        Some(EndpointHost::Address(address)) => *address,
        Some(EndpointHost::Name(name)) => match live.here.files.resolved_name(name) {
            Some(address) => address,
            None => {
                return findings.wrong(
                    &Words {
                        check: ENDPOINT,
                        seen: "The name {0}, this site's `endpoint`, has no address.",
                        why: "Other sites cannot dial this machine.",
                        way_out: "Correct `endpoint`, or see to the name where you have it (dynamic DNS).",
                    },
                    &[name],
                );
            }
        },
    };
    for helper in helpers(&live.here.site) {
        let Some(seen) = helper.sees(None) else { continue };
        if seen == expected {
            return findings.ok(ENDPOINT, "{0} sees this machine as {1}.", &[&helper.name, &seen]);
        }
        let words = Words {
            check: ENDPOINT,
            seen: "{0} sees this machine as {1}, but its `endpoint` is {2}.",
            why: "Other sites dial an address that is no longer, or not only, this machine's.",
            way_out: "Write `endpoint = \"{1}\"`, or better a name that follows the address.",
        };
        return findings.wrong(&words, &[&helper.name, &seen, &expected]);
    }
}
