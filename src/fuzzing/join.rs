//! Joins: a site that invites, and sites with a token that misbehave.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::base::keys::public_key;
use crate::base::net::{PublicKey, Secret};
use crate::config::model::Network;
use crate::config::{self, edit};
use crate::join::entry::{self, SiteEntry};
use crate::join::invitations::{Applicant, InvitationState, Invitations, Terms, Verdict};
use crate::join::packet::{JoinAnswer, JoinKeys, JoinRequest, Joined, LENGTH, number, requester};
use crate::join::paste;
use crate::join::token::{Door, InviteSecret, Token};

/// Bytes of a step: what to do, the time that passes before, and the body of a request.
const STEP: usize = 64;

/// Multiplications on the curve that a flood may cause at once, and then each second.
const MOST_CURVES: u64 = 21;

/// Longest reason of a refusal in bytes, which a longer one is cut to.
const REASON: usize = 180;

const SALT: [u8; 16] = [5; 16];

static SHARED: LazyLock<Shared> = LazyLock::new(Shared::new);

/// All that is the same in each run.
struct Shared {
    token: Token,
    /// Sites with the token.
    sites: [PublicKey; 2],
    /// Keys of the packets between the inviting site and each of them.
    keys: [JoinKeys; 2],
    text: String,
    network: Network,
    terms: [Terms; 4],
}

impl Shared {
    fn new() -> Self {
        let secret = |site| Secret::new([site; 32]);
        let own = public_key(&secret(1));
        let door = Door { host: config::endpoint_host("203.0.113.9").expect("an address"), port: 52075 };
        let token = Token { secret: InviteSecret::new([9; 16]), inviter: own, door: Some(door) };
        let sites = [2, 3].map(|site| public_key(&secret(site)));
        let keys = sites.map(|site| JoinKeys::derive(&token.secret, &secret(1), site).expect("a secret"));
        let text = format!(
            "[network]\r\nname = \"home\"\r\nsubnet = \"10.77.0.0/16\"\r\nserial = 1\r\n\
             admins = [\"{own}\"]\r\n# the first\r\n[site.nyc]\r\nid = 1\r\n\
             public_key = \"{own}\"\r\nendpoint = \"203.0.113.9\"\r\n"
        );
        let network = config::parse(&text).unwrap_or_else(|faults| panic!("{faults:?}"));
        let terms = ["rome nyc - - 0", "rome - 192.168.1.0/24 - 1", "rome nyc - eth1 2", "rome - - - 3"]
            .map(|terms| Terms::from_text(terms).expect("terms"));
        Self { token, sites, keys, text, network, terms }
    }
}

/// Reads tokens, pasted requests and files of invitations.
pub(super) fn texts(bytes: &[u8]) {
    let (text, now) = (String::from_utf8_lossy(bytes), Instant::now());
    if let Ok(token) = text.parse::<Token>() {
        assert_eq!(token.to_text().parse().ok(), Some(token));
    }
    if let Ok(request) = paste::from_text(&text) {
        assert_eq!(paste::from_text(&paste::to_text(&request)).ok(), Some(request));
    }
    if let Some(terms) = Terms::from_text(&text) {
        assert_eq!(Terms::from_text(&terms.to_text()), Some(terms));
    }
    let known = Invitations::from_text(&text, now).to_text(now);
    assert_eq!(*Invitations::from_text(&known, now).to_text(now), *known);
}

/// Feeds the inviting site and the new one.
pub(super) fn packets(bytes: &[u8]) {
    if let Some(answer) = JoinAnswer::decode(bytes) {
        takes_answer(answer);
    }
    let mut inviter = Inviter::new(&SHARED.terms[bytes.len() % SHARED.terms.len()]);
    inviter.hears(bytes);
    for step in bytes.chunks(STEP) {
        inviter.step(step);
    }
}

/// Hands an answer of the inviting site to the new site, which makes its first network file from it.
fn takes_answer(answer: JoinAnswer) {
    let Shared { token, sites, keys, .. } = &*SHARED;
    let packet = keys[0].seal_answer(SALT, [7; 8], &answer);
    assert_eq!(keys[0].open_answer(&packet, [8; 8]), None);
    let is_cut = matches!(&answer, JoinAnswer::Refused(reason) if reason.len() > REASON);
    assert!(is_cut || keys[0].open_answer(&packet, [7; 8]).as_ref() == Some(&answer));
    let JoinAnswer::Joined(joined) = answer else { return };
    if let Ok(network) = config::parse(&entry::provisional_file(token, &joined, sites[0], None)) {
        let key = |name| network.sites[name].public_key;
        assert!(network.sites.len() == 2 && network.phones.is_empty() && network.serial == 0);
        assert_eq!((&network.name, network.admins), (&joined.network, vec![joined.admin]));
        assert_eq!((key(&joined.name), key(&joined.inviter)), (sites[0], token.inviter));
    }
}

/// Inviting site with one invitation, in the hands of the fuzzer.
struct Inviter {
    begin: Instant,
    now: Instant,
    invitations: Invitations,
    curves: u64,
    /// Site that has joined.
    joined: Option<PublicKey>,
}

