//! New sites that join, with packets to the port of helpers.

use std::net::SocketAddr;
use std::rc::Rc;

use super::*;
use crate::base::net::PublicKey;
use crate::control::{InvitationStatus, Stage as Progress};
use crate::engine::admin_key::ADMIN_KEY_FILE;
use crate::join::invitations::Terms;
use crate::join::packet::{JoinAnswer, JoinKeys, JoinRequest, Joined, LENGTH, number};
use crate::join::paste;
use crate::join::token::Token;
use crate::kernel::sockets::HelperPacket;
use crate::signed::{self, FileStanding};

/// Port at which nyc answers.
const DOOR: u16 = 52075;

/// Admin key of the network.
fn admin() -> Secret {
    Secret::new([9; 32])
}

/// Site nyc, which can be dialled and has the admin key.
fn begin(name: &str) -> Stage {
    let stage = Stage::begin(name);
    let text = stage
        .read()
        .replace(
            "[site.nyc]",
            &format!("admins = [\"{}\"]\nserial = 1\n[site.nyc]", signed::admin_public(&admin())),
        )
        .replace("id = 1\n", "id = 1\nendpoint = \"192.0.2.1\"\n");
    stage.write(&signed::sign(&text, &admin()));
    key_files::save(&stage.folder.join(ADMIN_KEY_FILE), &admin()).unwrap();
    stage.ask(&ControlRequest::Reload).unwrap();
    stage
}

fn terms(text: &str) -> ControlRequest {
    ControlRequest::Invite(Terms::from_text(text).unwrap())
}

impl Stage {
    fn invite(&self, terms_text: &str) -> Token {
        self.ask(&terms(terms_text)).unwrap()[0].parse().unwrap()
    }

    fn network(&self) -> crate::config::model::Network {
        crate::config::parse(&self.read()).unwrap()
    }

    fn progress(&self, name: &str) -> Progress {
        let all = InvitationStatus::from_fields(&self.ask(&ControlRequest::Invitations).unwrap()).unwrap();
        all.iter().rev().find(|one| one.name == name).unwrap().stage
    }

    /// Sends packets to the door, and returns the packets that leave it.
    fn send(&self, packets: &[&[u8]]) -> Vec<Vec<u8>> {
        let from: SocketAddr = "198.51.100.77:4000".parse().unwrap();
        let to = SocketAddr::new("192.0.2.1".parse().unwrap(), DOOR);
        for packet in packets {
            let packet = HelperPacket { from, to, packet: packet.to_vec() };
            assert!(self.machine.look().datagrams.deliver_to_helper(packet));
        }
        // Each of these answers comes after a turn of all sources.
        for _ in 0..3 {
            self.agent_status();
        }
        self.take_sent(|packet| packet.to == from)
    }

    /// Returns the packets that have left the ports of the agent, without the offers of the network file.
    fn take_sent(&self, is_wanted: impl Fn(&HelperPacket) -> bool) -> Vec<Vec<u8>> {
        let mut sent = self.machine.look().datagrams.take_sent_by_helper();
        sent.retain(is_wanted);
        sent.into_iter().map(|sent| sent.packet).collect()
    }
}

/// New site with this private key.
struct Newcomer {
    keys: JoinKeys,
    own: PublicKey,
}

impl Newcomer {
    fn new(byte: u8, token: &Token) -> Self {
        let key = Secret::new([byte; 32]);
        Self { keys: JoinKeys::derive(&token.secret, &key, token.inviter).unwrap(), own: public_key(&key) }
    }

    fn request(&self, salt: u8, request: &JoinRequest) -> [u8; LENGTH] {
        self.keys.seal_request(self.own, [salt; 16], request).unwrap()
    }

    /// Asks once, and returns the answer.
    fn ask(&self, stage: &Stage, request: &JoinRequest) -> JoinAnswer {
        let packet = self.request(5, request);
        let answers = stage.send(&[&packet]);
        let [answer] = answers.as_slice() else { panic!("{} answers", answers.len()) };
        self.keys.open_answer(answer.as_slice().try_into().unwrap(), number(&packet)).unwrap()
    }

    fn joins(&self, stage: &Stage) -> Rc<Joined> {
        match self.ask(stage, &JoinRequest::default()) {
            JoinAnswer::Joined(joined) => joined,
            answer => panic!("{answer:?}"),
        }
    }
}

