//! Files that give the site itself a new key.

use super::*;

/// Returns the site 1, which has just taken a new key of its own into force, and the numbers of its offers to
/// the sites 2 and 3.
fn with_new_key(now: Instant) -> (Exchange, [Number; 2]) {
    let mut site = Exchange::new(signed(1));
    site.follow_peers(&[2, 3, 4], now);
    site.turn(now, &mut || [1; 16]);
    site.follow_file(signed(2), now);
    site.prove_own_key(vec![2, 3], now);
    let mut drawn = 7;
    let packets = site.turn(now, &mut || World::random(&mut drawn));
    let to: Vec<u8> = packets.iter().map(|packet| packet.to).collect();
    assert_eq!(to, [2, 3], "the link to site 4 is down");
    (site, [0, 1].map(|place| number_of(packets[place].salt)))
}

fn answer(answers: Number, asks: bool) -> Message {
    Message::Offer(Offer { head: signed(2).head, is_signed: true, asks, answers })
}

fn offers(packets: &[Outgoing]) -> Vec<(u8, Offer)> {
    let offer = |packet: &Outgoing| match &packet.message {
        Message::Offer(offer) => (packet.to, *offer),
        other => panic!("{other:?}"),
    };
    packets.iter().map(offer).collect()
}

/// An answer makes the other site keep the file, and then it does not know the old key any more.
#[test]
fn nobody_is_answered_before_all_have_answered() {
    let now = Instant::now();
    let mut random = || [9; 16];
    let (mut site, [to_2, to_3]) = with_new_key(now);
    assert_eq!(site.receive(2, [22; 8], answer(to_2, true), now, &mut random), []);
    assert!(!site.is_proven(), "site 3 has not answered");
    assert_eq!(site.receive(3, [31; 8], answer([0; 8], true), now, &mut random), []);
    assert!(!site.is_proven(), "site 3 has asked, and not answered");
    assert_eq!(site.receive(3, [32; 8], answer(to_3, true), now, &mut random), []);
    assert!(site.is_proven());
    assert_eq!(site.receive(2, [23; 8], answer([0; 8], true), now, &mut random), [], "it is not settled");
    site.settle(now);
    let answered: Vec<_> = offers(&site.turn(now, &mut random))
        .into_iter()
        .map(|(to, offer)| (to, offer.asks, offer.answers))
        .collect();
    assert_eq!(answered, [(2, true, [23; 8]), (3, true, [32; 8]), (4, true, [0; 8])]);
    let answer = site.receive(2, [24; 8], answer([0; 8], true), now, &mut random);
    assert_eq!(offers(&answer)[0].1.answers, [24; 8]);
}

#[test]
fn a_file_with_a_key_that_was_given_up_is_taken_from_nobody() {
    let now = Instant::now();
    let (mut site, [to_2, _]) = with_new_key(now);
    site.receive(2, [22; 8], answer(to_2, false), now, &mut || [9; 16]);
    assert_eq!(site.undone(now), [3]);
    assert!(!site.is_proven());
    site.take_back(signed(1), now);
    let packets = site.turn(now, &mut || [9; 16]);
    let heard = offers(&packets).into_iter().filter(|(_, offer)| offer.head == signed(1).head);
    assert_eq!(heard.count(), 3, "all hear the former file");
    assert_eq!(site.receive(2, [25; 8], answer([0; 8], false), now, &mut || [9; 16]), []);
}

/// The sites with the new file and the site with the new key prove it to each other with three packets.
#[test]
fn an_answer_of_a_taker_asks_itself() {
    let now = Instant::now();
    let mut drawn = 7;
    let mut random = || World::random(&mut drawn);
    let mut taker = Exchange::new(signed(1));
    taker.follow_peers(&[1], now);
    taker.follow_file(signed(2), now);
    taker.prove(1, now);
    let packets = taker.receive(1, [11; 8], answer([0; 8], true), now, &mut random);
    let [Outgoing { to: 1, salt, message: Message::Offer(offer) }] = packets[..] else {
        panic!("{packets:?}")
    };
    assert!(offer.asks && offer.answers == [11; 8]);
    assert_eq!(taker.receive(1, [12; 8], answer(number_of(salt), false), now, &mut random), []);
    assert!(taker.is_proven());
    let packets = taker.receive(1, [13; 8], answer([0; 8], true), now, &mut random);
    assert!(!offers(&packets)[0].1.asks, "it knows");
}

#[test]
fn the_giver_knows_that_its_file_is_about_to_come_into_force() {
    let now = Instant::now();
    let mut site = Exchange::new(signed(2));
    site.follow_peers(&[2], now);
    let file = WholeFile { giver: 1, head: signed(2).head, text: text(2) };
    site.receive(2, [22; 8], thanks(&file), now, &mut || [9; 16]);
    assert_eq!(site.tell(), [(2, Some(2), Relation::Same)]);
}
