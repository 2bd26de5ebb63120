//! Compiler of typed rules for iptables, which has neither sets nor rules for both families.

use super::spelling::{Spelling, is_asked_twice};
use super::{
    CHAIN_PREFIX, IptablesRule, IptablesRuleset, IptablesTable, IptablesTarget, TableContent, built_in,
};
use crate::base::net::Family;
use crate::base::sorted::SortedMap;
use crate::firewall::{Action, Chain, Condition, Firewall, FirewallRule, Pinholes};

/// Returns the chains that do the same as `firewall`, for these families. `pinholes` are the rules that
/// portals needs where the host's own rules would refuse unknown packets.
pub fn compile(
    firewall: Option<&Firewall>,
    pinholes: &SortedMap<Family, Pinholes>,
    families: &[Family],
) -> IptablesRuleset {
    let mut ruleset = IptablesRuleset::new();
    for family in families {
        let none = Pinholes::new();
        let pinholes = pinholes.get(family).unwrap_or(&none);
        for chain in Chain::ALL {
            let rules = rules_at(firewall, chain);
            let spelling = Spelling { sets: firewall.map(|firewall| &firewall.sets), family: *family };
            let pinholes_here = pinholes.get(&chain).map_or(&[][..], Vec::as_slice);
            let chains = spelling.chains(chain, &rules, pinholes_here);
            if !chains.is_empty() {
                let content: &mut TableContent = ruleset.get_or_default((*family, IptablesTable::of(chain)));
                content.chains.extend(chains);
                content.jumps.insert(built_in(chain), vec![1]);
            }
        }
    }
    ruleset
}

/// Returns the rules at a chain. The chains of relayed packets have no jump of their own: their rules come
/// first in the chains at the same hooks.
fn rules_at(firewall: Option<&Firewall>, chain: Chain) -> Vec<FirewallRule> {
    let chains: &[Chain] = match chain {
        Chain::RelayedTo | Chain::RelayedFrom => &[],
        Chain::Prerouting => &[Chain::RelayedTo, Chain::Prerouting],
        Chain::Postrouting => &[Chain::RelayedFrom, Chain::Postrouting],
        _ => &[chain],
    };
    let mut rules = Vec::new();
    for chain in chains {
        rules.extend(firewall.and_then(|firewall| firewall.chains.get(chain)).into_iter().flatten().cloned());
    }
    rules
}

/// Largest number of lines that stay in the chain of their rule.
const FEW: usize = 4;

/// Conditions of a rule that take a chain apart from its line.
enum Apart {
    Nothing,
    /// None of these holds: iptables can express "none of these" only with a separate chain.
    Except(Vec<Vec<Condition>>),
    /// Conditions with so many alternatives that most packets pass them faster in one line.
    List(Vec<Condition>),
}

type Chains = SortedMap<String, Vec<IptablesRule>>;

