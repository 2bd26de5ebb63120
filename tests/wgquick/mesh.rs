//! Network files of `portals import` with the files of several boxes.

use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use proptest::prelude::*;
use wg_portals::base::keys;
use wg_portals::base::net::Secret;
use wg_portals::config;
use wg_portals::interop::import::mesh::{MeshFile, MeshWishes, mesh};
use wg_portals::wgquick::{Parsed, parse};

const WISHES: MeshWishes = MeshWishes { network: "home", subnet: None, subnet6: None };

/// Folders in `mesh/`, with their files in the order of the command line.
const CASES: [(&str, &[&str]); 3] = [
    ("three", &["nyc.conf", "paris.conf", "rome.conf"]),
    ("exit", &["hub.conf", "Home_Two.conf", "laptop.conf"]),
    ("ipv6", &["one.conf", "two.conf"]),
];

fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wgquick/mesh").join(case)
}

fn read(path: &Path) -> Parsed {
    parse(&fs::read(path).unwrap()).unwrap_or_else(|faults| panic!("{}: {faults:?}", path.display()))
}

/// Each folder in `mesh/` gives the network file in it. `UPDATE_GOLDEN=1` writes the current ones.
#[test]
fn every_mesh_is_imported_as_written() {
    for (case, names) in CASES {
        let folder = folder(case);
        let paths: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
        let parsed: Vec<Parsed> = paths.iter().map(|path| read(path)).collect();
        let files: Vec<MeshFile> =
            paths.iter().zip(&parsed).map(|(path, parsed)| MeshFile { path, parsed }).collect();
        let text = mesh(&files, &WISHES).unwrap().text;
        config::parse(&text).unwrap_or_else(|faults| panic!("{text}\n{faults:?}"));
        let expected = folder.join("network.toml");
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &text).unwrap();
        }
        assert_eq!(fs::read_to_string(&expected).unwrap_or_default(), text, "{case}");
        for parsed in &parsed {
            let key = parsed.config.interface.private_key.as_ref().unwrap();
            assert!(!text.contains(key.to_base64().as_str()), "no key is in a network file");
        }
    }
}

/// Copies of the files of a case in a new folder, removed when dropped.
struct Copies(PathBuf);

impl Copies {
    fn new(case: usize, name: &str) -> Self {
        let copies = env::temp_dir().join(format!("portals-mesh-{name}-{}", std::process::id()));
        fs::create_dir(&copies).unwrap();
        let (case, names) = CASES[case];
        for name in names {
            fs::copy(folder(case).join(name), copies.join(name)).unwrap();
            fs::set_permissions(copies.join(name), PermissionsExt::from_mode(0o600)).unwrap();
        }
        Self(copies)
    }

