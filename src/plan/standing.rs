//! Which exits portals use, as the machine itself tells: an agent that begins goes on where the last one ended, and `status`
//! needs no agent to ask.

use std::collections::BTreeMap;

use super::firewall::{self, PATHS};
use super::routing;
use crate::firewall::{Action, Backend, Chain, Condition, Firewall, Rule as FirewallRule, Set, SetName};
use crate::net::Family;
use crate::site::{Choices, Entrance, Exit, Portal, Site};
use crate::state::{Rule, RuleAction, State};
use crate::xtables::{Line, Ruleset, Table, compile};

/// The exits of those portals that have several, as far as they can be told from what stands.
pub fn standing(site: &Site, have: &State) -> Choices {
    let several = site.portals.iter().filter(|portal| portal.can_fail_over());
    several
        .filter_map(|portal| {
            let exit = portal.all_choices().find(|exit| stands(site, portal, exit, have))?;
            Some((portal.name.clone(), exit.clone()))
        })
        .collect()
}

fn stands(site: &Site, portal: &Portal, exit: &Exit, have: &State) -> bool {
    let leaving = |exit: &Exit| Portal { exit: exit.clone(), ..portal.clone() };
    match exit {
        Exit::Site { .. } => {
            let lookup = |rule: &Rule| matches!(rule.action, RuleAction::Lookup(_));
            all_stand(&routing::portal_rules(site, &leaving(exit)), lookup, have)
        }
        Exit::Nowhere => is_closed(site, &leaving(exit), have),
        // Rules tell a portal that leaves directly only by being absent, and so are those that another program has flushed.
        Exit::Direct => {
            !is_closed(site, &leaving(&Exit::Nowhere), have) && is_let_out(site, &leaving(exit), have)
        }
    }
}

/// Whether what is left of the portal is refused.
fn is_closed(site: &Site, portal: &Portal, have: &State) -> bool {
    let closing = |rule: &Rule| rule.action == RuleAction::Unreachable && rule.family == Family::V4;
    all_stand(&routing::portal_rules(site, portal), closing, have)
}

/// Whether those rules that count are there; false if none counts.
fn all_stand(rules: &[Rule], counts: impl Fn(&Rule) -> bool, have: &State) -> bool {
    let mut counted = rules.iter().filter(|rule| counts(rule)).peekable();
    counted.peek().is_some() && counted.all(|rule| have.rules.contains(rule))
}

/// Whether the firewall that stands lets a portal leave by the uplink; `portal` is one that does.
fn is_let_out(site: &Site, portal: &Portal, have: &State) -> bool {
    match site.firewall {
        Backend::Nftables => have.firewall.as_ref().is_some_and(|have| nftables_lets_out(site, portal, have)),
        Backend::Iptables(program) => {
            have.iptables.get(&program).is_some_and(|have| iptables_let_out(site, portal, have))
        }
    }
}

fn nftables_lets_out(site: &Site, portal: &Portal, have: &Firewall) -> bool {
    let has_all = |chain, rules: &[FirewallRule]| {
        rules.iter().all(|rule| have.chains.get(&chain).is_some_and(|there| there.contains(rule)))
    };
    match (firewall::path(site, portal), &portal.entrance) {
        (Some(path), _) => {
            matches!(have.sets.get(&SetName(PATHS.to_owned())), Some(Set::Paths(there)) if there.contains(&path))
        }
        (None, Entrance::Own) => {
            let refuses = |rule: &FirewallRule| rule.conditions.contains(&Condition::Opening);
            !have.chains.get(&Chain::Output).into_iter().flatten().any(refuses)
        }
        (None, _) => {
            site.uplink.is_some() && has_all(Chain::Forward, &firewall::portal_forward(site, portal))
        }
    }
}

fn iptables_let_out(site: &Site, portal: &Portal, have: &Ruleset) -> bool {
    let lines = |have: &Ruleset| -> Vec<Line> {
        let filter = have.get(&(Family::V4, Table::Filter)).cloned().unwrap_or_default();
        filter.chains.into_values().flatten().collect()
    };
    let there = lines(have);
    let path = firewall::path(site, portal);
    if path.is_none() && portal.entrance == Entrance::Own {
        return !there.iter().any(|line| line.conditions.contains(&Condition::Opening));
    }
    let mut sets = firewall::sets(site);
    let rules = match path {
        Some(path) => {
            let paths = SetName(PATHS.to_owned());
            sets.insert(paths.clone(), Set::Paths([path].into()));
            vec![FirewallRule { conditions: vec![Condition::Path(paths)], action: Action::Accept }]
        }
        None => firewall::portal_forward(site, portal),
    };
    let needed = Firewall { sets, chains: [(Chain::Forward, rules)].into() };
    let needed = lines(&compile(Some(&needed), &BTreeMap::new(), &[Family::V4]));
    site.uplink.is_some() && needed.iter().all(|line| there.contains(line))
}
