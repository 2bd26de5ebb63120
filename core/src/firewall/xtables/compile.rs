//! Compiler of typed rules for iptables, which has neither sets nor rules for both families.

use super::{
    CHAIN_PREFIX, IptablesRule, IptablesRuleset, IptablesTable, IptablesTarget, TableContent, built_in,
};
use crate::base::net::{Cidr, Family, IfName, Mark};
use crate::base::sorted::SortedMap;
use crate::firewall::{
    Action, Chain, Condition, Devices, Firewall, FirewallRule, Interfaces, MarksAtInterfaces, Networks,
    NetworksAtInterfaces, Pairing, Pinholes, Set, SetName,
};

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

struct Spelling<'a> {
    sets: Option<&'a SortedMap<SetName, Set>>,
    family: Family,
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
        if !lines.is_empty() {
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

    fn guard(&self, name: &str, rules: &[&FirewallRule], chains: &mut Chains) -> Vec<IptablesRule> {
        let mut lines = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let target = if rule.action == Action::Accept {
                IptablesTarget::Return
            } else {
                IptablesTarget::Do(rule.action)
            };
            let is_apart = |condition: &Condition| {
                self.excepts_many(condition) || is_asked_twice(condition, &rule.conditions)
            };
            let (mut exceptions, mut conditions, mut has_exceptions) = (Vec::new(), Vec::new(), false);
            for condition in &rule.conditions {
                if is_apart(condition) {
                    exceptions.append(&mut self.alternatives(&condition.opposite()));
                    has_exceptions = true;
                } else if !matches!(condition, Condition::Family(_)) {
                    conditions.push(condition.clone());
                }
            }
            let (shared, listed) = if has_exceptions { Default::default() } else { self.split(&conditions) };
            if !has_exceptions && shared.is_empty() {
                self.add_lines(&mut lines, &conditions, &target);
                continue;
            }
            // iptables can express "none of these" only with a separate chain.
            let of_exceptions = |target: &IptablesTarget| {
                let line = |conditions| IptablesRule { conditions, target: target.clone() };
                exceptions.into_iter().map(line).collect::<Vec<_>>()
            };
            if target == IptablesTarget::Return {
                // The packets that do not end here go on in a chain with the rest of the rules. They do not
                // come back.
                let aside = new_chain(name, chains);
                let rest = self.guard(name, &rules[index + 1..], chains);
                if rest.is_empty() {
                    chains.remove(&aside);
                    break;
                }
                chains.insert(aside.clone(), rest);
                let go_on = IptablesTarget::Goto(aside);
                let mut excepted = of_exceptions(&go_on);
                if !has_exceptions {
                    self.add_lines(&mut excepted, &listed, &target);
                    excepted.push(IptablesRule { conditions: Vec::new(), target: go_on.clone() });
                    conditions = shared;
                }
                if conditions.is_empty() {
                    lines.append(&mut excepted);
                } else {
                    let apart = new_chain(name, chains);
                    chains.insert(apart.clone(), excepted);
                    self.add_lines(&mut lines, &conditions, &IptablesTarget::Goto(apart));
                    lines.push(IptablesRule { conditions: Vec::new(), target: go_on });
                }
                return lines;
            }
            let mut apart = of_exceptions(&IptablesTarget::Return);
            if has_exceptions {
                apart.push(IptablesRule { conditions: Vec::new(), target });
            } else {
                // Some targets need the conditions on the protocol in their own line.
                let is_verdict = matches!(rule.action, Action::Drop | Action::Reject);
                self.add_lines(&mut apart, if is_verdict { &listed } else { &conditions }, &target);
                conditions = shared;
            }
            let aside = new_chain(name, chains);
            chains.insert(aside.clone(), apart);
            self.add_lines(&mut lines, &conditions, &IptablesTarget::Jump(aside));
        }
        // All packets return at the end of a chain.
        while lines.last().is_some_and(|line| line.target == IptablesTarget::Return) {
            lines.pop();
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

    fn places(&self, pairing: Pairing, set: &SetName, length: u8) -> Vec<Vec<Condition>> {
        let Some(Set::NetworksAtInterfaces(_, places)) = self.set(set) else { return Vec::new() };
        let address = if pairing.destination { Condition::Destination } else { Condition::Source };
        let mut alternatives = Vec::new();
        for (name, first) in places {
            let network = Cidr::new(*first, length).expect("a length of the set's family");
            alternatives.push(vec![address(Networks::One(network)), at(pairing, name)]);
        }
        alternatives
    }

    fn marks(&self, pairing: Pairing, marks: &MarksAtInterfaces) -> Vec<Vec<Condition>> {
        let Some(Set::MarksAtInterfaces(pairs)) = self.set(&marks.set) else { return Vec::new() };
        let mut alternatives = Vec::new();
        for (name, value) in pairs {
            let mark = Mark { value: *value, mask: marks.mask };
            alternatives.push(vec![at(pairing, name), Condition::ConnectionMarked(mark)]);
        }
        alternatives
    }

    /// Returns the conditions without sets of which one must hold. The conditions of one list hold together.
    fn alternatives(&self, condition: &Condition) -> Vec<Vec<Condition>> {
        match condition {
            Condition::Way(pairing, marks) => return self.marks(*pairing, marks),
            Condition::Place(pairing, NetworksAtInterfaces { set, length, .. }) => {
                return self.places(*pairing, set, *length);
            }
            // The tables of a family see no packets of another family.
            Condition::Family(_) => return vec![Vec::new()],
            _ => {}
        }
        match condition.set() {
            Some(set) => self.elements(condition, set),
            None => without_set(condition),
        }
    }

    /// Returns the alternatives of a condition that looks at this set: one for each element.
    fn elements(&self, condition: &Condition, set: &SetName) -> Vec<Vec<Condition>> {
        let mut alternatives = Vec::new();
        match self.set(set) {
            // Sets of pairs are resolved above.
            None | Some(Set::NetworksAtInterfaces(..) | Set::MarksAtInterfaces(_)) => {}
            Some(Set::Interfaces(names)) => {
                for name in names {
                    alternatives.push(vec![condition.with_interfaces(Interfaces::One(name.clone()))]);
                }
            }
            Some(Set::Devices(devices)) => {
                for mac in devices {
                    alternatives.push(vec![Condition::Device(Devices::One(*mac))]);
                }
            }
            Some(Set::Networks(.., networks)) => {
                for network in networks {
                    let mut one = self.alternatives(&condition.with_networks(Networks::One(*network)));
                    alternatives.append(&mut one);
                }
            }
            Some(Set::InterfacePairs(paths)) => {
                for (from, to) in paths {
                    alternatives.push(vec![
                        Condition::Incoming(Interfaces::One(from.clone())),
                        Condition::Outgoing(Interfaces::One(to.clone())),
                    ]);
                }
            }
        }
        alternatives
    }

    fn set(&self, name: &SetName) -> Option<&Set> {
        self.sets?.get(name)
    }

    /// Reports whether the condition is "none of these" with several values.
    fn excepts_many(&self, condition: &Condition) -> bool {
        if let Condition::Place(pairing, _) | Condition::Way(pairing, _) = condition {
            return pairing.negated;
        }
        let several = condition.set().and_then(|set| self.set(set)).is_some_and(|set| set.len() > 1);
        several && is_negative(condition)
    }
}

/// Returns the alternatives of a condition without a set: one, or none if no packet meets the condition.
fn without_set(condition: &Condition) -> Vec<Vec<Condition>> {
    match condition {
        // iptables does not print a condition that every packet meets.
        Condition::Source(Networks::One(all)) | Condition::Destination(Networks::One(all))
            if all.length() == 0 =>
        {
            vec![Vec::new()]
        }
        Condition::NotSource(Networks::One(all)) | Condition::NotDestination(Networks::One(all))
            if all.length() == 0 =>
        {
            Vec::new()
        }
        _ => vec![vec![condition.clone()]],
    }
}

/// Reports whether the condition excludes values of an option that another condition has as well: a line of
/// iptables has each option once.
fn is_asked_twice(condition: &Condition, all: &[Condition]) -> bool {
    let options = options(condition);
    is_negative(condition) && all.iter().filter(|other| options & self::options(other) != 0).count() > 1
}

fn is_negative(condition: &Condition) -> bool {
    matches!(
        condition,
        Condition::NotIncoming(_)
            | Condition::NotOutgoing(_)
            | Condition::NotSource(_)
            | Condition::NotDestination(_)
    )
}

/// Returns a bit for each option of a condition: `-i`, `-o`, `-s` and `-d`.
fn options(condition: &Condition) -> u8 {
    match condition {
        Condition::Incoming(_) | Condition::NotIncoming(_) => 1,
        Condition::Outgoing(_) | Condition::NotOutgoing(_) => 2,
        Condition::Way(pairing, _) if !pairing.negated => 1 + u8::from(pairing.outgoing),
        Condition::InterfacePair(_) => 1 | 2,
        Condition::Source(_) | Condition::NotSource(_) => 4,
        Condition::Place(pairing, _) if !pairing.negated => {
            (1 + u8::from(pairing.outgoing)) | if pairing.destination { 8 } else { 4 }
        }
        Condition::Destination(_) | Condition::NotDestination(_) => 8,
        _ => 0,
    }
}

fn at(pairing: Pairing, interface: &IfName) -> Condition {
    let at = if pairing.outgoing { Condition::Outgoing } else { Condition::Incoming };
    at(Interfaces::One(interface.clone()))
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

    /// A packet that does not meet the other conditions meets the rest of the rules, too.
    #[test]
    fn a_rule_that_accepts_packets_to_none_of_several_keeps_its_other_conditions() {
        let elsewhere = |name: &str| Condition::NotOutgoing(Interfaces::One(name.parse().unwrap()));
        let conditions = vec![Condition::FromResponder, elsewhere("eth0"), elsewhere("eth1")];
        let accept = FirewallRule { conditions, action: Action::Accept };
        let drop = FirewallRule { conditions: Vec::new(), action: Action::Drop };
        let firewall =
            Firewall { chains: [(Chain::Forward, vec![accept, drop])].into(), ..Firewall::default() };
        let ruleset = compile(Some(&firewall), &SortedMap::new(), &[Family::V4]);
        let script = script(&IptablesRuleset::new(), &ruleset, Family::V4);
        let lines: Vec<&str> = script.lines().filter(|line| line.starts_with("-A")).collect();
        let expected = [
            "-A PORTALS_FORWARD -m conntrack --ctdir REPLY -g PORTALS_FORWARD_2",
            "-A PORTALS_FORWARD -g PORTALS_FORWARD_1",
            "-A PORTALS_FORWARD_1 -j DROP",
            "-A PORTALS_FORWARD_2 -o eth0 -g PORTALS_FORWARD_1",
            "-A PORTALS_FORWARD_2 -o eth1 -g PORTALS_FORWARD_1",
        ];
        assert_eq!(lines, expected);
    }
}
