//! Batch of messages that the kernel carries out as a whole or not at all.

use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use nix::errno::Errno;

use super::call::{self, INET, NFTABLES, TABLE_NAME};
use super::set::{ELEMENTS_PER_MESSAGE, Element};
use super::{chain, flowtable, rule, set};
use crate::base::error::Error;
use crate::firewall::edit::FirewallEdit;
use crate::firewall::{Action, Condition, FirewallRule, SetName, TABLE};
use crate::kernel::attributes::AttributeWriter;
use crate::kernel::message::Message;
use crate::kernel::netlink::Refusal;
use crate::kernel::nfnetlink::{begin, end, object};

const TABLE_FLAGS: u16 = 2;
/// Attribute that names a set, both in the set's own messages and in messages about its elements.
const SET_NAME: u16 = 2;

const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// Table of a trial, which never comes into force.
const TRIAL: &str = "portals-trial";

/// NFT_TABLE_F_DORMANT, which keeps the chains of the trial off their hooks even for a moment.
const DORMANT: u32 = 1;

/// The messages that carry out edits.
pub(crate) struct Transaction {
    messages: Vec<Message>,
    /// Index of the edit of each message; `None` for the first message, which begins the transaction.
    edits: Vec<Option<usize>>,
}

impl Transaction {
    /// Returns all messages, in order.
    pub(crate) fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Returns the index of the edit that a message belongs to; `None` for a message about the transaction as
    /// a whole.
    pub(super) fn edit_of(&self, message: usize) -> Option<usize> {
        self.edits.get(message).copied().flatten()
    }
}

/// Returns the transaction for these edits. Only the last edit asks for an acknowledgement, which the kernel
/// sends when all edits are carried out.
pub(crate) fn encode(edits: &[FirewallEdit]) -> Transaction {
    let (batch, edits) = begin_with(edits, TABLE, 0);
    Transaction { messages: batch.end(), edits }
}

/// Returns the transaction for a table that is never made: the kernel checks a transaction without an end,
/// and then forgets it.
pub(super) fn encode_trial(edits: &[FirewallEdit]) -> Transaction {
    let (batch, edits) = begin_with(edits, TRIAL, DORMANT);
    Transaction { messages: batch.abandon(), edits }
}

/// Returns a transaction without its end, and the index of the edit of each message.
fn begin_with<'a>(
    edits: &[FirewallEdit],
    table: &'a str,
    table_flags: u32,
) -> (NftablesBatch<'a>, Vec<Option<usize>>) {
    let mut batch = NftablesBatch::begin(INET, table);
    let mut indices = vec![None];
    for (index, edit) in edits.iter().enumerate() {
        let acknowledge = if index + 1 == edits.len() { NLM_F_ACK } else { 0 };
        encode_edit(edit, table_flags, acknowledge, &mut batch);
        indices.resize(batch.messages.len(), Some(index));
    }
    (batch, indices)
}

/// Messages about one table that the kernel carries out as a whole or not at all.
pub(super) struct NftablesBatch<'a> {
    messages: Vec<Message>,
    family: u8,
    table: &'a str,
}

impl<'a> NftablesBatch<'a> {
    /// Returns a batch without any request, about a table of a family (NFPROTO_*).
    pub(super) fn begin(family: u8, table: &'a str) -> Self {
        Self { messages: vec![begin(NFTABLES)], family, table }
    }

    /// Returns a writer of the attributes of the table, or of an object in it.
    pub(super) fn object(&self) -> AttributeWriter {
        let mut writer = object(self.family);
        writer.text(TABLE_NAME, self.table);
        writer
    }

    /// Adds a request about an object.
    pub(super) fn push(&mut self, kind: u16, flags: u16, object: AttributeWriter) {
        self.messages.push(Message::raw(kind, object.finish()).with_flags(flags));
    }

