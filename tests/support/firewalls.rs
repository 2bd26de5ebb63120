//! Random firewalls that the plan could want, for property tests.

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::Union;
use wg_portals::base::net::{Cidr, Family, IfName, Mac, Mark};
use wg_portals::base::sorted::{SortedMap, SortedSet};
use wg_portals::firewall::{
    Action, Chain, Condition, Devices, Firewall, FirewallRule, Interfaces, MarksAtInterfaces, Networks,
    NetworksAtInterfaces, Pairing, Set, SetName,
};

type Sets = SortedMap<SetName, Set>;

/// A firewall whose rules use only its own sets, match one family and one protocol at most, and are in chains
/// where the kernel allows them.
pub(crate) fn firewall() -> impl Strategy<Value = Firewall> {
    sets()
        .prop_flat_map(|sets| (chains(&sets), Just(sets)))
        .prop_map(|(chains, sets)| Firewall { sets, chains, flows: None })
        .prop_filter("empty", |firewall| !firewall.is_empty())
}

fn sets() -> impl Strategy<Value = Sets> {
    let name = select(vec!["set-a", "set-b", "set-c", "set-d", "set-e"]);
    let set = (name.prop_map(|name| SetName(name.into())), set());
    vec(set, 0..=5).prop_map(SortedMap::from_iter)
}

fn set() -> impl Strategy<Value = Set> {
    prop_oneof![
        vec(interface(), 1..6).prop_map(|names| Set::Interfaces(names.into_iter().collect())),
        vec(mac(), 1..6).prop_map(|devices| Set::Devices(devices.into_iter().collect())),
        vec((interface(), interface()), 1..6)
            .prop_map(|paths| Set::InterfacePairs(paths.into_iter().collect())),
        places(Family::V4),
        places(Family::V6),
        vec((interface(), any::<u32>()), 1..6)
            .prop_map(|ways| Set::MarksAtInterfaces(ways.into_iter().collect())),
        addresses(Family::V4),
        addresses(Family::V6),
        apart(Family::V4),
        apart(Family::V6),
    ]
}

fn places(family: Family) -> impl Strategy<Value = Set> {
    vec((interface(), network(family)), 1..6).prop_map(move |places| {
        let place = |(name, network): (IfName, Cidr)| (name, network.address());
        Set::NetworksAtInterfaces(family, places.into_iter().map(place).collect())
    })
}

fn addresses(family: Family) -> impl Strategy<Value = Set> {
    vec(network(family), 1..8).prop_map(move |networks| {
        let hosts = networks.into_iter().map(|network| Cidr::host(network.address()));
        Set::Networks(family, false, hosts.collect())
    })
}

/// Networks that do not overlap, but often touch.
fn apart(family: Family) -> impl Strategy<Value = Set> {
    vec(network(family), 1..8).prop_map(move |candidates| {
        let mut networks = SortedSet::<Cidr>::new();
        for candidate in candidates {
            if !networks.iter().any(|network| network.overlaps(candidate)) {
                networks.insert(candidate);
            }
        }
        Set::Networks(family, true, networks)
    })
}

fn chains(sets: &Sets) -> impl Strategy<Value = SortedMap<Chain, Vec<FirewallRule>>> + use<> {
    let rules: Vec<_> =
        Chain::ALL.into_iter().map(|chain| (Just(chain), vec(rule(sets, chain), 1..5)).boxed()).collect();
    subsequence(rules, 0..=Chain::ALL.len()).prop_flat_map(|rules| rules).prop_map(SortedMap::from_iter)
}

