//! Expressions that our rules consist of, about a dozen, to and from attributes: NFTA_* and NFT_* of
//! linux/netfilter/nf_tables.h.
//!
//! All expressions work on the first register, except loads and masks: for pairs, these may work on the
//! second register.

mod keys;
mod nat;

use nix::libc;

use crate::base::net::Family;
use crate::kernel::attributes::{AttributeWriter, Attributes};
use crate::kernel::constant::of_8_bits;
pub(super) use keys::{Ct, Field, Meta, Register, Relation};
use nat::End;

/// Expression: one step of the kernel's virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    /// Loads a fact about the packet into a register.
    Meta(Meta, Register),
    /// Loads a fact about the packet's connection.
    Ct(Ct, Register),
    /// Loads this number of bytes from the beginning of a header field.
    Payload(Field, u32, Register),
    /// Keeps these bits of the loaded value.
    Mask(Vec<u8>, Register),
    /// Keeps some bits of a loaded mark, and inverts others.
    Bits {
        kept: u32,
        turned: u32,
    },
    /// Makes the loaded value the mark of the packet.
    WriteMark,
    /// Makes the loaded value the mark of the packet's connection.
    WriteConnectionMark,
    /// Makes the kernel report each step of the packet from here on, if the loaded value is 1.
    WriteTrace,
    /// Ends the rule unless the loaded value has this relation to a value.
    Compare(Relation, Vec<u8>),
    /// Ends the rule unless the loaded value is in a set, or unless it is not (`inverted`).
    Lookup {
        set: String,
        inverted: bool,
    },
    /// Loads a value.
    Value(Vec<u8>),
    /// Loads a value into the second register.
    SecondValue(Vec<u8>),
    /// Writes the loaded value into the TCP option of the maximum segment size.
    WriteMss,
    Accept,
    Drop,
    /// Refuses with ICMP or ICMPv6 "administratively prohibited".
    Reject,
    Masquerade,
    /// Translates the source address to the loaded address of this family.
    SourceNat(Family),
    /// Translates the source to the loaded address of this family, and to the port in the second register.
    SourceNatTo(Family),
    /// Translates the first bits of the source address to those that the two loaded addresses have in common.
    SourcePrefix(Family),
    /// Redirects to the loaded port of this host.
    Redirect,
    /// Translates the destination address to the loaded address of this family.
    DestinationNat(Family),
    /// Translates the destination to the loaded address of this family, and to the port in the second
    /// register.
    DestinationNatTo(Family),
    /// Translates the first bits of the destination address to those that the two loaded addresses have in
    /// common.
    DestinationPrefix(Family),
}

const EXPR_NAME: u16 = 1;
const EXPR_DATA: u16 = 2;

const META_DREG: u16 = 1;
const META_KEY: u16 = 2;
const META_SREG: u16 = 3;

const CT_DREG: u16 = 1;
const CT_KEY: u16 = 2;
const CT_SREG: u16 = 4;

const PAYLOAD_DREG: u16 = 1;
const PAYLOAD_BASE: u16 = 2;
const PAYLOAD_OFFSET: u16 = 3;
const PAYLOAD_LEN: u16 = 4;

const BITWISE_SREG: u16 = 1;
const BITWISE_DREG: u16 = 2;
const BITWISE_LEN: u16 = 3;
const BITWISE_MASK: u16 = 4;
const BITWISE_XOR: u16 = 5;
const BITWISE_OP: u16 = 6;
const BITWISE_OP_MASK_XOR: u32 = 0;

const RANGE_SREG: u16 = 1;
const RANGE_OP: u16 = 2;
const RANGE_FROM: u16 = 3;
const RANGE_TO: u16 = 4;
const RANGE_IS_IN: u32 = libc::NFT_RANGE_EQ.cast_unsigned();

const CMP_SREG: u16 = 1;
const CMP_OP: u16 = 2;
const CMP_DATA: u16 = 3;

const LOOKUP_SET: u16 = 1;
const LOOKUP_SREG: u16 = 2;
const LOOKUP_DREG: u16 = 3;
const LOOKUP_FLAGS: u16 = 5;
const LOOKUP_INVERTED: u32 = libc::NFT_LOOKUP_F_INV.cast_unsigned();

const IMMEDIATE_DREG: u16 = 1;
const IMMEDIATE_DATA: u16 = 2;
const VERDICT_REGISTER: u32 = libc::NFT_REG_VERDICT.cast_unsigned();

const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_DROP: u32 = libc::NF_DROP.cast_unsigned();
const VERDICT_ACCEPT: u32 = libc::NF_ACCEPT.cast_unsigned();

