//! Pictures of flows with every ending.

use nix::errno::Errno;

use super::conclude::conclude;
use super::evidence::{Evidence, MetInHook, Packets, PortalWords, Refuser, RouteWords, TunnelWords};
use super::faults::Ending;
use super::flow::{Device, Flow};
use super::picture::draw;
use super::way::tests::{ends, event};
use super::way::{FORWARD, PREROUTING, PacketMark, Way};
use crate::base::net::{Mac, Table};
use crate::cli::style::Style;
use crate::kernel::conntrack::Connection;
use crate::kernel::inject::ICMP;
use crate::kernel::nftables::trace::{EventKind, LEFT, TraceEvent};

/// Returns the way of the reports, with these ends.
fn way(events: &[TraceEvent]) -> Way<'static> {
    let mark = PacketMark { addresses: ends(), protocol: ICMP, ports: [None, None] };
    Way::of(&mark, events.to_vec().leak())
}

fn passed(chain: &str) -> TraceEvent {
    event(&["portals-trace ", chain].concat(), EventKind::Accept)
}

fn met(hook: usize, place: &str, rule: &str, refuses: bool) -> MetInHook {
    MetInHook { hook, place: place.to_owned(), rule: rule.to_owned(), is_pinhole: false, refuses }
}

/// Returns the evidence about a flow that works.
fn works() -> Evidence<'static> {
    Evidence {
        flow: Flow {
            device: Some(Device { address: ends().0, mac: Mac([2; 6]), interface: "lan0".parse().unwrap() }),
            to: ends().1,
            protocol: ICMP,
            port: None,
        },
        packets: Packets::Own,
        is_traced: true,
        portal: Some(PortalWords { name: "tv", exit: "paris".to_owned(), obstacle: None, left_out: "" }),
        is_tunnel: false,
        is_up: true,
        forth: way(&[
            passed("enters"),
            event("portals marks", EventKind::Met),
            TraceEvent { mark: 0x8100_0000, ..passed("entered") },
            passed("forwards"),
            event("fw4 forward", EventKind::Accept),
            passed("forwarded"),
            passed(LEFT),
        ]),
        back: Way::default(),
        met: [
            vec![
                met(PREROUTING, "inet portals marks", "meta mark set 1", false),
                met(FORWARD, "inet fw4 forward", "oifname \"to-paris\" accept", false),
            ],
            Vec::new(),
        ],
        seen: ["to-paris", "to-paris", "lan0"],
        connection: Some(Connection {
            answering: ends().1,
            answered: [10, 77, 1, 1].into(),
            has_answer: true,
            mark: 0,
        }),
        rules: vec!["112: from 192.168.1.50/32 lookup 7702".to_owned()],
        refusal: String::new(),
        refuser: Refuser::Other,
        route: Ok(RouteWords { is_local: false, table: Table(7702), device: "to-paris", gateway: None }),
        reverse: "lan0",
        rp_filter: 1,
        not_forwarding: String::new(),
        drops: &[],
        tunnel: Some(TunnelWords {
            peer: "paris",
            endpoint: Some("203.0.113.9:51821".parse().unwrap()),
            unknown: ", whose name is not resolved",
            age: Some(12),
            is_up: true,
        }),
    }
}

fn drawn(evidence: &Evidence) -> (String, Ending) {
    let conclusion = conclude(evidence);
    let mut text = draw(evidence, &conclusion, Style::PLAIN);
    conclusion.words.write(&mut text, Style::PLAIN);
    (text, conclusion.ending)
}

