//! What a network file says, once it has been found to be sound.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::net::{Cidr, IfName, InterfaceAddress, Mac, PublicKey};
use crate::base::sorted::SortedMap;

/// Seconds that may be given for confirming a change.
pub const CONFIRMATION_TIMES: RangeInclusive<u64> = 1..=86_400;

/// So many seconds, if a change can wait to be confirmed for so long.
pub fn confirmation_time(seconds: u64) -> Option<Duration> {
    CONFIRMATION_TIMES.contains(&seconds).then(|| Duration::from_secs(seconds))
}

/// The largest number of a phone: their addresses follow the site's own, up to where the LANs of its portals begin.
pub const MOST_PHONES: u8 = 62;

/// Who is asked for names where the file names nobody: Quad9 (https://quad9.net).
pub const RESOLVERS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9)), IpAddr::V4(Ipv4Addr::new(149, 112, 112, 112))];

/// A name of a site, portal, exit or phone: up to 12 of `a-z 0-9 -`.
pub type Name = String;

/// Where in the network file something stands, for messages about it.
///
/// Two positions are always equal: a network is what its file says, and moving a line in the file must not make
/// it another one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Position {
    /// Counted from 1; 0 for what no file says.
    pub line: usize,
    /// In characters, counted from 1; 0 for what no file says.
    pub column: usize,
}

impl PartialEq for Position {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Position {}

impl fmt::Display for Position {
    /// `12:5`, as editors and compilers write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The whole network: the same on every site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Up to 16 of `a-z 0-9 -`.
    pub name: Name,
    /// Tunnel addresses and portal LANs are carved from it.
    pub subnet: Cidr,
    /// The same for IPv6, if it is turned on.
    pub subnet6: Option<Subnet6>,
    /// MTU of every tunnel.
    pub mtu: Mtu,
    /// How soon a portal leaves an exit, and comes back to it.
    pub failover: Failover,
    /// An address on the internet that exits of lists are asked through, besides the sites themselves.
    pub probe: Option<Ipv4Addr>,
    /// How long a link that is dialled by name may go without a handshake before the name is resolved again: 5 s to an hour.
    pub resolve_after: Duration,
    /// By name.
    pub sites: SortedMap<Name, Site>,
    /// By name.
    pub phones: SortedMap<Name, Phone>,
}

/// The largest packets that tunnels take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mtu {
    /// So many bytes: 1280 to 1500 (576 to 1500 without IPv6).
    Fixed(u32),
    /// As much as the way to the other end takes, up to [`DEFAULT_MTU`].
    Measured,
}

/// Bytes of a tunnel's packets where the file does not say: with WireGuard's own around them they pass almost everywhere.
pub const DEFAULT_MTU: u32 = 1280;

impl Mtu {
    /// Bytes, as far as nothing has been measured.
    pub fn most(self) -> u32 {
        match self {
            Self::Fixed(bytes) => bytes,
            Self::Measured => DEFAULT_MTU,
        }
    }
}

/// How soon an exit of a list is taken for down, and for up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failover {
    /// How long it may be silent: 1 to 60 s.
    pub down_after: Duration,
    /// How long it has to answer without such a silence before it is used again: 1 s to an hour.
    pub up_after: Duration,
}

/// Turns IPv6 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet6 {
    /// Unique local addresses (fc00::/7), with room for a /56 a site.
    pub network: Cidr,
    /// Where the file says so.
    pub position: Position,
}

/// One router or box that runs portals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// 1 to 250.
    pub id: u8,
    /// What tells a site that this entry is its own.
    pub public_key: PublicKey,
    /// Host name or address; none = behind NAT, dials out only.
    pub endpoint: Option<Host>,
    /// Base UDP port.
    pub port: u16,
    /// Sites used as exits.
    pub exits: Vec<Name>,
    /// Sites linked for access to their computers only.
    pub links: Vec<Name>,
    /// Networks behind this site that linked sites may reach.
    pub lan: Vec<Cidr>,
    /// The interface of the default route, where the file names it.
    pub uplink: Option<IfName>,
    /// Which firewall to use.
    pub firewall: FirewallChoice,
    /// Whether tunnels may loosen reverse-path filtering.
    pub rp_filter: RpFilter,
    /// A program to run when a portal moves to another exit; its path, from the network file's folder.
    pub hook: Option<PathBuf>,
    /// The configuration of an inadyn that keeps the name of `endpoint` up to date; its path, from the network file's folder.
    pub dyndns: Option<PathBuf>,
    /// How long a file that is read again has for being confirmed; none = it needs no confirmation.
    pub confirm_reload: Option<Duration>,
    /// In the order of the file: LAN addresses follow from it.
    pub portals: Vec<Portal>,
    /// Exits that are a provider's wg-quick file, by name.
    pub providers: SortedMap<Name, Provider>,
}

/// Where a site can be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// An address as it is.
    Address(IpAddr),
    /// A name to be resolved.
    Name(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Which firewall of the kernel to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirewallChoice {
    /// What this host is found to use.
    Auto,
    /// nftables, or an error.
    Nftables,
    /// iptables, or an error.
    Iptables,
}

/// What may be done to reverse-path filtering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RpFilter {
    /// Nothing; strict filtering works.
    Keep,
    /// Loose (2) on the tunnels' own interfaces.
    Loose,
}

