//! Checks of the network file and of this site's key.

use super::case::{Case, Live};
use super::finding::{Finding, KEY};
use crate::config::model::EndpointHost;
use crate::control::SiteFile;
use crate::engine::file_report::{FileReport, FileSignature};
use crate::engine::own_key;
use crate::exchange::Relation;
use crate::nat::is_home_address;
use crate::site::own_name;
use crate::system::disk::FileOrigin;
use crate::system::key_files::{self, PRIVATE_KEY_FILE};

const SIGNATURE: &str = "signature";
const ENDPOINTS: &str = "endpoints";

/// Checks that an admin has signed the file as it is.
pub(super) fn signature(case: &Case, findings: &mut Vec<Finding>) {
    const WHY: &str = "Other sites take only a signed file, so the sites have different files until then.";
    let Some((text, network)) = &case.network else { return };
    let Some(FileReport { serial, signature }) = FileReport::of(text, network) else { return };
    let serial = serial.to_string();
    let way_out = if case.file_only {
        ["portals sign ", &case.file.display().to_string()].concat()
    } else {
        "portals push".to_owned()
    };
    findings.push(match signature {
        FileSignature::By(_) => {
            Finding::ok(SIGNATURE, ["The network file is signed; its serial is ", &serial, "."].concat())
        }
        FileSignature::Awaited => Finding::note(
            SIGNATURE,
            "The network file was made when this site joined.",
            "It is replaced by the signed file of the network as soon as a link is up.",
            "",
        ),
        FileSignature::Outdated => Finding::wrong(
            SIGNATURE,
            "The network file was edited by hand after it was signed.",
            WHY,
            [&way_out, "\nOr drop the change: portals pull"].concat(),
        ),
        FileSignature::Missing => Finding::wrong(SIGNATURE, "The network file is not signed.", WHY, way_out),
    });
}

/// Looks for endpoints that only a part of the internet can dial.
pub(super) fn endpoints(case: &Case, findings: &mut Vec<Finding>) {
    let Some((_, network)) = &case.network else { return };
    for (name, site) in &network.sites {
        if let Some(EndpointHost::Address(address)) = site.endpoint
            && is_home_address(address)
        {
            let address = address.to_string();
            findings.push(Finding::note(
                ENDPOINTS,
                ["The `endpoint` of ", name, " is ", &address, ", a private address."].concat(),
                "Only sites in the same local network can dial it.",
                ["Write the public address or name into [site.", name, "], or remove `endpoint`."].concat(),
            ));
        }
    }
}

/// Checks the private key: that it is there, that no other user can read it, and whose it is.
pub(super) fn key(case: &Case, findings: &mut Vec<Finding>) {
    let Some((_, network)) = &case.network else { return };
    let path = case.folder.join(PRIVATE_KEY_FILE);
    let shown = path.display().to_string();
    let finding = match key_files::read_bytes(&path, FileOrigin::Ours) {
        Err(_) if !nix::unistd::geteuid().is_root() => {
            Finding::not_checked(KEY, ["Only root can read ", &shown, "."].concat())
        }
        Err(error) => Finding::wrong(KEY, error.to_string(), "", ""),
        Ok(None) => Finding::wrong(KEY, key_files::missing(&path).to_string(), "", ""),
        Ok(Some((_, true))) => Finding::wrong(
            KEY,
            ["Other users of this machine can read ", &shown, "."].concat(),
            "Whoever has this key can pretend to be this site.",
            ["chmod 600 ", &shown].concat(),
        ),
        Ok(Some(_)) => match own_key::owner(&case.folder, network) {
            None => Finding::wrong(
                KEY,
                [&shown, " does not hold a key."].concat(),
                "A key is 44 characters of base64 on one line.",
                "Bring back the file from a backup, or make a new key: portals init",
            ),
            Some(owner) => match own_name(network, owner) {
                Ok(name) => Finding::ok(KEY, ["This machine is site ", name, "."].concat()),
                Err(_) => Finding::wrong(
                    KEY,
                    ["No site of the file has the public key of this machine, ", &owner.to_string(), "."]
                        .concat(),
                    "A machine knows by its key which site it is.",
                    "Bring back this site's private.key, or write this public key into its [site.…].",
                ),
            },
        },
    };
    findings.push(finding);
}

/// Checks whether the linked sites have the same file.
pub(super) fn others(live: &mut Live, findings: &mut Vec<Finding>) {
    const CHECK: &str = "same file";
    let Some(agent) = live.agent() else { return };
    for SiteFile { site, relation, .. } in &agent.files {
        let (words, way_out) = match relation {
            Relation::Newer => (" has a newer network file.", "portals pull"),
            Relation::Older => (" has an older network file.", "portals push"),
            Relation::Conflict => (
                " has another network file with the same serial.",
                "Decide which file is right, and run at a site that has it: portals push",
            ),
            Relation::Edited => {
                (" has a file that was edited and not signed.", "Run at that site: portals push")
            }
            Relation::Same | Relation::Unknown => continue,
        };
        findings.push(Finding::wrong(
            CHECK,
            [site, words].concat(),
            "Sites with different files may disagree about keys, ports and networks.",
            way_out,
        ));
    }
    if let Some(problem) = &agent.file_problem {
        findings.push(Finding::wrong(CHECK, problem.clone(), "", ""));
    }
}
