use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};

use super::*;

fn link(index: u32) -> RouteNetlinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    RouteNetlinkMessage::GetLink(message)
}

#[test]
fn a_dump_lists_the_loopback_interface() {
    let mut socket = Socket::open(protocols::NETLINK_ROUTE).unwrap();
    let links: Vec<RouteNetlinkMessage> = socket.dump(link(0)).unwrap();
    let name = LinkAttribute::IfName("lo".to_owned());
    assert!(links.iter().any(
        |message| matches!(message, RouteNetlinkMessage::NewLink(link) if link.attributes.contains(&name))
    ));
}

#[test]
fn a_question_has_one_answer() {
    let mut socket = Socket::open(protocols::NETLINK_ROUTE).unwrap();
    assert!(matches!(socket.get(link(1)), Ok(RouteNetlinkMessage::NewLink(_))));
    assert_eq!(socket.get::<_, RouteNetlinkMessage>(link(0x7fff_ffff)).unwrap_err().errno, Errno::ENODEV);
}

#[test]
fn each_failure_in_a_batch_is_told_apart() {
    let mut socket = Socket::open(protocols::NETLINK_ROUTE).unwrap();
    let bad = |number: u32| number % 1_000 == 2;
    // The kernel takes a no-op (NLMSG_NOOP) from anybody and says nothing.
    let nothing = || NetlinkMessage::new(request(link(1), 0).header, NetlinkPayload::Noop);
    let requests = (0..3_000).map(|n| if bad(n) { request(link(0x7fff_ffff), 0) } else { nothing() });
    let results = socket.batch(requests.collect());
    let failed: Vec<usize> =
        results.iter().enumerate().filter(|(_, result)| result.is_err()).map(|(index, _)| index).collect();
    assert_eq!(failed, [2, 1_002, 2_002]);
}

#[test]
fn more_failures_than_the_socket_holds_are_no_success() {
    let mut socket = Socket::open(protocols::NETLINK_ROUTE).unwrap();
    let results = socket.batch((0..20_000).map(|_| request(link(0x7fff_ffff), 0)).collect());
    assert!(results.iter().all(Result::is_err));
    assert!(!socket.dump::<_, RouteNetlinkMessage>(link(0)).unwrap().is_empty());
}
