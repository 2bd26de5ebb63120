//! The same network file everywhere: linked sites offer each other their file, and fetch a newer one.
//!
//! The state machine decides which packets to send. Time and random bytes come in as arguments. It trusts no
//! peer: a file is a [`WholeFile`] once its length and its hash are as offered, and then the caller judges
//! it. A peer whose downloads fail waits behind the others.

mod download;
mod judge;
mod peer;
mod proof;
mod relation;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::base::moment::{after, earlier, is_due};
use crate::base::sorted::SortedMap;
use crate::nat::helper::Random;
use crate::nat::packet::{FetchPiece, FileHead, LONGEST_FILE, Message, Number, Offer, PIECE, Piece};
use crate::signed::{FileHash, hash};
use download::{Download, Progress};
pub use judge::{Refusal, Taker, judge, own_standing};
use peer::{PeerState, REFUSED};
use proof::Proving;
pub use relation::Relation;

/// Pause of downloads from a peer whose file cannot be taken at present.
const PAUSE: Duration = Duration::from_secs(30);

/// Standing of this site's own file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnStanding {
    /// An admin has signed it.
    Signed,
    /// It waits for the first signed file, as it was made when this site joined.
    Provisional,
    /// It was changed here, and not signed.
    Edited,
}

/// Network file of this site.
#[derive(Debug, Clone)]
pub struct OwnFile {
    /// Version of the file.
    pub head: FileHead,
    /// Text of the file.
    pub text: String,
    /// Standing of the file.
    pub standing: OwnStanding,
}

impl OwnFile {
    /// Returns the file with this text and serial.
    pub fn new(text: &str, serial: u64, standing: OwnStanding) -> Self {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        Self { head: FileHead { serial, hash: hash(text), length }, text: text.to_owned(), standing }
    }
}

/// Network file of another site, complete and as offered, but not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeFile {
    /// Id of the site that has given it.
    pub giver: u8,
    /// Version as it was offered.
    pub head: FileHead,
    /// Text of the file.
    pub text: String,
}

/// Packet to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Id of the receiver.
    pub to: u8,
    /// Salt of the packet.
    pub salt: [u8; 16],
    /// Content.
    pub message: Message,
}

/// Exchange of network files.
#[derive(Debug)]
pub struct Exchange {
    own: OwnFile,
    peers: SortedMap<u8, PeerState>,
    download: Option<Download>,
    whole: Option<WholeFile>,
    /// Proof that the file in force here waits for.
    proving: Option<Proving>,
    /// Set while the own file is in force until it is confirmed.
    is_on_trial: bool,
    /// Set if the own changes are to be dropped for a signed file.
    is_pulling: bool,
}

impl Exchange {
    /// Begins with the own file, and without peers.
    pub fn new(own: OwnFile) -> Self {
        Self {
            own,
            peers: SortedMap::new(),
            download: None,
            whole: None,
            proving: None,
            is_on_trial: false,
            is_pulling: false,
        }
    }

    /// Takes over the own file.
    pub fn follow_file(&mut self, own: OwnFile, now: Instant) {
        let is_other = own.head != self.own.head || own.standing != self.own.standing;
        self.own = own;
        if is_other {
            self.proving = None;
            self.is_pulling &= self.own.standing == OwnStanding::Edited;
            self.offer_all(now);
        }
    }

    /// Takes note whether the own file is undone unless it is confirmed. It is not offered before: it would
    /// come back from the other sites.
    pub fn follow_trial(&mut self, is_on_trial: bool, now: Instant) {
        if self.is_on_trial && !is_on_trial {
            self.offer_all(now);
        }
        self.is_on_trial = is_on_trial;
    }

    /// Takes over the ids of the linked sites. Others are forgotten.
    pub fn follow_peers(&mut self, ids: &[u8], now: Instant) {
        self.peers.retain(|id, _| ids.contains(id));
        for id in ids {
            self.peers.get_or_insert_with(*id, || PeerState::new(now));
        }
        if self.download.as_ref().is_some_and(|download| !ids.contains(&download.giver)) {
            self.download = None;
        }
        self.forget_proof_without(ids);
    }

    /// Offers the own file to all linked sites at once, and asks for theirs.
    pub fn offer_all(&mut self, now: Instant) {
        for peer in self.peers.values_mut() {
            peer.restart(now);
        }
    }

    /// Drops the own changes as soon as a linked site gives a signed file.
    pub fn pull(&mut self, now: Instant) {
        self.is_pulling = self.own.standing == OwnStanding::Edited;
        for peer in self.peers.values_mut() {
            peer.forgive();
        }
        self.offer_all(now);
    }

