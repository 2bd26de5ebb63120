//! `State`: all that portals makes of a machine, as plain data.
//!
//! The same type says what is wanted and what was observed, so that the difference between the two is all there is to do.

pub mod diff;
pub mod step;
pub mod tunnel_delta;
pub mod words;

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};

use crate::base::net::{Cidr, Family, IfName, InterfaceAddress, Mark, Priority, PublicKey, Secret, Table};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::xtables::{Program, Ruleset};
use crate::firewall::{Firewall, ForeignChain, Opened};

/// Our protocol number on routes and rules: tells them from those of the kernel (2), of `ip` (3) and of routing daemons.
/// Free in iproute2's `rt_protos`.
pub const PROTOCOL: u8 = 77;

/// The band of rule priorities that is ours. Ahead of EdgeOS load balancing (201) and of UniFi's (32000 and up).
pub const PRIORITIES: std::ops::RangeInclusive<u32> = 110..=119;

/// What every alias of an interface of ours begins with; the network's name follows.
pub const ALIAS_PREFIX: &str = "portals:";

/// The mark on the tunnels' own packets, so that they are never routed into a tunnel. Bit 28 is clear of UniFi's
/// (17 to 22), Tailscale's and OpenWrt pbr's (`0xff0000`), wg-quick's (51820) and mwan3's (`0x3f00`).
pub const TUNNEL_MARK: Mark = Mark { value: 0x1000_0000, mask: 0x1000_0000 };

/// The mark of connections that were opened into a tunnel: bit 29, clear of the same others. No packet gets it.
pub const TUNNELED: Mark = Mark { value: 0x2000_0000, mask: 0x2000_0000 };

/// The bits that tell into which, from the lowest of its number: those that tell portals, in connections without the mark of one; and bit
/// 30.
pub const TUNNEL_NUMBER_BITS: [u32; 5] = [0x0100_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x4000_0000];

/// All bits of a connection's mark that tell its tunnel: those, and those of a portal, which has one exit.
pub const WAYS: u32 = TUNNELED.mask | PORTAL_MARKS | 0x4f00_0000;

/// The mark of connections that came in by the uplink for a device behind a portal, and of their packets: that of the tunnels' own packets,
/// since all of these go the host's own ways.
pub const INBOUND: Mark = TUNNEL_MARK;

/// How many portals of a site can have a mark.
pub const PORTAL_MARK_COUNT: u8 = 16;

/// The bit that every mark of a portal has.
pub const PORTAL_MARKS: u32 = 0x8000_0000;

/// The mark of what enters a portal that a policy rule alone cannot tell: bit 31 says that it is such a mark, bits 24 to 27 whose. Clear
/// of the same others as [`TUNNEL_MARK`], and of that. Somebody else's mark in bits 24 to 27 is none of these.
///
/// # Panics
/// If the number is not below [`PORTAL_MARK_COUNT`].
pub fn portal_mark(number: u8) -> Mark {
    assert!(number < PORTAL_MARK_COUNT, "there are no more marks");
    Mark { value: PORTAL_MARKS | u32::from(number) << 24, mask: PORTAL_MARKS | 0x0f00_0000 }
}

/// The table of one route, which refuses everything but what is on a link (see [`Reach`]): behind the tables of exits, for what this host
/// sends itself.
pub const CLOSED_TABLE: Table = Table(7699);

/// The mark under [`WAYS`] of a connection that was opened into the tunnel of this number, 1 to 31.
pub fn tunneled(number: u8) -> u32 {
    let bits = TUNNEL_NUMBER_BITS.iter().enumerate().filter(|(index, _)| number >> index & 1 == 1);
    bits.fold(TUNNELED.value, |mark, (_, bit)| mark | bit)
}

/// Metric of the routes that catch what a vanished tunnel leaves behind: behind every other (`ip -6 route` prints the
/// kernel's own fallback with it).
pub const LAST_METRIC: NonZeroU32 = NonZeroU32::new(4_278_198_272).unwrap();

/// All that portals makes of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Interfaces that we made.
    pub links: SortedMap<IfName, Link>,
    /// WireGuard settings of those that are tunnels.
    pub tunnels: SortedMap<IfName, Tunnel>,
    /// Addresses on our interfaces, and ours on the host's.
    pub addresses: SortedSet<(IfName, InterfaceAddress)>,
    /// Interfaces that are administratively up: ours, and those of the host that portals need.
    pub up: SortedSet<IfName>,
    /// Routes with our protocol number.
    pub routes: SortedSet<Route>,
    /// Rules in our band of priorities.
    pub rules: SortedSet<Rule>,
    /// Interfaces of others' that are ports of theirs, and that nothing may come in by: our second nftables table, if there is one. None in
    /// it: another hand has changed it; nobody wants that.
    pub closed_ports: Option<SortedSet<IfName>>,
    /// Our nftables table, if there is one.
    pub firewall: Option<Firewall>,
    /// What is ours in iptables, by program; programs with nothing of ours are left out.
    pub iptables: SortedMap<Program, Ruleset>,
    /// Rules of ours in other people's nftables chains; chains without any are left out.
    pub openings: SortedMap<ForeignChain, Opened>,
    /// Kernel settings by path below `/proc/sys`, such as `net/ipv4/ip_forward`.
    pub sysctls: SortedMap<String, String>,
}

/// A network interface of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it is made of.
    pub kind: LinkKind,
    /// In bytes.
    pub mtu: u32,
    /// `portals:<network>`: marks it as ours.
    pub alias: String,
}

