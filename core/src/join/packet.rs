//! Packets of a new site and of the site that invites.
//!
//! ```text
//!  0  magic, kind 6 (request) or 7 (answer), three zeros, salt 16: as in `nat::packet`
//! request, 240 bytes:
//! 24  id of the invitation, 8
//! 32  public key of the new site, 32
//! 64  body, encrypted, with a tag of 16 bytes
//! answer, 240 bytes:
//! 24  body, encrypted, with a tag of 16 bytes
//! ```
//!
//! The key of a packet is BLAKE2s-256 over the result of X25519 of both sites' keys, the salt, and `join` or
//! `joined`, with the secret of the invitation as its key. The nonce is 0. An answer holds the number of its
//! request: the beginning of the request's salt. Therefore an old answer is no answer to a new request.

use std::net::IpAddr;
use std::rc::Rc;

use x25519_dalek::x25519;
use zeroize::Zeroizing;

use super::fields::{Reader, Writer};
use super::token::{InviteId, InviteSecret};
use crate::base::net::{Cidr, IfName, PublicKey, Secret};
use crate::config;
use crate::config::model::{EndpointHost, Mtu, Name};
use crate::nat::packet::{HEADER, MAGIC, Number, TAG};
use crate::nat::seal::{decrypt, encrypt, keyed_hash};

/// Length of a request or an answer in bytes.
pub const LENGTH: usize = 240;

/// Length of the part of a request that is not encrypted.
const OPEN: usize = HEADER + 8 + 32;

/// Length of the body of a request.
const REQUEST_BODY: usize = LENGTH - OPEN - TAG;

/// Length of the body of an answer.
const ANSWER_BODY: usize = LENGTH - HEADER - TAG;

/// Most networks, and most addresses, of a new site in its request.
pub const MOST: usize = 3;

/// Longest reason of a refusal in bytes.
const LONGEST_REASON: usize = 180;

const REQUEST: u8 = 6;
const ANSWER: u8 = 7;

/// Returns the invitation that a packet is a request for; `None` if it is no request. Costs nothing: a flood
/// of requests for unknown invitations ends here.
pub fn requested(packet: &[u8]) -> Option<InviteId> {
    is_of_kind(packet, REQUEST).then(|| *packet[HEADER..].first_chunk().expect("a longer packet"))
}

fn is_of_kind(packet: &[u8], kind: u8) -> bool {
    packet.len() == LENGTH && packet[..4] == MAGIC && packet[4..8] == [kind, 0, 0, 0]
}

/// Returns the public key that a request names as its sender's.
pub fn requester(packet: &[u8; LENGTH]) -> PublicKey {
    PublicKey(*packet[HEADER + 8..].first_chunk().expect("a longer packet"))
}

/// Returns the number of a request or an answer.
pub fn number(packet: &[u8; LENGTH]) -> Number {
    *packet[8..].first_chunk().expect("a longer packet")
}

/// Request of a new site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JoinRequest {
    /// Name that the site wants; `None` = the name in the invitation.
    pub name: Option<Name>,
    /// Host at which other sites can dial it.
    pub endpoint: Option<EndpointHost>,
    /// Networks behind it that other sites may reach.
    pub lan: Vec<Cidr>,
    /// Interface that becomes a portal.
    pub portal: Option<IfName>,
    /// Addresses at which it waits for the answer to a pasted request.
    pub addresses: Vec<IpAddr>,
}

/// Answer of the inviting site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinAnswer {
    /// The site has joined.
    Joined(Rc<Joined>),
    /// A person at the inviting site has yet to say yes.
    Waits,
    /// Another site has joined with this token.
    Used,
    /// The token is too old.
    Expired,
    /// The token was revoked, or a person has said no.
    Revoked,
    /// The network does not take the site, for this reason.
    Refused(String),
}

/// Everything that a first tunnel needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Name of the new site.
    pub name: Name,
    /// Id of the new site.
    pub id: u8,
    /// Name of the inviting site.
    pub inviter: Name,
    /// Id of the inviting site.
    pub inviter_id: u8,
    /// Base UDP port of the inviting site.
    pub port: u16,
    /// Set if the new site uses the inviting site as an exit.
    pub uses_inviter: bool,
    /// Set if the inviting site uses the new site as an exit.
    pub inviter_uses: bool,
    /// Name of the network.
    pub network: Name,
    /// Source of the tunnel addresses.
    pub subnet: Cidr,
    /// Source of the IPv6 addresses, if IPv6 is on.
    pub subnet6: Option<Cidr>,
    /// MTU of every tunnel.
    pub mtu: Mtu,
    /// Public key of the admin key that signs the network file.
    pub admin: PublicKey,
    /// Secret of the network, if there is one.
    pub secret: Option<Secret>,
    /// Serial of the network file that names the new site.
    pub serial: u64,
}

/// Keys of the packets between one new site and the inviting site.
#[derive(Debug, Clone)]
pub struct JoinKeys {
    secret: InviteSecret,
    shared: Secret,
}

