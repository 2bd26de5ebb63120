//! New keys of the site `nyc`. The linked site `paris` takes the network file and answers; `oslo` is silent.

use std::os::unix::fs::PermissionsExt as _;
use std::time::SystemTime;

use super::files::{Paris, seed, signed};
use super::*;
use crate::base::net::PublicKey;
use crate::engine::admin_key::ADMIN_KEY_FILE;
use crate::engine::own_key;
use crate::exchange::{Outgoing, OwnFile, OwnStanding, Relation, thanks};
use crate::join::invitations::Terms;
use crate::kernel::wireguard::PeerStatistics;
use crate::nat::seal::PairKey;
use crate::signed::{FileStanding, sign, standing, unsigned};

const ROTATE: ControlRequest = ControlRequest::Rotate { leaves_behind: true };

fn old_key() -> Secret {
    Secret::new([1; 32])
}

/// Begins with the admin key at nyc, and a link to paris that is up.
fn begin(name: &str) -> (Stage, Paris) {
    let stage = Stage::begin(name);
    key_files::save(&stage.folder.join(ADMIN_KEY_FILE), &seed()).unwrap();
    let paris = Paris::begin(&stage);
    let handshake = Some(SystemTime::now());
    let statistics = PeerStatistics { handshake, ..PeerStatistics::default() };
    stage.machine.look().statistics.insert(public_key(&Secret::new([2; 32])), statistics);
    (stage, paris)
}

impl Paris {
    /// Takes the file with the new key of nyc, once it is there. Reports whether it is.
    fn takes(&mut self, new: PublicKey) -> bool {
        self.turn();
        let Some(file) = self.exchange.take_whole() else { return false };
        assert!(file.text.contains(&new.to_string()));
        self.send(&Outgoing { to: 1, salt: [77; 16], message: thanks(&file) });
        self.key = PairKey::derive(&Secret::new([2; 32]), new).unwrap();
        let now = Instant::now();
        self.exchange.follow_file(OwnFile::new(&file.text, file.head.serial, OwnStanding::Signed), now);
        self.exchange.prove(1, now);
        true
    }
}

impl Stage {
    fn begin_rotation(&self) -> PublicKey {
        self.ask(&ROTATE).unwrap()[0].parse().unwrap()
    }

    fn refused(&self, request: &ControlRequest) -> String {
        let answer = self.ask(request);
        answer.expect_err("it must be refused").to_string()
    }

    /// Returns the public keys of the tunnels, each once.
    fn keys_in_force(&self) -> Vec<PublicKey> {
        let machine = self.machine.look();
        let tunnels = machine.state.tunnels.values();
        let mut keys: Vec<_> =
            tunnels.map(|tunnel| public_key(tunnel.private_key.as_ref().unwrap())).collect();
        keys.dedup();
        keys
    }

    fn next_key(&self) -> PathBuf {
        self.folder.join("private.key.next")
    }

    /// Checks that nyc has this key alone, in files for its owner alone.
    fn has_one_key(&self, key: PublicKey) {
        let path = self.folder.join(key_files::PRIVATE_KEY_FILE);
        assert_eq!(key_files::owner(&path), Some(key));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!self.next_key().exists());
        assert_eq!(self.keys_in_force(), [key]);
        assert!(self.matches() && self.read().contains(&key.to_string()));
        assert!(!self.is_left("unconfirmed"));
    }
}