    /// Returns the exit status, standard output and standard error of `portals import` with these files.
    fn import(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portals"));
        let output = command.arg("import").args(arguments).current_dir(&self.0).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

const THREE: [&str; 3] = ["nyc.conf", "paris.conf", "rome.conf"];

#[test]
fn the_network_is_printed_or_written_without_keys() {
    let copies = Copies::new(0, "printed");
    let (status, printed, complaints) = copies.import(&THREE);
    assert_eq!((status, complaints.as_str()), (0, ""));
    assert_eq!(printed, fs::read_to_string(folder("three").join("network.toml")).unwrap());
    let to_file = [&THREE[..], &["--network", "mesh", "--subnet", "10.99.0.0/16", "--output", "out.toml"]];
    assert_eq!(copies.import(&to_file.concat()).0, 0);
    let network = config::parse(&fs::read_to_string(copies.0.join("out.toml")).unwrap()).unwrap();
    assert_eq!((network.name.as_str(), network.subnet.to_string().as_str()), ("mesh", "10.99.0.0/16"));
    assert_eq!(copies.import(&to_file.concat()).0, 1, "the file exists");
}

#[test]
fn each_box_gets_a_folder_with_its_key() {
    let copies = Copies::new(0, "folders");
    let to = [&THREE[..], &["--to", "mesh/"]].concat();
    let (status, told, complaints) = copies.import(&to);
    assert_eq!((status, complaints.as_str()), (0, ""));
    assert!(told.contains("scp mesh/paris/* root@paris:/etc/portals/"), "{told}");
    let text = fs::read_to_string(copies.0.join("mesh/nyc/network.toml")).unwrap();
    let network = config::parse(&text).unwrap();
    for (name, site) in &network.sites {
        let folder = copies.0.join("mesh").join(name);
        assert_eq!(fs::read_to_string(folder.join("network.toml")).unwrap(), text);
        let key = fs::read_to_string(folder.join("private.key")).unwrap();
        assert!(!told.contains(key.trim()));
        assert_eq!(keys::public_key(&key.trim().parse().unwrap()), site.public_key);
        assert_eq!(fs::metadata(folder.join("private.key")).unwrap().mode() & 0o777, 0o600);
    }
    let psk = copies.0.join("mesh/nyc/phone-1.psk");
    assert_eq!(fs::read_to_string(&psk).unwrap().trim(), Secret::new([8; 32]).to_base64().as_str());
    assert_eq!(fs::metadata(&psk).unwrap().mode() & 0o777, 0o600);
    assert!(!copies.0.join("mesh/paris/phone-1.psk").exists());
    let entries = || fs::read_dir(&copies.0).unwrap().count();
    let before = entries();
    let (status, _, complaints) = copies.import(&to);
    assert!(status == 2 && complaints.contains("mesh/ exists and is not overwritten"), "{complaints}");
    let (status, ..) = copies.import(&[&THREE[..], &["--to", "no/such/folder"]].concat());
    assert_eq!((status, entries()), (1, before), "nothing is left behind");
}

#[test]
fn wrong_calls_are_refused() {
    let copies = Copies::new(0, "refused");
    for (arguments, words) in [
        (&[][..], "no wg-quick file given"),
        (&["nyc.conf", "--to", "x"], "--to is for the files of several boxes"),
        (&["nyc.conf", "rome.conf", "--site", "nyc"], "--site is for a single file"),
        (&["nyc.conf", "rome.conf", "--id", "1"], "--id is for a single file"),
        (&["nyc.conf", "rome.conf", "--keys"], "--keys is for a single file"),
        (&["nyc.conf", "rome.conf", "--to", "x", "--output", "y"], "leave out --output"),
        (&["nyc.conf", "no.conf", "none.conf"], "none.conf: there is no such file"),
        (&["nyc.conf", "nyc.conf"], "nyc.conf and nyc.conf have the same `PrivateKey`"),
        (&["nyc.conf", "rome.conf", "--network", "My \"net\""], "name"),
        (&["nyc.conf", "rome.conf", "--subnet", "192.168.0.0/16"], "overlaps `subnet`"),
    ] {
        let (status, told, complaints) = copies.import(arguments);
        assert!((status, told.as_str()) == (2, "") && complaints.contains(words), "{words}: {complaints}");
    }
    assert_eq!(fs::read_dir(&copies.0).unwrap().count(), 3);
}

/// Characters of a file's name that would change the meaning of TOML or of a path.
#[test]
fn hostile_names_of_files_stay_names() {
    let copies = Copies::new(0, "hostile");
    let hostile = ["a\"]\n[site.evil]\nid=9\n#.conf", "..\x1b[31m=\r'''.conf", "\u{2028}rome$(x)`y`.conf"];
    let mut arguments = Vec::new();
    for (from, to) in THREE.iter().zip(hostile) {
        fs::rename(copies.0.join(from), copies.0.join(to)).unwrap();
        arguments.push(to);
    }
    let (status, text, complaints) = copies.import(&arguments);
    assert_eq!(status, 0, "{complaints}");
    let network = config::parse(&text).unwrap_or_else(|faults| panic!("{text}\n{faults:?}"));
    let names: Vec<&str> = network.sites.keys().map(String::as_str).collect();
    assert_eq!(names, ["--31m", "asite-evilid", "romexy"]);
    arguments.extend(["--to", "out"]);
    assert_eq!(copies.import(&arguments).0, 0);
    assert_eq!(fs::read_dir(copies.0.join("out")).unwrap().count(), 3);
}

fn network() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("0.0.0.0/0".to_owned()),
        Just("::/0".to_owned()),
        (0..4_u8).prop_map(|host| format!("10.8.0.{host}/32")),
        (0..4_u8, 8..=32_u8).prop_map(|(part, length)| format!("192.168.{part}.0/{length}")),
        (any::<u32>(), 0..=32_u8)
            .prop_map(|(bits, length)| format!("{}/{length}", std::net::Ipv4Addr::from(bits))),
        (any::<u16>(), 0..=128_u8).prop_map(|(bits, length)| format!("fd00:{bits:x}::/{length}")),
    ]
}

