//! Rules, to and from expressions: the very ones that the `nft` program makes of the same rule, so that it shows ours as a
//! person would write them, and we know ours again when they came from a script.

use super::chain;
use super::expression::{Ct, Expression, Field, Meta, Register, Relation};
use super::value::{address_bytes, address_from_prefix, address_length, mask_bytes, unpadded_name};
use crate::firewall::{Action, Chain, Condition, Interfaces, Networks, Rule, SetName};
use crate::kernel::attributes::Attributes;
use crate::kernel::nfnetlink::Writer;
use crate::net::{Cidr, Family, Mark};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// SYN, and the bits it is found among: SYN and RST.
const TCP_SYN: u8 = 0x02;
const TCP_SYN_RST: u8 = 0x06;

/// The bits of `ct state` for established and related: NF_CT_STATE_BIT in linux/netfilter/nf_conntrack_common.h.
const ESTABLISHED_RELATED: u32 = 0x06;

/// IP_CT_DIR_ORIGINAL
const DIRECTION_ORIGINAL: u8 = 0;

const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;

/// A rule as the last one of a chain.
pub(super) fn encode(chain: Chain, rule: &Rule, writer: &mut Writer) {
    encode_chain(chain, writer);
    encode_expressions(rule, writer);
}

/// What a rule asks and does.
pub(super) fn encode_expressions(rule: &Rule, writer: &mut Writer) {
    let expressions = expressions(rule);
    debug_assert_eq!(rule_of(&expressions).as_ref(), Some(rule), "reads back as another rule");
    writer.nest(RULE_EXPRESSIONS, |writer| expressions.iter().for_each(|each| each.encode(writer)));
}

/// No rule: all those of the chain.
pub(super) fn encode_chain(chain: Chain, writer: &mut Writer) {
    writer.text(RULE_CHAIN, chain.name());
}

/// A rule and the chain that it is in; `None` if we would not write it like this.
pub(super) fn decode(attributes: Attributes) -> Option<(Chain, Rule)> {
    let chain = chain::named(attributes.text(RULE_CHAIN)?)?;
    Some((chain, decode_expressions(attributes)?))
}

/// What a rule asks and does; `None` if we would not write it like this.
pub(super) fn decode_expressions(attributes: Attributes) -> Option<Rule> {
    let expressions: Option<Vec<_>> =
        attributes.nested(RULE_EXPRESSIONS).elements().map(Expression::decode).collect();
    rule_of(&expressions?)
}

fn expressions(rule: &Rule) -> Vec<Expression> {
    let mut encoder = Encoder::default();
    for condition in &rule.conditions {
        encoder.condition(condition);
    }
    encoder.action(rule.action);
    encoder.expressions
}

/// The rule of which these very expressions are made.
fn rule_of(found: &[Expression]) -> Option<Rule> {
    let rule = Decoder { rest: found, ..Decoder::default() }.rule()?;
    (expressions(&rule) == found).then_some(rule)
}

/// Knows what was asked of the packet so far, as a header is only looked at behind the question whether it is there.
#[derive(Default)]
struct Encoder {
    family: Option<Family>,
    protocol: Option<u8>,
    expressions: Vec<Expression>,
}