const EXTHDR_TYPE: u16 = 2;
const EXTHDR_OFFSET: u16 = 3;
const EXTHDR_LEN: u16 = 4;
const EXTHDR_OP: u16 = 6;
const EXTHDR_SREG: u16 = 7;
const EXTHDR_OP_TCPOPT: u32 = 1;
/// Kind of the option, offset of its value, and length of the value in bytes: RFC 9293, section 3.2.
const MSS_OPTION: (u8, u32, u32) = (2, 2, 2);

const REDIRECT_PORT: u16 = 1;
const REDIRECT_LAST_PORT: u16 = 2;
const REDIRECT_FLAGS: u16 = 3;
const REDIRECT_HAS_PORT: u32 = 2; // NF_NAT_RANGE_PROTO_SPECIFIED of linux/netfilter/nf_nat.h

const REJECT_TYPE: u16 = 1;
const REJECT_CODE: u16 = 2;
const REJECT_ICMPX: u32 = libc::NFT_REJECT_ICMPX_UNREACH.cast_unsigned();
const REJECT_ADMIN_PROHIBITED: u8 = of_8_bits(libc::NFT_REJECT_ICMPX_ADMIN_PROHIBITED);

impl Expression {
    /// Encodes the expression as an element of a list.
    pub(super) fn encode(&self, writer: &mut AttributeWriter) {
        const LIST_ELEMENT: u16 = 1;
        writer.nest(LIST_ELEMENT, |writer| {
            writer.text(EXPR_NAME, self.name());
            writer.nest(EXPR_DATA, |writer| self.encode_data(writer));
        });
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Meta(..) | Self::WriteMark | Self::WriteTrace => "meta",
            Self::Ct(..) | Self::WriteConnectionMark => "ct",
            Self::Payload(..) => "payload",
            Self::Mask(..) | Self::Bits { .. } => "bitwise",
            Self::Compare(..) => "cmp",
            Self::Lookup { .. } => "lookup",
            Self::Value(_) | Self::SecondValue(_) | Self::Accept | Self::Drop => "immediate",
            Self::WriteMss => "exthdr",
            Self::Reject => "reject",
            Self::Masquerade => "masq",
            Self::Redirect => "redir",
            Self::SourceNat(_)
            | Self::DestinationNat(_)
            | Self::SourceNatTo(_)
            | Self::DestinationNatTo(_)
            | Self::SourcePrefix(_)
            | Self::DestinationPrefix(_) => "nat",
        }
    }

    fn encode_data(&self, writer: &mut AttributeWriter) {
        const FIRST: u32 = Register::First as u32;
        match self {
            Self::Meta(key, register) => {
                writer.number(META_DREG, *register as u32);
                writer.number(META_KEY, *key as u32);
            }
            Self::Ct(key, register) => {
                writer.number(CT_DREG, *register as u32);
                writer.number(CT_KEY, *key as u32);
            }
            Self::Payload(field, length, register) => {
                let (base, offset) = field.place();
                writer.number(PAYLOAD_DREG, *register as u32);
                writer.number(PAYLOAD_BASE, base);
                writer.number(PAYLOAD_OFFSET, offset);
                writer.number(PAYLOAD_LEN, *length);
            }
            Self::Mask(mask, register) => encode_bits(writer, *register, mask, &vec![0; mask.len()]),
            Self::Bits { kept, turned } => {
                encode_bits(writer, Register::First, &kept.to_ne_bytes(), &turned.to_ne_bytes());
            }
            Self::WriteMark => {
                writer.number(META_KEY, Meta::Mark as u32);
                writer.number(META_SREG, FIRST);
            }
            Self::WriteTrace => {
                writer.number(META_KEY, libc::NFT_META_NFTRACE.cast_unsigned());
                writer.number(META_SREG, FIRST);
            }
            Self::WriteConnectionMark => {
                writer.number(CT_KEY, Ct::Mark as u32);
                writer.number(CT_SREG, FIRST);
            }
            Self::Compare(relation, value) => {
                writer.number(CMP_SREG, FIRST);
                writer.number(CMP_OP, *relation as u32);
                writer.nest(CMP_DATA, |writer| writer.bytes(DATA_VALUE, value));
            }
            Self::Lookup { set, inverted } => {
                writer.text(LOOKUP_SET, set);
                writer.number(LOOKUP_SREG, FIRST);
                writer.number(LOOKUP_FLAGS, if *inverted { LOOKUP_INVERTED } else { 0 });
            }
            Self::Value(value) => encode_value(writer, Register::First, value),
            Self::SecondValue(value) => encode_value(writer, Register::Second, value),
            Self::Accept => encode_verdict(writer, VERDICT_ACCEPT),
            Self::Drop => encode_verdict(writer, VERDICT_DROP),
            Self::WriteMss => {
                let (option, offset, length) = MSS_OPTION;
                writer.number(EXTHDR_SREG, FIRST);
                writer.bytes(EXTHDR_TYPE, &[option]);
                writer.number(EXTHDR_OFFSET, offset);
                writer.number(EXTHDR_LEN, length);
                writer.number(EXTHDR_OP, EXTHDR_OP_TCPOPT);
            }
            Self::Reject => {
                writer.number(REJECT_TYPE, REJECT_ICMPX);
                writer.bytes(REJECT_CODE, &[REJECT_ADMIN_PROHIBITED]);
            }
            Self::Masquerade => {}
            Self::Redirect => writer.number(REDIRECT_PORT, FIRST),
            Self::SourceNat(family) => nat::encode_address(writer, End::Source, *family),
            Self::DestinationNat(family) => nat::encode_address(writer, End::Destination, *family),
            Self::SourceNatTo(family) => nat::encode_port(writer, End::Source, *family),
            Self::DestinationNatTo(family) => nat::encode_port(writer, End::Destination, *family),
            Self::SourcePrefix(family) => nat::encode_prefix(writer, End::Source, *family),
            Self::DestinationPrefix(family) => nat::encode_prefix(writer, End::Destination, *family),
        }
    }

    /// Decodes the test of a range, which nft 1.1 writes as one expression, into the two comparisons that we
    /// and earlier versions write.
    pub(super) fn decode_range(element: Attributes) -> Option<[Self; 2]> {
        let data = element.nested(EXPR_DATA);
        let is_range = element.text(EXPR_NAME)? == "range" && data.number(RANGE_OP)? == RANGE_IS_IN;
        first_register(data, RANGE_SREG).filter(|()| is_range)?;
        let compare = |relation, end| {
            let value = data.nested(end).bytes(DATA_VALUE)?;
            Some(Self::Compare(relation, value.to_vec()))
        };
        Some([compare(Relation::AtLeast, RANGE_FROM)?, compare(Relation::AtMost, RANGE_TO)?])
    }

    /// Decodes an element of a list; `None` if it is no expression of ours.
    pub(super) fn decode(element: Attributes) -> Option<Self> {
        let data = element.nested(EXPR_DATA);
        match element.text(EXPR_NAME)? {
            "meta" if data.bytes(META_SREG).is_some() => {
                first_register(data, META_SREG)?;
                (data.number(META_KEY)? == Meta::Mark as u32).then_some(Self::WriteMark)
            }
            "ct" if data.bytes(CT_SREG).is_some() => {
                first_register(data, CT_SREG)?;
                (data.number(CT_KEY)? == Ct::Mark as u32).then_some(Self::WriteConnectionMark)
            }
            "meta" => {
                let key = data.number(META_KEY)?;
                let key = Meta::ALL.into_iter().find(|known| *known as u32 == key)?;
                Some(Self::Meta(key, register(data, META_DREG)?))
            }
            "ct" => {
                let key = data.number(CT_KEY)?;
                let key = Ct::ALL.into_iter().find(|known| *known as u32 == key)?;
                Some(Self::Ct(key, register(data, CT_DREG)?))
            }
            "payload" => {
                let place = (data.number(PAYLOAD_BASE)?, data.number(PAYLOAD_OFFSET)?);
                let field = Field::ALL.into_iter().find(|known| known.place() == place)?;
                let length = data.number(PAYLOAD_LEN)?;
                Some(Self::Payload(field, length, register(data, PAYLOAD_DREG)?))
            }
            "bitwise" => decode_bits(data),
            "cmp" => {
                let relation = data.number(CMP_OP)?;
                let relation = Relation::ALL.into_iter().find(|known| *known as u32 == relation)?;
                let value = data.nested(CMP_DATA).bytes(DATA_VALUE)?.to_vec();
                first_register(data, CMP_SREG).map(|()| Self::Compare(relation, value))
            }
            "lookup" => {
                let inverted = match data.number(LOOKUP_FLAGS) {
                    None | Some(0) => false,
                    Some(LOOKUP_INVERTED) => true,
                    Some(_) => return None,
                };
                let lookup = Self::Lookup { set: data.text(LOOKUP_SET)?.to_owned(), inverted };
                first_register(data, LOOKUP_SREG).filter(|()| data.bytes(LOOKUP_DREG).is_none())?;
                Some(lookup)
            }
            "immediate" => decode_immediate(data),
            "exthdr" => decode_mss(data),
            "reject" => {
                let code = (data.number(REJECT_TYPE)?, data.bytes(REJECT_CODE)?);
                (code == (REJECT_ICMPX, &[REJECT_ADMIN_PROHIBITED])).then_some(Self::Reject)
            }
            "redir" => decode_redirect(data),
            "nat" => nat::decode(data),
            "masq" => data.is_empty().then_some(Self::Masquerade),
            _ => None,
        }
    }
}

