//! Routes: rtnetlink's route messages.

use std::net::IpAddr;
use std::num::NonZeroU32;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use nix::errno::Errno;
use nix::libc;

use super::attributes::native_number;
use super::message::{Decode, Message};
use super::netlink::{Refusal, Socket};
use super::rtnetlink::{Request, RoutingHeader, address_of, short_table};
use crate::base::error::{Context, Result};
use crate::base::net::{Cidr, Family, IfName, Table};
use crate::base::sorted::SortedMap;
use crate::state::{PROTOCOL, Reach, Route, RouteTarget};

/// Metric that the kernel gives to an IPv6 route without one (IP6_RT_PRIO_USER in net/ipv6.h). It is observed
/// as `None` again, so that a [`Route`] has only one form.
const IPV6_DEFAULT_METRIC: NonZeroU32 = NonZeroU32::new(1024).unwrap();

/// A route of any protocol that leads out of one interface or to nowhere.
#[derive(Debug, Clone)]
pub struct HostRoute {
    /// Routing table of the route.
    pub table: Table,
    /// Network that the route leads to.
    pub destination: Cidr,
    /// Number of the interface that the route leads out of; `None` for an unreachable destination.
    pub device: Option<u32>,
    /// Next hop, unless the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// Source address of this host's own packets.
    pub source: Option<IpAddr>,
    metric: Option<NonZeroU32>,
    /// Number of the program that made the route (RTPROT_*).
    pub protocol: u8,
    reach: Reach,
}

impl HostRoute {
    /// Returns the route in our terms, if we made it; `names` holds the names of the interfaces by number.
    pub fn ours(&self, names: &SortedMap<u32, IfName>) -> Option<Route> {
        if self.protocol != PROTOCOL {
            return None;
        }
        let target = match self.device {
            None => RouteTarget::Unreachable,
            Some(index) => RouteTarget::Device {
                interface: names.get(&index)?.clone(),
                source: self.source,
                reach: self.reach,
            },
        };
        let default = default_metric(self.destination.family());
        let metric = self.metric.filter(|metric| Some(*metric) != default);
        Some(Route { table: self.table, destination: self.destination, target, metric })
    }
}

/// Lists the routes of our protocol number in all tables, IPv4 and IPv6.
pub fn list_ours(socket: &mut Socket, names: &SortedMap<u32, IfName>) -> Result<Vec<Route>> {
    let mut routes = Vec::new();
    for family in [Family::V4, Family::V6] {
        // Kernels since 4.20 send only these. Older kernels send all, so the protocol is checked again
        // below.
        let filter = RoutingHeader { protocol: PROTOCOL, family: Some(family), ..RoutingHeader::default() };
        let of_family = list(socket, filter)?;
        // The kernel lists the main table last, which sorts first. In order, the set of routes fills without
        // moves.
        for is_main in [true, false] {
            for route in &of_family {
                if (route.table == Table::MAIN) == is_main {
                    routes.extend(route.ours(names));
                }
            }
        }
    }
    Ok(routes)
}

/// Lists the unicast and unreachable routes that match a filter (address family, protocol, table).
pub fn list(socket: &mut Socket, filter: RoutingHeader) -> Result<Vec<HostRoute>> {
    match socket.dump(filter.request().message(libc::RTM_GETROUTE)) {
        // A host that never had an address has no table main (`inet_dump_fib` in net/ipv4/fib_frontend.c).
        Err(Refusal { errno: Errno::ENOENT, .. }) => Ok(Vec::new()),
        routes => routes.context(|| "cannot list the routes".to_owned()),
    }
}

/// Returns the route that the kernel would take to `destination` for a packet with this mark, out of this
/// interface if one is given; `None` if there is no such route.
pub fn lookup(
    socket: &mut Socket,
    destination: IpAddr,
    mark: Option<u32>,
    interface: Option<u32>,
) -> Option<HostRoute> {
    let family = Family::of(destination);
    let header =
        RoutingHeader { family: Some(family), destination_length: family.bits(), ..RoutingHeader::default() };
    let question = header
        .request()
        .with_address(libc::RTA_DST, destination)
        .with_number(libc::RTA_MARK, mark)
        .with_number(libc::RTA_OIF, interface);
    socket.get(question.message(libc::RTM_GETROUTE)).ok()?
}

