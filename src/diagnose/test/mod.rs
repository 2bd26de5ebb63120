//! Tests of a portal: what a device behind it gets. They send packets, from the portal's own address where it
//! has a resolver: policy rules lead such packets the way of the devices.

mod address;
mod echoes;
mod names;
mod way;

use std::net::IpAddr;

use super::finding::Finding;
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

impl Subject<'_> {
    /// Returns the portal's own IPv4 address, if packets from there go the way of its devices.
    fn source(&self) -> Option<IpAddr> {
        self.portal.resolver().find(IpAddr::is_ipv4)
    }
}

/// Runs all tests. With `cut`, the link to the exit is cut for a moment: the agent puts it back.
pub fn run(subject: &Subject, kernel: &mut Linux, cut: bool) -> Vec<Finding> {
    if let Some(obstacle) = &subject.portal.obstacle {
        return vec![Finding::wrong("portal", format!("The portal is closed: {obstacle}."), "", "")];
    }
    let mut findings = vec![way::test(subject, kernel)];
    match &subject.portal.exit {
        Exit::Nowhere => {
            let seen = "No exit of the portal's list is up.";
            findings.push(Finding::wrong("exit", seen, "", "`portals status` tells the state of each link."));
        }
        Exit::Direct => findings.push(Finding::ok("exit", "The portal leaves by this site's own uplink.")),
        Exit::Tunnel { .. } => through_tunnel(subject, kernel, &mut findings),
    }
    findings.push(way::test_ipv6(subject, kernel));
    if cut {
        findings.push(way::test_cut(subject, kernel));
    }
    findings
}

fn through_tunnel(subject: &Subject, kernel: &mut Linux, findings: &mut Vec<Finding>) {
    if let Some(path) = far_end(subject.site, &subject.portal.exit) {
        let is_reached = echoes::test_delay(subject, &path, kernel, findings);
        if !is_reached {
            return;
        }
        echoes::test_width(subject, &path, kernel, findings);
    }
    findings.push(address::test(subject));
    findings.push(names::test(subject));
}