#[test]
fn a_site_joins_with_one_packet() {
    let mut stage = begin("join");
    let token = stage.invite("rome nyc - - 1");
    assert_eq!(token.door.as_ref().map(|door| door.port), Some(DOOR));
    let rome = Newcomer::new(20, &token);
    let joined = rome.joins(&stage);
    assert_eq!((joined.name.as_str(), joined.id, joined.inviter.as_str()), ("rome", 4, "nyc"));
    assert!(joined.uses_inviter && joined.inviter_uses);
    let text = stage.read();
    let network = stage.network();
    assert_eq!(network.sites["rome"].public_key, rome.own);
    assert_eq!(network.sites["nyc"].exits, ["paris", "oslo", "rome"]);
    assert_eq!((network.serial, joined.serial), (2, 2));
    let admin = signed::admin_public(&admin());
    assert_eq!(signed::standing(&text, &network.admins), FileStanding::Signed(admin));
    assert_eq!(joined.admin, admin);
    assert!(stage.matches(), "the file is in force");

    // A replay of the packet, and a thief of the token.
    assert_eq!(rome.joins(&stage), joined);
    let thief = Newcomer::new(21, &token);
    assert_eq!(thief.ask(&stage, &JoinRequest::default()), JoinAnswer::Used);
    assert_eq!(stage.read(), text, "no second site");
    assert_eq!(stage.progress("rome"), Progress::Used);

    // The token survives the agent, and is as useless as before.
    stage.end();
    stage.start();
    assert_eq!(rome.joins(&stage), joined);
    assert_eq!(thief.ask(&stage, &JoinRequest::default()), JoinAnswer::Used);

    // A site that was removed does not come back.
    let without = crate::config::edit::remove(&stage.read(), &["site", "rome"]).unwrap();
    let without = without.replace(", \"rome\"]", "]");
    stage.write(&signed::sign(&without, &self::admin()));
    stage.ask(&ControlRequest::Reload).unwrap();
    assert_eq!(rome.ask(&stage, &JoinRequest::default()), JoinAnswer::Revoked);
    stage.end();
}

/// A power cut comes after the file was written, and before the token counts as used.
#[test]
fn a_site_that_is_in_the_file_already_joins_again() {
    let mut stage = begin("cut");
    let token = stage.invite("rome nyc - - 0");
    let (invites, rome) = (stage.file().with_added_extension("invites"), Newcomer::new(20, &token));
    let before = fs::read(&invites).unwrap();
    let joined = rome.joins(&stage);
    let text = stage.read();
    stage.end();
    fs::write(&invites, before).unwrap();
    stage.start();
    assert_eq!(stage.progress("rome"), Progress::Open);
    assert_eq!(rome.joins(&stage), joined);
    assert_eq!(stage.read(), text);
    assert_eq!(Newcomer::new(21, &token).ask(&stage, &JoinRequest::default()), JoinAnswer::Used);
    stage.end();
}

#[test]
fn strangers_get_silence() {
    let mut stage = begin("strangers");
    let token = stage.invite("rome nyc - - 0");
    let rome = Newcomer::new(20, &token);
    let good = rome.request(5, &JoinRequest::default());
    let mut other_secret = good;
    other_secret[40] ^= 1;
    let mut unknown = good;
    unknown[24] ^= 1;
    let before = stage.read();
    let mut flood = Vec::new();
    for number in 0..200_u8 {
        let mut packet = unknown;
        packet[25] = number;
        flood.push(packet);
    }
    let mut packets: Vec<&[u8]> = flood.iter().map(|packet| &packet[..]).collect();
    packets.extend([&other_secret[..], &good[..LENGTH - 1], &[]]);
    assert_eq!(stage.send(&packets), Vec::<Vec<u8>>::new());
    assert_eq!(stage.read(), before);
    assert_eq!(stage.progress("rome"), Progress::Open);
    rome.joins(&stage);
    stage.end();
}

