//! Snapshot of our table, and the firewall in it.

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR};
use nix::errno::Errno;

use super::call::{self, NFTABLES, TABLE_NAME};
use super::set::{self, Element};
use super::{chain, rule};
use crate::base::sorted::SortedMap;
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
    for kind in [call::GET_CHAIN, call::GET_RULE, call::GET_SET] {
        snapshot.extend(socket.request(kind, NLM_F_DUMP, &|writer| writer.text(TABLE_NAME, TABLE))?);
    }
    let sets: Vec<String> = objects(&snapshot)
        .filter(|(kind, _)| *kind == call::NEW_SET)
        .filter_map(|(_, attributes)| Some(attributes.text(SET_NAME)?.to_owned()))
        .collect();
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
fn objects(snapshot: &[u8]) -> impl Iterator<Item = (u16, Attributes<'_>)> {
    frames(snapshot)
        .filter(is_of_nftables)
        .map(|frame| (frame.kind, nfnetlink::attributes(frame.payload)))
        .filter(|(_, attributes)| attributes.text(TABLE_NAME) == Some(TABLE))
}

fn is_of_nftables(frame: &Frame) -> bool {
    nfnetlink::is_of(frame, NFTABLES)
}

#[derive(Default)]
struct SnapshotContent {
    sets: SortedMap<SetName, (Set, Vec<Element>)>,
    /// Rules of each chain; `None` if the chain has a rule that we do not write.
    chains: SortedMap<Chain, Option<Vec<FirewallRule>>>,
}

impl SnapshotContent {
    fn add(&mut self, kind: u16, attributes: Attributes) -> Option<()> {
        match kind {
            call::NEW_TABLE if attributes.number(TABLE_FLAGS) != Some(0) => return None,
            call::NEW_CHAIN => self.chains.insert(chain::decode(attributes)?, Some(Vec::new())),
            call::NEW_RULE => {
                let rules = self.chains.get_mut(&rule::decode_chain(attributes)?)?;
                match (rules.as_mut(), rule::decode_expressions(attributes)) {
                    (Some(rules), Some(rule)) => rules.push(rule),
                    _ => *rules = None,
                }
            }
            call::NEW_SET => {
                let name = SetName(attributes.text(SET_NAME)?.to_owned());
                self.sets.insert(name, (set::decode_kind(attributes)?, Vec::new()));
            }
            call::NEW_ELEMENT => {
                let name = SetName(attributes.text(SET_NAME)?.to_owned());
                self.sets.get_mut(&name)?.1.extend(set::decode_elements(attributes)?);
            }
            _ => {}
        }
        Some(())
    }

    fn finish(self) -> Option<Firewall> {
        let set = |(name, (kind, elements))| Some((name, set::with_elements(&kind, elements)?));
        let sets = self.sets.into_iter().map(set).collect::<Option<_>>()?;
        let chains = self.chains.into_iter().map(|(chain, rules)| (chain, rules.unwrap_or_default()));
        Some(Firewall { sets, chains: chains.collect() })
    }
}
