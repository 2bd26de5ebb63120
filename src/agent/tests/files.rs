//! Network files that the linked site `paris` gives: paris is the state machine of the exchange with the real
//! keys, and its packets reach the agent's sockets.

use std::net::SocketAddr;

use super::*;
use crate::control::SiteFile;
use crate::exchange::{Exchange, Outgoing, OwnFile, OwnStanding, Relation};
use crate::kernel::fake::FakeDatagrams;
use crate::kernel::sockets::HelperPacket;
use crate::nat::packet::Header;
use crate::nat::seal::PairKey;
use crate::signed::{admin_public, sign};

pub(super) struct Paris {
    pub(super) exchange: Exchange,
    pub(super) key: PairKey,
    datagrams: FakeDatagrams,
    drawn: u8,
    /// Address at which it exchanges files.
    address: SocketAddr,
}

pub(super) fn seed() -> Secret {
    Secret::new([100; 32])
}

/// Returns the text of the network file with this serial, not signed.
fn text(serial: u64) -> String {
    let (nyc, paris) = (public_key(&Secret::new([1; 32])), public_key(&Secret::new([2; 32])));
    let head =
        format!("subnet = \"10.77.0.0/16\"\nserial = {serial}\nadmins = [\"{}\"]", admin_public(&seed()));
    NETWORK
        .replace("KEY", &nyc.to_string())
        .replace("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=", &paris.to_string())
        .replace("subnet = \"10.77.0.0/16\"", &head)
}

pub(super) fn signed(serial: u64) -> String {
    sign(&text(serial), &seed())
}

fn own(text: &str, serial: u64) -> OwnFile {
    OwnFile::new(text, serial, OwnStanding::Signed)
}

fn at_nyc() -> SocketAddr {
    "10.77.1.1:52075".parse().unwrap()
}

impl Paris {
    /// Links paris with the agent of a stage, whose file has serial 1.
    pub(super) fn begin(stage: &Stage) -> Self {
        stage.write(&signed(1));
        stage.ask(&ControlRequest::Reload).unwrap();
        let mut exchange = Exchange::new(own(&signed(1), 1));
        exchange.follow_peers(&[1], Instant::now());
        let key = PairKey::derive(&Secret::new([2; 32]), public_key(&Secret::new([1; 32]))).unwrap();
        let datagrams = stage.machine.look().datagrams.clone();
        let address = "10.77.2.1:52075".parse().unwrap();
        let mut paris = Self { exchange, key, datagrams, drawn: 0, address };
        eventually("the sites know each other's file", || {
            paris.turn();
            stage.file_of_paris() == (Some(1), Relation::Same)
        });
        paris
    }

    fn offer(&mut self, text: &str, serial: u64) {
        self.exchange.follow_file(own(text, serial), Instant::now());
    }

    /// Takes the packets that the agent has sent to it, and sends its own.
    pub(super) fn turn(&mut self) {
        let now = Instant::now();
        let drawn = &mut self.drawn;
        let mut random = || {
            *drawn = drawn.wrapping_add(1);
            [*drawn; 16]
        };
        let mut packets = Vec::new();
        for HelperPacket { from, to, packet } in self.datagrams.take_sent_by_helper() {
            assert_eq!(from, at_nyc());
            let header = Header::decode(&packet).unwrap();
            if to == self.address && header.to == 2 {
                // A packet from before a new key.
                let Some(message) = self.key.open(&header, &packet) else { continue };
                packets.extend(self.exchange.receive(1, header.number(), message, now, &mut random));
            }
        }
        packets.extend(self.exchange.turn(now, &mut random));
        for packet in &packets {
            self.send(packet);
        }
    }

    pub(super) fn send(&self, Outgoing { to, salt, message }: &Outgoing) {
        let packet = self.key.seal(2, *to, *salt, message);
        self.datagrams.deliver_to_helper(HelperPacket { from: self.address, to: at_nyc(), packet });
    }
}

impl Stage {
    pub(super) fn file_of_paris(&self) -> (Option<u64>, Relation) {
        let files = self.agent_status().files;
        let paris = |file: &&SiteFile| file.site == "paris";
        files.iter().find(paris).map_or((None, Relation::Unknown), |file| (file.serial, file.relation))
    }

    pub(super) fn is_left(&self, extension: &str) -> bool {
        self.file().with_added_extension(extension).exists()
    }
}