/// Returns the route that the kernel would take for a packet of a device, which comes in by this interface;
/// `None` if the kernel would refuse the packet.
pub fn lookup_entering(
    socket: &mut Socket,
    source: IpAddr,
    destination: IpAddr,
    incoming: u32,
) -> Option<HostRoute> {
    let bits = Family::of(destination).bits();
    let header = RoutingHeader {
        family: Some(Family::of(destination)),
        destination_length: bits,
        source_length: bits,
        ..RoutingHeader::default()
    };
    let question = header
        .request()
        .with_address(libc::RTA_DST, destination)
        .with_address(libc::RTA_SRC, source)
        .with_number(libc::RTA_IIF, incoming);
    socket.get(question.message(libc::RTM_GETROUTE)).ok()?
}

impl Decode for HostRoute {
    /// Returns `None` for a route that leads anywhere but out of one interface or to nowhere.
    fn decode(payload: &[u8]) -> Option<Self> {
        let (header, attributes) = RoutingHeader::split(payload)?;
        let family = header.family?;
        let mut destination = family.everything().address();
        let (mut table, mut device, mut gateway) = (u32::from(header.table), None, None);
        let (mut source, mut metric) = (None, None);
        for (attribute, value) in attributes.iter() {
            match attribute {
                libc::RTA_DST => destination = address_of(family, value)?,
                libc::RTA_TABLE => table = native_number(value)?,
                libc::RTA_OIF => device = Some(native_number(value)?),
                libc::RTA_GATEWAY => gateway = Some(address_of(family, value)?),
                libc::RTA_PREFSRC => source = Some(address_of(family, value)?),
                libc::RTA_PRIORITY => metric = NonZeroU32::new(native_number(value)?),
                // A route with several next hops at once is never ours.
                libc::RTA_MULTIPATH => return None,
                _ => {}
            }
        }
        let device = match header.kind {
            libc::RTN_UNICAST => Some(device?),
            // IPv6 shows unreachable routes on the loopback interface.
            libc::RTN_UNREACHABLE => None,
            _ => return None,
        };
        Some(Self {
            table: Table(table),
            destination: Cidr::new(destination, header.destination_length)?,
            device,
            gateway,
            source,
            metric,
            protocol: header.protocol,
            reach: if header.scope == libc::RT_SCOPE_UNIVERSE { Reach::Beyond } else { Reach::Link },
        })
    }
}

/// Returns the request that adds a route; `device` is the number of its interface, if it has one.
pub fn add(route: &Route, device: Option<u32>) -> Message {
    let scope = match route.target {
        RouteTarget::Device { reach: Reach::Link, .. } => libc::RT_SCOPE_LINK,
        RouteTarget::Device { reach: Reach::Beyond, .. } | RouteTarget::Unreachable => {
            libc::RT_SCOPE_UNIVERSE
        }
    };
    encode(route, device, scope).message(libc::RTM_NEWROUTE).with_flags(NLM_F_CREATE | NLM_F_EXCL)
}

/// Returns the request that removes a route; `device` is the number of its interface, if it has one.
pub fn remove(route: &Route, device: Option<u32>) -> Message {
    // The scope does not matter: table, destination, metric, protocol and interface identify the route.
    encode(route, device, libc::RT_SCOPE_NOWHERE).message(libc::RTM_DELROUTE)
}

fn encode(route: &Route, device: Option<u32>, scope: u8) -> Request {
    let Route { table, destination, target, metric } = route;
    let (kind, device, source) = match target {
        RouteTarget::Unreachable => (libc::RTN_UNREACHABLE, None, None),
        RouteTarget::Device { source, .. } => (libc::RTN_UNICAST, device, *source),
    };
    let header = RoutingHeader {
        family: Some(destination.family()),
        destination_length: destination.length(),
        table: short_table(*table),
        protocol: PROTOCOL,
        scope,
        kind,
        ..RoutingHeader::default()
    };
    // The default is explicit, so that a removal cannot match a route with another metric.
    let metric = metric.or(default_metric(destination.family()));
    header
        .request()
        .with_number(libc::RTA_TABLE, table.0)
        .with_address(libc::RTA_DST, (destination.length() > 0).then(|| destination.address()))
        .with_number(libc::RTA_PRIORITY, metric.map(NonZeroU32::get))
        .with_number(libc::RTA_OIF, device)
        .with_address(libc::RTA_PREFSRC, source)
}

/// Returns the metric of a route without one; `None` if the kernel leaves it without one.
fn default_metric(family: Family) -> Option<NonZeroU32> {
    match family {
        Family::V4 => None,
        Family::V6 => Some(IPV6_DEFAULT_METRIC),
    }
}