impl Spelling<'_> {
    /// Returns the chain that the built-in chain jumps to, and the chains behind it. Packets that our rules
    /// accept return, because the host's own rules decide on them as well, or our pinholes where the host's
    /// rules would refuse them.
    fn chains(&self, chain: Chain, rules: &[FirewallRule], pinholes: &[FirewallRule]) -> Chains {
        let entry = format!("{CHAIN_PREFIX}{}", built_in(chain));
        let mut chains = Chains::new();
        let mut open = Vec::new();
        for rule in self.rules(pinholes) {
            self.add_lines(&mut open, &rule.conditions, &IptablesTarget::Do(rule.action));
        }
        let guard = if open.is_empty() { entry.clone() } else { format!("{entry}_GUARD") };
        let rules: Vec<&FirewallRule> = self.rules(rules).collect();
        let lines = self.guard(&guard, &rules, &mut chains);
        if lines.is_empty() {
            // Nothing leads to the chains of rules that no packet can meet.
            chains = Chains::new();
        } else {
            chains.insert(guard.clone(), lines);
        }
        if !open.is_empty() {
            if chains.contains_key(&guard) {
                let target = IptablesTarget::Jump(guard);
                open.insert(0, IptablesRule { conditions: Vec::new(), target });
            }
            chains.insert(entry, open);
        }
        chains
    }

    /// Returns the rules that packets of this family can meet.
    fn rules<'r>(&self, rules: &'r [FirewallRule]) -> impl Iterator<Item = &'r FirewallRule> {
        let family = self.family;
        rules
            .iter()
            .filter(move |rule| rule.conditions.iter().filter_map(Condition::family).all(|of| of == family))
    }

    /// Returns the lines of a chain, and adds the chains that they lead to.
    fn guard(&self, name: &str, rules: &[&FirewallRule], chains: &mut Chains) -> Vec<IptablesRule> {
        let mut lines = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let (here, apart) = self.parts(rule);
            match (apart, rule.action) {
                (Apart::Nothing, action) => self.add_lines(&mut lines, &here, &target_of(action)),
                (apart, Action::Accept) => {
                    // The packets that do not end here go on in a chain with the rest of the rules. They do
                    // not come back.
                    let rest = new_chain(name, chains);
                    let behind = self.guard(name, &rules[index + 1..], chains);
                    if behind.is_empty() {
                        chains.remove(&rest);
                        break;
                    }
                    chains.insert(rest.clone(), behind);
                    self.go_on(name, (&here, apart), IptablesTarget::Goto(rest), chains, &mut lines);
                    return lines;
                }
                (apart, action) => {
                    let aside = new_chain(name, chains);
                    chains.insert(aside.clone(), self.aside(&here, apart, action));
                    self.add_lines(&mut lines, &here, &IptablesTarget::Jump(aside));
                }
            }
        }
        // All packets return at the end of a chain.
        while lines.last().is_some_and(|line| line.target == IptablesTarget::Return) {
            lines.pop();
        }
        lines
    }

    /// Splits the conditions of a rule into those of its line, and those that take a separate chain.
    fn parts(&self, rule: &FirewallRule) -> (Vec<Condition>, Apart) {
        let (mut here, mut exceptions, mut has_exceptions) = (Vec::new(), Vec::new(), false);
        for condition in &rule.conditions {
            if self.excepts_many(condition) || is_asked_twice(condition, &rule.conditions) {
                exceptions.append(&mut self.alternatives(&condition.opposite()));
                has_exceptions = true;
            } else if !matches!(condition, Condition::Family(_)) {
                here.push(condition.clone());
            }
        }
        if has_exceptions {
            return (here, Apart::Except(exceptions));
        }
        let (shared, listed) = self.split(&here);
        if shared.is_empty() { (here, Apart::Nothing) } else { (shared, Apart::List(listed)) }
    }

    /// Adds the lines of a rule that accepts, where all other packets go on elsewhere.
    fn go_on(
        &self,
        name: &str,
        (here, apart): (&[Condition], Apart),
        rest: IptablesTarget,
        chains: &mut Chains,
        lines: &mut Vec<IptablesRule>,
    ) {
        let mut aside = Vec::new();
        match apart {
            Apart::Nothing => {}
            Apart::Except(exceptions) => aside.extend(excepted(exceptions, &rest)),
            Apart::List(listed) => {
                self.add_lines(&mut aside, &listed, &IptablesTarget::Return);
                aside.push(IptablesRule { conditions: Vec::new(), target: rest.clone() });
            }
        }
        if here.is_empty() {
            lines.append(&mut aside);
        } else {
            let apart = new_chain(name, chains);
            chains.insert(apart.clone(), aside);
            self.add_lines(lines, here, &IptablesTarget::Goto(apart));
            lines.push(IptablesRule { conditions: Vec::new(), target: rest });
        }
    }

    /// Returns the lines of the chain for the packets that meet the conditions of a rule's own line. Those
    /// that the action does not end return.
    fn aside(&self, here: &[Condition], apart: Apart, action: Action) -> Vec<IptablesRule> {
        let mut lines = Vec::new();
        let target = IptablesTarget::Do(action);
        match apart {
            Apart::Nothing => {}
            Apart::Except(exceptions) => {
                lines.extend(excepted(exceptions, &IptablesTarget::Return));
                // Only these targets need the conditions on the protocol in their own line.
                let needs_protocol = matches!(action, Action::ClampMss(_) | Action::Redirect(_));
                self.add_lines(&mut lines, if needs_protocol { here } else { &[] }, &target);
            }
            // Some targets need the conditions on the protocol in their own line.
            Apart::List(listed) if !matches!(action, Action::Drop | Action::Reject) => {
                self.add_lines(&mut lines, &[here, &listed].concat(), &target);
            }
            Apart::List(listed) => self.add_lines(&mut lines, &listed, &target),
        }
        lines
    }

    /// Splits the conditions of a rule that would have many lines: those that all of its lines share, and
    /// those with several alternatives. Most packets then meet one line instead of all. Nothing is shared
    /// where the lines are few.
    fn split(&self, conditions: &[Condition]) -> (Vec<Condition>, Vec<Condition>) {
        let (mut shared, mut listed, mut lines) = (Vec::new(), Vec::new(), 1);
        for condition in conditions {
            let count = self.alternatives(condition).len();
            lines *= count;
            if count == 1 { &mut shared } else { &mut listed }.push(condition.clone());
        }
        if lines > FEW { (shared, listed) } else { Default::default() }
    }

    /// Adds one line for each way to pick an element from every set.
    fn add_lines(&self, lines: &mut Vec<IptablesRule>, conditions: &[Condition], target: &IptablesTarget) {
        let mut picked = vec![Vec::new()];
        for condition in conditions {
            let alternatives = self.alternatives(condition);
            let mut longer = Vec::new();
            for one in &picked {
                for other in &alternatives {
                    longer.push([one.as_slice(), other].concat());
                }
            }
            picked = longer;
        }
        for mut conditions in picked {
            super::text::put_in_order(&mut conditions);
            lines.push(IptablesRule { conditions, target: target.clone() });
        }
    }
}