fn rule(sets: &Sets, chain: Chain) -> impl Strategy<Value = FirewallRule> + use<> {
    let sorts = [
        conditions(sets, Family::V4, None),
        conditions(sets, Family::V4, Some(Condition::TcpSyn)),
        conditions(sets, Family::V4, Some(Condition::Icmp(Family::V4))),
        conditions(sets, Family::V4, Some(Condition::UdpPort(67, 68))),
        conditions(sets, Family::V4, Some(Condition::UdpBetween(40001, 443))),
        conditions(sets, Family::V4, Some(Condition::TcpPort(443, 443))),
        conditions(sets, Family::V6, None),
        conditions(sets, Family::V6, Some(Condition::Icmp(Family::V6))),
        conditions(sets, Family::V6, Some(Condition::UdpPort(53, 53))),
    ];
    let conditions = Union::new(sorts).prop_flat_map(|all| subsequence(all, 0..=4).prop_shuffle());
    (conditions.prop_flat_map(|conditions| conditions), action(chain)).prop_map(|(conditions, action)| {
        let mut conditions: Vec<Condition> = conditions;
        if conditions.iter().any(looks_at_address) {
            conditions.retain(|condition| !matches!(condition, Condition::Family(_)));
        }
        conditions.sort_by_key(is_about_device);
        let device = conditions.iter().position(is_about_device);
        conditions.truncate(device.map_or(conditions.len(), |first| first + 1));
        FirewallRule { conditions, action }
    })
}

fn is_about_device(condition: &Condition) -> bool {
    matches!(condition, Condition::Device(_))
}

fn looks_at_address(condition: &Condition) -> bool {
    matches!(
        condition,
        Condition::Source(_)
            | Condition::NotSource(_)
            | Condition::Destination(_)
            | Condition::NotDestination(_)
            | Condition::Place(..)
    )
}

/// Strategies for conditions, one for each condition that may occur next to the others.
fn conditions(
    sets: &Sets,
    family: Family,
    protocol: Option<Condition>,
) -> impl Strategy<Value = Vec<BoxedStrategy<Condition>>> + use<> {
    let mut all = vec![
        Just(Condition::Family(family)).boxed(),
        interfaces(sets).prop_map(Condition::Incoming).boxed(),
        interfaces(sets).prop_map(Condition::Outgoing).boxed(),
        interfaces(sets).prop_map(Condition::NotOutgoing).boxed(),
        networks(sets, family).prop_map(Condition::Source).boxed(),
        networks(sets, family).prop_map(Condition::NotSource).boxed(),
        networks(sets, family).prop_map(Condition::Destination).boxed(),
        networks(sets, family).prop_map(Condition::NotDestination).boxed(),
        Just(Condition::Established).boxed(),
        Just(Condition::Redirected).boxed(),
        Just(Condition::FromOriginator).boxed(),
        Just(Condition::FromResponder).boxed(),
        interfaces(sets).prop_map(Condition::NotIncoming).boxed(),
        mark().prop_map(Condition::ConnectionNotMarked).boxed(),
        mark().prop_map(Condition::NotMarked).boxed(),
        mark().prop_map(Condition::Marked).boxed(),
        mark().prop_map(Condition::ConnectionMarked).boxed(),
        devices(sets).prop_map(Condition::Device).boxed(),
    ];
    let paths = names_of(sets, |set| matches!(set, Set::InterfacePairs(_)));
    all.extend(paths.into_iter().map(|name| Just(Condition::InterfacePair(name)).boxed()));
    let places = names_of(sets, |set| matches!(set, Set::NetworksAtInterfaces(of, _) if *of == family));
    all.extend(places.into_iter().flat_map(|set| {
        let places = (1..=family.bits()).prop_map(move |length| NetworksAtInterfaces {
            family,
            set: set.clone(),
            length,
        });
        pairings()
            .map(|pairing| places.clone().prop_map(move |places| Condition::Place(pairing, places)).boxed())
            .collect::<Vec<_>>()
    }));
    let ways = names_of(sets, |set| matches!(set, Set::MarksAtInterfaces(_)));
    all.extend(ways.into_iter().flat_map(|set| {
        let ways = (1..=u32::MAX).prop_map(move |mask| MarksAtInterfaces { set: set.clone(), mask });
        pairings()
            .filter(|pairing| !pairing.destination)
            .map(|pairing| ways.clone().prop_map(move |ways| Condition::Way(pairing, ways)).boxed())
            .collect::<Vec<_>>()
    }));
    all.extend(protocol.map(|condition| Just(condition).boxed()));
    Just(all)
}

