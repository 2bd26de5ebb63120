//! Encoder from a rule to its expressions.

use std::net::IpAddr;

use nix::libc;

use super::super::expression::{
    self, FIRST, Load, MAPS_NETWORKS, MAPS_PORTS, NAT_ADDRESS, NAT_FAMILY, NAT_FLAGS, NAT_LAST_ADDRESS,
    NAT_PORT, NAT_TYPE, Relation, SECOND, Step, VERDICT_ACCEPT, VERDICT_DROP, Value, Writer,
};
use super::super::value::{MAC_LENGTH, address_bytes, address_length};
use super::{
    DESTINATION, DIRECTION_ORIGINAL, DIRECTION_REPLY, ICMP, ICMPV6, SOURCE, TCP, TracedFlow, UDP,
    family_number,
};
use crate::base::net::{Cidr, Family, Mark, netmask};
use crate::firewall::{
    Action, Condition, Devices, Interfaces, MarksAtInterfaces, Networks, NetworksAtInterfaces, Pairing,
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
    writer: Writer,
}

impl Encoder {
    pub(super) fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::Family(family) => self.ask_family(*family),
            Condition::Incoming(interfaces) => self.interface(Load::IncomingName, interfaces, false),
            Condition::NotIncoming(interfaces) => self.interface(Load::IncomingName, interfaces, true),
            Condition::Place(pairing, places) => self.place(*pairing, places),
            Condition::Way(pairing, ways) => self.way(*pairing, ways),
            Condition::Outgoing(interfaces) => self.interface(Load::OutgoingName, interfaces, false),
            Condition::NotOutgoing(interfaces) => self.interface(Load::OutgoingName, interfaces, true),
            Condition::InterfacePair(set) => {
                self.load(Load::IncomingName);
                self.writer.load(Load::OutgoingName, 0, SECOND);
                self.writer.look_up(&set.0, false);
            }
            Condition::Source(networks) => self.address(Load::source, networks, false),
            Condition::NotSource(networks) => self.address(Load::source, networks, true),
            Condition::Destination(networks) => self.address(Load::destination, networks, false),
            Condition::NotDestination(networks) => self.address(Load::destination, networks, true),
            Condition::Established => self.any_bit(Load::State, ESTABLISHED_RELATED),
            Condition::Redirected => self.any_bit(Load::Status, DESTINATION_TRANSLATED),
            Condition::FromOriginator => self.direction(DIRECTION_ORIGINAL),
            Condition::FromResponder => self.direction(DIRECTION_REPLY),
            Condition::Device(devices) => self.device(devices),
            Condition::Marked(mark) => self.mark(Load::Mark, *mark, Relation::Equal),
            Condition::NotMarked(mark) => self.mark(Load::Mark, *mark, Relation::NotEqual),
            Condition::ConnectionMarked(mark) => self.mark(Load::ConnectionMark, *mark, Relation::Equal),
            Condition::ConnectionNotMarked(mark) => {
                self.mark(Load::ConnectionMark, *mark, Relation::NotEqual);
            }
            Condition::Icmp(family) => self.ask_protocol(icmp(*family)),
            Condition::UdpPort(first, last) => self.port(UDP, *first, *last),
            Condition::UdpBetween(from, to) => self.ports(*from, *to),
            Condition::TcpPort(first, last) => self.port(TCP, *first, *last),
            Condition::TcpSyn => {
                self.need_protocol(TCP);
                self.writer.load(Load::TcpFlags, 1, FIRST);
                self.mask(&[TCP_SYN_RST], FIRST);
                self.writer.compare(Relation::Equal, &[TCP_SYN]);
            }
        }
    }

    /// Returns the expressions of a rule that makes the kernel report each step of a flow's packets, or of
    /// their answers, from here on.
    pub(super) fn tracing(mut self, flow: TracedFlow, are_answers: bool) -> Vec<u8> {
        let (from, to) = if are_answers { (Some(flow.to), None) } else { (flow.from, Some(flow.to)) };
        for (field, address) in [(Load::source as fn(_) -> _, from), (Load::destination, to)] {
            if let Some(address) = address {
                self.address(field, &Networks::One(Cidr::host(address)), false);
            }
        }
        match flow.port {
            _ if are_answers => self.direction(DIRECTION_REPLY),
            Some(port) => self.port(flow.protocol, port, port),
            None => {}
        }
        self.writer.value(FIRST, &[1]);
        self.writer.push(Step::Meta, &expression::WRITE_TRACE);
        self.writer.finish()
    }

    /// Ends the rule with its action, and returns all expressions of the rule.
    pub(super) fn action(mut self, action: Action) -> Vec<u8> {
        let end = match action {
            Action::SourceNat(_) | Action::SourceNatTo(_) | Action::SourcePrefix(_) => SOURCE,
            _ => DESTINATION,
        };
        match action {
            Action::Accept => self.writer.decide(VERDICT_ACCEPT),
            Action::Drop => self.writer.decide(VERDICT_DROP),
            Action::Reject => self.writer.push(Step::Reject, &expression::PROHIBIT),
            Action::Masquerade => self.writer.push(Step::Masquerade, &[]),
            Action::SourceNat(address) | Action::DestinationNat(address) => {
                self.translate(end, address, None);
            }
            Action::SourceNatTo(to) | Action::DestinationNatTo(to) => {
                self.translate(end, to.ip(), Some((NAT_PORT, MAPS_PORTS, &to.port().to_be_bytes())));
            }
            // The kernel takes the bits that the first and the last address share.
            Action::SourcePrefix(network) | Action::DestinationPrefix(network) => {
                let last = address_bytes(network.last());
                self.translate(end, network.address(), Some((NAT_LAST_ADDRESS, MAPS_NETWORKS, &last)));
            }
            Action::Offload => self.writer.push(Step::Offload, &expression::OFFLOAD),
            Action::Redirect(port) => {
                self.writer.value(FIRST, &port.to_be_bytes());
                self.writer.push(Step::Redirect, &expression::REDIRECT);
            }
            Action::ClampMss(bytes) => {
                self.writer.value(FIRST, &bytes.to_be_bytes());
                self.writer.push(Step::TcpOption, &expression::WRITE_MSS);
            }
            Action::SetMark(mark) => {
                self.load_with(Load::Mark, mark);
                self.writer.push(Step::Meta, &expression::WRITE_MARK);
            }
            Action::SetConnectionMark(mark) => {
                self.load_with(Load::ConnectionMark, mark);
                self.writer.push(Step::Ct, &expression::WRITE_CONNECTION_MARK);
            }
        }
        self.writer.finish()
    }

    /// Translates one end of the connection to an address, and to the value of a second attribute with its
    /// flag.
    fn translate(&mut self, end: u32, address: IpAddr, second: Option<(u16, u32, &[u8])>) {
        let mut attributes = vec![
            (NAT_TYPE, Value::Number(end)),
            (NAT_FAMILY, Value::Number(family_number(Family::of(address)).into())),
            (NAT_ADDRESS, Value::Number(FIRST)),
        ];
        self.writer.value(FIRST, &address_bytes(address));
        if let Some((attribute, flag, value)) = second {
            self.writer.value(SECOND, value);
            attributes.extend([(attribute, Value::Number(SECOND)), (NAT_FLAGS, Value::Number(flag))]);
        }
        self.writer.push(Step::Nat, &attributes);
    }

    /// Loads a mark, keeps all bits outside the mask, and sets the bits of the value.
    fn load_with(&mut self, fact: Load, Mark { value, mask }: Mark) {
        self.load(fact);
        self.writer.bits(&(!mask).to_ne_bytes(), &value.to_ne_bytes(), FIRST);
    }

    fn interface(&mut self, fact: Load, interfaces: &Interfaces, inverted: bool) {
        self.load(fact);
        match interfaces {
            Interfaces::One(name) => self.writer.compare(equality(inverted), name.padded()),
            Interfaces::In(set) => self.writer.look_up(&set.0, inverted),
        }
    }

    fn direction(&mut self, direction: u8) {
        self.load(Load::Direction);
        self.writer.compare(Relation::Equal, &[direction]);
    }

    /// Tests whether a fact has one of these bits.
    fn any_bit(&mut self, fact: Load, bits: u32) {
        self.mark(fact, Mark { value: 0, mask: bits }, Relation::NotEqual);
    }

    fn place(
        &mut self,
        pairing: Pairing,
        NetworksAtInterfaces { family, set, length }: &NetworksAtInterfaces,
    ) {
        self.need_family(*family);
        self.load(side(pairing));
        let field = if pairing.destination { Load::destination } else { Load::source };
        self.writer.load(field(*family), address_length(*family), SECOND);
        if *length < family.bits() {
            self.mask(&address_bytes(netmask(*family, *length)), SECOND);
        }
        self.writer.look_up(&set.0, pairing.negated);
    }

    fn way(&mut self, pairing: Pairing, MarksAtInterfaces { set, mask }: &MarksAtInterfaces) {
        self.load(side(pairing));
        self.writer.load(Load::ConnectionMark, 0, SECOND);
        self.mask(&mask.to_ne_bytes(), SECOND);
        self.writer.look_up(&set.0, pairing.negated);
    }

    fn address(&mut self, field: fn(Family) -> Load, networks: &Networks, inverted: bool) {
        let family = networks.family();
        self.need_family(family);
        let field = field(family);
        match networks {
            Networks::One(network) => self.network(field, *network, equality(inverted)),
            Networks::In(_, set) => {
                self.writer.load(field, address_length(family), FIRST);
                self.writer.look_up(&set.0, inverted);
            }
        }
    }

    /// Tests a network. A prefix of whole bytes is loaded without the rest of the address; for any other
    /// prefix, a mask removes the rest.
    fn network(&mut self, field: Load, network: Cidr, relation: Relation) {
        let mut address = address_bytes(network.address());
        let (family, length) = (network.family(), network.length());
        if length > 0 && length % 8 == 0 {
            address.truncate(usize::from(length / 8));
            self.writer.load(field, u32::from(length / 8), FIRST);
        } else {
            self.writer.load(field, address_length(family), FIRST);
            self.mask(&address_bytes(netmask(family, length)), FIRST);
        }
        self.writer.compare(relation, &address);
    }

    /// Tests the sender's hardware address, on Ethernet only: other links have another header.
    fn device(&mut self, devices: &Devices) {
        self.load(Load::IncomingType);
        self.writer.compare(Relation::Equal, &ETHERNET.to_ne_bytes());
        self.writer.load(Load::Device, MAC_LENGTH, FIRST);
        match devices {
            Devices::One(mac) => self.writer.compare(Relation::Equal, &mac.0),
            Devices::In(set) => self.writer.look_up(&set.0, false),
        }
    }

    fn mark(&mut self, fact: Load, Mark { value, mask }: Mark, relation: Relation) {
        self.load(fact);
        self.mask(&mask.to_ne_bytes(), FIRST);
        self.writer.compare(relation, &value.to_ne_bytes());
    }

    fn port(&mut self, protocol: u8, first: u16, last: u16) {
        self.need_protocol(protocol);
        self.writer.load(Load::DestinationPort, 2, FIRST);
        if first == last {
            self.writer.compare(Relation::Equal, &first.to_be_bytes());
        } else {
            self.writer.compare(Relation::AtLeast, &first.to_be_bytes());
            self.writer.compare(Relation::AtMost, &last.to_be_bytes());
        }
    }

    fn ports(&mut self, from: u16, to: u16) {
        self.need_protocol(UDP);
        self.writer.load(Load::Ports, 4, FIRST);
        self.writer.compare(Relation::Equal, [from, to].map(u16::to_be_bytes).as_flattened());
    }

    fn need_protocol(&mut self, protocol: u8) {
        if self.protocol != Some(protocol) {
            self.ask_protocol(protocol);
        }
    }

    fn ask_protocol(&mut self, protocol: u8) {
        self.load(Load::Protocol);
        self.writer.compare(Relation::Equal, &[protocol]);
        self.protocol = Some(protocol);
    }

    fn need_family(&mut self, family: Family) {
        if self.family != Some(family) {
            self.ask_family(family);
        }
    }

    fn ask_family(&mut self, family: Family) {
        self.load(Load::Family);
        self.writer.compare(Relation::Equal, &[family_number(family)]);
        self.family = Some(family);
    }

    /// Loads a fact about the packet or its connection.
    fn load(&mut self, fact: Load) {
        self.writer.load(fact, 0, FIRST);
    }

    /// Keeps these bits of the loaded value.
    fn mask(&mut self, kept: &[u8], register: u32) {
        self.writer.bits(kept, &vec![0; kept.len()], register);
    }
}

fn side(pairing: Pairing) -> Load {
    if pairing.outgoing { Load::OutgoingName } else { Load::IncomingName }
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