/// Returns the target for an action. Packets that our rules accept return to the host's own rules.
fn target_of(action: Action) -> IptablesTarget {
    if action == Action::Accept { IptablesTarget::Return } else { IptablesTarget::Do(action) }
}

/// Returns lines that send packets away which meet one of several lists of conditions.
fn excepted(exceptions: Vec<Vec<Condition>>, target: &IptablesTarget) -> impl Iterator<Item = IptablesRule> {
    exceptions.into_iter().map(|conditions| IptablesRule { conditions, target: target.clone() })
}

/// Adds an empty chain, and returns its name.
fn new_chain(name: &str, chains: &mut Chains) -> String {
    let aside = format!("{name}_{}", chains.len() + 1);
    chains.insert(aside.clone(), Vec::new());
    aside
}

#[cfg(test)]
mod tests {
    use super::super::text::script;
    use super::*;
    use crate::firewall::{Interfaces, Networks};

    /// Returns the lines for legacy iptables that do the same as a rule at a chain.
    fn lines_of(chain: Chain, rules: Vec<FirewallRule>) -> Vec<String> {
        let firewall = Firewall { chains: [(chain, rules)].into(), ..Firewall::default() };
        let ruleset = compile(Some(&firewall), &SortedMap::new(), &[Family::V4]);
        let script = script(&IptablesRuleset::new(), &ruleset, Family::V4);
        script.lines().map(str::to_owned).collect()
    }

    fn elsewhere(name: &str) -> Condition {
        Condition::NotOutgoing(Interfaces::One(name.parse().unwrap()))
    }

    /// A packet that does not meet the other conditions meets the rest of the rules, too.
    #[test]
    fn a_rule_that_accepts_packets_to_none_of_several_keeps_its_other_conditions() {
        let conditions = vec![Condition::FromResponder, elsewhere("eth0"), elsewhere("eth1")];
        let accept = FirewallRule { conditions, action: Action::Accept };
        let drop = FirewallRule { conditions: Vec::new(), action: Action::Drop };
        let lines = lines_of(Chain::Forward, vec![accept, drop]);
        let lines: Vec<&String> = lines.iter().filter(|line| line.starts_with("-A")).collect();
        let expected = [
            "-A PORTALS_FORWARD -m conntrack --ctdir REPLY -g PORTALS_FORWARD_2",
            "-A PORTALS_FORWARD -g PORTALS_FORWARD_1",
            "-A PORTALS_FORWARD_1 -j DROP",
            "-A PORTALS_FORWARD_2 -o eth0 -g PORTALS_FORWARD_1",
            "-A PORTALS_FORWARD_2 -o eth1 -g PORTALS_FORWARD_1",
        ];
        assert_eq!(lines, expected);
    }
    #[test]
    fn a_rule_that_no_packet_meets_leaves_no_chain() {
        let nowhere = Condition::NotSource(Networks::One(Family::V4.everything()));
        let conditions = vec![nowhere, elsewhere("eth0"), elsewhere("eth1")];
        let rule = FirewallRule { conditions, action: Action::Masquerade };
        assert_eq!(lines_of(Chain::Postrouting, vec![rule]), Vec::<String>::new());
    }

    /// The kernel takes this target only in a line that names the protocol.
    #[test]
    fn a_clamp_in_a_chain_of_its_own_names_its_protocol() {
        let conditions = vec![Condition::TcpSyn, elsewhere("eth0"), elsewhere("eth1")];
        let lines =
            lines_of(Chain::Forward, vec![FirewallRule { conditions, action: Action::ClampMss(1380) }]);
        let clamps: Vec<_> = lines.iter().filter(|line| line.contains("TCPMSS")).collect();
        let clamp = "-A PORTALS_FORWARD_1 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1380";
        assert_eq!(clamps, [clamp]);
    }
}
