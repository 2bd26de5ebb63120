//! Decoder from expressions to a rule.

use std::mem;
use std::net::SocketAddr;

use super::super::expression::{
    BITWISE_MASK, BITWISE_XOR, CMP_DATA, CMP_OP, Expression, IMMEDIATE_DATA, LOOKUP_FLAGS, LOOKUP_INVERTED,
    Load, NAT_FAMILY, NAT_PORT, NAT_TYPE, Relation, Step, VERDICT_ACCEPT, VERDICT_DROP,
};
use super::super::value::{address_from_bytes, address_from_prefix, unpadded_name};
use super::{DIRECTION_ORIGINAL, ICMP, ICMPV6, SOURCE, TCP, family_number};
use crate::base::net::{Cidr, Family, Mac, Mark};
use crate::firewall::{
    Action, Condition, Devices, FirewallRule, Interfaces, MarksAtInterfaces, Networks, NetworksAtInterfaces,
    Pairing, SetName,
};
use crate::kernel::attributes::native_number;

/// Decoder that looks only at the details which tell our conditions apart. [`rule_of`](super::rule_of) checks
/// all other details: it encodes the result and compares.
#[derive(Default)]
pub(super) struct Decoder<'a> {
    rest: &'a [Expression<'a>],
    family: Option<Family>,
    protocol: u8,
    conditions: Vec<Condition>,
}

impl<'a> Decoder<'a> {
    pub(super) fn of(expressions: &'a [Expression<'a>]) -> Self {
        Self { rest: expressions, ..Self::default() }
    }

    pub(super) fn rule(&mut self) -> Option<FirewallRule> {
        while let Some(test) = self.test() {
            if !self.precedes(&test)? {
                let condition = self.condition(&test)?;
                self.conditions.push(condition);
            }
        }
        Some(FirewallRule { action: self.action()?, conditions: mem::take(&mut self.conditions) })
    }

    /// Takes the next test; `None` if the rest of the rule is its action.
    fn test(&mut self) -> Option<Test<'a>> {
        let is_end = |expression: &Expression| matches!(expression.step, Step::Compare | Step::Lookup);
        let end = self.rest.iter().position(is_end)?;
        let (steps, rest) = self.rest.split_at(end + 1);
        self.rest = rest;
        Some(Test { steps, end: steps[end] })
    }

    /// Never inlined, like [`Self::condition`]: the parts of the value would be moved one by one.
    #[inline(never)]
    fn action(&self) -> Option<Action> {
        let value = self.rest.first()?.bytes(IMMEDIATE_DATA);
        match (self.rest.last()?.step, self.rest.len()) {
            (Step::Immediate, 1) => match u32::from_be_bytes(*value?.as_array()?) {
                VERDICT_ACCEPT => Some(Action::Accept),
                VERDICT_DROP => Some(Action::Drop),
                _ => None,
            },
            (Step::Reject, 1) => Some(Action::Reject),
            (Step::Offload, 1) => Some(Action::Offload),
            (Step::Masquerade, 1) => Some(Action::Masquerade),
            (Step::Redirect, 2) => Some(Action::Redirect(port(value?)?)),
            (Step::TcpOption, 2) => Some(Action::ClampMss(port(value?)?)),
            (Step::Nat, 2 | 3) => self.translation(value?),
            (Step::Meta, 3) => self.mark().map(Action::SetMark),
            (Step::Ct, 3) => self.mark().map(Action::SetConnectionMark),
            _ => None,
        }
    }

    fn mark(&self) -> Option<Mark> {
        let number = |kind| native_number(self.rest[1].bytes(kind)?);
        Some(Mark { value: number(BITWISE_XOR)?, mask: !number(BITWISE_MASK)? })
    }

    /// Decodes a translation to the address with these bytes.
    fn translation(&self, address: &[u8]) -> Option<Action> {
        let [_, second, ..] = self.rest else { return None };
        let nat = self.rest.last()?;
        let family = family_of(nat.number(NAT_FAMILY)?)?;
        let is_source = nat.number(NAT_TYPE)? == SOURCE;
        let second = second.bytes(IMMEDIATE_DATA);
        let first = address_from_bytes(family, address)?;
        Some(if nat.number(NAT_PORT).is_some() {
            let to = SocketAddr::new(first, port(second?)?);
            if is_source { Action::SourceNatTo(to) } else { Action::DestinationNatTo(to) }
        } else if self.rest.len() == 3 {
            let network = network(family, address, second?)?;
            if is_source { Action::SourcePrefix(network) } else { Action::DestinationPrefix(network) }
        } else if is_source {
            Action::SourceNat(first)
        } else {
            Action::DestinationNat(first)
        })
    }

    /// Reports whether a test is no condition, because it only precedes the test of an address, of a field of
    /// TCP or UDP, or of a hardware address.
    fn precedes(&mut self, test: &Test) -> Option<bool> {
        match test.load(0)? {
            Load::Family => {
                let family = test.family()?;
                let is_address = |step: &Expression| step.load().and_then(Load::family) == Some(family);
                let leads_to_address = self.rest.iter().take(2).any(is_address);
                Some(self.family.replace(family) != Some(family) && leads_to_address)
            }
            Load::Protocol => {
                self.protocol = *test.value()?.first()?;
                Some(!matches!(self.protocol, ICMP | ICMPV6))
            }
            first => Some(first == Load::IncomingType),
        }
    }

    /// Decodes a test that is a condition.
    #[inline(never)]
    fn condition(&mut self, test: &Test) -> Option<Condition> {
        let inverted = test.is_inverted();
        let (first, second) = (test.load(0)?, test.load(1));
        Some(match (first, second) {
            (Load::Family, None) => Condition::Family(test.family()?),
            (Load::Protocol, None) => {
                let is_of_v6 = self.protocol == ICMPV6;
                Condition::Icmp(if is_of_v6 { Family::V6 } else { Family::V4 })
            }
            (Load::IncomingName, Some(Load::OutgoingName)) => Condition::InterfacePair(test.set()?),
            (_, Some(field)) => {
                let mut pairing =
                    Pairing { outgoing: first == Load::OutgoingName, destination: false, negated: inverted };
                let set = test.set()?;
                if field == Load::ConnectionMark {
                    Condition::Way(pairing, MarksAtInterfaces { set, mask: native_number(test.mask()?)? })
                } else {
                    let (family, length) = (field.family()?, test.length()?);
                    pairing.destination = field != Load::source(family);
                    Condition::Place(pairing, NetworksAtInterfaces { family, set, length })
                }
            }
            (Load::IncomingName | Load::OutgoingName, None) => {
                let interfaces = match test.set() {
                    Some(set) => Interfaces::In(set),
                    None => Interfaces::One(unpadded_name(test.value()?)?),
                };
                match (first == Load::IncomingName, inverted) {
                    (true, false) => Condition::Incoming(interfaces),
                    (true, true) => Condition::NotIncoming(interfaces),
                    (false, false) => Condition::Outgoing(interfaces),
                    (false, true) => Condition::NotOutgoing(interfaces),
                }
            }
            (Load::Device, None) => Condition::Device(match test.set() {
                Some(set) => Devices::In(set),
                None => Devices::One(Mac(*test.value()?.as_array()?)),
            }),
            (Load::Mark | Load::ConnectionMark, None) => {
                let mark = Mark { value: native_number(test.value()?)?, mask: native_number(test.mask()?)? };
                match (first == Load::Mark, inverted) {
                    (true, false) => Condition::Marked(mark),
                    (true, true) => Condition::NotMarked(mark),
                    (false, false) => Condition::ConnectionMarked(mark),
                    (false, true) => Condition::ConnectionNotMarked(mark),
                }
            }
            (Load::State, None) => Condition::Established,
            (Load::Status, None) => Condition::Redirected,
            (Load::Direction, None) => match test.value()? {
                [DIRECTION_ORIGINAL] => Condition::FromOriginator,
                _ => Condition::FromResponder,
            },
            (Load::Ports, None) => {
                let (from, to) = test.value()?.split_at_checked(2)?;
                Condition::UdpBetween(port(from)?, port(to)?)
            }
            (Load::DestinationPort, None) => {
                let is_range = test.end.number(CMP_OP)? == Relation::AtLeast as u32;
                let first = port(test.value()?)?;
                let last = if is_range { port(self.test()?.value()?)? } else { first };
                let is_tcp = self.protocol == TCP;
                if is_tcp { Condition::TcpPort(first, last) } else { Condition::UdpPort(first, last) }
            }
            (Load::TcpFlags, None) => Condition::TcpSyn,
            (field, None) => {
                let networks = test.networks(field.family()?)?;
                match (field == Load::source(networks.family()), inverted) {
                    (true, false) => Condition::Source(networks),
                    (true, true) => Condition::NotSource(networks),
                    (false, false) => Condition::Destination(networks),
                    (false, true) => Condition::NotDestination(networks),
                }
            }
        })
    }
}

