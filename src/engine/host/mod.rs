//! Facts about this host that a plan needs. Reads only, and changes nothing.

mod filters;
pub mod interfaces;
mod radios;
mod ties;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use nix::libc;
use nix::sys::utsname::uname;
use nix::unistd::{AccessFlags, access};

use crate::base::error::{Error, Result};
use crate::base::net::{Cidr, Family, IfName, Table};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::engine::neighbours;
use crate::kernel::Kernel;
use crate::kernel::fake::SharedFake;
use crate::kernel::link::{HostLink, Ipv6Settings, Links};
use crate::kernel::linux::Linux;
use crate::kernel::netlink::Socket;
use crate::kernel::route::{self, HostRoute};
use crate::kernel::rtnetlink::RoutingHeader;
use crate::kernel::rule;
use crate::kernel::{address, builtin, sysctl};
use crate::site::facts::CatchAll;
use crate::site::facts::{Facts, Uplink};
use crate::state::{PROTOCOL, TUNNEL_MARK, WireGuardBackend};
use crate::system::packages;
use crate::system::platform;

/// Addresses that are certainly on the internet: k.root-servers.net, of the RIPE NCC. They are only looked up
/// in the routing tables; nothing is sent there.
const INTERNET: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(193, 0, 14, 129)), IpAddr::V6(Ipv6Addr::new(0x2001, 0x7fd, 0, 0, 0, 0, 0, 1))];

/// Prefix length of the widest local network. A route to a wider one is a way to the internet, such as
/// another VPN's 0.0.0.0/1.
const WIDEST_LOCAL: u8 = 8;

/// Environment variable that demands a WireGuard, `built-in` or `kernel`: for hosts where the WireGuard that
/// would be used exists, but is broken. Without it, the kernel's WireGuard is used if there is one.
pub const WIREGUARD: &str = "PORTALS_WIREGUARD";

/// Host whose facts can be read.
pub trait Host: Kernel {
    /// Reads the facts about the host. They tell of closed ports only after the caller has asked
    /// [`Kernel::can_close_ports`].
    ///
    /// # Errors
    /// If the kernel does not answer, or [`WIREGUARD`] demands a WireGuard that this host lacks.
    fn facts(&mut self, query: &HostQuery) -> Result<Facts>;
}

/// Query about a host: the parts of it that depend on the network file.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent questions")]
pub struct HostQuery<'a> {
    /// Snapshot of the interfaces.
    pub links: &'a Links,
    /// Folder of run-time files.
    pub folder: &'a Path,
    /// Uplink that the file names. It counts as long as it exists.
    pub uplink: Option<&'a IfName>,
    /// Set if the firewall has to mark packets.
    pub marks: bool,
    /// Set if IPv6 goes through portals.
    pub ipv6: bool,
    /// Set if the firewall has to translate networks.
    pub translates: bool,
    /// Set if the file asks for the fast path.
    pub fastpath: bool,
    /// Interfaces that have to be access points.
    pub cards: &'a SortedSet<IfName>,
    /// Networks whose devices must be known by their hardware address, if the host has IPv6.
    pub neighbours: &'a [Cidr],
}

impl Host for Linux {
    fn facts(&mut self, query: &HostQuery) -> Result<Facts> {
        read(self, query)
    }
}

impl Host for SharedFake {
    fn facts(&mut self, _: &HostQuery) -> Result<Facts> {
        Ok(self.look().facts.clone())
    }
}

fn read(kernel: &mut Linux, query: &HostQuery) -> Result<Facts> {
    let wireguard =
        choose_wireguard(kernel.has_wireguard(), demanded_wireguard(std::env::var_os(WIREGUARD))?)?;
    let filters = filters::read(kernel, query)?;
    let links: SortedMap<u32, &HostLink> = query.links.values().map(|link| (link.index, link)).collect();
    // After the interfaces: a card that appears in between counts as one that does not exist yet.
    let radios = radios::read(query.cards)?;
    let socket = kernel.route();
    let found = find_uplink(socket, &links, query.uplink);
    let uplink_index = found.as_ref().and_then(|found| found.device);
    let routes = main_routes(socket)?;
    let ipv6 = Path::new("/proc/sys/net/ipv6").is_dir();
    let neighbours = if ipv6 { query.neighbours } else { &[] };
    let mut facts = Facts {
        uplink: found.map(|found| describe_uplink(socket, &links, &found)).transpose()?.flatten(),
        uplink6: find_uplink6(socket, &links),
        ties: ties::read(&links, uplink_index),
        firmware: platform::firmware(),
        rules_in_front: rules_in_front(socket)?,
        wireguard,
        ipv6,
        rules_know_ports: rules_know_ports(),
        filters,
        radios,
        neighbours: neighbours::known(socket, query.folder, neighbours)?,
        package_manager: packages::manager(),
        ..Facts::default()
    };
    take_networks(&mut facts, &routes, &links, uplink_index);
    take_interfaces(&mut facts, &links);
    Ok(facts)
}

