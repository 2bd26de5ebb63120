//! The flow to trace, from the words of the command line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::Choices;
use crate::base::error::{Error, Result};
use crate::base::net::{Cidr, Family, IfName, Mac};
use crate::config::model::{Ports, Protocol};
use crate::kernel::link::Links;
use crate::kernel::linux::Linux;
use crate::kernel::{address, inject, neighbour, route};
use crate::site::{Entrance, Portal, Site};
use crate::system::resolver::resolve;

/// Time limit for the lookup of the destination's name.
const RESOLVING: Duration = Duration::from_secs(3);

/// Word for this router itself.
const SELF: &str = "self";

/// Flow: packets from a device, or from this host, to a destination.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    /// Sender; `None` for this host.
    pub(super) device: Option<Device>,
    /// Destination.
    pub(super) to: IpAddr,
    /// Number of the protocol (IPPROTO_*).
    pub(super) protocol: u8,
    /// Destination port, if the protocol has ports.
    pub(super) port: Option<u16>,
}

/// Device that sends.
#[derive(Debug, Clone)]
pub(super) struct Device {
    /// Address of the device.
    pub(super) address: IpAddr,
    /// Hardware address; zeros if it is not known.
    pub(super) mac: Mac,
    /// Interface that its packets come in on.
    pub(super) interface: IfName,
}

/// Destination as given.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Target<'a> {
    /// Parses `HOST`, `HOST:PORT`, an IPv6 address, or `[IPV6]:PORT`.
    pub(super) fn parse(text: &'a str) -> Result<Self> {
        Self::read(text).ok_or_else(|| {
            let way_out = "` is no destination: give an address or a name, and a port if you like, such as \
                           1.1.1.1:443";
            Error::wrong(["`", text, way_out].concat())
        })
    }

    fn read(text: &'a str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None if text.parse::<IpAddr>().is_ok() => (text, ""),
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match port {
            "" => None,
            port => Some(port.strip_prefix(':')?.parse().ok().filter(|port| *port != 0)?),
        };
        (!host.is_empty()).then_some(Self { host, port })
    }

    /// Never inlined: the bytes of the address would be moved one by one.
    #[inline(never)]
    fn address(&self) -> Result<IpAddr> {
        if let Ok(address) = self.host.parse() {
            return Ok(address);
        }
        let found = resolve(&[self.host].into(), RESOLVING).remove(self.host);
        let words = ["the name ", self.host, " has no address here: give the address"];
        found.ok_or_else(|| Error::failed(words.concat()))
    }
}

/// Reads the flow, and finds the portal that takes its traffic in, as far as addresses and interfaces tell.
pub(super) fn read<'a>(
    site: &'a Site,
    kernel: &mut Linux,
    links: &Links,
    choices: Choices,
) -> Result<(Flow, Option<&'a Portal>)> {
    let target = Target::parse(choices.to)?;
    let to = target.address()?;
    let protocol = match (target.port, choices.is_udp) {
        (Some(_), false) => inject::TCP,
        (Some(_), true) => inject::UDP,
        (None, true) => return Err(Error::wrong("--udp needs a port, such as 1.1.1.1:53")),
        (None, false) if to.is_ipv4() => inject::ICMP,
        (None, false) => inject::ICMPV6,
    };
    let mut flow = Flow { device: None, to, protocol, port: target.port };
    let named = site.portals.iter().find(|portal| portal.name == choices.from);
    let is_own = |portal: &&Portal| portal.entrance == Entrance::Own;
    if choices.from != SELF && !named.as_ref().is_some_and(is_own) {
        let portal = device(site, kernel, links, named, &mut flow, choices.from)?;
        if flow.device.is_some() {
            return Ok((flow, portal));
        }
    }
    Ok((flow, site.portals.iter().find(is_own)))
}

/// Fills in the device of a flow, and returns the portal that its traffic enters. An address of this host is
/// no device.
fn device<'a>(
    site: &'a Site,
    kernel: &mut Linux,
    links: &Links,
    named: Option<&'a Portal>,
    flow: &mut Flow,
    from: &str,
) -> Result<Option<&'a Portal>> {
    let neighbours = neighbour::list(kernel.route())?;
    let address = match named {
        Some(portal) => some_device(portal, &neighbours, Family::of(flow.to)).ok_or_else(|| {
            Error::failed(
                "no device of this portal is known: give the address of one in place of the portal's name",
            )
        })?,
        None => from.parse::<IpAddr>().map_err(|_| {
            let way_out =
                "` is no portal of this site: give the name of a portal, the address of a device, or `self`";
            Error::wrong(["`", from, way_out].concat())
        })?,
    };
    if Family::of(address) != Family::of(flow.to) {
        return Err(Error::wrong("the two addresses are not of the same address family"));
    }
    if address::list(kernel.route())?.iter().any(|entry| entry.address.address == address) {
        return Ok(None);
    }
    let found = neighbours.iter().find(|neighbour| neighbour.address == address);
    let mac = found.map_or(Mac([0; 6]), |neighbour| neighbour.mac);
    let rank = |portal: &Portal| rank(portal, flow, named);
    let portal = named.or_else(|| lowest(site, &|portal| takes(portal, address, mac), &rank));
    let interface = portal.and_then(Portal::entrance_interface);
    // The device itself, and not the routes, tells where it is.
    let interface = match interface.or_else(|| named_link(links, found.map(|neighbour| neighbour.index))) {
        Some(interface) => interface.clone(),
        None => interface_to(kernel, links, address)?,
    };
    let comes_in =
        |portal: &Portal| takes(portal, address, mac) || portal.entrance_interface() == Some(&interface);
    let portal = lowest(site, &comes_in, &rank).or(named);
    flow.device = Some(Device { address, mac, interface });
    Ok(portal)
}

