//! `State`: everything that portals makes on a machine, as plain data.
//!
//! The desired state and the observed state have the same type, so the difference between the two is the work
//! to do.

pub mod diff;
pub mod step;
pub mod tunnel_delta;
pub mod words;

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};

use crate::base::net::{Cidr, Family, IfName, InterfaceAddress, Mark, Priority, PublicKey, Secret, Table};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::xtables::{IptablesProgram, IptablesRuleset};
use crate::firewall::{Firewall, ForeignChain, PinholeChain};

/// Protocol number of our routes and rules. It distinguishes them from routes and rules of the kernel (2), of
/// `ip` (3) and of routing daemons. The number is free in iproute2's `rt_protos`.
pub const PROTOCOL: u8 = 77;

/// Priorities of our rules: ahead of the rules of EdgeOS load balancing (201) and of UniFi (32000 and up).
pub const PRIORITIES: std::ops::RangeInclusive<u32> = 110..=119;

/// Prefix of the alias of each of our interfaces; the name of the network follows.
pub const ALIAS_PREFIX: &str = "portals:";

/// Mark of the tunnels' own packets, so that they are never routed into a tunnel. Bit 28 is clear of the
/// marks of UniFi (bits 17 to 22), Tailscale and OpenWrt pbr (`0xff0000`), wg-quick (51820) and mwan3
/// (`0x3f00`).
pub const TUNNEL_MARK: Mark = Mark { value: 0x1000_0000, mask: 0x1000_0000 };

/// Mark of connections that were opened into a tunnel: bit 29 without bit 30. Bit 29 is clear of the same
/// programs' marks as [`TUNNEL_MARK`]. Load balancing of EdgeOS sets both: its marks are the tables from 201
/// on, 23 bits to the left (`0x64800000/0x7f800000`). No packet gets this mark.
pub const TUNNELED: Mark = Mark { value: 0x2000_0000, mask: 0x6000_0000 };

/// Bits of a connection's mark that hold the number of its tunnel, lowest bit first: bits 24 to 27, which
/// hold the number of a portal if bit 31 is set.
pub const TUNNEL_NUMBER_BITS: [u32; 4] = [0x0100_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000];

/// Mask of the bits of a connection's mark that tell its tunnel. The bits of a portal are among them, because
/// a portal with a mark has one exit.
pub const TUNNEL_BITS: u32 = TUNNELED.mask | PORTAL_MARKS | 0x0f00_0000;

/// Mark of connections that came in via the uplink for a device behind a portal, and of the packets of these
/// connections. It is equal to the mark of the tunnels' own packets, because both leave like the host's own
/// packets.
pub const INBOUND: Mark = TUNNEL_MARK;

/// Largest number of portals of a site that can have a mark.
pub const PORTAL_MARK_COUNT: u8 = 16;

/// Bit that is set in the mark of each portal.
pub const PORTAL_MARKS: u32 = 0x8000_0000;

/// Returns the mark of packets that enter the portal with this number, for a portal whose packets a policy
/// rule alone cannot select. Bit 31 is set in the marks of all portals, and bits 24 to 27 hold the number.
/// These bits are clear of [`TUNNEL_MARK`], and of the same programs' marks. A foreign mark in bits 24 to 27
/// is not mistaken for the mark of a portal, because it lacks bit 31.
///
/// # Panics
/// If the number is not below [`PORTAL_MARK_COUNT`].
pub fn portal_mark(number: u8) -> Mark {
    assert!(number < PORTAL_MARK_COUNT, "there are no more marks");
    Mark { value: PORTAL_MARKS | u32::from(number) << 24, mask: PORTAL_MARKS | 0x0f00_0000 }
}

/// Routing table with one route, which refuses everything except destinations on a link (see [`Reach`]). The
/// packets that this host itself sends meet it behind the tables of the exits.
pub const CLOSED_TABLE: Table = Table(7699);

/// Path of the setting by which this host forwards IPv6. When it is switched on, the kernel forgets the
/// default routes that routers have advertised, except on interfaces whose `accept_ra` is 2
/// (`rt6_purge_dflt_routers` in net/ipv6/route.c).
pub const FORWARDING6: &str = "net/ipv6/conf/all/forwarding";

