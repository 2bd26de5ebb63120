//! Exchange of the network file with linked sites that lie.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::base::keys::public_key;
use crate::base::net::{PublicKey, Secret};
use crate::config::{self, model::Network};
use crate::exchange::{Exchange, Outgoing, OwnFile, OwnStanding, Taker, judge};
use crate::nat::packet::{FetchPiece, FileHead, Kind, Message, Offer, PIECE, Piece};
use crate::signed::{FileStanding, admin_public, sign, standing};

/// Bytes of a step: what to do, the linked site that does it, the time that passes before, and a body.
const STEP: usize = 40;

/// Most packets that one packet may cause: a window of questions, and an answer.
const MOST_PACKETS: usize = 9;

const PEERS: [u8; 3] = [2, 3, 4];

static FILES: LazyLock<Vec<File>> = LazyLock::new(files);

/// File that the linked sites have.
struct File {
    text: String,
    head: FileHead,
    network: Option<Network>,
}

fn secret(byte: u8) -> Secret {
    Secret::new([byte; 32])
}

fn own_key() -> PublicKey {
    public_key(&secret(1))
}

/// Returns the own file, newer ones of its admin, and such as must not be taken.
fn files() -> Vec<File> {
    let admins = [admin_public(&secret(100)), admin_public(&secret(101))];
    let body = |name: &str, serial: u64, site: u8, lines: usize| {
        format!(
            "[network]\nname = \"{name}\"\nsubnet = \"10.77.0.0/16\"\nserial = {serial}\n\
             admins = [\"{}\"]\n{}[site.oslo]\nid = 1\npublic_key = \"{}\"\n",
            admins[usize::from(serial == 5)],
            "# a line of a long file\n".repeat(lines),
            public_key(&secret(site))
        )
    };
    let of_admin = |text: &str| sign(text, &secret(100));
    [
        of_admin(&body("home", 2, 1, 100)),
        of_admin(&body("home", 3, 1, 0)),
        // The admin changes.
        of_admin(&body("home", 5, 1, 500)),
        sign(&body("home", 6, 1, 40), &secret(101)),
        of_admin(&body("home", 7, 9, 0)),
        of_admin(&body("work", 8, 1, 0)),
        of_admin("id ="),
        body("home", 9, 1, 0),
    ]
    .map(|text| {
        let network = config::parse(&text).ok();
        let head =
            OwnFile::new(&text, network.as_ref().map_or(9, |one| one.serial), OwnStanding::Signed).head;
        File { text, head, network }
    })
    .into()
}

/// Site with a signed file, and its linked sites in the hands of the fuzzer.
struct World {
    now: Instant,
    drawn: u8,
    machine: Exchange,
    /// Place of the own file.
    own: usize,
    /// Place of the file before, while the own one has yet to prove itself.
    before: Option<usize>,
    standing: OwnStanding,
    linked: Vec<u8>,
    giver: Option<u8>,
    /// Questions for pieces without an answer.
    asked: Vec<(u8, FetchPiece)>,
    /// Salt of the last offer to a linked site.
    offered: [u8; 16],
}

