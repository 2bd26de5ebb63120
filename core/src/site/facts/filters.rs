//! The firewalls of a host.

use crate::base::sorted::SortedSet;
use crate::firewall::xtables::Program;
use crate::firewall::{Backend, Barrier, Chain};

/// The firewalls of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Whether the kernel has nftables.
    pub nftables: bool,
    /// Needs of our rules that the kernel's nftables lacks, in words; not asked where it guards already.
    pub nftables_lacks: Vec<&'static str>,
    /// The firewall that was chosen before, and guards since.
    pub standing: Option<Backend>,
    /// A chain of nftables by which others translate addresses, where legacy iptables would end that: before
    /// Linux 4.18 one of the two translates, and the other does not.
    pub displaced: Option<String>,
    /// The program for legacy iptables, if it is installed.
    pub legacy: Option<Program>,
    /// The program for iptables that writes nftables, if it is installed.
    pub nft: Option<Program>,
    /// Whether others filter with legacy iptables.
    pub legacy_in_use: bool,
    /// What our rules need and the kernel's legacy iptables lacks, in words; not asked where others would
    /// guard.
    pub legacy_lacks: Vec<String>,
    /// Rules of others that refuse what they do not know, and in which chain.
    pub barriers: SortedSet<(Barrier, Chain)>,
    /// What a person should know of those in whose rules portals cannot make its way.
    pub notes: Vec<String>,
}
