//! Batch of messages that the kernel carries out as a whole or not at all.

use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};
use nix::errno::Errno;

use super::call::{self, INET, NFTABLES, TABLE_NAME};
use super::set::{ELEMENTS_PER_MESSAGE, Element};
use super::{chain, rule, set};
use crate::base::error::Error;
use crate::firewall::edit::Edit;
use crate::firewall::{Action, Condition, Rule, SetName, TABLE};
use crate::kernel::nfnetlink::{Header, Refusal, Writer};

/// NFNL_MSG_BATCH_*: beginning and end of a batch.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

const TABLE_FLAGS: u16 = 2;
/// Attribute that names a set, both in the set's own messages and in messages about its elements.
const SET_NAME: u16 = 2;

const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// Table that edits change.
#[derive(Debug, Clone, Copy)]
struct Table {
    name: &'static str,
    flags: u32,
}

/// Our table.
const OURS: Table = Table { name: TABLE, flags: 0 };

/// Table of a trial, which never comes into force. NFT_TABLE_F_DORMANT keeps its chains off their hooks even
/// for a moment.
const TRIAL: Table = Table { name: "portals-trial", flags: 1 };

/// Encodes edits as a batch. Each message has the number of its edit, counted from 1, as its sequence number.
/// Only the last edit asks for an acknowledgement, which the kernel sends when the whole batch is done.
pub(crate) fn encode(edits: &[Edit]) -> Vec<u8> {
    begin(edits, OURS).end()
}

/// Encodes edits as a batch for a trial: the kernel checks a batch without an end, and then forgets it.
pub(super) fn encode_trial(edits: &[Edit]) -> Vec<u8> {
    begin(edits, TRIAL).0.finish()
}

fn begin(edits: &[Edit], table: Table) -> Batch {
    let mut batch = Batch::begin();
    for (edit, sequence) in edits.iter().zip(1_u32..) {
        let last = usize::try_from(sequence) == Ok(edits.len());
        let acknowledge = if last { NLM_F_ACK } else { 0 };
        encode_edit(edit, &mut Request { writer: batch.writer(), table, sequence, acknowledge });
    }
    batch
}

/// Messages that the kernel carries out as a whole or not at all.
pub(super) struct Batch(Writer);

impl Batch {
    pub(super) fn begin() -> Self {
        let mut writer = Writer::default();
        bracket(BATCH_BEGIN, &mut writer);
        Self(writer)
    }

    pub(super) fn writer(&mut self) -> &mut Writer {
        &mut self.0
    }

    /// Returns the batch without its end: the kernel checks all of it and undoes it.
    pub(super) fn abandon(self) -> Vec<u8> {
        self.0.finish()
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        bracket(BATCH_END, &mut self.0);
        self.0.finish()
    }
}

/// Explains a refusal: the error names the edit, and the missing part of the kernel if that is the reason.
pub(super) fn explain(edits: &[Edit], Refusal { sequence, errno }: Refusal) -> Error {
    let edit = edit_of(edits, sequence);
    let doing = edit.map_or_else(|| "change the firewall".to_owned(), Edit::to_string);
    let missing = edit.map_or(Some("nftables (module nf_tables)"), what_is_missing);
    let message = match missing.filter(|_| is_lack(errno)) {
        Some(missing) => format!("cannot {doing}: this kernel has no {missing}"),
        None => format!("cannot {doing}"),
    };
    Error::failed(message).because(errno)
}

/// Returns the abilities that the kernel lacks, each once, from its refusals of a trial.
pub(super) fn lacking(edits: &[Edit], refusals: &[Refusal]) -> Vec<&'static str> {
    let lacks = refusals.iter().filter(|refusal| is_lack(refusal.errno));
    let refused: Vec<&Edit> = lacks.filter_map(|refusal| edit_of(edits, refusal.sequence)).collect();
    // The content of a refused table or chain is refused along with it.
    let is_own = |edit: &Edit| match edit {
        Edit::AddTable => true,
        Edit::AddRule(chain, ..) => {
            !refused.contains(&&Edit::AddTable) && !refused.contains(&&Edit::AddChain(*chain))
        }
        _ => !refused.contains(&&Edit::AddTable),
    };
    let mut lacking = Vec::new();
    for missing in refused.iter().filter(|edit| is_own(edit)).filter_map(|edit| what_is_missing(edit)) {
        if !lacking.contains(&missing) {
            lacking.push(missing);
        }
    }
    lacking
}

fn edit_of<'a>(edits: &'a [Edit<'a>], sequence: u32) -> Option<&'a Edit<'a>> {
    usize::try_from(sequence).ok().and_then(|number| edits.get(number.checked_sub(1)?))
}

/// Reports whether a refusal means that the kernel has no objects of that kind.
fn is_lack(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT)
}