/// Feeds a site.
pub(super) fn play(bytes: &[u8]) {
    let mut world = World::new();
    for step in bytes.chunks(STEP) {
        world.step(step);
    }
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let mut machine = Exchange::new(own_file(0, OwnStanding::Signed));
        machine.follow_peers(&PEERS, now);
        Self {
            now,
            drawn: 0,
            machine,
            own: 0,
            before: None,
            standing: OwnStanding::Signed,
            linked: PEERS.to_vec(),
            giver: None,
            asked: Vec::new(),
            offered: [0; 16],
        }
    }

    fn step(&mut self, step: &[u8]) {
        let [what, who, wait, body @ ..] = step else { return };
        self.now += Duration::from_millis(u64::from(*wait) * u64::from(*wait) * 20);
        let from = PEERS[usize::from(*who) % PEERS.len()];
        let file = &FILES[usize::from(*who / 4) % FILES.len()];
        match what % 8 {
            0 => {
                let kind = [Kind::Offer, Kind::Fetch, Kind::Piece, Kind::Ping][usize::from(*what / 8 % 4)];
                if let Some(message) = Message::decode(kind, body) {
                    assert_eq!(Message::decode(kind, &message.encode()).as_ref(), Some(&message));
                    self.receives(from, message);
                }
            }
            1 => {
                let answers = *self.offered.first_chunk().expect("a salt is longer");
                let (asks, is_signed) = (what & 8 != 0, what & 16 != 0);
                self.receives(from, Message::Offer(Offer { head: file.head, is_signed, asks, answers }));
            }
            2 => self.answers(body),
            3 => {
                let place = FetchPiece { hash: file.head.hash, offset: u32::from(*wait) * 512 };
                self.receives(from, Message::Fetch(place));
            }
            4 => self.changes(*what / 8, usize::from(*who)),
            _ => {}
        }
        self.takes();
        let (now, drawn) = (self.now, &mut self.drawn);
        let packets = self.machine.turn(now, &mut || draw(drawn));
        assert!(packets.len() < MOST_PACKETS + PEERS.len());
        self.sends(packets);
        assert!(self.machine.tell().iter().map(|(id, ..)| *id).eq(self.linked.iter().copied()));
        let _ = self.machine.deadline();
    }

    fn receives(&mut self, from: u8, message: Message) {
        let (now, drawn) = (self.now, &mut self.drawn);
        let packets = self.machine.receive(from, [7; 8], message, now, &mut || draw(drawn));
        assert!(packets.len() <= MOST_PACKETS, "{} packets for one", packets.len());
        self.sends(packets);
    }

    fn sends(&mut self, packets: Vec<Outgoing>) {
        let own = &FILES[self.own];
        for Outgoing { to, salt, message } in packets {
            assert!(self.linked.contains(&to));
            match message {
                Message::Fetch(place) => self.asked.push((to, place)),
                Message::Offer(offer) => {
                    assert!(offer.head == own.head && self.giver.is_none_or(|giver| giver == to));
                    self.offered = salt;
                }
                Message::Piece(Piece { place, bytes }) => {
                    let at = place.offset as usize;
                    assert!(self.standing == OwnStanding::Signed && place.hash == own.head.hash);
                    assert_eq!(bytes, own.text.as_bytes()[at..own.text.len().min(at + PIECE)]);
                }
                other => panic!("{other:?}"),
            }
        }
        self.asked.drain(..self.asked.len().saturating_sub(64));
    }

    /// Answers a question for a piece, truly unless the fuzzer wants a lie.
    fn answers(&mut self, body: &[u8]) {
        let Some((giver, place)) = self.asked.pop() else { return };
        let Some(file) = FILES.iter().find(|file| file.head.hash == place.hash) else { return };
        let Some(rest) = file.text.as_bytes().get(place.offset as usize..) else { return };
        let mut bytes = rest[..rest.len().min(PIECE)].to_vec();
        if let ([1, place, byte, ..], false) = (body, bytes.is_empty()) {
            let place = usize::from(*place) % bytes.len();
            bytes[place] ^= byte;
        }
        self.receives(giver, Message::Piece(Piece { place, bytes }));
    }

    /// Does one of the things that happen to the own file and the links.
    fn changes(&mut self, what: u8, which: usize) {
        let now = self.now;
        match what % 6 {
            0 => self.machine.offer_all(now),
            1 => self.machine.pull(now),
            2 if self.before.is_none() => {
                let standings = [OwnStanding::Edited, OwnStanding::Provisional, OwnStanding::Signed];
                self.follow(self.own, standings[which % 3]);
            }
            3 => {
                self.linked = PEERS[which % 4 % 3..].to_vec();
                self.machine.follow_peers(&self.linked, now);
                self.giver = self.giver.filter(|giver| self.linked.contains(giver));
            }
            4 => self.undoes(),
            _ => {}
        }
    }

    fn undoes(&mut self) {
        let Some(before) = self.before.take() else { return };
        assert_eq!(self.machine.undone(self.now), self.giver.into_iter().collect::<Vec<_>>());
        self.giver = None;
        self.follow(before, OwnStanding::Signed);
    }

    fn follow(&mut self, own: usize, standing: OwnStanding) {
        (self.own, self.standing) = (own, standing);
        self.machine.follow_file(own_file(own, standing), self.now);
    }

    /// Takes a file that is whole, as the agent does.
    fn takes(&mut self) {
        if self.machine.is_proven() {
            assert!(self.giver.is_some());
            self.machine.settle(self.now);
            (self.before, self.giver) = (None, None);
        }
        let Some(whole) = self.machine.take_whole() else { return };
        let place = FILES.iter().position(|file| file.text == whole.text).expect("one of the files");
        let (file, own) = (&FILES[place], &FILES[self.own]);
        assert!(file.head.hash == whole.head.hash && file.text.len() == whole.head.length as usize);
        if self.before.is_some() {
            return self.machine.postpone(whole.giver, self.now);
        }
        let Some(network) = &own.network else { panic!("the own file is always a network") };
        let is_pulling = self.machine.is_pulling();
        let taker = Taker { network, standing: self.standing, key: own_key(), is_pulling };
        match judge(&taker, &whole.text, whole.head.serial) {
            Ok(new) => {
                assert!(matches!(standing(&whole.text, &network.admins), FileStanding::Signed(_)));
                assert!(new.serial > network.serial || is_pulling);
                assert!(new.name == network.name && new.serial == whole.head.serial);
                self.before = Some(self.own);
                self.follow(place, OwnStanding::Signed);
                self.machine.prove(whole.giver, self.now);
                self.giver = Some(whole.giver).filter(|giver| self.linked.contains(giver));
            }
            Err(reason) => {
                assert!(!reason.to_string().is_empty());
                self.machine.refuse(whole.giver, whole.head.hash, self.now);
            }
        }
    }
}

fn own_file(place: usize, standing: OwnStanding) -> OwnFile {
    OwnFile::new(&FILES[place].text, FILES[place].head.serial, standing)
}

fn draw(drawn: &mut u8) -> [u8; 16] {
    *drawn = drawn.wrapping_add(1);
    [*drawn; 16]
}
