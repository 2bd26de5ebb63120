//! Counters in the output of `iptables-save -c`: the rules that packets have met between two dumps.

use super::dump::words;

/// Rule, or policy of a built-in chain, with the number of packets that met it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Counted<'a> {
    table: &'a str,
    chain: &'a str,
    /// Rule without its chain, such as `-i eth1 -j DROP`; a policy is `policy DROP`.
    rule: String,
    packets: u64,
}

/// Rule that packets have met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetRule {
    /// Table and chain of the rule: `filter FORWARD`.
    pub place: String,
    /// Rule without its chain.
    pub rule: String,
    /// Set if the rule refuses packets.
    pub refuses: bool,
}

/// Returns the rules on the way through a built-in chain that at least so many packets met between two
/// dumps, in the order of a packet: up to a rule that ends the way. Other packets may have met the rules as
/// well, on a busy router.
pub fn met(before: &str, after: &str, (table, built_in): (&str, &str), least: u64) -> Vec<MetRule> {
    let (before, after) = (read(before), read(after));
    let way = Way { before: &before, after: &after, table, least };
    let mut met = Vec::new();
    way.walk(built_in, &mut met, 0);
    met
}

struct Way<'a> {
    before: &'a [Counted<'a>],
    after: &'a [Counted<'a>],
    table: &'a str,
    least: u64,
}

/// Chains that call each other deeper than this are no rules of a kernel.
const DEPTH: u32 = 32;

impl Way<'_> {
    /// Walks a chain; reports whether the way ends in it.
    fn walk(&self, chain: &str, met: &mut Vec<MetRule>, depth: u32) -> bool {
        let of_chain = |rule: &&Counted| rule.table == self.table && rule.chain == chain;
        // Rules keep their places between the dumps, unless another program changes the chain.
        let mut old = self.before.iter().filter(of_chain);
        for rule in self.after.iter().filter(of_chain) {
            let former = old.next().filter(|former| former.rule == rule.rule).map_or(0, |old| old.packets);
            if rule.packets.saturating_sub(former) < self.least {
                continue;
            }
            let target = target(&rule.rule);
            let refuses = matches!(target.as_str(), "DROP" | "REJECT");
            met.push(MetRule {
                place: [rule.table, " ", rule.chain].concat(),
                rule: rule.rule.clone(),
                refuses,
            });
            if refuses || target == "ACCEPT" {
                return true;
            }
            if target == "RETURN" {
                return false;
            }
            let is_chain = self.after.iter().any(|rule| rule.table == self.table && rule.chain == target);
            if is_chain && depth < DEPTH && self.walk(&target, met, depth + 1) {
                return true;
            }
        }
        false
    }
}

/// Returns the target of a rule, or the policy; empty if there is none.
fn target(rule: &str) -> String {
    let words = words(rule);
    let place = words.iter().position(|word| matches!(word.as_str(), "-j" | "-g" | "policy"));
    place.and_then(|place| words.get(place + 1)).cloned().unwrap_or_default()
}

/// Reads a dump. Lines that `iptables-save -c` would not write are skipped. The policy of a chain comes
/// behind its rules.
fn read(text: &str) -> Vec<Counted<'_>> {
    let (mut rules, mut policies, mut table) = (Vec::new(), Vec::new(), "");
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if let Some(rest) = line.strip_prefix(':') {
            let mut words = rest.split(' ');
            if let (Some(chain), Some(policy)) = (words.next(), words.next()) {
                let packets = words.next().and_then(count).unwrap_or_default();
                policies.push(Counted { table, chain, rule: ["policy ", policy].concat(), packets });
            }
        } else if let Some((packets, rest)) = line.split_once(" -A ")
            && let Some(packets) = count(packets)
        {
            let (chain, rule) = rest.split_once(' ').unwrap_or((rest, ""));
            rules.push(Counted { table, chain, rule: rule.to_owned(), packets });
        }
    }
    rules.append(&mut policies);
    rules
}

/// Returns the number of packets in `[packets:bytes]`.
fn count(counters: &str) -> Option<u64> {
    counters.strip_prefix('[')?.split(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "# Generated\n*filter\n:INPUT ACCEPT [9:99]\n:FORWARD DROP [1:60]\n\
        :PORTALS_FORWARD - [0:0]\n:WAN_IN - [0:0]\n\
        [4:240] -A FORWARD -j PORTALS_FORWARD\n[4:240] -A FORWARD -i lan0 -j WAN_IN\n\
        [3:180] -A PORTALS_FORWARD -i eth7 -j ACCEPT\n[0:0] -A WAN_IN -s 192.0.2.1/32 -j DROP\n\
        [2:80] -A WAN_IN -m comment --comment \"a -j b\" -j REJECT --reject-with icmp-port-unreachable\n\
        COMMIT\n";

    fn rules_met(after: &str) -> Vec<(String, bool)> {
        let met = met(BEFORE, after, ("filter", "FORWARD"), 3);
        met.into_iter().map(|met| (met.place + " " + &met.rule, met.refuses)).collect()
    }

    #[test]
    fn the_rule_that_refuses_is_found_through_chains() {
        let after = BEFORE.replace("[4:240]", "[7:420]").replace("[2:80]", "[5:200]");
        let met = rules_met(&after);
        assert_eq!(met.len(), 3, "{met:?}");
        assert_eq!(met[0], ("filter FORWARD -j PORTALS_FORWARD".to_owned(), false));
        assert!(met[2].0.starts_with("filter WAN_IN -m comment") && met[2].1);
    }

    #[test]
    fn a_policy_refuses_what_no_rule_knew() {
        let after =
            BEFORE.replace("[4:240] -A FORWARD -j", "[7:420] -A FORWARD -j").replace("[1:60]", "[4:240]");
        assert_eq!(rules_met(&after).last(), Some(&("filter FORWARD policy DROP".to_owned(), true)));
    }

    #[test]
    fn an_accepted_packet_meets_no_more_rules() {
        let after =
            BEFORE.replace("[4:240]", "[7:420]").replace("[3:180]", "[6:360]").replace("[2:80]", "[5:2]");
        assert_eq!(
            rules_met(&after).last(),
            Some(&("filter PORTALS_FORWARD -i eth7 -j ACCEPT".to_owned(), false))
        );
    }

    #[test]
    fn other_text_has_no_rules() {
        let loops = "*filter\n:A - [0:0]\n[9:9] -A FORWARD -j A\n[9:9] -A A -j A\n";
        assert_eq!(met("", loops, ("filter", "FORWARD"), 3).len(), 1 + 32);
        for text in ["", "*", ":", "[", "[:] -A", "[1:1] -A ", "*filter\n[x:1] -A FORWARD -j DROP"] {
            assert_eq!(met(text, text, ("filter", "FORWARD"), 0), [], "{text}");
        }
    }
}
