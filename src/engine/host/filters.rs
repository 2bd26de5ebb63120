//! Firewalls of this host, and the rules of other programs that refuse unknown packets.

use super::HostQuery;
use crate::base::error::Result;
use crate::engine::firewall_choice;
use crate::firewall::{FirewallBackend, RestrictiveRules};
use crate::kernel::iptables::legacy;
use crate::kernel::linux::Linux;
use crate::site::facts::HostFirewalls;

/// Reads which firewalls the host has, and their rules.
pub(super) fn read(kernel: &mut Linux, query: &HostQuery) -> Result<HostFirewalls> {
    let survey = kernel.survey()?;
    // After the survey: a caller without permission gets an error about the kernel, not about a file.
    let former = firewall_choice::remembered(query.folder)?;
    let mut filters = HostFirewalls { nftables: kernel.has_nftables(), former, ..HostFirewalls::default() };
    // The query is needed only before our rules are in nftables. These rules may not have a translation yet.
    if former != Some(FirewallBackend::Nftables) || query.translates {
        filters.nftables_lacks = kernel.nftables_lacks(query.translates)?;
    }
    filters.flowtables = query.fastpath && kernel.has_flowtables();
    if !super::runs_at_least((4, 18)) {
        filters.displaced = survey.translating.as_ref().map(ToString::to_string);
    }
    let programs = kernel.iptables();
    (filters.legacy, filters.nft) = (programs.legacy, programs.nft);
    for (chain, gate) in survey.refusing {
        // Only iptables changes a table that iptables wrote: it cannot read a table that contains other rules
        // than its own.
        match (chain.by_iptables(), filters.nft) {
            (None, _) => drop(filters.barriers.insert((RestrictiveRules::Nftables(chain), gate))),
            (Some(family), Some(program)) => {
                filters.barriers.insert((RestrictiveRules::Iptables(program, family), gate));
            }
            (Some(_), None) => filters.notes.push(refusing(&chain.to_string(), NO_PROGRAM)),
        }
    }
    for chain in &survey.locked {
        filters.notes.push(refusing(chain, LOCKED));
    }
    if let Some(program) = filters.legacy {
        for tables in &*kernel.legacy_iptables(program)? {
            filters.legacy_in_use |= tables.is_used_by_others;
            for gate in &tables.refusing {
                filters.barriers.insert((RestrictiveRules::Iptables(program, tables.family), *gate));
            }
        }
        // The kernel is asked only where legacy iptables would have to guard: the answer may load modules.
        let nftables_can = filters.nftables && filters.nftables_lacks.is_empty();
        if filters.legacy_in_use || !nftables_can || filters.nft.is_none() {
            filters.legacy_lacks = legacy::lacks(&programs.missing(program), query.marks, query.translates);
            if query.ipv6 {
                filters.legacy_lacks_ipv6 = legacy::lacks_ipv6();
            }
        }
    } else if !legacy::families_in_use()?.is_empty() {
        filters.notes.push(format!("legacy iptables is in use here, and {NO_PROGRAM}"));
    }
    Ok(filters)
}

const NO_PROGRAM: &str = "the program iptables is missing, so that packets of portals may be refused there: \
                          install it (in a container: in the image)";
const LOCKED: &str = "only the program that made it may change it, so that packets of portals may be refused \
                      there (firewalld: set NftablesTableOwner=no in /etc/firewalld/firewalld.conf)";

fn refusing(chain: &str, reason: &str) -> String {
    format!("the firewall chain `{chain}` refuses unknown packets, and {reason}")
}
