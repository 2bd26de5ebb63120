//! Exits that portals use now, read from the observed state of the machine. Therefore a new agent continues
//! where the last one ended, and `status` works without an agent.

use super::{plan, relayed_links, routing};
use crate::base::net::{Family, IfName};
use crate::base::sorted::SortedMap;
use crate::config::model::Mtu;
use crate::site::{Exit, ExitChoices, Portal, Site};
use crate::state::{Rule, RuleAction, State};

/// Bytes of the packets that every IPv4 path carries (RFC 791). No link is considered narrower.
pub const LEAST: u32 = 576;

/// Sets the exits of a site's portals and its relayed links to those in use, as far as the observed state
/// reveals them. Returns the exits of portals that have several.
pub fn take_up_exits(site: &mut Site, have: &State) -> ExitChoices {
    let mut choices = ExitChoices::new();
    for portal in site.portals.iter().filter(|portal| portal.can_fail_over()) {
        let by_rules = portal.all_choices().find(|exit| rules_stand(site, portal, exit, have));
        if let Some(exit) = by_rules.or_else(|| portal.exits.iter().find(|exit| **exit == Exit::Direct)) {
            choices.push((portal.name.clone(), exit.clone()));
        }
    }
    // A portal that leaves directly has no rules; but rules that another program has flushed are absent as
    // well. So the firewall must also be the one of a portal that leaves directly.
    site.choose(&choices);
    site.nat.relayed = relayed_links(site, have);
    let want = plan(site);
    if !have.filters_like(&want) {
        choices.retain(|(_, exit)| *exit != Exit::Direct);
        site.choose(&choices);
    }
    choices
}

/// Returns the observed MTUs in bytes of tunnels whose MTU is measured and below the largest one.
pub fn widths(site: &Site, have: &State) -> SortedMap<IfName, u32> {
    let mut widths = SortedMap::new();
    for (interface, _) in site.tunnels.iter().filter(|(_, tunnel)| tunnel.provider.is_none()) {
        if let Some(link) = have.links.get(interface)
            && site.mtu == Mtu::Measured
            && (LEAST..site.mtu.most()).contains(&link.mtu)
        {
            widths.insert(interface.clone(), link.mtu);
        }
    }
    widths
}

/// Reports whether the policy rules that a portal has with this exit are there; `false` if it has none.
fn rules_stand(site: &Site, portal: &Portal, exit: &Exit, have: &State) -> bool {
    let counts = |rule: &&Rule| match exit {
        Exit::Tunnel { .. } => matches!(rule.action, RuleAction::Lookup(_)),
        Exit::Nowhere => rule.closes() && rule.family == Family::V4,
        Exit::Direct => false,
    };
    let mut rules = Vec::new();
    routing::portal_rules(&mut rules, site, portal, exit);
    let mut counted = rules.iter().filter(counts).peekable();
    counted.peek().is_some() && counted.all(|rule| have.rules.contains(rule))
}
