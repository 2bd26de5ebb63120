//! Policy rules of any program, in the form that is enough to tell which rules a packet meets.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use nix::libc;

use super::attributes::{native_number, text_before_zero};
use super::message::Decode;
use super::netlink::Socket;
use super::route::RoutedPacket;
use super::rtnetlink::{RoutingHeader, address_of};
use super::rule::{action, attribute};
use crate::base::error::{Context as _, Result};
use crate::base::net::{Cidr, Family, Mark, Table};

/// FIB_RULE_INVERT of linux/fib_rules.h.
const INVERT: u32 = 2;

/// FRA_OIFNAME, FRA_SPORT_RANGE.
const OUTGOING: u16 = 17;
const SOURCE_PORTS: u16 = 23;

/// Attributes that are no conditions: FRA_GOTO, FRA_PRIORITY, FRA_FLOW, the suppressors,
/// FRA_TABLE, FRA_FWMASK, FRA_PAD, FRA_PROTOCOL, and the masks of ports.
const NO_CONDITIONS: [u16; 11] = [4, 6, 11, 13, 14, 15, 16, 18, 21, 28, 29];

/// Policy rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostRule {
    /// Priority: the kernel asks rules with lower numbers first.
    pub priority: u32,
    /// Action: FR_ACT_* of linux/fib_rules.h.
    pub action: u8,
    /// Table that the rule looks into.
    pub table: u32,
    /// Priority at which the kernel goes on.
    pub goto: Option<u32>,
    from: Option<Cidr>,
    to: Option<Cidr>,
    incoming: String,
    outgoing: bool,
    mark: (u32, u32),
    protocol: u8,
    /// Ranges of source and destination ports.
    ports: [Option<[u16; 2]>; 2],
    is_inverted: bool,
    /// Set if the rule has a condition that this program does not know.
    is_strange: bool,
}

/// Lists the rules of a family, in the order in which the kernel asks them.
pub fn list(socket: &mut Socket, family: Family) -> Result<Vec<HostRule>> {
    let filter = RoutingHeader { family: Some(family), ..RoutingHeader::default() };
    let rules = socket.dump::<HostRule>(filter.request().message(libc::RTM_GETRULE));
    rules.context(|| "cannot list the policy rules".to_owned())
}

impl Decode for HostRule {
    fn decode(payload: &[u8]) -> Option<Self> {
        let (header, attributes) = RoutingHeader::split(payload)?;
        let family = header.family?;
        let mut rule = Self {
            action: header.kind,
            table: header.table.into(),
            mark: (0, u32::MAX),
            is_inverted: header.flags & INVERT != 0,
            is_strange: header.tos != 0,
            ..Self::default()
        };
        let mut has_mark = false;
        for (kind, value) in attributes.iter() {
            let network = |length| Cidr::new(address_of(family, value)?, length);
            let number = native_number(value);
            match kind {
                attribute::DESTINATION => rule.to = Some(network(header.destination_length)?),
                attribute::SOURCE => rule.from = Some(network(header.source_length)?),
                attribute::INCOMING => text_before_zero(value).clone_into(&mut rule.incoming),
                OUTGOING => rule.outgoing = true,
                attribute::GOTO => rule.goto = number,
                attribute::PRIORITY => rule.priority = number?,
                attribute::TABLE => rule.table = number?,
                attribute::MARK => (has_mark, rule.mark.0) = (true, number?),
                attribute::MARK_MASK => rule.mark.1 = number?,
                attribute::IP_PROTOCOL => rule.protocol = *value.first()?,
                SOURCE_PORTS => rule.ports[0] = range(value),
                attribute::DESTINATION_PORTS => rule.ports[1] = range(value),
                kind if NO_CONDITIONS.contains(&kind) => {}
                _ => rule.is_strange = true,
            }
        }
        if !has_mark {
            rule.mark = (0, 0);
        }
        Some(rule)
    }
}

/// Decodes `struct fib_rule_port_range`.
fn range(value: &[u8]) -> Option<[u16; 2]> {
    let (first, last) = value.split_at_checked(2)?;
    let port = |bytes: &[u8]| bytes.first_chunk().copied().map(u16::from_ne_bytes);
    Some([port(first)?, port(last)?])
}

impl HostRule {
    /// Reports whether a packet meets the rule. `incoming` is the name of the interface that it came in on.
    pub fn is_met(&self, packet: &RoutedPacket, incoming: &str) -> bool {
        let is_in = |network: Option<Cidr>, address: Option<IpAddr>| {
            network.is_none_or(|network| address.is_some_and(|address| network.contains(address)))
        };
        let has_port = |index: usize| {
            self.ports[index].is_none_or(|[first, last]| {
                packet.ports.is_some_and(|ports| (first..=last).contains(&ports[index]))
            })
        };
        let is_met = !self.outgoing
            && is_in(self.from, packet.from)
            && is_in(self.to, Some(packet.to))
            && (self.incoming.is_empty() || self.incoming == incoming)
            && packet.mark & self.mark.1 == self.mark.0
            && (self.protocol == 0 || self.protocol == packet.protocol)
            && has_port(0)
            && has_port(1);
        !self.is_strange && is_met != self.is_inverted
    }

    /// Reports whether the rule looks for a route in a table.
    pub fn looks_into(&self, table: Table) -> bool {
        self.action == action::LOOKUP && self.table == table.0
    }

