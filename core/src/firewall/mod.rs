//! Firewall as typed rules, independent of any firewall's language: nftables and iptables are written from
//! these rules and read back into them.

mod chain;
pub mod edit;
pub mod text;
pub mod xtables;

use std::fmt;
use std::net::Ipv4Addr;

pub use chain::{Chain, Hook};

use crate::base::net::{Cidr, Family, IfName, Mac, Mark};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::xtables::Program;

/// Name of our nftables tables: one of family `inet`, and one of family `netdev` while ports are closed.
pub const TABLE: &str = "portals";

/// Priority of the chains that close ports, at the hook `ingress`: ahead of the chains that other programs
/// usually have there.
pub const PORTS_PRIORITY: i32 = -500;

/// Comment on our rules in the chains of other programs.
pub const OPENING_COMMENT: &str = "portals";

/// Content of our table: sets, and rules by chain. A desired firewall never has a chain without rules; an
/// observed chain without rules was changed by another program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Sets by name.
    pub sets: SortedMap<SetName, Set>,
    /// Rules by chain, each list in the order in which packets meet the rules.
    pub chains: SortedMap<Chain, Vec<Rule>>,
}

impl Firewall {
    /// Reports whether the firewall has no content. No desired firewall is empty. A table that another
    /// program changed is observed as empty, so that it differs from every desired firewall and is replaced
    /// whole.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty() && self.chains.is_empty()
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
    Paths(SortedSet<(IfName, IfName)>),
    /// nft type `ifname . ipv4_addr`: an interface, and the first address of a network there. The rule gives
    /// the prefix length.
    Places(SortedSet<(IfName, Ipv4Addr)>),
    /// nft type `ifname . mark`: an interface, and the masked bits of a connection mark. The rule gives the
    /// mask.
    Ways(SortedSet<(IfName, u32)>),
    /// nft type `ipv4_addr` or `ipv6_addr`, flags `interval`: networks of one family that do not overlap.
    Networks(Family, SortedSet<Cidr>),
}

impl Set {
    /// Number of elements.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        match self {
            Self::Interfaces(names) => names.len(),
            Self::Devices(devices) => devices.len(),
            Self::Paths(paths) => paths.len(),
            Self::Places(places) => places.len(),
            Self::Ways(ways) => ways.len(),
            Self::Networks(_, networks) => networks.len(),
        }
    }
}

/// Rules that portals needs, by chain, where other programs' rules refuse unknown packets. No such rule looks
/// at a set.
pub type Openings = SortedMap<Chain, Vec<Rule>>;

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
pub struct Opened {
    /// Rules in order. `None` is a rule that another program changed; a desired list has none.
    pub rules: Vec<Option<Rule>>,
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
pub enum Barrier {
    /// A chain of nftables.
    Nftables(ForeignChain),
    /// Table `filter` of one family, as this set of iptables programs shows it.
    Iptables(Program, Family),
}

/// Firewall that guards our portals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// nftables, via netlink.
    Nftables,
    /// iptables, via this set of programs.
    Iptables(Program),
}

impl Backend {
    /// Word for the backend in `status --json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::Iptables(_) => "iptables",
        }
    }
}

/// Rule: an action for packets that meet every condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Conditions that must all hold.
    pub conditions: Vec<Condition>,
    /// Action on the packets that meet all conditions.
    pub action: Action,
}

/// Interfaces that a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interfaces {
    /// A single value.
    One(IfName),
    /// Interfaces in a set of kind [`Set::Interfaces`].
    In(SetName),
}

/// Networks that a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Networks {
    /// A single value.
    One(Cidr),
    /// Networks in a set of kind [`Set::Networks`].
    In(Family, SetName),
}

impl Networks {
    /// Address family of the networks.
    pub fn family(&self) -> Family {
        match self {
            Self::One(network) => network.family(),
            Self::In(family, _) => *family,
        }
    }
}

