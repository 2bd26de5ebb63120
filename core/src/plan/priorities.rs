//! Priorities of our policy rules, and builders of the rules that lead into the table of an exit.

use crate::base::net::{Cidr, Family, IfName, Priority, Table};
use crate::site::{Site, families};
use crate::state::{CLOSED_TABLE, Rule, RuleAction, Selector};

/// Priority at which the tunnels' own packets skip all our other rules.
pub(super) const MARKED: Priority = Priority(110);
/// Priority of packets from the addresses of chains: before all exemptions, which would lead some of them
/// past the chain.
pub(super) const CHAINS: Priority = Priority(110);
/// Priority at which destinations that a portal exempts skip all our other rules.
pub(super) const ALLOWED: Priority = Priority(111);
/// Priority of single devices: before the whole interface that they are behind.
pub(super) const DEVICES: Priority = Priority(112);
/// Priority of whole interfaces, and of this router's own traffic.
pub(super) const ENTRANCES: Priority = Priority(113);
/// Priority at which traffic of a portal is refused if the exit's table had no route for it.
const CLOSED: Priority = Priority(118);
/// Priority at which packets go on that skip our other rules. Its rule looks into a table that stays empty,
/// so that the lookup goes on with the host's own rules; a jump to `main` would end there, and UniFi has no
/// default route in `main`.
pub(super) const END: Priority = Priority(119);

/// Returns the loopback interface: in policy rules, the ingress interface of packets that this router sends
/// itself.
pub(super) fn loopback() -> IfName {
    "lo".parse().expect("a valid name")
}

/// Adds the rules that lead traffic into an exit's table, if there is an exit, and that refuse what the
/// table has no route for. A family that the tunnels do not carry is refused.
pub(super) fn into(
    rules: &mut Vec<Rule>,
    site: &Site,
    to: &[Cidr],
    entering: &Selector,
    priority: Priority,
    table: Option<Table>,
) {
    for family in families(site).filter(|family| entering.from.is_none_or(|from| from.family() == *family)) {
        let of_family = to.iter().filter(|network| network.family() == family);
        let mut destinations: Vec<Option<Cidr>> = of_family.copied().map(Some).collect();
        if to.is_empty() {
            destinations.push(None);
        }
        let table = table.filter(|_| site.carried().any(|carried| carried == family));
        for to in destinations {
            let selector = Selector { to, ..entering.clone() };
            if let Some(table) = table {
                let action = RuleAction::Lookup(table);
                rules.push(Rule { priority, family, selector: selector.clone(), action });
            }
            rules.push(closed(family, selector));
        }
    }
}

/// Returns the rule that exempts a destination: traffic to it goes on with the host's own rules.
pub(super) fn skip(entering: &Selector, network: Cidr) -> Rule {
    Rule {
        priority: ALLOWED,
        family: network.family(),
        selector: Selector { to: Some(network), ..entering.clone() },
        action: RuleAction::Goto(END),
    }
}

/// Returns the rule that refuses the selected traffic.
fn closed(family: Family, selector: Selector) -> Rule {
    // The kernel also looks up the gateway of a new route by these rules, as traffic from the loopback
    // interface. A table can leave that lookup to the host's own rules; a refusal cannot.
    let Selector { incoming, from, mark, .. } = &selector;
    let matches_gateways =
        family == Family::V4 && from.is_none() && mark.is_none() && *incoming == Some(loopback());
    let action = if matches_gateways { RuleAction::Lookup(CLOSED_TABLE) } else { RuleAction::Unreachable };
    Rule { priority: CLOSED, family, selector, action }
}
