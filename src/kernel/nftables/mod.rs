//! nftables by netlink: one table of family `inet`, read whole and changed in one transaction.
//!
//! The table is ours alone. If another hand changed the rules of a chain to what we do not write,
//! [`Nftables::read`] returns that chain without rules. If it made a chain or a set that we do not write, or
//! hooked a chain in elsewhere, an empty [`Firewall`] is returned; and a change from an empty one replaces
//! the table whole, in the same transaction. Nobody wants either, so every edit from outside is seen and
//! repaired, and the change from one firewall of ours to another can rely on what it finds. Other tables are
//! neither read nor touched.

mod ability;
mod call;
mod chain;
mod expression;
pub(crate) mod foreign;
pub(crate) mod ports;
mod rule;
mod set;
pub(crate) mod snapshot;
pub(crate) mod transaction;
mod value;

#[cfg(test)]
mod tests;

use netlink_packet_core::NLM_F_ACK;
use nix::errno::Errno;

use crate::base::error::{Context as _, Error, Result};
use crate::base::net::IfName;
use crate::base::sorted::SortedSet;
use crate::firewall::edit::{Edit, edits, in_stages, undoing};
use crate::firewall::{Firewall, ForeignChain, Opened};
use crate::kernel::nfnetlink::{Nfnetlink, messages};
pub use foreign::Survey;

/// NFTA_GEN_ID
const GENERATION_NUMBER: u16 = 1;

/// How often to look again when another program changes the ruleset while we read it.
const LOOKS: usize = 20;

/// The nftables of a network namespace.
pub struct Nftables {
    socket: Nfnetlink,
    /// Of others' chains, as of a generation of the ruleset.
    surveyed: Option<(u32, Survey)>,
    /// Needs of our rules that are not met, once the kernel was asked.
    lacks: Option<Vec<&'static str>>,
}

impl Nftables {
    /// That of the network namespace of this thread; `None` if this kernel has no nftables. Looking is enough to load its
    /// module.
    pub fn find() -> Result<Option<Self>> {
        let mut socket = match Nfnetlink::open(call::INET) {
            // Built without netfilter's netlink.
            Err(Errno::EPROTONOSUPPORT) => return Ok(None),
            socket => socket.doing(|| "cannot open a socket to netfilter".into())?,
        };
        match socket.request(call::GET_GENERATION, NLM_F_ACK, |_| ()) {
            // What nfnetlink says to a subsystem that it does not know: nfnetlink_rcv_msg in net/netfilter/nfnetlink.c.
            Err(Errno::EINVAL | Errno::EOPNOTSUPP) => Ok(None),
            // Only root is told.
            Ok(_) | Err(Errno::EPERM) => Ok(Some(Self { socket, surveyed: None, lacks: None })),
            Err(errno) => Err(errno).doing(|| "cannot ask the kernel for its nftables".into()),
        }
    }

    /// Needs of our rules that this kernel does not meet, in words; asked for once, as it may load modules. Changes
    /// nothing.
    pub fn lacks(&mut self) -> Result<&[&'static str]> {
        if self.lacks.is_none() {
            self.lacks = Some(match ability::lacks(&mut self.socket) {
                // Only root is told.
                Err(Errno::EPERM) => Vec::new(),
                lacks => lacks.doing(|| "cannot ask the kernel what its nftables can do".into())?,
            });
        }
        Ok(self.lacks.as_deref().unwrap_or_default())
    }

    /// Our table; `None` if there is none, an empty firewall if it is not as we would have written it.
    pub fn read(&mut self) -> Result<Option<Firewall>> {
        for _ in 0..LOOKS {
            match snapshot::take(&mut self.socket) {
                Ok(None) => return Ok(None),
                Ok(Some(snapshot)) if snapshot::is_sharp(&snapshot) => {
                    return Ok(Some(snapshot::decode(&snapshot).unwrap_or_default()));
                }
                // Something else changed while we looked, or a set went away between two looks.
                Ok(Some(_)) | Err(Errno::ENOENT | Errno::EINTR) => {}
                Err(errno) => return Err(errno).doing(|| "cannot read the firewall".into()),
            }
        }
        Err(Error::failed("cannot read the firewall: another program keeps changing it"))
    }

