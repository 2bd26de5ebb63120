//! Question to the kernel about the abilities of its nftables, which changes nothing.

use std::net::Ipv4Addr;

use super::transaction;
use crate::base::net::{Cidr, Family, IfName, Mac, Mark};
use crate::base::sorted::SortedMap;
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
    let refusals: Vec<_> =
        refusals.map(|(message, refusal)| (trial.edit_of(message), refusal.errno)).collect();
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
    let mut chains = SortedMap::<Chain, Vec<FirewallRule>>::new();
    let mut add = |chain, conditions, action| {
        chains.get_or_default(chain).push(FirewallRule { conditions, action });
    };
    add(Chain::Forward, vec![Condition::Established], Action::Accept);
    add(Chain::Forward, Vec::new(), Action::Reject);
    add(Chain::Mss, vec![Condition::TcpSyn], Action::ClampMss(1240));
    add(Chain::Prerouting, vec![Condition::UdpPort(53, 53)], Action::Redirect(5053));
    let to_other_host = Action::DestinationNat(Ipv4Addr::LOCALHOST.into());
    add(Chain::Prerouting, vec![Condition::Family(Family::V4)], to_other_host);
    add(Chain::Postrouting, Vec::new(), Action::Masquerade);
    add(Chain::Marks, vec![Condition::ConnectionMarked(MARK)], Action::SetMark(MARK));
    add(Chain::OwnMarks, Vec::new(), Action::SetConnectionMark(MARK));
    Firewall { sets: sets.into_iter().map(|(name, set)| (SetName(name.to_owned()), set)).collect(), chains }
}
