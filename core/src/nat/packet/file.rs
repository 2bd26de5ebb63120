//! Packets by which linked sites keep their network files the same.

use super::Number;
use super::fields::Reader;
use super::flag;
use crate::signed::FileHash;

/// Bytes of a network file in one piece. Only the last piece of a file is shorter.
pub const PIECE: usize = 1024;

/// Length of the longest network file that sites exchange, in bytes.
pub const LONGEST_FILE: u32 = 256 << 10;

/// Length of the fields before the bytes of a piece.
const PLACE: usize = 20;

const ASKS: u8 = 1;
const IS_SIGNED: u8 = 2;

/// Version of a network file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHead {
    /// Serial of the file.
    pub serial: u64,
    /// Hash of its text.
    pub hash: FileHash,
    /// Length of its text in bytes.
    pub length: u32,
}

/// Offer of a network file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Version at the sender.
    pub head: FileHead,
    /// Set if an admin has signed the file. The receiver checks it all the same, once it has the file.
    pub is_signed: bool,
    /// Set if the sender wants an offer as an answer.
    pub asks: bool,
    /// Number of the offer that this one answers; zeros if it answers none.
    pub answers: Number,
}

/// Place in a network file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchPiece {
    /// Hash of the file.
    pub hash: FileHash,
    /// Number of bytes before the piece.
    pub offset: u32,
}

/// Piece of a network file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Place of the piece.
    pub place: FetchPiece,
    /// Bytes of the file: up to [`PIECE`].
    pub bytes: Vec<u8>,
}

impl Offer {
    pub(super) fn encode(&self, body: &mut Vec<u8>) {
        body.extend(self.head.serial.to_be_bytes());
        body.extend(self.head.hash.0);
        body.extend(self.head.length.to_be_bytes());
        body.push(flag(self.asks, ASKS) | flag(self.is_signed, IS_SIGNED));
        body.extend(self.answers);
    }

    pub(super) fn decode(body: &mut Reader) -> Option<Self> {
        let serial = u64::from_be_bytes(body.take()?);
        let head =
            FileHead { serial, hash: FileHash(body.take()?), length: u32::from_be_bytes(body.take()?) };
        let [flags] = body.take()?;
        let (asks, is_signed) = (flags & ASKS != 0, flags & IS_SIGNED != 0);
        Some(Self { head, is_signed, asks, answers: body.take()? })
    }
}

impl FetchPiece {
    pub(super) fn encode(&self, body: &mut Vec<u8>) {
        body.extend(self.hash.0);
        body.extend(self.offset.to_be_bytes());
    }

    pub(super) fn decode(body: &mut Reader) -> Option<Self> {
        Some(Self { hash: FileHash(body.take()?), offset: u32::from_be_bytes(body.take()?) })
    }
}

impl Piece {
    /// Returns the length of the body in bytes.
    pub(super) fn length(&self) -> usize {
        PLACE + self.bytes.len()
    }

    pub(super) fn encode(&self, body: &mut Vec<u8>) {
        self.place.encode(body);
        body.extend(&self.bytes);
    }

    pub(super) fn decode(mut body: Reader) -> Option<Self> {
        let place = FetchPiece::decode(&mut body)?;
        (1..=PIECE).contains(&body.0.len()).then(|| Self { place, bytes: body.0.to_vec() })
    }
}
