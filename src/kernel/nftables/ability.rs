//! Question to the kernel about the abilities of its nftables, which changes nothing.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::set::KINDS;
use super::transaction;
use crate::base::net::{Cidr, Family, Mark};
use crate::base::sorted::SortedSet;
use crate::firewall::edit::FirewallEdit;
use crate::firewall::{Action, Chain, Condition, FirewallRule, Networks, SetName};
use crate::kernel::netlink::Refusal;
use crate::kernel::nfnetlink::Nfnetlink;

/// Mark and address of the trial; their values do not matter.
const MARK: Mark = Mark { value: 1, mask: 1 };
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Setting of Linux 5.14. Since Linux 5.13, flowtables end flows of former routes (`nf_flow_offload_gc_step`
/// in net/netfilter/nf_flow_table_core.c calls `dst_check`).
const SETTING: &str = "/proc/sys/net/netfilter/nf_flowtable_udp_timeout";

/// Returns in words the needs of our rules that the kernel does not meet. The kernel loads the modules that
/// it has, tries a table with all these needs, and drops the table before it is in force: no other program
/// hears of the trial.
/// `translates` adds the needs of a site that shares a network under another one.
pub(super) fn lacks(socket: &mut Nfnetlink, translates: bool) -> Result<Vec<&'static str>, Refusal> {
    let mut names = Vec::new();
    for number in 0..KINDS.len() {
        names.push(SetName(number.to_string()));
    }
    let rules = rules(translates);
    let mut edits = vec![FirewallEdit::AddTable];
    for chain in Chain::ALL {
        edits.push(FirewallEdit::AddChain(chain));
    }
    for (name, set) in names.iter().zip(&KINDS) {
        edits.push(FirewallEdit::AddSet(name, set));
    }
    for (chain, rule) in &rules {
        edits.push(FirewallEdit::AddRule(*chain, 0, rule));
    }
    let trial = transaction::encode_trial(&edits);
    let mut refusals = Vec::new();
    for (message, refusal) in socket.refusals(trial.messages())? {
        refusals.push((trial.edit_of(message), refusal.errno));
    }
    Ok(transaction::lacking(&edits, &refusals))
}

/// Reports whether the kernel has flowtables that end flows of former routes. The question is a flowtable
/// that never comes into force; it may load modules.
pub(super) fn has_flowtables(socket: &mut Nfnetlink) -> bool {
    let devices = SortedSet::new();
    let rule = FirewallRule { conditions: Vec::new(), action: Action::Offload };
    let edits = [
        FirewallEdit::AddTable,
        FirewallEdit::AddFlowtable(&devices),
        FirewallEdit::AddChain(Chain::Forward),
        FirewallEdit::AddRule(Chain::Forward, 0, &rule),
    ];
    let trial = transaction::encode_trial(&edits);
    socket.refusals(trial.messages()).is_ok_and(|refusals| refusals.is_empty()) && Path::new(SETTING).exists()
}

/// Returns a rule for each feature that depends on a module, or on the kernel's age.
fn rules(translates: bool) -> Vec<(Chain, FirewallRule)> {
    let mut rules = Vec::new();
    let mut add = |chain, condition: Option<Condition>, action| {
        rules.push((chain, FirewallRule { conditions: Vec::from_iter(condition), action }));
    };
    add(Chain::Forward, Some(Condition::Established), Action::Accept);
    add(Chain::Forward, None, Action::Reject);
    add(Chain::Forward, Some(Condition::TcpSyn), Action::ClampMss(1240));
    add(Chain::Prerouting, Some(Condition::UdpPort(53, 53)), Action::Redirect(5053));
    add(Chain::Prerouting, Some(Condition::Family(Family::V4)), Action::DestinationNat(HERE));
    add(Chain::Postrouting, None, Action::Masquerade);
    add(Chain::Marks, Some(Condition::ConnectionMarked(MARK)), Action::SetMark(MARK));
    add(Chain::OwnMarks, None, Action::SetConnectionMark(MARK));
    if translates {
        let network = Cidr::host(HERE);
        let sources = Condition::Source(Networks::One(network));
        add(Chain::Postrouting, Some(sources), Action::SourcePrefix(network));
    }
    rules
}
