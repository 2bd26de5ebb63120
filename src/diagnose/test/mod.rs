//! Tests of a portal: what a device behind it gets. They send packets, from the portal's own address where it
//! has a resolver: policy rules lead such packets the way of the devices.

mod address;
mod echoes;
mod names;
mod way;

use std::net::IpAddr;

use super::finding::{Finding, Verdict};
use crate::agent::far_end;
use crate::engine::load::Files;
use crate::kernel::linux::Linux;
use crate::site::{Exit, Portal, Site};

/// Portal under test.
pub struct Subject<'a> {
    /// Network file and secrets of this site.
    pub files: &'a Files,
    /// Site, with the exits that are in use.
    pub site: &'a Site,
    /// Portal.
    pub portal: &'a Portal,
}

/// Fixed words of a finding: the name of the check, the reason why it matters, and the way out.
type Words = [&'static str; 3];

impl Subject<'_> {
    /// Returns the portal's own IPv4 address, if packets from there go the way of its devices.
    fn source(&self) -> Option<IpAddr> {
        self.portal.resolver().find(IpAddr::is_ipv4)
    }
}

/// Runs all tests. With `cut`, the link to the exit is cut for a moment: the agent puts it back.
pub fn run(subject: &Subject, kernel: &mut Linux, cut: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(obstacle) = &subject.portal.obstacle {
        add(&mut findings, Verdict::Wrong, &["portal", "The portal is closed.", ""], obstacle.to_string());
        return findings;
    }
    way::test(subject, kernel, &mut findings);
    match &subject.portal.exit {
        Exit::Nowhere => {
            const WORDS: &Words = &["exit", "", "`portals status` tells the state of each link."];
            add(&mut findings, Verdict::Wrong, WORDS, "No exit of the portal's list is up.".to_owned());
        }
        Exit::Direct => {
            let seen = "The portal leaves by this site's own uplink.".to_owned();
            add(&mut findings, Verdict::Ok, &["exit", "", ""], seen);
        }
        exit @ Exit::Tunnel { .. } => {
            let is_reached = far_end(subject.site, exit)
                .is_none_or(|path| echoes::test(subject, &path, kernel, &mut findings));
            if is_reached {
                address::test(subject, &mut findings);
                names::test(subject, &mut findings);
            }
        }
    }
    way::test_ipv6(subject, kernel, &mut findings);
    if cut {
        way::test_cut(subject, kernel, &mut findings);
    }
    findings
}

/// Adds a finding.
#[inline(never)]
fn add(findings: &mut Vec<Finding>, verdict: Verdict, words: &Words, seen: String) {
    let [check, why, way_out] = *words;
    findings.push(Finding { check, verdict, seen, why, way_out: way_out.to_owned() });
}

/// Adds the finding that a check could not look, and the reason.
fn not_checked(findings: &mut Vec<Finding>, check: &'static str, reason: &str) {
    add(findings, Verdict::NotChecked, &[check, "", ""], reason.to_owned());
}