#[test]
fn the_picture_of_a_flow_that_works() {
    let evidence = works();
    let (text, ending) = drawn(&evidence);
    assert_eq!(ending, Ending::Works);
    assert_eq!(
        text,
        "192.168.1.50 on lan0 → 1.1.1.1 icmp\n\
         seen: a packet of portals, which came in as if the device had sent it; rules and rp_filter: the \
         kernel's answer to a lookup\n\
         \n\
         \u{20} ✓ entrance     lan0, portal tv → paris\n\
         \u{20} ✓ prerouting   inet portals marks: meta mark set 1\n\
         \u{20}                mark 0x81000000\n\
         \u{20} ✓ connection   tracked, leaves as 10.77.1.1\n\
         \u{20} ✓ rules        112: from 192.168.1.50/32 lookup 7702\n\
         \u{20}                → table 7702: to-paris\n\
         \u{20} ✓ rp_filter    strict: answers to 192.168.1.50 leave by lan0\n\
         \u{20} ✓ forward      inet fw4 forward: oifname \"to-paris\" accept\n\
         \u{20} ✓ postrouting  no rule\n\
         \u{20} ✓ tunnel       paris at 203.0.113.9:51821, last handshake 12 s ago\n\
         \u{20} ✓ answer       came back by to-paris, went on by lan0\n\
         \n\
         It works: the packet left by to-paris, and an answer came back.\n"
    );
}

/// Changes the evidence of a flow that works.
type Change = fn(&mut Evidence);

/// Refusals of portals.
const RULE: &str = "the rule `118: from all unreachable`";
const BACKSTOP: &str = "the route `unreachable 0.0.0.0/0` in table 7702";

/// Makes the packet stop at the routing decision.
fn unrouted(evidence: &mut Evidence, errno: Errno, refuser: Refuser, refusal: &str) {
    evidence.forth = way(&[passed("enters"), passed("entered")]);
    (evidence.connection, evidence.seen) = (None, Default::default());
    (evidence.route, evidence.tunnel) = (Err(errno), None);
    (evidence.refuser, evidence.refusal) = (refuser, refusal.to_owned());
}

/// Takes the reports of nftables away, as on a kernel without it.
fn untraced(evidence: &mut Evidence) {
    (evidence.is_traced, evidence.forth) = (false, Way::default());
    (evidence.met, evidence.seen) = Default::default();
}

fn drops(names: &[&str]) -> &'static [String] {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().leak()
}

