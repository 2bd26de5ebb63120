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

/// A route of any protocol that leads out of one interface, or refuses packets.
#[derive(Debug, Clone)]
pub struct HostRoute {
    /// Routing table of the route.
    pub table: Table,
    /// Network that the route leads to.
    pub destination: Cidr,
    /// Kind of the route (RTN_*).
    pub kind: u8,
    /// Number of the interface that the route leads out of; `None` for a route that refuses packets.
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
            None if self.kind != libc::RTN_UNREACHABLE => return None,
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
            for route in of_family.iter().filter(|route| (route.table == Table::MAIN) == is_main) {
                if let Some(ours) = route.ours(names) {
                    routes.push(ours);
                }
            }
        }
    }
    Ok(routes)
}

/// Lists the routes out of one interface, and those that refuse packets, that match a filter (address family,
/// protocol, table, kind). Kernels before 4.20 send others as well.
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

/// Packet whose route is asked for.
#[derive(Debug, Clone)]
pub struct RoutedPacket {
    /// Source; `None` for a packet of this host whose source the route chooses.
    pub from: Option<IpAddr>,
    /// Destination.
    pub to: IpAddr,
    /// Number of the interface that the packet came in on; `None` for a packet of this host.
    pub incoming: Option<u32>,
    /// Mark of the packet.
    pub mark: u32,
    /// Number of the protocol (IPPROTO_*).
    pub protocol: u8,
    /// Source and destination port, if the protocol has ports.
    pub ports: Option<[u16; 2]>,
}

/// Answer of the kernel to the question for the route of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteAnswer {
    /// Kind of the route (RTN_*): to another host, or to this one.
    pub kind: u8,
    /// Table that the route is in.
    pub table: Table,
    /// Number of the interface that the packet leaves by.
    pub device: Option<u32>,
    /// Next hop, unless the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// Source address of a packet of this host.
    pub source: Option<IpAddr>,
}

/// Asks the kernel for the route of a packet, as `ip route get … from … iif …` does. The kernel also checks
/// the source of an incoming packet (`fib_validate_source` in net/ipv4/fib_frontend.c).
///
/// # Errors
/// - ENETUNREACH: no rule led to a route, or a rule refused the packet.
/// - EHOSTUNREACH: the route refuses the packet, or this host does not forward.
/// - EACCES: a rule or a route prohibits the packet.
/// - EINVAL, or EXDEV on kernels before 6.14: the source is impossible here, or a route drops the packet.
pub fn ask(socket: &mut Socket, packet: &RoutedPacket) -> Result<Option<RouteAnswer>, Refusal> {
    /// RTM_F_LOOKUP_TABLE: the answer tells the table of the route, and not the table `main`. Answers about
    /// IPv6 always do, and a request with this flag is refused (`inet6_rtm_valid_getroute_req`).
    const LOOKUP_TABLE: u32 = 0x1000;
    /// RTA_IP_PROTO, RTA_SPORT and RTA_DPORT. Kernels before 4.18 ignore them.
    const PROTOCOL_NUMBER: u16 = 27;
    const PORTS: [u16; 2] = [28, 29];
    let family = Family::of(packet.to);
    let mut request = RoutingHeader {
        family: Some(family),
        destination_length: family.bits(),
        source_length: packet.from.map_or(0, |_| family.bits()),
        flags: if family == Family::V4 { LOOKUP_TABLE } else { 0 },
        ..RoutingHeader::default()
    }
    .request()
    .with_address(libc::RTA_DST, packet.to)
    .with_address(libc::RTA_SRC, packet.from)
    .with_number(libc::RTA_IIF, packet.incoming)
    .with_number(libc::RTA_MARK, packet.mark)
    .with_byte(PROTOCOL_NUMBER, packet.protocol);
    if let Some(ports) = packet.ports {
        for (kind, port) in PORTS.into_iter().zip(ports) {
            request = request.with_bytes(kind, &port.to_be_bytes());
        }
    }
    socket.get(request.message(libc::RTM_GETROUTE))
}

impl Decode for RouteAnswer {
    fn decode(payload: &[u8]) -> Option<Self> {
        let (header, attributes) = RoutingHeader::split(payload)?;
        let family = header.family?;
        let (mut answer, mut table) = (
            Self { kind: header.kind, table: Table::MAIN, device: None, gateway: None, source: None },
            u32::from(header.table),
        );
        for (attribute, value) in attributes.iter() {
            match attribute {
                libc::RTA_TABLE => table = native_number(value)?,
                libc::RTA_OIF => answer.device = native_number(value),
                libc::RTA_GATEWAY => answer.gateway = address_of(family, value),
                libc::RTA_PREFSRC => answer.source = address_of(family, value),
                _ => {}
            }
        }
        answer.table = Table(table);
        Some(answer)
    }
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
            // IPv6 shows these routes on the loopback interface.
            libc::RTN_UNREACHABLE | libc::RTN_PROHIBIT | libc::RTN_BLACKHOLE => None,
            _ => return None,
        };
        Some(Self {
            table: Table(table),
            destination: Cidr::new(destination, header.destination_length)?,
            kind: header.kind,
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
