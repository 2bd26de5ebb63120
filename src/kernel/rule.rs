//! Policy rules: rtnetlink's rule messages.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NetlinkMessage};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{RouteHeader, RouteProtocol};
use netlink_packet_route::rule::{RuleAction as Verb, RuleAttribute, RuleFlags, RuleMessage};
use nix::libc;

use super::message::{Answer, Message};
use super::netlink::{Socket, request};
use super::route;
use crate::error::{Context, Result};
use crate::net::{Cidr, Family, Mark, Priority, Table};
use crate::state::{PRIORITIES, PROTOCOL, Rule, RuleAction, Selector};

/// The mask of a mark that is compared whole.
const WHOLE: u32 = u32::MAX;

/// Our rules, IPv4 and IPv6: in our band of priorities and of our protocol number.
pub fn list(socket: &mut Socket) -> Result<Vec<Rule>> {
    let mut rules = Vec::new();
    for family in [Family::V4, Family::V6] {
        let mut message = RuleMessage::default();
        message.header.family = route::family(family);
        let dump: Vec<Answer<RuleMessage>> = socket
            .dump(Message::new(libc::RTM_GETRULE, &message))
            .doing(|| "cannot list the policy rules".to_owned())?;
        rules.extend(dump.iter().filter_map(|Answer(rule)| decode(rule)));
    }
    Ok(rules)
}

/// `None` for a rule that is not ours, as well as for one that says what no rule of ours can say.
fn decode(message: &RuleMessage) -> Option<Rule> {
    let header = &message.header;
    let family = match header.family {
        AddressFamily::Inet => Family::V4,
        AddressFamily::Inet6 => Family::V6,
        _ => return None,
    };
    if header.flags.contains(RuleFlags::Invert) || header.tos != 0 {
        return None;
    }
    let mut found = Found { table: u32::from(header.table), ..Found::default() };
    for attribute in &message.attributes {
        found.take(attribute, header.src_len, header.dst_len)?;
    }
    let action = match header.action {
        Verb::ToTable => RuleAction::Lookup(Table(found.table)),
        Verb::Goto => RuleAction::Goto(Priority(found.goto?)),
        Verb::Unreachable => RuleAction::Unreachable,
        _ => return None,
    };
    let mut selector = found.selector;
    selector.mark = found.mark.map(|value| Mark { value, mask: found.mask.unwrap_or(WHOLE) });
    let ours = PRIORITIES.contains(&found.priority);
    ours.then_some(Rule { priority: Priority(found.priority), family, selector, action })
}

/// What the attributes of a rule say.
#[derive(Default)]
struct Found {
    priority: u32,
    table: u32,
    goto: Option<u32>,
    mark: Option<u32>,
    mask: Option<u32>,
    selector: Selector,
}

impl Found {
    /// Takes in one attribute; `None` if it makes the rule one that is not ours.
    fn take(&mut self, attribute: &RuleAttribute, source_length: u8, destination_length: u8) -> Option<()> {
        match attribute {
            RuleAttribute::Priority(number) => self.priority = *number,
            RuleAttribute::Table(number) => self.table = *number,
            RuleAttribute::Goto(number) => self.goto = Some(*number),
            RuleAttribute::FwMark(value) => self.mark = Some(*value),
            RuleAttribute::FwMask(mask) => self.mask = Some(*mask),
            RuleAttribute::Iifname(name) => self.selector.incoming = Some(name.parse().ok()?),
            RuleAttribute::Source(address) => self.selector.from = Some(Cidr::new(*address, source_length)?),
            RuleAttribute::Destination(address) => {
                self.selector.to = Some(Cidr::new(*address, destination_length)?);
            }
            // Kernels before 4.17 do not know the attribute, and do not show it: there the band alone tells.
            RuleAttribute::Protocol(protocol) if u8::from(*protocol) != PROTOCOL => return None,
            // The kernel shows it always; this value stands for "suppresses nothing".
            RuleAttribute::Protocol(_) | RuleAttribute::SuppressPrefixLen(u32::MAX) => {}
            // Something that no rule of ours has.
            _ => return None,
        }
        Some(())
    }
}

/// Adds a rule.
pub fn add(rule: &Rule) -> NetlinkMessage<Message> {
    request(Message::new(libc::RTM_NEWRULE, &encode(rule)), NLM_F_CREATE | NLM_F_EXCL)
}

/// Removes a rule: the first one of its priority that has all that this one says.
pub fn remove(rule: &Rule) -> NetlinkMessage<Message> {
    request(Message::new(libc::RTM_DELRULE, &encode(rule)), 0)
}

fn encode(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    let Selector { incoming, from, to, mark } = &rule.selector;
    message.header.family = route::family(rule.family);
    message.header.src_len = from.map_or(0, Cidr::length);
    message.header.dst_len = to.map_or(0, Cidr::length);
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Priority(rule.priority.0));
    attributes.push(RuleAttribute::Protocol(RouteProtocol::from(PROTOCOL)));
    attributes.extend(incoming.as_ref().map(|name| RuleAttribute::Iifname(name.to_string())));
    attributes.extend(from.map(|network| RuleAttribute::Source(network.address())));
    attributes.extend(to.map(|network| RuleAttribute::Destination(network.address())));
    attributes.extend(
        mark.iter().flat_map(|mark| [RuleAttribute::FwMark(mark.value), RuleAttribute::FwMask(mark.mask)]),
    );
    match rule.action {
        RuleAction::Lookup(table) => {
            message.header.action = Verb::ToTable;
            message.header.table = u8::try_from(table.0).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
            attributes.push(RuleAttribute::Table(table.0));
        }
        RuleAction::Goto(priority) => {
            message.header.action = Verb::Goto;
            attributes.push(RuleAttribute::Goto(priority.0));
        }
        RuleAction::Unreachable => message.header.action = Verb::Unreachable,
    }
    message
}