/// A peer: its key, and its other lines.
fn peer() -> impl Strategy<Value = (u8, String)> {
    let endpoint = prop_oneof![
        Just(String::new()),
        (1..9_u8, 1..60_000_u16).prop_map(|(host, port)| format!("Endpoint = 203.0.113.{host}:{port}\n")),
        Just("Endpoint = a-b.example.net.:https\n".to_owned()),
    ];
    (1..7_u8, endpoint, prop::collection::vec(network(), 0..4)).prop_map(|(key, endpoint, networks)| {
        let allowed = networks.join(", ");
        let allowed = if allowed.is_empty() { allowed } else { format!("AllowedIPs = {allowed}\n") };
        (key, format!("{endpoint}{allowed}"))
    })
}

fn interface() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        (0..4_u8, 8..=32_u8).prop_map(|(host, length)| format!("Address = 10.8.0.{host}/{length}")),
        Just("Address = fd00:8::1/64".to_owned()),
        (1..60_000_u16).prop_map(|port| format!("ListenPort = {port}")),
        (68..9000_u32).prop_map(|mtu| format!("MTU = {mtu}")),
        Just("Table = off".to_owned()),
        "PostUp = [ -~]{0,20}",
        "DNS = [a-z.~_-]{1,9}\r",
        "# [^\n]{0,20}",
    ];
    prop::collection::vec(line, 0..5).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    /// A mesh is refused, or a network file with exactly the boxes as sites. The check of the file may refuse
    /// ports, which the wg-quick files alone determine; nothing else can be wrong.
    #[test]
    fn every_mesh_is_a_valid_network(
        boxes in prop::collection::vec((".{0,12}", interface(), prop::collection::vec(peer(), 0..5)), 2..5)
    ) {
        let mut parsed = Vec::new();
        for ((name, interface, peers), number) in boxes.iter().zip(1..) {
            let key = Secret::new([number; 32]).to_base64();
            let mut text = format!("[Interface]\nPrivateKey = {}\n{interface}\n", key.as_str());
            for (key, lines) in peers {
                let key = keys::public_key(&Secret::new([*key; 32]));
                let _ = write!(text, "[Peer]\nPublicKey = {key}\n{lines}");
            }
            let read = parse(text.as_bytes());
            prop_assume!(read.is_ok());
            parsed.push((PathBuf::from(format!("{name}{number}.conf")), read.unwrap()));
        }
        let files: Vec<MeshFile> = parsed.iter().map(|(path, parsed)| MeshFile { path, parsed }).collect();
        let Ok(mesh) = mesh(&files, &WISHES) else { return Ok(()) };
        match config::parse(&mesh.text) {
            Ok(network) => {
                let mut names: Vec<&str> = mesh.sites.iter().map(|site| site.name.as_str()).collect();
                names.sort_unstable();
                prop_assert_eq!(network.sites.keys().map(String::as_str).collect::<Vec<_>>(), names);
            }
            Err(faults) => for fault in faults {
                let message = fault.render(Path::new("f"));
                prop_assert!(message.contains("`port`"), "{message}\n{}", mesh.text);
            }
        }
    }
}
