//! nftables via netlink: one table of family `inet`, read whole and changed in one transaction.
//!
//! The table belongs to portals. If another program changed the rules of a chain to a form that we do not
//! write, [`Nftables::read`] returns that chain without rules. If it made a chain or a set that we do not
//! write, or moved a chain to another hook, `read` returns an empty [`Firewall`], and a change from an empty
//! firewall replaces the table whole, in the same transaction. No desired firewall is empty or has such a
//! chain, so every edit from outside is seen and repaired, and a change between two of our firewalls can rely
//! on the table that it finds. Other tables are neither read nor touched.

mod ability;
pub(super) mod call;
mod chain;
mod expression;
mod flowtable;
pub(crate) mod foreign;
pub(crate) mod ports;
mod rule;
mod set;
pub(crate) mod snapshot;
pub mod trace;
pub(crate) mod transaction;
mod value;

#[cfg(test)]
mod tests;

use netlink_packet_core::NLM_F_ACK;
use nix::errno::Errno;

use crate::base::error::{Context as _, Error, Result};
use crate::base::net::IfName;
use crate::base::sorted::SortedSet;
use crate::firewall::edit::{FirewallEdit, edits, in_stages, inverse_of_sets};
use crate::firewall::{Firewall, ForeignChain, PinholeChain};
use crate::kernel::netlink::{Refusal, frames};
use crate::kernel::nfnetlink::{Nfnetlink, attributes, is_unknown_subsystem};
pub use foreign::Survey;

/// NFTA_GEN_ID.
const GENERATION_NUMBER: u16 = 1;

/// Attempts to read a ruleset that another program changes meanwhile.
const LOOKS: usize = 20;

/// nftables of a network namespace.
pub struct Nftables {
    socket: Nfnetlink,
    /// Survey of other programs' chains, with the generation of the ruleset that it shows.
    surveyed: Option<(u32, Survey)>,
    /// Needs of our rules that the kernel does not meet, without and with the translation of networks; `None`
    /// before the kernel was asked.
    lacks: [Option<Vec<&'static str>>; 2],
    /// Set if the kernel has flowtables; `None` before the kernel was asked.
    has_flowtables: Option<bool>,
}

impl Nftables {
    /// Opens the nftables of this thread's network namespace; `None` if this kernel has none. The question
    /// makes the kernel load its module.
    pub fn find() -> Result<Option<Self>> {
        let Some(mut socket) = Nfnetlink::find(call::INET)? else { return Ok(None) };
        match socket.request(call::GET_GENERATION, NLM_F_ACK, &|_| ()) {
            Err(refusal) if is_unknown_subsystem(refusal.errno) => Ok(None),
            // The kernel answers only root.
            Ok(_) | Err(Refusal { errno: Errno::EPERM, .. }) => {
                Ok(Some(Self { socket, surveyed: None, lacks: [None, None], has_flowtables: None }))
            }
            Err(refusal) => Err(refusal).context(|| "cannot ask the kernel for its nftables".into()),
        }
    }

    /// Returns in words the needs of our rules that this kernel does not meet. The kernel is asked once,
    /// because the question may load modules. The question changes nothing. `translates` adds the needs of a
    /// site that shares a network under another one.
    pub fn lacks(&mut self, translates: bool) -> Result<&[&'static str]> {
        let lacks = &mut self.lacks[usize::from(translates)];
        if lacks.is_none() {
            *lacks = Some(match ability::lacks(&mut self.socket, translates) {
                // The kernel answers only root.
                Err(Refusal { errno: Errno::EPERM, .. }) => Vec::new(),
                lacks => {
                    lacks.context(|| "cannot ask the kernel for the abilities of its nftables".into())?
                }
            });
        }
        Ok(lacks.as_deref().unwrap_or_default())
    }

    /// Reports whether this kernel has flowtables that end flows of former routes. The kernel is asked once,
    /// because the question may load modules. The question changes nothing.
    pub fn has_flowtables(&mut self) -> bool {
        *self.has_flowtables.get_or_insert_with(|| ability::has_flowtables(&mut self.socket))
    }

