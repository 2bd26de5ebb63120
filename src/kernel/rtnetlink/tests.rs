//! The crate `netlink-packet-route` as an independent reader and writer: it reads our requests as they are
//! meant, and its messages are decoded to the same values. `tests/kernel.rs` has the tests with a kernel.

#[path = "../../../tests/support/routing.rs"]
mod routing;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;

use netlink_packet_core::{DefaultNla, Emitable, Parseable};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, VlanFlags,
};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::route::{
    RouteAttribute, RouteMessage, RouteMetric, RoutePreference, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{
    RuleAction as Verb, RuleAttribute, RuleFlags, RuleMessage, RulePortRange, RuleUidRange,
};
use netlink_packet_route::{AddressFamily, IpProtocol};
use proptest::prelude::*;
use proptest::sample::Index;
use routing::{family, interface_address, route_of, rule_of};

use super::*;
use crate::base::net::{Cidr, IfName, InterfaceAddress, Mac, Mark, Priority};
use crate::base::sorted::SortedMap;
use crate::kernel::address::{self, AddressEntry};
use crate::kernel::link::{self, HostLink};
use crate::kernel::message::Decode;
use crate::kernel::neighbour::Neighbour;
use crate::kernel::netlink::{frames, in_one_piece};
use crate::kernel::route::{self, HostRoute};
use crate::kernel::rule;
use crate::site::facts::CatchAll;
use crate::state::{Reach, Route, RouteTarget, Rule, RuleAction, Selector};

/// Number of the interface of routes.
const DEVICE: u32 = 70_000;

/// Returns the kind of a request, and its payload as the crate reads it.
fn read<T: Parseable<[u8]>>(request: Message) -> (u16, T) {
    let bytes = in_one_piece(&[request], 1);
    let frame = frames(&bytes).next().unwrap();
    (frame.kind, T::parse(frame.payload).unwrap())
}

/// Returns the payload of a message of the crate.
fn emitted(message: &impl Emitable) -> Vec<u8> {
    let mut payload = vec![0; message.buffer_len()];
    message.emit(&mut payload);
    payload
}

fn crate_family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

fn crate_address(index: u32, InterfaceAddress { address, length }: InterfaceAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = crate_family(Family::of(address));
    message.header.prefix_len = length;
    message.header.index = index;
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    message
}

fn crate_route(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    let network = route.destination;
    message.header.address_family = crate_family(network.family());
    message.header.destination_prefix_length = network.length();
    message.header.table = u8::try_from(route.table.0).unwrap_or(0);
    message.header.protocol = RouteProtocol::Other(77);
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(route.table.0));
    if network.length() > 0 {
        attributes.push(RouteAttribute::Destination(network.address().into()));
    }
    let default = (network.family() == Family::V6).then_some(1024);
    attributes.extend(route.metric.map(NonZeroU32::get).or(default).map(RouteAttribute::Priority));
    message.header.kind = RouteType::Unreachable;
    if let RouteTarget::Device { source, reach, .. } = &route.target {
        message.header.kind = RouteType::Unicast;
        message.header.scope = if *reach == Reach::Link { RouteScope::Link } else { RouteScope::Universe };
        attributes.push(RouteAttribute::Oif(DEVICE));
        attributes.extend(source.map(|address| RouteAttribute::PrefSource(address.into())));
    }
    message
}

fn crate_rule(rule: &Rule) -> RuleMessage {
    let Selector { incoming, from, to, mark, udp_port } = &rule.selector;
    let mut message = RuleMessage::default();
    message.header.family = crate_family(rule.family);
    message.header.src_len = from.map_or(0, Cidr::length);
    message.header.dst_len = to.map_or(0, Cidr::length);
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Priority(rule.priority.0));
    attributes.push(RuleAttribute::Protocol(RouteProtocol::Other(77)));
    attributes.extend(incoming.as_ref().map(|name| RuleAttribute::Iifname(name.to_string())));
    attributes.extend(from.map(|network| RuleAttribute::Source(network.address())));
    attributes.extend(to.map(|network| RuleAttribute::Destination(network.address())));
    if let Some(Mark { value, mask }) = *mark {
        attributes.extend([RuleAttribute::FwMark(value), RuleAttribute::FwMask(mask)]);
    }
    if let Some(start) = *udp_port {
        let ports = RulePortRange { start, end: start };
        attributes
            .extend([RuleAttribute::IpProtocol(IpProtocol::Udp), RuleAttribute::DestinationPortRange(ports)]);
    }
    match rule.action {
        RuleAction::Lookup(Table(table)) => {
            message.header.action = Verb::ToTable;
            message.header.table = u8::try_from(table).unwrap_or(0);
            attributes.push(RuleAttribute::Table(table));
        }
        RuleAction::Goto(Priority(priority)) => {
            message.header.action = Verb::Goto;
            attributes.push(RuleAttribute::Goto(priority));
        }
        RuleAction::Unreachable => message.header.action = Verb::Unreachable,
    }
    message
}