/// Changes, the ending that follows from each, and a part of its words.
const ENDINGS: &[(Ending, &str, Change)] = &[
    (Ending::Works, "by to-paris", untraced),
    (Ending::Here, "1.1.1.1 is an address of this router", |evidence| {
        evidence.route.as_mut().unwrap().is_local = true;
    }),
    (Ending::Here, "  · rules        112: from 192.168.1.50/32 lookup 7702", |evidence| {
        (evidence.flow.device, evidence.reverse) = (None, "");
        (evidence.route, evidence.seen) = (Err(Errno::EINVAL), ["lo", "", ""]);
    }),
    (Ending::Untested, "out of to-paris. Its firewall was not tested: no module", |evidence| {
        untraced(evidence);
        evidence.packets = Packets::None("no module".to_owned());
    }),
    (Ending::NotSeen, "No packet from 192.168.1.50 to 1.1.1.1", |evidence| {
        (evidence.packets, evidence.forth) = (Packets::Live, Way::default());
        evidence.connection = None;
    }),
    (Ending::NotEntered, "does not come in on lan0", |evidence| evidence.forth = Way::default()),
    (Ending::Down, "the interface lan0 is down", |evidence| evidence.is_up = false),
    (Ending::NoForwarding, "net.ipv4.ip_forward is 0", |evidence| {
        unrouted(evidence, Errno::EHOSTUNREACH, Refuser::Other, "");
        evidence.not_forwarding = "net.ipv4.ip_forward".to_owned();
    }),
    (Ending::Closed, "portal tv is closed, because its exit paris", |evidence| {
        unrouted(evidence, Errno::EHOSTUNREACH, Refuser::Portal, BACKSTOP);
    }),
    (Ending::Blocked, "portal tv is blocked. The card is missing.", |evidence| {
        unrouted(evidence, Errno::ENETUNREACH, Refuser::Portal, RULE);
        evidence.portal.as_mut().unwrap().obstacle = Some("The card is missing.".to_owned());
    }),
    (Ending::NoRoute, "to a route to 1.1.1.1", |evidence| {
        unrouted(evidence, Errno::ENETUNREACH, Refuser::Other, "");
    }),
    (Ending::Unlinked, "the rule `118: from all unreachable` of portals refuses", |evidence| {
        unrouted(evidence, Errno::ENETUNREACH, Refuser::Portal, RULE);
        evidence.portal = None;
    }),
    (Ending::Unlinked, "because no tunnel leads there now", |evidence| {
        unrouted(evidence, Errno::EHOSTUNREACH, Refuser::Link, BACKSTOP);
    }),
    (Ending::Refused, "the rule `118: from all unreachable` of another program", |evidence| {
        unrouted(evidence, Errno::EACCES, Refuser::Other, RULE);
    }),
    (Ending::Refused, "the route `unreachable 0.0.0.0/0` in table 7702 of another", |evidence| {
        unrouted(evidence, Errno::EINVAL, Refuser::Other, BACKSTOP);
        evidence.reverse = "uplink";
    }),
    (Ending::Refused, "a rule or a route of another program", |evidence| {
        unrouted(evidence, Errno::EHOSTUNREACH, Refuser::Other, "");
    }),
    (Ending::ReversePath, "of lan0: answers to 192.168.1.50 would leave by uplink", |evidence| {
        unrouted(evidence, Errno::EINVAL, Refuser::Other, "");
        evidence.reverse = "uplink";
    }),
    (Ending::ReversePath, "filter of lan0", |evidence| {
        unrouted(evidence, Errno::EXDEV, Refuser::Other, "");
        evidence.reverse = "uplink";
    }),
    (Ending::Impossible, "no packet from 192.168.1.50 to 1.1.1.1, coming in on lan0", |evidence| {
        unrouted(evidence, Errno::EINVAL, Refuser::Other, "");
    }),
    (Ending::Chain, "`inet fw4 forward` of OpenWrt's firewall: drop", |evidence| {
        evidence.forth = way(&[passed("forwards"), event("fw4 forward", EventKind::Drop)]);
        evidence.met[0] = vec![met(FORWARD, "inet fw4 forward", "drop", true)];
        evidence.connection = None;
    }),
    (Ending::Chain, "`filter WAN_IN` of the firewall of EdgeOS: -j DROP", |evidence| {
        untraced(evidence);
        evidence.connection = None;
        evidence.met[0] = vec![
            met(FORWARD, "filter WAN_IN", "-j LOG", false),
            met(FORWARD, "filter WAN_IN", "-j DROP", true),
        ];
    }),
    (Ending::Unknown, "in the hook forward", |evidence| {
        evidence.forth = way(&[passed("enters"), passed("entered"), passed("forwards")]);
        evidence.connection = None;
    }),
    (Ending::Unknown, "It stops in the hook input: something other", |evidence| {
        untraced(evidence);
        evidence.route.as_mut().unwrap().is_local = true;
        evidence.connection = None;
    }),
    (Ending::Unknown, "It stops in the hook output: something other", |evidence| {
        untraced(evidence);
        (evidence.flow.device, evidence.reverse) = (None, "");
        evidence.connection = None;
    }),
    (
        Ending::Unknown,
        "each time: a module or a program in a hook of netfilter (NETFILTER_DROP).",
        |evidence| {
            evidence.forth = way(&[passed("enters"), passed("entered"), passed("forwards")]);
            evidence.connection = None;
            evidence.drops = drops(&["NOT_SPECIFIED", "NETFILTER_DROP", "XDP"]);
        },
    ),
    (
        Ending::NotEntered,
        "each time: an XDP program on lan0 (XDP).\n→ Look at `ip link show dev lan0`",
        |evidence| {
            evidence.forth = Way::default();
            evidence.drops = drops(&["XDP"]);
        },
    ),
    (Ending::Vanished, "behind the hook prerouting: the packet comes to no other hook.\n→", |evidence| {
        unrouted(evidence, Errno::EINVAL, Refuser::Other, "");
        evidence.route = works().route;
    }),
    (Ending::Vanished, "each time: see the kernel's word for it (NEW_REASON).", |evidence| {
        unrouted(evidence, Errno::EINVAL, Refuser::Other, "");
        evidence.route = works().route;
        evidence.drops = drops(&["NO_SOCKET", "NEW_REASON"]);
    }),
    (Ending::NoForwarding, "net.ipv6.conf.all.forwarding is 0", |evidence| {
        unrouted(evidence, Errno::EINVAL, Refuser::Other, "");
        evidence.route = works().route;
        evidence.not_forwarding = "net.ipv6.conf.all.forwarding".to_owned();
    }),
    (Ending::NoForwarding, "net.ipv6.conf.all.forwarding is 0", |evidence| {
        untraced(evidence);
        evidence.connection = None;
        evidence.not_forwarding = "net.ipv6.conf.all.forwarding".to_owned();
    }),
    (Ending::Here, "each time: no program of this router takes it (NO_SOCKET)", |evidence| {
        evidence.route.as_mut().unwrap().is_local = true;
        evidence.drops = drops(&["XDP", "NO_SOCKET"]);
    }),
    (Ending::NotSent, "at to-paris: the packet passes the firewall, and does not leave. The", |evidence| {
        evidence.connection.as_mut().unwrap().has_answer = false;
        evidence.seen[2] = "";
        evidence.drops = drops(&["NETFILTER_DROP", "QDISC_DROP"]);
    }),
    (Ending::NoHandshake, "tunnel to paris: its last handshake was 5 min ago", |evidence| {
        evidence.connection.as_mut().unwrap().has_answer = false;
        evidence.seen = ["to-paris", "", ""];
        let tunnel = evidence.tunnel.as_mut().unwrap();
        (tunnel.is_up, tunnel.age) = (false, Some(300));
    }),
    (Ending::NoHandshake, "tunnel       paris, whose name is not resolved, no handshake yet", |evidence| {
        evidence.connection.as_mut().unwrap().has_answer = false;
        evidence.seen = ["to-paris", "", ""];
        let tunnel = evidence.tunnel.as_mut().unwrap();
        (tunnel.is_up, tunnel.age, tunnel.endpoint) = (false, None, None);
    }),
    (Ending::NoAnswer, "left by to-paris, and no answer", |evidence| {
        evidence.connection.as_mut().unwrap().has_answer = false;
        evidence.seen[2] = "";
    }),
    (Ending::Answer, "answer stops in the chain `inet mine back` of another program", |evidence| {
        evidence.back = way(&[passed("forwards"), event("fw4 forward", EventKind::Drop)]);
        evidence.met[1] = vec![met(FORWARD, "inet mine back", "drop", true)];
    }),
    (Ending::Astray, "is routed to uplink, and 192.168.1.50 is on lan0", |evidence| {
        evidence.seen[2] = "uplink";
    }),
    (Ending::Astray, "is routed to uplink, and 192.168.1.50 is on lan0", |evidence| {
        evidence.seen[2] = "uplink";
        evidence.met[1] = vec![met(FORWARD, "inet portals forward", "drop", true)];
    }),
    (Ending::Astray, "came back, went on by uplink", |evidence| {
        untraced(evidence);
        evidence.reverse = "uplink";
    }),
];

