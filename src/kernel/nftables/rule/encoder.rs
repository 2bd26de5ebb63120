//! Encoder from a rule to its expressions.

use std::net::SocketAddr;

use nix::libc;

use super::super::expression::{Ct, Expression, Field, Meta, Register, Relation};
use super::super::value::{MAC_LENGTH, address_bytes, address_length, mask_bytes};
use super::{DIRECTION_ORIGINAL, DIRECTION_REPLY, ICMP, ICMPV6, TCP, UDP, family_number};
use crate::base::net::{Cidr, Family, Mark, netmask};
use crate::firewall::{
    Action, Condition, Devices, Interfaces, MarksAtInterfaces, Networks, NetworksAtInterfaces, SetName,
};

/// Flag SYN, and the mask of SYN and RST.
const TCP_SYN: u8 = 0x02;
const TCP_SYN_RST: u8 = 0x06;

/// Bits of `ct state` for established and related: NF_CT_STATE_BIT in linux/netfilter/nf_conntrack_common.h.
const ESTABLISHED_RELATED: u32 = 0x06;

/// Bit of `ct status` for a translated destination: IPS_DST_NAT in the same file.
const DESTINATION_TRANSLATED: u32 = 0x20;

const ETHERNET: u16 = libc::ARPHRD_ETHER;

/// Encoder that remembers the tests so far, because a rule looks at a header only behind the test that the
/// packet has it.
#[derive(Default)]
pub(super) struct Encoder {
    family: Option<Family>,
    protocol: Option<u8>,
    expressions: Vec<Expression>,
}

