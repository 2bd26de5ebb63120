//! Sites that exchange files, and sites that lie, in a small network of plain data.

mod hostile;
mod own_key;

use std::collections::BTreeMap;

use super::*;
use crate::nat::packet::Kind;

/// Time on the way from one site to another.
const DELAY: Duration = Duration::from_millis(20);

/// Longest time that the tests play.
const END: Duration = Duration::from_hours(2);

/// Sites that are linked in a row, by id from 1.
struct World {
    begin: Instant,
    now: Instant,
    sites: BTreeMap<u8, Exchange>,
    links: Vec<(u8, u8)>,
    /// Packets on their way, by the time of their arrival and a number.
    on_their_way: BTreeMap<(Instant, u64), (u8, Outgoing)>,
    sent: u64,
    /// Of this many packets, one is lost; 0 if none is.
    lost: u64,
    /// Set if every third packet comes late.
    is_disordered: bool,
    drawn: u64,
    /// Files that sites have taken: the taker, the giver and the text.
    taken: Vec<(u8, u8, String)>,
    /// Site that refuses all files.
    refuses: Option<u8>,
}

/// Returns the text of a file of many pieces.
fn text(serial: u64) -> String {
    format!("serial = {serial}\n{}", "# a line of the network file\n".repeat(1200))
}

fn signed(serial: u64) -> OwnFile {
    OwnFile::new(&text(serial), serial, OwnStanding::Signed)
}

impl World {
    fn in_a_row(files: Vec<OwnFile>) -> Self {
        let begin = Instant::now();
        let count = u8::try_from(files.len()).unwrap();
        let mut world = Self {
            begin,
            now: begin,
            sites: BTreeMap::new(),
            links: (1..count).map(|id| (id, id + 1)).collect(),
            on_their_way: BTreeMap::new(),
            sent: 0,
            lost: 0,
            is_disordered: false,
            drawn: 1,
            taken: Vec::new(),
            refuses: None,
        };
        for (id, file) in (1..).zip(files) {
            let mut site = Exchange::new(file);
            let near: Vec<u8> = (1..=count).filter(|other| other.abs_diff(id) == 1).collect();
            site.follow_peers(&near, begin);
            world.sites.insert(id, site);
        }
        world
    }

    fn random(drawn: &mut u64) -> [u8; 16] {
        *drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bytes = (*drawn >> 20).to_be_bytes();
        [bytes, bytes].concat().try_into().unwrap()
    }

    fn send(&mut self, from: u8, packets: Vec<Outgoing>) {
        for packet in packets {
            self.sent += 1;
            let length = HEADERS + packet.message.encode().len();
            assert!(length <= 1200 && length <= packet.message.kind().length());
            let luck = u64::from(Self::random(&mut self.drawn)[7]);
            let is_linked =
                self.links.contains(&(from, packet.to)) || self.links.contains(&(packet.to, from));
            if !is_linked || self.lost > 0 && luck.is_multiple_of(self.lost) {
                continue;
            }
            let late = if self.is_disordered && luck % 3 == 0 { DELAY * 5 } else { DELAY };
            self.on_their_way.insert((self.now + late, self.sent), (from, packet));
        }
    }

    /// Takes the files that are whole.
    fn take(&mut self, id: u8) {
        let now = self.now;
        let site = self.sites.get_mut(&id).unwrap();
        if let Some(WholeFile { giver, head, text }) = site.take_whole() {
            assert_eq!((hash(&text), text.len()), (head.hash, head.length as usize));
            self.taken.push((id, giver, text.clone()));
            if self.refuses == Some(id) {
                site.refuse(giver, head.hash, now);
            } else {
                site.follow_file(OwnFile::new(&text, head.serial, OwnStanding::Signed), now);
                site.prove(giver, now);
            }
        }
        if site.is_proven() {
            site.settle(now);
        }
    }

