//! Question to the kernel about the abilities of its nftables, which changes nothing.

use std::net::{IpAddr, Ipv4Addr};

use super::set::KINDS;
use super::transaction;
use crate::base::net::{Cidr, Family, Mark};
use crate::firewall::edit::edits;
use crate::firewall::{Action, Chain, Condition, Firewall, FirewallRule, Networks, SetName};
use crate::kernel::netlink::Refusal;
use crate::kernel::nfnetlink::Nfnetlink;

/// Mark of the trial; its value does not matter.
const MARK: Mark = Mark { value: 1, mask: 1 };

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Rule of the trial for each feature that depends on a module, or on the kernel's age.
const NEEDED: [(Chain, Option<Condition>, Action); 8] = [
    (Chain::Forward, Some(Condition::Established), Action::Accept),
    (Chain::Forward, None, Action::Reject),
    (Chain::Mss, Some(Condition::TcpSyn), Action::ClampMss(1240)),
    (Chain::Prerouting, Some(Condition::UdpPort(53, 53)), Action::Redirect(5053)),
    (Chain::Prerouting, Some(Condition::Family(Family::V4)), Action::DestinationNat(IpAddr::V4(HERE))),
    (Chain::Postrouting, None, Action::Masquerade),
    (Chain::Marks, Some(Condition::ConnectionMarked(MARK)), Action::SetMark(MARK)),
    (Chain::OwnMarks, None, Action::SetConnectionMark(MARK)),
];

/// Returns in words the needs of our rules that the kernel does not meet. The kernel loads the modules that
/// it has, tries a table with all these needs, and drops the table before it is in force: no other program
/// hears of the trial.
/// `translates` adds the needs of a site that shares a network under another one.
pub(super) fn lacks(socket: &mut Nfnetlink, translates: bool) -> Result<Vec<&'static str>, Refusal> {
    let mut needed = Firewall::default();
    for (number, set) in KINDS.iter().enumerate() {
        needed.sets.insert(SetName(number.to_string()), set.clone());
    }
    let mut add = |chain, condition, action| {
        let rule = FirewallRule { conditions: Vec::from_iter(condition), action };
        needed.chains.get_or_default(chain).push(rule);
    };
    for (chain, condition, action) in NEEDED {
        add(chain, condition, action);
    }
    if translates {
        let network = Cidr::host(HERE.into());
        let sources = Condition::Source(Networks::One(network));
        add(Chain::Postrouting, Some(sources), Action::SourcePrefix(network));
    }
    let edits = edits(None, Some(&needed));
    let trial = transaction::encode_trial(&edits);
    let mut refusals = Vec::new();
    for (message, refusal) in socket.refusals(trial.messages())? {
        refusals.push((trial.edit_of(message), refusal.errno));
    }
    Ok(transaction::lacking(&edits, &refusals))
}
