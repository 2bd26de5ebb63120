//! The network that a valid network file describes.

mod portal;
mod shared_network;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::net::{Cidr, IfName, PublicKey};
use crate::base::sorted::SortedMap;
use crate::nat::{HELPER_OFFSET, helper_port};

pub use portal::{EntranceConfig, ExitRef, PortalConfig, Ports, Protocol, Security, Wifi};
pub use shared_network::{SharedNetwork, free_network};

/// Seconds that a person may allow for confirming a change.
pub const CONFIRMATION_TIMES: RangeInclusive<u64> = 1..=86_400;

/// Returns the time to confirm a change; `None` if it is outside [`CONFIRMATION_TIMES`].
pub fn confirmation_time(seconds: u64) -> Option<Duration> {
    CONFIRMATION_TIMES.contains(&seconds).then(|| Duration::from_secs(seconds))
}

/// Largest serial of a network file: every program reads numbers up to this one exactly (RFC 8259 § 6).
pub const MOST_SERIAL: u64 = (1 << 53) - 1;

/// Largest number of admin keys of a network.
pub const MOST_ADMINS: usize = 8;

/// Largest id of a phone: the addresses of phones follow the site's own address, up to the first LAN of its
/// portals.
pub const MOST_PHONES: u8 = 62;

/// Resolvers where the file names none: Quad9 (<https://quad9.net>).
pub const RESOLVERS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9)), IpAddr::V4(Ipv4Addr::new(149, 112, 112, 112))];

/// Name of a site, portal, exit or phone: up to 12 characters of `a-z 0-9 -`.
pub type Name = String;

/// Place in the network file, for messages.
///
/// All positions compare equal: a network that differs only in the positions of its lines is the same
/// network.
#[derive(Debug, Clone, Copy)]
pub struct Position {
    /// Line number, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
}

impl PartialEq for Position {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Position {}

impl fmt::Display for Position {
    /// Writes `12:5`, as editors and compilers do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The whole network: the same on every site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Name of the network: up to 16 characters of `a-z 0-9 -`.
    pub name: Name,
    /// Source of the tunnel addresses and the portal LANs.
    pub subnet: Cidr,
    /// Source of the IPv6 addresses, if IPv6 is on.
    pub subnet6: Option<Subnet6>,
    /// MTU of every tunnel.
    pub mtu: Mtu,
    /// Delays before a portal leaves an exit and before it returns.
    pub failover: FailoverDelays,
    /// Address on the internet to probe through each exit of a list, in addition to the sites themselves.
    pub probe: Option<IpAddr>,
    /// Time without a handshake after which a link that is dialled by name resolves the name again: 5 s to 1
    /// h.
    pub resolve_after: Duration,
    /// Number of this version of the file: 0 to [`MOST_SERIAL`].
    pub serial: u64,
    /// Public halves of the admin keys; empty = the file is not signed.
    pub admins: Vec<PublicKey>,
    /// Sites by name.
    pub sites: SortedMap<Name, SiteConfig>,
    /// Phones by name.
    pub phones: SortedMap<Name, PhoneConfig>,
}

/// Largest packet that the tunnels carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mtu {
    /// Number of bytes: 1280 to 1500 (576 to 1500 without IPv6).
    Fixed(u32),
    /// The measured path MTU to the other end, up to [`DEFAULT_MTU`].
    Measured,
}

/// Default MTU of tunnels in bytes: the minimum that IPv6 allows. With the overhead of WireGuard, packets of
/// this size pass almost everywhere.
pub const DEFAULT_MTU: u32 = 1280;

impl Mtu {
    /// Returns the number of bytes to use until the path MTU has been measured.
    pub fn most(self) -> u32 {
        match self {
            Self::Fixed(bytes) => bytes,
            Self::Measured => DEFAULT_MTU,
        }
    }
}

/// Delays before an exit of a list counts as down, and as up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailoverDelays {
    /// Silence after which the exit is down: 1 to 60 s.
    pub down_after: Duration,
    /// Time for which the exit must answer without such a silence before portals uses it again: 1 s to 1 h.
    pub up_after: Duration,
}

/// IPv6 network of the tunnels and portal LANs; its presence turns IPv6 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet6 {
    /// Unique local addresses (fc00::/7), with room for a /56 per site.
    pub network: Cidr,
    /// Place of `subnet6` in the file.
    pub position: Position,
}