impl Encoder {
    pub(super) fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::Family(family) => self.ask_family(*family),
            Condition::Incoming(interfaces) => self.interface(Meta::IncomingName, interfaces, false),
            Condition::NotIncoming(interfaces) => self.interface(Meta::IncomingName, interfaces, true),
            Condition::NotFrom(places) => self.place(Field::Source(places.family), places),
            Condition::NotTo(places) => self.place(Field::Destination(places.family), places),
            Condition::NotReturning(ways) => self.way(Meta::IncomingName, ways, true),
            Condition::Departing(ways) => self.way(Meta::OutgoingName, ways, false),
            Condition::Outgoing(interfaces) => self.interface(Meta::OutgoingName, interfaces, false),
            Condition::NotOutgoing(interfaces) => self.interface(Meta::OutgoingName, interfaces, true),
            Condition::InterfacePair(set) => {
                self.push(Expression::Meta(Meta::IncomingName, Register::First));
                self.push(Expression::Meta(Meta::OutgoingName, Register::Second));
                self.push(lookup(set, false));
            }
            Condition::Source(networks) => self.address(Field::Source, networks, false),
            Condition::NotSource(networks) => self.address(Field::Source, networks, true),
            Condition::Destination(networks) => self.address(Field::Destination, networks, false),
            Condition::NotDestination(networks) => self.address(Field::Destination, networks, true),
            Condition::Established => {
                self.push(Expression::Ct(Ct::State, Register::First));
                self.mask(ESTABLISHED_RELATED.to_ne_bytes().to_vec());
                self.compare(Relation::NotEqual, &[0; 4]);
            }
            Condition::Redirected => {
                self.push(Expression::Ct(Ct::Status, Register::First));
                self.mask(DESTINATION_TRANSLATED.to_ne_bytes().to_vec());
                self.compare(Relation::NotEqual, &[0; 4]);
            }
            Condition::FromOriginator => self.direction(DIRECTION_ORIGINAL),
            Condition::FromResponder => self.direction(DIRECTION_REPLY),
            Condition::Device(devices) => self.device(devices),
            Condition::Marked(mark) => self.mark(Expression::Meta(Meta::Mark, Register::First), *mark, false),
            Condition::NotMarked(mark) => {
                self.mark(Expression::Meta(Meta::Mark, Register::First), *mark, true);
            }
            Condition::ConnectionMarked(mark) => self.mark(connection_mark(), *mark, false),
            Condition::ConnectionNotMarked(mark) => self.mark(connection_mark(), *mark, true),
            Condition::Icmp(family) => self.ask_protocol(icmp(*family)),
            Condition::UdpPort(first, last) => self.port(UDP, *first, *last),
            Condition::UdpBetween(from, to) => self.ports(*from, *to),
            Condition::TcpPort(first, last) => self.port(TCP, *first, *last),
            Condition::TcpSyn => {
                self.need_protocol(TCP);
                self.load(Field::TcpFlags, 1);
                self.mask(vec![TCP_SYN_RST]);
                self.compare(Relation::Equal, &[TCP_SYN]);
            }
        }
    }

    /// Returns all expressions of the conditions.
    pub(super) fn finish(self) -> Vec<Expression> {
        self.expressions
    }

    /// Ends the rule with its action, and returns all expressions of the rule.
    pub(super) fn action(mut self, action: Action) -> Vec<Expression> {
        match action {
            Action::Accept => self.push(Expression::Accept),
            Action::Drop => self.push(Expression::Drop),
            Action::Reject => self.push(Expression::Reject),
            Action::Masquerade => self.push(Expression::Masquerade),
            Action::SourceNat(address) => {
                self.push(Expression::Value(address_bytes(address)));
                self.push(Expression::SourceNat(Family::of(address)));
            }
            Action::SourceNatTo(address) => self.address_and_port(address, Expression::SourceNatTo),
            Action::DestinationNatTo(address) => self.address_and_port(address, Expression::DestinationNatTo),
            Action::SourcePrefix(network) => self.prefix(network, Expression::SourcePrefix),
            Action::DestinationPrefix(network) => self.prefix(network, Expression::DestinationPrefix),
            Action::Redirect(port) => {
                self.push(Expression::Value(port.to_be_bytes().to_vec()));
                self.push(Expression::Redirect);
            }
            Action::DestinationNat(address) => {
                self.push(Expression::Value(address_bytes(address)));
                self.push(Expression::DestinationNat(Family::of(address)));
            }
            Action::ClampMss(bytes) => {
                self.push(Expression::Value(bytes.to_be_bytes().to_vec()));
                self.push(Expression::WriteMss);
            }
            Action::SetMark(mark) => {
                self.push(Expression::Meta(Meta::Mark, Register::First));
                self.push(bits(mark));
                self.push(Expression::WriteMark);
            }
            Action::SetConnectionMark(mark) => {
                self.push(connection_mark());
                self.push(bits(mark));
                self.push(Expression::WriteConnectionMark);
            }
        }
        self.expressions
    }

    /// Translates to a network: the kernel takes the bits that its first and its last address share.
    fn address_and_port(&mut self, address: SocketAddr, translation: fn(Family) -> Expression) {
        self.push(Expression::Value(address_bytes(address.ip())));
        self.push(Expression::SecondValue(address.port().to_be_bytes().to_vec()));
        self.push(translation(Family::of(address.ip())));
    }

    fn prefix(&mut self, network: Cidr, translation: fn(Family) -> Expression) {
        self.push(Expression::Value(address_bytes(network.address())));
        self.push(Expression::SecondValue(address_bytes(network.last())));
        self.push(translation(network.family()));
    }

    fn interface(&mut self, key: Meta, interfaces: &Interfaces, inverted: bool) {
        self.push(Expression::Meta(key, Register::First));
        match interfaces {
            Interfaces::One(name) => self.compare(equality(inverted), name.padded()),
            Interfaces::In(set) => self.push(lookup(set, inverted)),
        }
    }

    fn direction(&mut self, direction: u8) {
        self.push(Expression::Ct(Ct::Direction, Register::First));
        self.compare(Relation::Equal, &[direction]);
    }

    fn place(&mut self, field: Field, NetworksAtInterfaces { family, set, length }: &NetworksAtInterfaces) {
        self.need_family(*family);
        self.push(Expression::Meta(Meta::IncomingName, Register::First));
        self.push(Expression::Payload(field, address_length(*family), Register::Second));
        if *length < family.bits() {
            self.push(Expression::Mask(address_bytes(netmask(*family, *length)), Register::Second));
        }
        self.push(lookup(set, true));
    }

    fn way(&mut self, key: Meta, MarksAtInterfaces { set, mask }: &MarksAtInterfaces, inverted: bool) {
        self.push(Expression::Meta(key, Register::First));
        self.push(Expression::Ct(Ct::Mark, Register::Second));
        self.push(Expression::Mask(mask.to_ne_bytes().to_vec(), Register::Second));
        self.push(lookup(set, inverted));
    }

    fn address(&mut self, field: fn(Family) -> Field, networks: &Networks, inverted: bool) {
        let family = networks.family();
        self.need_family(family);
        let field = field(family);
        match networks {
            Networks::One(network) => self.network(field, *network, equality(inverted)),
            Networks::In(_, set) => {
                self.load(field, address_length(family));
                self.push(lookup(set, inverted));
            }
        }
    }

    /// Tests a network. A prefix of whole bytes is loaded without the rest of the address; for any other
    /// prefix, a mask removes the rest.
    fn network(&mut self, field: Field, network: Cidr, relation: Relation) {
        let address = address_bytes(network.address());
        let (whole_bytes, bits) = (network.length() / 8, network.length() % 8);
        if whole_bytes > 0 && bits == 0 {
            self.load(field, u32::from(whole_bytes));
            self.compare(relation, &address[..usize::from(whole_bytes)]);
        } else {
            self.load(field, address_length(network.family()));
            self.mask(mask_bytes(network));
            self.compare(relation, &address);
        }
    }

    /// Tests the sender's hardware address, on Ethernet only: other links have another header.
    fn device(&mut self, devices: &Devices) {
        self.push(Expression::Meta(Meta::IncomingType, Register::First));
        self.compare(Relation::Equal, &ETHERNET.to_ne_bytes());
        self.load(Field::Device, MAC_LENGTH);
        match devices {
            Devices::One(mac) => self.compare(Relation::Equal, &mac.0),
            Devices::In(set) => self.push(lookup(set, false)),
        }
    }

    fn mark(&mut self, load: Expression, Mark { value, mask }: Mark, inverted: bool) {
        self.push(load);
        self.mask(mask.to_ne_bytes().to_vec());
        self.compare(equality(inverted), &value.to_ne_bytes());
    }

    fn port(&mut self, protocol: u8, first: u16, last: u16) {
        self.need_protocol(protocol);
        self.load(Field::DestinationPort, 2);
        if first == last {
            self.compare(Relation::Equal, &first.to_be_bytes());
        } else {
            self.compare(Relation::AtLeast, &first.to_be_bytes());
            self.compare(Relation::AtMost, &last.to_be_bytes());
        }
    }

    fn ports(&mut self, from: u16, to: u16) {
        self.need_protocol(UDP);
        self.load(Field::Ports, 4);
        self.compare(Relation::Equal, &[from.to_be_bytes(), to.to_be_bytes()].concat());
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

    fn need_family(&mut self, family: Family) {
        if self.family != Some(family) {
            self.ask_family(family);
        }
    }

    fn ask_family(&mut self, family: Family) {
        self.push(Expression::Meta(Meta::Family, Register::First));
        self.compare(Relation::Equal, &[family_number(family)]);
        self.family = Some(family);
    }

    fn compare(&mut self, relation: Relation, value: &[u8]) {
        self.push(Expression::Compare(relation, value.to_vec()));
    }

    fn load(&mut self, field: Field, bytes: u32) {
        self.push(Expression::Payload(field, bytes, Register::First));
    }

    fn mask(&mut self, kept: Vec<u8>) {
        self.push(Expression::Mask(kept, Register::First));
    }

    fn push(&mut self, expression: Expression) {
        self.expressions.push(expression);
    }
}

fn connection_mark() -> Expression {
    Expression::Ct(Ct::Mark, Register::First)
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

/// Returns the expression that keeps all bits outside the mask, and sets the bits of the value.
fn bits(Mark { value, mask }: Mark) -> Expression {
    Expression::Bits { kept: !mask, turned: value }
}
