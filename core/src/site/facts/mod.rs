//! Facts about the host that a site view is made from. The engine reads them; nothing here does.

mod filters;
mod link;
mod rule;

use std::net::IpAddr;

pub use filters::Filters;
pub use link::{Master, Sort, Tie};
pub use rule::CatchAll;

use crate::base::net::{Cidr, IfName, InterfaceAddress, Mac};
use crate::base::package_manager::PackageManager;
use crate::base::sorted::{SortedMap, SortedSet};
use crate::site::access_point::Radios;
use crate::state::Backend;

/// What this host is and can do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The way to the internet, if there is one.
    pub uplink: Option<Uplink>,
    /// All interfaces, with their MTUs in bytes.
    pub interfaces: SortedMap<IfName, u32>,
    /// Interfaces that others have a share in.
    pub ties: SortedMap<IfName, Tie>,
    /// Set where packets can be dropped as they come in on an interface, before anybody else has them; not
    /// asked where nothing has to be.
    pub closes_ports: bool,
    /// The firmware that has its own way to change interfaces.
    pub firmware: Option<Firmware>,
    /// Networks in table main behind other interfaces than the uplink and ours.
    pub local: SortedSet<Cidr>,
    /// IPv4 networks by interface, also behind our own.
    pub behind: SortedMap<IfName, SortedSet<Cidr>>,
    /// Addresses of this host, IPv4, on the interfaces that are not ours: one for each network on their
    /// wires.
    pub own: SortedSet<IpAddr>,
    /// Networks of the addresses that this program gave to interfaces of the host, by the names that those
    /// had then.
    pub given: SortedSet<(IfName, Cidr)>,
    /// Policy rules of others that all traffic of a family finds its way by before ours are asked; those of
    /// IPv4 first.
    pub rules_in_front: SortedSet<CatchAll>,
    /// Networks on the uplink's own wire.
    pub uplink_networks: SortedSet<Cidr>,
    /// Which WireGuard runs here; none = neither the kernel has it, nor can tun devices be made.
    pub wireguard: Option<Backend>,
    /// Whether the kernel has IPv6.
    pub ipv6: bool,
    /// Interfaces that can be told to take no router's word for IPv6.
    pub can_be_deaf: SortedSet<IfName>,
    /// Set where policy rules can ask for ports: since Linux 4.17. Older ones take such a rule, and leave
    /// that out.
    pub rules_know_ports: bool,
    /// Which firewalls there are.
    pub filters: Filters,
    /// The Wi-Fi cards that the file names.
    pub radios: Radios,
    /// Devices with addresses that portals choose by.
    pub neighbours: Neighbours,
    /// Package manager, for advice on missing programs.
    pub package_manager: PackageManager,
}

/// The interface of the way to the internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// The interface.
    pub interface: IfName,
    /// The next hop; none on a link with only one other end.
    pub gateway: Option<IpAddr>,
    /// Its addresses, but for IPv6's link-local ones.
    pub addresses: SortedSet<InterfaceAddress>,
}

/// Hardware addresses by IPv4 addresses.
pub type Neighbours = SortedMap<IpAddr, Mac>;

/// Firmware that has its own way to change interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// EdgeOS, the firmware of EdgeRouters.
    EdgeOs,
    /// UniFi OS, the firmware of Dream Machines and related devices.
    UniFi,
    /// OpenWrt, where netifd manages the interfaces.
    OpenWrt,
}
