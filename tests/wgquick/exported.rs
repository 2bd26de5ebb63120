//! Keys in the files of `portals export`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use wg_portals::base::keys;
use wg_portals::base::net::Secret;
use wg_portals::system::key_files;

/// A folder with the files of site nyc, whose key consists of ones; removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = env::temp_dir().join(format!("portals-export-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let key = |id: u8| keys::public_key(&Secret::new([id; 32]));
        let network = format!(
            "[network]\nname = \"home\"\nsubnet = \"10.77.0.0/16\"\n\n\
             [site.nyc]\nid = 1\npublic_key = \"{}\"\nendpoint = \"192.0.2.1\"\nexits = [\"oslo\"]\n\n\
             [site.oslo]\nid = 3\npublic_key = \"{}\"\n",
            key(1),
            key(3)
        );
        fs::write(folder.join("network.toml"), network).unwrap();
        key_files::save(&folder.join("private.key"), &Secret::new([1; 32])).unwrap();
        Self(folder)
    }

    fn export(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portals"));
        command.args(["--config", "network.toml", "export"]).args(arguments).current_dir(&self.0);
        command.output().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_private_key_goes_into_a_file_of_mode_600_only() {
    let folder = Folder::new("own");
    let key = Secret::new([1; 32]).to_base64();
    let shown = folder.export(&["nyc"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.starts_with("[Interface]\n# nyc of network home, to oslo"), "{shown}");
    assert!(shown.contains("\nPrivateKey = <the private key goes here>\n") && !shown.contains(key.as_str()));
    assert!(folder.export(&["nyc", "--to", "."]).status.success());
    let file = folder.0.join("to-oslo.conf");
    assert_eq!(mode(&file), 0o600);
    let written = fs::read_to_string(&file).unwrap();
    assert_eq!(written, shown.replace("<the private key goes here>", &key));
    assert!(folder.export(&["oslo", "--to", "."]).status.success());
    assert!(!fs::read_to_string(folder.0.join("portals0.conf")).unwrap().contains(key.as_str()));
}

#[test]
fn a_pre_shared_key_is_not_shown() {
    let folder = Folder::new("shared");
    let secret = Secret::new([9; 32]);
    key_files::save(&folder.0.join("network.secret"), &secret).unwrap();
    let Output { status, stdout, stderr } = folder.export(&["oslo"]);
    let words = String::from_utf8(stderr).unwrap();
    assert!(status.code() == Some(2) && stdout.is_empty() && words.contains("--to FOLDER"), "{words}");
    assert!(folder.export(&["oslo", "--to", "."]).status.success());
    let file = folder.0.join("portals0.conf");
    let public = |id: u8| keys::public_key(&Secret::new([id; 32]));
    let key = keys::preshared_key(&secret, public(1), public(3)).to_base64();
    assert!(fs::read_to_string(&file).unwrap().contains(&format!("\nPresharedKey = {}\n", key.as_str())));
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn an_existing_file_is_left_alone() {
    let folder = Folder::new("filled");
    assert!(folder.export(&["oslo", "--to", "."]).status.success());
    assert!(folder.export(&["oslo", "--to", "."]).status.success(), "what is the same may be written again");
    let file = folder.0.join("portals0.conf");
    let filled = fs::read_to_string(&file).unwrap().replace("<the private key goes here>", "a key");
    fs::write(&file, &filled).unwrap();
    let Output { status, stderr, .. } = folder.export(&["oslo", "--to", "."]);
    let words = String::from_utf8(stderr).unwrap();
    assert!(status.code() == Some(2) && words.contains("./portals0.conf exists already"), "{words}");
    assert_eq!(fs::read_to_string(&file).unwrap(), filled);
}

#[test]
fn a_site_in_the_middle_of_a_chain_says_that_wg_quick_cannot_be_one() {
    let folder = Folder::new("chain");
    let file = folder.0.join("network.toml");
    let rome =
        "exits = [\"rome\"]\nendpoint = \"192.0.2.3\"\n\n[site.rome]\nid = 4\nendpoint = \"192.0.2.4\"\n";
    let more = format!(
        "{rome}public_key = \"{}\"\n\n[site.nyc.portal.tv]\nexit = \"rome via oslo\"\ninterface = \"eth1\"\n",
        keys::public_key(&Secret::new([4; 32]))
    );
    fs::write(&file, fs::read_to_string(&file).unwrap() + &more).unwrap();
    let said =
        "# wg-quick cannot lead the traffic from 10.77.1.64/26 on to rome: it would leave here instead.\n";
    folder.export(&["oslo", "--to", "."]);
    let written = |name: &str| fs::read_to_string(folder.0.join(name)).unwrap();
    assert!(written("portals0.conf").contains(said), "{}", written("portals0.conf"));
    assert!(!written("to-rome.conf").contains(said));
}

/// A wg-quick host translates nothing by itself.
#[test]
fn networks_under_others_come_with_the_rules_that_translate_them() {
    let folder = Folder::new("translated");
    let file = folder.0.join("network.toml");
    let network = fs::read_to_string(&file).unwrap();
    let network = network.replace("exits =", "lan = [\"192.168.1.0/24 as 10.78.1.0/24\"]\nexits =");
    fs::write(&file, network + "lan = [\"192.168.1.0/24 as 10.78.3.0/24\"]\n").unwrap();
    let shown = folder.export(&["oslo"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    for line in [
        "# PostUp = iptables -t nat -A PREROUTING -d 10.78.3.0/24 -i %i -j NETMAP --to 192.168.1.0/24\n",
        "# PostUp = iptables -t nat -A POSTROUTING -s 192.168.1.0/24 -o %i -j NETMAP --to 10.78.3.0/24\n",
        "# PostDown = iptables -t nat -D PREROUTING -d 10.78.3.0/24 -i %i -j NETMAP --to 192.168.1.0/24\n",
        "AllowedIPs = 10.77.1.0/24, 10.78.1.0/24\n",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
}