/// Returns the route that a tunnel's own packets take. That need not be the default route of table main:
/// UniFi has its default route elsewhere, and the route of a portal for this router's own traffic must not
/// count.
fn find_uplink(
    socket: &mut Socket,
    links: &SortedMap<u32, &HostLink>,
    named: Option<&IfName>,
) -> Option<HostRoute> {
    let interface = match named {
        Some(name) => Some(links.values().find(|link| link.name == *name)?.index),
        None => None,
    };
    let mut lookups = INTERNET
        .into_iter()
        .filter_map(|there| route::lookup(socket, there, Some(TUNNEL_MARK.value), interface));
    lookups.find(|route| is_foreign(links, route.device))
}

/// Returns the interface of the route to the IPv6 internet that a tunnel's own packets take.
fn find_uplink6(socket: &mut Socket, links: &SortedMap<u32, &HostLink>) -> Option<IfName> {
    let [_, there] = INTERNET;
    let found = route::lookup(socket, there, Some(TUNNEL_MARK.value), None)?;
    is_foreign(links, found.device).then(|| links.get(&found.device?).map(|link| link.name.clone()))?
}

fn describe_uplink(
    socket: &mut Socket,
    links: &SortedMap<u32, &HostLink>,
    found: &HostRoute,
) -> Result<Option<Uplink>> {
    let Some(link) = found.device.and_then(|device| links.get(&device)) else { return Ok(None) };
    let addresses = address::list_of(socket, link.index)?.into_iter();
    let addresses = addresses.filter(|address| !address::is_link_local(address.address)).collect();
    Ok(Some(Uplink { interface: link.name.clone(), gateway: found.gateway, addresses }))
}

/// Reports whether a route leads out of an interface that we did not make.
fn is_foreign(links: &SortedMap<u32, &HostLink>, device: Option<u32>) -> bool {
    device.and_then(|device| links.get(&device)).is_some_and(|link| link.ours().is_none())
}

fn main_routes(socket: &mut Socket) -> Result<Vec<HostRoute>> {
    let mut routes = Vec::new();
    for family in [Family::V4, Family::V6] {
        let filter =
            RoutingHeader { family: Some(family), table: libc::RT_TABLE_MAIN, ..RoutingHeader::default() };
        routes.extend(route::list(socket, filter)?);
    }
    // Older kernels do not filter; newer ones may answer for a family that they lack with the other.
    routes.retain(|route| route.table == Table::MAIN && route.protocol != PROTOCOL);
    Ok(routes)
}

/// Returns the foreign rules that lead all traffic away before our rules are asked. A table without a way to
/// the internet, such as `local`, lets most traffic through to the next rule.
fn rules_in_front(socket: &mut Socket) -> Result<SortedSet<CatchAll>> {
    let rules = rule::in_front(socket)?;
    if rules.is_empty() {
        return Ok(SortedSet::new());
    }
    let filter = RoutingHeader { family: Some(Family::V4), ..RoutingHeader::default() };
    let routes = route::list(socket, filter)?;
    let is_wide = |route: &HostRoute| {
        route.destination.family() == Family::V4 && route.destination.length() < WIDEST_LOCAL
    };
    let leads_away = |rule: &CatchAll| routes.iter().any(|route| route.table == rule.table && is_wide(route));
    Ok(rules.into_iter().filter(leads_away).collect())
}

/// Adds the networks that the routes of table main lead to, and the own addresses in them.
fn take_networks(
    facts: &mut Facts,
    routes: &[HostRoute],
    links: &SortedMap<u32, &HostLink>,
    uplink: Option<u32>,
) {
    for HostRoute { device, destination, source, gateway, .. } in routes {
        let (is_uplink, address) = (*device == uplink, destination.address());
        let is_local = !is_uplink && destination.length() >= WIDEST_LOCAL && !is_link_scoped(address);
        if is_foreign(links, *device) {
            if let Some(own @ IpAddr::V4(_)) = source {
                facts.own.insert(*own);
            }
            if is_local {
                facts.local.insert(*destination);
            }
        }
        if let Some(link) = device.and_then(|device| links.get(&device))
            && is_local
        {
            facts.behind.get_or_default(link.name.clone()).insert(*destination);
        }
        // The networks on the uplink's own link are reached without a next hop.
        let is_on_the_wire = is_uplink && uplink.is_some() && gateway.is_none();
        if is_on_the_wire && destination.length() > 0 && !address::is_link_local(address) {
            facts.uplink_networks.insert(*destination);
        }
    }
}

/// Reports whether an address means hosts on the link only. The kernel has routes to such networks at every
/// interface.
fn is_link_scoped(address: IpAddr) -> bool {
    address::is_link_local(address) || address.is_multicast()
}

