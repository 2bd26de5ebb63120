//! Invitations of a site, and its decisions about the requests that come for them.
//!
//! An invitation is good for one site. A request that its own site repeats gets the same answer, and one of
//! another site is refused. A request for an unknown invitation costs no arithmetic; one for a known
//! invitation costs one multiplication on the curve, of which each invitation allows a few a second.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::packet::{self, JoinAnswer, JoinKeys, JoinRequest, LENGTH};
use super::token::{InviteId, InviteSecret};
use crate::base::moment::{after, is_due};
use crate::base::net::{Cidr, IfName, PublicKey};
use crate::config;
use crate::config::model::Name;

/// Time for which a token is good.
pub const LIFE: Duration = Duration::from_hours(24);

/// Time after the end of an invitation for which its site still answers, so that the reason of a refusal is
/// told.
const MEMORY: Duration = Duration::from_hours(24);

/// Most invitations that are remembered at once.
pub const MOST_INVITATIONS: usize = 32;

/// Average time between two multiplications on the curve for one invitation.
const CURVE_PAUSE: Duration = Duration::from_secs(1);

/// Time that the multiplications for one invitation may be ahead of the average.
const CURVE_BURST: Duration = Duration::from_secs(20);

/// Terms of an invitation: the entry of the new site in the network file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Name of the new site.
    pub name: Name,
    /// Sites that the new site uses as exits.
    pub exits: Vec<Name>,
    /// Networks behind the new site; empty = those that it asks for.
    pub lan: Vec<Cidr>,
    /// Interface of the new site that becomes a portal; `None` = the one that it asks for.
    pub portal: Option<IfName>,
    /// Set if the inviting site uses the new site as an exit.
    pub inviter_uses: bool,
    /// Set if a person decides when the new site asks.
    pub confirm: bool,
}

/// Invitation.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// Terms of the invitation.
    pub terms: Terms,
    /// State of the invitation.
    pub state: InvitationState,
    secret: InviteSecret,
    id: InviteId,
    /// Time at which it is forgotten.
    forgotten: Instant,
    /// Time up to which its multiplications so far would have lasted at the average pace.
    paced: Instant,
    /// Keys of the site that last sent an authentic request.
    known: Option<(PublicKey, JoinKeys)>,
}

/// State of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvitationState {
    /// The token is good, until it expires.
    Open,
    /// A site has asked, and a person has yet to say yes.
    Waits(Box<Applicant>),
    /// The site with this key has joined.
    Used(PublicKey),
    /// A person has revoked the token, or has said no.
    Revoked,
}

/// Site that has asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applicant {
    /// Public key of the site.
    pub key: PublicKey,
    /// Request of the site.
    pub request: JoinRequest,
    /// Address that the request came from; `None` if it was pasted.
    pub from: Option<SocketAddr>,
}

/// Authentic request.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Name of the site in the invitation.
    pub name: Name,
    /// Site that asks.
    pub applicant: Applicant,
    /// Packet of the request.
    pub packet: [u8; LENGTH],
    /// Keys for the answer.
    pub keys: JoinKeys,
    /// Decision about the request.
    pub verdict: Verdict,
    /// Set if the site waits for a person from now on.
    pub begins_to_wait: bool,
}

impl Heard {
    /// Encrypts the answer. `salt` must be random.
    pub fn seal(&self, salt: [u8; 16], answer: &JoinAnswer) -> [u8; LENGTH] {
        self.keys.seal_answer(salt, packet::number(&self.packet), answer)
    }
}

/// Decision about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The site may join on these terms.
    Admit(Terms),
    /// The site has joined before: it gets the same answer.
    Admitted,
    /// The site gets this answer.
    Answer(JoinAnswer),
}

/// Derivation of the keys for a secret and the public key of a new site.
pub type Derive<'a> = &'a mut dyn FnMut(&InviteSecret, PublicKey) -> Option<JoinKeys>;

impl Terms {
    /// Returns the terms in words, for a file or a request.
    pub fn to_text(&self) -> String {
        let lan: Vec<String> = self.lan.iter().map(Cidr::to_string).collect();
        let portal = self.portal.as_ref().map_or(NONE, IfName::as_str);
        let flags = usize::from(self.inviter_uses) + 2 * usize::from(self.confirm);
        [&self.name, words(&self.exits).as_str(), &words(&lan), portal, ["0", "1", "2", "3"][flags]].join(" ")
    }

