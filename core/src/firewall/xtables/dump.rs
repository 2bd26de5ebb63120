//! Output of `iptables-save`: our chains in it, and the treatment of unknown packets by other programs'
//! rules.

use super::{CHAIN_PREFIX, IptablesRuleset, IptablesTable, TableContent, text};
use crate::base::net::Family;
use crate::base::sorted::{SortedMap, SortedSet};

/// Tables of one family.
#[derive(Debug, Default)]
pub struct Dump {
    tables: SortedMap<String, DumpedTable>,
}

/// Table with all rules in order. Built-in chains have a policy, other chains have none.
#[derive(Debug, Default)]
struct DumpedTable {
    policies: SortedMap<String, String>,
    rules: Vec<DumpedRule>,
}

#[derive(Debug)]
struct DumpedRule {
    chain: String,
    words: Vec<String>,
}

impl Dump {
    /// Reads the output of `iptables-save`. Lines that this program would not write are skipped.
    pub fn read(text: &str) -> Self {
        let mut dump = Self::default();
        let mut table = &mut DumpedTable::default();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('*') {
                table = dump.tables.get_or_default(name.to_owned());
            } else if let Some((name, rest)) = line.strip_prefix(':').and_then(|line| line.split_once(' ')) {
                let policy = rest.split(' ').next().unwrap_or_default();
                table.policies.insert(name.to_owned(), policy.to_owned());
            } else if let Some(rest) = line.strip_prefix("-A ") {
                let mut words = words(rest).into_iter();
                if let Some(chain) = words.next() {
                    table.rules.push(DumpedRule { chain, words: words.collect() });
                }
            }
        }
        dump
    }

    /// Returns our chains and jumps.
    pub fn ours(&self, family: Family) -> IptablesRuleset {
        let content = |table: IptablesTable| {
            let content = self.tables.get(table.name())?.ours(family);
            (content != TableContent::default()).then_some(((family, table), content))
        };
        IptablesTable::ALL.into_iter().filter_map(content).collect()
    }

    /// Reports whether another program has rules here, or a policy other than to accept.
    pub fn is_used_by_others(&self) -> bool {
        self.tables.values().any(|table| {
            table.policies.values().any(|policy| policy != "ACCEPT" && policy != "-")
                || table
                    .rules
                    .iter()
                    .any(|rule| !is_ours(&rule.chain) && rule.jump().is_none_or(|to| !is_ours(to)))
        })
    }

    /// Reports whether other programs' rules refuse unknown packets in this built-in chain of the table
    /// `filter`.
    pub fn refuses(&self, built_in: &str) -> bool {
        self.tables
            .get(IptablesTable::Filter.name())
            .is_some_and(|table| table.refuses(built_in, &mut SortedSet::new()))
    }
}

impl DumpedTable {
    fn ours(&self, family: Family) -> TableContent {
        let mut content = TableContent::default();
        let own_chains = self.policies.keys().filter(|name| is_ours(name));
        content.chains.extend(own_chains.map(|name| (name.clone(), Vec::new())));
        let mut position = SortedMap::<&str, usize>::new();
        for rule in &self.rules {
            let position = position.get_or_default(&rule.chain);
            *position += 1;
            if let Some(lines) = content.chains.get_mut(&rule.chain) {
                lines.push(text::parse(&rule.chain, &rule.words, family));
            } else if rule.words == ["-j", &[CHAIN_PREFIX, &rule.chain].concat()] {
                content.jumps.get_or_default(rule.chain.clone()).push(*position);
            }
        }
        content
    }

    /// Reports whether a chain refuses unknown packets. A last rule without a condition, or the policy,
    /// decides on the packets that no rule knew. A chain for the traffic of some interfaces counts as well,
    /// because firewalls build zones in this way. Packets that any other condition picks, such as a blocked
    /// address, are known.
    fn refuses<'a>(&'a self, chain: &'a str, seen: &mut SortedSet<&'a str>) -> bool {
        if is_ours(chain) || !seen.insert(chain) {
            return false;
        }
        let refusal = |word: &str| matches!(word, "DROP" | "REJECT");
        if self.policies.get(chain).is_some_and(|policy| refusal(policy)) {
            return true;
        }
        let rules: Vec<&DumpedRule> = self.rules.iter().filter(|rule| rule.chain == chain).collect();
        rules.iter().any(|rule| match rule.jump() {
            Some(to) if refusal(to) => rule.is_unconditional(),
            Some(to) => rule.asks_for_interfaces_at_most() && self.refuses(to, seen),
            None => false,
        })
    }
}