#[test]
fn a_revoked_token_brings_nobody_in() {
    let mut stage = begin("revoked");
    let token = stage.invite("rome nyc - - 0");
    let again = stage.ask(&terms("rome nyc - - 0")).unwrap_err();
    assert!(again.to_string().contains("portals invites --revoke rome"), "{again}");
    stage.ask(&ControlRequest::Revoke("rome".to_owned())).unwrap();
    let rome = Newcomer::new(20, &token);
    assert_eq!(rome.ask(&stage, &JoinRequest::default()), JoinAnswer::Revoked);
    // Another token for the same name is good.
    Newcomer::new(20, &stage.invite("rome nyc - - 0")).joins(&stage);
    let used = stage.ask(&ControlRequest::Revoke("rome".to_owned())).unwrap_err();
    assert!(used.to_string().contains("portals site remove"), "{used}");
    let unknown = stage.ask(&ControlRequest::Revoke("bonn".to_owned())).unwrap_err();
    assert!(unknown.to_string().contains("there is no token for bonn"), "{unknown}");
    stage.end();
}

#[test]
fn a_person_says_yes() {
    let mut stage = begin("yes");
    let token = stage.invite("rome nyc - - 2");
    let rome = Newcomer::new(20, &token);
    assert!(stage.ask(&ControlRequest::Allow("rome".to_owned())).is_err(), "nobody has asked");
    assert_eq!(rome.ask(&stage, &JoinRequest::default()), JoinAnswer::Waits);
    assert_eq!(stage.progress("rome"), Progress::Waits);
    assert!(!stage.network().sites.contains_key("rome"));
    let thief = Newcomer::new(21, &token);
    assert_eq!(thief.ask(&stage, &JoinRequest::default()), JoinAnswer::Waits);
    assert_eq!(stage.ask(&ControlRequest::Allow("rome".to_owned())).unwrap(), ["rome"]);
    rome.joins(&stage);
    assert_eq!(thief.ask(&stage, &JoinRequest::default()), JoinAnswer::Used);
    stage.end();
}

#[test]
fn a_site_that_does_not_fit_hears_why() {
    let mut stage = begin("refused");
    let token = stage.invite("rome nyc - - 0");
    let rome = Newcomer::new(20, &token);
    let before = stage.read();
    let named = |name: &str| JoinRequest { name: Some(name.to_owned()), ..JoinRequest::default() };
    let JoinAnswer::Refused(reason) = rome.ask(&stage, &named("paris")) else { panic!("refused") };
    assert!(reason.contains("another site is called paris"), "{reason}");
    assert_eq!(stage.read(), before);
    assert_eq!(stage.progress("rome"), Progress::Open, "the site may ask for another name");
    stage.end();
}

/// Half an edit of a person is neither signed nor put in force by a packet of others.
#[test]
fn unfinished_edits_are_left_alone() {
    let mut stage = begin("edited");
    let token = stage.invite("rome nyc - - 0");
    stage.edit("down_after = 1", "down_after = 2");
    let edited = stage.read();
    let rome = Newcomer::new(20, &token);
    let JoinAnswer::Refused(reason) = rome.ask(&stage, &JoinRequest::default()) else { panic!("refused") };
    assert!(reason.contains("its log tells why") && !reason.contains("network.toml"), "{reason}");
    assert_eq!(stage.read(), edited);
    stage.end();
}

/// The kernel refuses a step of the admission.
#[test]
fn a_failed_admission_leaves_the_former_file() {
    let mut stage = begin("failed");
    let token = stage.invite("rome nyc - - 1");
    let before = stage.read();
    {
        let mut machine = stage.machine.look();
        machine.fail_at = Some(machine.tried);
    }
    let rome = Newcomer::new(20, &token);
    assert!(matches!(rome.ask(&stage, &JoinRequest::default()), JoinAnswer::Refused(_)));
    assert_eq!(stage.read(), before);
    eventually("the machine matches the former file", || stage.matches());
    assert_eq!(stage.progress("rome"), Progress::Open);
    stage.end();
}