fn crate_neighbour(address: Ipv4Addr, mac: Vec<u8>) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.ifindex = DEVICE;
    message.attributes = vec![
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)),
        NeighbourAttribute::LinkLayerAddress(mac),
        NeighbourAttribute::Probes(1),
    ];
    message
}

/// Returns the names of the interfaces that a route leads out of.
fn names(route: &Route) -> SortedMap<u32, IfName> {
    route.interface().map(|name| (DEVICE, name.clone())).into_iter().collect()
}

fn decode_all(payload: &[u8]) {
    let _ = HostRoute::decode(payload).and_then(|route| route.ours(&SortedMap::new()));
    let _ = HostLink::decode(payload).and_then(|link| link.ours());
    let _ = (AddressEntry::decode(payload), Neighbour::decode(payload));
    let _ = (Rule::decode(payload), CatchAll::decode(payload));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn addresses_mean_the_same_to_the_crate(index in any::<u32>(), address in interface_address()) {
        let mut meant = crate_address(index, address);
        prop_assert_eq!(read(address::remove(index, address)), (libc::RTM_DELADDR, meant.clone()));
        if address.address.is_ipv6() {
            meant.header.flags = AddressHeaderFlags::Nodad;
        }
        prop_assert_eq!(read(address::add(index, address)), (libc::RTM_NEWADDR, meant.clone()));
        meant.attributes.push(AddressAttribute::Label("lan".to_owned()));
        let flags = if address.address.is_ipv6() { 2 } else { 0 };
        let entry = AddressEntry { index, address, flags };
        prop_assert_eq!(AddressEntry::decode(&emitted(&meant)), Some(entry));
    }

    #[test]
    fn routes_mean_the_same_to_the_crate(route in family().prop_flat_map(route_of)) {
        let device = route.interface().map(|_| DEVICE);
        let mut meant = crate_route(&route);
        prop_assert_eq!(read(route::add(&route, device)), (libc::RTM_NEWROUTE, meant.clone()));
        let mut removal = meant.clone();
        removal.header.scope = RouteScope::NoWhere;
        prop_assert_eq!(read(route::remove(&route, device)), (libc::RTM_DELROUTE, removal));
        // The kernel shows these as well.
        meant.attributes.push(RouteAttribute::Metrics(vec![RouteMetric::Mtu(1400)]));
        meant.attributes.push(RouteAttribute::Preference(RoutePreference::Medium));
        let decoded = HostRoute::decode(&emitted(&meant)).and_then(|found| found.ours(&names(&route)));
        prop_assert_eq!(decoded, Some(route));
    }

    #[test]
    fn rules_mean_the_same_to_the_crate(rule in family().prop_flat_map(rule_of)) {
        let mut meant = crate_rule(&rule);
        prop_assert_eq!(read(rule::add(&rule)), (libc::RTM_NEWRULE, meant.clone()));
        prop_assert_eq!(read(rule::remove(&rule)), (libc::RTM_DELRULE, meant.clone()));
        // The kernel shows these as well.
        meant.attributes.push(RuleAttribute::SuppressPrefixLen(u32::MAX));
        if rule.selector.udp_port.is_some() {
            meant.attributes.push(RuleAttribute::Other(DefaultNla::new(29, vec![0xff; 2])));
        }
        prop_assert_eq!(Rule::decode(&emitted(&meant)), Some(rule));
    }

    #[test]
    fn neighbours_mean_the_same_to_the_crate(address in any::<Ipv4Addr>(), mac in any::<[u8; 6]>()) {
        let found = Neighbour::decode(&emitted(&crate_neighbour(address, mac.to_vec())));
        prop_assert_eq!(found, Some(Neighbour { address: address.into(), mac: Mac(mac), index: DEVICE }));
    }

    #[test]
    fn damage_is_no_panic(
        route in family().prop_flat_map(route_of),
        rule in family().prop_flat_map(rule_of),
        address in interface_address(),
        place in any::<Index>(),
        bit in 0..8,
    ) {
        let neighbour = crate_neighbour(Ipv4Addr::LOCALHOST, vec![2; 6]);
        let (route, rule, address) = (crate_route(&route), crate_rule(&rule), crate_address(1, address));
        let payloads = [emitted(&route), emitted(&rule), emitted(&address), emitted(&neighbour)];
        for mut payload in payloads {
            let place = place.index(payload.len());
            payload[place] ^= 1_u8 << bit;
            decode_all(&payload);
            decode_all(&payload[..place]);
        }
    }
}

