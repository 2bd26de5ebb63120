//! Makes the machine match a site: its whole state, and the connections of portals that have moved.

mod moved;
mod untranslated;

use crate::base::error::Result;
use crate::base::net::IfName;
use crate::engine::apply::{OnFailure, apply_prepared, prepare};
use crate::engine::firewall_choice;
use crate::engine::journal::Journal;
use crate::engine::neighbours;
use crate::kernel::Kernel;
use crate::kernel::conntrack::ConnectionFilter;
use crate::kernel::link::Links;
use crate::plan::plan;
use crate::site::Site;
use crate::state::step::Step;
use crate::state::{LinkKind, WireGuardBackend};
use crate::system::logging as log;
pub use moved::Moved;

/// Applies the plan of a site, all of it or nothing, and forgets the connections of portals that leave
/// elsewhere now: portals in `moved`, which the caller knows of, and portals that the observed state shows.
/// Returns the steps that were taken. `links` is a snapshot of the interfaces, if the caller has just taken
/// one. The caller holds the journal's lock.
pub fn converge(
    kernel: &mut dyn Kernel,
    journal: &Journal,
    site: &Site,
    links: Option<&Links>,
    moved: Moved,
    on_failure: OnFailure,
) -> Result<Vec<Step>> {
    let want = plan(site);
    let prepared = prepare(kernel, journal, &want, links)?;
    let moved = moved.with_changes(site, &prepared.have, &want);
    let lacking = untranslated::connections(site, &prepared.have, &want);
    let steps = apply_prepared(kernel, journal, &want, prepared, on_failure).inspect_err(|_| {
        // The next attempt may find the firewall in place, and would not learn that it was missing.
        if let Some(connections) = untranslated::add(None, lacking.clone()) {
            forget(kernel, &connections);
        }
    })?;
    // The state is right by now, so a failure below is no failure of the whole.
    let guards = want.firewall.is_some() || !want.iptables.is_empty();
    if let Err(error) = firewall_choice::remember(journal.folder(), guards.then_some(site.guard.firewall)) {
        log::warn!("the firewall may be chosen anew when other programs change theirs: {error}");
    }
    if let Err(error) = neighbours::remember(journal.folder(), &site.host.neighbours) {
        log::warn!(
            "devices that are silent when the agent next starts will not be known by their addresses: {error}"
        );
    }
    if let Some(connections) = untranslated::add(moved.connections(site), lacking) {
        forget(kernel, &connections);
    }
    wake_up(kernel, site, &steps);
    Ok(steps)
}

fn forget(kernel: &mut dyn Kernel, connections: &ConnectionFilter) {
    match kernel.forget_connections(connections) {
        Ok(number) => log::debug!("{number} connections begin anew"),
        // They die sooner or later, and all other connections work.
        Err(error) => log::warn!("{error}; devices may have to connect again by themselves"),
    }
}

/// Begins handshakes with the peers of new tunnels of the built-in WireGuard. The kernel's WireGuard does so
/// by itself if a peer has a keepalive. The built-in one waits until the keepalive is due, and until then
/// drops the packets that the other end sends in the former session.
fn wake_up(kernel: &mut dyn Kernel, site: &Site, steps: &[Step]) {
    let is_new = |name: &IfName| {
        let built_in = LinkKind::WireGuard(WireGuardBackend::BuiltIn);
        steps
            .iter()
            .any(|step| matches!(step, Step::AddLink(new) if new.name == *name && new.link.kind == built_in))
    };
    for (interface, _, peer) in site.peers().filter(|(interface, ..)| is_new(interface)) {
        kernel.knock(interface, site.address_in(&site.tunnels[interface], peer.address), peer.address);
    }
}