    /// Returns the rule as `ip rule` writes it: `113: from all iif eth1 lookup 7702`.
    pub fn words(&self) -> String {
        let mut text = self.priority.to_string();
        text.push_str(if self.is_inverted { ": not from " } else { ": from " });
        let mut add = |word: &str, value: Option<&dyn fmt::Display>| {
            if let Some(value) = value {
                text.push_str(word);
                let _ = write!(text, "{value}");
            }
        };
        match &self.from {
            Some(network) => add("", Some(network)),
            None => add("", Some(&"all")),
        }
        let (value, mask) = self.mark;
        let ports = self.ports.map(|range| range.map(port_words));
        add(" to ", self.to.as_ref().map(|to| to as _));
        add(" fwmark ", (mask != 0).then_some(&Mark { value, mask } as _));
        add(" iif ", (!self.incoming.is_empty()).then_some(&self.incoming as _));
        add(" ipproto ", (self.protocol != 0).then_some(&self.protocol as _));
        add(" sport ", ports[0].as_ref().map(|range| range as _));
        add(" dport ", ports[1].as_ref().map(|range| range as _));
        match (self.action, &self.goto) {
            (action::LOOKUP, _) => add(" lookup ", Some(&Table(self.table))),
            (action::GOTO, Some(goto)) => add(" goto ", Some(goto)),
            (action::BLACKHOLE, _) => add(" blackhole", Some(&"")),
            (action::UNREACHABLE, _) => add(" unreachable", Some(&"")),
            (action::PROHIBIT, _) => add(" prohibit", Some(&"")),
            _ => add(" does nothing", Some(&"")),
        }
        text
    }
}

/// Returns a range of ports in words.
fn port_words([first, last]: [u16; 2]) -> String {
    let first_port = first.to_string();
    if first == last { first_port } else { [first_port.as_str(), "-", &last.to_string()].concat() }
}

/// Returns the rules that a packet meets, in order, as the kernel asks them if no table before the last one
/// has a route.
pub fn met<'a>(rules: &'a [HostRule], packet: &RoutedPacket, incoming: &str) -> Vec<&'a HostRule> {
    let (mut met, mut least) = (Vec::new(), 0);
    for rule in rules {
        if rule.priority >= least && rule.is_met(packet, incoming) {
            if let (action::GOTO, Some(goto)) = (rule.action, rule.goto) {
                least = goto;
            }
            met.push(rule);
        }
    }
    met
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::net::{IfName, Priority};
    use crate::kernel::rule;
    use crate::state::{Rule, RuleAction, Selector};

    fn decoded(selector: Selector, action: RuleAction, priority: u32) -> HostRule {
        let rule = Rule { priority: Priority(priority), family: Family::V4, selector, action };
        HostRule::decode(rule::add(&rule).body()).unwrap()
    }

    fn packet() -> RoutedPacket {
        RoutedPacket {
            from: Some([192, 168, 1, 50].into()),
            to: [1, 1, 1, 1].into(),
            incoming: Some(2),
            mark: 0x8100_0000,
            protocol: 17,
            ports: Some([40000, 123]),
        }
    }

    #[test]
    fn a_rule_is_met_by_the_packets_that_it_selects() {
        let name = |name: &str| Some(name.parse::<IfName>().unwrap());
        let network = |text: &str| Some(text.parse::<Cidr>().unwrap());
        let all = Selector::default;
        for (selector, is_met, words) in [
            (all(), true, "7: from all goto 119"),
            (Selector { incoming: name("lan0"), ..all() }, true, "7: from all iif lan0 goto 119"),
            (Selector { incoming: name("lo"), ..all() }, false, "7: from all iif lo goto 119"),
            (Selector { from: network("192.168.1.0/24"), ..all() }, true, "7: from 192.168.1.0/24 goto 119"),
            (Selector { to: network("1.1.1.2/32"), ..all() }, false, "7: from all to 1.1.1.2/32 goto 119"),
            (
                Selector { mark: Some(Mark { value: 1 << 31, mask: 1 << 31 }), ..all() },
                true,
                "7: from all fwmark 0x80000000/0x80000000 goto 119",
            ),
            (Selector { udp_port: Some(123), ..all() }, true, "7: from all ipproto 17 dport 123 goto 119"),
            (Selector { udp_port: Some(53), ..all() }, false, "7: from all ipproto 17 dport 53 goto 119"),
        ] {
            let rule = decoded(selector, RuleAction::Goto(Priority(119)), 7);
            assert_eq!((rule.is_met(&packet(), "lan0"), rule.words().as_str()), (is_met, words));
        }
    }

    #[test]
    fn a_goto_skips_the_rules_before_its_target() {
        let rules = [
            decoded(Selector::default(), RuleAction::Goto(Priority(119)), 111),
            decoded(Selector::default(), RuleAction::Lookup(Table(7702)), 113),
            decoded(Selector::default(), RuleAction::Lookup(Table(7700)), 119),
        ];
        let met: Vec<u32> = met(&rules, &packet(), "lan0").iter().map(|rule| rule.priority).collect();
        assert_eq!(met, [111, 119]);
    }

    #[test]
    fn a_rule_with_an_unknown_condition_is_not_said_to_be_met() {
        let mut bytes = rule::add(&Rule {
            priority: Priority(7),
            family: Family::V4,
            selector: Selector::default(),
            action: RuleAction::Unreachable,
        })
        .body()
        .to_vec();
        bytes.extend([8, 0, 20, 0, 1, 0, 0, 0]);
        assert!(!HostRule::decode(&bytes).unwrap().is_met(&packet(), "lan0"));
        for length in 0..bytes.len() {
            let _ = HostRule::decode(&bytes[..length]);
        }
    }
}