/// Adds the interfaces and their settings. `default` stands for interfaces that are made later, and for ours:
/// an interface keeps the setting that it was made with.
fn take_interfaces(facts: &mut Facts, links: &SortedMap<u32, &HostLink>) {
    let later: IfName = "default".parse().expect("a valid name");
    // Not if `/proc/sys` is read-only.
    let can_set = access(Path::new("/proc/sys/net/ipv6/conf/default/accept_ra"), AccessFlags::W_OK).is_ok();
    let default = default_ipv6_settings();
    let mut is_off_later = default.is_some_and(|settings| settings.is_off);
    for link in links.values() {
        let name = &link.name;
        facts.interfaces.insert(name.clone(), link.mtu);
        let Some(settings) = link.ipv6 else { continue };
        if can_set {
            facts.can_be_deaf.insert(name.clone());
        }
        if link.ours().is_some() {
            is_off_later |= settings.is_off;
            continue;
        }
        if settings.is_off {
            facts.without_ipv6.insert(name.clone());
        }
        if settings.hears_advertisements {
            facts.hears_advertisements.insert(name.clone());
        }
    }
    if is_off_later {
        facts.without_ipv6.insert(later.clone());
    }
    if default.is_some_and(|settings| settings.hears_advertisements) {
        facts.hears_advertisements.insert(later);
    }
}

/// Returns the settings for IPv6 of interfaces that are made later, if the kernel has them.
fn default_ipv6_settings() -> Option<Ipv6Settings> {
    let mut values = [0; 3];
    for (value, name) in values.iter_mut().zip(["disable_ipv6", "accept_ra", "forwarding"]) {
        *value = sysctl::read(&["net/ipv6/conf/default/", name].concat()).ok()??.parse().ok()?;
    }
    Some(Ipv6Settings::new(values))
}

/// Reports whether policy rules can match ports: see [`Facts::rules_know_ports`].
pub fn rules_know_ports() -> bool {
    runs_at_least((4, 17))
}

/// Reports whether this kernel has this version or a newer one; `false` if its version is unknown.
fn runs_at_least(version: (u32, u32)) -> bool {
    uname().is_ok_and(|name| is_at_least(&name.release().to_string_lossy(), version))
}

/// Reports whether a kernel's release, such as `6.1.0-18-amd64`, is this version or a newer one; `false` if
/// it cannot be parsed.
fn is_at_least(release: &str, version: (u32, u32)) -> bool {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    let mut number = || numbers.next()?.parse::<u32>().ok();
    number().zip(number()).is_some_and(|numbers| numbers >= version)
}

fn demanded_wireguard(value: Option<OsString>) -> Result<Option<WireGuardBackend>> {
    let Some(value) = value else { return Ok(None) };
    let known = [WireGuardBackend::Kernel, WireGuardBackend::BuiltIn]
        .into_iter()
        .find(|backend| value == backend.as_str());
    known.map(Some).ok_or_else(|| {
        let value = value.display();
        Error::wrong(format!(
            "{WIREGUARD} is `{value}`: set it to `built-in` or `kernel`, or do not set it at all"
        ))
    })
}

fn choose_wireguard(
    kernel_has_it: bool,
    demanded: Option<WireGuardBackend>,
) -> Result<Option<WireGuardBackend>> {
    match demanded {
        Some(WireGuardBackend::BuiltIn) => Ok(demanded),
        _ if kernel_has_it => Ok(Some(WireGuardBackend::Kernel)),
        Some(WireGuardBackend::Kernel) => Err(Error::wrong(format!(
            "{WIREGUARD} is `kernel`, but this kernel has no WireGuard: load it (modprobe wireguard), or \
             unset {WIREGUARD}"
        ))),
        None => Ok(builtin::check_tun().is_ok().then_some(WireGuardBackend::BuiltIn)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared() {
        let is_new = |release: &str| is_at_least(release, (4, 17));
        assert!(["4.17.0", "6.1.0-18-amd64", "5.4-rc3", "10.0"].into_iter().all(is_new));
        assert!(!["4.14.54-UBNT", "4.9", "3.10", "", "5"].into_iter().any(is_new));
    }

    #[test]
    fn a_wireguard_can_be_demanded() {
        let demanded = |value: &str| demanded_wireguard(Some(value.into()));
        assert_eq!(demanded_wireguard(None).unwrap(), None);
        assert_eq!(demanded("built-in").unwrap(), Some(WireGuardBackend::BuiltIn));
        assert_eq!(demanded("kernel").unwrap(), Some(WireGuardBackend::Kernel));
        assert_eq!(
            demanded("userspace").unwrap_err().to_string(),
            "PORTALS_WIREGUARD is `userspace`: set it to `built-in` or `kernel`, or do not set it at all"
        );
        let chosen = |kernel_has_it, demanded| choose_wireguard(kernel_has_it, demanded).ok().flatten();
        assert_eq!(chosen(true, None), Some(WireGuardBackend::Kernel));
        assert_eq!(chosen(true, Some(WireGuardBackend::BuiltIn)), Some(WireGuardBackend::BuiltIn));
        assert_eq!(chosen(false, Some(WireGuardBackend::Kernel)), None);
    }
}