impl JoinKeys {
    /// Derives the keys from this site's own key and the other's; `None` if the other is one of the few with
    /// which X25519 gives no secret.
    pub fn derive(secret: &InviteSecret, own: &Secret, other: PublicKey) -> Option<Self> {
        let shared = Zeroizing::new(x25519(*own.bytes(), other.0));
        (*shared != [0; 32]).then(|| Self { secret: secret.clone(), shared: Secret::new(*shared) })
    }

    /// Returns the salt of a request that is the same each time, for a request that a person carries: the
    /// answer to an earlier copy is then an answer to each copy. Another request has another salt; `None` if
    /// it is too long.
    pub fn steady_salt(&self, request: &JoinRequest) -> Option<[u8; 16]> {
        let body = encode_request(request)?;
        let hash = keyed_hash(self.secret.bytes(), &[self.shared.bytes(), &body, b"salt"]);
        hash.first_chunk().copied()
    }

    /// Encrypts a request of the site with the public key `own`; `None` if it is too long. `salt` must be
    /// random.
    pub fn seal_request(
        &self,
        own: PublicKey,
        salt: [u8; 16],
        request: &JoinRequest,
    ) -> Option<[u8; LENGTH]> {
        let mut body = encode_request(request)?;
        let mut packet = begin(REQUEST, salt);
        packet[HEADER..HEADER + 8].copy_from_slice(&self.secret.id());
        packet[HEADER + 8..OPEN].copy_from_slice(&own.0);
        let tag = encrypt(&self.key(&salt, b"join"), &packet[..OPEN], &mut body);
        packet[OPEN..OPEN + REQUEST_BODY].copy_from_slice(&body);
        packet[OPEN + REQUEST_BODY..].copy_from_slice(&tag);
        Some(packet)
    }

    /// Decrypts a request; `None` if it is not authentic, or if its content cannot be in a network file.
    pub fn open_request(&self, packet: &[u8; LENGTH]) -> Option<JoinRequest> {
        let body: [u8; REQUEST_BODY] = self.open(packet, OPEN, b"join")?;
        JoinRequest::decode(&body)
    }

    /// Encrypts the answer to the request with this number. `salt` must be random.
    pub fn seal_answer(&self, salt: [u8; 16], to: Number, answer: &JoinAnswer) -> [u8; LENGTH] {
        let mut body = encode_answer(to, answer);
        let mut packet = begin(ANSWER, salt);
        let tag = encrypt(&self.key(&salt, b"joined"), &packet[..HEADER], &mut body[..]);
        packet[HEADER..HEADER + ANSWER_BODY].copy_from_slice(&body[..]);
        packet[HEADER + ANSWER_BODY..].copy_from_slice(&tag);
        packet
    }

    /// Decrypts the answer to the request with this number; `None` if it is not authentic, or no answer to
    /// that request.
    pub fn open_answer(&self, packet: &[u8; LENGTH], to: Number) -> Option<JoinAnswer> {
        if !is_of_kind(packet, ANSWER) {
            return None;
        }
        let body = Zeroizing::new(self.open::<ANSWER_BODY>(packet, HEADER, b"joined")?);
        let mut body = Reader(&body[..]);
        if body.take()? == to { JoinAnswer::decode(body.0) } else { None }
    }

    /// Decrypts the body of a packet, which begins at `open`.
    fn open<const BODY: usize>(&self, packet: &[u8; LENGTH], open: usize, what: &[u8]) -> Option<[u8; BODY]> {
        let mut body: [u8; BODY] = packet[open..open + BODY].try_into().ok()?;
        let tag = packet.last_chunk::<TAG>().expect("a longer packet");
        let salt = packet[8..].first_chunk().expect("a longer packet");
        decrypt(&self.key(salt, what), &packet[..open], &mut body, tag)?;
        Some(body)
    }

    fn key(&self, salt: &[u8; 16], what: &[u8]) -> Zeroizing<[u8; 32]> {
        keyed_hash(self.secret.bytes(), &[self.shared.bytes(), salt, what])
    }
}

fn begin(kind: u8, salt: [u8; 16]) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    packet[..4].copy_from_slice(&MAGIC);
    packet[4] = kind;
    packet[8..HEADER].copy_from_slice(&salt);
    packet
}

fn encode_request(request: &JoinRequest) -> Option<[u8; REQUEST_BODY]> {
    let mut body = Writer::default();
    body.text(request.name.as_deref().unwrap_or_default());
    body.text(&request.endpoint.as_ref().map(EndpointHost::to_string).unwrap_or_default());
    body.text(request.portal.as_ref().map(IfName::as_str).unwrap_or_default());
    body.bytes(&[u8::try_from(request.lan.len()).ok()?]);
    request.lan.iter().for_each(|network| body.network(*network));
    body.bytes(&[u8::try_from(request.addresses.len()).ok()?]);
    request.addresses.iter().for_each(|address| body.address(*address));
    body.finish()
}