    /// Reads our table; `None` if there is none, an empty firewall if the table is not in a form that we
    /// write.
    pub fn read(&mut self) -> Result<Option<Firewall>> {
        for _ in 0..LOOKS {
            match snapshot::take(&mut self.socket) {
                Ok(None) => return Ok(None),
                Ok(Some(snapshot)) if snapshot::is_sharp(&snapshot) => {
                    return Ok(Some(snapshot::decode(&snapshot).unwrap_or_default()));
                }
                // The ruleset changed while we read it, or a set disappeared between two questions.
                Ok(Some(_)) | Err(Refusal { errno: Errno::ENOENT | Errno::EINTR, .. }) => {}
                Err(refusal) => return Err(refusal).context(|| "cannot read the firewall".into()),
            }
        }
        Err(Error::failed("cannot read the firewall: another program keeps changing it"))
    }

    /// Surveys other programs' chains. If the ruleset has not changed since the last survey, the only
    /// question is for its generation.
    pub fn survey(&mut self) -> Result<Survey> {
        let context = || "cannot read other programs' nftables".to_owned();
        for _ in 0..LOOKS {
            let generation = self.generation().context(context)?;
            if let Some((known, survey)) = &self.surveyed
                && *known == generation
            {
                return Ok(survey.clone());
            }
            match foreign::ask(&mut self.socket) {
                Ok(answers) if snapshot::is_sharp(&answers) => {
                    self.surveyed = Some((generation, foreign::read(&answers)));
                }
                Ok(_) | Err(Refusal { errno: Errno::ENOENT | Errno::EINTR, .. }) => {}
                Err(refusal) => return Err(refusal).context(context),
            }
        }
        Err(Error::failed("cannot read other programs' nftables: one of them keeps changing them"))
    }

    /// Puts our rules at the top of another program's chain, in place of our rules that are there, in one
    /// transaction.
    pub fn open(&mut self, chain: &ForeignChain, to: &PinholeChain) -> Result<()> {
        let context = || format!("cannot change our rules in the chain {chain}");
        let Some(batch) = foreign::batch(&mut self.socket, chain, to).context(context)? else {
            return Ok(());
        };
        self.socket.transact(&batch).map_err(|(_, refusal)| refusal).context(context)
    }

    /// Returns the closed ports; `None` if there is no table for them, an empty set if the table is not in a
    /// form that we write.
    pub fn closed_ports(&mut self) -> Result<Option<SortedSet<IfName>>> {
        ports::read(&mut self.socket).context(|| "cannot read the closed ports".into())
    }

    /// Closes these ports and no others, in one transaction; `None` removes the table for closed ports.
    pub fn close_ports(&mut self, ports: Option<&SortedSet<IfName>>) -> Result<()> {
        ports::change(&mut self.socket, ports).context(|| "cannot change the closed ports".into())
    }

    /// Reports whether this kernel can close ports. The question changes nothing; it may load modules.
    pub fn can_close_ports(&mut self) -> bool {
        ports::are_possible(&mut self.socket)
    }

    /// Returns the generation: the number that the kernel gives to each state of its ruleset.
    fn generation(&mut self) -> Result<u32, Refusal> {
        let answers = self.socket.request(call::GET_GENERATION, NLM_F_ACK, &|_| ())?;
        let number = frames(&answers).find_map(|frame| attributes(frame.payload).number(GENERATION_NUMBER));
        number.ok_or(Errno::EPROTO.into())
    }

    /// Changes the table from `from` to `to`; `None` means no table. If the kernel refuses an edit, nothing
    /// changes, and the error names that edit. Equal firewalls need no change.
    ///
    /// A first transaction fills new sets, and a second one makes all other edits. Within one transaction the
    /// kernel activates new rules first, and shows them the elements of new sets of networks last
    /// (`nf_tables_commit` in net/netfilter/nf_tables_api.c calls `nft_set_commit_update` at its end). On
    /// Linux 6.18, packets got through a rule that had to drop them.
    pub fn change(&mut self, from: Option<&Firewall>, to: Option<&Firewall>) -> Result<()> {
        let [sets, rest] = in_stages(edits(from, to));
        self.carry_out(&sets)?;
        self.carry_out(&rest).inspect_err(|_| drop(self.carry_out(&inverse_of_sets(from.is_some(), &sets))))
    }

    /// Carries out all of these edits, or none.
    fn carry_out(&mut self, edits: &[FirewallEdit]) -> Result<()> {
        if edits.is_empty() {
            return Ok(());
        }
        let transaction = transaction::encode(edits);
        self.socket
            .transact(transaction.messages())
            .map_err(|(message, refusal)| transaction::explain(edits, transaction.edit_of(message), refusal))
    }
}