#[test]
fn every_ending_is_concluded_from_its_evidence() {
    for (ending, part, change) in ENDINGS {
        let mut evidence = works();
        change(&mut evidence);
        let (text, found) = drawn(&evidence);
        assert_eq!(found, *ending, "{text}");
        assert!(text.contains(part), "{part} in\n{text}");
        assert!(!text.contains('{'), "a place is not filled in\n{text}");
        let is_good = matches!(ending, Ending::Works | Ending::Here | Ending::Untested);
        assert_eq!(conclude(&evidence).words.is_good, is_good);
        assert!(is_good || text.contains("✗") || *ending == Ending::NoAnswer, "{text}");
    }
    for number in 0..=Ending::Astray as usize {
        assert!(ENDINGS.iter().any(|(ending, ..)| *ending as usize == number), "no test of ending {number}");
    }
}

#[test]
fn control_characters_of_others_reach_no_terminal() {
    let mut evidence = works();
    evidence.forth = way(&[passed("forwards"), event("fw4 forward", EventKind::Drop)]);
    evidence.met[0] = vec![met(FORWARD, "inet mine \x1b[2J", "drop\x07", true)];
    evidence.connection = None;
    let (text, _) = drawn(&evidence);
    assert!(text.contains("It stops in the chain `inet mine \u{fffd}[2J`"), "{text}");
    assert!(!text.contains(|sign: char| sign.is_control() && sign != '\n'), "{text}");
}
