//! `portals site`, `portals sign`, and phones in a signed network: the files that they write, and the errors
//! that they report.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use wg_portals::base::net::Secret;
use wg_portals::config;
use wg_portals::signed::{FileStanding, admin_public, standing};
use wg_portals::system::key_files;

const NETWORK: &str = r#"# Ours.
[network]
name   = "home"
subnet = "10.77.0.0/16"

[site.nyc]
id = 1      # the first
public_key = "pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk="
endpoint = "nyc.example.net"
exits = ["paris"]

# France
[site.paris]
id = 2
public_key = "zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk="

[phone.anna]
id = 1
at = "nyc"
public_key = "annaannaannaannaannaannaannaannaannaannaanA="
# The end.
"#;

const ROME: &str = "romeromeromeromeromeromeromeromeromeromeroA=";

/// Folder with a network file, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, network: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portals-site-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("network.toml"), network).unwrap();
        Self(folder)
    }

    /// Returns a folder whose network file is signed by the admin key next to it.
    fn signed(name: &str) -> Self {
        let folder = Self::new(name, NETWORK);
        folder.done(&["sign", "--create"]);
        folder
    }

    fn file(&self) -> String {
        fs::read_to_string(self.0.join("network.toml")).unwrap()
    }

    fn serial(&self) -> u64 {
        config::parse(&self.file()).unwrap().serial
    }

    fn is_signed(&self) -> bool {
        let admins = config::parse(&self.file()).unwrap().admins;
        matches!(standing(&self.file(), &admins), FileStanding::Signed(_))
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portals"));
        command.args(["--config", "network.toml"]).args(arguments).current_dir(&self.0);
        command.output().unwrap()
    }

    /// Runs a command that must succeed, and returns its words.
    fn done(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.run(arguments);
        let words = String::from_utf8([stdout, stderr].concat()).unwrap();
        assert!(status.success(), "{arguments:?}: {words}");
        words
    }

    /// Runs a command that must fail with status 2 and change nothing, and returns its standard error.
    fn refused(&self, arguments: &[&str]) -> String {
        let before = self.file();
        let Output { status, stderr, .. } = self.run(arguments);
        let words = String::from_utf8(stderr).unwrap();
        assert_eq!((status.code(), self.file()), (Some(2), before), "{arguments:?}: {words}");
        words
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn sites_come_and_go_and_the_rest_of_the_file_stays() {
    let folder = Folder::new("plain", NETWORK);
    let words = folder.done(&[
        "site",
        "add",
        "rome",
        "--key",
        ROME,
        "--exits",
        "nyc,paris",
        "--lan",
        "192.168.7.0/24",
    ]);
    assert!(words.contains("added site rome with id 3") && words.contains("portals reload"), "{words}");
    let section = format!(
        "\n[site.rome]\nid         = 3\npublic_key = \"{ROME}\"\nexits      = [\"nyc\",\"paris\"]\n\
         lan        = [\"192.168.7.0/24\"]\n"
    );
    assert_eq!(folder.file(), format!("{NETWORK}{section}"));
    let listed = folder.done(&["site", "list"]);
    let rome = listed.lines().nth(2).unwrap();
    assert_eq!(rome, format!("  3  rome          {ROME}  behind NAT  exits nyc, paris"));
    folder.done(&["site", "remove", "rome"]);
    assert_eq!(folder.file(), NETWORK);
    folder.done(&["site", "remove", "paris"]);
    let without = NETWORK.replace("exits = [\"paris\"]", "exits = []");
    let start = without.find("# France").unwrap();
    let end = without.find("[phone").unwrap();
    assert_eq!(folder.file(), without[..start].to_owned() + &without[end..]);
}

#[test]
fn sites_in_use_and_wrong_ones_are_refused() {
    let folder = Folder::new("refused", NETWORK);
    let words = folder.refused(&["site", "remove", "nyc"]);
    assert!(words.contains("site nyc is still in use by [phone.anna]"), "{words}");
    let words = folder.refused(&["site", "remove", "oslo"]);
    assert!(words.contains("there is no site `oslo`; its sites: nyc, paris"), "{words}");
    let words = folder.refused(&["site", "add", "nyc", "--key", ROME]);
    assert!(words.contains("there is a site `nyc` already"), "{words}");
    for wrong in [
        &["site", "add", "Rome", "--key", ROME][..],
        &["site", "add", "rome]\n[site.x", "--key", ROME],
        &["site", "add", "rome", "--key", ROME, "--exits", "oslo"],
        &["site", "add", "rome", "--key", ROME, "--endpoint", "a\"\nid = 7"],
        &["site", "add", "rome", "--key", ROME, "--id", "2"],
        &["site", "add", "rome", "--key", ROME, "--id", "0"],
    ] {
        folder.refused(wrong);
    }
}

#[test]
fn every_change_of_a_signed_file_raises_its_serial_and_signs_it() {
    let folder = Folder::signed("signed");
    assert!(folder.is_signed() && folder.serial() == 1, "{}", folder.file());
    let mode = fs::metadata(folder.0.join("admin.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let words = folder.done(&["site", "add", "rome", "--key", ROME]);
    assert!(words.contains("portals push"), "{words}");
    folder.done(&["phone", "remove", "anna"]);
    folder.done(&["phone", "add", "mike", "--at", "nyc", "--no-qr"]);
    assert_eq!((folder.serial(), folder.is_signed()), (4, true));
    assert!(folder.done(&["phone", "list"]).starts_with(" 1  mike          dials nyc, leaves at nyc  "));
    // A change by hand.
    fs::write(folder.0.join("network.toml"), folder.file().replace("# Ours.", "# Hers.")).unwrap();
    assert!(!folder.is_signed());
    folder.done(&["sign"]);
    assert_eq!((folder.serial(), folder.is_signed()), (5, true));
}

#[test]
fn the_admin_key_may_be_elsewhere() {
    let folder = Folder::signed("elsewhere");
    fs::rename(folder.0.join("admin.key"), folder.0.join("stick")).unwrap();
    let words = folder.done(&["site", "add", "rome", "--key", ROME]);
    assert!(words.contains("portals sign"), "{words}");
    assert_eq!((folder.serial(), folder.is_signed()), (2, false));
    let words = folder.refused(&["sign"]);
    assert!(words.contains("admin.key") && words.contains("--key FILE"), "{words}");
    folder.done(&["sign", "network.toml", "--key", "stick"]);
    assert_eq!((folder.serial(), folder.is_signed()), (3, true));
}

#[test]
fn only_listed_keys_sign() {
    let folder = Folder::signed("foreign");
    key_files::save(&folder.0.join("other"), &Secret::new([7; 32])).unwrap();
    let words = folder.refused(&["sign", "--key", "other"]);
    assert!(words.contains("other is not one of the keys in `admins`"), "{words}");
    let plain = Folder::new("keyless", NETWORK);
    key_files::save(&plain.0.join("admin.key"), &Secret::new([7; 32])).unwrap();
    let words = plain.refused(&["sign"]);
    assert!(words.contains("lists no admin key") && words.contains("portals sign --create"), "{words}");
    // A second admin.
    let words = folder.done(&["sign", "--create", "--key", "second"]);
    let second = key_files::load(&folder.0.join("second")).unwrap();
    assert!(words.contains(&admin_public(&second).to_string()), "{words}");
    assert_eq!(config::parse(&folder.file()).unwrap().admins.len(), 2);
    folder.done(&["sign", "--key", "second"]);
    folder.done(&["sign"]);
    assert_eq!((folder.serial(), folder.is_signed()), (4, true));
    let words = folder.run(&["sign", "--create"]);
    assert!(!words.status.success(), "a key is never overwritten");
}

/// The program syncs the key and its folder (1, 2), then the file and its folder (3, 4). The file that names
/// a key is in place if only the sync of its folder fails.
#[test]
fn a_disk_that_fails_leaves_no_file_without_its_new_key() {
    let folder = Folder::new("disk", NETWORK);
    for number in [1, 3, 4] {
        let mut command = Command::new("strace");
        let refusal = format!("inject=fsync:error=EIO:when={number}");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", &refusal]);
        command.args([env!("CARGO_BIN_EXE_portals"), "--config", "network.toml", "sign", "--create"]);
        let Output { status, stderr, .. } =
            command.current_dir(&folder.0).output().expect("this test needs strace");
        assert_eq!(status.code(), Some(1), "{}", String::from_utf8_lossy(&stderr));
        let has_key = folder.0.join("admin.key").exists();
        assert_eq!((number, folder.file() != NETWORK, has_key), (number, number == 4, number == 4));
    }
    assert!(folder.is_signed());
}

/// The other sites know only the former key, and take no file that only the new one has signed.
#[test]
fn a_former_key_signs_the_file_with_a_new_one() {
    let folder = Folder::signed("second");
    let admins = config::parse(&folder.file()).unwrap().admins;
    let words = folder.done(&["sign", "--create", "--key", "spare"]);
    assert_eq!(standing(&folder.file(), &admins), FileStanding::Signed(admins[0]), "{words}");
    assert!(
        words.ends_with("Next, at a site with this file:\n  portals push --config network.toml\n"),
        "{words}"
    );

    fs::rename(folder.0.join("admin.key"), folder.0.join("stick")).unwrap();
    let words = folder.done(&["sign", "--create"]);
    assert!(words.contains("\n  portals sign network.toml --key FILE\n"), "{words}");
    assert_eq!(config::parse(&folder.file()).unwrap().admins.len(), 3);
    folder.done(&["sign", "--key", "stick"]);
    assert_eq!(standing(&folder.file(), &admins), FileStanding::Signed(admins[0]));
}
