//! nftables by netlink: one table of family `inet`, read whole and changed in one transaction.
//!
//! The table is ours alone. If another hand changed it (a rule, chain or set that we do not write, a chain hooked in
//! elsewhere, an empty chain), [`Nftables::read`] returns an empty [`Firewall`], which nobody wants; and a change from an
//! empty one replaces the table whole, in the same transaction. So every edit from outside is seen and repaired, and the
//! change from one firewall of ours to another can rely on what it finds. Other tables are neither read nor touched.

mod call;
mod chain;
mod expression;
mod rule;
mod set;
mod snapshot;
mod transaction;
mod value;

#[cfg(test)]
mod tests;

use netlink_packet_core::NLM_F_ACK;
use nix::errno::Errno;

use crate::error::{Context as _, Error, Result};
use crate::firewall::Firewall;
use crate::firewall_edit::edits;
use crate::kernel::nfnetlink::Nfnetlink;

/// How often to look again when another program changes the ruleset while we read it.
const LOOKS: usize = 20;

/// The nftables of a network namespace.
pub struct Nftables {
    socket: Nfnetlink,
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
            Err(Errno::EINVAL) => Ok(None),
            // Only root is told.
            Ok(_) | Err(Errno::EPERM) => Ok(Some(Self { socket })),
            Err(errno) => Err(errno).doing(|| "cannot ask the kernel for its nftables".into()),
        }
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

    /// Makes the table `to` of what is `from`, in one transaction; `None` = no table. If anything is refused, nothing is
    /// changed, and the error says what it was. Does nothing if the two are equal.
    pub fn change(&mut self, from: Option<&Firewall>, to: Option<&Firewall>) -> Result<()> {
        let edits = edits(from, to);
        if edits.is_empty() {
            return Ok(());
        }
        let batch = transaction::encode(&edits);
        self.socket.batch(&batch).map_err(|refusal| transaction::explain(&edits, refusal))
    }
}
