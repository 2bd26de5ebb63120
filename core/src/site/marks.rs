//! Marks of portals and of probes.

use std::net::IpAddr;

use super::{Chain, Portal, SiteTunnel};
use crate::base::error::Error;
use crate::base::net::{Family, IfName, Mark, Table};
use crate::base::sorted::SortedMap;
use crate::config::model::{self, Name};
use crate::state::{PORTAL_MARK_COUNT, portal_mark};

/// Probe of an exit: the agent pings an address beyond it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitProbe {
    /// Address to ping.
    pub target: IpAddr,
    /// Interface of the tunnel to the exit.
    pub interface: IfName,
    /// Routing table that leads into the tunnel.
    pub table: Table,
    /// Mark of answers that come out of that tunnel.
    pub mark: Mark,
}

/// Returns the marks of those portals that need one, by name; marks are numbered in the order of the file.
/// Portals beyond the last mark share the marks of others: [`are_too_few`] refuses such a file.
pub(super) fn of_portals(written: &[model::PortalConfig]) -> SortedMap<Name, Mark> {
    let marked = written.iter().filter(|portal| portal.goes_by_marks());
    let numbers = (0..PORTAL_MARK_COUNT).cycle();
    marked.zip(numbers).map(|(portal, number)| (portal.name.clone(), portal_mark(number))).collect()
}

/// Returns the probes of `target` through all exits that are one of several and take packets of its family,
/// in the order of their tunnels. Marks of probes are numbered from the last mark downwards. Probes through
/// chains need no marks: their source tells the chain.
pub(super) fn probes(
    portals: &[Portal],
    chains: &[Chain],
    tunnels: &SortedMap<IfName, SiteTunnel>,
    target: Option<IpAddr>,
) -> Vec<ExitProbe> {
    let Some(target) = target else { return Vec::new() };
    let takes =
        |interface: &IfName| tunnels.get(interface).is_some_and(|tunnel| tunnel.takes(Family::of(target)));
    let mut exits = SortedMap::new();
    for portal in portals.iter().filter(|portal| portal.can_fail_over()) {
        for exit in &portal.exits {
            let (Some(interface), Some(table)) = (exit.interface(), exit.table()) else { continue };
            if takes(interface) && chains.iter().all(|chain| chain.table != table) {
                exits.insert(interface.clone(), table);
            }
        }
    }
    let numbered = exits.into_iter().zip((0..PORTAL_MARK_COUNT).rev());
    let probe =
        |((interface, table), number)| ExitProbe { target, interface, table, mark: portal_mark(number) };
    numbered.map(probe).collect()
}

/// Returns an error if there are not enough marks for all portals and probes.
pub(super) fn are_too_few(written: &[model::PortalConfig], probes: &[ExitProbe]) -> Option<Error> {
    let portals = written.iter().filter(|portal| portal.goes_by_marks()).count();
    let all = portals + probes.len();
    (all > usize::from(PORTAL_MARK_COUNT)).then(|| {
        Error::wrong(format!(
            "{portals} portals have `mac` or `ports`, and {} exits are probed (`probe`), but there are only \
             {PORTAL_MARK_COUNT} marks: put devices that leave at the same exit into one portal",
            probes.len()
        ))
    })
}