    /// Returns the terms in a text as [`to_text`](Self::to_text) makes it.
    pub fn from_text(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let [name, exits, lan, portal, flags] = words[..] else { return None };
        let flags: u8 = flags.parse().ok().filter(|flags| *flags < 4)?;
        let (mut exit_names, mut networks) = (Vec::new(), Vec::new());
        for exit in list(exits) {
            exit_names.push(config::site_name(exit)?);
        }
        for network in list(lan) {
            networks.push(network.parse().ok()?);
        }
        Some(Self {
            name: config::site_name(name)?,
            exits: exit_names,
            lan: networks,
            portal: if portal == NONE { None } else { Some(portal.parse().ok()?) },
            inviter_uses: flags & 1 != 0,
            confirm: flags & 2 != 0,
        })
    }
}

impl Invitation {
    /// Returns the time for which the token is still good.
    pub fn left(&self, now: Instant) -> Duration {
        self.forgotten.saturating_duration_since(after(now, MEMORY))
    }

    fn is_expired(&self, now: Instant) -> bool {
        self.left(now).is_zero()
    }

    /// Reports whether the token can still bring in a site.
    pub fn is_good(&self, now: Instant) -> bool {
        matches!(self.state, InvitationState::Open | InvitationState::Waits(_)) && !self.is_expired(now)
    }

    /// Opens a request, unless too many have come for this invitation.
    fn open(
        &mut self,
        packet: &[u8; LENGTH],
        now: Instant,
        derive: Derive,
    ) -> Option<(JoinRequest, JoinKeys)> {
        let key = packet::requester(packet);
        let keys = match &self.known {
            Some((known, keys)) if *known == key => keys.clone(),
            _ => {
                if self.paced > after(now, CURVE_BURST) {
                    return None;
                }
                self.paced = after(self.paced.max(now), CURVE_PAUSE);
                derive(&self.secret, key)?
            }
        };
        let request = keys.open_request(packet)?;
        self.known = Some((key, keys.clone()));
        Some((request, keys))
    }

    /// Decides about an authentic request.
    fn decide(&mut self, applicant: &Applicant, now: Instant) -> Verdict {
        let is_expired = self.is_expired(now);
        Verdict::Answer(match &self.state {
            InvitationState::Used(key) if *key == applicant.key => return Verdict::Admitted,
            InvitationState::Used(_) => JoinAnswer::Used,
            InvitationState::Revoked => JoinAnswer::Revoked,
            _ if is_expired => JoinAnswer::Expired,
            InvitationState::Open if !self.terms.confirm => return Verdict::Admit(self.terms.clone()),
            InvitationState::Open => {
                self.state = InvitationState::Waits(Box::new(applicant.clone()));
                JoinAnswer::Waits
            }
            // Only the first site is shown to the person, who may compare its key.
            InvitationState::Waits(_) => JoinAnswer::Waits,
        })
    }
}

/// All invitations of a site.
#[derive(Debug, Default)]
pub struct Invitations(Vec<Invitation>);

impl Invitations {
    /// Returns the invitations in the order in which they were made.
    pub fn all(&self) -> &[Invitation] {
        &self.0
    }

    /// Adds an invitation, and removes older ones of the same name that bring in no site any more. `secret`
    /// is random. Reports whether there was room.
    pub fn add(&mut self, secret: InviteSecret, terms: Terms, now: Instant) -> bool {
        self.forget(now);
        self.0.retain(|invitation| invitation.terms.name != terms.name || invitation.is_good(now));
        if self.0.len() >= MOST_INVITATIONS {
            return false;
        }
        let forgotten = after(now, LIFE + MEMORY);
        let state = InvitationState::Open;
        let id = secret.id();
        self.0.push(Invitation { terms, state, secret, id, forgotten, paced: now, known: None });
        true
    }

    /// Takes the invitation back that was added last.
    pub fn withdraw(&mut self) {
        self.0.pop();
    }

