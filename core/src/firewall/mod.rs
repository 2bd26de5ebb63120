//! The firewall as typed rules, in no firewall's language: nftables and iptables are written from it and read back into it.

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

/// Name of the nftables tables that are ours: one of family `inet`, and one of family `netdev` while ports are closed.
pub const TABLE: &str = "portals";

/// Priority of the chains that close ports, at the hook `ingress`: ahead of all that others have there as a rule.
pub const PORTS_PRIORITY: i32 = -500;

/// The comment on rules of ours in chains of somebody else's.
pub const OPENING_COMMENT: &str = "portals";

/// All of the table: sets, and rules by chain. A chain without rules is never wanted; where one is observed,
/// another hand has changed the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firewall {
    /// By name.
    pub sets: SortedMap<SetName, Set>,
    /// In the order in which packets meet them.
    pub chains: SortedMap<Chain, Vec<Rule>>,
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
    Interfaces(SortedSet<IfName>),
    /// nft type `ether_addr`.
    Devices(SortedSet<Mac>),
    /// nft type `ifname . ifname`: came in on the first, goes out on the second.
    Paths(SortedSet<(IfName, IfName)>),
    /// nft type `ifname . ipv4_addr`: an interface, and the first address of a network there. A rule says how long that is.
    Places(SortedSet<(IfName, Ipv4Addr)>),
    /// nft type `ifname . mark`: an interface, and what is under a mask in the mark of a connection. A rule says under which.
    Ways(SortedSet<(IfName, u32)>),
    /// nft type `ipv4_addr` or `ipv6_addr`, flags `interval`: networks of one family that do not overlap.
    Networks(Family, SortedSet<Cidr>),
}

impl Set {
    /// How many elements it has.
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

/// Ways through rules of somebody else's that refuse what they do not know: by chain, what portals needs there. No rule looks at a set.
pub type Openings = SortedMap<Chain, Vec<Rule>>;

/// A chain of somebody else's that nftables asks at a hook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignChain {
    /// Of its table.
    pub family: TableFamily,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ForeignChain {
    /// As nft writes it: `inet fw4 forward`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            TableFamily::Ip => "ip",
            TableFamily::Ip6 => "ip6",
            TableFamily::Inet => "inet",
        };
        write!(f, "{family} {} {}", self.table, self.name)
    }
}

/// Rules of ours in a chain of somebody else's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// In order; `None` is one that another hand has changed. Wanted: none of these.
    pub rules: Vec<Option<Rule>>,
    /// Whether they are the first ones of the chain. Wanted: they are.
    pub at_top: bool,
}

/// Which packets a table of nftables sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableFamily {
    /// IPv4
    Ip,
    /// IPv6
    Ip6,
    /// Both
    Inet,
}

/// Rules of somebody else's that refuse what they do not know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Barrier {
    /// A chain of nftables.
    Nftables(ForeignChain),
    /// The table `filter` of one family, as this program shows it.
    Iptables(Program, Family),
}

/// Which firewall guards our portals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// nftables, by netlink.
    Nftables,
    /// iptables, by this program.
    Iptables(Program),
}

impl Backend {
    /// The word in `status --json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::Iptables(_) => "iptables",
        }
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

/// Networks at interfaces: those of one length that are in a set of kind [`Set::Places`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The set.
    pub set: SetName,
    /// Prefix length in bits.
    pub length: u8,
}

/// Marks of connections at interfaces: those that are in a set of kind [`Set::Ways`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ways {
    /// The set.
    pub set: SetName,
    /// The bits of a mark that are looked at.
    pub mask: u32,
}

/// Devices a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Devices {
    /// One.
    One(Mac),
    /// Those in a set of kind [`Set::Devices`].
    In(SetName),
}