    /// Returns the batch without its end: the kernel checks all of it and undoes it.
    pub(super) fn abandon(self) -> Vec<Message> {
        self.messages
    }

    /// Returns the whole batch.
    pub(super) fn end(mut self) -> Vec<Message> {
        self.messages.push(end(NFTABLES));
        self.messages
    }
}

/// Explains a refusal: the error names the edit, and the missing part of the kernel if that is the reason.
/// `index` is the index of the edit; `None` for the whole transaction.
pub(super) fn explain(edits: &[FirewallEdit], index: Option<usize>, refusal: Refusal) -> Error {
    let edit = index.and_then(|index| edits.get(index));
    let context = edit.map_or_else(|| "change the firewall".to_owned(), FirewallEdit::to_string);
    let missing = edit.map_or(Some("nftables (module nf_tables)"), what_is_missing);
    let is_lack = edit.is_some_and(|edit| is_unknown_flag(edit, refusal.errno)) || is_lack(refusal.errno);
    let mut message = ["cannot ", &context].concat();
    if let Some(missing) = missing.filter(|_| is_lack) {
        message.push_str(": this kernel has no ");
        message.push_str(missing);
    }
    Error::failed(message).because(refusal)
}

/// Returns the abilities that the kernel lacks, each once, from its refusals of a trial.
pub(super) fn lacking(edits: &[FirewallEdit], refusals: &[(Option<usize>, Errno)]) -> Vec<&'static str> {
    let (mut lacking, mut chains) = (Vec::new(), Vec::new());
    for (index, errno) in refusals {
        let Some(edit) = index.and_then(|index| edits.get(index)) else { continue };
        if !is_lack(*errno) && !is_unknown_flag(edit, *errno) {
            continue;
        }
        let missing = what_is_missing(edit);
        // The content of a refused table or chain is refused along with it.
        match edit {
            FirewallEdit::AddTable => return Vec::from_iter(missing),
            FirewallEdit::AddChain(chain) => chains.push(*chain),
            FirewallEdit::AddRule(chain, ..) if chains.contains(chain) => continue,
            _ => {}
        }
        if let Some(missing) = missing.filter(|missing| !lacking.contains(missing)) {
            lacking.push(missing);
        }
    }
    lacking
}

/// Reports whether a refusal means that the kernel has no objects of that kind.
fn is_lack(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT)
}

/// Reports whether a refusal means that the kernel does not know a flag of a translation: before Linux 5.8,
/// unknown flags are invalid (`nft_nat_init` in net/netfilter/nft_nat.c).
fn is_unknown_flag(edit: &FirewallEdit, errno: Errno) -> bool {
    let has_flag = |action| matches!(action, Action::SourcePrefix(_) | Action::DestinationPrefix(_));
    errno == Errno::EINVAL && matches!(edit, FirewallEdit::AddRule(.., rule) if has_flag(rule.action))
}

