//! Tokens, requests, and the decisions of the inviting site.

mod entries;
mod hostile;
mod texts;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::entry::{self, SiteEntry};
use super::invitations::{Heard, InvitationState, Invitations, LIFE, Terms, Verdict};
use super::packet::{JoinAnswer, JoinKeys, JoinRequest, Joined, LENGTH, number};
use super::token::{Door, InviteSecret, Token};
use crate::base::keys::public_key;
use crate::base::net::{PublicKey, Secret};
use crate::config::model::{EndpointHost, Mtu, Name};

const SECOND: Duration = Duration::from_secs(1);

fn secret(byte: u8) -> Secret {
    Secret::new([byte; 32])
}

fn key(byte: u8) -> PublicKey {
    public_key(&secret(byte))
}

fn host(text: &str) -> EndpointHost {
    crate::config::endpoint_host(text).unwrap()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn names(names: &[&str]) -> Vec<Name> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn terms(name: &str) -> Terms {
    Terms {
        name: name.to_owned(),
        exits: names(&["nyc"]),
        lan: Vec::new(),
        portal: None,
        inviter_uses: false,
        confirm: false,
    }
}

fn token() -> Token {
    let door = Door { host: host("203.0.113.9"), port: 52075 };
    Token { secret: InviteSecret::new([9; 16]), inviter: key(1), door: Some(door) }
}

/// Answer with everything in it, as long as it can be.
fn joined() -> Joined {
    Joined {
        name: "twelve-chars".to_owned(),
        id: 250,
        inviter: "sixty-twelve".to_owned(),
        inviter_id: 1,
        port: 65_280,
        uses_inviter: true,
        inviter_uses: true,
        network: "sixteen-of-chars".to_owned(),
        subnet: "10.77.0.0/16".parse().unwrap(),
        subnet6: Some("fd77:1:2::/48".parse().unwrap()),
        mtu: Mtu::Fixed(1420),
        admin: key(7),
        secret: Some(secret(8)),
        serial: (1 << 53) - 1,
    }
}

/// Inviting site, and the time there.
struct Inviter {
    now: Instant,
    invitations: Invitations,
    /// Number of multiplications on the curve so far.
    curves: usize,
}

impl Inviter {
    /// Begins with one invitation, of [`token`].
    fn new(terms: Terms) -> Self {
        let (now, mut invitations) = (Instant::now(), Invitations::default());
        assert!(invitations.add(token().secret.clone(), terms, now));
        Self { now, invitations, curves: 0 }
    }

    fn hear(&mut self, packet: &[u8]) -> Option<Heard> {
        let curves = &mut self.curves;
        let mut derive = |invitation: &InviteSecret, other: PublicKey| {
            *curves += 1;
            JoinKeys::derive(invitation, &secret(1), other)
        };
        self.invitations.hear(packet, Some(address("198.51.100.2:1024")), self.now, &mut derive)
    }

    /// Hears a packet, and admits its site if it may join. Returns the answer in words.
    fn answer(&mut self, packet: &[u8]) -> &'static str {
        let Some(heard) = self.hear(packet) else { return "silence" };
        match heard.verdict {
            Verdict::Admit(_) => {
                self.invitations.of(&heard.name).unwrap().state = InvitationState::Used(heard.applicant.key);
                "joined"
            }
            Verdict::Admitted => "joined again",
            Verdict::Answer(JoinAnswer::Waits) => "waits",
            Verdict::Answer(JoinAnswer::Used) => "used",
            Verdict::Answer(JoinAnswer::Expired) => "expired",
            Verdict::Answer(JoinAnswer::Revoked) => "revoked",
            Verdict::Answer(answer) => panic!("{answer:?}"),
        }
    }
}

/// Keys of the new site with this private key.
fn keys(byte: u8) -> JoinKeys {
    JoinKeys::derive(&token().secret, &secret(byte), token().inviter).unwrap()
}

/// Request of the new site with this private key.
fn request(byte: u8, salt: u8) -> [u8; LENGTH] {
    keys(byte).seal_request(key(byte), [salt; 16], &JoinRequest::default()).unwrap()
}

#[test]
fn a_site_joins_with_one_request() {
    let mut inviter = Inviter::new(terms("paris"));
    let packet = request(2, 5);
    let heard = inviter.hear(&packet).unwrap();
    assert_eq!((heard.name.as_str(), heard.applicant.key), ("paris", key(2)));
    assert_eq!(heard.verdict, Verdict::Admit(terms("paris")));
    for answer in [
        JoinAnswer::Joined(Rc::new(joined())),
        JoinAnswer::Waits,
        JoinAnswer::Used,
        JoinAnswer::Expired,
        JoinAnswer::Revoked,
        JoinAnswer::Refused("paris is there already".to_owned()),
    ] {
        let sealed = heard.seal([6; 16], &answer);
        assert!(sealed.len() <= packet.len());
        assert_eq!(keys(2).open_answer(&sealed, number(&packet)), Some(answer));
    }
}

#[test]
fn a_token_is_good_for_one_site() {
    let mut inviter = Inviter::new(terms("paris"));
    assert_eq!(inviter.answer(&request(2, 5)), "joined");
    assert_eq!(inviter.answer(&request(2, 5)), "joined again", "a replay");
    assert_eq!(inviter.answer(&request(2, 6)), "joined again", "a new request of the same site");
    assert_eq!(inviter.answer(&request(3, 5)), "used");
}

