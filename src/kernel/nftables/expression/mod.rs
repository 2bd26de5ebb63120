//! Expressions that our rules consist of, about a dozen, to and from attributes: NFTA_* and NFT_* of
//! linux/netfilter/nf_tables.h.
//!
//! All expressions work on the first register, except loads and masks: for pairs, these may work on the
//! second register.

mod keys;

use nix::libc;

use crate::firewall::FLOWTABLE;
use crate::kernel::attributes::{AttributeWriter, Attributes};
use crate::kernel::constant::of_8_bits;
use keys::{CT, HEADERS, META};
pub(super) use keys::{FIRST, Load, Relation, SECOND};

const LIST_ELEMENT: u16 = 1;
const EXPR_NAME: u16 = 1;
const EXPR_DATA: u16 = 2;

/// Attributes of loads: register, and key or header, offset and length.
const LOAD_DREG: u16 = 1;
const LOAD_KEY: u16 = 2;
const PAYLOAD_OFFSET: u16 = 3;
const PAYLOAD_LEN: u16 = 4;

const META_SREG: u16 = 3;
const CT_SREG: u16 = 4;

const BITWISE_SREG: u16 = 1;
const BITWISE_DREG: u16 = 2;
const BITWISE_LEN: u16 = 3;
pub(super) const BITWISE_MASK: u16 = 4;
pub(super) const BITWISE_XOR: u16 = 5;
const BITWISE_OP: u16 = 6;

const RANGE_SREG: u16 = 1;
const RANGE_OP: u16 = 2;
const RANGE_FROM: u16 = 3;
const RANGE_TO: u16 = 4;
const RANGE_IS_IN: u32 = libc::NFT_RANGE_EQ.cast_unsigned();

const CMP_SREG: u16 = 1;
pub(super) const CMP_OP: u16 = 2;
pub(super) const CMP_DATA: u16 = 3;

pub(super) const LOOKUP_SET: u16 = 1;
const LOOKUP_SREG: u16 = 2;
const LOOKUP_DREG: u16 = 3;
pub(super) const LOOKUP_FLAGS: u16 = 5;
pub(super) const LOOKUP_INVERTED: u32 = libc::NFT_LOOKUP_F_INV.cast_unsigned();

const IMMEDIATE_DREG: u16 = 1;
pub(super) const IMMEDIATE_DATA: u16 = 2;
const VERDICT_REGISTER: u32 = libc::NFT_REG_VERDICT.cast_unsigned();

const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
pub(super) const VERDICT_DROP: u32 = libc::NF_DROP.cast_unsigned();
pub(super) const VERDICT_ACCEPT: u32 = libc::NF_ACCEPT.cast_unsigned();

const MASQUERADE_FLAGS: u16 = 1;
const MASQUERADE_PORT: u16 = 2;

const REDIRECT_PORT: u16 = 1;
const REDIRECT_LAST_PORT: u16 = 2;
const REDIRECT_FLAGS: u16 = 3;

pub(super) const NAT_TYPE: u16 = 1;
pub(super) const NAT_FAMILY: u16 = 2;
pub(super) const NAT_ADDRESS: u16 = 3;
pub(super) const NAT_LAST_ADDRESS: u16 = 4;
pub(super) const NAT_PORT: u16 = 5;
const NAT_LAST_PORT: u16 = 6;
pub(super) const NAT_FLAGS: u16 = 7;

/// NF_NAT_RANGE_MAP_IPS, _PROTO_SPECIFIED and _NETMAP of linux/netfilter/nf_nat.h. The kernel adds the first
/// to every rule with an address, and the second to every rule with a port.
const MAPS_ADDRESSES: u32 = 1;
pub(super) const MAPS_PORTS: u32 = 1 << 1;
pub(super) const MAPS_NETWORKS: u32 = 1 << 6;

/// Kind of an expression: one step of the kernel's virtual machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Meta,
    Ct,
    Payload,
    Bitwise,
    Compare,
    Lookup,
    Immediate,
    TcpOption,
    Reject,
    Masquerade,
    Redirect,
    Nat,
    Offload,
}

