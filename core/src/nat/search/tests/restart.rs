//! Searches that begin anew.

use super::*;

/// Time limit of the agent on a handshake.
const HANDSHAKE: Duration = Duration::from_secs(6);

/// Plays a search whose every choice WireGuard refuses, for a time. Returns the number of packets.
fn play_refused(place: &mut Place, time: Duration) -> usize {
    let (end, mut sent) = (place.now + time, 0);
    let mut check = place.search.chosen().map(|_| place.now + HANDSHAKE);
    while place.now < end {
        if check.is_some_and(|until| Some(until) <= place.search.deadline()) {
            place.now = check.take().unwrap();
            place.search.begin_anew(vec![], place.now);
        }
        let packets = place.turn();
        sent += packets.len();
        for ping in packets.iter().filter(|packet| packet.to == endpoint()) {
            place.receive(endpoint(), PEER, &pong_to(ping));
        }
        if place.search.chosen().is_some() {
            check = check.or(Some(place.now + HANDSHAKE));
        }
    }
    sent
}

#[test]
fn a_search_whose_choice_is_refused_keeps_its_age_and_its_pace() {
    let mut place = Place::new();
    let began = place.search.began();
    let refused = |place: &Place| place.search.report(place.now).refused;
    assert_eq!(refused(&place), None);
    play_refused(&mut place, Duration::from_secs(8));
    assert_eq!(refused(&place), Some(endpoint()));
    play_refused(&mut place, Duration::from_mins(15));
    assert_eq!((place.search.began(), refused(&place)), (began, Some(endpoint())));
    // A round each 30 s: a ping, and a question to each of two helpers.
    let sent = play_refused(&mut place, Duration::from_mins(30));
    assert!((150..=200).contains(&sent), "{sent} packets in half an hour");
    assert_eq!(refused(&place), Some(endpoint()), "between rounds, too");
    // The peer does not answer any more.
    place.now += Duration::from_mins(2);
    assert_eq!(refused(&place), None);
}

#[test]
fn a_link_that_was_up_and_a_network_that_changes_begin_afresh() {
    let mut place = Place::new();
    play_refused(&mut place, Duration::from_mins(15));
    place.search.settle(endpoint(), place.now);
    assert_eq!(place.search.report(place.now).refused, None);
    for _ in 0..2 {
        place.now += Duration::from_mins(1);
        place.search.begin_anew(vec![], place.now);
        assert_eq!((place.search.began(), place.search.deadline()), (place.now, Some(place.now)));
        assert_eq!(place.search.report(place.now).refused, None);
    }
}