/// Networks at interfaces: the networks of one prefix length in a set of kind [`Set::Places`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Name of the set.
    pub set: SetName,
    /// Prefix length in bits.
    pub length: u8,
}

/// Connection marks at interfaces: the pairs in a set of kind [`Set::Ways`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ways {
    /// Name of the set.
    pub set: SetName,
    /// Bits of the mark that the rule compares.
    pub mask: u32,
}

/// Devices that a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Devices {
    /// A single value.
    One(Mac),
    /// Devices in a set of kind [`Set::Devices`].
    In(SetName),
}

/// Condition of a rule. Parentheses give the same condition in nft's language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The packet is IPv4 or IPv6 (`meta nfproto`). A rule that looks at an address does not have this
    /// condition: the address implies the family, and the kernel would show only one of the two.
    Family(Family),
    /// The packet came in on one of these interfaces (`iifname`).
    Incoming(Interfaces),
    /// The packet did not come in on any of these interfaces (`iifname !=`).
    NotIncoming(Interfaces),
    /// The packet goes out on one of these interfaces (`oifname`).
    Outgoing(Interfaces),
    /// The packet does not go out on any of these interfaces (`oifname !=`).
    NotOutgoing(Interfaces),
    /// The packet came in on the first and goes out on the second interface of a pair in a [`Set::Paths`]
    /// (`iifname . oifname @set`).
    Path(SetName),
    /// The packet does not come from one of these networks, each at its own interface (`iifname . ip saddr &
    /// MASK != @set`).
    NotFrom(Places),
    /// The packet does not go to one of these networks at the interface that it came in on (`iifname . ip
    /// daddr & MASK != @set`).
    NotTo(Places),
    /// The packet came in on an interface that does not belong to its connection mark (`iifname . ct mark &
    /// MASK != @set`).
    NotReturning(Ways),
    /// The packet goes out on an interface that belongs to its connection mark (`oifname . ct mark & MASK
    /// @set`).
    Departing(Ways),
    /// The source address is in these networks (`ip saddr`).
    Source(Networks),
    /// The source address is not in these networks (`ip saddr !=`).
    NotSource(Networks),
    /// The destination address is in these networks (`ip daddr`).
    Destination(Networks),
    /// The destination address is not in these networks (`ip daddr !=`).
    NotDestination(Networks),
    /// The packet belongs to an answered connection, or to one of its errors (`ct state
    /// established,related`).
    Established,
    /// The packet comes from the side that opened the connection (`ct direction original`).
    Opening,
    /// The packet comes from the side that answers, or is an error about such a packet (`ct direction
    /// reply`).
    Replying,
    /// The packet was sent by this device on a link of ours, so only incoming packets meet the condition
    /// (`ether saddr`). This must be the last condition of a rule: behind it, `nft` would encode the test of
    /// an address differently.
    Device(Devices),
    /// The packet carries this mark (`meta mark & MASK == VALUE`).
    Marked(Mark),
    /// The connection carries this mark (`ct mark & MASK == VALUE`).
    ConnectionMarked(Mark),
    /// The connection does not carry this mark (`ct mark & MASK != VALUE`).
    ConnectionNotMarked(Mark),
    /// The packet does not carry this mark (`meta mark & MASK != VALUE`).
    NotMarked(Mark),
    /// The packet is ICMP (`meta l4proto icmp`), or ICMPv6 if the family is IPv6 (`meta l4proto icmpv6`).
    Icmp(Family),
    /// The packet is UDP to one of these ports, first to last (`udp dport 67-68`).
    UdpPort(u16, u16),
    /// The packet is TCP to one of these ports, first to last (`tcp dport 443`).
    TcpPort(u16, u16),
    /// The packet opens a TCP connection (`tcp flags & (syn | rst) == syn`).
    TcpSyn,
}