/// Steps with their names.
const STEPS: [(Step, &str); 13] = [
    (Step::Meta, "meta"),
    (Step::Ct, "ct"),
    (Step::Payload, "payload"),
    (Step::Bitwise, "bitwise"),
    (Step::Compare, "cmp"),
    (Step::Lookup, "lookup"),
    (Step::Immediate, "immediate"),
    (Step::TcpOption, "exthdr"),
    (Step::Reject, "reject"),
    (Step::Masquerade, "masq"),
    (Step::Redirect, "redir"),
    (Step::Nat, "nat"),
    (Step::Offload, "flow_offload"),
];

/// Attributes that the kernel may show and we do not write, or the other way round, with the value that the
/// lack of the attribute means; an empty value means that the attribute must be absent. The kernel shows one
/// address or port as a range from it to itself. Other attributes that we do not write do not matter.
const DEFAULTS: [(Step, u16, &[u8]); 11] = [
    // Linux before 5.6 does not tell the operation: NFT_BITWISE_MASK_XOR.
    (Step::Bitwise, BITWISE_OP, &0_u32.to_be_bytes()),
    (Step::Lookup, LOOKUP_FLAGS, &0_u32.to_be_bytes()),
    (Step::Lookup, LOOKUP_DREG, &[]),
    (Step::Masquerade, MASQUERADE_FLAGS, &[]),
    (Step::Masquerade, MASQUERADE_PORT, &[]),
    (Step::Redirect, REDIRECT_LAST_PORT, &FIRST.to_be_bytes()),
    (Step::Redirect, REDIRECT_FLAGS, &MAPS_PORTS.to_be_bytes()),
    (Step::Nat, NAT_LAST_ADDRESS, &FIRST.to_be_bytes()),
    (Step::Nat, NAT_PORT, &[]),
    (Step::Nat, NAT_LAST_PORT, &SECOND.to_be_bytes()),
    (Step::Nat, NAT_FLAGS, &0_u32.to_be_bytes()),
];

/// Number behind the largest attribute of an expression.
const ALL_ATTRIBUTES: u16 = 8;

/// Expression with its attributes, as read.
#[derive(Clone, Copy)]
pub(super) struct Expression<'a> {
    pub(super) step: Step,
    data: Attributes<'a>,
}

impl<'a> Expression<'a> {
    /// Returns the expressions in a list; `None` if one is none of ours.
    pub(super) fn all(list: &'a [u8]) -> Option<Vec<Self>> {
        let mut all = Vec::new();
        for element in Attributes::of(list).elements() {
            let name = element.text(EXPR_NAME)?;
            let (step, _) = STEPS.iter().find(|(_, known)| *known == name)?;
            all.push(Self { step: *step, data: element.nested(EXPR_DATA) });
        }
        Some(all)
    }

    /// Returns a number among the attributes.
    pub(super) fn number(&self, kind: u16) -> Option<u32> {
        self.data.number(kind)
    }

    /// Returns the name of the set of a lookup, which has at most 255 bytes.
    pub(super) fn set(&self) -> Option<&'a str> {
        self.data.text(LOOKUP_SET).filter(|name| self.step == Step::Lookup && name.len() < 256)
    }

    /// Returns the fact that the expression loads.
    pub(super) fn load(&self) -> Option<Load> {
        let key = self.number(LOAD_KEY)?;
        let number = match self.step {
            Step::Meta => META << 8 | key,
            Step::Ct => CT << 8 | key,
            Step::Payload => key.checked_add(HEADERS)?.checked_mul(1 << 8)? | self.number(PAYLOAD_OFFSET)?,
            _ => return None,
        };
        Load::ALL.into_iter().find(|known| *known as u32 == number)
    }

    /// Returns the number of bytes that the expression loads from a header.
    pub(super) fn loaded(&self) -> Option<u32> {
        self.number(PAYLOAD_LEN)
    }

    /// Returns the bytes of an attribute: those of the value in it, if it holds a value or a verdict.
    pub(super) fn bytes(&self, kind: u16) -> Option<&'a [u8]> {
        match (self.step, kind) {
            (Step::Compare, CMP_DATA)
            | (Step::Immediate, IMMEDIATE_DATA)
            | (Step::Bitwise, BITWISE_MASK | BITWISE_XOR) => {
                let data = self.data.nested(kind);
                data.bytes(DATA_VALUE).or_else(|| data.nested(DATA_VERDICT).bytes(VERDICT_CODE))
            }
            _ => self.data.bytes(kind),
        }
    }

    /// Reports whether the expression, which the kernel showed, means the same as one that we write.
    pub(super) fn is(&self, ours: &Self) -> bool {
        let is_same = |kind: u16| {
            let default = DEFAULTS.iter().find(|(step, of, _)| (*step, *of) == (self.step, kind));
            let value = |expression: &Self| expression.bytes(kind).or(default.map(|(.., value)| *value));
            match (value(self), value(ours)) {
                (Some(found), Some(wanted)) if self.step == Step::Nat && kind == NAT_FLAGS => {
                    let flags = |bytes: &[u8]| bytes.as_array().copied().map(u32::from_be_bytes);
                    flags(found).map(|flags| flags & !MAPS_ADDRESSES) == flags(wanted)
                }
                (found, wanted) => wanted.is_none() || found == wanted,
            }
        };
        // Most expressions are equal byte for byte, and this comparison is much faster.
        let is_equal = || self.data.iter().eq(ours.data.iter());
        self.step == ours.step && (is_equal() || (0..ALL_ATTRIBUTES).all(is_same))
    }
}

