//! Base chains, to and from attributes: NFTA_CHAIN_* and NFTA_HOOK_* of linux/netfilter/nf_tables.h.

use nix::libc;

use crate::firewall::Chain;
use crate::kernel::attributes::{AttributeWriter, Attributes};

const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const POLICY_ACCEPT: u32 = libc::NF_ACCEPT.cast_unsigned();

/// Encodes the name of a chain, which is enough for a chain that exists.
pub(super) fn encode_name(chain: Chain, writer: &mut AttributeWriter) {
    writer.text(CHAIN_NAME, chain.name());
}

/// Encodes a new chain.
pub(super) fn encode(chain: Chain, writer: &mut AttributeWriter) {
    let hook = chain.hook();
    encode_name(chain, writer);
    writer.text(CHAIN_TYPE, hook.kind);
    writer.number(CHAIN_POLICY, POLICY_ACCEPT);
    writer.nest(CHAIN_HOOK, |writer| {
        writer.number(HOOK_NUMBER, hook.number);
        writer.number(HOOK_PRIORITY, hook.priority.cast_unsigned());
    });
}

/// Returns the chain of ours that the attributes describe; `None` for any other chain, and for a chain on
/// another hook.
pub(super) fn decode(attributes: Attributes) -> Option<Chain> {
    let chain = named(attributes.text(CHAIN_NAME)?)?;
    let hook = chain.hook();
    let place = attributes.nested(CHAIN_HOOK);
    let ours = attributes.text(CHAIN_TYPE) == Some(hook.kind)
        && attributes.number(CHAIN_POLICY) == Some(POLICY_ACCEPT)
        && place.number(HOOK_NUMBER) == Some(hook.number)
        && place.number(HOOK_PRIORITY) == Some(hook.priority.cast_unsigned());
    ours.then_some(chain)
}

/// Returns the chain of this name.
pub(super) fn named(name: &str) -> Option<Chain> {
    Chain::ALL.into_iter().find(|chain| chain.name() == name)
}