#[test]
fn questions_mean_the_same_to_the_crate() {
    let mut route = RouteMessage::default();
    (route.header.address_family, route.header.table) = (AddressFamily::Inet6, 254);
    let filter =
        RoutingHeader { family: Some(Family::V6), table: libc::RT_TABLE_MAIN, ..RoutingHeader::default() };
    assert_eq!(read(filter.request().message(libc::RTM_GETROUTE)), (libc::RTM_GETROUTE, route));
    let mut neighbour = NeighbourMessage::default();
    neighbour.header.family = AddressFamily::Inet;
    let filter = NeighbourHeader { family: Some(Family::V4), index: 0 };
    assert_eq!(read(filter.request().message(libc::RTM_GETNEIGH)), (libc::RTM_GETNEIGH, neighbour));
}

#[test]
fn interfaces_mean_the_same_to_the_crate() {
    let name: IfName = "lan".parse().unwrap();
    let mut message = LinkMessage::default();
    (message.header.flags, message.header.change_mask) = (LinkFlags::Up, LinkFlags::Up);
    message.attributes = vec![LinkAttribute::IfName("lan".to_owned())];
    assert_eq!(read(link::set_up(&name, true)), (libc::RTM_SETLINK, message.clone()));
    message.header.index = DEVICE;
    message.attributes.extend([LinkAttribute::Mtu(1420), LinkAttribute::Controller(7)]);
    let found = HostLink::decode(&emitted(&message)).unwrap();
    assert_eq!(
        (found.index, found.name, found.up, found.mtu, found.master),
        (DEVICE, name, true, 1420, Some(7))
    );
}

#[test]
fn a_vlan_means_the_same_to_the_crate() {
    let vlan = vec![InfoVlan::Id(30), InfoVlan::Flags((VlanFlags::LooseBinding, VlanFlags::LooseBinding))];
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName("eth1.30".to_owned()),
        LinkAttribute::Mtu(1400),
        LinkAttribute::Group(0x706f_7274),
        LinkAttribute::Link(DEVICE),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Vlan), LinkInfo::Data(InfoData::Vlan(vlan))]),
    ];
    let request = link::create_vlan(&"eth1.30".parse().unwrap(), 1400, DEVICE, 30);
    assert_eq!(read(request), (libc::RTM_NEWLINK, message));
}

#[test]
fn the_own_end_of_a_point_to_point_interface_is_its_address() {
    let [own, other] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
    let mut message = crate_address(DEVICE, InterfaceAddress { address: other, length: 32 });
    message.attributes = vec![AddressAttribute::Address(other), AddressAttribute::Local(own)];
    let entry = |address| {
        let address = InterfaceAddress { address, length: 32 };
        Some(AddressEntry { index: DEVICE, address, flags: 0 })
    };
    assert_eq!(AddressEntry::decode(&emitted(&message)), entry(own));
    message.attributes.pop();
    assert_eq!(AddressEntry::decode(&emitted(&message)), entry(other));
}

#[test]
fn a_foreign_route_is_read_and_a_route_with_several_next_hops_is_not() {
    let [gateway, source] = [1, 2].map(|last| IpAddr::from([192, 168, 1, last]));
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    (message.header.table, message.header.kind) = (254, RouteType::Unicast);
    message.header.protocol = RouteProtocol::Dhcp;
    message.attributes = vec![
        RouteAttribute::Gateway(gateway.into()),
        RouteAttribute::Oif(DEVICE),
        RouteAttribute::PrefSource(source.into()),
    ];
    let found = HostRoute::decode(&emitted(&message)).unwrap();
    assert_eq!((found.table, found.destination), (Table::MAIN, Family::V4.everything()));
    assert_eq!((found.device, found.gateway, found.source), (Some(DEVICE), Some(gateway), Some(source)));
    // RTPROT_DHCP of linux/rtnetlink.h
    assert_eq!(found.protocol, 16);
    assert_eq!(found.ours(&SortedMap::new()), None);
    message.attributes.push(RouteAttribute::MultiPath(Vec::new()));
    assert!(HostRoute::decode(&emitted(&message)).is_none());
}