    /// What there is to know of others' chains. Nothing more is asked than whether the ruleset is as it was, if it is.
    pub fn survey(&mut self) -> Result<Survey> {
        let doing = || "cannot read other programs' nftables".to_owned();
        for _ in 0..LOOKS {
            let generation = self.generation().doing(doing)?;
            if let Some((known, survey)) = &self.surveyed
                && *known == generation
            {
                return Ok(survey.clone());
            }
            match foreign::survey(&mut self.socket) {
                Ok((survey, answers)) if snapshot::is_sharp(&answers) => {
                    self.surveyed = Some((generation, survey));
                }
                Ok(_) | Err(Errno::ENOENT | Errno::EINTR) => {}
                Err(errno) => return Err(errno).doing(doing),
            }
        }
        Err(Error::failed("cannot read other programs' nftables: one of them keeps changing them"))
    }

    /// Puts rules of ours at the top of a chain of somebody else's, in place of those that are there, in one transaction.
    pub fn open(&mut self, chain: &ForeignChain, to: &Opened) -> Result<()> {
        let doing = || format!("cannot change our rules in the chain {chain}");
        let Some(batch) = foreign::batch(&mut self.socket, chain, to).doing(doing)? else { return Ok(()) };
        self.socket.batch(&batch).map_err(|refusal| refusal.errno).doing(doing)
    }

    /// The ports that are closed; `None` if we have no table for that, none at all if it is not as we would have written it.
    pub fn closed_ports(&mut self) -> Result<Option<SortedSet<IfName>>> {
        ports::read(&mut self.socket).doing(|| "cannot read which ports are closed".into())
    }

    /// Closes these ports and no others, in one transaction; `None` = not even a table for that.
    pub fn close_ports(&mut self, ports: Option<&SortedSet<IfName>>) -> Result<()> {
        ports::change(&mut self.socket, ports).doing(|| "cannot change which ports are closed".into())
    }

    /// Tells whether this kernel can close ports. Asks it, and changes nothing; may load modules.
    pub fn can_close_ports(&mut self) -> bool {
        ports::are_possible(&mut self.socket)
    }

    /// The number that the kernel gives to each state of its ruleset.
    fn generation(&mut self) -> Result<u32, Errno> {
        let answers = self.socket.request(call::GET_GENERATION, NLM_F_ACK, |_| ())?;
        let number = messages(&answers).find_map(|message| message.attributes().number(GENERATION_NUMBER));
        number.ok_or(Errno::EPROTO)
    }

    /// Makes the table `to` of what is `from`; `None` = no table. If anything is refused, nothing is changed,
    /// and the error says what it was. Does nothing if the two are equal.
    ///
    /// New sets are filled in a transaction of their own, ahead of the one that does the rest. Within one
    /// transaction the kernel activates new rules first, and shows them the elements of new sets of networks
    /// last (`nf_tables_commit` in net/netfilter/nf_tables_api.c calls `nft_set_commit_update` at its end).
    /// On Linux 6.18 packets got through a rule that was to drop them.
    pub fn change(&mut self, from: Option<&Firewall>, to: Option<&Firewall>) -> Result<()> {
        let [sets, rest] = in_stages(edits(from, to));
        self.carry_out(&sets)?;
        self.carry_out(&rest).inspect_err(|_| drop(self.carry_out(&undoing(from.is_some(), &sets))))
    }

    /// Does these edits, all or none.
    fn carry_out(&mut self, edits: &[Edit]) -> Result<()> {
        if edits.is_empty() {
            return Ok(());
        }
        self.socket.batch(&transaction::encode(edits)).map_err(|refusal| transaction::explain(edits, refusal))
    }
}