impl DumpedRule {
    /// Returns the rule's target, or the chain that it goes to.
    fn jump(&self) -> Option<&str> {
        let at = self.words.iter().position(|word| word == "-j" || word == "-g")?;
        self.words.get(at + 1).map(String::as_str)
    }

    /// Reports whether every packet meets the rule.
    fn is_unconditional(&self) -> bool {
        self.leads_on_after(&["-m comment", "--comment"])
    }

    /// Reports whether the rule has no conditions other than interfaces.
    fn asks_for_interfaces_at_most(&self) -> bool {
        self.leads_on_after(&["-m comment", "--comment", "-i", "-o"])
    }

    /// Reports whether only these options, each with one value, come before the rule's target. Comments are
    /// not conditions.
    fn leads_on_after(&self, options: &[&str]) -> bool {
        let before = self.words.split(|word| word == "-j" || word == "-g").next().unwrap_or_default();
        let mut words = before.iter().filter(|word| *word != "!");
        while let Some(option) = words.next() {
            let value = words.next().map_or("", String::as_str);
            if !options.contains(&option.as_str())
                && !options.contains(&[option, " ", value].concat().as_str())
            {
                return false;
            }
        }
        true
    }
}

fn is_ours(chain: &str) -> bool {
    chain.starts_with(CHAIN_PREFIX)
}

/// Splits a line into words. Words with spaces are in quotes, where a backslash makes the next character
/// literal.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quoted = false;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => word.get_or_insert_default().extend(characters.next()),
            ' ' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::xtables::{IptablesRule, IptablesTarget};
    use crate::firewall::{Action, Condition};

    /// Output of the oldest programs in use: counters behind policies, comments in front of the other
    /// conditions.
    const EDGEOS: &str = r#"# Generated by iptables-save v1.4.21 on Sun Nov 22 16:00:00 2026
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [12:345]
:OUTPUT ACCEPT [0:0]
:PORTALS_FORWARD - [0:0]
:WAN_IN - [0:0]
-A FORWARD -j PORTALS_FORWARD
-A FORWARD -i eth0 -j WAN_IN
-A PORTALS_FORWARD -s 10.77.1.0/24 -i eth1 -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD -i eth1 -m ttl --ttl-eq 1 -j DROP
-A WAN_IN -m comment --comment "WAN_IN-10 -j \"DROP\"" -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A WAN_IN -m comment --comment "WAN_IN-10000 default-action drop" -j DROP
COMMIT
"#;

    #[test]
    fn what_is_ours_is_told_from_what_is_not() {
        let ruleset = Dump::read(EDGEOS).ours(Family::V4);
        let content = &ruleset[&(Family::V4, IptablesTable::Filter)];
        assert_eq!(content.jumps, [("FORWARD".to_owned(), vec![1])].into());
        let [known, unknown] = &content.chains["PORTALS_FORWARD"][..] else { panic!("two lines") };
        assert_eq!(known.target, IptablesTarget::Do(Action::Drop));
        assert_eq!(known.conditions[2], Condition::UdpPort(67, 68));
        assert_eq!(*unknown, IptablesRule { conditions: Vec::new(), target: IptablesTarget::Foreign });
    }

    #[test]
    fn a_zone_with_a_default_refuses() {
        let dump = Dump::read(EDGEOS);
        assert!(dump.is_used_by_others());
        assert!(dump.refuses("FORWARD"));
        assert!(!dump.refuses("INPUT"));
    }

    #[test]
    fn our_own_rules_and_empty_tables_are_not_those_of_others() {
        let ours = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:PORTALS_FORWARD - [0:0]\n\
                    -A FORWARD -j PORTALS_FORWARD\n-A PORTALS_FORWARD -i eth1 -j DROP\nCOMMIT\n";
        let dump = Dump::read(ours);
        assert!(!dump.is_used_by_others());
        assert!(!dump.refuses("FORWARD"));
        let with = |line: &str| Dump::read(&ours.replace("COMMIT", &format!("{line}\nCOMMIT")));
        assert!(with("-A FORWARD -i eth7 -j ACCEPT").is_used_by_others());
        assert!(
            with("-A FORWARD -m comment --comment x -j REJECT --reject-with icmp-port-unreachable")
                .refuses("FORWARD")
        );
        assert!(!with("-A FORWARD -m comment --comment x -m ttl --ttl-eq 1 -j DROP").refuses("FORWARD"));
        let listed = with("-N x\n-A FORWARD -s 192.0.2.66/32 -j BLOCKED\n-A BLOCKED -j DROP");
        assert!(!listed.refuses("FORWARD"), "a blocked address is known");
        assert!(Dump::read("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n").is_used_by_others());
    }
}