/// A condition of a rule. Names in brackets are nft's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// IPv4 or IPv6 only [`meta nfproto`]. Not in a rule that looks at an address: that says it already, and the kernel
    /// would show just one of the two.
    Family(Family),
    /// Came in there [`iifname`].
    Incoming(Interfaces),
    /// Did not come in there [`iifname !=`].
    NotIncoming(Interfaces),
    /// Goes out there [`oifname`].
    Outgoing(Interfaces),
    /// Does not go out there [`oifname !=`].
    NotOutgoing(Interfaces),
    /// Came in on the first and goes out on the second interface of a pair in a [`Set::Paths`] [`iifname . oifname @set`].
    Path(SetName),
    /// Does not come from one of these networks, each at its own interface [`iifname . ip saddr & MASK != @set`].
    NotFrom(Places),
    /// Came in on an interface, and does not go to one of these networks there [`iifname . ip daddr & MASK != @set`].
    NotTo(Places),
    /// Came in on an interface that does not go with the mark of its connection [`iifname . ct mark & MASK != @set`].
    NotReturning(Ways),
    /// Goes out on an interface that goes with the mark of its connection [`oifname . ct mark & MASK @set`].
    Departing(Ways),
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
    /// Is a packet of the other side, or about one [`ct direction reply`].
    Replying,
    /// Was sent by this device on a wire of ours, so only what came in meets it [`ether saddr`]. The last condition of a rule: behind
    /// it, `nft` would look for an address in another way.
    Device(Devices),
    /// Carries this mark [`meta mark & MASK == VALUE`].
    Marked(Mark),
    /// Belongs to a connection that carries this mark [`ct mark & MASK == VALUE`].
    ConnectionMarked(Mark),
    /// Belongs to a connection that does not carry this mark [`ct mark & MASK != VALUE`].
    ConnectionNotMarked(Mark),
    /// Does not carry this mark [`meta mark & MASK != VALUE`].
    NotMarked(Mark),
    /// ICMP or ICMPv6 [`meta l4proto { icmp, ipv6-icmp }` written as one protocol for each family: `meta l4proto icmp`].
    Icmp(Family),
    /// UDP to one of these ports, first to last [`udp dport 67-68`].
    UdpPort(u16, u16),
    /// TCP to one of these ports, first to last [`tcp dport 443`].
    TcpPort(u16, u16),
    /// Opens a TCP connection [`tcp flags & (syn | rst) == syn`].
    TcpSyn,
}

impl Condition {
    /// The set it looks at, if any.
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

    /// The family of packets that can meet it; `None` = both.
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

    /// The same about other interfaces, if it is about interfaces.
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

    /// The same about other networks, if it is about networks.
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

    /// What holds if a negative one does not; itself, if it is none.
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
    /// Gives it this source address [`snat ip to 10.8.0.2`]. Only in a rule about IPv4.
    SendAs(Ipv4Addr),
    /// Sends TCP or UDP to this port of this host, at an address of the interface that it came by [`redirect to :5053`].
    Redirect(u16),
    /// Sends it to this address instead [`dnat ip to 9.9.9.9`]. Only in a rule about IPv4.
    Divert(Ipv4Addr),
    /// Sets the bits of a mark, and leaves the others [`meta mark set meta mark & ~MASK | VALUE`]. The next rule is asked, too.
    SetMark(Mark),
    /// The same with the mark of the connection [`ct mark set ct mark & ~MASK | VALUE`].
    SetConnectionMark(Mark),
    /// Lowers the TCP maximum segment size to this many bytes [`tcp option maxseg size set`]; the kernel never raises it.
    ClampMss(u16),
}

impl ForeignChain {
    /// The family whose iptables made this chain, if it looks like theirs.
    pub fn by_iptables(&self) -> Option<Family> {
        let built_in = ["INPUT", "FORWARD"].contains(&self.name.as_str()) && self.table == "filter";
        match self.family {
            TableFamily::Ip if built_in => Some(Family::V4),
            TableFamily::Ip6 if built_in => Some(Family::V6),
            _ => None,
        }
    }
}
