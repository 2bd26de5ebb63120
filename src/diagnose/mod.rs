//! Diagnosis: checks of the network file, the host and the live state. Each says what was seen, why it
//! matters, and the way out. Checks only read.

pub mod ask;
mod case;
mod dns;
mod file;
pub mod finding;
mod firewall;
mod helpers;
mod host;
mod knocks;
mod links;
mod managers;
mod mtu;
mod platform;
mod portals;
mod processes;
mod reach;
pub mod test;
pub mod trace;

use std::path::Path;

use case::{Case, Live};
use finding::{Finding, Findings};

/// Checks that need nothing but the network file.
const OF_FILE: &[fn(&Case, &mut Findings)] = &[file::signature, file::endpoints];

/// Checks of the host, most of which need no root.
const OF_HOST: &[fn(&Case, &mut Findings)] = &[
    file::key,
    host::clock,
    host::entropy,
    host::disk,
    host::reverse_paths,
    firewall::others,
    managers::networkd,
    platform::offload,
    platform::hook,
];

/// Checks of the live state, which need root and a valid network file.
const OF_SITE: &[fn(&mut Live, &mut Findings)] = &[
    platform::agent,
    platform::drift,
    file::others,
    host::wireguard,
    host::forwarding,
    host::uplink,
    firewall::guard,
    managers::network_manager,
    reach::own_endpoint,
    reach::ports,
    reach::seen,
    links::links,
    knocks::unknown_keys,
    mtu::paths,
    portals::portals,
    portals::rules,
    dns::programs,
    dns::ports,
];

/// Examines this machine, or only a file. Changes nothing.
pub fn examine(file: &Path, file_only: bool) -> Vec<Finding> {
    let mut findings = Findings::default();
    let case = Case::open(file, file_only, &mut findings);
    run(OF_FILE, &case, &mut findings);
    if !file_only {
        run(OF_HOST, &case, &mut findings);
        if let Some(mut live) = Live::look(&case, &mut findings) {
            for check in OF_SITE {
                check(&mut live, &mut findings);
            }
        }
    }
    findings.0
}

fn run(checks: &[fn(&Case, &mut Findings)], case: &Case, findings: &mut Findings) {
    for check in checks {
        check(case, findings);
    }
}
