//! Packets between sites and helpers.
//!
//! ```text
//!  0  magic b5 50 54 31: no type of WireGuard's messages begins so
//!  4  kind
//!  5  id of the sender
//!  6  id of the receiver
//!  7  0
//!  8  salt, 16 random bytes
//! 24  body, encrypted, with a tag of 16 bytes (see the module `seal`)
//! ```
//!
//! A hint has no body, and is not authenticated. An answer is as long as its question, so a helper that
//! answers a forged source never sends more than it got. Only pieces of network files, and answers to
//! questions of commands, are longer; they stay inside the tunnels, where no source is forged.
//!
//! An echo and its answer have bytes behind the tag that are not encrypted: they only take room on the path.

mod fields;
mod file;
mod question;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use fields::{Reader, given, put_address, put_addresses};
pub use file::{FetchPiece, FileHead, LONGEST_FILE, Offer, PIECE, Piece};
pub use question::{LONGEST_ECHO, LONGEST_TRACE, Trace, TraceState, Traced};

/// First bytes of every packet.
pub const MAGIC: [u8; 4] = [0xb5, 0x50, 0x54, 0x31];

/// Length of a header, and of a hint, in bytes.
pub const HEADER: usize = 24;

/// Length of the tag behind a body in bytes.
pub const TAG: usize = 16;

/// Length of a question or an answer in bytes.
pub const ASK: usize = 152;

/// Length of a ping, a pong or a call in bytes.
pub const PING: usize = 80;

/// Length of the longest packet in bytes, apart from echoes: a whole piece of a network file.
pub const LONGEST: usize = HEADER + 20 + PIECE + TAG;

/// Largest number of further addresses in a question or an answer.
pub const MOST_ADDRESSES: usize = 3;

/// Number of a question or a ping: the beginning of its salt.
pub type Number = [u8; 8];

/// Proof that the sender of a question receives packets at its address.
pub type Cookie = [u8; 8];

/// Kind of a packet, with its number. Packets of new sites have numbers 6 and 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Question to a helper.
    Ask = 1,
    /// Answer of a helper.
    Answer = 2,
    /// Ping of a site to another site.
    Ping = 3,
    /// Answer to a ping.
    Pong = 4,
    /// Sign of a relay that it does not know the sender of a packet.
    Hint = 5,
    /// Call of a helper to a site whose peer looks for it.
    Call = 8,
    /// Offer of a network file.
    Offer = 9,
    /// Request for a piece of a network file.
    Fetch = 10,
    /// Piece of a network file.
    Piece = 11,
    /// Question of any length, which asks for an answer of any length.
    Echo = 12,
    /// Answer to an echo.
    Echoed = 13,
    /// Question for a trace.
    Trace = 14,
    /// Answer to the question for a trace.
    Traced = 15,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 13] = [
        Self::Ask,
        Self::Answer,
        Self::Ping,
        Self::Pong,
        Self::Hint,
        Self::Call,
        Self::Offer,
        Self::Fetch,
        Self::Piece,
        Self::Echo,
        Self::Echoed,
        Self::Trace,
        Self::Traced,
    ];

    fn number(self) -> u8 {
        self as u8
    }

    /// Returns the length of packets of this kind in bytes: the longest length of pieces and traces, some of
    /// which are shorter, and the shortest length of echoes.
    pub fn length(self) -> usize {
        match self {
            Self::Ask | Self::Answer | Self::Trace => ASK,
            Self::Hint => HEADER,
            Self::Piece | Self::Traced => LONGEST,
            _ => PING,
        }
    }

    fn may_be(self, length: usize) -> bool {
        match self {
            Self::Piece | Self::Traced => length <= LONGEST,
            Self::Echo | Self::Echoed => (PING..=LONGEST_ECHO.into()).contains(&length),
            _ => length == self.length(),
        }
    }

    /// Returns the length of the header, the body and the tag of a packet of this kind and length.
    pub(super) fn sealed(self, length: usize) -> usize {
        if matches!(self, Self::Echo | Self::Echoed) { PING } else { length }
    }
}

/// Header of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Kind of the packet.
    pub kind: Kind,
    /// Id of the sender, as it claims; 0 in a hint.
    pub from: u8,
    /// Id of the receiver; 0 in a hint.
    pub to: u8,
    /// Random bytes, which are another key for each packet.
    pub salt: [u8; 16],
}

