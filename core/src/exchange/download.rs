//! Download of a network file in pieces.

use std::time::{Duration, Instant};

use crate::base::moment::{after, is_due};
use crate::nat::packet::{FetchPiece, FileHead, PIECE, Piece};
use crate::signed::hash;

/// Number of pieces that are asked for at once.
const WINDOW: usize = 8;

/// Time to wait for a piece before it is asked for again. It doubles with each loss.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Longest time to wait for a piece.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// Time without a new piece after which a download ends.
const STALLED: Duration = Duration::from_secs(30);

/// Longest time for a whole file.
const LIMIT: Duration = Duration::from_mins(5);

/// Download of a network file.
#[derive(Debug)]
pub(super) struct Download {
    /// Id of the site that gives it.
    pub(super) giver: u8,
    /// Version as it was offered.
    pub(super) head: FileHead,
    text: Vec<u8>,
    /// For each piece whether it is here.
    has: Vec<bool>,
    /// Pieces that were asked for, each with the time at which they count as lost.
    asked: Vec<(usize, Instant)>,
    wait: Duration,
    /// Time at which the download ends unless a new piece comes.
    stalled: Instant,
    limit: Instant,
}

/// Progress of a download.
#[derive(Debug)]
pub(super) enum Progress {
    /// These pieces are to be asked for.
    Wanted(Vec<FetchPiece>),
    /// The giver does not give.
    Stalled,
    /// All pieces are here.
    Whole,
}

impl Download {
    /// Begins a download. The length of the file has been checked.
    pub(super) fn new(giver: u8, head: FileHead, now: Instant) -> Self {
        let length = head.length as usize;
        Self {
            giver,
            head,
            text: vec![0; length],
            has: vec![false; length.div_ceil(PIECE)],
            asked: Vec::new(),
            wait: FIRST_WAIT,
            stalled: after(now, STALLED),
            limit: after(now, LIMIT),
        }
    }

    /// Goes on with another file of the giver, in the time that is left.
    pub(super) fn turn_to(&mut self, head: FileHead, now: Instant) {
        let (stalled, limit) = (self.stalled, self.limit);
        *self = Self::new(self.giver, head, now);
        (self.stalled, self.limit) = (stalled, limit);
    }

    /// Takes a piece, if it belongs to the file and is new.
    pub(super) fn take(&mut self, piece: &Piece, now: Instant) {
        let at = piece.place.offset as usize;
        let number = at / PIECE;
        let Some(place) = self.text.get_mut(at..) else { return };
        let is_missing = self.has.get(number).is_some_and(|has| !has);
        let is_right = piece.place.hash == self.head.hash && at.is_multiple_of(PIECE);
        if is_missing && is_right && piece.bytes.len() == place.len().min(PIECE) {
            place[..piece.bytes.len()].copy_from_slice(&piece.bytes);
            self.has[number] = true;
            self.asked.retain(|(asked, _)| *asked != number);
            (self.wait, self.stalled) = (FIRST_WAIT, after(now, STALLED));
        }
    }

    /// Returns the pieces to ask for now, unless the download is at its end.
    pub(super) fn go_on(&mut self, now: Instant) -> Progress {
        if !self.has.contains(&false) {
            return Progress::Whole;
        }
        if is_due(Some(self.stalled.min(self.limit)), now) {
            return Progress::Stalled;
        }
        let asked = self.asked.len();
        self.asked.retain(|(_, lost)| *lost > now);
        if self.asked.len() < asked {
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
        }
        let mut wanted = Vec::new();
        for number in 0..self.has.len() {
            let is_open = !self.has[number] && !self.asked.iter().any(|(asked, _)| *asked == number);
            if is_open && self.asked.len() < WINDOW {
                self.asked.push((number, after(now, self.wait)));
                let offset = u32::try_from(number * PIECE).expect("a file is shorter");
                wanted.push(FetchPiece { hash: self.head.hash, offset });
            }
        }
        Progress::Wanted(wanted)
    }

    /// Returns the time at which a piece is lost, or the download ends.
    pub(super) fn deadline(&self) -> Instant {
        let end = self.stalled.min(self.limit);
        self.asked.iter().fold(end, |earliest, (_, lost)| earliest.min(*lost))
    }

    /// Returns the text, if it is the one that was offered.
    pub(super) fn finish(self) -> Option<String> {
        String::from_utf8(self.text).ok().filter(|text| hash(text) == self.head.hash)
    }
}