/// An entrance at a site: what comes in there leaves at its exit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portal {
    /// Unique at its site.
    pub name: Name,
    /// Tried in order; never empty.
    pub exits: Vec<ExitRef>,
    /// What enters.
    pub entrance: Entrance,
    /// Only to these destinations; empty = all.
    pub to: Vec<Cidr>,
    /// Only these ports; empty = all.
    pub ports: Vec<Ports>,
    /// Never these destinations.
    pub except: Vec<Cidr>,
    /// The address of the portal's LAN, where the file gives one.
    pub address: Option<InterfaceAddress>,
    /// Whether leases are handed out, where the file says so.
    pub dhcp: Option<bool>,
    /// `router`: its devices reach all that this router itself serves; none = true, but for portals with a LAN.
    pub router: Option<bool>,
    /// `inbound`: answers to those who reached a device by the uplink leave there.
    pub inbound: bool,
    /// Resolvers asked through the exit; empty = none given.
    pub dns: Vec<IpAddr>,
    /// `ntp`: this router asks for the time by its uplink, where its own traffic enters.
    pub ntp: bool,
    /// Where the file defines it.
    pub position: Position,
}

impl Portal {
    /// Tells whether this router's own traffic enters, but for questions to time servers. With `ports`, what enters is named one by one; the time
    /// would be, too.
    pub fn has_open_time(&self) -> bool {
        self.ntp && self.entrance == Entrance::Own && self.ports.is_empty()
    }

    /// Whether a policy rule alone cannot tell what enters.
    pub fn goes_by_marks(&self) -> bool {
        matches!(self.entrance, Entrance::Mac(_)) || !self.ports.is_empty()
    }
}

/// A name in a portal's `exit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitRef {
    /// Another site.
    Site(Name),
    /// A provider's file, defined under the site.
    Provider(Name),
    /// The site's own uplink.
    Direct,
}

impl fmt::Display for ExitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site(name) | Self::Provider(name) => f.write_str(name),
            Self::Direct => f.write_str("direct"),
        }
    }
}

/// What enters a portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entrance {
    /// Everything that comes in on this interface.
    Interface(IfName),
    /// Everything on this VLAN, made and removed by portals.
    Vlan {
        /// The interface that carries it.
        parent: IfName,
        /// VLAN number, 1 to 4094.
        id: u16,
    },
    /// Everything on this Wi-Fi.
    Wifi(Wifi),
    /// These sources on a LAN that exists already.
    From(Vec<Cidr>),
    /// These devices on a LAN that exists already.
    Mac(Vec<Mac>),
    /// This router's own traffic.
    Own,
}

impl Entrance {
    /// The key of the file that it is written with.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Interface(_) => "interface",
            Self::Vlan { .. } => "vlan",
            Self::Wifi(_) => "wifi",
            Self::From(_) => "from",
            Self::Mac(_) => "mac",
            Self::Own => "self",
        }
    }

    /// Whether devices of a LAN that exists already enter.
    pub fn has_devices(&self) -> bool {
        matches!(self, Self::From(_) | Self::Mac(_))
    }

    /// Whether it is a LAN of its own, with an address and leases; the others are on a LAN that exists already.
    pub fn has_lan(&self) -> bool {
        matches!(self, Self::Interface(_) | Self::Vlan { .. } | Self::Wifi(_))
    }
}

/// A Wi-Fi access point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wifi {
    /// The card.
    pub interface: IfName,
    /// 1 to 32 bytes.
    pub ssid: String,
    /// A file of mode 0600 beside the network file.
    pub passphrase_file: PathBuf,
    /// ISO 3166-1 alpha-2, upper case.
    pub country: String,
    /// Channel number: up to 14 is the band of 2.4 GHz, 36 and above that of 5 GHz.
    pub channel: u16,
    /// Whether it keeps its name to itself.
    pub hidden: bool,
    /// How clients prove that they know the passphrase.
    pub security: Security,
}

/// The generations of Wi-Fi protected access that clients may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// WPA2 alone.
    Wpa2,
    /// WPA3 for those that can, WPA2 for the others.
    Both,
    /// WPA3 alone.
    Wpa3,
}

/// A range of ports of one protocol: `tcp/443`, `udp/3478-3481`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// First port.
    pub first: u16,
    /// Last port, not below the first.
    pub last: u16,
}

impl fmt::Display for Ports {
    /// As the file has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, first, last } = self;
        let protocol = match protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(f, "{protocol}/{first}")?;
        if first == last { Ok(()) } else { write!(f, "-{last}") }
    }
}

/// A transport protocol that has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

/// What the first provider of a site, by name, has in place of an id; the next ones count on. Ids end at 250.
pub const FIRST_PROVIDER: u32 = 251;

/// An exit that is not a site: a provider's file, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Path of the wg-quick file, from the network file's folder.
    pub config: PathBuf,
    /// Where the file defines it.
    pub position: Position,
}

/// A device with an ordinary WireGuard app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phone {
    /// 1 to [`MOST_PHONES`], unique in the network.
    pub id: u8,
    /// The site it dials.
    pub at: Name,
    /// Where its traffic leaves, never [`ExitRef::Direct`]; none = at the site it dials.
    pub exit: Option<ExitRef>,
    /// Its key.
    pub public_key: PublicKey,
    /// Path, from the network file's folder, of the file that holds its pre-shared key at the site that it dials.
    /// None = the key follows from the network's secret, if there is one.
    pub preshared_key_file: Option<PathBuf>,
    /// Resolvers asked through the exit; empty = none given.
    pub dns: Vec<IpAddr>,
    /// Where the file defines it.
    pub position: Position,
}
