//! Trace of one flow through nftables: a temporary table makes the kernel report each step of its packets,
//! and has a chain at both ends of each hook, so that the reports bracket chains of legacy iptables as well.
//!
//! The table belongs to the socket that made it (NFT_TABLE_F_OWNER, since Linux 5.12): the kernel removes it
//! with the socket, even if the process is killed. On older kernels, a guardian process removes it.

mod event;
mod guardian;

use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use nix::errno::Errno;
use nix::libc;
use std::os::fd::BorrowedFd;

use super::call::{self, INET, TABLE_NAME};
use super::foreign::is_opening;
use super::rule;
pub use super::rule::TracedFlow;
use super::transaction::NftablesBatch;
use crate::base::error::{Context as _, Result};
use crate::firewall::text;
use crate::kernel::message::Message;
use crate::kernel::netlink::protocols::NETLINK_NETFILTER;
use crate::kernel::netlink::{Listener, Received, Refusal, frames};
use crate::kernel::nfnetlink::{Nfnetlink, attributes, family_of};
pub(crate) use event::decode;
pub use event::{EventKind, TraceEvent};
use guardian::Guardian;

/// Name of the temporary table, of family `inet`.
pub const TRACE_TABLE: &str = "portals-trace";

const TABLE_FLAGS: u16 = 2;
/// NFT_TABLE_F_OWNER.
const OWNED: u32 = 2;

const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;

/// Multicast group of nfnetlink for traces.
const TRACE_GROUP: u32 = libc::NFNLGRP_NFTRACE.cast_unsigned();

/// Bytes of reports that are received at once.
const ROOM: usize = 1 << 15;

/// Chains of the temporary table: name, hook (NF_INET_*) and priority. Connections are known to the chain
/// `answers`.
const WATCHES: [(&str, u32, i32); 11] = [
    (ENTERS, 0, -1000),
    (ANSWERS, 0, -199),
    ("entered", 0, 1000),
    ("arrives", 1, -1000),
    (ARRIVED, 1, 1000),
    ("forwards", 2, -1000),
    ("forwarded", 2, 1000),
    (SENDS, 3, -1000),
    ("sent", 3, 1000),
    ("leaves", 4, -1000),
    (LEFT, 4, 1000),
];

const ENTERS: &str = "enters";
const ANSWERS: &str = "answers";
const SENDS: &str = "sends";

/// Chain of the temporary table that a packet reaches last if this host keeps it.
pub const ARRIVED: &str = "arrived";
/// Chain of the temporary table that a packet reaches last if it leaves.
pub const LEFT: &str = "left";

/// Rule of any program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleWords {
    /// Rule as nft writes it; `None` if it has an expression that rules of portals do not have.
    pub text: Option<String>,
    /// Set if the rule is one of ours in another program's chain.
    pub is_pinhole: bool,
}

/// Trace in progress. The temporary table lives as long as the tracer.
pub struct Tracer {
    socket: Nfnetlink,
    listener: Listener,
    /// Listing of the chains of all programs, as of the beginning.
    chains: Vec<u8>,
    /// Process that removes the table, if the kernel does not do so itself.
    _guardian: Option<Guardian>,
}

impl Tracer {
    /// Begins to trace a flow.
    ///
    /// # Errors
    /// If the kernel has no nftables, or if this process may not change it.
    pub fn begin(flow: TracedFlow) -> Result<Self> {
        remove_leftover();
        let socket = Nfnetlink::open(INET)?;
        Self::with(socket, flow).context(|| "cannot trace with the kernel's nftables".to_owned())
    }

    fn with(mut socket: Nfnetlink, flow: TracedFlow) -> Result<Self, Refusal> {
        let listener = Listener::open(NETLINK_NETFILTER, &[TRACE_GROUP])?;
        let mut guardian = None;
        let mut attempt = |flags| socket.transact(&table(flow, flags)).map_err(|(_, refusal)| refusal);
        match attempt(OWNED) {
            // The kernel does not know the flag.
            Err(Refusal { errno: Errno::EINVAL | Errno::EOPNOTSUPP, .. }) => {
                guardian = Some(Guardian::start(&remove_leftover)?);
                attempt(0)?;
            }
            made => made?,
        }
        let chains = socket.dump_all(call::GET_CHAIN)?;
        Ok(Self { socket, listener, chains, _guardian: guardian })
    }