impl Encoder {
    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::Family(family) => self.ask_family(*family),
            Condition::Incoming(interfaces) => self.interface(Meta::IncomingName, interfaces, false),
            Condition::Outgoing(interfaces) => self.interface(Meta::OutgoingName, interfaces, false),
            Condition::NotOutgoing(interfaces) => self.interface(Meta::OutgoingName, interfaces, true),
            Condition::Path(set) => {
                self.push(Expression::Meta(Meta::IncomingName, Register::First));
                self.push(Expression::Meta(Meta::OutgoingName, Register::Second));
                self.push(lookup(set, false));
            }
            Condition::Source(networks) => self.address(Field::Source, networks, false),
            Condition::NotSource(networks) => self.address(Field::Source, networks, true),
            Condition::Destination(networks) => self.address(Field::Destination, networks, false),
            Condition::NotDestination(networks) => self.address(Field::Destination, networks, true),
            Condition::Established => {
                self.push(Expression::Ct(Ct::State));
                self.push(Expression::Mask(ESTABLISHED_RELATED.to_ne_bytes().to_vec()));
                self.compare(Relation::NotEqual, &[0; 4]);
            }
            Condition::Opening => {
                self.push(Expression::Ct(Ct::Direction));
                self.compare(Relation::Equal, &[DIRECTION_ORIGINAL]);
            }
            Condition::NotMarked(Mark { value, mask }) => {
                self.push(Expression::Meta(Meta::Mark, Register::First));
                self.push(Expression::Mask(mask.to_ne_bytes().to_vec()));
                self.compare(Relation::NotEqual, &value.to_ne_bytes());
            }
            Condition::Icmp(family) => self.ask_protocol(icmp(*family)),
            Condition::UdpPort(first, last) => self.udp_port(*first, *last),
            Condition::TcpSyn => {
                self.need_protocol(TCP);
                self.push(Expression::Payload(Field::TcpFlags, 1));
                self.push(Expression::Mask(vec![TCP_SYN_RST]));
                self.compare(Relation::Equal, &[TCP_SYN]);
            }
        }
    }

    fn action(&mut self, action: Action) {
        match action {
            Action::Accept => self.push(Expression::Accept),
            Action::Drop => self.push(Expression::Drop),
            Action::Reject => self.push(Expression::Reject),
            Action::Masquerade => self.push(Expression::Masquerade),
            Action::ClampMss(bytes) => {
                self.push(Expression::Value(bytes.to_be_bytes().to_vec()));
                self.push(Expression::WriteMss);
            }
        }
    }

    fn interface(&mut self, key: Meta, interfaces: &Interfaces, inverted: bool) {
        self.push(Expression::Meta(key, Register::First));
        match interfaces {
            Interfaces::One(name) => self.compare(equality(inverted), name.padded()),
            Interfaces::In(set) => self.push(lookup(set, inverted)),
        }
    }

    fn address(&mut self, field: fn(Family) -> Field, networks: &Networks, inverted: bool) {
        let family = networks.family();
        if self.family != Some(family) {
            self.ask_family(family);
        }
        let field = field(family);
        match networks {
            Networks::One(network) => self.network(field, *network, equality(inverted)),
            Networks::In(_, set) => {
                self.push(Expression::Payload(field, address_length(family)));
                self.push(lookup(set, inverted));
            }
        }
    }

    /// A prefix of whole bytes is loaded alone; of any other, the rest of the address is masked out.
    fn network(&mut self, field: Field, network: Cidr, relation: Relation) {
        let address = address_bytes(network.address());
        let (whole_bytes, bits) = (network.length() / 8, network.length() % 8);
        if whole_bytes > 0 && bits == 0 {
            self.push(Expression::Payload(field, u32::from(whole_bytes)));
            self.compare(relation, &address[..usize::from(whole_bytes)]);
        } else {
            self.push(Expression::Payload(field, address_length(network.family())));
            self.push(Expression::Mask(mask_bytes(network)));
            self.compare(relation, &address);
        }
    }

    fn udp_port(&mut self, first: u16, last: u16) {
        self.need_protocol(UDP);
        self.push(Expression::Payload(Field::UdpDestinationPort, 2));
        if first == last {
            self.compare(Relation::Equal, &first.to_be_bytes());
        } else {
            self.compare(Relation::AtLeast, &first.to_be_bytes());
            self.compare(Relation::AtMost, &last.to_be_bytes());
        }
    }

    fn need_protocol(&mut self, protocol: u8) {
        if self.protocol != Some(protocol) {
            self.ask_protocol(protocol);
        }
    }

    fn ask_protocol(&mut self, protocol: u8) {
        self.push(Expression::Meta(Meta::Protocol, Register::First));
        self.compare(Relation::Equal, &[protocol]);
        self.protocol = Some(protocol);
    }

    fn ask_family(&mut self, family: Family) {
        self.push(Expression::Meta(Meta::Family, Register::First));
        self.compare(Relation::Equal, &[family_number(family)]);
        self.family = Some(family);
    }

    fn compare(&mut self, relation: Relation, value: &[u8]) {
        self.push(Expression::Compare(relation, value.to_vec()));
    }

    fn push(&mut self, expression: Expression) {
        self.expressions.push(expression);
    }
}

/// Takes the shortest look that tells our conditions apart: whether all the details are ours as well, [`rule_of`] sees by
/// encoding the result.
#[derive(Default)]
struct Decoder<'a> {
    rest: &'a [Expression],
    family: Option<Family>,
    conditions: Vec<Condition>,
}

impl<'a> Decoder<'a> {
    fn rule(mut self) -> Option<Rule> {
        loop {
            if let Some(action) = self.action() {
                return Some(Rule { conditions: self.conditions, action });
            }
            self.condition()?;
        }
    }

    fn action(&self) -> Option<Action> {
        match self.rest {
            [Expression::Accept] => Some(Action::Accept),
            [Expression::Drop] => Some(Action::Drop),
            [Expression::Reject] => Some(Action::Reject),
            [Expression::Masquerade] => Some(Action::Masquerade),
            [Expression::Value(bytes), Expression::WriteMss] => {
                Some(Action::ClampMss(u16::from_be_bytes(*bytes.first_chunk()?)))
            }
            _ => None,
        }
    }

    fn condition(&mut self) -> Option<()> {
        let [first] = self.take(1)? else { return None };
        let condition = match first {
            Expression::Meta(Meta::Family, _) => return self.family(),
            Expression::Meta(Meta::Protocol, _) => return self.protocol(),
            Expression::Meta(Meta::IncomingName, _) => self.incoming()?,
            Expression::Meta(Meta::OutgoingName, _) => self.outgoing()?,
            Expression::Meta(Meta::Mark, _) => self.mark()?,
            Expression::Ct(Ct::State) => self.take(2).map(|_| Condition::Established)?,
            Expression::Ct(Ct::Direction) => self.take(1).map(|_| Condition::Opening)?,
            Expression::Payload(Field::Source(family), length) => {
                let (networks, inverted) = self.networks(*family, *length)?;
                if inverted { Condition::NotSource(networks) } else { Condition::Source(networks) }
            }
            Expression::Payload(Field::Destination(family), length) => {
                let (networks, inverted) = self.networks(*family, *length)?;
                if inverted { Condition::NotDestination(networks) } else { Condition::Destination(networks) }
            }
            Expression::Payload(Field::UdpDestinationPort, _) => self.udp_port()?,
            Expression::Payload(Field::TcpFlags, _) => self.take(2).map(|_| Condition::TcpSyn)?,
            _ => return None,
        };
        self.conditions.push(condition);
        Some(())
    }