    /// Lets time pass until something holds. Reports whether it does within the limit.
    fn until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !holds(self) {
            let arrival = self.on_their_way.keys().next().map(|(at, _)| *at);
            let due = self.sites.values().filter_map(Exchange::deadline).chain(arrival).min();
            let Some(next) = due.filter(|next| *next <= end) else {
                self.now = end;
                break;
            };
            self.now = self.now.max(next);
            assert!(self.now < self.begin + END && self.sent < 100_000, "it never ends");
            while let Some(entry) = self.on_their_way.first_entry().filter(|entry| entry.key().0 <= self.now)
            {
                let (from, packet) = entry.remove();
                let drawn = &mut self.drawn;
                let number = *packet.salt.first_chunk().unwrap();
                let site = self.sites.get_mut(&packet.to).unwrap();
                let answers =
                    site.receive(from, number, packet.message, self.now, &mut || Self::random(drawn));
                self.send(packet.to, answers);
                self.take(packet.to);
            }
            for id in 1..=u8::try_from(self.sites.len()).unwrap() {
                let drawn = &mut self.drawn;
                let packets = self.sites.get_mut(&id).unwrap().turn(self.now, &mut || Self::random(drawn));
                self.send(id, packets);
            }
        }
        holds(self)
    }

    fn serials(&self) -> Vec<u64> {
        self.sites.values().map(|site| site.own.head.serial).collect()
    }

    fn are_all(&self, serial: u64) -> bool {
        let knows = |site: &Exchange| site.tell().iter().all(|(_, _, relation)| *relation == Relation::Same);
        self.serials().iter().all(|own| *own == serial) && self.sites.values().all(knows)
    }
}

/// Bytes of a packet around its body.
const HEADERS: usize = 40;

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn a_newer_file_goes_along_a_row_and_then_all_are_silent() {
    let mut world = World::in_a_row(vec![signed(2), signed(1), signed(1), signed(1)]);
    assert!(world.until(Duration::from_secs(5), |world| world.are_all(2)), "{:?}", world.serials());
    let from: Vec<(u8, u8)> = world.taken.iter().map(|(taker, giver, _)| (*taker, *giver)).collect();
    assert_eq!(from, [(2, 1), (3, 2), (4, 3)]);
    assert!(world.taken.iter().all(|(_, _, taken)| *taken == text(2)));
    world.until(MINUTE, |_| false);
    let sent = world.sent;
    world.until(Duration::from_mins(30), |_| false);
    assert_eq!(world.sent, sent, "nothing is left to tell");

    let now = world.now;
    world.sites.get_mut(&4).unwrap().follow_file(signed(3), now);
    assert!(world.until(Duration::from_secs(5), |world| world.are_all(3)), "the other way, too");
}

#[test]
fn lost_and_late_packets_are_asked_for_again() {
    for lost in [2, 3, 10] {
        let mut world = World::in_a_row(vec![signed(2), signed(1), signed(1)]);
        (world.lost, world.is_disordered) = (lost, true);
        assert!(world.until(MINUTE * 10, |world| world.are_all(2)), "one of {lost}: {:?}", world.serials());
    }
}

/// The giver has a third file before it has given the second one.
#[test]
fn a_file_that_is_replaced_while_it_is_fetched_is_fetched_anew() {
    let mut world = World::in_a_row(vec![signed(2), signed(1)]);
    assert!(world.until(MINUTE, |world| world.sites[&2].download.is_some()));
    let now = world.now;
    world.sites.get_mut(&1).unwrap().follow_file(signed(3), now);
    assert!(world.until(Duration::from_secs(2), |world| world.are_all(3)), "{:?}", world.serials());
}

#[test]
fn a_site_that_was_away_gets_the_file_later() {
    let mut world = World::in_a_row(vec![signed(2), signed(1), signed(1)]);
    let links = std::mem::take(&mut world.links);
    world.until(MINUTE * 20, |_| false);
    assert_eq!(world.serials(), [2, 1, 1]);
    for (id, peer) in [(1, 2), (3, 2)] {
        assert_eq!(world.sites[&id].tell(), [(peer, None, Relation::Unknown)], "it is silent");
    }
    world.links = links;
    assert!(world.until(MINUTE, |world| world.are_all(2)), "{:?}", world.serials());

    // Its last file was known.
    let links = std::mem::take(&mut world.links);
    let now = world.now;
    world.sites.get_mut(&1).unwrap().follow_file(signed(3), now);
    assert_eq!(world.sites[&1].tell(), [(2, Some(2), Relation::Older)]);
    world.until(MINUTE, |_| false);
    assert_eq!(world.sites[&1].tell(), [(2, None, Relation::Unknown)]);
    world.links = links;
    assert!(world.until(MINUTE, |world| world.are_all(3)), "{:?}", world.serials());
}

