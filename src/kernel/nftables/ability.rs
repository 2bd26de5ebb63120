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
static NEEDED: [(Chain, &[Condition], Action); 8] = [
    (Chain::Forward, &[Condition::Established], Action::Accept),
    (Chain::Forward, &[], Action::Reject),
    (Chain::Mss, &[Condition::TcpSyn], Action::ClampMss(1240)),
    (Chain::Prerouting, &[Condition::UdpPort(53, 53)], Action::Redirect(5053)),
    (Chain::Prerouting, &[Condition::Family(Family::V4)], Action::DestinationNat(IpAddr::V4(HERE))),
    (Chain::Postrouting, &[], Action::Masquerade),
    (Chain::Marks, &[Condition::ConnectionMarked(MARK)], Action::SetMark(MARK)),
    (Chain::OwnMarks, &[], Action::SetConnectionMark(MARK)),
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
    for (chain, conditions, action) in &NEEDED {
        let rule = FirewallRule { conditions: conditions.to_vec(), action: *action };
        needed.chains.get_or_default(*chain).push(rule);
    }
    if translates {
        needed.chains.get_or_default(Chain::Postrouting).push(translation());
    }
    let edits = edits(None, Some(&needed));
    let trial = transaction::encode_trial(&edits);
    let refusals = socket.refusals(trial.messages())?.into_iter();
    let refusals: Vec<_> =
        refusals.map(|(message, refusal)| (trial.edit_of(message), refusal.errno)).collect();
    Ok(transaction::lacking(&edits, &refusals))
}

/// Returns a rule that translates a network.
fn translation() -> FirewallRule {
    let network = Cidr::host(HERE.into());
    FirewallRule {
        conditions: vec![Condition::Source(Networks::One(network))],
        action: Action::SourcePrefix(network),
    }
}
