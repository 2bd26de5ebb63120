//! `portals check`: all faults of a network file, without a key, without root and without a host.

use std::path::Path;

use super::ExitStatus;
use crate::base::error::{Error, Errors};
use crate::base::path::folder_of;
use crate::cli::output::{complain, say};
use crate::config::model::Network;
use crate::engine::file_report::{FileReport, FileSignature};
use crate::engine::{network_file, on_paper};
use crate::state::words::count;
use crate::system::disk::FileOrigin;

/// Checks the file, then each site as far as that is possible without its host.
pub(super) fn run(file: &Path) -> Result<ExitStatus, Errors> {
    let (text, network) = network_file::load_from(file, FileOrigin::Named)?;
    let mut errors = Vec::new();
    for own in network.sites.keys() {
        if let Err(faults) = site(file, &network, own) {
            for fault in faults {
                errors.push(Error::wrong(format_args!("site `{own}`: {fault}")));
            }
        }
    }
    Errors::check(errors, ())?;
    let portals = network.sites.values().map(|site| site.portals.len()).sum();
    say!(
        "{} is right: network {}, {}, {}, {}{}",
        file.display(),
        network.name,
        count(network.sites.len(), "site"),
        count(portals, "portal"),
        count(network.phones.len(), "phone"),
        signature(&text, &network)
    );
    Ok(ExitStatus::Done)
}

/// Checks a site. A site with a provider whose file is elsewhere is left out, with a note.
fn site(file: &Path, network: &Network, own: &String) -> Result<(), Errors> {
    let entry = &network.sites[own];
    let (providers, missing) = on_paper::providers(file, entry)?;
    for (name, parsed) in &providers {
        let path = folder_of(file).join(&entry.providers[name].config);
        for remark in &parsed.remarks {
            complain!("note: {}:{}: {}", path.display(), remark.line, remark.message);
        }
    }
    for name in &missing {
        complain!(
            "note: site `{own}` is checked without its provider `{name}`: {} is not here; it is needed \
             at `{own}`",
            folder_of(file).join(&entry.providers[*name].config).display()
        );
    }
    if missing.is_empty() {
        on_paper::site(file, network, own, &providers)?;
    }
    Ok(())
}

/// Returns the words for the signature, for the end of a line.
fn signature(text: &str, network: &Network) -> String {
    let Some(report) = FileReport::of(text, network) else { return String::new() };
    let words = match report.signature {
        FileSignature::By(_) => "signed",
        FileSignature::Outdated => "changed since it was signed: `portals sign` signs it",
        FileSignature::Missing => "not signed: `portals sign` signs it",
        FileSignature::Awaited => "waiting for the first signed file",
    };
    format!("; serial {}, {words}", report.serial)
}