fn bracket(kind: u16, writer: &mut Writer) {
    let header = Header { kind, flags: NLM_F_REQUEST, sequence: 0, family: 0, resource: NFTABLES };
    writer.message(&header, |_| ());
}

fn encode_edit(edit: &Edit, request: &mut Request) {
    match edit {
        Edit::AddTable => {
            // Without NLM_F_EXCL this edit also succeeds if the table exists, as the following edits need it.
            let flags = request.table.flags;
            request.send(call::NEW_TABLE, NLM_F_CREATE, |writer| writer.number(TABLE_FLAGS, flags));
        }
        Edit::DeleteTable => request.send(call::DELETE_TABLE, 0, |_| ()),
        Edit::FlushChain(chain) => {
            request.send(call::DELETE_RULE, 0, |writer| rule::encode_chain(*chain, writer));
        }
        Edit::DeleteChain(chain) => {
            request.send(call::DELETE_CHAIN, 0, |writer| chain::encode_name(*chain, writer));
        }
        Edit::AddChain(chain) => request.send(call::NEW_CHAIN, NEW, |writer| chain::encode(*chain, writer)),
        Edit::DeleteSet(name) => request.send(call::DELETE_SET, 0, |writer| writer.text(SET_NAME, &name.0)),
        Edit::AddSet(name, set) => {
            request.send(call::NEW_SET, NEW, |writer| {
                writer.text(SET_NAME, &name.0);
                set::encode_kind(set, writer);
            });
            request.send_elements(call::NEW_ELEMENT, NEW, name, &set::first_elements(set));
        }
        Edit::AddElements(name, set) => {
            request.send_elements(call::NEW_ELEMENT, NEW, name, &set::elements(set));
        }
        Edit::DeleteElements(name, set) => {
            request.send_elements(call::DELETE_ELEMENT, 0, name, &set::elements(set));
        }
        Edit::AddRule(chain, _, rule) => {
            let flags = NLM_F_CREATE | NLM_F_APPEND;
            request.send(call::NEW_RULE, flags, |writer| rule::encode(*chain, rule, writer));
        }
    }
}

/// Common parts of the messages of one edit.
struct Request<'a> {
    writer: &'a mut Writer,
    table: Table,
    sequence: u32,
    acknowledge: u16,
}

impl Request<'_> {
    fn send(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Writer)) {
        let flags = NLM_F_REQUEST | flags | self.acknowledge;
        let header = Header { kind, flags, sequence: self.sequence, family: INET, resource: 0 };
        self.writer.message(&header, |writer| {
            writer.text(TABLE_NAME, self.table.name);
            body(writer);
        });
    }

    fn send_elements(&mut self, kind: u16, flags: u16, name: &SetName, elements: &[Element]) {
        for some in elements.chunks(ELEMENTS_PER_MESSAGE) {
            self.send(kind, flags, |writer| {
                writer.text(SET_NAME, &name.0);
                set::encode_elements(some, writer);
            });
        }
    }
}

/// Returns the part of the kernel that must be missing if the kernel does not know the object of this edit.
/// All other objects are part of nf_tables itself.
fn what_is_missing(edit: &Edit) -> Option<&'static str> {
    match edit {
        Edit::AddTable => Some("tables for both families (before Linux 4.17: module nf_tables_inet)"),
        Edit::AddChain(chain) if chain.hook().kind == "nat" => {
            Some("inet NAT chains (needs Linux 5.2 or newer, with module nft_chain_nat)")
        }
        Edit::AddChain(chain) if chain.hook().kind == "route" => {
            Some("chains that route once more (needs Linux 5.2 or newer)")
        }
        Edit::AddSet(..) => Some("such sets (before Linux 5.2: modules nft_set_hash and nft_set_rbtree)"),
        Edit::AddRule(_, _, rule) => missing_expression(rule),
        _ => None,
    }
}

fn missing_expression(rule: &Rule) -> Option<&'static str> {
    let connection = |condition| {
        use Condition::{
            ConnectionMarked, ConnectionNotMarked, Departing, Established, NotReturning, Opening, Replying,
        };
        matches!(
            condition,
            &(Established
                | Opening
                | Replying
                | ConnectionMarked(_)
                | ConnectionNotMarked(_)
                | NotReturning(_)
                | Departing(_))
        )
    };
    match rule.action {
        _ if rule.conditions.iter().any(connection) => Some("connection tracking (module nft_ct)"),
        Action::Reject => Some("reject (module nft_reject_inet)"),
        Action::Masquerade => Some("masquerade (module nft_masq)"),
        Action::Redirect(_) => Some("redirect (module nft_redir)"),
        Action::SendAs(_) => Some("snat (module nft_nat)"),
        Action::Divert(_) => Some("dnat (module nft_nat)"),
        _ => None,
    }
}
