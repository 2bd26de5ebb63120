//! Public address at the exit, as the helper of a third site sees it.

use super::Subject;
use crate::base::text::append;
use crate::diagnose::finding::{Findings, Words};
use crate::diagnose::helpers::helpers;

/// Name of the check.
const ADDRESS: &str = "address";

/// Tests the address at which the portal's packets come out.
pub(super) fn test(subject: &Subject, findings: &mut Findings) {
    const SEEN: &str = "{0} sees {1}.";
    let Subject { site, portal, .. } = subject;
    let source = subject.source();
    if source.is_none() {
        let seen = "The portal has no resolver here, whose packets go its way.";
        return findings.not_checked(ADDRESS, seen, &[]);
    }
    let exit = portal.exit.to_string();
    let place = site.chain(&portal.exit).and_then(|chain| chain.hops.last()).unwrap_or(&exit);
    let mut names = String::new();
    for helper in helpers(site) {
        // The exit would see an address inside the tunnel.
        if helper.name == place {
            continue;
        }
        append(&mut names, &helper.name);
        let Some(seen) = helper.sees(source) else { continue };
        if helper.sees(None) != Some(seen) {
            return findings.ok(ADDRESS, SEEN, &[&helper.name, &seen]);
        }
        let why = "That is the public address of this site itself, unless both share a home.";
        let words = Words { check: ADDRESS, seen: SEEN, why, way_out: "" };
        return findings.wrong(&words, &[&helper.name, &seen]);
    }
    if names.is_empty() {
        let seen = "Only a third site with an `endpoint` can tell the public address.";
        return findings.not_checked(ADDRESS, seen, &[]);
    }
    findings.wrong(
        &Words {
            check: ADDRESS,
            seen: "No answer came through {0} from the helper of {1}.",
            why: "The exit may reach no internet, or block UDP.",
            way_out: "Test from a computer at the exit.",
        },
        &[&exit, &names],
    );
}
