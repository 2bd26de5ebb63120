//! Changes of a firewall while packets pass: no packet gets through that both the old and the new rules
//! refuse. Needs root, or `unshare -Urn`.

#[path = "support/concurrently.rs"]
mod concurrently;
mod namespace;

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use concurrently::concurrently;
use namespace::inside;
use nix::sys::socket::{setsockopt, sockopt};
use wg_portals::base::net::Family;
use wg_portals::firewall::{Action, Chain, Condition, Firewall, FirewallRule, Networks, Set, SetName};
use wg_portals::kernel::nftables::Nftables;

const SENDER: &str = "127.0.0.2:0";
const RECEIVER: &str = "127.0.0.1:9999";

#[test]
fn sets_are_filled_before_rules_look_at_them() {
    inside(|| {
        let mut nftables = Nftables::find().unwrap().unwrap();
        let firewalls = ["these", "those"].map(|name| firewall(name, Chain::Output));
        nftables.change(None, Some(&firewalls[0])).unwrap();
        let got_through = while_flooded(3000, |round| {
            let (from, to) = (&firewalls[round % 2], &firewalls[(round + 1) % 2]);
            nftables.change(Some(from), Some(to)).unwrap();
            assert_eq!(nftables.read().unwrap().as_ref(), Some(to));
        });
        assert_eq!(got_through, 0);
    });
}

#[test]
fn a_chain_that_others_flushed_is_repaired_in_place() {
    inside(|| {
        let mut nftables = Nftables::find().unwrap().unwrap();
        let wanted = firewall("these", Chain::Forward);
        nftables.change(None, Some(&wanted)).unwrap();
        let got_through = while_flooded(100, |_| {
            let flush = ["flush", "chain", "inet", "portals", "forward"];
            assert!(Command::new("nft").args(flush).status().unwrap().success());
            let found = nftables.read().unwrap();
            nftables.change(found.as_ref(), Some(&wanted)).unwrap();
            assert_eq!(nftables.read().unwrap().as_ref(), Some(&wanted));
        });
        assert_eq!(got_through, 0);
    });
}

#[test]
fn a_change_that_is_refused_leaves_no_set_behind() {
    inside(|| {
        let mut nftables = Nftables::find().unwrap().unwrap();
        let from = firewall("these", Chain::Output);
        let mut refused = firewall("those", Chain::Output);
        let nowhere = Condition::Source(Networks::In(Family::V4, SetName("nowhere".into())));
        let rules = vec![FirewallRule { conditions: vec![nowhere], action: Action::Drop }];
        refused.chains.insert(Chain::Output, rules);
        assert!(nftables.change(None, Some(&refused)).is_err());
        assert_eq!(nftables.read().unwrap(), None);
        nftables.change(None, Some(&from)).unwrap();
        assert!(nftables.change(Some(&from), Some(&refused)).is_err());
        assert_eq!(nftables.read().unwrap(), Some(from));
    });
}

/// Firewall that drops packets from the sender, by a set of networks, and has many rules in another chain.
fn firewall(set: &str, other: Chain) -> Firewall {
    let name = SetName(set.into());
    let networks = ["127.0.0.2/32", "198.18.0.0/15"].map(|network| network.parse().unwrap());
    let from = Condition::Source(Networks::In(Family::V4, name.clone()));
    let rule = |conditions, action| FirewallRule { conditions, action };
    let others = (1..60).map(|port| rule(vec![Condition::UdpPort(port, port)], Action::Accept));
    Firewall {
        sets: [(name, Set::Networks(Family::V4, true, networks.into()))].into(),
        chains: [(Chain::Input, vec![rule(vec![from], Action::Drop)]), (other, others.collect())].into(),
        flows: None,
    }
}

/// Number of packets that reached the receiver while `event` happened again and again, and the sender sent
/// all the time.
fn while_flooded(rounds: usize, mut event: impl FnMut(usize)) -> usize {
    let receiver = UdpSocket::bind(RECEIVER).unwrap();
    receiver.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let sender = UdpSocket::bind(SENDER).unwrap();
    setsockopt(&receiver, sockopt::RcvBuf, &(1 << 20)).unwrap();
    concurrently(
        || (0..rounds).for_each(&mut event),
        |is_over| {
            // At least `rounds` packets are sent, even on a machine so busy that all events are over before
            // the first packet.
            let mut sent = 0;
            while !is_over() || sent < rounds {
                sent += sender.send_to(b"x", RECEIVER).unwrap();
            }
        },
    );
    std::iter::from_fn(|| receiver.recv(&mut [0]).ok()).count()
}