#[test]
fn a_link_that_fails_on_the_way_is_tried_again() {
    let mut world = World::in_a_row(vec![signed(2), signed(1)]);
    let has_begun = |world: &World| world.sites[&2].download.is_some();
    assert!(world.until(MINUTE, has_begun));
    let links = std::mem::take(&mut world.links);
    world.on_their_way.clear();
    assert!(world.until(MINUTE, |world| !has_begun(world)), "it is given up");
    world.links = links;
    assert!(world.until(MINUTE * 3, |world| world.are_all(2)));
}

#[test]
fn two_files_of_one_serial_are_a_conflict() {
    let other = OwnFile::new("another file\n", 2, OwnStanding::Signed);
    let mut world = World::in_a_row(vec![signed(2), other]);
    world.until(MINUTE * 30, |_| false);
    assert_eq!(world.taken, []);
    for (id, peer) in [(1, 2), (2, 1)] {
        assert_eq!(world.sites[&id].tell(), [(peer, Some(2), Relation::Conflict)]);
    }
    assert!(world.sent < 60, "offers become rare: {}", world.sent);
    let now = world.now;
    world.sites.get_mut(&1).unwrap().follow_file(signed(3), now);
    assert!(world.until(MINUTE, |world| world.are_all(3)), "a newer file ends it");
}

#[test]
fn relations_are_told() {
    let mut world = World::in_a_row(vec![signed(2), signed(1)]);
    assert_eq!(world.sites[&1].tell(), [(2, None, Relation::Unknown)]);
    world.refuses = Some(2);
    world.until(MINUTE, |_| false);
    assert_eq!(world.sites[&1].tell(), [(2, Some(1), Relation::Older)]);
    assert_eq!(world.sites[&2].tell(), [(1, Some(2), Relation::Newer)]);
}

/// A person changes a file, and does not touch its serial.
#[test]
fn an_edited_file_is_no_conflict() {
    let edited = OwnFile::new(&text(2).replace("line", "word"), 2, OwnStanding::Edited);
    let mut world = World::in_a_row(vec![signed(2), edited]);
    world.until(MINUTE, |_| false);
    assert_eq!(world.sites[&1].tell(), [(2, Some(2), Relation::Edited)]);
    assert_eq!(world.sites[&2].tell(), [(1, Some(2), Relation::Older)]);
    let provisional = OwnFile::new(&text(0), 0, OwnStanding::Provisional);
    let mut world = World::in_a_row(vec![signed(2), provisional]);
    world.refuses = Some(2);
    world.until(MINUTE, |_| false);
    assert_eq!(world.sites[&1].tell(), [(2, Some(0), Relation::Older)]);
    assert_eq!(world.sites[&2].tell(), [(1, Some(2), Relation::Newer)]);
}

#[test]
fn a_refused_file_is_not_fetched_for_an_hour() {
    let mut world = World::in_a_row(vec![signed(2), signed(1)]);
    world.refuses = Some(2);
    world.until(MINUTE * 55, |_| false);
    assert_eq!(world.taken.len(), 1);
    world.until(MINUTE * 20, |_| false);
    assert_eq!(world.taken.len(), 2);
    let now = world.now;
    world.refuses = None;
    world.sites.get_mut(&1).unwrap().follow_file(signed(3), now);
    assert!(world.until(MINUTE, |world| world.are_all(3)), "another file is another matter");
}

#[test]
fn an_edited_file_is_neither_given_nor_replaced() {
    let edited = OwnFile::new(&text(7), 7, OwnStanding::Edited);
    let mut world = World::in_a_row(vec![signed(8), edited, signed(1)]);
    world.until(MINUTE, |_| false);
    assert_eq!(world.serials(), [8, 7, 1]);
    assert_eq!(world.sites[&3].tell(), [(2, Some(7), Relation::Edited)]);
    let now = world.now;
    world.sites.get_mut(&2).unwrap().pull(now);
    assert!(world.until(MINUTE, |world| world.are_all(8)), "{:?}", world.serials());
    assert!(!world.sites[&2].is_pulling());
}