fn encode_value(writer: &mut AttributeWriter, register: Register, value: &[u8]) {
    writer.number(IMMEDIATE_DREG, register as u32);
    writer.nest(IMMEDIATE_DATA, |writer| writer.bytes(DATA_VALUE, value));
}

fn encode_verdict(writer: &mut AttributeWriter, code: u32) {
    writer.number(IMMEDIATE_DREG, VERDICT_REGISTER);
    writer.nest(IMMEDIATE_DATA, |writer| {
        writer.nest(DATA_VERDICT, |writer| writer.number(VERDICT_CODE, code));
    });
}

fn encode_bits(writer: &mut AttributeWriter, register: Register, kept: &[u8], turned: &[u8]) {
    writer.number(BITWISE_SREG, register as u32);
    writer.number(BITWISE_DREG, register as u32);
    writer.number(BITWISE_LEN, u32::try_from(kept.len()).expect("at most an address"));
    writer.nest(BITWISE_MASK, |writer| writer.bytes(DATA_VALUE, kept));
    writer.nest(BITWISE_XOR, |writer| writer.bytes(DATA_VALUE, turned));
}

fn decode_bits(data: Attributes) -> Option<Expression> {
    let kept = data.nested(BITWISE_MASK).bytes(DATA_VALUE)?;
    let turned = data.nested(BITWISE_XOR).bytes(DATA_VALUE)?;
    let operation = data.number(BITWISE_OP).unwrap_or(BITWISE_OP_MASK_XOR); // Linux before 5.6 does not tell
    let register = register(data, BITWISE_SREG)?;
    if operation != BITWISE_OP_MASK_XOR || data.number(BITWISE_DREG)? != register as u32 {
        return None;
    }
    if turned.iter().all(|byte| *byte == 0) {
        return Some(Expression::Mask(kept.to_vec(), register));
    }
    if register != Register::First {
        return None;
    }
    let number = |bytes: &[u8]| Some(u32::from_ne_bytes(*bytes.as_array()?));
    Some(Expression::Bits { kept: number(kept)?, turned: number(turned)? })
}

