//! Diagnosis: checks of the network file, the host and the live state. Each says what was seen, why it
//! matters, and the way out. Checks only read.

pub mod ask;
mod case;
mod file;
pub mod finding;
mod firewall;
mod helpers;
mod host;
#[cfg(target_has_atomic = "64")]
mod knocks;
mod links;
mod managers;
mod modules;
mod mtu;
mod platform;
mod portals;
mod processes;
mod programs;
mod reach;
pub mod test;
pub mod trace;
mod versions;

use std::path::Path;

use case::{Case, Live};
use finding::Findings;

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
    firewall::bridges,
    managers::network_manager,
    reach::own_endpoint,
    reach::ports,
    reach::mappings,
    reach::seen,
    links::links,
    #[cfg(target_has_atomic = "64")]
    knocks::unknown_keys,
    mtu::paths,
    mtu::segments,
    portals::portals,
    portals::rules,
    programs::programs,
    versions::programs,
    programs::ports,
    programs::questions,
];

/// Examines this machine, or only a file. Changes nothing.
pub fn examine(file: &Path, file_only: bool, findings: &mut Findings) {
    let case = Case::open(file, file_only, findings);
    run(OF_FILE, &case, findings);
    if !file_only {
        run(OF_HOST, &case, findings);
        if let Some(mut live) = Live::look(&case, findings) {
            for check in OF_SITE {
                check(&mut live, findings);
            }
        }
    }
}

fn run(checks: &[fn(&Case, &mut Findings)], case: &Case, findings: &mut Findings) {
    for check in checks {
        check(case, findings);
    }
}
