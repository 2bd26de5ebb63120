//! Tests of a portal: what a device behind it gets. They send packets, from the portal's own address where it
//! has a resolver: policy rules lead such packets the way of the devices.

mod address;
mod echoes;
mod names;
mod speed;
mod way;
mod words;

use std::net::IpAddr;

use super::finding::{Findings, Words};
use crate::agent::far_end;
use crate::kernel::linux::Linux;
use crate::site::{Exit, Portal, Site};

/// Portal under test.
pub struct Subject<'a> {
    /// Site, with the exits that are in use.
    pub site: &'a Site,
    /// Portal.
    pub portal: &'a Portal,
}

/// Name of the check of the exit.
const EXIT: &str = "exit";

impl Subject<'_> {
    /// Returns the portal's own IPv4 address, if packets from there go the way of its devices.
    fn source(&self) -> Option<IpAddr> {
        self.portal.resolver().find(IpAddr::is_ipv4)
    }
}

/// Runs all tests. With `cut`, the link to the exit is cut for a moment: the agent puts it back.
pub fn run(subject: &Subject, kernel: &mut Linux, cut: bool, findings: &mut Findings) {
    if let Some(obstacle) = &subject.portal.obstacle {
        let words = Words { check: "portal", seen: "{0}", why: "The portal is closed.", way_out: "" };
        return findings.wrong(&words, &[obstacle]);
    }
    way::test(subject, kernel, findings);
    match &subject.portal.exit {
        Exit::Nowhere => {
            let seen = "No exit of the portal's list is up.";
            let way_out = "`portals status` tells the state of each link.";
            findings.wrong(&Words { check: EXIT, seen, why: "", way_out }, &[]);
        }
        Exit::Direct => findings.ok(EXIT, "The portal leaves by this site's own uplink.", &[]),
        exit @ Exit::Tunnel { .. } => {
            let is_reached =
                far_end(subject.site, exit).is_none_or(|path| echoes::test(subject, &path, kernel, findings));
            if is_reached {
                address::test(subject, findings);
                names::test(subject, findings);
            }
        }
    }
    way::test_ipv6(subject, kernel, findings);
    if cut {
        way::test_cut(subject, kernel, findings);
    }
}
