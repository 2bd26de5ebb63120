//! The firewall as typed rules, in no firewall's language: nftables and iptables are written from it and read back into it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::net::{Cidr, Family, IfName, Mark};

/// Name of the one nftables table (family `inet`) that is ours.
pub const TABLE: &str = "portals";

/// All of the table: sets, and rules by chain. A chain without rules does not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firewall {
    /// By name.
    pub sets: BTreeMap<SetName, Set>,
    /// In the order in which packets meet them.
    pub chains: BTreeMap<Chain, Vec<Rule>>,
}

impl Firewall {
    /// Whether there is nothing in it. Nobody wants such a table; one that was changed by another hand is observed as such,
    /// so that it differs from every wanted one and is replaced whole.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty() && self.chains.is_empty()
    }
}

/// Name of a set: up to 31 of `a-z 0-9 -`, a letter first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetName(pub String);

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Many values that one rule looks at. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Set {
    /// nft type `ifname`.
    Interfaces(BTreeSet<IfName>),
    /// nft type `ifname . ifname`: came in on the first, goes out on the second.
    Paths(BTreeSet<(IfName, IfName)>),
    /// nft type `ipv4_addr` or `ipv6_addr`, flags `interval`: networks of one family that do not overlap.
    Networks(Family, BTreeSet<Cidr>),
}

/// Our base chains. What each is hooked to is fixed: see [`Chain::hook`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chain {
    /// What this host passes on.
    Forward,
    /// What is addressed to this host.
    Input,
    /// What this host sends itself.
    Output,
    /// TCP segment sizes of what is passed on.
    Mss,
    /// Source addresses of what leaves.
    Postrouting,
}

/// Where a base chain is hooked in, in netfilter's words. Policy is always `accept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hook {
    /// `filter` or `nat`.
    pub kind: &'static str,
    /// `forward`, `input`, `output`, `postrouting`.
    pub hook: &'static str,
    /// NF_INET_* number of the hook (linux/netfilter.h).
    pub number: u32,
    /// Lower comes first.
    pub priority: i32,
}

impl Chain {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Forward, Self::Input, Self::Output, Self::Mss, Self::Postrouting];

    /// The chain's name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Input => "input",
            Self::Output => "output",
            Self::Mss => "mss",
            Self::Postrouting => "postrouting",
        }
    }

    /// Where it is hooked in.
    pub fn hook(self) -> Hook {
        let (kind, hook, number, priority) = match self {
            Self::Forward => ("filter", "forward", 2, 0),
            Self::Input => ("filter", "input", 1, 0),
            Self::Output => ("filter", "output", 3, 0),
            Self::Mss => ("filter", "forward", 2, -150),
            Self::Postrouting => ("nat", "postrouting", 4, 100),
        };
        Hook { kind, hook, number, priority }
    }
}

/// One rule: an action for packets that meet every condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// What happens then.
    pub action: Action,
}

/// Interfaces a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interfaces {
    /// One.
    One(IfName),
    /// Those in a set of kind [`Set::Interfaces`].
    In(SetName),
}

/// Networks a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Networks {
    /// One.
    One(Cidr),
    /// Those in a set of kind [`Set::Networks`].
    In(Family, SetName),
}

impl Networks {
    /// The family of all of them.
    pub fn family(&self) -> Family {
        match self {
            Self::One(network) => network.family(),
            Self::In(family, _) => *family,
        }
    }
}

/// A condition of a rule. Names in brackets are nft's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// IPv4 or IPv6 only [`meta nfproto`]. Not in a rule that looks at an address: that says it already, and the kernel
    /// would show just one of the two.
    Family(Family),
    /// Came in there [`iifname`].
    Incoming(Interfaces),
    /// Goes out there [`oifname`].
    Outgoing(Interfaces),
    /// Does not go out there [`oifname !=`].
    NotOutgoing(Interfaces),
    /// Came in on the first and goes out on the second interface of a pair in a [`Set::Paths`] [`iifname . oifname @set`].
    Path(SetName),
    /// Comes from there [`ip saddr`].
    Source(Networks),
    /// Does not come from there [`ip saddr !=`].
    NotSource(Networks),
    /// Goes there [`ip daddr`].
    Destination(Networks),
    /// Does not go there [`ip daddr !=`].
    NotDestination(Networks),
    /// Belongs to a connection that was answered, or to one of its errors [`ct state established,related`].
    Established,
    /// Is a packet of the side that opened the connection [`ct direction original`].
    Opening,
    /// Does not carry this mark [`meta mark & MASK != VALUE`].
    NotMarked(Mark),
    /// ICMP or ICMPv6 [`meta l4proto { icmp, ipv6-icmp }` written as one protocol for each family: `meta l4proto icmp`].
    Icmp(Family),
    /// UDP to one of these ports, first to last [`udp dport 67-68`].
    UdpPort(u16, u16),
    /// Opens a TCP connection [`tcp flags & (syn | rst) == syn`].
    TcpSyn,
}

impl Condition {
    /// The set it looks at, if any.
    pub fn set(&self) -> Option<&SetName> {
        match self {
            Self::Path(set)
            | Self::Incoming(Interfaces::In(set))
            | Self::Outgoing(Interfaces::In(set))
            | Self::NotOutgoing(Interfaces::In(set))
            | Self::Source(Networks::In(_, set))
            | Self::NotSource(Networks::In(_, set))
            | Self::Destination(Networks::In(_, set))
            | Self::NotDestination(Networks::In(_, set)) => Some(set),
            _ => None,
        }
    }
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Ends our chain; other tables may still refuse.
    Accept,
    /// Refuses without a word.
    Drop,
    /// Refuses with ICMP "administratively prohibited" [`reject with icmpx admin-prohibited`].
    Reject,
    /// Gives it the source address of the interface it leaves by.
    Masquerade,
    /// Lowers the TCP maximum segment size to this many bytes [`tcp option maxseg size set`]; the kernel never raises it.
    ClampMss(u16),
}