#[test]
fn a_new_key_comes_into_force_when_linked_sites_have_it() {
    let (mut stage, mut paris) = begin("rotate");
    let (before, old) = (stage.read(), public_key(&old_key()));
    let terms = Terms::from_text("rome paris - - 0").unwrap();
    stage.ask(&ControlRequest::Invite(terms)).unwrap();
    let answer = stage.ask(&ROTATE).unwrap();
    let new: PublicKey = answer[0].parse().unwrap();
    assert_eq!(
        answer[1..],
        [
            "carry the network file to site oslo: it has no other link",
            "the token for rome is of no use with the new key: revoke it with `portals invites --revoke \
             rome`, and invite the site again"
        ]
    );
    assert_eq!(fs::metadata(stage.next_key()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(stage.agent_status().is_rotating);
    assert!(stage.refused(&ROTATE).contains("waits"), "one at a time");
    assert_eq!((stage.read(), stage.keys_in_force()), (before, vec![old]), "paris does not have it");

    eventually("paris takes the file", || paris.takes(new));
    eventually("the key is in force for good", || {
        paris.turn();
        !stage.agent_status().is_rotating
    });
    stage.has_one_key(new);
    let text = stage.read();
    let network = crate::config::parse(&text).unwrap();
    assert_eq!((network.serial, network.sites["nyc"].public_key), (2, new));
    assert!(matches!(standing(&text, &network.admins), FileStanding::Signed(_)));
    eventually("paris keeps it, too", || {
        paris.turn();
        paris.exchange.is_proven()
    });

    stage.end();
    let tried = stage.machine.look().tried;
    stage.start();
    assert_eq!(stage.machine.look().tried, tried, "the next agent finds nothing to do");
    stage.has_one_key(new);
    stage.end();
}

#[test]
fn a_second_new_key_waits_for_its_turn() {
    let (mut stage, mut paris) = begin("rotate-twice");
    let first = stage.begin_rotation();
    eventually("paris takes the file", || paris.takes(first));
    eventually("the key is in force for good", || {
        paris.turn();
        !stage.agent_status().is_rotating
    });
    paris.exchange.settle(Instant::now());

    eventually("paris has the same file, and the next key is made", || {
        paris.turn();
        stage.ask(&ROTATE).is_ok()
    });
    let tried = stage.machine.look().tried;
    stage.machine.by_another_hand(|state| state.firewall = None);
    eventually("the change is repaired", || stage.machine.look().tried > tried && stage.matches());
    assert!(stage.agent_status().is_rotating, "the file is the same");
    let second = key_files::owner(&stage.next_key()).expect("it waits beside the first one");
    assert_eq!(key_files::owner(&stage.folder.join(key_files::PRIVATE_KEY_FILE)), Some(first));
    eventually("paris takes the file", || paris.takes(second));
    eventually("the second key is in force for good", || {
        paris.turn();
        !stage.agent_status().is_rotating
    });
    stage.has_one_key(second);
    stage.end();
}

/// The new key cannot be renamed at first, so its only copy is beside the old key.
#[test]
fn a_second_new_key_does_not_replace_the_only_copy_of_the_first_one() {
    let (mut stage, mut paris) = begin("rotate-kept");
    let first = stage.begin_rotation();
    let (path, away) = (stage.folder.join(key_files::PRIVATE_KEY_FILE), stage.folder.join("away"));
    fs::rename(&path, &away).unwrap();
    fs::create_dir(&path).unwrap();
    eventually("paris takes the file", || paris.takes(first));
    eventually("the key is in force for good", || {
        paris.turn();
        !stage.agent_status().is_rotating
    });
    paris.exchange.settle(Instant::now());
    assert_eq!(key_files::owner(&stage.next_key()), Some(first));
    eventually("paris has the same file", || {
        paris.turn();
        stage.file_of_paris() == (Some(2), Relation::Same)
    });
    assert!(stage.refused(&ROTATE).contains("cannot replace"));
    assert_eq!(key_files::owner(&stage.next_key()), Some(first));

    fs::remove_dir(&path).unwrap();
    fs::rename(&away, &path).unwrap();
    let second = stage.begin_rotation();
    assert_eq!(key_files::owner(&path), Some(first));
    assert_eq!(key_files::owner(&stage.next_key()), Some(second));
    stage.end();
}

#[test]
fn a_new_key_that_the_kernel_refuses_is_given_up() {
    let (mut stage, mut paris) = begin("rotate-refused");
    let (before, new) = (stage.read(), stage.begin_rotation());
    {
        let mut machine = stage.machine.look();
        machine.fail_at = Some(machine.tried);
    }
    eventually("paris takes the file", || paris.takes(new));
    eventually("it is given up", || !stage.agent_status().is_rotating);
    let problem = stage.agent_status().file_problem.unwrap();
    assert!(problem.contains("keeps its old key") && problem.contains("portals rotate"), "{problem}");
    eventually("the machine is as before", || stage.matches());
    assert_eq!(stage.read(), before);
    stage.has_one_key(public_key(&old_key()));
    stage.end();
}

#[test]
fn a_change_of_the_file_ends_a_rotation() {
    let (mut stage, _paris) = begin("rotate-changed");
    stage.begin_rotation();
    stage.ask(&ControlRequest::Reload).unwrap();
    assert!(stage.agent_status().is_rotating, "the file is the same");
    stage.write(&signed(5));
    stage.ask(&ControlRequest::Reload).unwrap();
    let status = stage.agent_status();
    assert!(!status.is_rotating);
    let problem = status.file_problem;
    assert!(problem.is_none_or(|problem| problem.contains("keeps its old key")));
    assert_eq!(stage.read(), signed(5));
    stage.has_one_key(public_key(&old_key()));
    stage.end();
}

#[test]
fn a_change_of_the_file_that_is_not_in_force_yet_is_kept() {
    let (mut stage, mut paris) = begin("rotate-saved");
    let new = stage.begin_rotation();
    stage.edit("203.0.113.3", "203.0.113.4");
    let edited = stage.read();
    eventually("paris takes the file", || paris.takes(new));
    eventually("the rotation ends", || !stage.agent_status().is_rotating);
    assert!(stage.agent_status().file_problem.unwrap().contains("was changed meanwhile"));
    assert_eq!(stage.read(), edited);
    assert!(!stage.is_left("undone") && !stage.next_key().exists());
    assert_eq!(stage.keys_in_force(), [public_key(&old_key())]);
    stage.end();
}

/// The rotation itself holds the lock of the file.
#[test]
fn changes_are_not_dropped_while_a_new_key_is_on_its_way() {
    let (mut stage, _paris) = begin("rotate-pull");
    stage.begin_rotation();
    stage.edit("203.0.113.3", "203.0.113.4");
    let edited = stage.read();
    let words = stage.refused(&ControlRequest::Pull);
    assert!(words.contains("is being changed: try again"), "{words}");
    assert_eq!(stage.read(), edited);
    stage.end();
}

/// Each kill leaves these files behind.
#[test]
fn a_start_after_a_kill_takes_the_key_that_the_file_names() {
    let (mut stage, _paris) = begin("rotate-killed");
    let before = stage.read();
    let (old, private) = (public_key(&old_key()), Secret::new([8; 32]));
    let new = public_key(&private);
    let after = sign(
        &unsigned(&before).replace(&old.to_string(), &new.to_string()).replace("serial = 1", "serial = 2"),
        &seed(),
    );
    let copy = |extension: &str| stage_copy(&stage, extension);
    let (confirmed, unconfirmed) = (copy("confirmed"), copy("unconfirmed"));

    stage.end();
    own_key::keep_next(&stage.folder, &private).unwrap();
    stage.start();
    stage.has_one_key(old);

    stage.end();
    own_key::keep_next(&stage.folder, &private).unwrap();
    fs::write(&confirmed, &before).unwrap();
    fs::write(&unconfirmed, &after).unwrap();
    stage.write(&after);
    stage.start();
    assert_eq!(stage.read(), before, "no site has answered");
    stage.has_one_key(old);

    stage.end();
    own_key::keep_next(&stage.folder, &private).unwrap();
    fs::write(&confirmed, &after).unwrap();
    stage.write(&after);
    stage.start();
    assert_eq!(stage.read(), after, "the file is confirmed");
    stage.has_one_key(new);
    stage.end();
}

fn stage_copy(stage: &Stage, extension: &str) -> PathBuf {
    stage.file().with_added_extension(extension)
}

#[test]
fn a_rotation_that_would_cut_sites_off_is_refused() {
    let (mut stage, _paris) = begin("rotate-refusals");
    let words = stage.refused(&ControlRequest::Rotate { leaves_behind: false });
    assert!(
        words.contains("site oslo cannot take") && words.contains("portals rotate --leave-behind"),
        "{words}"
    );

    let before = stage.read();
    stage.edit("203.0.113.3", "203.0.113.4");
    assert!(stage.refused(&ROTATE).contains("finish them with `portals push`"));
    stage.ask(&ControlRequest::Reload).unwrap();
    // A file that nobody has signed is another one than that of paris.
    assert!(stage.refused(&ROTATE).contains("no linked site is up"));
    stage.write(&before);
    stage.ask(&ControlRequest::Apply { file: stage.file(), confirm: None }).unwrap();

    let admin = stage.folder.join(ADMIN_KEY_FILE);
    fs::rename(&admin, stage.folder.join("away")).unwrap();
    let words = stage.refused(&ROTATE);
    assert!(words.contains("admin.key, so no site would take the new key: put"), "{words}");
    fs::rename(stage.folder.join("away"), &admin).unwrap();

    stage.machine.look().statistics = SortedMap::new();
    assert!(stage.refused(&ROTATE).contains("no linked site is up"));
    stage.ask(&ControlRequest::Apply { file: stage.file(), confirm: Some(LIMIT) }).unwrap();
    assert!(stage.refused(&ROTATE).contains("waits to be confirmed"));
    stage.ask(&ControlRequest::Confirm).unwrap();
    stage.has_one_key(public_key(&old_key()));
    stage.end();
}

#[test]
fn a_site_without_links_gets_a_new_key_at_once() {
    let (mut stage, _paris) = begin("rotate-alone");
    let text = unsigned(&stage.read()).split("[site.paris]").next().unwrap().replace(
        "exits = [\"paris\", \"oslo\"]\n[site.nyc.portal.desk]\nexit = [\"paris\", \"oslo\"]",
        "[site.nyc.portal.desk]\nexit = \"direct\"",
    );
    stage.write(&sign(&text, &seed()));
    stage.ask(&ControlRequest::Reload).unwrap();
    let new = stage.begin_rotation();
    assert!(!stage.agent_status().is_rotating);
    assert!(stage.read().contains(&new.to_string()) && !stage.next_key().exists());
    assert_eq!(key_files::owner(&stage.folder.join(key_files::PRIVATE_KEY_FILE)), Some(new));
    assert!(!stage.is_left("unconfirmed"));
    stage.end();
}
