//! Routes: rtnetlink's route messages.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NetlinkMessage};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use nix::errno::Errno;
use nix::libc;

use super::attributes::{self, Attributes, native_number};
use super::message::{Decode, Message};
use super::netlink::{Refusal, Socket, request};
use crate::base::error::{Context, Result};
use crate::base::net::{Cidr, Family, IfName, Table};
use crate::base::sorted::SortedMap;
use crate::state::{PROTOCOL, Reach, Route, Target};

/// What the kernel makes of an IPv6 metric of 0 (IP6_RT_PRIO_USER in net/ipv6.h). It is observed as 0 again, so that one
/// [`Route`] has one form.
const IPV6_DEFAULT_METRIC: u32 = 1024;

/// Bytes in front of a route's attributes: `struct rtmsg` of linux/rtnetlink.h, with the family at 0, the prefix length at 1,
/// the table at 4, the protocol at 5, the scope at 6 and the type at 7.
const HEADER: usize = 12;

/// A route of any protocol, as far as it leads out of one interface or nowhere.
#[derive(Debug, Clone)]
pub struct HostRoute {
    /// The table it stands in.
    pub table: Table,
    /// Where to.
    pub destination: Cidr,
    /// The number of the interface it leads out of; none = unreachable.
    pub device: Option<u32>,
    /// The next hop, if it is not on the link.
    pub gateway: Option<IpAddr>,
    /// Source address of this host's own packets.
    pub source: Option<IpAddr>,
    metric: u32,
    /// Who made it.
    pub protocol: u8,
    reach: Reach,
}

impl HostRoute {
    /// What it is to us, if we made it; `names` are those of the interfaces.
    pub fn ours(&self, names: &SortedMap<u32, IfName>) -> Option<Route> {
        if self.protocol != PROTOCOL {
            return None;
        }
        let target = match self.device {
            None => Target::Unreachable,
            Some(index) => Target::Device {
                interface: names.get(&index)?.clone(),
                source: self.source,
                reach: self.reach,
            },
        };
        let metric = match self.metric {
            IPV6_DEFAULT_METRIC if self.destination.family() == Family::V6 => 0,
            metric => metric,
        };
        Some(Route { table: self.table, destination: self.destination, target, metric })
    }
}

/// The routes of our protocol number in all tables, IPv4 and IPv6.
pub fn list_ours(socket: &mut Socket, names: &SortedMap<u32, IfName>) -> Result<Vec<Route>> {
    let mut routes = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        // Kernels since 4.20 send only these; older ones send all, and the protocol is looked at once more.
        let filter = RouteHeader { protocol: protocol(), address_family: family, ..RouteHeader::default() };
        let of_family = list(socket, filter)?;
        // It lists the main table last, which is first in order: as the set of them is filled, nothing has to be moved.
        let (main, others): (Vec<&HostRoute>, Vec<&HostRoute>) =
            of_family.iter().partition(|route| route.table == Table::MAIN);
        routes.extend(main.into_iter().chain(others).filter_map(|route| route.ours(names)));
    }
    Ok(routes)
}

/// The unicast and unreachable routes that a filter (address family, protocol) lets through.
pub fn list(socket: &mut Socket, filter: RouteHeader) -> Result<Vec<HostRoute>> {
    let mut message = RouteMessage::default();
    message.header = filter;
    match socket.dump(Message::new(libc::RTM_GETROUTE, &message)) {
        // A host that never had an address has no table main (`inet_dump_fib` in net/ipv4/fib_frontend.c).
        Err(Refusal { errno: Errno::ENOENT, .. }) => Ok(Vec::new()),
        routes => routes.context(|| "cannot list the routes".to_owned()),
    }
}

/// The route that the kernel would take to `destination` for a packet with that mark, out of that interface if one is
/// given; `None` if there is none.
pub fn lookup(
    socket: &mut Socket,
    destination: IpAddr,
    mark: u32,
    interface: Option<u32>,
) -> Option<HostRoute> {
    let mut message = RouteMessage::default();
    message.header.address_family = family(Family::of(destination));
    message.header.destination_prefix_length = Family::of(destination).bits();
    message.attributes = vec![RouteAttribute::Destination(destination.into()), RouteAttribute::Mark(mark)];
    message.attributes.extend(interface.map(RouteAttribute::Oif));
    socket.get(Message::new(libc::RTM_GETROUTE, &message)).ok()?
}

