//! Which firewalls this host has, and whose rules refuse what they do not know.

use std::path::Path;

use crate::error::Result;
use crate::firewall::{Backend, Barrier, Chain};
use crate::firewall_choice;
use crate::journal::FOLDER;
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
    /// Needs of our rules that the kernel's nftables lacks, in words; not asked where it guards already.
    pub nftables_lacks: Vec<&'static str>,
    /// The firewall that was chosen before, and guards since.
    pub standing: Option<Backend>,
    /// A chain of nftables by which others translate addresses, where legacy iptables would end that: before Linux 4.18 one of the
    /// two translates, and the other does not.
    pub displaced: Option<String>,
    /// The program for legacy iptables, if it is installed.
    pub legacy: Option<Program>,
    /// The program for iptables that writes nftables, if it is installed.
    pub nft: Option<Program>,
    /// Whether others filter with legacy iptables.
    pub legacy_in_use: bool,
    /// What our rules need and the kernel's legacy iptables lacks, in words; not asked where others would guard.
    pub legacy_lacks: Vec<String>,
    /// Rules of others that refuse what they do not know, and in which chain.
    pub barriers: SortedSet<(Barrier, Chain)>,
    /// What a person should know of those in whose rules portals cannot make its way.
    pub notes: Vec<String>,
}

/// Looks at them; `marks`: for portals that go by marks.
pub(super) fn read(kernel: &mut Linux, marks: bool) -> Result<Filters> {
    let survey = kernel.survey()?;
    // Behind the survey: who may not look at the kernel shall be told so.
    let standing = firewall_choice::remembered(Path::new(FOLDER))?;
    let mut filters = Filters { nftables: kernel.has_nftables(), standing, ..Filters::default() };
    // Asked only before anything is built on it.
    if standing != Some(Backend::Nftables) {
        filters.nftables_lacks = kernel.nftables_lacks()?;
    }
    if !super::runs_at_least((4, 18)) {
        filters.displaced = survey.translating.as_ref().map(ToString::to_string);
    }
    let programs = kernel.iptables();
    (filters.legacy, filters.nft) = (programs.legacy, programs.nft);
    for (chain, gate) in survey.refusing {
        // What iptables wrote is left to iptables: it cannot read a table any more that has other rules than its own.
        match (chain.by_iptables(), filters.nft) {
            (None, _) => drop(filters.barriers.insert((Barrier::Nftables(chain), gate))),
            (Some(family), Some(program)) => {
                filters.barriers.insert((Barrier::Iptables(program, family), gate));
            }
            (Some(_), None) => filters.notes.push(refusing(&chain.to_string(), NO_PROGRAM)),
        }
    }
    filters.notes.extend(survey.locked.iter().map(|chain| refusing(chain, LOCKED)));
    let families = legacy::families_in_use()?;
    if let Some(program) = filters.legacy {
        for family in families {
            let dump = programs.dump(program, family)?;
            filters.legacy_in_use |= dump.is_used_by_others();
            filters.barriers.extend(barriers(program, family, &dump));
        }
        // Asked only where it would have to guard: the answer may load modules.
        let nftables_can = filters.nftables && filters.nftables_lacks.is_empty();
        if filters.legacy_in_use || !nftables_can || filters.nft.is_none() {
            filters.legacy_lacks = legacy::lacks(&programs.missing(program), marks);
        }
    } else if !families.is_empty() {
        filters.notes.push(format!("legacy iptables is in use here, and {NO_PROGRAM}"));
    }
    Ok(filters)
}

const NO_PROGRAM: &str = "the program iptables is missing, so that what portals needs may be refused there: install it (in a container: in the \
                          image)";
const LOCKED: &str = "only the program that made it may change it, so that what portals needs may be refused there (firewalld: set \
                      NftablesTableOwner=no in /etc/firewalld/firewalld.conf)";

fn refusing(chain: &str, reason: &str) -> String {
    format!("the firewall chain `{chain}` refuses what it does not know, and {reason}")
}

fn barriers(program: Program, family: Family, dump: &Dump) -> impl Iterator<Item = (Barrier, Chain)> {
    let refusing = GATES.into_iter().filter(|gate| dump.refuses(&built_in(*gate)));
    refusing.map(move |gate| (Barrier::Iptables(program, family), gate)).collect::<Vec<_>>().into_iter()
}
