//! The real kernel, in the network namespaces of these tests. Needs root, or `unshare -Urnm`.

mod namespace;

use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

use namespace::{inside, ip};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use wg_portals::base::net::{Cidr, Family, IfName, InterfaceAddress, Mark, Priority, Table};
use wg_portals::base::sorted::SortedSet;
use wg_portals::kernel::echo::EchoPath;
use wg_portals::kernel::linux::Linux;
use wg_portals::kernel::sockets::EchoSocket;
use wg_portals::kernel::{Kernel, Outcome};
use wg_portals::state::step::{RoutingStep, Step, SysctlChange};
use wg_portals::state::{LAST_METRIC, Reach, Route, RouteTarget, Rule, RuleAction, Scope, Selector, State};

fn name(text: &str) -> IfName {
    text.parse().unwrap()
}

fn network(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn address(text: &str) -> InterfaceAddress {
    text.parse().unwrap()
}

fn device(
    table: u32,
    destination: &str,
    interface: &str,
    source: Option<&str>,
    metric: Option<NonZeroU32>,
) -> Route {
    let source = source.map(|text| text.parse().unwrap());
    let destination = network(destination);
    let reach =
        if destination.family() == Family::V4 && source.is_none() { Reach::Link } else { Reach::Beyond };
    let target = RouteTarget::Device { interface: name(interface), source, reach };
    Route { table: Table(table), destination, target, metric }
}

fn unreachable(table: u32, family: Family, metric: Option<NonZeroU32>) -> Route {
    Route { table: Table(table), destination: family.everything(), target: RouteTarget::Unreachable, metric }
}

fn rule(priority: u32, family: Family, selector: Selector, action: RuleAction) -> Rule {
    Rule { priority: Priority(priority), family, selector, action }
}

fn forward(from: &str, to: &str) -> Step {
    Step::SetSysctl(SysctlChange {
        key: "net/ipv4/ip_forward".to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
    })
}

fn apply(kernel: &mut Linux, steps: &[Step]) {
    for (outcome, step) in kernel.apply(steps).into_iter().zip(steps) {
        assert!(matches!(outcome, Outcome::Done), "{step:?}: {outcome:?}");
    }
}

/// Output of `ip`, without the parts that differ each time: timers, and values that follow from random
/// hardware addresses.
fn picture() -> String {
    [
        "-d address show dev lan",
        "-d -4 route show table all",
        "-d -6 route show table all",
        "-d -4 rule",
        "-d -6 rule",
    ]
    .map(ip)
    .join("\n--\n")
    .lines()
    .filter(|line| !["link/", "fe80::", "valid_lft", "_timer"].iter().any(|noise| line.contains(noise)))
    .map(|line| line.trim_end().to_owned() + "\n")
    .collect()
}

/// Returns the picture of `sample`. The kernel adds its own route to an IPv6 address in the background.
fn full_picture() -> String {
    let give_up = Instant::now() + Duration::from_secs(20);
    loop {
        let picture = picture();
        if picture.contains("local fd77:1:2:100::1 dev lan") || Instant::now() > give_up {
            return picture;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// An interface of the host.
fn lan() {
    ip("link add lan type bridge");
    ip("link set lan up");
}

fn sample() -> (SortedSet<InterfaceAddress>, SortedSet<Route>, SortedSet<Rule>) {
    let incoming = |from: Option<&str>, to: Option<&str>| Selector {
        incoming: Some(name("lan")),
        from: from.map(network),
        to: to.map(network),
        ..Selector::default()
    };
    let of_time = Selector { udp_port: Some(123), ..incoming(None, None) };
    let marked =
        Selector { mark: Some(Mark { value: 0x1000_0000, mask: 0x1000_0000 }), ..Selector::default() };
    let addresses = ["10.77.1.65/26", "fd77:1:2:100::1/64"].map(address);
    let routes = [
        device(7702, "0.0.0.0/0", "lan", Some("10.77.1.65"), None),
        device(7702, "10.9.0.0/16", "lan", None, NonZeroU32::new(50)),
        device(200, "fd99::/48", "lan", None, None),
        device(200, "::/0", "lan", Some("fd77:1:2:100::1"), NonZeroU32::new(7)),
        unreachable(7702, Family::V4, Some(LAST_METRIC)),
        unreachable(7702, Family::V6, Some(LAST_METRIC)),
        unreachable(7703, Family::V6, None),
    ];
    let rules = [
        rule(110, Family::V4, marked.clone(), RuleAction::Goto(Priority(32000))),
        rule(110, Family::V6, marked, RuleAction::Lookup(Table::MAIN)),
        rule(111, Family::V4, incoming(None, Some("192.168.1.0/24")), RuleAction::Lookup(Table::MAIN)),
        rule(111, Family::V6, of_time, RuleAction::Lookup(Table::MAIN)),
        rule(112, Family::V4, incoming(None, None), RuleAction::Lookup(Table(7702))),
        rule(112, Family::V6, incoming(None, None), RuleAction::Lookup(Table(200))),
        rule(113, Family::V4, incoming(Some("10.77.1.64/26"), None), RuleAction::Unreachable),
    ];
    (addresses.into(), routes.into(), rules.into())
}

/// The state of `sample`, as a person would type it.
const BY_HAND: &[&str] = &[
    "address add 10.77.1.65/26 dev lan",
    "address add fd77:1:2:100::1/64 dev lan nodad",
    "route add default dev lan table 7702 src 10.77.1.65 scope global proto 77",
    "route add 10.9.0.0/16 dev lan table 7702 metric 50 proto 77",
    "-6 route add fd99::/48 dev lan table 200 proto 77",
    "-6 route add default dev lan table 200 src fd77:1:2:100::1 metric 7 proto 77",
    "route add unreachable default table 7702 metric 4278198272 proto 77",
    "-6 route add unreachable default table 7702 metric 4278198272 proto 77",
    "-6 route add unreachable default table 7703 proto 77",
    "rule add pref 110 fwmark 0x10000000/0x10000000 goto 32000 protocol 77",
    "-6 rule add pref 110 fwmark 0x10000000/0x10000000 lookup main protocol 77",
    "rule add pref 111 iif lan to 192.168.1.0/24 lookup main protocol 77",
    "-6 rule add pref 111 iif lan ipproto 17 dport 123 lookup main protocol 77",
    "rule add pref 112 iif lan lookup 7702 protocol 77",
    "-6 rule add pref 112 iif lan lookup 200 protocol 77",
    "rule add pref 113 iif lan from 10.77.1.64/26 unreachable protocol 77",
];

#[test]
fn added_objects_are_observed_look_hand_made_and_are_removed_without_a_trace() {
    let by_hand = inside(|| {
        lan();
        for command in BY_HAND {
            ip(command);
        }
        full_picture()
    });
    inside(move || {
        lan();
        let before = picture();
        let (addresses, routes, rules) = sample();
        let mut kernel = Linux::open().unwrap();
        let add: Vec<Step> = addresses
            .iter()
            .map(|address| RoutingStep::AddAddress(name("lan"), *address))
            .chain(routes.iter().cloned().map(RoutingStep::AddRoute))
            .chain(rules.iter().cloned().map(RoutingStep::AddRule))
            .map(Step::Routing)
            .collect();
        apply(&mut kernel, &add);
        assert_eq!(full_picture(), by_hand);

        let wanted = State {
            addresses: addresses.iter().map(|address| (name("lan"), *address)).collect(),
            up: [name("lan")].into(),
            routes: routes.clone(),
            rules: rules.clone(),
            ..State::default()
        };
        assert_eq!(kernel.observe(&wanted.scope()).unwrap(), wanted);

        let remove: Vec<Step> = rules
            .into_iter()
            .map(RoutingStep::RemoveRule)
            .chain(routes.into_iter().map(RoutingStep::RemoveRoute))
            .chain(addresses.into_iter().map(|address| RoutingStep::RemoveAddress(name("lan"), address)))
            .map(Step::Routing)
            .collect();
        apply(&mut kernel, &remove);
        assert_eq!(picture(), before);
        // A second removal of the same objects succeeds.
        apply(&mut kernel, &remove);
    });
}

#[test]
fn the_one_route_that_fails_among_hundreds_is_named() {
    inside(|| {
        lan();
        ip("route add 10.0.2.0/24 dev lan table 7702");
        let steps: Vec<Step> = (0..500u32)
            .map(|n| {
                RoutingStep::AddRoute(device(
                    7702,
                    &format!("10.{}.{}.0/24", n / 250, n % 250),
                    "lan",
                    None,
                    None,
                ))
            })
            .map(Step::Routing)
            .chain([forward("0", "1")])
            .collect();
        let mut kernel = Linux::open().unwrap();
        let outcomes = kernel.apply(&steps);
        assert_eq!(outcomes.len(), 501);
        for (index, outcome) in outcomes.iter().enumerate() {
            match (index, outcome) {
                (2, Outcome::Failed(error)) => {
                    assert_eq!(
                        error.to_string(),
                        "cannot add route 10.0.2.0/24 dev lan table 7702: File exists"
                    );
                }
                (500, Outcome::Untried) | (_, Outcome::Done) => {}
                (index, outcome) => panic!("{index}: {outcome:?}"),
            }
        }
        assert_eq!(kernel.observe(&Scope::default()).unwrap().routes.len(), 499);
    });
}

#[test]
fn foreign_objects_in_the_same_place_are_neither_seen_nor_touched() {
    inside(|| {
        lan();
        for command in [
            "address add 10.77.1.1/24 dev lan",
            "route add default dev lan table 7702",
            "route add default dev lan table 7702 metric 5 proto 78",
            "route add 10.9.0.0/16 table 7702 proto 77 nexthop via 10.77.1.8 nexthop via 10.77.1.9",
            "rule add pref 112 iif lan lookup 7702",
            "rule add pref 112 iif lan lookup 7702 suppress_prefixlength 0 protocol 77",
            "rule add pref 112 not iif lan lookup 7702 protocol 77",
            "rule add pref 112 iif lan tos 0x10 lookup 7702 protocol 77",
            "rule add pref 112 oif lan lookup 7702 protocol 77",
            "rule add pref 120 iif lan lookup 7702 protocol 77",
            "link add to-paris type bridge",
        ] {
            ip(command);
        }
        let mut kernel = Linux::open().unwrap();
        assert_eq!(kernel.observe(&Scope::default()).unwrap(), State::default());
        let before = picture();
        let ours = device(7702, "0.0.0.0/0", "lan", None, NonZeroU32::new(9));
        apply(&mut kernel, &[RoutingStep::AddRoute(ours.clone())].map(Step::Routing));
        let twice = [RoutingStep::RemoveRoute(ours.clone()), RoutingStep::RemoveRoute(ours)];
        apply(&mut kernel, &twice.map(Step::Routing));
        assert_eq!(picture(), before);
    });
}

#[test]
fn an_interface_that_is_missing_is_named() {
    inside(|| {
        let mut kernel = Linux::open().unwrap();
        let add = RoutingStep::AddRoute(device(7702, "0.0.0.0/0", "nowhere", None, None));
        let steps = [add, RoutingStep::BringUp(name("nowhere"))].map(Step::Routing);
        let outcomes = kernel.apply(&steps);
        let Outcome::Failed(error) = &outcomes[0] else { panic!("{outcomes:?}") };
        assert_eq!(error.to_string(), "cannot add route default dev nowhere table 7702: No such device");
        let Outcome::Failed(error) = &outcomes[1] else { panic!("{outcomes:?}") };
        assert_eq!(error.to_string(), "cannot bring nowhere up: No such device");
        // Removing the routes and addresses of an interface that does not exist succeeds.
        let steps = [
            RoutingStep::RemoveRoute(device(7702, "0.0.0.0/0", "nowhere", None, None)),
            RoutingStep::RemoveAddress(name("nowhere"), address("10.0.0.1/32")),
        ];
        apply(&mut kernel, &steps.map(Step::Routing));
    });
}

#[test]
fn a_setting_belongs_to_this_namespace() {
    inside(|| {
        let mut kernel = Linux::open().unwrap();
        let scope = Scope { sysctls: ["net/ipv4/ip_forward".to_owned()].into(), ..Scope::default() };
        apply(&mut kernel, &[forward("0", "1")]);
        assert_eq!(kernel.observe(&scope).unwrap().sysctls["net/ipv4/ip_forward"], "1");
        apply(&mut kernel, &[forward("1", "0")]);
        assert_eq!(kernel.observe(&scope).unwrap().sysctls["net/ipv4/ip_forward"], "0");
    });
}

/// Waits until answers have come. Reports whether they came within the time that a busy machine may need.
fn has_input(echo: &dyn EchoSocket) -> bool {
    let mut polled = [PollFd::new(echo.descriptor(), PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::from(60_000_u16)).unwrap() == 1
}

#[test]
fn echoes_are_answered() {
    inside(|| {
        let mut kernel = Linux::open().unwrap();
        ip("address add 2001:db8::1/128 dev lo nodad");
        // The kernel takes up a new IPv6 address in the background.
        let deadline = Instant::now() + Duration::from_mins(1);
        while !ip("-6 route show table local").contains("2001:db8::1 ") {
            assert!(Instant::now() < deadline, "the address is not taken up");
            thread::sleep(Duration::from_millis(10));
        }
        for (address, header) in [("127.0.0.1", 20), ("::1", 40), ("2001:db8::1", 40)] {
            let address = address.parse().unwrap();
            let mark = Some(Mark { value: 0x100, mask: 0x100 });
            let path = EchoPath { interface: name("lo"), from: address, to: address, mark };
            let mut echo = kernel.echo_socket(&path).unwrap();
            let numbers = [echo.ask_in(0).unwrap(), echo.ask_in(header + 1000).unwrap()];
            let mut answers = Vec::new();
            while answers.len() < numbers.len() && has_input(&*echo) {
                answers.extend(echo.answers());
            }
            assert_eq!(answers, numbers, "{address}");
            assert_eq!(echo.answers(), []);
        }
        let far = EchoPath {
            interface: name("lo"),
            from: "::1".parse().unwrap(),
            to: "2001:db8::2".parse().unwrap(),
            mark: None,
        };
        assert_eq!(kernel.echo_socket(&far).unwrap().ask(), Err(Errno::ENETUNREACH), "IPv6 needs a route");
    });
}