#[test]
fn pull_takes_the_newest_file_even_if_the_own_number_is_larger() {
    let edited = OwnFile::new(&text(9), 9, OwnStanding::Edited);
    let mut world = World::in_a_row(vec![signed(7), edited, signed(8)]);
    world.until(MINUTE, |_| false);
    let now = world.now;
    world.sites.get_mut(&2).unwrap().pull(now);
    assert!(world.until(MINUTE, |world| world.are_all(8)), "{:?}", world.serials());
    let mut site = Exchange::new(signed(7));
    site.pull(now);
    assert!(!site.is_pulling(), "a signed file has no changes to drop");
}

#[test]
fn a_provisional_file_is_replaced_and_not_given() {
    let provisional = OwnFile::new(&text(0), 0, OwnStanding::Provisional);
    let mut world = World::in_a_row(vec![signed(1), provisional]);
    assert!(world.until(MINUTE, |world| world.are_all(1)));
}

#[test]
fn a_file_is_not_offered_on_until_its_giver_has_answered() {
    let now = Instant::now();
    let (mut drawn, mut random) = (7, || [1; 16]);
    let mut site = Exchange::new(signed(1));
    site.follow_peers(&[1, 3], now);
    assert_eq!(site.turn(now, &mut random).len(), 2);
    site.follow_file(signed(2), now);
    site.prove(1, now);
    let packets = site.turn(now, &mut || World::random(&mut drawn));
    let [Outgoing { to: 1, salt, message: Message::Offer(asking) }] = &packets[..] else {
        panic!("{packets:?}")
    };
    assert!(asking.asks);
    let own = signed(2).head;
    let answer = |answers| Message::Offer(Offer { head: own, is_signed: true, asks: false, answers });
    // An answer from before, an answer of another site, and an offer that answers nothing.
    site.receive(1, [9; 8], answer([1; 8]), now, &mut random);
    site.receive(3, [9; 8], answer(*salt.first_chunk().unwrap()), now, &mut random);
    site.receive(1, [9; 8], answer([0; 8]), now, &mut random);
    assert!(!site.is_proven());
    let asks = Offer { head: own, is_signed: true, asks: true, answers: [0; 8] };
    assert_eq!(site.receive(3, [9; 8], Message::Offer(asks), now, &mut random), [], "site 3 has to wait");
    site.receive(1, [9; 8], answer(*salt.first_chunk().unwrap()), now, &mut random);
    assert!(site.is_proven());
    site.settle(now);
    assert_eq!(site.turn(now, &mut random).len(), 2);
}

#[test]
fn a_file_that_waits_to_be_confirmed_is_not_offered() {
    let mut world = World::in_a_row(vec![signed(1), signed(1)]);
    assert!(world.until(MINUTE, |world| world.are_all(1)));
    let now = world.now;
    let site = world.sites.get_mut(&1).unwrap();
    site.follow_file(signed(2), now);
    site.follow_trial(true, now);
    world.sites.get_mut(&2).unwrap().offer_all(now);
    world.until(MINUTE * 2, |_| false);
    assert_eq!(world.serials(), [2, 1]);
    let mut undone = signed(1);
    std::mem::swap(&mut world.sites.get_mut(&1).unwrap().own, &mut undone);
    let now = world.now;
    world.sites.get_mut(&1).unwrap().follow_trial(false, now);
    assert!(world.until(MINUTE, |world| world.are_all(1)), "it is undone");

    let site = world.sites.get_mut(&1).unwrap();
    site.follow_file(undone, now);
    site.follow_trial(true, now);
    site.settle(now);
    assert!(world.until(MINUTE, |world| world.are_all(2)), "it is confirmed");
}

#[test]
fn a_file_whose_giver_is_silent_is_undone_and_refused() {
    let now = Instant::now();
    let mut random = || [1; 16];
    let mut site = Exchange::new(signed(1));
    site.follow_peers(&[1], now);
    site.follow_file(signed(2), now);
    site.prove(1, now);
    assert_eq!(site.undone(now), [1]);
    assert_eq!(site.undone(now), [0; 0], "once");
    site.follow_file(signed(1), now);
    let offer = Offer { head: signed(2).head, is_signed: true, asks: false, answers: [0; 8] };
    for later in [Duration::ZERO, Duration::from_hours(24 * 30)] {
        let answers = site.receive(1, [2; 8], Message::Offer(offer), now + later, &mut random);
        assert_eq!(answers, [], "it fetches nothing");
    }
    site.pull(now);
    assert_eq!(
        site.receive(1, [2; 8], Message::Offer(offer), now, &mut random).len(),
        8,
        "until a person asks"
    );
}
