//! Random addresses, routes and rules that the plan could want, for property tests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use wg_portals::base::net::{Cidr, Family, IfName, InterfaceAddress, Mark, Priority, Table};
use wg_portals::state::{PRIORITIES, Reach, Route, RouteTarget, Rule, RuleAction, Selector};

/// A family.
pub(crate) fn family() -> impl Strategy<Value = Family> {
    select(vec![Family::V4, Family::V6])
}

fn address_in(family: Family) -> BoxedStrategy<IpAddr> {
    match family {
        Family::V4 => any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).into()).boxed(),
        Family::V6 => any::<u128>().prop_map(|bits| Ipv6Addr::from_bits(bits).into()).boxed(),
    }
}

/// An address, with any prefix length.
pub(crate) fn interface_address() -> impl Strategy<Value = InterfaceAddress> {
    family()
        .prop_flat_map(|family| (address_in(family), 0..=family.bits()))
        .prop_map(|(address, length)| InterfaceAddress { address, length })
}

fn network(family: Family) -> impl Strategy<Value = Cidr> {
    (address_in(family), 0..=family.bits())
        .prop_map(|(address, length)| Cidr::new(address, length).expect("a valid length"))
}

fn interface() -> impl Strategy<Value = IfName> {
    select(vec!["lo", "eth1.30", "abcdefghijklmno"]).prop_map(|name| name.parse().expect("a valid name"))
}

/// Tables on both sides of the largest number that fits into a header.
fn table() -> impl Strategy<Value = Table> {
    prop_oneof![1..=255_u32, 256..=u32::MAX].prop_map(Table)
}

fn target(family: Family) -> impl Strategy<Value = RouteTarget> {
    let device = (interface(), option::of(address_in(family)), select(vec![Reach::Link, Reach::Beyond]));
    let device =
        device.prop_map(|(interface, source, reach)| RouteTarget::Device { interface, source, reach });
    prop_oneof![Just(RouteTarget::Unreachable), device]
}

/// A route of ours to a network of that family.
pub(crate) fn route_of(family: Family) -> impl Strategy<Value = Route> {
    // 1024 is the metric of an IPv6 route without one, and is read as none.
    let metric = any::<NonZeroU32>().prop_filter("the default", |metric| metric.get() != 1024);
    (table(), network(family), target(family), option::of(metric))
        .prop_map(|(table, destination, target, metric)| Route { table, destination, target, metric })
}

fn selector(family: Family) -> impl Strategy<Value = Selector> {
    let mark = any::<(u32, u32)>().prop_map(|(value, mask)| Mark { value, mask });
    let network = || option::of(network(family));
    (option::of(interface()), network(), network(), option::of(mark), option::of(1..=u16::MAX))
        .prop_map(|(incoming, from, to, mark, udp_port)| Selector { incoming, from, to, mark, udp_port })
}

/// A rule of ours for that family.
pub(crate) fn rule_of(family: Family) -> impl Strategy<Value = Rule> {
    let action = prop_oneof![
        table().prop_map(RuleAction::Lookup),
        any::<u32>().prop_map(|priority| RuleAction::Goto(Priority(priority))),
        Just(RuleAction::Unreachable),
    ];
    (PRIORITIES, selector(family), action).prop_map(move |(priority, selector, action)| Rule {
        priority: Priority(priority),
        family,
        selector,
        action,
    })
}
