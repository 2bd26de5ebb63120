//! Rules, to and from expressions. The `nft` program makes the same expressions of the same rule, so `nft`
//! shows our rules as a person would write them, and we recognise our rules if a script loaded them.

mod decoder;
mod encoder;

use std::net::IpAddr;

use nix::libc;

use super::chain;
use super::expression::{Expression, without_ranges};
use crate::base::net::Family;
use crate::firewall::{Chain, FirewallRule};
use crate::kernel::attributes::{AttributeWriter, Attributes};
use crate::kernel::constant::of_8_bits;
use decoder::Decoder;
use encoder::Encoder;

/// IP_CT_DIR_ORIGINAL.
const DIRECTION_ORIGINAL: u8 = 0;
/// IP_CT_DIR_REPLY.
const DIRECTION_REPLY: u8 = 1;

/// Ends of a connection whose address is translated: NFT_NAT_SNAT and NFT_NAT_DNAT.
const SOURCE: u32 = libc::NFT_NAT_SNAT.cast_unsigned();
const DESTINATION: u32 = libc::NFT_NAT_DNAT.cast_unsigned();

const ICMP: u8 = of_8_bits(libc::IPPROTO_ICMP);
const TCP: u8 = of_8_bits(libc::IPPROTO_TCP);
const UDP: u8 = of_8_bits(libc::IPPROTO_UDP);
const ICMPV6: u8 = of_8_bits(libc::IPPROTO_ICMPV6);

const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;

/// Flow that is traced.
#[derive(Debug, Clone, Copy)]
pub struct TracedFlow {
    /// Source; `None` if this host opens the flow.
    pub from: Option<IpAddr>,
    /// Destination.
    pub to: IpAddr,
    /// Number of the protocol (IPPROTO_*).
    pub protocol: u8,
    /// Destination port, if the protocol is TCP or UDP.
    pub port: Option<u16>,
}

/// Encodes a rule at the end of a chain.
pub(super) fn encode(chain: Chain, rule: &FirewallRule, writer: &mut AttributeWriter) {
    encode_chain(chain, writer);
    encode_expressions(rule, writer);
}

/// Encodes the expressions of a rule.
pub(super) fn encode_expressions(rule: &FirewallRule, writer: &mut AttributeWriter) {
    let expressions = expressions(rule);
    debug_assert_eq!(rule_of(&expressions).as_ref(), Some(rule), "reads back as another rule");
    writer.nest(RULE_EXPRESSIONS, |writer| writer.append(&expressions));
}

/// Encodes the expressions of a rule that traces the packets of a flow, or their answers.
pub(super) fn encode_tracing(flow: TracedFlow, are_answers: bool, writer: &mut AttributeWriter) {
    let expressions = Encoder::default().tracing(flow, are_answers);
    writer.nest(RULE_EXPRESSIONS, |writer| writer.append(&expressions));
}

/// Encodes the chain without a rule, which means all rules of the chain.
pub(super) fn encode_chain(chain: Chain, writer: &mut AttributeWriter) {
    writer.text(RULE_CHAIN, chain.name());
}

/// Decodes the chain of a rule; `None` if we have no chain of that name.
pub(super) fn decode_chain(attributes: Attributes) -> Option<Chain> {
    chain::named(attributes.text(RULE_CHAIN)?)
}

/// Decodes a rule from its expressions; `None` if we would not write them so.
pub(super) fn decode_expressions(attributes: Attributes) -> Option<FirewallRule> {
    rule_of(&without_ranges(attributes.nested(RULE_EXPRESSIONS)))
}

fn expressions(rule: &FirewallRule) -> Vec<u8> {
    let mut encoder = Encoder::default();
    for condition in &rule.conditions {
        encoder.condition(condition);
    }
    encoder.action(rule.action)
}

/// Returns the rule that encodes to these expressions.
fn rule_of(found: &[u8]) -> Option<FirewallRule> {
    let found = Expression::all(found)?;
    let mut decoder = Decoder::of(&found);
    let rule = decoder.rule()?;
    let ours = expressions(&rule);
    let ours = Expression::all(&ours)?;
    let is_same = found.len() == ours.len() && found.iter().zip(&ours).all(|(found, ours)| found.is(ours));
    is_same.then_some(rule)
}

/// Number of a family: NFPROTO_IPV4 or NFPROTO_IPV6.
fn family_number(family: Family) -> u8 {
    match family {
        Family::V4 => of_8_bits(libc::NFPROTO_IPV4),
        Family::V6 => of_8_bits(libc::NFPROTO_IPV6),
    }
}
