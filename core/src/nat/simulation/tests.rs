//! Pairs of sites behind every kind of NAT.

use super::nat::Kind::{Blocking, FullCone, PortRestricted, Symmetric};
use super::*;

const CLOSED: Kind = PortRestricted { open: false };
const OPEN: Kind = PortRestricted { open: true };
const BLOCKED: Kind = Blocking([443, 53]);

const LIMIT: Duration = Duration::from_secs(30);

/// Pairs of kinds, with the path that must be found, and the time in seconds in which the prototypes found
/// it.
const PAIRS: [(&[Kind], &[Kind], Path, f64); 13] = [
    (&[FullCone], &[FullCone], Path::Direct, 0.37),
    (&[FullCone], &[Symmetric], Path::Direct, 0.81),
    (&[FullCone], &[CLOSED], Path::Direct, 0.74),
    (&[CLOSED], &[CLOSED], Path::Direct, 0.74),
    (&[OPEN], &[OPEN], Path::Direct, 2.5),
    (&[OPEN], &[CLOSED], Path::Direct, 2.5),
    (&[CLOSED, CLOSED], &[CLOSED], Path::Direct, 3.7),
    (&[CLOSED, CLOSED], &[CLOSED, CLOSED], Path::Direct, 0.9),
    (&[CLOSED], &[Symmetric], Path::Relayed(HELPER), 1.3),
    (&[Symmetric], &[Symmetric], Path::Relayed(HELPER), 1.5),
    (&[CLOSED, Symmetric], &[Symmetric], Path::Relayed(HELPER), 1.5),
    (&[BLOCKED], &[CLOSED], Path::Relayed(HELPER), 6.0),
    (&[BLOCKED], &[BLOCKED], Path::Relayed(HELPER), 6.0),
];

#[test]
fn every_pair_meets_as_fast_as_the_prototypes_or_faster() {
    let mut failures = Vec::new();
    for (one, other, path, seconds) in PAIRS {
        for kinds in [[one, other], [other, one]] {
            let mut internet = Internet::new(kinds, false, true);
            let took = internet.play_until_up(LIMIT);
            let paths = internet.paths();
            println!("{kinds:?}: {took:?}, {paths:?}");
            if took.is_none_or(|took| took.as_secs_f64() > seconds) || paths != [Some(path); 2] {
                failures.push(format!("{kinds:?}: {took:?}, {paths:?}"));
            }
        }
    }
    assert_eq!(failures, Vec::<String>::new());
}

#[test]
fn sites_in_one_home_meet_there() {
    for kind in [CLOSED, Symmetric] {
        let mut internet = Internet::new([&[kind], &[]], true, true);
        let took = internet.play_until_up(LIMIT).expect("they meet");
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(internet.paths(), [Some(Path::Local); 2]);
    }
}

#[test]
fn nothing_is_sent_on_a_direct_link() {
    let mut internet = Internet::new([&[CLOSED], &[CLOSED]], false, true);
    internet.play_until_up(LIMIT).expect("they meet");
    // Packets that are on their way may still be answered.
    internet.play(Duration::from_secs(1), |_| false);
    let sent = internet.sent;
    internet.play(Duration::from_hours(1), |_| false);
    assert_eq!(internet.sent, sent);
}

#[test]
fn without_a_relay_a_hopeless_pair_stays_down_and_asks_rarely() {
    let mut internet = Internet::new([&[Symmetric], &[Symmetric]], false, false);
    assert_eq!(internet.play_until_up(Duration::from_mins(3)), None);
    let sent = internet.sent;
    internet.play(Duration::from_hours(1), |_| false);
    let an_hour = internet.sent - sent;
    // Each site asks and pings twice a minute.
    assert!((200..2000).contains(&an_hour), "{an_hour} packets");
}

#[test]
fn a_relayed_pair_leaves_the_relay_when_it_can() {
    let mut internet = Internet::new([&[Symmetric], &[CLOSED]], false, true);
    internet.play_until_up(LIMIT).expect("they meet");
    internet.play(Duration::from_mins(2), |_| false);
    assert_eq!(internet.paths(), [Some(Path::Relayed(HELPER)); 2]);
    internet.homes[0].nats = vec![Nat::new(CLOSED, internet.homes[0].nats[0].outside())];
    let is_direct = |internet: &Internet| internet.paths() == [Some(Path::Direct); 2];
    assert!(internet.play(Duration::from_mins(6), is_direct).is_some(), "they try from time to time");
}

#[test]
fn attempts_to_leave_a_slow_relay_become_rare() {
    for delay in [450, 700, 2000].map(Duration::from_millis) {
        let mut internet = Internet::new([&[Symmetric], &[Symmetric]], false, true);
        internet.play_until_up(LIMIT).expect("they meet");
        internet.relay_delay = delay;
        internet.play(Duration::from_mins(20), |_| false);
        assert_eq!(internet.paths(), [Some(Path::Relayed(HELPER)); 2]);
        let sent = internet.sent;
        internet.play(Duration::from_hours(1), |_| false);
        // Each site makes 12 attempts an hour, and joins in as many of its peer, with up to 10 packets each.
        let an_hour = internet.sent - sent;
        assert!(an_hour < 2 * 24 * 10, "{delay:?}: {an_hour} packets");
    }
}

#[test]
fn a_site_that_begins_anew_finds_the_relay_that_knows_it() {
    let mut internet = Internet::new([&[Symmetric], &[Symmetric]], false, true);
    internet.play_until_up(LIMIT).expect("they meet");
    internet.play(Duration::from_secs(5), |_| false);
    let now = internet.now;
    internet.homes[0].search.begin_anew(Vec::new(), now);
    (internet.homes[0].up, internet.homes[0].endpoint) = (None, None);
    internet.after(Duration::ZERO, Event::Turn(1));
    let took = internet.play_until_up(LIMIT);
    assert!(took.is_some_and(|took| took < Duration::from_secs(1)), "{took:?}");
}

#[test]
fn a_relay_learns_a_new_mapping_from_a_hint() {
    let mut internet = Internet::new([&[Symmetric], &[Symmetric]], false, true);
    internet.play_until_up(LIMIT).expect("they meet");
    internet.play(Duration::from_secs(5), |_| false);
    let before = internet.relayed.clone();
    internet.homes[0].nats[0].forget();
    // Traffic goes on from the new port, which the relay does not know.
    let relay = internet.homes[0].endpoint.expect("it has one");
    internet.leave(1, relay, 64, vec![4; 100]);
    let took = internet.play(Duration::from_secs(5), |internet| internet.relayed != before);
    assert!(took.is_some_and(|took| took < Duration::from_millis(200)), "{took:?}");
}
