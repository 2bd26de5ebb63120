//! Tests of the words about links that are down.

use std::net::SocketAddr;

use super::*;
use crate::nat::search::{CandidateReport, Path};

const OSLO: u8 = 3;
const PARIS: u8 = 4;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// Returns a helper that sees both sites.
fn helper(id: u8) -> HelperReport {
    HelperReport {
        id,
        port: 52075,
        extra_port: None,
        questions: 20,
        asked: Some(seconds(1)),
        answered: Some(seconds(2)),
        is_extra_only: false,
        seen: Some(at("203.0.113.9:51822")),
        has_told: true,
        peer: Some((at("198.51.100.7:51821"), seconds(3))),
        relay: RelayReport::Refused,
    }
}

/// Returns a helper that does not answer.
fn silent(id: u8) -> HelperReport {
    let relay = RelayReport::Unknown;
    HelperReport { answered: None, seen: None, has_told: false, peer: None, relay, ..helper(id) }
}

/// Returns a helper that has never heard of the peer.
fn alone(id: u8) -> HelperReport {
    HelperReport { peer: None, ..helper(id) }
}

fn report(helpers: &[HelperReport]) -> SearchReport {
    SearchReport {
        chosen: None,
        refused: None,
        mapped: None,
        is_searching: true,
        age: seconds(40),
        port: 51822,
        peer_port: 51821,
        endpoint: None,
        helpers: helpers.to_vec(),
        candidates: Vec::new(),
        pinged: false,
        symmetric: (false, false),
    }
}

/// Returns the words of this site, whose link to mike is down.
fn words(report: &SearchReport, has_second_nat: bool) -> Vec<String> {
    let helpers = report.helpers.iter().map(|helper| match helper.id {
        OSLO => (OSLO, "oslo".to_owned()),
        id => (id, "paris".to_owned()),
    });
    sentences(report, LinkNames { peer: "mike", helpers: &helpers.collect() }, has_second_nat)
}

fn expect(report: &SearchReport, expected: &[&str]) {
    assert_eq!(words(report, false), expected);
}

const BOTH_SEEN: &str =
    "oslo answered 2 s ago, and sees this site as 203.0.113.9:51822, and mike as 198.51.100.7:51821 3 s ago";
const FORWARD: &str =
    "forward UDP 51822 at your router to this box, or forward UDP 51821 to mike at its router";
const NOT_RELAYED: &str =
    "oslo does not relay: remove `relay = false` there, lower its `port`, or add `subnet6` for IPv6";

#[test]
fn nothing_is_said_of_links_that_are_up_or_not_searched() {
    expect(&SearchReport { is_searching: false, ..report(&[helper(OSLO)]) }, &[]);
    expect(&report(&[HelperReport { questions: 0, ..silent(OSLO) }]), &[]);
    expect(&report(&[]), &[]);
}

#[test]
fn an_early_search_tells_facts_alone() {
    expect(&SearchReport { age: seconds(4), ..report(&[helper(OSLO)]) }, &[BOTH_SEEN]);
}

#[test]
fn no_helper_answers() {
    expect(
        &report(&[silent(OSLO), silent(PARIS)]),
        &[
            "no answer from oslo at UDP 52075, nor from paris at UDP 52075 (40 questions, the last 1 s ago)",
            "this site may be offline, UDP blocked here, or oslo not get UDP 52075: forward it to oslo, or \
             set `helper_port = 443` there",
        ],
    );
    let extra = HelperReport { extra_port: Some(443), ..silent(OSLO) };
    // An old answer does not count.
    let late = HelperReport { answered: Some(STALE), ..extra.clone() };
    for helper in [extra, late] {
        expect(
            &report(&[helper]),
            &[
                "no answer from oslo at UDP 52075 and 443 (20 questions, the last 1 s ago)",
                "this site may be offline, UDP blocked here, or oslo not get UDP 52075 or 443: forward them \
                 to oslo",
            ],
        );
    }
}

#[test]
fn a_helper_without_address_is_named() {
    let names = SortedMap::from([(OSLO, "oslo".to_owned()), (PARIS, "paris".to_owned())]);
    let report = SearchReport { age: seconds(1), ..report(&[alone(OSLO)]) };
    let words = sentences(&report, LinkNames { peer: "mike", helpers: &names }, false);
    assert_eq!(words[1], "no address is known of paris: check `endpoint`, and name resolution here");
}

#[test]
fn the_peer_has_not_asked() {
    let look_there = "mike is off, runs no agent, or reaches no helper: look there";
    expect(
        &report(&[alone(OSLO)]),
        &[
            "oslo answered 2 s ago, and sees this site as 203.0.113.9:51822; mike has not asked it lately",
            look_there,
        ],
    );
    let long_ago = HelperReport { peer: Some((at("198.51.100.7:51821"), seconds(300))), ..helper(OSLO) };
    let seen =
        "oslo answered 2 s ago, and sees this site as 203.0.113.9:51822, and mike as 198.51.100.7:51821";
    expect(&report(&[long_ago]), &[&format!("{seen} 5 min ago"), look_there]);
    // The first answer tells nothing of the peer.
    let first = HelperReport { has_told: false, ..alone(OSLO) };
    expect(&report(&[first]), &["oslo answered 2 s ago, and sees this site as 203.0.113.9:51822"]);
}

