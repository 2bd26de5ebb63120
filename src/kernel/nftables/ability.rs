//! Question to the kernel about the abilities of its nftables, which changes nothing.

use std::net::Ipv4Addr;

use super::transaction;
use crate::base::list::ToList as _;
use crate::base::net::{Cidr, Family, IfName, Mac, Mark};
use crate::firewall::edit::edits;
use crate::firewall::{Action, Chain, Condition, Firewall, FirewallRule, Networks, Set, SetName};
use crate::kernel::netlink::Refusal;
use crate::kernel::nfnetlink::Nfnetlink;

/// Mark of the trial; its value does not matter.
const MARK: Mark = Mark { value: 1, mask: 1 };

/// Returns in words the needs of our rules that the kernel does not meet. The kernel loads the modules that
/// it has, tries a table with all these needs, and drops the table before it is in force: no other program
/// hears of the trial.
/// `translates` adds the needs of a site that shares a network under another one.
pub(super) fn lacks(socket: &mut Nfnetlink, translates: bool) -> Result<Vec<&'static str>, Refusal> {
    let mut needed = needed();
    if translates {
        needed.chains.get_or_default(Chain::Postrouting).push(translation());
    }
    let edits = edits(None, Some(&needed));
    let trial = transaction::encode_trial(&edits);
    let refusals = socket.refusals(trial.messages())?.into_iter();
    let refusals: Vec<_> = refusals.map(|(message, refusal)| (trial.edit_of(message), refusal.errno)).list();
    Ok(transaction::lacking(&edits, &refusals))
}

/// Returns a rule that translates a network.
fn translation() -> FirewallRule {
    let network = Cidr::new(Ipv4Addr::LOCALHOST.into(), 8).expect("a valid length");
    FirewallRule {
        conditions: vec![Condition::Source(Networks::One(network))],
        action: Action::SourcePrefix(network),
    }
}

/// Returns a firewall with each feature that depends on a module, or on the kernel's age.
fn needed() -> Firewall {
    let interface: IfName = "lo".parse().expect("a name");
    let network = Cidr::host(Ipv4Addr::LOCALHOST.into());
    let sets = [
        ("interfaces", Set::Interfaces([interface.clone()].into())),
        ("paths", Set::InterfacePairs([(interface.clone(), interface)].into())),
        ("devices", Set::Devices([Mac([2, 0, 0, 0, 0, 1])].into())),
        ("networks", Set::Networks(Family::V4, [network].into())),
    ];
    let rule = |conditions: &[Condition], action| FirewallRule { conditions: conditions.to_vec(), action };
    let chains = [
        (Chain::Forward, vec![rule(&[Condition::Established], Action::Accept), rule(&[], Action::Reject)]),
        (Chain::Mss, vec![rule(&[Condition::TcpSyn], Action::ClampMss(1240))]),
        (
            Chain::Prerouting,
            vec![
                rule(&[Condition::UdpPort(53, 53)], Action::Redirect(5053)),
                rule(&[Condition::Family(Family::V4)], Action::DestinationNat(Ipv4Addr::LOCALHOST.into())),
            ],
        ),
        (Chain::Postrouting, vec![rule(&[], Action::Masquerade)]),
        (Chain::Marks, vec![rule(&[Condition::ConnectionMarked(MARK)], Action::SetMark(MARK))]),
        (Chain::OwnMarks, vec![rule(&[], Action::SetConnectionMark(MARK))]),
    ];
    Firewall {
        sets: sets.into_iter().map(|(name, set)| (SetName(name.to_owned()), set)).collect(),
        chains: chains.into(),
    }
}