/// Router or box that runs portals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteConfig {
    /// Number of the site: 1 to 250.
    pub id: u8,
    /// Public key; a site recognises its own entry by this key.
    pub public_key: PublicKey,
    /// Host name or address; none = behind NAT, dials out only.
    pub endpoint: Option<EndpointHost>,
    /// Base UDP port.
    pub port: u16,
    /// Second UDP port at which the site answers sites that look for each other, where the file gives one.
    pub helper_port: Option<u16>,
    /// `relay`: the site relays links of sites that find no direct path.
    pub relay: bool,
    /// `port_mapping`: the site asks its router to forward ports.
    pub port_mapping: bool,
    /// Sites used as exits.
    pub exits: Vec<Name>,
    /// Sites linked only for access to their computers.
    pub links: Vec<Name>,
    /// Networks behind this site that linked sites may reach.
    pub lan: Vec<SharedNetwork>,
    /// Resolver of this site's home, which knows the names of the computers there.
    pub dns: Option<IpAddr>,
    /// Interface of the default route, where the file names it.
    pub uplink: Option<IfName>,
    /// Firewall to use.
    pub firewall: FirewallChoice,
    /// `fastpath`: a flowtable forwards the packets of known connections.
    pub fastpath: bool,
    /// Permission to loosen reverse-path filtering on the tunnels.
    pub rp_filter: RpFilter,
    /// Program to run when a portal moves to another exit; the path starts at the network file's folder.
    pub hook: Option<PathBuf>,
    /// Configuration of an inadyn that keeps the name of `endpoint` up to date; the path starts at the
    /// network file's folder.
    pub dyndns: Option<PathBuf>,
    /// Time to confirm a changed file that the agent has read; none = no confirmation needed.
    pub confirm_reload: Option<Duration>,
    /// Portals in the order of the file, which determines their LAN addresses.
    pub portals: Vec<PortalConfig>,
    /// Exits that are a provider's wg-quick file, by name.
    pub providers: SortedMap<Name, ProviderConfig>,
}

/// Host at which a site can be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointHost {
    /// An IPv4 or IPv6 address.
    Address(IpAddr),
    /// A host name, still to be resolved.
    Name(String),
}

impl fmt::Display for EndpointHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Firewall of the kernel to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirewallChoice {
    /// Firewall that this host already uses.
    Auto,
    /// nftables, or an error.
    Nftables,
    /// iptables, or an error.
    Iptables,
}

/// Permission to change reverse-path filtering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RpFilter {
    /// Leaves the host's setting alone; strict filtering works.
    Keep,
    /// Sets loose filtering (2) on the tunnels' own interfaces.
    Loose,
}

/// Number of the first provider of a site, by name, in place of an id; later providers count on. Ids end at
/// 250.
pub const FIRST_PROVIDER: u32 = 251;

/// Returns the port at which a site with this base port and this number of providers answers sites that look
/// for each other; `None` if there is no such port, or if the tunnel to a provider has it.
pub fn question_port(port: u16, providers: usize) -> Option<u16> {
    let has_room = FIRST_PROVIDER as usize + providers <= usize::from(HELPER_OFFSET);
    helper_port(port).filter(|_| has_room)
}

/// An exit that is not a site: a provider's wg-quick file, unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderConfig {
    /// Path of the wg-quick file, relative to the network file's folder.
    pub config: PathBuf,
    /// Place of the definition in the file.
    pub position: Position,
}

/// A device with an ordinary WireGuard app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneConfig {
    /// Number of the phone: 1 to [`MOST_PHONES`], unique in the network.
    pub id: u8,
    /// Site that the phone dials.
    pub at: Name,
    /// Exit of the phone's traffic, never [`ExitRef::Direct`]; none = the site that the phone dials.
    pub exit: Option<ExitRef>,
    /// Public key of the phone.
    pub public_key: PublicKey,
    /// File with the phone's pre-shared key at the site that it dials; the path is relative to the network
    /// file's folder. None = the key follows from the network's secret, if there is one.
    pub preshared_key_file: Option<PathBuf>,
    /// Resolvers asked through the exit; empty = none given.
    pub dns: Vec<IpAddr>,
    /// Place of the definition in the file.
    pub position: Position,
}