/// Returns the mark, under the mask [`TUNNEL_BITS`], of a connection that was opened into the tunnel with
/// this number, 1 to 15.
pub fn tunneled(number: u8) -> u32 {
    let bits = TUNNEL_NUMBER_BITS.iter().enumerate().filter(|(index, _)| number >> index & 1 == 1);
    bits.fold(TUNNELED.value, |mark, (_, bit)| mark | bit)
}

/// Metric of the routes that refuse packets to a tunnel that vanished: these routes come behind all other
/// routes. It is the metric of the kernel's own fallback, as `ip -6 route` prints it.
pub const LAST_METRIC: NonZeroU32 = NonZeroU32::new(4_278_198_272).unwrap();

/// State of a machine: everything that portals makes on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Interfaces that we made.
    pub links: SortedMap<IfName, Link>,
    /// WireGuard settings of the interfaces that are tunnels.
    pub tunnels: SortedMap<IfName, Tunnel>,
    /// Addresses of our interfaces, and our addresses on interfaces of the host.
    pub addresses: SortedSet<(IfName, InterfaceAddress)>,
    /// Interfaces that are administratively up: our interfaces, and the interfaces of the host that portals
    /// need.
    pub up: SortedSet<IfName>,
    /// Routes with our protocol number.
    pub routes: SortedSet<Route>,
    /// Rules in our band of priorities.
    pub rules: SortedSet<Rule>,
    /// Foreign interfaces that are ports of foreign bridges, and through which no packet may come in: our
    /// second nftables table, if it exists. After another program changed the table, it is observed as an
    /// empty set, which is never desired.
    pub closed_ports: Option<SortedSet<IfName>>,
    /// Content of our nftables table, if the table exists.
    pub firewall: Option<Firewall>,
    /// Chains and rules of ours in iptables, by program; programs without any are left out.
    pub iptables: SortedMap<IptablesProgram, IptablesRuleset>,
    /// Rules of ours in foreign nftables chains; chains without any are left out.
    pub pinholes: SortedMap<ForeignChain, PinholeChain>,
    /// Kernel settings by path below `/proc/sys`, such as `net/ipv4/ip_forward`.
    pub sysctls: SortedMap<String, String>,
}

impl State {
    /// Reports whether the firewalls of two states let the same packets pass.
    pub fn filters_like(&self, other: &Self) -> bool {
        Firewall::equals_in_rules(self.firewall.as_ref(), other.firewall.as_ref())
            && self.iptables == other.iptables
    }
}

/// A network interface of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Kind of the interface.
    pub kind: LinkKind,
    /// MTU in bytes.
    pub mtu: u32,
    /// Alias `portals:<network>`, which marks the interface as ours.
    pub alias: String,
}

/// Kind of an interface of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// A tunnel: WireGuard of the kernel, or the built-in WireGuard on a tun device.
    WireGuard(WireGuardBackend),
    /// A VLAN on another interface. The VLAN stays up while the other interface is down ("loose binding").
    Vlan {
        /// Interface that carries the VLAN.
        parent: IfName,
        /// Number of the VLAN, 1 to 4094.
        id: u16,
    },
}

impl Link {
    /// Returns the WireGuard that runs the interface, if it is a tunnel.
    pub fn backend(&self) -> Option<WireGuardBackend> {
        match self.kind {
            LinkKind::WireGuard(backend) => Some(backend),
            LinkKind::Vlan { .. } => None,
        }
    }
}

/// WireGuard that runs a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireGuardBackend {
    /// WireGuard of the kernel.
    Kernel,
    /// WireGuard of this process, on a tun device that disappears with the process.
    BuiltIn,
}

impl WireGuardBackend {
    /// Returns the word for `status --json`.
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
    /// Private key; `None` only while the interface has just been made.
    pub private_key: Option<Secret>,
    /// UDP port on which the tunnel listens; `None` lets the kernel choose one.
    pub port: Option<NonZeroU16>,
    /// Mark of the tunnel's own packets.
    pub fwmark: Option<NonZeroU32>,
    /// Peers by public key.
    pub peers: SortedMap<PublicKey, Peer>,
}

