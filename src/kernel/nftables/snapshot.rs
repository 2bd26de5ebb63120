//! Snapshot of our table, and the firewall in it.

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR};
use nix::errno::Errno;

use super::call::{self, NFTABLES, TABLE_NAME};
use super::set::{self, Element};
use super::{chain, flowtable, rule};
use crate::base::net::IfName;
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::{Chain, Firewall, FirewallRule, Set, SetName, TABLE};
use crate::kernel::attributes::Attributes;
use crate::kernel::netlink::{Frame, Refusal, frames};
use crate::kernel::nfnetlink::{self, Nfnetlink};

const TABLE_FLAGS: u16 = 2;
const SET_NAME: u16 = 2;

/// Takes a snapshot of our table; `None` if there is no such table.
pub(super) fn take(socket: &mut Nfnetlink) -> Result<Option<Vec<u8>>, Refusal> {
    let mut snapshot =
        match socket.request(call::GET_TABLE, NLM_F_ACK, &|writer| writer.text(TABLE_NAME, TABLE)) {
            Ok(answers) => answers,
            Err(refusal) if means_no_table(refusal.errno) => return Ok(None),
            Err(refusal) => return Err(refusal),
        };
    for kind in [call::GET_CHAIN, call::GET_RULE, call::GET_SET, call::GET_FLOWTABLE] {
        snapshot.extend(socket.request(kind, NLM_F_DUMP, &|writer| writer.text(TABLE_NAME, TABLE))?);
    }
    let mut sets = Vec::new();
    for (kind, attributes) in objects(&snapshot) {
        if kind == call::NEW_SET {
            sets.extend(attributes.text(SET_NAME).map(str::to_owned));
        }
    }
    for set in sets {
        snapshot.extend(socket.request(call::GET_ELEMENT, NLM_F_DUMP, &|writer| {
            writer.text(TABLE_NAME, TABLE);
            writer.text(SET_NAME, &set);
        })?);
    }
    Ok(Some(snapshot))
}

/// Reports whether a refusal means that our table does not exist. Before Linux 4.17 the family `inet` is a
/// separate module, which the kernel loads when a program makes a table. Until then, and where the module is
/// missing, the kernel does not answer questions about tables of that family.
pub(super) fn means_no_table(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT | Errno::EOPNOTSUPP)
}

/// Reports whether the ruleset stayed the same while the snapshot was taken.
pub(super) fn is_sharp(snapshot: &[u8]) -> bool {
    let mut generation = None;
    frames(snapshot).filter(is_of_nftables).all(|frame| {
        let current = nfnetlink::generation(frame.payload);
        frame.flags & NLM_F_DUMP_INTR == 0 && *generation.get_or_insert(current) == current
    })
}

/// Decodes the firewall in a snapshot; `None` if the snapshot has a table, chain or set that we do not write.
/// A rule that we do not write costs only its own chain all rules.
pub(crate) fn decode(snapshot: &[u8]) -> Option<Firewall> {
    let mut content = SnapshotContent::default();
    for (kind, attributes) in objects(snapshot) {
        content.add(kind, attributes)?;
    }
    content.finish()
}

/// Returns the objects of our table.
fn objects(snapshot: &[u8]) -> Vec<(u16, Attributes<'_>)> {
    let mut objects = Vec::new();
    for frame in frames(snapshot).filter(is_of_nftables) {
        let attributes = nfnetlink::attributes(frame.payload);
        if attributes.text(TABLE_NAME) == Some(TABLE) {
            objects.push((frame.kind, attributes));
        }
    }
    objects
}

fn is_of_nftables(frame: &Frame) -> bool {
    nfnetlink::is_of(frame, NFTABLES)
}

#[derive(Default)]
struct SnapshotContent<'a> {
    /// Sets, each with its kind and its elements.
    sets: Vec<(&'a str, &'static Set, Vec<Element>)>,
    chains: SortedMap<Chain, Vec<FirewallRule>>,
    flows: Option<SortedSet<IfName>>,
    /// Chains with a rule that we do not write.
    strange: Vec<Chain>,
}

impl<'a> SnapshotContent<'a> {
    fn add(&mut self, kind: u16, attributes: Attributes<'a>) -> Option<()> {
        match kind {
            call::NEW_TABLE if attributes.number(TABLE_FLAGS) != Some(0) => return None,
            call::NEW_CHAIN => self.chains.insert(chain::decode(attributes)?, Vec::new()),
            call::NEW_RULE => {
                let chain = rule::decode_chain(attributes)?;
                let rules = self.chains.get_mut(&chain)?;
                match rule::decode_expressions(attributes) {
                    Some(rule) => rules.push(rule),
                    None => self.strange.push(chain),
                }
            }
            call::NEW_SET => {
                self.sets.push((attributes.text(SET_NAME)?, set::decode_kind(attributes)?, Vec::new()));
            }
            call::NEW_FLOWTABLE => self.flows = Some(flowtable::decode(attributes)?),
            call::NEW_ELEMENT => {
                let name = attributes.text(SET_NAME)?;
                let (.., elements) = self.sets.iter_mut().find(|(known, ..)| *known == name)?;
                set::decode_elements(attributes, elements)?;
            }
            _ => {}
        }
        Some(())
    }

    fn finish(mut self) -> Option<Firewall> {
        for chain in self.strange {
            self.chains.insert(chain, Vec::new());
        }
        let mut firewall = Firewall { sets: SortedMap::new(), chains: self.chains, flows: self.flows };
        for (name, kind, elements) in self.sets {
            firewall.sets.insert(SetName(name.to_owned()), set::with_elements(kind, elements)?);
        }
        Some(firewall)
    }
}
