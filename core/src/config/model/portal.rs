//! Portals: their entrances and exits.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::super::chain;
use super::{Name, Position};
use crate::base::net::{Cidr, IfName, InterfaceAddress, Mac};

/// An entrance at a site: traffic that comes in there leaves at its exit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalConfig {
    /// Name, unique at its site.
    pub name: Name,
    /// Exits to try in order; never empty.
    pub exits: Vec<ExitRef>,
    /// Traffic that enters.
    pub entrance: EntranceConfig,
    /// Destinations that enter; empty = all.
    pub to: Vec<Cidr>,
    /// Ports that enter; empty = all.
    pub ports: Vec<Ports>,
    /// Destinations that never enter.
    pub except: Vec<Cidr>,
    /// Address of the portal's LAN, where the file gives one.
    pub address: Option<InterfaceAddress>,
    /// DHCP on or off, where the file says so.
    pub dhcp: Option<bool>,
    /// `router`: the portal's devices reach all services of this router itself; none = true, except for
    /// portals with a LAN.
    pub router: Option<bool>,
    /// `inbound`: answers to connections that reached a device via the uplink leave via the uplink.
    pub inbound: bool,
    /// `page`: the portal's devices see its exits in a browser, and choose one of them.
    pub page: bool,
    /// Resolvers asked through the exit; empty = none given.
    pub dns: Vec<IpAddr>,
    /// `ntp`: this router asks for the time via its uplink, where its own traffic enters.
    pub ntp: bool,
    /// Place of the definition in the file.
    pub position: Position,
}

impl PortalConfig {
    /// Reports whether this router's own traffic enters, except its questions to time servers. With `ports`,
    /// the file lists the traffic that enters; a time server's port enters if it is listed.
    pub fn has_open_time(&self) -> bool {
        self.ntp && self.entrance == EntranceConfig::Own && self.ports.is_empty()
    }

    /// Reports whether a policy rule cannot select the entering traffic without a mark.
    pub fn goes_by_marks(&self) -> bool {
        matches!(self.entrance, EntranceConfig::Mac(_)) || !self.ports.is_empty()
    }
}

/// A name in a portal's `exit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitRef {
    /// Site that this one is linked to.
    Site(Name),
    /// A provider's file, defined under the site.
    Provider(Name),
    /// Chain of exits, in the order of travel: at least two sites, or sites and a provider of the last one.
    Chain(Vec<Name>),
    /// The site's own uplink.
    Direct,
}

impl fmt::Display for ExitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site(name) | Self::Provider(name) => f.write_str(name),
            Self::Chain(hops) => f.write_str(&chain::text(hops)),
            Self::Direct => f.write_str("direct"),
        }
    }
}

/// Traffic that enters a portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntranceConfig {
    /// Traffic that comes in on this interface.
    Interface(IfName),
    /// Traffic on this VLAN, which portals creates and removes.
    Vlan {
        /// Interface that carries the VLAN.
        parent: IfName,
        /// VLAN number, 1 to 4094.
        id: u16,
    },
    /// Traffic on this Wi-Fi network.
    Wifi(Wifi),
    /// Sources on an existing LAN.
    From(Vec<Cidr>),
    /// Devices on an existing LAN.
    Mac(Vec<Mac>),
    /// Traffic of this router itself.
    Own,
}

impl EntranceConfig {
    /// Returns the key of this entrance in the network file.
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

    /// Reports whether devices of an existing LAN enter.
    pub fn has_devices(&self) -> bool {
        matches!(self, Self::From(_) | Self::Mac(_))
    }

    /// Reports whether the entrance has its own LAN, with an address and leases.
    pub fn has_lan(&self) -> bool {
        matches!(self, Self::Interface(_) | Self::Vlan { .. } | Self::Wifi(_))
    }
}

/// A Wi-Fi access point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wifi {
    /// Interface of the Wi-Fi card.
    pub interface: IfName,
    /// Network name: 1 to 32 bytes.
    pub ssid: String,
    /// File of mode 0600 next to the network file.
    pub passphrase_file: PathBuf,
    /// Country code: ISO 3166-1 alpha-2, upper case.
    pub country: String,
    /// Channel number: 1 to 14 is the 2.4 GHz band, 36 and above the 5 GHz band.
    pub channel: u16,
    /// Beacons leave the network name out.
    pub hidden: bool,
    /// Protocol by which clients prove that they know the passphrase.
    pub security: Security,
}

/// Generations of Wi-Fi Protected Access that clients may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// WPA2 only.
    Wpa2,
    /// WPA3 for clients that support it, WPA2 for other clients.
    Both,
    /// WPA3 only.
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
    /// Writes the range as the network file does.
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