/// Peer of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Symmetric key that both ends mix into the handshake.
    pub preshared_key: Option<Secret>,
    /// Address and port at which the peer is dialled. Desired: as in the network file. Observed: the address
    /// from which the peer was last heard.
    pub endpoint: Option<SocketAddr>,
    /// Seconds between keepalives; `None` = off.
    pub keepalive: Option<NonZeroU16>,
    /// Networks that packets from the peer may come from, and that are sent to the peer.
    pub allowed_ips: SortedSet<Cidr>,
    /// Set if the peer completed a handshake in the last 180 s (REJECT_AFTER_TIME in WireGuard's paper,
    /// § 6.1), so that its endpoint works, even after the peer roamed. Only observed, never desired.
    pub alive: bool,
}

/// Route. Its destination determines the address family.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Table of the route.
    pub table: Table,
    /// Network that the route leads to.
    pub destination: Cidr,
    /// Effect on packets to that network.
    pub target: RouteTarget,
    /// Metric: the route with the lowest metric is taken. `None` is the kernel's default: the lowest metric
    /// in IPv4, and 1024 in IPv6.
    pub metric: Option<NonZeroU32>,
}

impl Route {
    /// Returns the properties by which the kernel distinguishes routes: two routes cannot share them.
    pub fn place(&self) -> (Table, Cidr, Option<NonZeroU32>) {
        (self.table, self.destination, self.metric)
    }

    /// Returns the interface that the route leads out of; `None` if the route refuses.
    pub fn interface(&self) -> Option<&IfName> {
        match &self.target {
            RouteTarget::Device { interface, .. } => Some(interface),
            RouteTarget::Unreachable => None,
        }
    }
}

/// Effect of a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteTarget {
    /// Sends packets out of an interface.
    Device {
        /// Name of the interface.
        interface: IfName,
        /// Source address of this router's own packets.
        source: Option<IpAddr>,
        /// Lookups that find the route.
        reach: Reach,
    },
    /// Refuses packets, with an ICMP message to their sender.
    Unreachable,
}

/// Lookups that find a route. The kernel looks only for destinations on a link when it checks the next hop of
/// a new route, and for sockets that use no gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Lookups of every kind, including those only for destinations on a link (`scope link`).
    Link,
    /// Lookups of every kind except those only for destinations on a link (`scope global`). IPv6 has no other
    /// routes.
    Beyond,
}

/// Policy rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// Priority: the kernel asks rules with lower numbers first.
    pub priority: Priority,
    /// Address family of the packets that the rule sees.
    pub family: Family,
    /// Conditions that a packet must meet.
    pub selector: Selector,
    /// Effect on these packets.
    pub action: RuleAction,
}

impl Rule {
    /// Tells whether the rule refuses packets.
    pub fn closes(&self) -> bool {
        matches!(self.action, RuleAction::Unreachable | RuleAction::Lookup(CLOSED_TABLE))
    }
}

/// Conditions of a rule. A packet must meet all conditions that are given.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector {
    /// Interface through which the packet came in; `lo` = this host sent the packet.
    pub incoming: Option<IfName>,
    /// Source network.
    pub from: Option<Cidr>,
    /// Destination network.
    pub to: Option<Cidr>,
    /// Firewall mark.
    pub mark: Option<Mark>,
    /// Destination port of a UDP packet. Kernels before 4.17 do not support this condition, and make the rule
    /// without it.
    pub udp_port: Option<u16>,
}

/// Effect of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleAction {
    /// Looks for a route in a table; without a route, the next rule is asked.
    Lookup(Table),
    /// Continues at the rule with this priority.
    Goto(Priority),
    /// Refuses packets, with an ICMP message to their sender.
    Unreachable,
}

/// Objects to observe in addition to the objects that are marked as ours: portals must know them, or they
/// carry no mark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Kernel settings.
    pub sysctls: SortedSet<String>,
    /// Interfaces whose administrative state matters.
    pub interfaces: SortedSet<IfName>,
    /// Addresses on interfaces of the host that are ours, or that will be.
    pub addresses: SortedSet<(IfName, InterfaceAddress)>,
    /// Programs for iptables to ask, in addition to those that show signs of our chains.
    pub iptables: SortedSet<IptablesProgram>,
}

impl State {
    /// Returns the scope in which everything in this state is observed.
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
    /// Returns both scopes combined.
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        self.sysctls.extend(other.sysctls);
        self.interfaces.extend(other.interfaces);
        self.addresses.extend(other.addresses);
        self.iptables.extend(other.iptables);
        self
    }
}