#[test]
fn one_helper_of_two_knows_the_peer() {
    let words = words(&report(&[alone(OSLO), helper(PARIS)]), false);
    assert_eq!(words[2], "no ping of mike came through");
}

#[test]
fn no_ping_came_through() {
    let none = "no ping of mike came through";
    expect(&report(&[helper(OSLO)]), &[BOTH_SEEN, none, NOT_RELAYED, FORWARD]);
    let pinged = SearchReport { pinged: true, ..report(&[helper(OSLO)]) };
    let answers = "pings of mike come through, but answers do not";
    expect(&pinged, &[BOTH_SEEN, answers, NOT_RELAYED, FORWARD]);
    let symmetric = SearchReport { symmetric: (true, true), ..report(&[helper(OSLO)]) };
    expect(
        &symmetric,
        &[
            BOTH_SEEN,
            none,
            "the NAT here gives each destination another port",
            "the NAT of mike gives each destination another port",
            NOT_RELAYED,
            FORWARD,
        ],
    );
}

#[test]
fn ports_are_forwarded_where_that_is_of_use() {
    let last = |helper, has_second_nat| words(&report(&[helper]), has_second_nat).pop().unwrap();
    assert_eq!(last(helper(OSLO), false), FORWARD);
    let other_port = HelperReport { seen: Some(at("203.0.113.9:40001")), ..helper(OSLO) };
    let with_endpoint = "forward UDP 51822 at your router to this box and give this site an `endpoint`, or \
                         forward UDP 51821 to mike at its router";
    assert_eq!(last(other_port, false), with_endpoint);
    let second = "the router here is behind another NAT, so forwarding here is no use: forward UDP 51821 to \
                  mike at its router";
    assert_eq!(last(helper(OSLO), true), second);
}

#[test]
fn relays_tell_their_state() {
    for (relay, expected) in [
        (RelayReport::Unknown, FORWARD),
        (RelayReport::Refused, NOT_RELAYED),
        (RelayReport::Silent(52079), "no answer from the relay of oslo: forward UDP 52079 to it"),
        (
            RelayReport::Registered(52079),
            "oslo relays for this site, but nothing of mike came that way: mike may not reach UDP 52079 of \
             oslo",
        ),
    ] {
        assert_eq!(words(&report(&[HelperReport { relay, ..helper(OSLO) }]), false)[2], expected);
    }
}

#[test]
fn only_the_second_port_answers() {
    let extra = HelperReport { extra_port: Some(443), is_extra_only: true, ..alone(OSLO) };
    let expected = "oslo answered 2 s ago at UDP 443 alone, and sees this site as 203.0.113.9:51822; mike \
                    has not asked it lately";
    assert_eq!(words(&report(&[extra]), false)[0], expected);
}

#[test]
fn an_endpoint_in_the_file_does_not_answer() {
    let endpoint = at("192.0.2.5:51821");
    let tried = |has_answered| SearchReport {
        endpoint: Some(endpoint),
        candidates: vec![CandidateReport { address: endpoint, path: Path::Direct, has_answered }],
        age: seconds(1),
        ..report(&[silent(OSLO)])
    };
    let expected = "no answer from the `endpoint` of mike, 192.0.2.5:51821: correct it, or forward UDP 51821 \
                    to it";
    assert_eq!(words(&tried(false), false)[1], expected);
    assert_eq!(words(&tried(true), false).len(), 1);
    let own = at("203.0.113.9:51821");
    let own = SearchReport {
        endpoint: Some(own),
        candidates: vec![CandidateReport { address: own, path: Path::Direct, has_answered: false }],
        age: seconds(1),
        ..report(&[helper(OSLO)])
    };
    let expected = "the `endpoint` of mike, 203.0.113.9:51821, is the public address of this site itself: \
                    correct it, unless mike is in the same home";
    assert_eq!(words(&own, false)[1], expected);
}

#[test]
fn a_ping_is_answered_but_no_handshake_follows() {
    let address = at("198.51.100.7:51821");
    let sentence =
        "mike answers pings at 198.51.100.7:51821, but there is no handshake: compare the keys at both sites";
    let chosen = SearchReport { chosen: Some((address, Path::Direct)), ..report(&[helper(OSLO)]) };
    expect(&chosen, &[BOTH_SEEN]);
    // The sentence stays while the search looks for an address again, and while the next handshake is under
    // way.
    for before in [report(&[helper(OSLO)]), chosen] {
        for age in [seconds(1), seconds(40)] {
            let refused = SearchReport { refused: Some(address), age, ..before.clone() };
            expect(&refused, &[BOTH_SEEN, sentence]);
        }
    }
}

#[test]
fn the_number_of_sentences_is_bounded() {
    let helpers: Vec<HelperReport> = (1..=250).map(helper).collect();
    let symmetric = SearchReport { symmetric: (true, true), ..report(&helpers) };
    assert_eq!(words(&symmetric, false).len(), 2 * MOST_HELPERS + 4);
}