    /// Returns the descriptor to poll for reports.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.listener.descriptor()
    }

    /// Receives all waiting reports, and never waits. Reports may be lost if there are very many.
    pub fn hear(&self, events: &mut Vec<TraceEvent>) {
        let mut buffer = Vec::with_capacity(ROOM);
        loop {
            match self.listener.hear(&mut buffer) {
                Received::Messages => {
                    for frame in frames(&buffer) {
                        if let Some(event) = decode(&frame, &self.chains) {
                            events.push(event);
                        }
                    }
                }
                Received::Lost => {}
                Received::Nothing => return,
            }
        }
    }

    /// Returns the rule that made a report, as far as it can be written. The rule may be gone by now.
    pub fn rule(&mut self, event: &TraceEvent) -> RuleWords {
        let mut words = RuleWords::default();
        let Some(handle) = event.rule else { return words };
        let answers = self.socket.request_about(event.family, call::GET_RULE, NLM_F_ACK, &|writer| {
            writer.text(TABLE_NAME, &event.table);
            writer.text(RULE_CHAIN, &event.chain);
            writer.bytes(RULE_HANDLE, &handle.to_be_bytes());
        });
        for frame in frames(&answers.unwrap_or_default()).filter(|frame| frame.kind == call::NEW_RULE) {
            let attributes = attributes(frame.payload);
            words.text = rule::decode_expressions(attributes).map(|rule| text::rule(&rule));
            words.is_pinhole = is_opening(attributes);
        }
        words
    }
}

/// Removes the table that a killed trace has left behind on an old kernel, if there is one: its guardian may
/// have been killed as well.
pub fn remove_leftover() {
    let Ok(mut socket) = Nfnetlink::open(INET) else { return };
    let mut batch = NftablesBatch::begin(INET, TRACE_TABLE);
    batch.push(call::DELETE_TABLE, NLM_F_ACK, batch.object());
    // There is none, or another trace owns it.
    drop(socket.transact(&batch.end()));
}

/// Returns the transaction that makes the table.
fn table(flow: TracedFlow, flags: u32) -> Vec<Message> {
    let mut batch = NftablesBatch::begin(INET, TRACE_TABLE);
    let mut table = batch.object();
    table.number(TABLE_FLAGS, flags);
    batch.push(call::NEW_TABLE, NLM_F_CREATE | NLM_F_EXCL, table);
    for (name, hook, priority) in WATCHES {
        let mut chain = batch.object();
        chain.text(CHAIN_NAME, name);
        chain.text(CHAIN_TYPE, "filter");
        chain.nest(CHAIN_HOOK, |writer| {
            writer.number(HOOK_NUMBER, hook);
            writer.number(HOOK_PRIORITY, priority.cast_unsigned());
        });
        batch.push(call::NEW_CHAIN, NLM_F_CREATE | NLM_F_EXCL, chain);
    }
    let opening = if flow.from.is_some() { ENTERS } else { SENDS };
    for (chain, acknowledge) in [(opening, 0), (ANSWERS, NLM_F_ACK)] {
        let mut rule = batch.object();
        rule.text(RULE_CHAIN, chain);
        rule::encode_tracing(flow, chain == ANSWERS, &mut rule);
        batch.push(call::NEW_RULE, NLM_F_CREATE | NLM_F_APPEND | acknowledge, rule);
    }
    batch.end()
}

/// Returns the hook of a chain in a listing, if it is a base chain.
fn hook_of(chains: &[u8], family: u8, table: &str, name: &str) -> Option<u32> {
    for frame in frames(chains).filter(|frame| frame.kind == call::NEW_CHAIN) {
        let attributes = attributes(frame.payload);
        if family_of(frame.payload) == Some(family)
            && attributes.text(TABLE_NAME) == Some(table)
            && attributes.text(CHAIN_NAME) == Some(name)
        {
            return attributes.nested(CHAIN_HOOK).number(HOOK_NUMBER);
        }
    }
    None
}
