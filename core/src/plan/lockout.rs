//! Warnings about steps that close this router to the people who may be managing it.

use crate::base::net::IfName;
use crate::firewall::xtables::{CHAIN_PREFIX, IptablesRule, IptablesRuleset, IptablesTarget};
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
                 except DHCP, DNS, ping and the portal's page (`page = true`): write `router = true` if you \
                 manage it from there",
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

/// Reports whether these rules refuse all remaining traffic from an interface to this host. A chain that only
/// some packets enter, by a jump with conditions, refuses those alone.
fn refuses(rules: &IptablesRuleset, interface: &IfName) -> bool {
    let all = [Incoming(Interfaces::One(interface.clone()))];
    let input = format!("{CHAIN_PREFIX}INPUT");
    let mut chains = Vec::new();
    for content in rules.values() {
        chains.extend(content.chains.iter().filter(|(name, _)| name.starts_with(&input)));
    }
    let is_for_some = |name: &str| {
        let leads_there = |line: &IptablesRule| match &line.target {
            IptablesTarget::Jump(chain) => chain == name && !line.conditions.is_empty(),
            _ => false,
        };
        chains.iter().any(|(_, lines)| lines.iter().any(leads_there))
    };
    let is_refusal =
        |line: &IptablesRule| line.conditions == all && line.target == IptablesTarget::Do(Reject);
    chains.iter().any(|(name, lines)| !is_for_some(name) && lines.iter().any(is_refusal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::net::Family;
    use crate::base::sorted::SortedMap;
    use crate::firewall::xtables::compile;
    use crate::firewall::{Chain, Condition, Condition::UdpPort, FirewallRule};

    /// Returns the rules for packets to this host, of which each refuses packets from five interfaces.
    fn ruleset(conditions: &[&[Condition]]) -> IptablesRuleset {
        let name = || SetName("some".to_owned());
        let mut rules = Vec::new();
        for more in conditions {
            let conditions = [more, &[Incoming(Interfaces::In(name()))][..]].concat();
            rules.push(FirewallRule { conditions, action: Reject });
        }
        let some = (0..5).map(|number| format!("eth{number}").parse().unwrap()).collect();
        let firewall = Firewall {
            sets: [(name(), Set::Interfaces(some))].into(),
            chains: [(Chain::Input, rules)].into(),
            flows: None,
        };
        compile(Some(&firewall), &SortedMap::new(), &[Family::V4])
    }

    #[test]
    fn only_a_refusal_of_all_packets_closes_the_router() {
        let interface = "eth1".parse().unwrap();
        assert!(!refuses(&ruleset(&[&[UdpPort(53, 53)]]), &interface));
        assert!(refuses(&ruleset(&[&[UdpPort(53, 53)], &[]]), &interface));
    }
}
