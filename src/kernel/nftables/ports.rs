//! Closed ports: one table of family `netdev` with a chain for each port. The chain has no rules, and its
//! policy drops incoming packets before a bridge, a bond or any other part of the kernel sees them.

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};
use nix::errno::Errno;
use nix::libc;

use super::call::{self, NFTABLES, TABLE_NAME};
use super::transaction::NftablesBatch;
use crate::base::net::IfName;
use crate::base::sorted::SortedSet;
use crate::firewall::{PORTS_PRIORITY, TABLE};
use crate::kernel::attributes::{AttributeWriter, Attributes};
use crate::kernel::constant::of_8_bits;
use crate::kernel::netlink::{Refusal, frames};
use crate::kernel::nfnetlink::{self, Nfnetlink};

/// Family of tables that see packets as devices get them.
const NETDEV: u8 = of_8_bits(libc::NFPROTO_NETDEV);

const TABLE_FLAGS: u16 = 2;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const HOOK_DEVICE: u16 = 3;

const INGRESS: u32 = libc::NF_NETDEV_INGRESS.cast_unsigned();
const DROP: u32 = libc::NF_DROP.cast_unsigned();
const ACCEPT: u32 = libc::NF_ACCEPT.cast_unsigned();

const KIND: &str = "filter";

/// Interface that every network namespace has.
const LOOPBACK: &str = "lo";

/// Returns the ports that our table closes; `None` if there is no such table, an empty set if the table is
/// not in a form that we write.
pub(super) fn read(socket: &mut Nfnetlink) -> Result<Option<SortedSet<IfName>>, Refusal> {
    let of_table = |writer: &mut AttributeWriter| writer.text(TABLE_NAME, TABLE);
    match socket.request_about(NETDEV, call::GET_TABLE, NLM_F_ACK, &of_table) {
        // A kernel before 4.17 answers EAFNOSUPPORT for a family whose module it lacks.
        Err(Refusal { errno: Errno::ENOENT | Errno::EAFNOSUPPORT, .. }) => return Ok(None),
        answer => drop(answer?),
    }
    let mut objects = socket.request_about(NETDEV, call::GET_CHAIN, NLM_F_DUMP, &of_table)?;
    objects.extend(socket.request_about(NETDEV, call::GET_RULE, NLM_F_DUMP, &of_table)?);
    Ok(Some(decode(&objects).unwrap_or_default()))
}

/// Closes these ports and no others, in one transaction; `None` means no table.
pub(super) fn change(socket: &mut Nfnetlink, ports: Option<&SortedSet<IfName>>) -> Result<(), Refusal> {
    let mut batch = with_table();
    // Deletion fails without a table, so the table is made first.
    batch.push(call::DELETE_TABLE, NLM_F_ACK, batch.object());
    if let Some(ports) = ports {
        push_table(&mut batch);
        for (number, port) in ports.iter().enumerate() {
            push_chain(&mut batch, &["port-", &(number + 1).to_string()].concat(), port.as_str(), DROP);
        }
    }
    socket.transact(&batch.end()).map_err(|(_, refusal)| refusal)
}

/// Reports whether this kernel can close ports. The question is a chain that drops nothing, in a transaction
/// that is not carried out.
pub(super) fn are_possible(socket: &mut Nfnetlink) -> bool {
    let mut batch = with_table();
    push_chain(&mut batch, "question", LOOPBACK, ACCEPT);
    socket.transact(&batch.abandon()).is_ok()
}

/// Returns a batch that makes the table.
fn with_table() -> NftablesBatch<'static> {
    let mut batch = NftablesBatch::begin(NETDEV, TABLE);
    push_table(&mut batch);
    batch
}

fn push_table(batch: &mut NftablesBatch) {
    let mut table = batch.object();
    table.number(TABLE_FLAGS, 0);
    batch.push(call::NEW_TABLE, NLM_F_CREATE, table);
}

fn push_chain(batch: &mut NftablesBatch, name: &str, device: &str, policy: u32) {
    let mut chain = batch.object();
    chain.text(CHAIN_NAME, name);
    chain.text(CHAIN_TYPE, KIND);
    chain.number(CHAIN_POLICY, policy);
    chain.nest(CHAIN_HOOK, |writer| {
        writer.number(HOOK_NUMBER, INGRESS);
        writer.number(HOOK_PRIORITY, PORTS_PRIORITY.cast_unsigned());
        writer.text(HOOK_DEVICE, device);
    });
    batch.push(call::NEW_CHAIN, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, chain);
}

/// Returns the ports of the table's chains; `None` if the table has content that we do not write.
pub(crate) fn decode(objects: &[u8]) -> Option<SortedSet<IfName>> {
    let mut ports = SortedSet::new();
    let ours = |attributes: &Attributes| attributes.text(TABLE_NAME) == Some(TABLE);
    for frame in frames(objects).filter(|frame| nfnetlink::is_of(frame, NFTABLES)) {
        let attributes = nfnetlink::attributes(frame.payload);
        match frame.kind {
            call::NEW_CHAIN if ours(&attributes) => _ = ports.insert(decode_chain(attributes)?),
            call::NEW_RULE if ours(&attributes) => return None,
            _ => {}
        }
    }
    Some(ports)
}

fn decode_chain(attributes: Attributes) -> Option<IfName> {
    let hook = attributes.nested(CHAIN_HOOK);
    let drops_all = attributes.text(CHAIN_TYPE) == Some(KIND)
        && attributes.number(CHAIN_POLICY) == Some(DROP)
        && hook.number(HOOK_NUMBER) == Some(INGRESS)
        && hook.number(HOOK_PRIORITY) == Some(PORTS_PRIORITY.cast_unsigned());
    hook.text(HOOK_DEVICE).filter(|_| drops_all)?.parse().ok()
}