fn plain_rule() -> Rule {
    Rule {
        priority: Priority(112),
        family: Family::V4,
        selector: Selector::default(),
        action: RuleAction::Lookup(Table(7702)),
    }
}

#[test]
fn a_rule_of_another_program_is_not_ours() {
    let plain = crate_rule(&plain_rule());
    assert_eq!(Rule::decode(&emitted(&plain)), Some(plain_rule()));
    let with = |attribute| {
        let mut message = plain.clone();
        message.attributes.push(attribute);
        message
    };
    let mut foreign: Vec<RuleMessage> = [
        RuleAttribute::Oifname("lan".to_owned()),
        RuleAttribute::UidRange(RuleUidRange { start: 0, end: 0 }),
        RuleAttribute::TunId(1),
        RuleAttribute::SuppressIfGroup(1),
        RuleAttribute::SuppressPrefixLen(0),
        RuleAttribute::L3MDev(true),
        RuleAttribute::Protocol(RouteProtocol::Static),
        RuleAttribute::IpProtocol(IpProtocol::Tcp),
        RuleAttribute::IpProtocol(IpProtocol::Udp),
        RuleAttribute::SourcePortRange(RulePortRange { start: 53, end: 53 }),
        RuleAttribute::DestinationPortRange(RulePortRange { start: 53, end: 53 }),
        RuleAttribute::Priority(120),
        RuleAttribute::Source(Ipv6Addr::LOCALHOST.into()),
        RuleAttribute::Other(DefaultNla::new(29, vec![0xff, 0])),
    ]
    .map(with)
    .into();
    let mut ports = with(RuleAttribute::IpProtocol(IpProtocol::Udp));
    ports.attributes.push(RuleAttribute::DestinationPortRange(RulePortRange { start: 53, end: 54 }));
    foreign.push(ports);
    foreign.extend([plain.clone(), plain.clone(), plain]);
    let [.., service, inverted, blackhole] = foreign.as_mut_slice() else { unreachable!() };
    service.header.tos = 4;
    inverted.header.flags = RuleFlags::Invert;
    blackhole.header.action = Verb::Blackhole;
    for message in foreign {
        assert_eq!(Rule::decode(&emitted(&message)), None, "{message:?}");
    }
}

#[test]
fn a_mark_without_a_mask_is_compared_whole() {
    let mut message = crate_rule(&plain_rule());
    message.attributes.push(RuleAttribute::FwMark(5));
    let mark = Rule::decode(&emitted(&message)).unwrap().selector.mark;
    assert_eq!(mark, Some(Mark { value: 5, mask: u32::MAX }));
}

#[test]
fn a_rule_with_a_selector_catches_not_all() {
    let mut message = crate_rule(&plain_rule());
    message.attributes.push(RuleAttribute::SuppressPrefixLen(u32::MAX));
    let all = CatchAll { priority: Priority(112), table: Table(7702) };
    assert_eq!(CatchAll::decode(&emitted(&message)), Some(all));
    message.header.flags = RuleFlags::Invert;
    assert_eq!(CatchAll::decode(&emitted(&message)), None);
    let to = Selector { to: Some(Cidr::host(Ipv4Addr::LOCALHOST.into())), ..Selector::default() };
    let incoming = Selector { incoming: Some("lan".parse().unwrap()), ..Selector::default() };
    let others = [
        Rule { selector: to, ..plain_rule() },
        Rule { selector: incoming, ..plain_rule() },
        Rule { family: Family::V6, ..plain_rule() },
        Rule { action: RuleAction::Unreachable, ..plain_rule() },
    ];
    for rule in others {
        assert_eq!(CatchAll::decode(&emitted(&crate_rule(&rule))), None, "{rule:?}");
    }
}

#[test]
fn a_neighbour_without_both_addresses_is_none() {
    let known = crate_neighbour(Ipv4Addr::LOCALHOST, vec![2; 6]);
    // VXLAN shows the other end of a tunnel in an entry of a bridge.
    let (mut of_bridge, mut incomplete) = (known.clone(), known);
    of_bridge.header.family = AddressFamily::Bridge;
    incomplete.attributes.remove(1);
    let infiniband = crate_neighbour(Ipv4Addr::LOCALHOST, vec![2; 20]);
    for message in [of_bridge, incomplete, infiniband] {
        assert_eq!(Neighbour::decode(&emitted(&message)), None, "{message:?}");
    }
}
