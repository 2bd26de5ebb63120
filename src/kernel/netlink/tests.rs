use netlink_packet_core::NLMSG_NOOP;

use super::*;
use crate::kernel::rtnetlink::LinkHeader;

/// The name of an interface.
#[derive(Debug, PartialEq)]
struct LinkName(String);

impl Decode for LinkName {
    fn decode(payload: &[u8]) -> Option<Self> {
        let (_, attributes) = LinkHeader::split(payload)?;
        attributes.text(libc::IFLA_IFNAME).map(|name| Self(name.to_owned()))
    }
}

/// The loopback interface: the first of each namespace.
fn loopback() -> LinkName {
    LinkName("lo".to_owned())
}

fn link(index: u32) -> Message {
    LinkHeader { index, ..LinkHeader::default() }.request().message(libc::RTM_GETLINK)
}

/// An index that no interface has.
const NO_LINK: u32 = 0x7fff_ffff;

#[test]
fn a_dump_lists_the_loopback_interface() {
    let mut socket = Socket::open(protocols::NETLINK_ROUTE).unwrap();
    assert!(socket.dump(link(0)).unwrap().contains(&loopback()));
}

#[test]
fn a_question_has_one_answer() {
    let mut socket = Socket::open(protocols::NETLINK_ROUTE).unwrap();
    assert_eq!(socket.get(link(1)), Ok(Some(loopback())));
    assert_eq!(socket.get::<LinkName>(link(NO_LINK)).unwrap_err().errno, Errno::ENODEV);
}

#[test]
fn each_failure_in_a_batch_is_told_apart() {
    let mut socket = Socket::open(protocols::NETLINK_ROUTE).unwrap();
    let bad = |number: u32| number % 1_000 == 2;
    // The kernel accepts a no-op from every process, and does not answer.
    let nothing = || Message::raw(NLMSG_NOOP, Vec::new());
    let requests = (0..3_000).map(|n| if bad(n) { link(NO_LINK) } else { nothing() });
    let results = socket.batch(requests.collect());
    let failed: Vec<usize> =
        results.iter().enumerate().filter(|(_, result)| result.is_err()).map(|(index, _)| index).collect();
    assert_eq!(failed, [2, 1_002, 2_002]);
}

#[test]
fn more_failures_than_the_socket_holds_are_no_success() {
    let mut socket = Socket::open(protocols::NETLINK_ROUTE).unwrap();
    let results = socket.batch((0..20_000).map(|_| link(NO_LINK)).collect());
    assert!(results.iter().all(Result::is_err));
    assert_eq!(results[0].as_ref().unwrap_err().errno, Errno::ENODEV);
    assert!(socket.dump(link(0)).unwrap().contains(&loopback()));
}