fn decode_immediate(data: Attributes) -> Option<Expression> {
    let content = data.nested(IMMEDIATE_DATA);
    if data.number(IMMEDIATE_DREG)? != VERDICT_REGISTER {
        let value = content.bytes(DATA_VALUE)?.to_vec();
        return Some(match register(data, IMMEDIATE_DREG)? {
            Register::First => Expression::Value(value),
            Register::Second => Expression::SecondValue(value),
        });
    }
    match content.nested(DATA_VERDICT).number(VERDICT_CODE)? {
        VERDICT_ACCEPT => Some(Expression::Accept),
        VERDICT_DROP => Some(Expression::Drop),
        _ => None,
    }
}

fn decode_mss(data: Attributes) -> Option<Expression> {
    let &[option] = data.bytes(EXTHDR_TYPE)? else { return None };
    let place = (option, data.number(EXTHDR_OFFSET)?, data.number(EXTHDR_LEN)?);
    first_register(data, EXTHDR_SREG)?;
    (place == MSS_OPTION && data.number(EXTHDR_OP)? == EXTHDR_OP_TCPOPT).then_some(Expression::WriteMss)
}

/// Decodes a redirection. The kernel shows one port as a range from it to itself, with a flag for a port.
fn decode_redirect(data: Attributes) -> Option<Expression> {
    first_register(data, REDIRECT_PORT)?;
    let is_one_port = data.number(REDIRECT_LAST_PORT).is_none_or(|last| last == Register::First as u32);
    let flags = data.number(REDIRECT_FLAGS).unwrap_or(REDIRECT_HAS_PORT);
    (is_one_port && flags == REDIRECT_HAS_PORT).then_some(Expression::Redirect)
}

fn register(data: Attributes, kind: u16) -> Option<Register> {
    let number = data.number(kind)?;
    Register::ALL.into_iter().find(|known| *known as u32 == number)
}

fn first_register(data: Attributes, kind: u16) -> Option<()> {
    (data.number(kind)? == Register::First as u32).then_some(())
}
