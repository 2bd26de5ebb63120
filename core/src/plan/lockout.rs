//! Warnings about steps that close this router to the people who may be managing it.

use crate::base::net::IfName;
use crate::firewall::xtables::{CHAIN_PREFIX, IptablesRuleset, IptablesTarget};
use crate::firewall::{Action::Reject, Condition::Incoming, Firewall, Interfaces, Set, SetName};
use crate::plan::router_access::{VISITORS, visitors};
use crate::site::{Entrance, Site};
use crate::state::step::{FirewallStep, RoutingStep, Step};

/// Returns warnings for people who may be managing this router from a portal whose access to the router these
/// steps close.
pub fn lockout_warnings(site: &Site, steps: &[Step]) -> Vec<String> {
    let mut warnings = Vec::new();
    for portal in visitors(site) {
        let Some(interface) = portal.entrance_interface() else { continue };
        let is_new = matches!(portal.entrance, Entrance::Vlan(_) | Entrance::Wifi { .. })
            && steps.iter().any(
                |step| matches!(step, Step::Routing(RoutingStep::AddAddress(name, _)) if name == interface),
            );
        if !is_new && steps.iter().any(|step| is_closed_by(step, interface)) {
            warnings.push(format!(
                "portal `{}`: devices there will no longer reach this router's own services (ssh, web), \
                 except DHCP, DNS and ping: write `router = true` if you manage it from there",
                portal.name
            ));
        }
    }
    warnings
}

fn is_closed_by(step: &Step, interface: &IfName) -> bool {
    match step {
        Step::Firewall(FirewallStep::ChangeFirewall { from, to }) => {
            let closed = |firewall: &Option<Firewall>| {
                let set = firewall.as_ref().and_then(|found| found.sets.get(&SetName(VISITORS.to_owned())));
                matches!(set, Some(Set::Interfaces(names)) if names.contains(interface))
            };
            closed(to) && !closed(from)
        }
        Step::Firewall(FirewallStep::ChangeIptables { from, to, .. }) => {
            refuses(to, interface) && !refuses(from, interface)
        }
        _ => false,
    }
}

/// Reports whether these rules refuse all remaining traffic from an interface to this host.
fn refuses(rules: &IptablesRuleset, interface: &IfName) -> bool {
    let all = [Incoming(Interfaces::One(interface.clone()))];
    let input = format!("{CHAIN_PREFIX}INPUT");
    let chains = rules.values().flat_map(|content| content.chains.iter());
    let mut lines = chains.filter(|(name, _)| name.starts_with(&input)).flat_map(|(_, lines)| lines);
    lines.any(|line| line.conditions == all && line.target == IptablesTarget::Do(Reject))
}
