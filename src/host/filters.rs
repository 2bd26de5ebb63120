//! Which firewalls this host has, and whose rules refuse what they do not know.

use crate::error::Result;
use crate::firewall::{Barrier, Chain};
use crate::kernel::iptables::legacy;
use crate::kernel::linux::Linux;
use crate::net::Family;
use crate::sorted::SortedSet;
use crate::xtables::dump::Dump;
use crate::xtables::{Program, built_in};

/// Where a portal's packets could be refused by others.
const GATES: [Chain; 2] = [Chain::Input, Chain::Forward];

/// The firewalls of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Whether the kernel has nftables.
    pub nftables: bool,
    /// The program for legacy iptables, if it is installed.
    pub legacy: Option<Program>,
    /// The program for iptables that writes nftables, if it is installed.
    pub nft: Option<Program>,
    /// Whether others filter with legacy iptables.
    pub legacy_in_use: bool,
    /// What our rules need and the kernel's legacy iptables lacks, in words.
    pub legacy_lacks: Vec<String>,
    /// Rules of others that refuse what they do not know, and in which chain.
    pub barriers: SortedSet<(Barrier, Chain)>,
    /// Tables of nftables that refuse so and that nobody but their owner may change.
    pub locked: SortedSet<String>,
}

/// Looks at them.
pub(super) fn read(kernel: &mut Linux) -> Result<Filters> {
    let survey = kernel.survey()?;
    let mut filters = Filters { nftables: kernel.has_nftables(), ..Filters::default() };
    let programs = kernel.iptables();
    (filters.legacy, filters.nft) = (programs.legacy, programs.nft);
    for (chain, gate) in survey.refusing {
        // What iptables wrote is left to iptables: it cannot read a table any more that has other rules than its own.
        let by_iptables = chain.by_iptables().filter(|_| filters.nft.is_some());
        let barrier = match (by_iptables, filters.nft) {
            (Some(family), Some(program)) => Barrier::Iptables(program, family),
            _ => Barrier::Nftables(chain),
        };
        filters.barriers.insert((barrier, gate));
    }
    filters.locked = survey.locked;
    if let Some(program) = filters.legacy {
        for family in legacy::families_in_use()? {
            let dump = programs.dump(program, family)?;
            filters.legacy_in_use |= dump.is_used_by_others();
            filters.barriers.extend(barriers(program, family, &dump));
        }
        filters.legacy_lacks = legacy::lacks();
    }
    Ok(filters)
}

fn barriers(program: Program, family: Family, dump: &Dump) -> impl Iterator<Item = (Barrier, Chain)> {
    let refusing = GATES.into_iter().filter(|gate| dump.refuses(&built_in(*gate)));
    refusing.map(move |gate| (Barrier::Iptables(program, family), gate)).collect::<Vec<_>>().into_iter()
}