    /// Reports whether the own changes are to be dropped.
    pub fn is_pulling(&self) -> bool {
        self.is_pulling
    }

    /// Refuses a file: it is not fetched from this site for an hour.
    pub fn refuse(&mut self, giver: u8, hash: FileHash, now: Instant) {
        if let Some(peer) = self.peers.get_mut(&giver) {
            peer.refuse(hash, REFUSED, now);
        }
    }

    /// Puts off a file that cannot be taken at present.
    pub fn postpone(&mut self, giver: u8, now: Instant) {
        if let Some(peer) = self.peers.get_mut(&giver) {
            peer.pause(after(now, PAUSE), now);
        }
    }

    /// Takes the file that is complete, if there is one.
    pub fn take_whole(&mut self) -> Option<WholeFile> {
        self.whole.take()
    }

    /// Returns the serial and the relation of the file of each linked site, by id.
    pub fn tell(&self) -> Vec<(u8, Option<u64>, Relation)> {
        let mut told = Vec::new();
        for (id, peer) in &self.peers {
            let serial = peer.heard.map(|(head, _)| head.serial);
            if peer.is_silent() {
                told.push((*id, None, Relation::Unknown));
            } else {
                told.push((*id, serial, Relation::of(&self.own, peer.heard)));
            }
        }
        told
    }

    /// Returns the time of the next turn that is due without a packet.
    pub fn deadline(&self) -> Option<Instant> {
        let mut due = self.download.as_ref().map(Download::deadline);
        for peer in self.peers.values() {
            due = earlier(due, peer.next);
        }
        due
    }

    /// Returns the packets that are due.
    pub fn turn(&mut self, now: Instant, random: Random) -> Vec<Outgoing> {
        let mut packets = Vec::new();
        self.go_on(now, random, &mut packets);
        let (is_silent, is_for_all) = (self.is_silent(), self.is_for_all());
        for (id, peer) in self.peers.iter_mut().filter(|(_, peer)| is_due(peer.next, now)) {
            peer.next = None;
            let is_held = self.proving.as_ref().is_none_or(|proving| !proving.sites.contains(id));
            if is_for_all || !is_held {
                let salt = random();
                let answered = peer.unanswered.take_if(|_| !is_silent);
                peer.has_asked(number_of(salt), now);
                packets.push(Outgoing { to: *id, salt, message: offer(&self.own, true, answered) });
            }
        }
        packets
    }

    /// Takes a packet of a linked site, and returns the packets that answer it.
    pub fn receive(
        &mut self,
        from: u8,
        number: Number,
        message: Message,
        now: Instant,
        random: Random,
    ) -> Vec<Outgoing> {
        let mut packets = Vec::new();
        if self.peers.contains_key(&from) {
            match message {
                Message::Offer(heard) => {
                    self.hear(from, &heard, now);
                    if heard.asks
                        && let Some(answer) = self.answer(from, number, now, random)
                    {
                        packets.push(answer);
                    }
                }
                Message::Fetch(place) => {
                    if let Some(piece) = self.piece(place) {
                        packets.push(Outgoing { to: from, salt: random(), message: Message::Piece(piece) });
                    }
                }
                Message::Piece(piece) => {
                    if let Some(download) = self.download.as_mut().filter(|known| known.giver == from) {
                        download.take(&piece, now);
                    }
                }
                _ => {}
            }
            self.go_on(now, random, &mut packets);
        }
        packets
    }

    /// Reports whether the own file is in force for good, so that all linked sites may have it.
    fn is_for_all(&self) -> bool {
        self.proving.is_none() && !self.is_on_trial
    }

    /// Answers the offer with this number. To a site that is itself to answer, the answer is a question.
    fn answer(&mut self, to: u8, number: Number, now: Instant, random: Random) -> Option<Outgoing> {
        let (is_proving, is_silent, is_for_all) = (self.is_proving(to), self.is_silent(), self.is_for_all());
        let peer = self.peers.get_mut(&to)?;
        if is_silent {
            peer.unanswered = Some(number);
            return None;
        }
        if !is_for_all && !is_proving {
            return None;
        }
        let (salt, asks) = (random(), is_proving && !peer.is_proven);
        if asks {
            peer.has_asked(number_of(salt), now);
        }
        Some(Outgoing { to, salt, message: offer(&self.own, asks, Some(number)) })
    }