impl Condition {
    /// Returns the name of the set that the condition looks at, if any.
    pub fn set(&self) -> Option<&SetName> {
        match self {
            Self::Path(set)
            | Self::NotFrom(Places { set, .. })
            | Self::NotTo(Places { set, .. })
            | Self::NotReturning(Ways { set, .. })
            | Self::Departing(Ways { set, .. })
            | Self::Incoming(Interfaces::In(set))
            | Self::NotIncoming(Interfaces::In(set))
            | Self::Device(Devices::In(set))
            | Self::Outgoing(Interfaces::In(set))
            | Self::NotOutgoing(Interfaces::In(set))
            | Self::Source(Networks::In(_, set))
            | Self::NotSource(Networks::In(_, set))
            | Self::Destination(Networks::In(_, set))
            | Self::NotDestination(Networks::In(_, set)) => Some(set),
            _ => None,
        }
    }

    /// Returns the address family of the packets that can meet the condition; `None` means both.
    pub fn family(&self) -> Option<Family> {
        match self {
            Self::Family(family) | Self::Icmp(family) => Some(*family),
            Self::Source(networks)
            | Self::NotSource(networks)
            | Self::Destination(networks)
            | Self::NotDestination(networks) => Some(networks.family()),
            Self::NotFrom(_) | Self::NotTo(_) => Some(Family::V4),
            _ => None,
        }
    }

    /// Returns the condition with other interfaces; a condition without interfaces stays as it is.
    #[must_use]
    pub fn with_interfaces(&self, interfaces: Interfaces) -> Self {
        match self {
            Self::Incoming(_) => Self::Incoming(interfaces),
            Self::NotIncoming(_) => Self::NotIncoming(interfaces),
            Self::Outgoing(_) => Self::Outgoing(interfaces),
            Self::NotOutgoing(_) => Self::NotOutgoing(interfaces),
            other => other.clone(),
        }
    }

    /// Returns the condition with other networks; a condition without networks stays as it is.
    #[must_use]
    pub fn with_networks(&self, networks: Networks) -> Self {
        match self {
            Self::Source(_) => Self::Source(networks),
            Self::NotSource(_) => Self::NotSource(networks),
            Self::Destination(_) => Self::Destination(networks),
            Self::NotDestination(_) => Self::NotDestination(networks),
            other => other.clone(),
        }
    }

    /// Returns the positive form of a negative condition; a positive condition stays as it is.
    #[must_use]
    pub fn opposite(&self) -> Self {
        match self {
            Self::NotIncoming(interfaces) => Self::Incoming(interfaces.clone()),
            Self::NotOutgoing(interfaces) => Self::Outgoing(interfaces.clone()),
            Self::NotSource(networks) => Self::Source(networks.clone()),
            Self::NotDestination(networks) => Self::Destination(networks.clone()),
            other => other.clone(),
        }
    }
}

/// Action of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Ends our chain; other tables may still refuse the packet.
    Accept,
    /// Refuses the packet without an answer.
    Drop,
    /// Refuses the packet with ICMP "administratively prohibited" (`reject with icmpx admin-prohibited`).
    Reject,
    /// Gives the packet the source address of the interface that it leaves via.
    Masquerade,
    /// Gives the packet this source address (`snat ip to 10.8.0.2`). Only rules about IPv4 have this action.
    SendAs(Ipv4Addr),
    /// Sends TCP or UDP to this port of this host, at an address of the interface that the packet came in on
    /// (`redirect to :5053`).
    Redirect(u16),
    /// Sends the packet to this address instead (`dnat ip to 9.9.9.9`). Only rules about IPv4 have this
    /// action.
    Divert(Ipv4Addr),
    /// Sets the masked bits of the packet's mark and leaves the other bits (`meta mark set meta mark & ~MASK
    /// | VALUE`). The packet goes on to the next rule.
    SetMark(Mark),
    /// Sets the masked bits of the connection mark and leaves the other bits (`ct mark set ct mark & ~MASK |
    /// VALUE`). The packet goes on to the next rule.
    SetConnectionMark(Mark),
    /// Lowers the TCP maximum segment size to this many bytes (`tcp option maxseg size set`); the kernel
    /// never raises it.
    ClampMss(u16),
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
