//! Decoder from expressions to a rule.

use std::net::SocketAddr;

use super::super::expression::{Ct, Expression, Field, Meta, Relation};
use super::super::value::{address_from_bytes, address_from_prefix, unpadded_name};
use super::{DIRECTION_ORIGINAL, DIRECTION_REPLY, ICMP, ICMPV6, TCP, UDP, family_number};
use crate::base::net::{Cidr, Family, Mac, Mark};
use crate::firewall::{
    Action, Condition, Devices, FirewallRule, Interfaces, MarksAtInterfaces, Networks, NetworksAtInterfaces,
    SetName,
};

/// Decoder that looks only at the details which tell our conditions apart. [`rule_of`](super::rule_of) checks
/// all other details: it encodes the result and compares.
#[derive(Default)]
pub(super) struct Decoder<'a> {
    rest: &'a [Expression],
    family: Option<Family>,
    protocol: u8,
    conditions: Vec<Condition>,
}

impl<'a> Decoder<'a> {
    pub(super) fn of(expressions: &'a [Expression]) -> Self {
        Self { rest: expressions, ..Self::default() }
    }

    pub(super) fn rule(mut self) -> Option<FirewallRule> {
        loop {
            if let Some(action) = self.action() {
                return Some(FirewallRule { conditions: self.conditions, action });
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
            [Expression::Value(bytes), Expression::Redirect] => {
                Some(Action::Redirect(u16::from_be_bytes(*bytes.as_array()?)))
            }
            [Expression::Value(bytes), Expression::SourceNat(family)] => {
                Some(Action::SourceNat(address_from_bytes(*family, bytes)?))
            }
            [Expression::Value(bytes), Expression::DestinationNat(family)] => {
                Some(Action::DestinationNat(address_from_bytes(*family, bytes)?))
            }
            [Expression::Value(bytes), Expression::SecondValue(port), Expression::SourceNatTo(family)] => {
                address_and_port(*family, bytes, port).map(Action::SourceNatTo)
            }
            [
                Expression::Value(bytes),
                Expression::SecondValue(port),
                Expression::DestinationNatTo(family),
            ] => address_and_port(*family, bytes, port).map(Action::DestinationNatTo),
            [Expression::Value(first), Expression::SecondValue(last), Expression::SourcePrefix(family)] => {
                network(*family, first, last).map(Action::SourcePrefix)
            }
            [
                Expression::Value(first),
                Expression::SecondValue(last),
                Expression::DestinationPrefix(family),
            ] => network(*family, first, last).map(Action::DestinationPrefix),
            [Expression::Value(bytes), Expression::WriteMss] => {
                Some(Action::ClampMss(u16::from_be_bytes(*bytes.first_chunk()?)))
            }
            [Expression::Meta(Meta::Mark, _), Expression::Bits { kept, turned }, Expression::WriteMark] => {
                Some(Action::SetMark(Mark { value: *turned, mask: !kept }))
            }
            [
                Expression::Ct(Ct::Mark, _),
                Expression::Bits { kept, turned },
                Expression::WriteConnectionMark,
            ] => Some(Action::SetConnectionMark(Mark { value: *turned, mask: !kept })),
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
            Expression::Meta(Meta::IncomingType, _) => self.device()?,
            Expression::Meta(Meta::Mark, _) => match self.mark()? {
                (Relation::Equal, mark) => Condition::Marked(mark),
                (_, mark) => Condition::NotMarked(mark),
            },
            Expression::Ct(Ct::Mark, _) => match self.mark()? {
                (Relation::Equal, mark) => Condition::ConnectionMarked(mark),
                (_, mark) => Condition::ConnectionNotMarked(mark),
            },
            Expression::Ct(Ct::State, _) => self.take(2).map(|_| Condition::Established)?,
            Expression::Ct(Ct::Status, _) => self.take(2).map(|_| Condition::Redirected)?,
            Expression::Ct(Ct::Direction, _) => match self.compared()? {
                [DIRECTION_ORIGINAL] => Condition::FromOriginator,
                [DIRECTION_REPLY] => Condition::FromResponder,
                _ => return None,
            },
            Expression::Payload(Field::Source(family), length, _) => {
                let (networks, inverted) = self.networks(*family, *length)?;
                if inverted { Condition::NotSource(networks) } else { Condition::Source(networks) }
            }
            Expression::Payload(Field::Destination(family), length, _) => {
                let (networks, inverted) = self.networks(*family, *length)?;
                if inverted { Condition::NotDestination(networks) } else { Condition::Destination(networks) }
            }
            Expression::Payload(Field::Ports, ..) => {
                let [s, o, d, e] = *self.compared()?.as_array()?;
                Condition::UdpBetween(u16::from_be_bytes([s, o]), u16::from_be_bytes([d, e]))
            }
            Expression::Payload(Field::DestinationPort, ..) => self.port()?,
            Expression::Payload(Field::TcpFlags, ..) => self.take(2).map(|_| Condition::TcpSyn)?,
            _ => return None,
        };
        self.conditions.push(condition);
        Some(())
    }

    /// Decodes a test of the family. It is a condition, unless it only precedes the test of an address.
    fn family(&mut self) -> Option<()> {
        let number = self.compared()?;
        let family =
            [Family::V4, Family::V6].into_iter().find(|family| number == [family_number(*family)])?;
        let leads_to_address = match self.rest {
            [Expression::Payload(field, ..), ..]
            | [Expression::Meta(..), Expression::Payload(field, ..), ..] => {
                matches!(field, Field::Source(of) | Field::Destination(of) if *of == family)
            }
            _ => false,
        };
        if !leads_to_address || self.family == Some(family) {
            self.conditions.push(Condition::Family(family));
        }
        self.family = Some(family);
        Some(())
    }

    /// Decodes a test of the protocol. A test of ICMP is a condition; a test of UDP or TCP only precedes the
    /// test of a header field.
    fn protocol(&mut self) -> Option<()> {
        match self.compared()? {
            [protocol @ (TCP | UDP)] => self.protocol = *protocol,
            [ICMP] => self.conditions.push(Condition::Icmp(Family::V4)),
            [ICMPV6] => self.conditions.push(Condition::Icmp(Family::V6)),
            _ => return None,
        }
        Some(())
    }

    fn incoming(&mut self) -> Option<Condition> {
        if let [Expression::Meta(Meta::OutgoingName, _), Expression::Lookup { set, .. }, ..] = self.rest {
            return self.take(2).map(|_| Condition::InterfacePair(SetName(set.clone())));
        }
        if let [Expression::Payload(field, ..), ..] = self.rest {
            return self.place(*field);
        }
        if let [Expression::Ct(..), ..] = self.rest {
            return self.way().map(Condition::NotReturning);
        }
        let (interfaces, inverted) = self.interfaces()?;
        Some(if inverted { Condition::NotIncoming(interfaces) } else { Condition::Incoming(interfaces) })
    }

    /// Decodes the rest of a pair of an interface and a network.
    fn place(&mut self, field: Field) -> Option<Condition> {
        self.take(1)?;
        let (Field::Source(family) | Field::Destination(family)) = field else { return None };
        let mut length = u32::from(family.bits());
        if let [Expression::Mask(mask, _), ..] = self.rest {
            length = mask.iter().map(|byte| byte.count_ones()).sum();
            self.take(1)?;
        }
        let [Expression::Lookup { set, .. }] = self.take(1)? else { return None };
        let places =
            NetworksAtInterfaces { family, set: SetName(set.clone()), length: u8::try_from(length).ok()? };
        match field {
            Field::Source(_) => Some(Condition::NotFrom(places)),
            Field::Destination(_) => Some(Condition::NotTo(places)),
            _ => None,
        }
    }

    /// Decodes the rest of a pair of an interface and a connection mark.
    fn way(&mut self) -> Option<MarksAtInterfaces> {
        let [_, Expression::Mask(mask, _), Expression::Lookup { set, .. }] = self.take(3)? else {
            return None;
        };
        Some(MarksAtInterfaces { set: SetName(set.clone()), mask: u32::from_ne_bytes(*mask.as_array()?) })
    }

    fn outgoing(&mut self) -> Option<Condition> {
        if let [Expression::Ct(..), ..] = self.rest {
            return self.way().map(Condition::Departing);
        }
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

    fn device(&mut self) -> Option<Condition> {
        match self.take(3)? {
            [_, _, Expression::Lookup { set, .. }] => {
                Some(Condition::Device(Devices::In(SetName(set.clone()))))
            }
            [_, _, Expression::Compare(_, mac)] => {
                Some(Condition::Device(Devices::One(Mac(*mac.as_array()?))))
            }
            _ => None,
        }
    }

    fn mark(&mut self) -> Option<(Relation, Mark)> {
        let [Expression::Mask(mask, _), Expression::Compare(relation, value)] = self.take(2)? else {
            return None;
        };
        let number = |bytes: &[u8]| bytes.first_chunk().copied().map(u32::from_ne_bytes);
        Some((*relation, Mark { value: number(value)?, mask: number(mask)? }))
    }

    fn networks(&mut self, family: Family, loaded: u32) -> Option<(Networks, bool)> {
        let mut length = loaded.checked_mul(8)?;
        if let [Expression::Mask(mask, _), ..] = self.rest {
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

    fn port(&mut self) -> Option<Condition> {
        let (relation, first) = self.compared_port()?;
        let last = if relation == Relation::Equal { first } else { self.compared_port()?.1 };
        let port = if self.protocol == TCP { Condition::TcpPort } else { Condition::UdpPort };
        Some(port(first, last))
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

fn address_and_port(family: Family, address: &[u8], port: &[u8]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(*port.as_array()?);
    Some(SocketAddr::new(address_from_bytes(family, address)?, port))
}

/// Returns the network with these first and last addresses; some network if no network has them.
fn network(family: Family, first: &[u8], last: &[u8]) -> Option<Cidr> {
    let differing = first.iter().zip(last).map(|(first, last)| (first ^ last).count_ones()).sum::<u32>();
    let length = family.bits().checked_sub(u8::try_from(differing).ok()?)?;
    Cidr::new(address_from_prefix(family, first)?, length)
}