/// Returns a list of expressions in which the test of a range, which nft 1.1 writes as one expression, is the
/// two comparisons that we and earlier versions write.
pub(super) fn without_ranges(expressions: Attributes) -> Vec<u8> {
    let mut writer = Writer::default();
    for (_, element) in expressions.iter() {
        let data = Attributes::of(element).nested(EXPR_DATA);
        let ends = [RANGE_FROM, RANGE_TO].map(|end| data.nested(end).bytes(DATA_VALUE));
        let is_range = Attributes::of(element).text(EXPR_NAME) == Some("range")
            && data.number(RANGE_SREG) == Some(FIRST)
            && data.number(RANGE_OP) == Some(RANGE_IS_IN);
        match ends {
            [Some(first), Some(last)] if is_range => {
                writer.compare(Relation::AtLeast, first);
                writer.compare(Relation::AtMost, last);
            }
            _ => writer.0.bytes(LIST_ELEMENT, element),
        }
    }
    writer.finish()
}

/// Value of an attribute to write.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Number(u32),
    Byte(u8),
    Text(&'a str),
    Data(&'a [u8]),
    Verdict(u32),
}

/// Attribute to write.
type Attribute<'a> = (u16, Value<'a>);

/// Writes the loaded value into the mark of the packet, or into that of its connection; or makes the kernel
/// report each step of the packet from here on, if the loaded value is 1.
pub(super) const WRITE_MARK: [Attribute; 2] = written_meta(libc::NFT_META_MARK);
pub(super) const WRITE_TRACE: [Attribute; 2] = written_meta(libc::NFT_META_NFTRACE);
pub(super) const WRITE_CONNECTION_MARK: [Attribute; 2] =
    [(LOAD_KEY, Value::Number(libc::NFT_CT_MARK.cast_unsigned())), (CT_SREG, Value::Number(FIRST))];

/// Writes the loaded value into the TCP option of the maximum segment size: NFTA_EXTHDR_TYPE, _OFFSET, _LEN,
/// _OP (NFT_EXTHDR_OP_TCPOPT) and _SREG. The option has kind 2, and a value of two bytes behind the first two
/// (RFC 9293, section 3.2).
pub(super) const WRITE_MSS: [Attribute; 5] = [
    (2, Value::Byte(2)),
    (3, Value::Number(2)),
    (4, Value::Number(2)),
    (6, Value::Number(1)),
    (7, Value::Number(FIRST)),
];

/// Refuses with ICMP or ICMPv6 "administratively prohibited": NFTA_REJECT_TYPE and NFTA_REJECT_ICMP_CODE.
pub(super) const PROHIBIT: [Attribute; 2] = [
    (1, Value::Number(libc::NFT_REJECT_ICMPX_UNREACH.cast_unsigned())),
    (2, Value::Byte(of_8_bits(libc::NFT_REJECT_ICMPX_ADMIN_PROHIBITED))),
];

/// Redirects to the loaded port of this host.
pub(super) const REDIRECT: [Attribute; 1] = [(REDIRECT_PORT, Value::Number(FIRST))];

/// Offers the connection to our flowtable: NFTA_FLOW_TABLE_NAME.
pub(super) const OFFLOAD: [Attribute; 1] = [(1, Value::Text(FLOWTABLE))];