impl Inviter {
    fn new(terms: &Terms) -> Self {
        let (now, mut invitations) = (Instant::now(), Invitations::default());
        assert!(invitations.add(SHARED.token.secret.clone(), terms.clone(), now));
        Self { begin: now, now, invitations, curves: 0, joined: None }
    }

    fn step(&mut self, step: &[u8]) {
        let [what, wait, body @ ..] = step else { return };
        self.now += Duration::from_secs(u64::from(*wait) * u64::from(*wait));
        match what % 16 {
            0 => {
                self.invitations.forget(self.now);
            }
            1 => {
                let text = self.invitations.to_text(self.now);
                self.invitations = Invitations::from_text(&text, self.now);
                assert_eq!(*self.invitations.to_text(self.now), *text);
            }
            2 => {
                if let Some(invitation) = self.invitations.of("rome").filter(|one| one.is_good(self.now)) {
                    invitation.state = InvitationState::Revoked;
                }
            }
            _ => {
                let site = usize::from(what / 16 % 2);
                let request = JoinRequest::decode(body);
                let packet = request.and_then(|request| {
                    let packet = SHARED.keys[site].seal_request(SHARED.sites[site], SALT, &request)?;
                    assert_eq!(SHARED.keys[site].open_request(&packet), Some(request));
                    Some(packet)
                });
                if let Some(packet) = packet {
                    self.hears(&packet);
                }
            }
        }
    }

    fn hears(&mut self, packet: &[u8]) {
        let curves = &mut self.curves;
        let mut derive = |_: &InviteSecret, key: PublicKey| {
            *curves += 1;
            let site = SHARED.sites.iter().position(|site| *site == key)?;
            Some(SHARED.keys[site].clone())
        };
        let from = Some(SocketAddr::from(([192, 0, 2, 1], 4000)));
        let heard = self.invitations.hear(packet, from, self.now, &mut derive);
        assert!(self.curves <= MOST_CURVES + self.now.duration_since(self.begin).as_secs());
        let Some(heard) = heard else { return };
        let key = heard.applicant.key;
        assert!(self.invitations.knows(packet) && requester(&heard.packet) == key);
        match &heard.verdict {
            Verdict::Admit(terms) => {
                assert!(self.joined.is_none(), "a second site");
                self.admits(terms, &heard.applicant, &heard.packet);
            }
            Verdict::Admitted => assert_eq!(self.joined, Some(key)),
            Verdict::Answer(answer) => {
                let sealed = heard.seal(SALT, answer);
                let opened = heard.keys.open_answer(&sealed, number(&heard.packet));
                assert_eq!(opened.as_ref(), Some(answer));
            }
        }
    }

    /// Adds the site to the network file, which must get just this site, and answers it.
    fn admits(&mut self, terms: &Terms, applicant: &Applicant, packet: &[u8; LENGTH]) {
        let Shared { token, sites, keys, text, network, .. } = &*SHARED;
        let Ok(site) = SiteEntry::new(network, "nyc", terms, applicant) else { return };
        let mut text = edit::append(text, &site.to_text());
        if terms.inviter_uses {
            text = edit::add_to_list(&text, &["site", "nyc"], "exits", &site.name).expect("a list");
        }
        assert!(
            text.matches("\r\n").count() == text.matches('\n').count() && text.contains("# the first\r\n")
        );
        let mut new = match config::parse(&text) {
            Ok(new) => new,
            // A clash of networks, for example; but what the site has sent is no syntax.
            Err(_) => return drop(edit::set(&text, &["network"], "serial", "2").expect("a file")),
        };
        let key = (applicant.key, None);
        let answer = entry::joined(&new, "nyc", applicant.key, key).expect("the file names the site");
        let own = usize::from(sites[1] == applicant.key);
        let sealed = keys[own].seal_answer(SALT, number(packet), &answer);
        assert_eq!(keys[own].open_answer(&sealed, number(packet)).as_ref(), Some(&answer));
        let JoinAnswer::Joined(joined) = answer else { panic!("{answer:?}") };
        self.is_right(token, &joined, applicant);
        let added = new.sites.remove(&site.name).expect("the new site");
        assert_eq!((added.id, added.public_key), (joined.id, applicant.key));
        if let Some(nyc) = new.sites.get_mut("nyc").filter(|_| terms.inviter_uses) {
            assert_eq!(nyc.exits.pop(), Some(site.name));
        }
        assert_eq!(new, *network);
        self.joined = Some(applicant.key);
        if let Some(invitation) = self.invitations.of(&terms.name) {
            invitation.state = InvitationState::Used(applicant.key);
        }
    }

    fn is_right(&self, token: &Token, joined: &Joined, applicant: &Applicant) {
        let endpoint = applicant.request.endpoint.as_ref();
        let text = entry::provisional_file(token, joined, applicant.key, endpoint);
        assert!(config::parse(&text).is_ok(), "{text}");
        assert!(self.joined.is_none());
    }
}
