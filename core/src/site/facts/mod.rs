//! Facts about the host from which the view of a site is derived. The engine collects them.

mod filters;
mod link;
mod rule;

use std::net::IpAddr;

pub use filters::HostFirewalls;
pub use link::{LinkSort, Master, Tie};
pub use rule::CatchAll;

use crate::base::net::{Cidr, IfName, InterfaceAddress, Mac};
use crate::base::package_manager::PackageManager;
use crate::base::sorted::{SortedMap, SortedSet};
use crate::site::access_point::Radios;
use crate::state::WireGuardBackend;

/// Facts about this host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The uplink, if there is one.
    pub uplink: Option<Uplink>,
    /// Interface that leads to the IPv6 internet, if the host has a route there; the uplink, on most hosts.
    pub uplink6: Option<IfName>,
    /// Interfaces of the host, with their MTUs in bytes.
    pub interfaces: SortedMap<IfName, u32>,
    /// Interfaces whose traffic other interfaces share or take.
    pub ties: SortedMap<IfName, Tie>,
    /// Ability to drop packets as they arrive at an interface, before any other program sees them; not asked
    /// where no port has to be closed.
    pub closes_ports: bool,
    /// Firmware that has its own way to change interfaces.
    pub firmware: Option<Firmware>,
    /// Networks in table main behind other interfaces than the uplink and ours.
    pub local: SortedSet<Cidr>,
    /// Networks by interface, also those behind our own interfaces.
    pub behind: SortedMap<IfName, SortedSet<Cidr>>,
    /// IPv4 addresses of this host on interfaces that are not ours: one for each network on their links.
    pub own: SortedSet<IpAddr>,
    /// Networks of the addresses that this program gave to interfaces of the host, by the names that the
    /// interfaces had then.
    pub given: SortedSet<(IfName, Cidr)>,
    /// Foreign policy rules by which all traffic of a family finds its way before our rules are asked; IPv4
    /// first.
    pub rules_in_front: SortedSet<CatchAll>,
    /// Networks on the uplink's own link.
    pub uplink_networks: SortedSet<Cidr>,
    /// WireGuard that runs here; `None` if the kernel has none and no tun device can be made.
    pub wireguard: Option<WireGuardBackend>,
    /// Set if the kernel has IPv6.
    pub ipv6: bool,
    /// Interfaces on which IPv6 is switched off (`disable_ipv6`); `default` stands for our own interfaces,
    /// and for interfaces that are made later.
    pub without_ipv6: SortedSet<IfName>,
    /// Interfaces that have a setting to ignore router advertisements.
    pub can_be_deaf: SortedSet<IfName>,
    /// Interfaces on which this host listens to router advertisements; `default` stands for interfaces that
    /// are made later.
    pub hears_advertisements: SortedSet<IfName>,
    /// Ability of policy rules to match ports, which exists since Linux 4.17. Older kernels accept such a
    /// rule and ignore the port.
    pub rules_know_ports: bool,
    /// Firewalls of the host.
    pub filters: HostFirewalls,
    /// Wi-Fi cards that the network file names.
    pub radios: Radios,
    /// Devices in the networks that were asked for.
    pub neighbours: Neighbours,
    /// Package manager, for advice on missing programs.
    pub package_manager: PackageManager,
}

/// Interface that leads to the internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// The interface.
    pub interface: IfName,
    /// Next hop; `None` on a link with only one other end.
    pub gateway: Option<IpAddr>,
    /// Addresses of the interface, except IPv6 link-local addresses.
    pub addresses: SortedSet<InterfaceAddress>,
}

/// Hardware addresses by IPv4 address.
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