/// What an interface of ours is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// WireGuard of the kernel, or the built-in one on a tun device.
    WireGuard(Backend),
    /// What is tagged with a number on another interface. It stays up while that one is down ("loose binding").
    Vlan {
        /// The interface that carries it.
        parent: IfName,
        /// The number, 1 to 4094.
        id: u16,
    },
}

impl Link {
    /// Who runs it, if it is a tunnel.
    pub fn backend(&self) -> Option<Backend> {
        match self.kind {
            LinkKind::WireGuard(backend) => Some(backend),
            LinkKind::Vlan { .. } => None,
        }
    }
}

/// Who runs a WireGuard tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// The kernel.
    Kernel,
    /// This process, on a tun device that goes away with it.
    BuiltIn,
}

impl Backend {
    /// The word in `status --json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::BuiltIn => "built-in",
        }
    }
}

/// WireGuard settings of one interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tunnel {
    /// Absent only while an interface has just been made.
    pub private_key: Option<Secret>,
    /// UDP port on which the tunnel listens; `None` lets the kernel choose one.
    pub port: Option<NonZeroU16>,
    /// Mark of the tunnel's own packets.
    pub fwmark: Option<NonZeroU32>,
    /// By public key.
    pub peers: SortedMap<PublicKey, Peer>,
}

/// One peer of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Mixed into the handshake, if both have it.
    pub preshared_key: Option<Secret>,
    /// Where it is dialled. Wanted: where the file says; observed: where it was last heard of.
    pub endpoint: Option<SocketAddr>,
    /// Seconds between keepalives; `None` = off.
    pub keepalive: Option<NonZeroU16>,
    /// What may come from it, and what is sent to it.
    pub allowed_ips: SortedSet<Cidr>,
    /// Observed only: it has shaken hands in the last 180 s (REJECT_AFTER_TIME in WireGuard's paper, § 6.1),
    /// so its endpoint works, wherever it roamed to.
    pub alive: bool,
}

/// One route. Its family is that of the destination.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The table it stands in.
    pub table: Table,
    /// Where to.
    pub destination: Cidr,
    /// What happens to what goes there.
    pub target: Target,
    /// Metric: the route with the lowest metric is taken. `None` is the kernel's default: the lowest metric in
    /// IPv4, and 1024 in IPv6.
    pub metric: Option<NonZeroU32>,
}

impl Route {
    /// What the kernel tells routes apart by: two routes cannot share it.
    pub fn place(&self) -> (Table, Cidr, Option<NonZeroU32>) {
        (self.table, self.destination, self.metric)
    }

    /// The interface it leads out of.
    pub fn interface(&self) -> Option<&IfName> {
        match &self.target {
            Target::Device { interface, .. } => Some(interface),
            Target::Unreachable => None,
        }
    }
}

/// What a route does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Out of an interface.
    Device {
        /// The interface.
        interface: IfName,
        /// Source address of this router's own packets on it.
        source: Option<IpAddr>,
        /// The questions that find it.
        reach: Reach,
    },
    /// Refused, with an ICMP message to whoever asked.
    Unreachable,
}

/// The questions that a route answers. The kernel asks for what is on a link alone when it looks for a new route's next hop, and so do sockets
/// that take no gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// All, those for what is on a link as well [`scope link`].
    Link,
    /// All but those [`scope global`]. IPv6 has no others.
    Beyond,
}

/// One policy rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// Lower is asked first.
    pub priority: Priority,
    /// The family of packets it looks at.
    pub family: Family,
    /// What it matches: all that are given.
    pub selector: Selector,
    /// What it does with them.
    pub action: RuleAction,
}

impl Rule {
    /// Tells whether it refuses.
    pub fn closes(&self) -> bool {
        matches!(self.action, RuleAction::Unreachable | RuleAction::Lookup(CLOSED_TABLE))
    }
}

/// What a rule matches.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector {
    /// Came in on this interface; `lo` = sent by this host.
    pub incoming: Option<IfName>,
    /// Source network.
    pub from: Option<Cidr>,
    /// Destination network.
    pub to: Option<Cidr>,
    /// Firewall mark.
    pub mark: Option<Mark>,
    /// UDP to this port. Kernels before 4.17 cannot ask for it, and take the rule without.
    pub udp_port: Option<u16>,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleAction {
    /// Looks in a table; goes on with the next rule if there is no route.
    Lookup(Table),
    /// Goes on at the rule of that priority.
    Goto(Priority),
    /// Refuses, with an ICMP message to whoever asked.
    Unreachable,
}

/// What to look at besides what is marked as ours: things of the host that portals need to know or that carry no mark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Kernel settings.
    pub sysctls: SortedSet<String>,
    /// Interfaces whose being up matters.
    pub interfaces: SortedSet<IfName>,
    /// Addresses that are, or shall be, ours on interfaces of the host.
    pub addresses: SortedSet<(IfName, InterfaceAddress)>,
    /// iptables to be asked, besides those that show that there is something of ours.
    pub iptables: SortedSet<Program>,
}

impl State {
    /// What this state needs to know of the host.
    pub fn scope(&self) -> Scope {
        Scope {
            sysctls: self.sysctls.keys().cloned().collect(),
            interfaces: self.up.clone(),
            addresses: self.addresses.clone(),
            iptables: self.iptables.keys().copied().collect(),
        }
    }
}

impl Scope {
    /// Both scopes together.
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        self.sysctls.extend(other.sysctls);
        self.interfaces.extend(other.interfaces);
        self.addresses.extend(other.addresses);
        self.iptables.extend(other.iptables);
        self
    }
}
