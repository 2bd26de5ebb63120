//! Which exits portals use, as the machine itself tells: an agent that begins goes on where the last one ended, and `status`
//! needs no agent to ask.

use super::{firewall, routing};
use crate::net::Family;
use crate::site::{Choices, Exit, Portal, Site};
use crate::state::{Rule, RuleAction, State};

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
            let let_out = |firewall| firewall::lets_out(site, &leaving(exit), firewall);
            !is_closed(site, &leaving(&Exit::Nowhere), have) && have.firewall.as_ref().is_some_and(let_out)
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