const fn written_meta(key: libc::c_int) -> [Attribute<'static>; 2] {
    [(LOAD_KEY, Value::Number(key.cast_unsigned())), (META_SREG, Value::Number(FIRST))]
}

/// Writer of a list of expressions.
#[derive(Default)]
pub(super) struct Writer(AttributeWriter);

impl Writer {
    /// Returns the list.
    pub(super) fn finish(self) -> Vec<u8> {
        self.0.finish()
    }

    /// Writes an expression.
    pub(super) fn push(&mut self, step: Step, attributes: &[Attribute]) {
        self.0.nest(LIST_ELEMENT, |writer| {
            writer.text(EXPR_NAME, STEPS[step as usize].1);
            writer.nest(EXPR_DATA, |writer| {
                for (kind, value) in attributes {
                    write(writer, *kind, *value);
                }
            });
        });
    }

    /// Loads a fact; of a header field, this number of bytes from its beginning.
    pub(super) fn load(&mut self, fact: Load, bytes: u32, register: u32) {
        let (group, key) = (fact as u32 >> 8, Value::Number(fact as u32 & 0xff));
        let register = (LOAD_DREG, Value::Number(register));
        // In the order in which the kernel shows them.
        match group {
            META => self.push(Step::Meta, &[(LOAD_KEY, key), register]),
            CT => self.push(Step::Ct, &[register, (LOAD_KEY, key)]),
            _ => {
                let header = (LOAD_KEY, Value::Number(group - HEADERS));
                let length = (PAYLOAD_LEN, Value::Number(bytes));
                self.push(Step::Payload, &[register, header, (PAYLOAD_OFFSET, key), length]);
            }
        }
    }

    /// Keeps some bits of the loaded value, and inverts others.
    pub(super) fn bits(&mut self, kept: &[u8], turned: &[u8], register: u32) {
        let length = u32::try_from(kept.len()).unwrap_or_default();
        let attributes = [
            (BITWISE_SREG, Value::Number(register)),
            (BITWISE_DREG, Value::Number(register)),
            (BITWISE_LEN, Value::Number(length)),
            (BITWISE_MASK, Value::Data(kept)),
            (BITWISE_XOR, Value::Data(turned)),
        ];
        self.push(Step::Bitwise, &attributes);
    }

    /// Ends the rule unless the loaded value has this relation to a value.
    pub(super) fn compare(&mut self, relation: Relation, value: &[u8]) {
        let operation = (CMP_OP, Value::Number(relation as u32));
        self.push(
            Step::Compare,
            &[(CMP_SREG, Value::Number(FIRST)), operation, (CMP_DATA, Value::Data(value))],
        );
    }

    /// Ends the rule unless the loaded value is in a set, or unless it is not.
    pub(super) fn look_up(&mut self, set: &str, inverted: bool) {
        let flags = if inverted { LOOKUP_INVERTED } else { 0 };
        let attributes = [
            (LOOKUP_SET, Value::Text(set)),
            (LOOKUP_SREG, Value::Number(FIRST)),
            (LOOKUP_FLAGS, Value::Number(flags)),
        ];
        self.push(Step::Lookup, &attributes);
    }

    /// Loads a value.
    pub(super) fn value(&mut self, register: u32, value: &[u8]) {
        let register = (IMMEDIATE_DREG, Value::Number(register));
        self.push(Step::Immediate, &[register, (IMMEDIATE_DATA, Value::Data(value))]);
    }

    /// Decides on the packet.
    pub(super) fn decide(&mut self, verdict: u32) {
        let register = (IMMEDIATE_DREG, Value::Number(VERDICT_REGISTER));
        self.push(Step::Immediate, &[register, (IMMEDIATE_DATA, Value::Verdict(verdict))]);
    }
}

fn write(writer: &mut AttributeWriter, kind: u16, value: Value) {
    match value {
        Value::Number(number) => writer.number(kind, number),
        Value::Byte(byte) => writer.bytes(kind, &[byte]),
        Value::Text(text) => writer.text(kind, text),
        Value::Data(data) => writer.nest(kind, |writer| writer.bytes(DATA_VALUE, data)),
        Value::Verdict(code) => writer.nest(kind, |writer| {
            writer.nest(DATA_VERDICT, |writer| writer.number(VERDICT_CODE, code));
        }),
    }
}