impl Header {
    /// Returns the header of a hint.
    pub fn hint() -> Self {
        Self { kind: Kind::Hint, from: 0, to: 0, salt: [0; 16] }
    }

    /// Decodes the header of a packet of the right length.
    pub fn decode(packet: &[u8]) -> Option<Self> {
        let [m, a, g, ic, number, from, to, 0, ..] = *packet else { return None };
        let kind = Kind::ALL.into_iter().find(|kind| kind.number() == number)?;
        let salt = packet.get(8..HEADER)?.try_into().ok()?;
        ([m, a, g, ic] == MAGIC && kind.may_be(packet.len())).then_some(Self { kind, from, to, salt })
    }

    /// Encodes the header.
    pub fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&[self.kind.number(), self.from, self.to, 0]);
        bytes[8..].copy_from_slice(&self.salt);
        bytes
    }

    /// Returns the number of the packet.
    pub fn number(&self) -> Number {
        *self.salt.first_chunk().expect("a salt is longer")
    }
}

/// Content of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Question to a helper.
    Ask(Ask),
    /// Answer of a helper.
    Answer(Answer),
    /// Ping of a site to another site.
    Ping(Ping),
    /// Answer to a ping.
    Pong(Pong),
    /// Call of a helper: the site with this id looks for the receiver.
    Call(u8),
    /// Offer of a network file.
    Offer(Offer),
    /// Request for a piece of a network file.
    Fetch(FetchPiece),
    /// Piece of a network file.
    Piece(Piece),
    /// Question for an answer of this length in bytes.
    Echo(u16),
    /// Answer to the echo with this number.
    Echoed(Number),
    /// Question for a trace.
    Trace(Trace),
    /// Answer to the question for a trace.
    Traced(Traced),
}

/// Question of a site to a helper: under which address do you see me, and under which my peer?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Id of the site at the other end of the link.
    pub peer: u8,
    /// Set if the asking site has sent pings towards its peer: its own NAT lets the peer's pings in.
    pub has_opened: bool,
    /// Set if the helper is to relay the link at the port that got this question.
    pub relay_here: bool,
    /// Port of the link's tunnel at the asking site.
    pub port: u16,
    /// Port of the link's tunnel at the peer.
    pub peer_port: u16,
    /// Cookie from the last answer of this port; zeros in the first question.
    pub cookie: Cookie,
    /// Further addresses of the asking site: mapped ones, and those of its own interfaces.
    pub addresses: Vec<SocketAddr>,
}

/// Answer of a helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Number of the question.
    pub question: Number,
    /// Address that the question came from.
    pub seen: SocketAddr,
    /// Cookie for the next question.
    pub cookie: Cookie,
    /// Address that the peer's last question came from; only if the question had a valid cookie, as
    /// everything below.
    pub peer: Option<SocketAddr>,
    /// Port at which this helper relays the link for the address that the question came from, if it does.
    pub relay_port: Option<u16>,
    /// Seconds since the peer's last question.
    pub age: u16,
    /// Set if the peer has sent pings towards the asking site.
    pub peer_has_opened: bool,
    /// Set if this helper relays from the address that the question came from, at the port that got it.
    pub is_registered: bool,
    /// Further addresses of the peer.
    pub addresses: Vec<SocketAddr>,
}

/// Ping of a site to another site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping {
    /// Port of the link's tunnel at the sender.
    pub port: u16,
    /// Port of the link's tunnel at the receiver.
    pub peer_port: u16,
}

/// Answer to a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pong {
    /// Number of the ping.
    pub ping: Number,
    /// Address that the ping came from.
    pub seen: SocketAddr,
}

const HAS_OPENED: u8 = 1;
const RELAY_HERE: u8 = 2;
const IS_REGISTERED: u8 = 4;