impl JoinRequest {
    /// Decodes the body of a request. The content goes into a network file, so each field is checked as the
    /// file's own.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let (mut body, mut request) = (Reader(body), Self::default());
        match body.text()? {
            "" => {}
            name => request.name = Some(config::site_name(name)?),
        }
        match body.text()? {
            "" => {}
            host => request.endpoint = Some(config::endpoint_host(host)?),
        }
        match body.text()? {
            "" => {}
            interface => request.portal = Some(interface.parse().ok()?),
        }
        for _ in 0..count(&mut body)? {
            request.lan.push(body.network()?);
        }
        for _ in 0..count(&mut body)? {
            request.addresses.push(body.address()?);
        }
        Some(request)
    }
}

fn count(body: &mut Reader) -> Option<u8> {
    body.byte().filter(|count| usize::from(*count) <= MOST)
}

const JOINED: u8 = 1;
const WAITS: u8 = 2;
const USED: u8 = 3;
const EXPIRED: u8 = 4;
const REVOKED: u8 = 5;
const REFUSED: u8 = 6;

const USES_INVITER: u8 = 1;
const INVITER_USES: u8 = 2;
const HAS_SUBNET6: u8 = 4;
const HAS_SECRET: u8 = 8;

fn encode_answer(to: Number, answer: &JoinAnswer) -> Zeroizing<[u8; ANSWER_BODY]> {
    let mut body = Writer::default();
    body.bytes(&to);
    body.bytes(&[match answer {
        JoinAnswer::Joined(_) => JOINED,
        JoinAnswer::Waits => WAITS,
        JoinAnswer::Used => USED,
        JoinAnswer::Expired => EXPIRED,
        JoinAnswer::Revoked => REVOKED,
        JoinAnswer::Refused(_) => REFUSED,
    }]);
    match answer {
        JoinAnswer::Joined(joined) => put_joined(&mut body, joined),
        JoinAnswer::Refused(reason) => body.text(&reason[..reason.floor_char_boundary(LONGEST_REASON)]),
        _ => {}
    }
    Zeroizing::new(body.finish().expect("the longest answer fits"))
}

fn put_joined(body: &mut Writer, joined: &Joined) {
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    let flags = flag(joined.uses_inviter, USES_INVITER)
        | flag(joined.inviter_uses, INVITER_USES)
        | flag(joined.subnet6.is_some(), HAS_SUBNET6)
        | flag(joined.secret.is_some(), HAS_SECRET);
    body.bytes(&[flags, joined.id, joined.inviter_id]);
    body.bytes(&joined.port.to_be_bytes());
    let mtu = match joined.mtu {
        Mtu::Measured => 0,
        Mtu::Fixed(bytes) => bytes,
    };
    body.bytes(&mtu.to_be_bytes());
    body.bytes(&joined.serial.to_be_bytes());
    body.bytes(&joined.admin.0);
    body.network(joined.subnet);
    joined.subnet6.into_iter().for_each(|subnet6| body.network(subnet6));
    joined.secret.iter().for_each(|secret| body.bytes(secret.bytes()));
    for name in [&joined.name, &joined.inviter, &joined.network] {
        body.text(name);
    }
}

impl JoinAnswer {
    /// Decodes the body of an answer behind the number of its request.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let mut body = Reader(body);
        Some(match body.byte()? {
            JOINED => Self::Joined(Rc::new(take_joined(&mut body)?)),
            WAITS => Self::Waits,
            USED => Self::Used,
            EXPIRED => Self::Expired,
            REVOKED => Self::Revoked,
            REFUSED => Self::Refused(body.text()?.chars().filter(|c| !c.is_control()).collect()),
            _ => return None,
        })
    }
}

fn take_joined(body: &mut Reader) -> Option<Joined> {
    let [flags, id, inviter_id] = body.take()?;
    let port = u16::from_be_bytes(body.take()?);
    let mtu = match u32::from_be_bytes(body.take()?) {
        0 => Mtu::Measured,
        bytes => Mtu::Fixed(bytes),
    };
    let serial = u64::from_be_bytes(body.take()?);
    let admin = PublicKey(body.take()?);
    let subnet = body.network()?;
    let subnet6 = if flags & HAS_SUBNET6 != 0 { Some(body.network()?) } else { None };
    let secret = if flags & HAS_SECRET != 0 { Some(Secret::new(body.take()?)) } else { None };
    Some(Joined {
        id,
        inviter_id,
        port,
        mtu,
        serial,
        admin,
        subnet,
        subnet6,
        secret,
        uses_inviter: flags & USES_INVITER != 0,
        inviter_uses: flags & INVITER_USES != 0,
        name: config::site_name(body.text()?)?,
        inviter: config::site_name(body.text()?)?,
        network: config::network_name(body.text()?)?,
    })
}

#[cfg(test)]
impl JoinKeys {
    /// Puts any body into a request.
    pub(super) fn seal_body(&self, packet: &mut [u8; LENGTH], mut body: [u8; REQUEST_BODY]) {
        let salt = *packet[8..].first_chunk().expect("a longer packet");
        let tag = encrypt(&self.key(&salt, b"join"), &packet[..OPEN], &mut body);
        packet[OPEN..OPEN + REQUEST_BODY].copy_from_slice(&body);
        packet[OPEN + REQUEST_BODY..].copy_from_slice(&tag);
    }
}
