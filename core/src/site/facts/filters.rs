//! The firewalls of a host.

use crate::base::sorted::SortedSet;
use crate::firewall::xtables::IptablesProgram;
use crate::firewall::{Chain, FirewallBackend, RestrictiveRules};

/// Firewalls of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFirewalls {
    /// Set if the kernel has nftables.
    pub nftables: bool,
    /// Features, in words, that our rules need and the kernel's nftables lacks; not asked where nftables
    /// guards already.
    pub nftables_lacks: Vec<&'static str>,
    /// Set if the kernel has flowtables that notice changes of routes; asked only where the file turns the
    /// fast path on.
    pub flowtables: bool,
    /// Firewall that was chosen before, and guards now.
    pub former: Option<FirewallBackend>,
    /// Foreign nftables chain that translates addresses, where legacy iptables would end that: before Linux
    /// 4.18 only one of the two translates.
    pub displaced: Option<String>,
    /// Program for legacy iptables, if it is installed.
    pub legacy: Option<IptablesProgram>,
    /// Program for iptables that writes nftables, if it is installed.
    pub nft: Option<IptablesProgram>,
    /// Set if other programs filter with legacy iptables.
    pub legacy_in_use: bool,
    /// Features, in words, that our rules need and the kernel's legacy iptables lacks; not asked where
    /// another firewall would guard.
    pub legacy_lacks: Vec<String>,
    /// Features, in words, that IPv6 through portals needs and the kernel's iptables lacks; asked only where
    /// the file turns IPv6 on.
    pub legacy_lacks_ipv6: Vec<String>,
    /// Foreign rules that refuse unknown packets, and the chain in which they do.
    pub barriers: SortedSet<(RestrictiveRules, Chain)>,
    /// Notes for people about firewalls in which portals cannot open a way.
    pub notes: Vec<String>,
}