    fn hear(&mut self, from: u8, offer: &Offer, now: Instant) {
        let (own, is_proving) = (self.own.head.hash, self.is_proving(from));
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.hear(offer);
        if offer.head.hash != own {
            peer.ask_later(now);
        } else if !is_proving || peer.is_proven {
            peer.next = None;
        }
        let is_given = offer.is_signed && peer.may_give(offer.head.hash, now);
        self.follow_offer(from, &offer.head, is_given, now);
    }

    /// Gives up the download of a file that its giver has replaced: the giver gives the former one no more.
    fn follow_offer(&mut self, from: u8, head: &FileHead, is_given: bool, now: Instant) {
        let is_wanted = is_given && self.wants(head);
        if let Some(download) = &mut self.download
            && download.giver == from
            && download.head.hash != head.hash
        {
            if is_wanted {
                download.turn_to(*head, now);
            } else {
                self.download = None;
            }
        }
    }

    /// Goes on with the download, or begins one.
    fn go_on(&mut self, now: Instant, random: Random, packets: &mut Vec<Outgoing>) {
        let Some(download) = &mut self.download else {
            self.download = self.next_download(now);
            if self.download.is_some() {
                self.go_on(now, random, packets);
            }
            return;
        };
        let giver = download.giver;
        match download.go_on(now) {
            Progress::Wanted(places) => {
                for place in places {
                    packets.push(Outgoing { to: giver, salt: random(), message: Message::Fetch(place) });
                }
            }
            Progress::Stalled => {
                self.download = None;
                if let Some(peer) = self.peers.get_mut(&giver) {
                    peer.fail(now);
                }
            }
            Progress::Whole => {
                let Some(download) = self.download.take() else { return };
                let head = download.head;
                if let Some(text) = download.finish() {
                    self.whole = Some(WholeFile { giver, head, text });
                } else if let Some(peer) = self.peers.get_mut(&giver) {
                    peer.refuse(head.hash, REFUSED, now);
                    peer.fail(now);
                }
            }
        }
    }

    /// Chooses the next file to fetch: first from a peer that has failed least, then the newest.
    fn next_download(&self, now: Instant) -> Option<Download> {
        if self.whole.is_some() || !self.is_for_all() {
            return None;
        }
        let mut best: Option<(u8, &PeerState, FileHead)> = None;
        for (id, peer) in &self.peers {
            let Some((head, true)) = peer.heard else { continue };
            let is_better = |(_, other, known): &(u8, &PeerState, FileHead)| {
                (other.failures, u64::MAX - known.serial) > (peer.failures, u64::MAX - head.serial)
            };
            if self.wants(&head) && peer.may_give(head.hash, now) && best.as_ref().is_none_or(is_better) {
                best = Some((*id, peer, head));
            }
        }
        best.map(|(giver, _, head)| Download::new(giver, head, now))
    }

    fn wants(&self, head: &FileHead) -> bool {
        let is_wanted = match self.own.standing {
            OwnStanding::Edited => self.is_pulling && head.hash != self.own.head.hash,
            OwnStanding::Signed | OwnStanding::Provisional => head.serial > self.own.head.serial,
        };
        is_wanted && (1..=LONGEST_FILE).contains(&head.length)
    }

    /// Returns a piece of the own file, if it is signed.
    fn piece(&self, place: FetchPiece) -> Option<Piece> {
        let at = place.offset as usize;
        let is_here = place.hash == self.own.head.hash
            && self.own.standing == OwnStanding::Signed
            && self.own.head.length <= LONGEST_FILE
            && at.is_multiple_of(PIECE);
        let rest = self.own.text.as_bytes().get(at..).filter(|rest| is_here && !rest.is_empty())?;
        Some(Piece { place, bytes: rest[..rest.len().min(PIECE)].to_vec() })
    }
}

/// Returns the message to the giver of a file that is whole, and about to come into force.
pub fn thanks(file: &WholeFile) -> Message {
    Message::Offer(Offer { head: file.head, is_signed: true, asks: false, answers: Number::default() })
}

/// Returns the offer of the own file: it asks for the other site's file, and may answer the offer with a
/// number.
fn offer(own: &OwnFile, asks: bool, answered: Option<Number>) -> Message {
    let is_signed = own.standing == OwnStanding::Signed;
    Message::Offer(Offer { head: own.head, is_signed, asks, answers: answered.unwrap_or_default() })
}

fn number_of(salt: [u8; 16]) -> Number {
    *salt.first_chunk().expect("a salt is longer")
}