impl Message {
    /// Returns the kind of packets with this content.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Ask(_) => Kind::Ask,
            Self::Answer(_) => Kind::Answer,
            Self::Ping(_) => Kind::Ping,
            Self::Pong(_) => Kind::Pong,
            Self::Call(_) => Kind::Call,
            Self::Offer(_) => Kind::Offer,
            Self::Fetch(_) => Kind::Fetch,
            Self::Piece(_) => Kind::Piece,
            Self::Echo(_) => Kind::Echo,
            Self::Echoed(_) => Kind::Echoed,
            Self::Trace(_) => Kind::Trace,
            Self::Traced(_) => Kind::Traced,
        }
    }

    /// Encodes the body, without the header and the tag.
    pub fn encode(&self) -> Vec<u8> {
        let length = match self {
            Self::Piece(piece) => piece.length(),
            Self::Traced(traced) => traced.length(),
            other => other.kind().length() - HEADER - TAG,
        };
        let mut body = Vec::with_capacity(length);
        match self {
            Self::Ask(ask) => {
                let flags = flag(ask.has_opened, HAS_OPENED) | flag(ask.relay_here, RELAY_HERE);
                body.extend([ask.peer, flags]);
                body.extend(ask.port.to_be_bytes());
                body.extend(ask.peer_port.to_be_bytes());
                body.extend(ask.cookie);
                put_addresses(&mut body, &ask.addresses);
            }
            Self::Answer(answer) => {
                body.extend(answer.question);
                put_address(&mut body, Some(answer.seen));
                body.extend(answer.cookie);
                put_address(&mut body, answer.peer);
                body.extend(answer.relay_port.unwrap_or_default().to_be_bytes());
                body.extend(answer.age.to_be_bytes());
                body.push(
                    flag(answer.peer_has_opened, HAS_OPENED) | flag(answer.is_registered, IS_REGISTERED),
                );
                put_addresses(&mut body, &answer.addresses);
            }
            Self::Ping(ping) => {
                body.extend(ping.port.to_be_bytes());
                body.extend(ping.peer_port.to_be_bytes());
            }
            Self::Pong(pong) => {
                body.extend(pong.ping);
                put_address(&mut body, Some(pong.seen));
            }
            Self::Call(peer) => body.push(*peer),
            Self::Offer(offer) => offer.encode(&mut body),
            Self::Fetch(place) => place.encode(&mut body),
            Self::Piece(piece) => piece.encode(&mut body),
            Self::Echo(length) => body.extend(length.to_be_bytes()),
            Self::Echoed(question) => body.extend(question),
            Self::Trace(trace) => trace.encode(&mut body),
            Self::Traced(traced) => traced.encode(&mut body),
        }
        body.resize(length, 0);
        body
    }

    /// Decodes the body of a packet of this kind. Bytes behind the fields have no meaning yet.
    pub fn decode(kind: Kind, body: &[u8]) -> Option<Self> {
        let mut body = Reader(body);
        Some(match kind {
            Kind::Ask => {
                let [peer, flags] = body.take()?;
                Self::Ask(Ask {
                    peer,
                    has_opened: flags & HAS_OPENED != 0,
                    relay_here: flags & RELAY_HERE != 0,
                    port: body.number()?,
                    peer_port: body.number()?,
                    cookie: body.take()?,
                    addresses: body.addresses()?,
                })
            }
            Kind::Answer => Self::Answer(decode_answer(&mut body)?),
            Kind::Ping => Self::Ping(Ping { port: body.number()?, peer_port: body.number()? }),
            Kind::Pong => Self::Pong(Pong { ping: body.take()?, seen: given(body.address()?)? }),
            Kind::Call => {
                let [peer] = body.take()?;
                Self::Call(peer)
            }
            Kind::Offer => Self::Offer(Offer::decode(&mut body)?),
            Kind::Fetch => Self::Fetch(FetchPiece::decode(&mut body)?),
            Kind::Piece => Self::Piece(Piece::decode(body)?),
            Kind::Echo => Self::Echo(body.number()?),
            Kind::Echoed => Self::Echoed(body.take()?),
            Kind::Trace => Self::Trace(Trace::decode(&mut body)?),
            Kind::Traced => Self::Traced(Traced::decode(body)?),
            Kind::Hint => return None,
        })
    }
}

fn decode_answer(body: &mut Reader) -> Option<Answer> {
    let (question, seen, cookie, peer) =
        (body.take()?, given(body.address()?)?, body.take()?, given(body.address()?));
    let relay_port = Some(body.number()?).filter(|port| *port != 0);
    let age = body.number()?;
    let [flags] = body.take()?;
    Some(Answer {
        question,
        seen,
        cookie,
        peer,
        relay_port,
        age,
        peer_has_opened: flags & HAS_OPENED != 0,
        is_registered: flags & IS_REGISTERED != 0,
        addresses: body.addresses()?,
    })
}

fn flag(is_set: bool, flag: u8) -> u8 {
    if is_set { flag } else { 0 }
}