#[test]
fn a_newer_signed_file_is_applied_and_kept_once_its_giver_has_answered() {
    let mut stage = Stage::begin("file-taken");
    let mut paris = Paris::begin(&stage);
    // The portal moves, so the file has an effect on the kernel.
    let newer = sign(&text(2).replace(r#"exit = ["paris", "oslo"]"#, r#"exit = "oslo""#), &seed());
    paris.offer(&newer, 2);
    eventually("the file is taken for good", || {
        paris.turn();
        stage.read() == newer && stage.agent_status().unconfirmed.is_none() && !stage.is_left("unconfirmed")
    });
    assert_eq!(stage.exit_of_desk(), "oslo");
    assert!(stage.matches());
    eventually("paris knows", || {
        paris.turn();
        paris.exchange.tell() == [(1, Some(2), Relation::Same)]
    });
    assert_eq!(stage.agent_status().file_problem, None);
    stage.end();
    let confirmed = fs::read_to_string(stage.file().with_added_extension("confirmed")).unwrap();
    assert_eq!(confirmed, newer);
}

/// The file moves the port at which paris exchanges files, and paris cannot know that yet.
#[test]
fn a_site_gets_the_file_that_changes_its_port() {
    let mut stage = Stage::begin("file-port");
    let mut paris = Paris::begin(&stage);
    let newer = sign(&text(2).replace("[site.paris]\n", "[site.paris]\nport = 51000\n"), &seed());
    assert!(newer.contains("port = 51000"));
    stage.write(&newer);
    stage.ask(&ControlRequest::Reload).unwrap();
    let mut taken = None;
    eventually("paris has fetched the file", || {
        paris.turn();
        taken = paris.exchange.take_whole();
        taken.is_some()
    });
    assert_eq!(taken.unwrap().text, newer);
    // With the file, paris moves to that port.
    paris.address.set_port(51255);
    paris.offer(&newer, 2);
    eventually("the sites know each other's file", || {
        paris.turn();
        stage.file_of_paris() == (Some(2), Relation::Same)
            && paris.exchange.tell() == [(1, Some(2), Relation::Same)]
    });
    stage.end();
}

#[test]
fn files_that_no_admin_has_signed_are_refused() {
    let mut stage = Stage::begin("file-refused");
    let mut paris = Paris::begin(&stage);
    let foreign = sign(&text(4), &Secret::new([101; 32]));
    let altered = signed(5).replace("203.0.113.3", "203.0.113.4");
    for (offered, serial) in [(text(3), 3), (foreign, 4), (altered, 5)] {
        paris.offer(&offered, serial);
        let words = format!("with serial {serial} from paris is not taken: no admin");
        eventually("it is refused", || {
            paris.turn();
            stage.agent_status().file_problem.is_some_and(|problem| problem.contains(&words))
        });
        assert_eq!(stage.read(), signed(1));
    }
    stage.end();
}

#[test]
fn a_file_that_cannot_be_applied_is_undone() {
    let mut stage = Stage::begin("file-undone");
    let mut paris = Paris::begin(&stage);
    let newer = sign(&text(2).replace(r#"exit = ["paris", "oslo"]"#, r#"exit = "oslo""#), &seed());
    {
        let mut machine = stage.machine.look();
        machine.fail_at = Some(machine.tried);
    }
    paris.offer(&newer, 2);
    eventually("it is refused", || {
        paris.turn();
        stage.agent_status().file_problem.is_some_and(|problem| problem.contains("is not taken"))
    });
    assert_eq!(stage.read(), signed(1));
    assert!(!stage.is_left("unconfirmed"));
    eventually("the file before it is in force", || stage.matches());
    stage.end();
}

#[test]
fn a_file_that_was_changed_here_stays_until_it_is_dropped() {
    let mut stage = Stage::begin("file-edited");
    let mut paris = Paris::begin(&stage);
    let edited = signed(1).replace("203.0.113.3", "203.0.113.4");
    stage.write(&edited);
    stage.ask(&ControlRequest::Reload).unwrap();
    assert!(stage.agent_status().file_problem.unwrap().contains("changed here"));
    paris.offer(&signed(2), 2);
    eventually("the newer file is known", || {
        paris.turn();
        stage.file_of_paris() == (Some(2), Relation::Newer)
    });
    assert_eq!(stage.read(), edited);
    stage.ask(&ControlRequest::Pull).unwrap();
    eventually("the changes are dropped", || {
        paris.turn();
        stage.read() == signed(2) && stage.agent_status().unconfirmed.is_none()
    });
    stage.end();
}