#[test]
fn only_the_site_with_the_admin_key_invites() {
    let mut stage = begin("key");
    let token = stage.invite("rome nyc - - 0");
    for (wrong, words) in [
        ("paris nyc - - 0", "another site is called paris"),
        ("bonn nice - - 0", "nice"),
        ("direct nyc - - 0", "direct"),
        ("bonn - - eth1 0", "a portal needs an exit"),
        ("bonn nyc 10.77.9.0/24 - 0", "overlaps `subnet`"),
    ] {
        let errors = stage.ask(&terms(wrong)).unwrap_err().to_string();
        assert!(errors.contains(words), "{errors}");
    }
    fs::remove_file(stage.folder.join(ADMIN_KEY_FILE)).unwrap();
    let errors = stage.ask(&terms("bonn nyc - - 0")).unwrap_err().to_string();
    assert!(errors.contains("admin.key: invite at the site that has it"), "{errors}");
    let rome = Newcomer::new(20, &token);
    assert!(matches!(rome.ask(&stage, &JoinRequest::default()), JoinAnswer::Refused(_)));
    assert!(!stage.network().sites.contains_key("rome"));

    let text = stage.read();
    let plain: String = text.split_inclusive('\n').filter(|line| !line.starts_with("admins")).collect();
    stage.write(signed::unsigned(&plain));
    stage.ask(&ControlRequest::Reload).unwrap();
    let errors = stage.ask(&terms("bonn nyc - - 0")).unwrap_err().to_string();
    assert!(errors.contains("portals sign --create"), "{errors}");
    stage.end();
}

/// The answer leaves for the site's addresses until the site sends its request back.
#[test]
fn a_pasted_request_gets_its_answer() {
    let mut stage = begin("paste");
    stage.edit("endpoint = \"192.0.2.1\"\n", "");
    stage.write(&signed::sign(&stage.read(), &admin()));
    stage.ask(&ControlRequest::Reload).unwrap();
    let token = stage.invite("rome nyc - - 0");
    assert_eq!(token.door, None);
    let rome = Newcomer::new(20, &token);
    let wishes = JoinRequest {
        endpoint: crate::config::endpoint_host("198.51.100.20"),
        addresses: vec!["192.168.7.2".parse().unwrap()],
        ..JoinRequest::default()
    };
    let request = rome.request(5, &wishes);
    let pasted = paste::to_text(&request).to_string();
    assert_eq!(stage.ask(&ControlRequest::Accept(pasted.clone())).unwrap(), ["rome"]);
    let to = ["192.168.7.2:52075", "198.51.100.20:52075"].map(|to| to.parse::<SocketAddr>().unwrap());
    let mut packets = Vec::new();
    eventually("the answer leaves", || {
        packets.extend(stage.take_sent(|packet| to.contains(&packet.to)));
        packets.len() >= 2
    });
    let answer = packets[0].as_slice().try_into().unwrap();
    let answer = rome.keys.open_answer(answer, number(&request));
    assert!(matches!(answer, Some(JoinAnswer::Joined(joined)) if joined.id == 4));
    assert_eq!(stage.network().sites["rome"].public_key, rome.own);

    let (from, to) = ("198.51.100.20:52075".parse().unwrap(), "192.0.2.1:0".parse().unwrap());
    let heard =
        |packet: Vec<u8>| stage.machine.look().datagrams.deliver_to_helper(HelperPacket { from, to, packet });
    assert!(heard(vec![0; LENGTH]), "packets of others do not count");
    stage.agent_status();
    assert!(heard(request.to_vec()));
    eventually("the socket is closed", || !stage.machine.look().datagrams.helper_ports().contains(&0));

    assert_eq!(stage.ask(&ControlRequest::Accept(pasted)).unwrap(), ["rome"], "a second paste does no harm");
    let thief = Newcomer::new(21, &token);
    let pasted = paste::to_text(&thief.request(5, &wishes)).to_string();
    let errors = stage.ask(&ControlRequest::Accept(pasted)).unwrap_err().to_string();
    assert!(errors.contains("was used by another site"), "{errors}");
    for (wrong, words) in [("a1.AAAA", "is cut off"), ("p1.AAAA", "portals join"), ("", "is no answer")] {
        let errors = stage.ask(&ControlRequest::Accept(wrong.to_owned())).unwrap_err().to_string();
        assert!(errors.contains(words), "{errors}");
    }
    stage.end();
}

/// Nobody has seen a token that cannot be kept.
#[test]
fn a_token_that_cannot_be_kept_is_not_in_the_way() {
    let mut stage = begin("unkept");
    let kept = stage.file().with_added_extension("invites");
    fs::create_dir(&kept).unwrap();
    let errors = stage.ask(&terms("rome nyc - - 0")).unwrap_err().to_string();
    assert!(errors.contains("cannot write"), "{errors}");
    fs::remove_dir(&kept).unwrap();
    stage.invite("rome nyc - - 0");
    stage.end();
}