    /// Returns the latest invitation of a site.
    pub fn of(&mut self, name: &str) -> Option<&mut Invitation> {
        self.0.iter_mut().rev().find(|invitation| invitation.terms.name == name)
    }

    /// Forgets invitations whose time is over. Reports whether there were any.
    pub fn forget(&mut self, now: Instant) -> bool {
        let before = self.0.len();
        self.0.retain(|invitation| !is_due(Some(invitation.forgotten), now));
        self.0.len() != before
    }

    /// Reports whether a packet is a request for a known invitation.
    pub fn knows(&self, packet: &[u8]) -> bool {
        packet::requested(packet).is_some_and(|id| self.0.iter().any(|known| known.id == id))
    }

    /// Decides about a packet from an address, or from a paste. `None` if it is not an authentic request for
    /// a known invitation: it gets no answer.
    pub fn hear(
        &mut self,
        packet: &[u8],
        from: Option<SocketAddr>,
        now: Instant,
        derive: Derive,
    ) -> Option<Heard> {
        let id = packet::requested(packet)?;
        let packet: [u8; LENGTH] = packet.try_into().ok()?;
        let live = |invitation: &&mut Invitation| invitation.id == id && invitation.forgotten > now;
        let invitation = self.0.iter_mut().find(live)?;
        let (request, keys) = invitation.open(&packet, now, derive)?;
        let applicant = Applicant { key: packet::requester(&packet), request, from };
        let was_open = matches!(invitation.state, InvitationState::Open);
        let verdict = invitation.decide(&applicant, now);
        let begins_to_wait = was_open && invitation.state != InvitationState::Open;
        let name = invitation.terms.name.clone();
        Some(Heard { name, applicant, packet, keys, verdict, begins_to_wait })
    }

    /// Returns the text of the file in which invitations survive a restart, with the time that is left to
    /// each: a line for each, of words. The file holds secrets.
    pub fn to_text(&self, now: Instant) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(self.0.len() * 512));
        for Invitation { terms, state, secret, forgotten, .. } in &self.0 {
            URL_SAFE_NO_PAD.encode_string(secret.bytes(), &mut text);
            let seconds = forgotten.saturating_duration_since(now).as_secs().to_string();
            let state = match state {
                InvitationState::Open | InvitationState::Waits(_) => "open".to_owned(),
                InvitationState::Used(key) => key.to_string(),
                InvitationState::Revoked => "revoked".to_owned(),
            };
            for word in [&seconds, &state, &terms.to_text()] {
                text.push(' ');
                text.push_str(word);
            }
            text.push('\n');
        }
        text
    }

    /// Returns the invitations in a text as [`to_text`](Self::to_text) makes it. A line that cannot be parsed
    /// does not count.
    pub fn from_text(text: &str, now: Instant) -> Self {
        let mut invitations = Vec::new();
        for line in text.lines().take(MOST_INVITATIONS) {
            if let Some(invitation) = parse(line, now) {
                invitations.push(invitation);
            }
        }
        Self(invitations)
    }
}

/// Word in place of an empty list.
const NONE: &str = "-";

fn words(list: &[String]) -> String {
    if list.is_empty() { NONE.to_owned() } else { list.join(",") }
}

fn parse(line: &str, now: Instant) -> Option<Invitation> {
    let mut words = line.splitn(4, ' ');
    let secret = Zeroizing::new(URL_SAFE_NO_PAD.decode(words.next()?).ok()?);
    let left = Duration::from_secs(words.next()?.parse().ok()?);
    let state = match words.next()? {
        "open" => InvitationState::Open,
        "revoked" => InvitationState::Revoked,
        key => InvitationState::Used(key.parse().ok()?),
    };
    let terms = Terms::from_text(words.next()?)?;
    let secret = InviteSecret::new(secret.as_slice().try_into().ok()?);
    // A time from a damaged file must not make a token good for longer.
    let forgotten = after(now, left.min(LIFE + MEMORY));
    Some(Invitation { terms, state, id: secret.id(), secret, forgotten, paced: now, known: None })
}

fn list(words: &str) -> Vec<&str> {
    if words == NONE { Vec::new() } else { words.split(',').collect() }
}