/// Returns the portal of the lowest rank among those that take a device in.
fn lowest<'a>(
    site: &'a Site,
    takes: &dyn Fn(&Portal) -> bool,
    rank: &dyn Fn(&Portal) -> u8,
) -> Option<&'a Portal> {
    let mut lowest: Option<&Portal> = None;
    for portal in &site.portals {
        if takes(portal) && lowest.is_none_or(|lowest| rank(portal) < rank(lowest)) {
            lowest = Some(portal);
        }
    }
    lowest
}

/// Returns the rank of a portal for a flow: portals that leave the flow out come last, and the rules of
/// devices come before those of interfaces.
fn rank(portal: &Portal, flow: &Flow, named: Option<&Portal>) -> u8 {
    let is_named = named.is_some_and(|named| named.name == portal.name);
    let is_left_out = !left_out(portal, flow).is_empty();
    u8::from(is_left_out) << 2 | u8::from(portal.entrance_interface().is_some()) << 1 | u8::from(!is_named)
}

/// Returns the key of the network file by which a portal leaves a flow out; empty if the flow enters.
pub(super) fn left_out(portal: &Portal, flow: &Flow) -> &'static str {
    let has = |networks: &[Cidr]| networks.iter().any(|network| network.contains(flow.to));
    let is_tcp = flow.protocol == inject::TCP;
    let is_in = |port: u16, ports: &Ports| {
        is_tcp == (ports.protocol == Protocol::Tcp) && (ports.first..=ports.last).contains(&port)
    };
    let has_port = || flow.port.is_some_and(|port| portal.ports().iter().any(|ports| is_in(port, ports)));
    if has(&portal.except) {
        "except"
    } else if !portal.to.is_empty() && !has(&portal.to) {
        "to"
    } else if !portal.ports().is_empty() && !has_port() {
        "ports"
    } else {
        ""
    }
}

/// Returns a device that enters a portal: one that the kernel knows, if there is one. Never inlined, for the
/// same reason as [`Target::address`].
#[inline(never)]
fn some_device(portal: &Portal, neighbours: &[neighbour::Neighbour], family: Family) -> Option<IpAddr> {
    let known = neighbours.iter().find(|neighbour| takes(portal, neighbour.address, neighbour.mac));
    if let Some(neighbour) = known.filter(|_| family == Family::V4) {
        return Some(neighbour.address);
    }
    match &portal.entrance {
        Entrance::From(sources) => {
            sources.iter().find(|source| source.family() == family).map(|source| source.address())
        }
        Entrance::Mac { .. } | Entrance::Own => None,
        // The last address of the LAN before that of broadcasts plays a device.
        _ => {
            let mut lans = portal.addresses().map(|own| own.network().last());
            match lans.find(|last| Family::of(*last) == family)? {
                IpAddr::V4(last) => Some(Ipv4Addr::from_bits(last.to_bits() & !1).into()),
                IpAddr::V6(last) => Some(Ipv6Addr::from_bits(last.to_bits() & !1).into()),
            }
        }
    }
}

/// Reports whether the traffic of a device enters a portal.
fn takes(portal: &Portal, address: IpAddr, mac: Mac) -> bool {
    match &portal.entrance {
        Entrance::From(sources) => sources.iter().any(|source| source.contains(address)),
        Entrance::Mac { devices, .. } => devices.contains(&mac),
        Entrance::Own => false,
        _ => {
            let own = portal.addresses().any(|own| own.address == address);
            !own && portal.addresses().any(|own| own.network().contains(address))
        }
    }
}

/// Returns the name of an interface by its number.
pub(super) fn named_link(links: &Links, index: Option<u32>) -> Option<&IfName> {
    links.values().find(|link| Some(link.index) == index).map(|link| &link.name)
}

/// Returns the interface behind which a device is.
fn interface_to(kernel: &mut Linux, links: &Links, device: IpAddr) -> Result<IfName> {
    let route = route::lookup(kernel.route(), device, None, None);
    let interface = named_link(links, route.and_then(|route| route.device));
    interface.cloned().ok_or_else(|| {
        Error::failed(format!("no interface of this router leads to {device}: it cannot be a device here"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_addresses_or_names_with_or_without_a_port() {
        for (text, host, port) in [
            ("1.1.1.1", "1.1.1.1", None),
            ("1.1.1.1:443", "1.1.1.1", Some(443)),
            ("example.net:53", "example.net", Some(53)),
            ("2001:db8::1", "2001:db8::1", None),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("[2001:db8::1]:443", "2001:db8::1", Some(443)),
        ] {
            assert_eq!(Target::parse(text).unwrap(), Target { host, port }, "{text}");
        }
        for text in ["", ":443", "1.1.1.1:", "1.1.1.1:0", "1.1.1.1:65536", "[::1", "[::1]443", "x:y", "a:b:c"]
        {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }
}