#[test]
fn a_token_expires() {
    let mut inviter = Inviter::new(terms("paris"));
    inviter.now += LIFE.checked_sub(SECOND).unwrap();
    assert!(inviter.invitations.of("paris").unwrap().is_good(inviter.now));
    assert!(matches!(inviter.hear(&request(2, 5)).unwrap().verdict, Verdict::Admit(_)));
    inviter.now += SECOND;
    assert!(!inviter.invitations.of("paris").unwrap().is_good(inviter.now));
    assert_eq!(inviter.answer(&request(2, 5)), "expired");
    inviter.now += LIFE;
    assert_eq!(inviter.answer(&request(2, 5)), "silence", "it is forgotten");
    assert!(inviter.invitations.forget(inviter.now));
    assert!(!inviter.invitations.knows(&request(2, 5)));
}

/// A site that has joined just before the end may not have got its answer.
#[test]
fn a_site_gets_its_answer_again_after_the_end() {
    let mut inviter = Inviter::new(terms("paris"));
    assert_eq!(inviter.answer(&request(2, 5)), "joined");
    inviter.now += LIFE;
    assert_eq!(inviter.answer(&request(2, 5)), "joined again");
    assert_eq!(inviter.answer(&request(3, 5)), "used");
}

#[test]
fn a_person_may_decide() {
    let mut inviter = Inviter::new(Terms { confirm: true, ..terms("paris") });
    let begins = |inviter: &mut Inviter, packet: [u8; LENGTH]| inviter.hear(&packet).unwrap().begins_to_wait;
    assert!(begins(&mut inviter, request(2, 5)), "the person is told");
    assert!(!begins(&mut inviter, request(2, 6)), "the person knows");
    assert_eq!(inviter.answer(&request(2, 5)), "waits");
    assert_eq!(inviter.answer(&request(3, 5)), "waits", "the person sees the first site only");
    let waits = inviter.invitations.of("paris").unwrap();
    let InvitationState::Waits(applicant) = &waits.state else { panic!("{:?}", waits.state) };
    assert_eq!((applicant.key, applicant.from), (key(2), Some(address("198.51.100.2:1024"))));
    waits.state = InvitationState::Used(key(2));
    assert_eq!(inviter.answer(&request(2, 5)), "joined again");
    assert_eq!(inviter.answer(&request(3, 5)), "used");
    inviter.invitations.of("paris").unwrap().state = InvitationState::Revoked;
    assert_eq!(inviter.answer(&request(2, 5)), "revoked");
}

#[test]
fn a_request_holds_the_wishes_of_the_site() {
    let wishes = JoinRequest {
        name: Some("twelve-chars".to_owned()),
        endpoint: Some(host("a-router-with-a-long-name.at-home.example.net")),
        lan: vec!["192.168.1.0/24".parse().unwrap(), "fd00::/64".parse().unwrap()],
        portal: Some("enp0s31f6.1234".parse().unwrap()),
        addresses: ["192.168.1.2", "10.0.0.2"].map(|address| address.parse().unwrap()).to_vec(),
    };
    let mut inviter = Inviter::new(terms("paris"));
    let packet = keys(2).seal_request(key(2), [5; 16], &wishes).unwrap();
    assert_eq!(inviter.hear(&packet).unwrap().applicant.request, wishes);
    let long = JoinRequest { endpoint: Some(host(&["a".repeat(60), "b".repeat(60)].join("."))), ..wishes };
    assert!(keys(2).seal_request(key(2), [5; 16], &long).is_none());
}

#[test]
fn an_invitation_survives_a_restart() {
    let mut inviter = Inviter::new(Terms {
        exits: names(&["nyc", "oslo"]),
        lan: vec!["192.168.1.0/24".parse().unwrap()],
        portal: Some("eth1".parse().unwrap()),
        inviter_uses: true,
        confirm: true,
        ..terms("paris")
    });
    for (name, state) in [
        ("rome", InvitationState::Used(key(3))),
        ("bonn", InvitationState::Revoked),
        ("nice", InvitationState::Open),
    ] {
        assert!(inviter.invitations.add(InviteSecret::new([1; 16]), terms(name), inviter.now));
        inviter.invitations.of(name).unwrap().state = state;
    }
    let read = |text: &str, now| {
        let invitations = Invitations::from_text(text, now);
        let known: Vec<_> = invitations
            .all()
            .iter()
            .map(|one| (one.terms.clone(), one.state.clone(), one.left(now)))
            .collect();
        known
    };
    let later = inviter.now + Duration::from_hours(3);
    let text = inviter.invitations.to_text(later);
    // The monotonic clock begins anew with each start of the machine.
    let started = inviter.now + Duration::from_hours(1000);
    let known = read(&text, started);
    assert_eq!(known.len(), 4);
    for ((terms, state, left), before) in known.iter().zip(inviter.invitations.all()) {
        assert_eq!((terms, state), (&before.terms, &before.state));
        assert_eq!(*left, Duration::from_hours(21));
    }
    inviter.invitations = Invitations::from_text(&text, started);
    inviter.now = started;
    assert_eq!(inviter.answer(&request(2, 5)), "waits");
}