/// Test: one or two loads, perhaps a mask, and a comparison or a lookup at the end.
struct Test<'a> {
    steps: &'a [Expression<'a>],
    end: Expression<'a>,
}

impl<'a> Test<'a> {
    fn load(&self, index: usize) -> Option<Load> {
        self.steps.get(index)?.load()
    }

    fn is_inverted(&self) -> bool {
        match self.end.step {
            Step::Lookup => self.end.number(LOOKUP_FLAGS) == Some(LOOKUP_INVERTED),
            _ => self.end.number(CMP_OP) == Some(Relation::NotEqual as u32),
        }
    }

    fn family(&self) -> Option<Family> {
        let [number] = self.value()? else { return None };
        family_of(u32::from(*number))
    }

    fn set(&self) -> Option<SetName> {
        self.end.set().map(|name| SetName(name.to_owned()))
    }

    fn value(&self) -> Option<&'a [u8]> {
        self.end.bytes(CMP_DATA)
    }

    fn mask(&self) -> Option<&'a [u8]> {
        self.steps.iter().find(|step| step.step == Step::Bitwise)?.bytes(BITWISE_MASK)
    }

    /// Returns the length of the tested prefix in bits.
    fn length(&self) -> Option<u8> {
        let length = match self.mask() {
            Some(mask) => mask.iter().map(|byte| byte.count_ones()).sum(),
            None => self.steps.iter().find_map(Expression::loaded)?.checked_mul(8)?,
        };
        u8::try_from(length).ok()
    }

    fn networks(&self, family: Family) -> Option<Networks> {
        if let Some(set) = self.set() {
            return Some(Networks::In(family, set));
        }
        let address = address_from_prefix(family, self.value()?)?;
        Cidr::new(address, self.length()?).map(Networks::One)
    }
}

/// Returns the port, or another number of two bytes.
fn port(value: &[u8]) -> Option<u16> {
    value.as_array().copied().map(u16::from_be_bytes)
}

fn family_of(number: u32) -> Option<Family> {
    [Family::V4, Family::V6].into_iter().find(|family| u32::from(family_number(*family)) == number)
}

/// Returns the network with these first and last addresses; some network if no network has them.
fn network(family: Family, first: &[u8], last: &[u8]) -> Option<Cidr> {
    let differing = first.iter().zip(last).map(|(first, last)| (first ^ last).count_ones()).sum::<u32>();
    let length = family.bits().checked_sub(u8::try_from(differing).ok()?)?;
    Cidr::new(address_from_prefix(family, first)?, length)
}
