//! nftables by netlink: one table of family `inet`, read whole and changed in one transaction.
//!
//! The table is ours alone. If another hand changed it (a rule, chain or set that we do not write, a chain hooked in
//! elsewhere, an empty chain), [`Nftables::read`] returns an empty [`Firewall`], which nobody wants; and a change from an
//! empty one replaces the table whole, in the same transaction. So every edit from outside is seen and repaired, and the
//! change from one firewall of ours to another can rely on what it finds. Other tables are neither read nor touched.

mod chain;
mod expression;
mod rule;
mod set;
mod snapshot;
mod socket;
mod transaction;
mod value;
mod wire;

#[cfg(test)]
mod tests;

use nix::errno::Errno;

use crate::error::{Context as _, Error, Result};
use crate::firewall::Firewall;
use crate::firewall_edit::edits;
use socket::Nfnetlink;

/// How often to look again when another program changes the ruleset while we read it.
const LOOKS: usize = 20;

/// The nftables of a network namespace.
pub struct Nftables {
    socket: Nfnetlink,
}

impl Nftables {
    /// That of the network namespace of this thread. Fails if the kernel was built without netfilter's netlink.
    pub fn open() -> Result<Self> {
        let socket = Nfnetlink::open().doing(|| "cannot open a socket to netfilter".into())?;
        Ok(Self { socket })
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
                Err(errno) => return Err(errno).doing(|| unreadable(errno).into()),
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

fn unreadable(errno: Errno) -> &'static str {
    match errno {
        // What nfnetlink says to a subsystem that it does not know: nfnetlink_rcv_msg in net/netfilter/nfnetlink.c.
        Errno::EINVAL => "cannot read the firewall: this kernel has no nftables (module nf_tables)",
        _ => "cannot read the firewall",
    }
}
