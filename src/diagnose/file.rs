//! Checks of the network file and of this site's key.

use nix::unistd::geteuid;

use super::case::{Case, Live};
use super::finding::{Findings, KEY, Words};
use crate::config::model::EndpointHost;
use crate::control::SiteFile;
use crate::engine::file_report::{FileReport, FileSignature};
use crate::engine::own_key;
use crate::exchange::Relation;
use crate::nat::is_home_address;
use crate::site::own_name;
use crate::system::disk::FileOrigin;
use crate::system::key_files::{self, PRIVATE_KEY_FILE};

/// Checks that an admin has signed the file as it is.
pub(super) fn signature(case: &Case, findings: &mut Findings) {
    const CHECK: &str = "signature";
    const WHY: &str = "Other sites take only a signed file, so the sites have different files until then.";
    let Some((text, network)) = &case.network else { return };
    let Some(FileReport { serial, signature }) = FileReport::of(text, network) else { return };
    let (push, push_or_pull) = if case.file_only {
        ("portals sign FILE", "portals sign FILE\nOr drop the change at the site: portals pull")
    } else {
        ("portals push{config}", "portals push{config}\nOr drop the change: portals pull{config}")
    };
    match signature {
        FileSignature::By(_) => {
            findings.ok(CHECK, "The network file is signed; its serial is {0}.", &[&serial]);
        }
        FileSignature::Awaited => findings.note(
            &Words {
                check: CHECK,
                seen: "The network file was made when this site joined.",
                why: "It is replaced by the signed file of the network as soon as a link is up.",
                way_out: "",
            },
            &[],
        ),
        FileSignature::Outdated => findings.wrong(
            &Words {
                check: CHECK,
                seen: "The network file was edited by hand after it was signed.",
                why: WHY,
                way_out: push_or_pull,
            },
            &[],
        ),
        FileSignature::Missing => {
            findings.wrong(
                &Words { check: CHECK, seen: "The network file is not signed.", why: WHY, way_out: push },
                &[],
            );
        }
    }
}

/// Looks for endpoints that only a part of the internet can dial.
pub(super) fn endpoints(case: &Case, findings: &mut Findings) {
    let Some((_, network)) = &case.network else { return };
    for (name, site) in &network.sites {
        if let Some(EndpointHost::Address(address)) = site.endpoint
            && is_home_address(address)
        {
            findings.note(
                &Words {
                    check: "endpoints",
                    seen: "The `endpoint` of {0} is {1}, a private address.",
                    why: "Only sites in the same local network can dial it.",
                    way_out: "Write the public address or name into [site.{0}], or remove `endpoint`.",
                },
                &[&name, &address],
            );
        }
    }
}

/// Checks the private key: that it is there, that no other user can read it, and whose it is.
pub(super) fn key(case: &Case, findings: &mut Findings) {
    let Some((_, network)) = &case.network else { return };
    let path = case.folder.join(PRIVATE_KEY_FILE);
    let shown = path.display();
    match key_files::read_bytes(&path, FileOrigin::Ours) {
        Err(_) if !geteuid().is_root() => {
            return findings.not_checked(KEY, "Only root can read {0}.", &[&shown]);
        }
        Err(error) => return findings.fault(KEY, &error.to_string()),
        Ok(None) => return findings.fault(KEY, &key_files::missing(&path).to_string()),
        Ok(Some((_, true))) => {
            return findings.wrong(
                &Words {
                    check: KEY,
                    seen: "Other users of this machine can read {0}.",
                    why: "A machine with this key can pretend to be this site.",
                    way_out: "chmod 600 {0}",
                },
                &[&shown],
            );
        }
        Ok(Some(_)) => {}
    }
    let Some(owner) = own_key::owner(&case.folder, network) else {
        return findings.wrong(
            &Words {
                check: KEY,
                seen: "{0} does not hold a key.",
                why: "A key is 44 characters of base64 on one line.",
                way_out: "Bring back the file from a backup, or make a new key: portals init{config}",
            },
            &[&shown],
        );
    };
    match own_name(network, owner) {
        Ok(name) => findings.ok(KEY, "This machine is site {0}.", &[&name]),
        Err(_) => findings.wrong(
            &Words {
                check: KEY,
                seen: "No site of the file has the public key of this machine, {0}.",
                why: "A machine knows by its key which site it is.",
                way_out: "Bring back this site's private.key, or write this public key into its [site.…].",
            },
            &[&owner],
        ),
    }
}

/// Checks whether the linked sites have the same file.
pub(super) fn others(live: &mut Live, findings: &mut Findings) {
    const CHECK: &str = "same file";
    let Some(agent) = live.agent() else { return };
    for SiteFile { site, relation, .. } in &agent.files {
        let (words, way_out) = match relation {
            Relation::Newer => ("has a newer network file", "portals pull{config}"),
            Relation::Older => ("has an older network file", "portals push{config}"),
            Relation::Conflict => (
                "has another network file with the same serial",
                "Decide which file is right, and run at a site that has it: portals push",
            ),
            Relation::Edited => {
                ("has a file that was edited and not signed", "Run at that site: portals push")
            }
            Relation::Same | Relation::Unknown => continue,
        };
        findings.wrong(
            &Words {
                check: CHECK,
                seen: "{0} {1}.",
                why: "Sites with different files may disagree about keys, ports and networks.",
                way_out,
            },
            &[&site, &words],
        );
    }
    if let Some(problem) = &agent.file_problem {
        findings.fault(CHECK, problem);
    }
}