fn pairings() -> impl Iterator<Item = Pairing> {
    (0..8).map(|bits| Pairing { outgoing: bits & 1 != 0, destination: bits & 2 != 0, negated: bits & 4 != 0 })
}

fn interfaces(sets: &Sets) -> impl Strategy<Value = Interfaces> + use<> {
    let mut all = vec![interface().prop_map(Interfaces::One).boxed()];
    let names = names_of(sets, |set| matches!(set, Set::Interfaces(_)));
    all.extend(names.into_iter().map(|name| Just(Interfaces::In(name)).boxed()));
    Union::new(all)
}

fn devices(sets: &Sets) -> impl Strategy<Value = Devices> + use<> {
    let mut all = vec![mac().prop_map(Devices::One).boxed()];
    let names = names_of(sets, |set| matches!(set, Set::Devices(_)));
    all.extend(names.into_iter().map(|name| Just(Devices::In(name)).boxed()));
    Union::new(all)
}

fn mac() -> impl Strategy<Value = Mac> {
    any::<[u8; 6]>().prop_map(Mac)
}

/// A mark with at least one bit.
fn mark() -> impl Strategy<Value = Mark> {
    (1..=u32::MAX, any::<u32>()).prop_map(|(value, more)| Mark { value, mask: value | more })
}

fn networks(sets: &Sets, family: Family) -> impl Strategy<Value = Networks> + use<> {
    let mut all = vec![network(family).prop_map(Networks::One).boxed()];
    let names = names_of(sets, |set| matches!(set, Set::Networks(of, ..) if *of == family));
    all.extend(names.into_iter().map(|name| Just(Networks::In(family, name)).boxed()));
    Union::new(all)
}

fn names_of(sets: &Sets, kind: impl Fn(&Set) -> bool) -> Vec<SetName> {
    sets.iter().filter(|(_, set)| kind(set)).map(|(name, _)| name.clone()).collect()
}

fn action(chain: Chain) -> impl Strategy<Value = Action> {
    let mut all = vec![
        Just(Action::Accept).boxed(),
        Just(Action::Drop).boxed(),
        (500..1500_u16).prop_map(Action::ClampMss).boxed(),
        mark().prop_map(Action::SetMark).boxed(),
        mark().prop_map(Action::SetConnectionMark).boxed(),
    ];
    match chain {
        Chain::Postrouting => all.push(Just(Action::Masquerade).boxed()),
        Chain::Prerouting
        | Chain::RelayedTo
        | Chain::RelayedFrom
        | Chain::Marks
        | Chain::OwnMarks
        | Chain::Leaving => {}
        _ => all.push(Just(Action::Reject).boxed()),
    }
    Union::new(all)
}

fn interface() -> impl Strategy<Value = IfName> {
    let names =
        vec!["lo", "a", "eth1", "eth10", "wlan0.30", "to-paris", "portals0", "abcdefghijklmno", "wlan0@2"];
    select(names).prop_map(|name| name.parse().expect("a valid name"))
}

/// Addresses with bytes that make networks touch each other and both ends of the address space.
fn network(family: Family) -> impl Strategy<Value = Cidr> {
    let byte = || select(vec![0_u8, 1, 10, 11, 127, 128, 254, 255]);
    let address = match family {
        Family::V4 => vec(byte(), 4)
            .prop_map(|bytes| IpAddr::from(<[u8; 4]>::try_from(bytes).expect("four bytes")))
            .boxed(),
        Family::V6 => vec(byte(), 16)
            .prop_map(|bytes| IpAddr::from(<[u8; 16]>::try_from(bytes).expect("sixteen bytes")))
            .boxed(),
    };
    (address, 0..=family.bits())
        .prop_map(|(address, length)| Cidr::new(address, length).expect("a valid length"))
}
