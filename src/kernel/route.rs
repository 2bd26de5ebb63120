//! Routes: rtnetlink's route messages.

use std::net::IpAddr;
use std::num::NonZeroU32;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, Parseable as _};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use nix::errno::Errno;
use nix::libc;

use super::message::{Decode, Message};
use super::netlink::{Refusal, Socket};
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
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        // Kernels since 4.20 send only these. Older kernels send all, so the protocol is checked again
        // below.
        let filter = RouteHeader { protocol: protocol(), address_family: family, ..RouteHeader::default() };
        let of_family = list(socket, filter)?;
        // The kernel lists the main table last, which sorts first. In order, the set of routes fills without
        // moves.
        let (main, others): (Vec<&HostRoute>, Vec<&HostRoute>) =
            of_family.iter().partition(|route| route.table == Table::MAIN);
        routes.extend(main.into_iter().chain(others).filter_map(|route| route.ours(names)));
    }
    Ok(routes)
}

/// Lists the unicast and unreachable routes that match a filter (address family, protocol, table).
pub fn list(socket: &mut Socket, filter: RouteHeader) -> Result<Vec<HostRoute>> {
    let mut message = RouteMessage::default();
    message.header = filter;
    match socket.dump(Message::new(libc::RTM_GETROUTE, &message)) {
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
    let mut message = RouteMessage::default();
    message.header.address_family = family(Family::of(destination));
    message.header.destination_prefix_length = Family::of(destination).bits();
    message.attributes = vec![RouteAttribute::Destination(destination.into())];
    message.attributes.extend(mark.map(RouteAttribute::Mark));
    message.attributes.extend(interface.map(RouteAttribute::Oif));
    socket.get(Message::new(libc::RTM_GETROUTE, &message)).ok()?
}

impl Decode for HostRoute {
    /// Returns `None` for a route that leads anywhere but out of one interface or to nowhere.
    fn decode(payload: &[u8]) -> Option<Self> {
        let RouteMessage { header, attributes, .. } = RouteMessage::parse(payload).ok()?;
        let mut destination = family_of(header.address_family)?.everything().address();
        let (mut table, mut device, mut gateway) = (u32::from(header.table), None, None);
        let (mut source, mut metric) = (None, None);
        for attribute in attributes {
            match attribute {
                RouteAttribute::Destination(address) => destination = ip_address(&address)?,
                RouteAttribute::Table(number) => table = number,
                RouteAttribute::Oif(index) => device = Some(index),
                RouteAttribute::Gateway(address) => gateway = ip_address(&address),
                RouteAttribute::PrefSource(address) => source = ip_address(&address),
                RouteAttribute::Priority(number) => metric = NonZeroU32::new(number),
                // A route with several next hops at once is never ours.
                RouteAttribute::MultiPath(_) => return None,
                _ => {}
            }
        }
        let device = match header.kind {
            RouteType::Unicast => Some(device?),
            // IPv6 shows unreachable routes on the loopback interface.
            RouteType::Unreachable => None,
            _ => return None,
        };
        Some(Self {
            table: Table(table),
            destination: Cidr::new(destination, header.destination_prefix_length)?,
            device,
            gateway,
            source,
            metric,
            protocol: header.protocol.into(),
            reach: if header.scope == RouteScope::Universe { Reach::Beyond } else { Reach::Link },
        })
    }
}

fn ip_address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some((*v4).into()),
        RouteAddress::Inet6(v6) => Some((*v6).into()),
        _ => None,
    }
}

/// Returns the request that adds a route; `device` is the number of its interface, if it has one.
pub fn add(route: &Route, device: Option<u32>) -> Message {
    let mut message = encode(route, device);
    message.header.scope = match route.target {
        RouteTarget::Device { reach: Reach::Link, .. } => RouteScope::Link,
        RouteTarget::Device { reach: Reach::Beyond, .. } | RouteTarget::Unreachable => RouteScope::Universe,
    };
    Message::new(libc::RTM_NEWROUTE, &message).with_flags(NLM_F_CREATE | NLM_F_EXCL)
}

/// Returns the request that removes a route; `device` is the number of its interface, if it has one.
pub fn remove(route: &Route, device: Option<u32>) -> Message {
    let mut message = encode(route, device);
    // The scope does not matter: table, destination, metric, protocol and interface identify the route.
    message.header.scope = RouteScope::NoWhere;
    Message::new(libc::RTM_DELROUTE, &message)
}

fn encode(route: &Route, device: Option<u32>) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(route.destination.family());
    message.header.destination_prefix_length = route.destination.length();
    // Larger numbers do not fit here. The attribute holds any number, and takes precedence.
    message.header.table = u8::try_from(route.table.0).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
    message.header.protocol = protocol();
    message.attributes = vec![RouteAttribute::Table(route.table.0)];
    if route.destination.length() > 0 {
        message.attributes.push(RouteAttribute::Destination(route.destination.address().into()));
    }
    // The default is explicit, so that a removal cannot match a route with another metric.
    let metric = route.metric.or(default_metric(route.destination.family()));
    message.attributes.extend(metric.map(|metric| RouteAttribute::Priority(metric.get())));
    match &route.target {
        RouteTarget::Unreachable => message.header.kind = RouteType::Unreachable,
        RouteTarget::Device { source, .. } => {
            message.header.kind = RouteType::Unicast;
            message.attributes.extend(device.map(RouteAttribute::Oif));
            message.attributes.extend(source.map(|address| RouteAttribute::PrefSource(address.into())));
        }
    }
    message
}

/// Returns the metric of a route without one; `None` if the kernel leaves it without one.
fn default_metric(family: Family) -> Option<NonZeroU32> {
    match family {
        Family::V4 => None,
        Family::V6 => Some(IPV6_DEFAULT_METRIC),
    }
}

fn protocol() -> RouteProtocol {
    RouteProtocol::from(PROTOCOL)
}

/// Returns the family in a message's header, if it is IPv4 or IPv6.
pub(super) fn family_of(family: AddressFamily) -> Option<Family> {
    match family {
        AddressFamily::Inet => Some(Family::V4),
        AddressFamily::Inet6 => Some(Family::V6),
        _ => None,
    }
}

/// Returns rtnetlink's value for an address family.
pub fn family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}