impl Decode for HostRoute {
    fn decode(payload: &[u8]) -> Option<Self> {
        let (header, attributes) = payload.split_at_checked(HEADER)?;
        let family = read_family(header[0])?;
        let mut destination = family.everything().address();
        let (mut table, mut device, mut gateway) = (u32::from(header[4]), None, None);
        let (mut source, mut metric) = (None, 0);
        for (attribute, value) in Attributes::of(attributes).iter() {
            match attribute {
                libc::RTA_DST => destination = attributes::address(value)?,
                libc::RTA_TABLE => table = native_number(value)?,
                libc::RTA_OIF => device = Some(native_number(value)?),
                libc::RTA_GATEWAY => gateway = attributes::address(value),
                libc::RTA_PREFSRC => source = attributes::address(value),
                libc::RTA_PRIORITY => metric = native_number(value)?,
                // Several next hops at once: never ours.
                libc::RTA_MULTIPATH => return None,
                _ => {}
            }
        }
        match header[7] {
            libc::RTN_UNICAST => device = Some(device?),
            // IPv6 shows them on the loopback interface.
            libc::RTN_UNREACHABLE => device = None,
            _ => return None,
        }
        Some(Self {
            table: Table(table),
            destination: Cidr::new(destination, header[1])?,
            device,
            gateway,
            source,
            metric,
            protocol: header[5],
            reach: if header[6] == u8::from(RouteScope::Universe) { Reach::Beyond } else { Reach::Link },
        })
    }
}

/// Adds a route; `device` is the number of its interface, if it has one.
pub fn add(route: &Route, device: Option<u32>) -> NetlinkMessage<Message> {
    let mut message = encode(route, device);
    message.header.scope = match route.target {
        Target::Device { reach: Reach::Link, .. } => RouteScope::Link,
        Target::Device { reach: Reach::Beyond, .. } | Target::Unreachable => RouteScope::Universe,
    };
    request(Message::new(libc::RTM_NEWROUTE, &message), NLM_F_CREATE | NLM_F_EXCL)
}

/// Removes a route; `device` is the number of its interface, if it has one.
pub fn remove(route: &Route, device: Option<u32>) -> NetlinkMessage<Message> {
    let mut message = encode(route, device);
    // Whatever its scope: table, destination, metric, protocol and interface say which one is meant.
    message.header.scope = RouteScope::NoWhere;
    request(Message::new(libc::RTM_DELROUTE, &message), 0)
}

fn encode(route: &Route, device: Option<u32>) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(route.destination.family());
    message.header.destination_prefix_length = route.destination.length();
    // Larger numbers do not fit here; the attribute, which wins, has them all.
    message.header.table = u8::try_from(route.table.0).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
    message.header.protocol = protocol();
    message.attributes = vec![RouteAttribute::Table(route.table.0)];
    if route.destination.length() > 0 {
        message.attributes.push(RouteAttribute::Destination(route.destination.address().into()));
    }
    match (route.metric, route.destination.family()) {
        // Said aloud, so that removing it cannot mean one with another metric.
        (0, Family::V6) => message.attributes.push(RouteAttribute::Priority(IPV6_DEFAULT_METRIC)),
        (0, Family::V4) => {}
        (metric, _) => message.attributes.push(RouteAttribute::Priority(metric)),
    }
    match &route.target {
        Target::Unreachable => message.header.kind = RouteType::Unreachable,
        Target::Device { source, .. } => {
            message.header.kind = RouteType::Unicast;
            message.attributes.extend(device.map(RouteAttribute::Oif));
            message.attributes.extend(source.map(|address| RouteAttribute::PrefSource(address.into())));
        }
    }
    message
}

fn protocol() -> RouteProtocol {
    RouteProtocol::from(PROTOCOL)
}

/// The family in a message's header, if it is one of ours.
pub(super) fn read_family(number: u8) -> Option<Family> {
    match AddressFamily::from(number) {
        AddressFamily::Inet => Some(Family::V4),
        AddressFamily::Inet6 => Some(Family::V6),
        _ => None,
    }
}

/// The address family's name in rtnetlink.
pub fn family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}
