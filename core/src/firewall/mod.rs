//! Firewall as typed rules, independent of any firewall's language: nftables and iptables are written from
//! these rules and read back into them.

mod chain;
pub mod edit;
mod rule;
pub mod text;
pub mod xtables;

use std::fmt;
use std::net::IpAddr;

pub use chain::{Chain, NetfilterHook};
pub use rule::{
    Action, Condition, Devices, FirewallRule, Interfaces, MarksAtInterfaces, Networks, NetworksAtInterfaces,
    Pairing,
};

use crate::base::net::{Cidr, Family, IfName, Mac};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::xtables::IptablesProgram;

/// Name of our nftables tables: one of family `inet`, and one of family `netdev` while ports are closed.
pub const TABLE: &str = "portals";

/// Name of the flowtable in our table.
pub const FLOWTABLE: &str = "fast";

/// Priority of the chains that close ports, at the hook `ingress`: ahead of the chains that other programs
/// usually have there.
pub const PORTS_PRIORITY: i32 = -500;

/// Comment on our rules in the chains of other programs.
pub const PINHOLE_COMMENT: &str = "portals";

/// Content of our table: sets, and rules by chain. A desired firewall never has a chain without rules; an
/// observed chain without rules was changed by another program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Sets by name.
    pub sets: SortedMap<SetName, Set>,
    /// Rules by chain, each list in the order in which packets meet the rules.
    pub chains: SortedMap<Chain, Vec<FirewallRule>>,
    /// Devices of the flowtable, which is there if a rule has the action [`Action::Offload`]. All of them
    /// exist: the kernel takes a device that disappears out of the flowtable.
    pub flows: Option<SortedSet<IfName>>,
}

impl Firewall {
    /// Reports whether the firewall has no content. No desired firewall is empty. A table that another
    /// program changed is observed as empty, so that it differs from every desired firewall and is replaced
    /// whole.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty() && self.chains.is_empty()
    }

    /// Reports whether two firewalls let the same packets pass. The devices of their flowtables may differ:
    /// those come and go.
    pub fn equals_in_rules(one: Option<&Self>, other: Option<&Self>) -> bool {
        match (one, other) {
            (Some(one), Some(other)) => one.sets == other.sets && one.chains == other.chains,
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

/// Name of a set: up to 31 characters of `a-z 0-9 -`, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetName(pub String);

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Set of values that one rule looks up. A set is never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Set {
    /// nft type `ifname`.
    Interfaces(SortedSet<IfName>),
    /// nft type `ether_addr`.
    Devices(SortedSet<Mac>),
    /// nft type `ifname . ifname`: the packet came in on the first interface and goes out on the second.
    InterfacePairs(SortedSet<(IfName, IfName)>),
    /// nft type `ifname . ipv4_addr` or `ifname . ipv6_addr`: an interface, and the first address of a
    /// network of one family there. The rule gives the prefix length.
    NetworksAtInterfaces(Family, SortedSet<(IfName, IpAddr)>),
    /// nft type `ifname . mark`: an interface, and the masked bits of a connection mark. The rule gives the
    /// mask.
    MarksAtInterfaces(SortedSet<(IfName, u32)>),
    /// nft type `ipv4_addr` or `ipv6_addr`: networks of one family that do not overlap, with the flag
    /// `interval`, or without it single addresses only. The kernel finds an address in such a set sooner.
    Networks(Family, bool, SortedSet<Cidr>),
}

impl Set {
    /// Number of elements.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        match self {
            Self::Interfaces(names) => names.len(),
            Self::Devices(devices) => devices.len(),
            Self::InterfacePairs(paths) => paths.len(),
            Self::NetworksAtInterfaces(_, places) => places.len(),
            Self::MarksAtInterfaces(pairs) => pairs.len(),
            Self::Networks(.., networks) => networks.len(),
        }
    }
}

/// Rules that portals needs, by chain, where other programs' rules refuse unknown packets. No such rule looks
/// at a set.
pub type Pinholes = SortedMap<Chain, Vec<FirewallRule>>;

/// Base chain of another program in nftables.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignChain {
    /// Family of its table.
    pub family: TableFamily,
    /// Name of its table.
    pub table: String,
    /// Name of the chain.
    pub name: String,
}

impl fmt::Display for ForeignChain {
    /// Writes the chain as nft does: `inet fw4 forward`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            TableFamily::Ip => "ip",
            TableFamily::Ip6 => "ip6",
            TableFamily::Inet => "inet",
        };
        write!(f, "{family} {} {}", self.table, self.name)
    }
}

/// Rules of ours in a chain of another program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PinholeChain {
    /// Rules in order. `None` is a rule that another program changed; a desired list has none.
    pub rules: Vec<Option<FirewallRule>>,
    /// Set if the rules are the first rules of the chain, as desired.
    pub at_top: bool,
}

/// Family of an nftables table: the packets that the table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableFamily {
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// IPv4 and IPv6.
    Inet,
}

/// Rules of another program that refuse unknown packets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RestrictiveRules {
    /// A chain of nftables.
    Nftables(ForeignChain),
    /// Table `filter` of one family, as this set of iptables programs shows it.
    Iptables(IptablesProgram, Family),
}

/// Firewall that guards our portals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirewallBackend {
    /// nftables, via netlink.
    Nftables,
    /// iptables, via this set of programs.
    Iptables(IptablesProgram),
}

impl FirewallBackend {
    /// Word for the backend in `status --json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::Iptables(_) => "iptables",
        }
    }
}

impl ForeignChain {
    /// Returns the family whose iptables made this chain, if the chain looks like one of theirs.
    pub fn by_iptables(&self) -> Option<Family> {
        let built_in = ["INPUT", "FORWARD"].contains(&self.name.as_str()) && self.table == "filter";
        match self.family {
            TableFamily::Ip if built_in => Some(Family::V4),
            TableFamily::Ip6 if built_in => Some(Family::V6),
            _ => None,
        }
    }
}