    /// A question for the family is a condition, unless it only leads to that for an address.
    fn family(&mut self) -> Option<()> {
        let number = self.compared()?;
        let family =
            [Family::V4, Family::V6].into_iter().find(|family| number == [family_number(*family)])?;
        let leads_to_address = matches!(
            self.rest.first(),
            Some(Expression::Payload(Field::Source(of) | Field::Destination(of), _)) if *of == family
        );
        if !leads_to_address || self.family == Some(family) {
            self.conditions.push(Condition::Family(family));
        }
        self.family = Some(family);
        Some(())
    }

    /// A question for ICMP is a condition; one for UDP or TCP only leads to that for a field of its header.
    fn protocol(&mut self) -> Option<()> {
        match self.compared()? {
            [TCP | UDP] => {}
            [ICMP] => self.conditions.push(Condition::Icmp(Family::V4)),
            [ICMPV6] => self.conditions.push(Condition::Icmp(Family::V6)),
            _ => return None,
        }
        Some(())
    }

    fn incoming(&mut self) -> Option<Condition> {
        if let [Expression::Meta(Meta::OutgoingName, _), Expression::Lookup { set, .. }, ..] = self.rest {
            return self.take(2).map(|_| Condition::Path(SetName(set.clone())));
        }
        let (interfaces, _) = self.interfaces()?;
        Some(Condition::Incoming(interfaces))
    }

    fn outgoing(&mut self) -> Option<Condition> {
        let (interfaces, inverted) = self.interfaces()?;
        Some(if inverted { Condition::NotOutgoing(interfaces) } else { Condition::Outgoing(interfaces) })
    }

    fn interfaces(&mut self) -> Option<(Interfaces, bool)> {
        match self.take(1)? {
            [Expression::Lookup { set, inverted }] => Some((Interfaces::In(SetName(set.clone())), *inverted)),
            [Expression::Compare(relation, name)] => {
                Some((Interfaces::One(unpadded_name(name)?), *relation == Relation::NotEqual))
            }
            _ => None,
        }
    }

    fn mark(&mut self) -> Option<Condition> {
        let [Expression::Mask(mask), Expression::Compare(_, value)] = self.take(2)? else { return None };
        let number = |bytes: &[u8]| bytes.first_chunk().copied().map(u32::from_ne_bytes);
        Some(Condition::NotMarked(Mark { value: number(value)?, mask: number(mask)? }))
    }

    fn networks(&mut self, family: Family, loaded: u32) -> Option<(Networks, bool)> {
        let mut length = loaded.checked_mul(8)?;
        if let [Expression::Mask(mask), ..] = self.rest {
            length = mask.iter().map(|byte| byte.count_ones()).sum();
            self.take(1)?;
        }
        match self.take(1)? {
            [Expression::Lookup { set, inverted }] => {
                Some((Networks::In(family, SetName(set.clone())), *inverted))
            }
            [Expression::Compare(relation, prefix)] => {
                let network = Cidr::new(address_from_prefix(family, prefix)?, u8::try_from(length).ok()?)?;
                Some((Networks::One(network), *relation == Relation::NotEqual))
            }
            _ => None,
        }
    }

    fn udp_port(&mut self) -> Option<Condition> {
        let (relation, first) = self.compared_port()?;
        let last = if relation == Relation::Equal { first } else { self.compared_port()?.1 };
        Some(Condition::UdpPort(first, last))
    }

    fn compared_port(&mut self) -> Option<(Relation, u16)> {
        match self.take(1)? {
            [Expression::Compare(relation, port)] => {
                Some((*relation, u16::from_be_bytes(*port.first_chunk()?)))
            }
            _ => None,
        }
    }

    fn compared(&mut self) -> Option<&'a [u8]> {
        match self.take(1)? {
            [Expression::Compare(_, value)] => Some(value),
            _ => None,
        }
    }

    fn take(&mut self, count: usize) -> Option<&'a [Expression]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }
}

fn lookup(set: &SetName, inverted: bool) -> Expression {
    Expression::Lookup { set: set.0.clone(), inverted }
}

fn equality(inverted: bool) -> Relation {
    if inverted { Relation::NotEqual } else { Relation::Equal }
}

fn icmp(family: Family) -> u8 {
    match family {
        Family::V4 => ICMP,
        Family::V6 => ICMPV6,
    }
}

/// NFPROTO_IPV4, NFPROTO_IPV6
fn family_number(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}
