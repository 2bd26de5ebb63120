//! `portals phone`: its output, the files that it writes, and the errors that it reports.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Command, Output};

use rqrr::PreparedImage;
use wg_portals::base::keys;
use wg_portals::base::net::Secret;
use wg_portals::config;
use wg_portals::system::key_files;
use wg_portals::wgquick::{self, WgQuickFile};

const NETWORK: &str = r#"# Ours.
[network]
name = "home"
subnet = "10.77.0.0/16"

[site.nyc]
id = 1      # the first
public_key = "pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk="
endpoint = "nyc.example.net"
port = 51000
exits = ["paris"]

[site.paris]
id = 2
public_key = "zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk="

[phone.anna]
id = 1
at = "nyc"
public_key = "annaannaannaannaannaannaannaannaannaannaanA="
# The end.
"#;

/// Folder of a site's files, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    /// Creates a folder with the network file and the key of the site nyc.
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portals-phone-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("network.toml"), NETWORK).unwrap();
        key_files::save(&folder.join("private.key"), &Secret::new([1; 32])).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn network(&self) -> String {
        fs::read_to_string(self.path("network.toml")).unwrap()
    }

    /// Runs `portals phone …` in this folder.
    fn phone(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portals"));
        command.args(["--config", "network.toml", "phone"]).args(arguments).current_dir(&self.0);
        command.output().unwrap()
    }

    /// Runs a command that must succeed, and returns its standard output.
    fn shown(&self, arguments: &[&str]) -> String {
        let output = self.phone(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail with this status and change nothing, and returns its standard error.
    fn refused(&self, status: i32, arguments: &[&str]) -> String {
        let before = self.network();
        let Output { status: got, stdout, stderr } = self.phone(arguments);
        assert_eq!((got.code(), stdout), (Some(status), Vec::new()));
        assert_eq!(self.network(), before);
        String::from_utf8(stderr).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().mode() & 0o7777
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Decodes a QR code whose characters are white, as on a dark terminal.
fn camera(drawn: &str) -> String {
    let row = |line: &str, white: [char; 2]| line.chars().map(|c| !white.contains(&c)).collect();
    let rows: Vec<Vec<bool>> =
        drawn.lines().flat_map(|line| [row(line, ['█', '▀']), row(line, ['█', '▄'])]).collect();
    let is_dark = |x: usize, y: usize| rows.get(y / 4).is_some_and(|row| row[x / 4]);
    let side = rows[0].len() * 4;
    let mut image =
        PreparedImage::prepare_from_greyscale(side, side, |x, y| if is_dark(x, y) { 0 } else { 255 });
    image.detect_grids()[0].decode().unwrap().1
}

fn read(file: &str) -> WgQuickFile {
    let parsed = wgquick::parse(file.as_bytes()).unwrap();
    assert_eq!(parsed.remarks, []);
    parsed.config
}

#[test]
fn a_phone_is_added_and_its_file_shown() {
    let folder = Folder::new("added");
    let shown = folder.shown(&["add", "mike", "--exit", "paris", "--png", "mike.png", "--svg", "mike.svg"]);
    let (file, drawn) = shown.split_once("\n\n█").unwrap();
    assert_eq!(camera(&format!("█{drawn}")), format!("{file}\n"));

    let text = folder.network();
    let network = config::parse(&text).unwrap();
    let mike = &network.phones["mike"];
    let entry = format!(
        "\n[phone.mike]\nid         = 2\nat         = \"nyc\"\nexit       = \"paris\"\npublic_key = \"{}\"\n",
        mike.public_key
    );
    assert_eq!(text, format!("{NETWORK}{entry}"));

    let config = read(file);
    let key = config.interface.private_key.as_ref().unwrap();
    assert_eq!(keys::public_key(key), mike.public_key);
    let expected = format!(
        "[Interface]\nPrivateKey = {}\nAddress = 10.77.1.3/32\nDNS = 9.9.9.9, 149.112.112.112\nMTU = 1280\n\n\
         [Peer]\nPublicKey = {}\nEndpoint = nyc.example.net:51000\nAllowedIPs = 0.0.0.0/0, ::/0\n\
         PersistentKeepalive = 25",
        key.to_base64().as_str(),
        network.sites["nyc"].public_key
    );
    assert_eq!(file, expected);
    assert_eq!((folder.mode("mike.png"), folder.mode("mike.svg")), (0o600, 0o600));
    assert!(!folder.path("phones").exists());
}

#[test]
fn the_key_of_the_link_follows_from_the_networks_secret() {
    let folder = Folder::new("secret");
    let secret = Secret::new([9; 32]);
    key_files::save(&folder.path("network.secret"), &secret).unwrap();
    let config = read(&folder.shown(&["add", "mike", "--no-qr", "--dns", "1.1.1.1", "--dns", "8.8.8.8"]));
    let network = config::parse(&folder.network()).unwrap();
    let (nyc, mike) = (network.sites["nyc"].public_key, network.phones["mike"].public_key);
    assert!(config.peers[0].preshared_key == Some(keys::preshared_key(&secret, nyc, mike)));
    assert_eq!(config.interface.dns, network.phones["mike"].dns);
    assert_eq!(config.interface.dns.len(), 2);
}

#[test]
fn a_phone_that_leaves_at_a_provider_asks_its_resolvers() {
    let folder = Folder::new("provider");
    let network =
        NETWORK.replace("[site.paris]", "[site.nyc.exit.swiss]\nconfig = \"swiss.conf\"\n\n[site.paris]");
    fs::write(folder.path("network.toml"), network).unwrap();
    let resolvers = |name| {
        let shown = folder.shown(&["add", name, "--exit", "swiss", "--no-qr"]);
        read(&shown).interface.dns.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(resolvers("before"), ["9.9.9.9", "149.112.112.112"]);
    let file = include_str!("golden/providers/swiss.conf");
    fs::write(folder.path("swiss.conf"), file).unwrap();
    fs::set_permissions(folder.path("swiss.conf"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(resolvers("behind"), ["10.2.0.1"]);
}

#[test]
fn a_phone_of_a_network_with_ipv6_has_two_addresses() {
    let folder = Folder::new("ipv6");
    let ipv6 = NETWORK
        .replace("[site.nyc]", "subnet6 = \"fd77:1:2::/48\"\n\n[site.nyc]")
        .replace("[site.paris]", "[site.nyc.exit.swiss]\nconfig = \"swiss.conf\"\n\n[site.paris]");
    fs::write(folder.path("network.toml"), ipv6).unwrap();
    let Output { stdout, stderr, .. } = folder.phone(&["add", "mike", "--keep-key", "--no-qr"]);
    let (shown, words) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    let addresses = "\nAddress = 10.77.1.3/32, fd77:1:2:100::3/128\nDNS = 9.9.9.9, 149.112.112.112\n";
    assert!(shown.contains(addresses) && shown.contains("\nAllowedIPs = 0.0.0.0/0, ::/0\n"), "{shown}");
    assert!(words.contains("Phone mike (10.77.1.3, fd77:1:2:100::3) dials nyc"), "{words}");
    assert_eq!(folder.shown(&["show", "mike", "--no-qr"]), shown);
    assert!(
        folder.shown(&["add", "otto", "--no-qr", "--dns", "2620:fe::fe"]).contains("\nDNS = 2620:fe::fe\n")
    );

    // Only the resolvers of families for which the provider gives an address.
    let file = include_str!("golden/providers/swiss.conf");
    for (address, dns) in [("10.2.0.2/32", "10.2.0.1"), ("10.2.0.2/32, fd00::2/128", "10.2.0.1, fd00::1")] {
        let lines = file.lines().filter(|line| !line.starts_with("Address") && !line.starts_with("DNS"));
        let rest: Vec<&str> = lines.collect();
        let settings = format!("[Interface]\nAddress = {address}\nDNS = 10.2.0.1, fd00::1");
        let text = rest.join("\n").replacen("[Interface]", &settings, 1);
        fs::write(folder.path("swiss.conf"), text).unwrap();
        fs::set_permissions(folder.path("swiss.conf"), fs::Permissions::from_mode(0o600)).unwrap();
        let name = format!("phone{}", dns.len());
        let shown = folder.shown(&["add", &name, "--exit", "swiss", "--no-qr"]);
        assert!(shown.contains(&format!("\nDNS = {dns}\n")), "{shown}");
    }
}

#[test]
fn a_kept_key_is_shown_again() {
    let folder = Folder::new("kept");
    let first = folder.shown(&["add", "mike", "--keep-key"]);
    assert_eq!(folder.shown(&["show", "mike"]), first);
    assert_eq!((folder.mode("phones"), folder.mode("phones/mike.key")), (0o700, 0o600));
    assert!(folder.refused(2, &["add", "mike"]).contains("network.toml:23:1: phone `mike` exists already"));

    assert!(
        folder
            .refused(1, &["show", "anna"])
            .contains("shown once and not kept (there is no ./phones/anna.key)")
    );
    assert!(
        folder
            .refused(2, &["show", "otto"])
            .contains("no phone `otto` in network.toml; its phones: anna, mike")
    );
    fs::rename(folder.path("phones/mike.key"), folder.path("phones/anna.key")).unwrap();
    assert!(folder.refused(1, &["show", "anna"]).contains("is not the key of phone `anna`"));
    fs::rename(folder.path("phones/anna.key"), folder.path("phones/otto.key")).unwrap();
    assert!(folder.refused(2, &["add", "otto", "--keep-key"]).contains("phones/otto.key exists already"));
}

#[test]
fn wrong_entries_are_refused() {
    let folder = Folder::new("refused");
    for (arguments, says) in [
        (
            &["add", "mike", "--exit", "oslo"][..],
            "network.toml:26:14: `exit` names `oslo`, which is not an exit of site nyc",
        ),
        (&["add", "mike", "--at", "rome"], "`at` is `rome`, which is not a site in this file"),
        (&["add", "mike", "--at", "paris"], "site `paris` has no `endpoint`, so no phone can dial it"),
        (&["add", "mike", "--id", "1"], "`id` 1 already belongs to phone anna"),
        (&["add", "mike", "--id", "63"], "`id` cannot be 63"),
        (&["add", "mike", "--dns", "::1"], "`dns` contains IPv6, which is off"),
        (
            &["add", "Mike"],
            "the name of a phone must be 1 to 12 characters of a-z, 0-9 and -, not `Mike`: write `mike`, for \
             example",
        ),
        (&["add", "Mike's iPad"], "not `Mike's iPad`: write `mikes-ipad`, for example"),
        (
            &[
                "add",
                "x]\nid = 9\nat = \"nyc\"\npublic_key = \"mikemikemikemikemikemikemikemikemikemikemiA=\"\n\
                 [phone.y",
            ],
            "the name of a phone must be",
        ),
        (&["add", "mike", "--at", "nyc\"\n[site.evil]\nid = 7"], "which is not a site in this file"),
    ] {
        let words = folder.refused(2, arguments);
        assert!(words.contains(says), "{arguments:?}: {words}");
    }
    assert!(
        folder
            .refused(1, &["add", "mike", "--keep-key", "--png", "nowhere/mike.png"])
            .contains("cannot write nowhere/mike.png")
    );
    assert!(!folder.path("phones/mike.key").exists());
    fs::remove_file(folder.path("private.key")).unwrap();
    assert!(folder.refused(2, &["add", "mike"]).contains("name the site that the phone dials"));
}

#[test]
fn a_file_for_an_app_is_for_its_owner_alone() {
    let folder = Folder::new("private");
    assert_eq!(folder.shown(&["add", "mike", "--keep-key", "--output", "mike.conf"]), "");
    assert_eq!(folder.mode("mike.conf"), 0o600);
    let file = fs::read_to_string(folder.path("mike.conf")).unwrap();
    assert_eq!(folder.shown(&["show", "mike", "--no-qr"]), file);
    assert_eq!(folder.shown(&["show", "mike", "--output", "again.conf"]), "");
    assert_eq!(fs::read_to_string(folder.path("again.conf")).unwrap(), file);
    let refused = folder.refused(1, &["add", "otto", "--output", "mike.conf"]);
    assert!(refused.contains("cannot write mike.conf: File exists"), "{refused}");
    assert_eq!(fs::read_to_string(folder.path("mike.conf")).unwrap(), file);
    folder.refused(1, &["add", "otto", "--output", "otto.conf", "--png", "nowhere/otto.png"]);
    assert!(!folder.path("otto.conf").exists());

    let shell = format!("umask 022; '{}' phone show mike --no-qr >shown.conf", env!("CARGO_BIN_EXE_portals"));
    let command = shell.replace(" phone", " --config network.toml phone");
    let output = Command::new("sh").args(["-c", &command]).current_dir(&folder.0).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "note: the output holds a secret, so its file has mode 600 now\n"
    );
    assert_eq!(folder.mode("shown.conf"), 0o600);
    assert_eq!(fs::read_to_string(folder.path("shown.conf")).unwrap(), file);
}

#[test]
fn the_network_file_keeps_its_owner_and_its_place() {
    let folder = Folder::new("mode");
    fs::rename(folder.path("network.toml"), folder.path("ours.toml")).unwrap();
    symlink("ours.toml", folder.path("network.toml")).unwrap();
    fs::set_permissions(folder.path("ours.toml"), fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::metadata(folder.path("ours.toml")).unwrap();
    folder.shown(&["add", "mike"]);
    let after = fs::symlink_metadata(folder.path("ours.toml")).unwrap();
    assert!(folder.path("network.toml").is_symlink());
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    assert!(folder.network().contains("[phone.mike]"));
}

#[test]
fn phones_that_are_added_at_once_are_all_kept() {
    let folder = Folder::new("at-once");
    let names: Vec<String> = (0..20).map(|number| format!("phone{number}")).collect();
    let add = |name: &String| read(&folder.shown(&["add", name, "--no-qr"])).interface.addresses;
    let mut addresses: Vec<_> = std::thread::scope(|scope| {
        let adding: Vec<_> = names.iter().map(|name| scope.spawn(move || add(name))).collect();
        adding.into_iter().flat_map(|adding| adding.join().unwrap()).collect()
    });
    let network = config::parse(&folder.network()).unwrap();
    assert!(names.iter().all(|name| network.phones.contains_key(name)), "{}", folder.network());
    addresses.sort_by_key(ToString::to_string);
    addresses.dedup();
    assert_eq!(addresses.len(), 20, "each was told its own");
    let others = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name());
    let mut others: Vec<_> = others.map(|name| name.into_string().unwrap()).collect();
    others.sort();
    assert_eq!(others, ["network.toml", "network.toml.lock", "private.key"]);
    assert_eq!(folder.mode("network.toml.lock"), 0o600);
}
