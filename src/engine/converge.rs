//! Makes the machine match a site: all of its state, and the connections that began on other ways.

use std::net::IpAddr;

use crate::base::error::Result;
use crate::base::net::{Cidr, Family, IfName};
use crate::engine::apply::{OnFailure, apply};
use crate::engine::firewall_choice;
use crate::engine::journal::Journal;
use crate::engine::neighbours;
use crate::kernel::conntrack::{self, Told};
use crate::kernel::echo::Echo;
use crate::kernel::link::Links;
use crate::kernel::linux::Linux;
use crate::plan::plan;
use crate::site::{Portal, Site};
use crate::state::step::{FirewallStep, RoutingStep, Step};
use crate::state::{Backend, LinkKind, Rule, RuleAction};

/// Applies the plan of a site, all of it or nothing, and forgets the connections of portals that leave elsewhere now. Returns the
/// steps that it took. `links` is a snapshot of the interfaces, if the caller has just taken one. The caller holds the journal's lock.
pub fn converge(
    kernel: &mut Linux,
    journal: &Journal,
    site: &Site,
    links: Option<&Links>,
    on_failure: OnFailure,
) -> Result<Vec<Step>> {
    let want = plan(site);
    let steps = apply(kernel, journal, &want, links, on_failure)?;
    // What stands is right: no reason to fail.
    let guards = want.firewall.is_some() || !want.iptables.is_empty();
    if let Err(error) = firewall_choice::remember(journal.folder(), guards.then_some(site.guard.firewall)) {
        log::warn!("the firewall may be chosen anew when others change theirs: {error}");
    }
    if let Err(error) = neighbours::remember(journal.folder(), &site.host.neighbours) {
        log::warn!(
            "devices that are silent when the agent begins anew will not be known by their addresses: {error}"
        );
    }
    let moved = moved(site, &steps);
    if !moved.by_source.is_empty() || !moved.by_mark.is_empty() {
        match conntrack::forget(&moved) {
            Ok(number) => log::debug!("{number} connections begin anew"),
            // They die, sooner or later; the others are well.
            Err(error) => log::warn!("{error}; devices may have to connect again by themselves"),
        }
    }
    wake_up(site, &steps);
    Ok(steps)
}

/// The kernel's WireGuard begins a handshake with every peer of a new tunnel that has a keepalive; the built-in one waits until
/// that is due, and until then drops what the other end goes on to send in the session that was.
fn wake_up(site: &Site, steps: &[Step]) {
    let is_new = |name: &IfName| {
        let built_in = LinkKind::WireGuard(Backend::BuiltIn);
        steps
            .iter()
            .any(|step| matches!(step, Step::AddLink(new) if new.name == *name && new.link.kind == built_in))
    };
    for (interface, _, peer) in site.peers().filter(|(interface, ..)| is_new(interface)) {
        Echo::knock(interface, site.address_in(&site.tunnels[interface], peer.address), peer.address);
    }
}

/// Who leaves another way than before. Rules that come back as they were do not count: with another exit, the firewall
/// changes, too.
fn moved(site: &Site, steps: &[Step]) -> Told {
    let is_guard = |step: &Step| {
        matches!(
            step,
            Step::Firewall(FirewallStep::ChangeFirewall { .. } | FirewallStep::ChangeIptables { .. })
        )
    };
    if !steps.iter().any(is_guard) {
        return Told::default();
    }
    let is_way = |rule: &&Rule| {
        rule.family == Family::V4 && !rule.closes() && matches!(rule.action, RuleAction::Lookup(_))
    };
    // Nobody moves by those of questions.
    let is_question =
        |rule: &&Rule| site.agent.probes.iter().any(|probe| rule.selector.mark == Some(probe.mark));
    let ways = steps.iter().filter_map(|step| match step {
        Step::Routing(RoutingStep::AddRule(rule) | RoutingStep::RemoveRule(rule)) => {
            Some(rule).filter(is_way)
        }
        _ => None,
    });
    // The connections of a new portal are from before it, and carry no mark.
    let closes =
        |rule: &Rule, mark| rule.selector.mark == Some(mark) && rule.action == RuleAction::Unreachable;
    let is_new = |mark| {
        steps
            .iter()
            .any(|step| matches!(step, Step::Routing(RoutingStep::AddRule(rule)) if closes(rule, mark)))
    };
    let mut told = Told::default();
    for rule in ways.filter(|rule| !is_question(rule)) {
        told.by_mark.extend(rule.selector.mark);
        if rule.selector.mark.is_some_and(|mark| !is_new(mark)) {
            // Others who come in there, or are at that address, stay.
            continue;
        }
        match (&rule.selector.from, &rule.selector.incoming) {
            (Some(source), _) => drop(told.by_source.insert(*source)),
            (None, Some(interface)) => told.by_source.extend(behind(site, interface)),
            // Told by the mark alone, or the rule that ends a detour.
            (None, None) => {}
        }
    }
    told
}

/// The sources of what comes in on an interface; `lo` is this host itself.
fn behind(site: &Site, interface: &IfName) -> Vec<Cidr> {
    if interface.as_str() == "lo" {
        let uplink = site.host.uplink.iter().flat_map(|uplink| &uplink.addresses).map(|own| own.address);
        return uplink.chain([site.address]).filter(IpAddr::is_ipv4).map(Cidr::host).collect();
    }
    let is_here = |portal: &&Portal| portal.entrance_interface() == Some(interface);
    let here = site.portals.iter().filter(is_here);
    here.filter_map(|portal| Some(portal.address?.network())).collect()
}