fn encode_edit(edit: &FirewallEdit, table_flags: u32, acknowledge: u16, batch: &mut NftablesBatch) {
    let mut object = batch.object();
    let (kind, flags) = match edit {
        FirewallEdit::AddTable => {
            // Without NLM_F_EXCL this edit also succeeds if the table exists, as the following edits need it.
            object.number(TABLE_FLAGS, table_flags);
            (call::NEW_TABLE, NLM_F_CREATE)
        }
        FirewallEdit::DeleteTable => (call::DELETE_TABLE, 0),
        FirewallEdit::FlushChain(chain) => {
            rule::encode_chain(*chain, &mut object);
            (call::DELETE_RULE, 0)
        }
        FirewallEdit::DeleteChain(chain) => {
            chain::encode_name(*chain, &mut object);
            (call::DELETE_CHAIN, 0)
        }
        FirewallEdit::AddChain(chain) => {
            chain::encode(*chain, &mut object);
            (call::NEW_CHAIN, NEW)
        }
        FirewallEdit::DeleteSet(name) => {
            object.text(SET_NAME, &name.0);
            (call::DELETE_SET, 0)
        }
        FirewallEdit::DeleteFlowtable => {
            flowtable::encode_name(&mut object);
            (call::DELETE_FLOWTABLE, 0)
        }
        FirewallEdit::AddFlowtable(devices) => {
            flowtable::encode(devices, &mut object);
            (call::NEW_FLOWTABLE, NEW)
        }
        FirewallEdit::AddSet(name, set) => {
            object.text(SET_NAME, &name.0);
            set::encode_kind(set, &mut object);
            batch.push(call::NEW_SET, NEW | acknowledge, object);
            return push_elements(
                batch,
                call::NEW_ELEMENT,
                NEW | acknowledge,
                name,
                &set::first_elements(set),
            );
        }
        FirewallEdit::AddElements(name, set) => {
            return push_elements(batch, call::NEW_ELEMENT, NEW | acknowledge, name, &set::elements(set));
        }
        FirewallEdit::DeleteElements(name, set) => {
            return push_elements(batch, call::DELETE_ELEMENT, acknowledge, name, &set::elements(set));
        }
        FirewallEdit::AddRule(chain, _, rule) => {
            rule::encode(*chain, rule, &mut object);
            (call::NEW_RULE, NLM_F_CREATE | NLM_F_APPEND)
        }
    };
    batch.push(kind, flags | acknowledge, object);
}

fn push_elements(batch: &mut NftablesBatch, kind: u16, flags: u16, name: &SetName, elements: &[Element]) {
    for some in elements.chunks(ELEMENTS_PER_MESSAGE) {
        let mut object = batch.object();
        object.text(SET_NAME, &name.0);
        set::encode_elements(some, &mut object);
        batch.push(kind, flags, object);
    }
}

/// Returns the part of the kernel that must be missing if the kernel does not know the object of this edit.
/// All other objects are part of nf_tables itself.
fn what_is_missing(edit: &FirewallEdit) -> Option<&'static str> {
    match edit {
        FirewallEdit::AddTable => Some("tables for both families (before Linux 4.17: module nf_tables_inet)"),
        FirewallEdit::AddChain(chain) if chain.hook().kind == "nat" => {
            Some("inet NAT chains (needs Linux 5.2 or newer, with module nft_chain_nat)")
        }
        FirewallEdit::AddChain(chain) if chain.hook().kind == "route" => {
            Some("chains of type route (needs Linux 5.2 or newer)")
        }
        FirewallEdit::AddSet(..) => {
            Some("such sets (before Linux 5.2: modules nft_set_hash and nft_set_rbtree)")
        }
        FirewallEdit::AddRule(_, _, rule) => missing_expression(rule),
        _ => None,
    }
}

fn missing_expression(rule: &FirewallRule) -> Option<&'static str> {
    let connection = |condition| {
        use Condition::{
            ConnectionMarked, ConnectionNotMarked, Established, FromOriginator, FromResponder, Redirected,
            Way,
        };
        matches!(
            condition,
            &(Established
                | Redirected
                | FromOriginator
                | FromResponder
                | ConnectionMarked(_)
                | ConnectionNotMarked(_)
                | Way(..))
        )
    };
    match rule.action {
        _ if rule.conditions.iter().any(connection) => Some("connection tracking (module nft_ct)"),
        Action::Reject => Some("reject (module nft_reject_inet)"),
        Action::Masquerade => Some("masquerade (module nft_masq)"),
        Action::Redirect(_) => Some("redirect (module nft_redir)"),
        Action::SourcePrefix(_) | Action::DestinationPrefix(_) => {
            Some("translation of networks (needs Linux 5.8 or newer, with module nft_nat)")
        }
        Action::SourceNat(_) => Some("snat (module nft_nat)"),
        Action::DestinationNat(_) => Some("dnat (module nft_nat)"),
        _ => None,
    }
}
