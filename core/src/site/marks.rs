//! Which portals and which questions to exits have which mark.

use std::net::Ipv4Addr;

use super::Portal;
use crate::base::error::Error;
use crate::base::net::{IfName, Mark, Table};
use crate::base::sorted::SortedMap;
use crate::config::model;
use crate::state::{PORTAL_MARK_COUNT, portal_mark};

/// A question through an exit to an address beyond it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The address.
    pub target: Ipv4Addr,
    /// The tunnel to the exit.
    pub interface: IfName,
    /// The table that leads there.
    pub table: Table,
    /// The mark of answers that come out of that tunnel.
    pub mark: Mark,
}

/// The marks of those portals of `written` that go by one, in their order.
pub(super) fn assign(portals: &mut [Portal], written: &[model::Portal]) {
    let marked = written.iter().filter(|portal| portal.goes_by_marks());
    for (portal, number) in marked.zip(0..PORTAL_MARK_COUNT) {
        let named = portals.iter_mut().find(|named| named.name == portal.name);
        if let Some(named) = named {
            named.mark = Some(portal_mark(number));
        }
    }
}

/// The questions to `target` through all exits that are one of several, in order of their tunnels. Their marks are counted from the last.
pub(super) fn probes(portals: &[Portal], target: Option<Ipv4Addr>) -> Vec<Probe> {
    let Some(target) = target else { return Vec::new() };
    let lists = portals.iter().filter(|portal| portal.can_fail_over()).flat_map(|portal| &portal.exits);
    let exits: SortedMap<IfName, Table> =
        lists.filter_map(|exit| Some((exit.interface()?.clone(), exit.table()?))).collect();
    let numbered = exits.into_iter().zip((0..PORTAL_MARK_COUNT).rev());
    let probe = |((interface, table), number)| Probe { target, interface, table, mark: portal_mark(number) };
    numbered.map(probe).collect()
}

/// That there are not enough marks for all.
pub(super) fn are_too_few(written: &[model::Portal], probes: &[Probe]) -> Option<Error> {
    let portals = written.iter().filter(|portal| portal.goes_by_marks()).count();
    let all = portals + probes.len();
    (all > usize::from(PORTAL_MARK_COUNT)).then(|| {
        Error::wrong(format!(
            "{portals} portals have `mac` or `ports` and {} exits are asked by `probe`, but there are marks for {PORTAL_MARK_COUNT}: put \
             devices that leave at the same exit into one portal",
            probes.len()
        ))
    })
}
