//! Schema of the network file for editors, docs/portals.schema.json: generated from the parser and the
//! documentation. `UPDATE_GOLDEN=1 cargo test --test config` rewrites it.

mod json;
mod made;
mod parser;
mod validator;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use wg_portals::base::net::Secret;
use wg_portals::config::{edit, parse};
use wg_portals::signed::{self, sign};

use crate::{broken, generated};

const EVERYTHING: &str = include_str!("../everything.toml");

/// Faults that a schema cannot express: they are about numbers inside of texts, or about other values.
const BEYOND_A_SCHEMA: [&str; 2] = ["# a LAN with host bits", "# ports that end before they begin"];

/// Files of tests/config/broken whose faults are mostly about several tables or about numbers inside of
/// texts, with their cases that a schema can express.
const IN_ONE_TABLE: [(&str, &[&str]); 8] = [
    ("05-identity.txt", &["# a site called direct", "# a provider called direct"]),
    (
        "06-subnets.txt",
        &[
            "# a subnet that is not private",
            "# a subnet of IPv6",
            "# a subnet too small for any site",
            "# a subnet6 that is not unique local",
            "# a subnet6 of IPv4",
            "# an MTU too small for IPv6",
            "# an MTU that may become too small for IPv6",
        ],
    ),
    (
        "07-links.txt",
        &[
            "# a site twice in a list",
            "# a port for questions at a site that cannot be asked",
            "# a port for questions beyond the last port",
            "# a port for questions that is none",
            "# a port for questions at which the router's resolver listens",
            "# a word in place of a choice",
        ],
    ),
    ("08-exits.txt", &["# an exit twice", "# no exit in the list"]),
    (
        "09-entrances.txt",
        &[
            "# no entrance",
            "# two entrances",
            "# three entrances",
            "# an empty list in from",
            "# one source where a list is required",
            "# this router itself as entrance",
            "# the shared tunnel as parent of a VLAN",
            "# a tunnel as uplink",
            "# a Wi-Fi with unknown values",
            "# `ntp` without `self`",
        ],
    ),
    (
        "10-lans.txt",
        &[
            "# a network without room",
            "# an IPv6 address",
            "# an address for an entrance without a LAN",
            "# leases for an entrance without a LAN",
            "# `router` with `self`",
            "# `inbound` with `self`",
            "# `page` with `self`",
            "# `dns` with `self`",
        ],
    ),
    (
        "12-chains.txt",
        &[
            "# direct in a chain",
            "# a chain in other words",
            "# a chain without its end",
            "# a chain with two blanks",
            "# the same chain twice",
        ],
    ),
    (
        "12-translated-lans.txt",
        &[
            "# a translated network without the other network",
            "# a translated network without itself",
            "# a network translated to another family",
            "# a resolver without a shared network",
            "# a resolver by name",
        ],
    ),
];

/// Lines that the parser takes although they look wrong.
const ODD: [(&str, &str); 24] = [
    ("network", "subnet = \"10.0.0.0/08\""),
    ("network", "subnet = \"172.31.0.0/16\""),
    ("network", "subnet6 = \"FD00::/48\""),
    ("network", "subnet6 = \"fc80:0:0:0:0:0:0.0.0.0/9\""),
    ("network.failover", "probe = \"172.15.0.1\""),
    ("site.nyc", "endpoint = \"::1\""),
    ("site.nyc", "endpoint = \"1:2:3:4:5:6:7::\""),
    ("site.nyc", "endpoint = \"::2:3:4:5:6:7:8\""),
    ("site.nyc", "endpoint = \"::ffff:192.0.2.1\""),
    ("site.nyc", "endpoint = \"1:2:3:4:5:6:192.0.2.1\""),
    ("site.nyc", "endpoint = \"2001:db8::192.0.2.1\""),
    ("site.nyc", "endpoint = \"localhost\""),
    ("site.nyc", "endpoint = \"1.2.x-3\""),
    ("site.nyc", "endpoint = \"a.1-2\""),
    ("site.nyc", "endpoint = \"a.12a\""),
    ("site.nyc", "lan = [\" 10.0.0.0/24\\tas  10.1.0.0/24 \", \"10.9.0.1\"]"),
    ("site.nyc", "uplink = \"a.b_c-d@e+0\""),
    ("site.nyc", "hook = \"../a folder/ü\""),
    ("site.nyc.portal.guest", "mac = [\"AA:0b:CC:dd:EE:ff\"]"),
    ("site.nyc.portal.guest", "ports = [\"tcp/0443-00444\"]"),
    ("site.nyc.portal.guest", "to = [\"0.0.0.0/00\", \"198.51.100.7\"]"),
    ("site.nyc.portal.guest", "interface = \"lo0\""),
    ("site.nyc.portal.guest.wifi", "ssid = \" \\\"ü\\\" \""),
    ("site.nyc.portal.guest.wifi", "channel = 0x1"),
];

/// Lines that the parser refuses.
const WRONG: [(&str, &str); 40] = [
    ("", "sites = {}"),
    ("", "phone = []"),
    ("network", "colour = 1"),
    ("network", "mtu = \"automatic\""),
    ("network", "mtu = 1501"),
    ("network", "name = \"Home\""),
    ("network", "admins = \"x\""),
    ("network", "admins = [\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]"),
    ("network", "subnet = \"172.32.0.0/16\""),
    ("network", "subnet6 = \"fd::/48\""),
    ("network.failover", "down = 3"),
    ("network.failover", "probe = \"nine\""),
    ("network.failover", "probe = \"172.16.0.1\""),
    ("network.failover", "probe = \"4000::1\""),
    ("site.nyc", "exits = [\"Paris\"]"),
    ("site.nyc", "exits = [\"paris\", \"paris\"]"),
    ("site.nyc", "endpoint = \"a..b\""),
    ("site.nyc", "endpoint = \"a.12\""),
    ("site.nyc", "endpoint = \"0.0.0.0\""),
    ("site.nyc", "endpoint = \"239.1.2.3\""),
    ("site.nyc", "endpoint = \"0:0::0\""),
    ("site.nyc", "endpoint = \"FF02::1\""),
    ("site.nyc", "endpoint = \"a.abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-abcdefghijkl\""),
    ("site.nyc", "firewall = \"pf\""),
    ("site.nyc", "relay = \"true\""),
    ("site.nyc", "portal = true"),
    ("site.direct", "port = 1"),
    ("site.nyc.exit.direct", "config = \"a.conf\""),
    ("site.nyc.portal.guest", "exit = []"),
    ("site.nyc.portal.guest", "exit = \"oslo via \""),
    ("site.nyc.portal.guest", "exit = \"oslo via direct\""),
    ("site.nyc.portal.guest", "exit = \"oslo via via\""),
    ("site.nyc.portal.guest", "interface = \"..\""),
    ("site.nyc.portal.guest", "to = [\"1::2::3\"]"),
    ("site.nyc.portal.guest", "to = [\"1:2:3:4:5:6:7:8:9\"]"),
    ("site.nyc.portal.guest", "to = [\"1:2:3:4:5:6:7\"]"),
    ("site.nyc.portal.guest", "self = false"),
    ("site.nyc.portal.guest.vlan", "id = 0"),
    ("site.nyc.portal.guest.wifi", "channel = 15"),
    ("phone.mike", "exit = [\"paris\"]"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files of a folder whose names end in `ending`.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_str().unwrap().ends_with(ending)).collect()
}

/// Returns the faults of a section with one line, without those of keys that are missing.
fn faults_of_line(section: &str, line: &str) -> Vec<String> {
    let mut faults = validator::faults(&made::SCHEMA, &with_line(section, line));
    faults.retain(|fault| !is_absence(fault));
    faults
}

fn with_line(section: &str, line: &str) -> String {
    if section.is_empty() { format!("{line}\n") } else { format!("[{section}]\n{line}\n") }
}

fn is_absence(fault: &str) -> bool {
    fault.contains(": required [") || fault.contains(": oneOf [")
}

#[test]
fn the_schema_matches_the_parser() {
    generated::compare("docs/portals.schema.json", &format!("{}\n", *made::SCHEMA), "config");
}

#[test]
fn the_parser_the_schema_and_the_documentation_have_the_same_keys() {
    let schema = &*made::SCHEMA;
    let at = |path: &str| {
        path.split(' ').fold(schema, |schema, part| match part {
            "NAME" => &schema.get("patternProperties").unwrap().entries()[0].1,
            key => schema.get("properties").unwrap().get(key).unwrap(),
        })
    };
    let places = [
        ("network", "network", "network"),
        ("site", "site NAME", "site.nyc"),
        ("portal", "site NAME portal NAME", "site.nyc.portal.guest"),
        ("exit", "site NAME exit NAME", "site.nyc.exit.mullvad"),
        ("phone", "phone NAME", "phone.mike"),
        ("wifi", "site NAME portal NAME wifi", "site.nyc.portal.guest.wifi"),
    ];
    for ((section, file, start), (same, path, header)) in words::TABLES.into_iter().zip(places) {
        assert_eq!(section, same);
        let mut known = parser::keys(header);
        known.sort();
        let mut of_schema: Vec<String> =
            at(path).get("properties").unwrap().entries().iter().map(|(key, _)| key.clone()).collect();
        of_schema.sort();
        assert_eq!(of_schema, known, "[{header}]");
        let mut documented: Vec<String> = words::rows(file, start).into_iter().map(|[key, ..]| key).collect();
        documented.sort();
        known.retain(|key| section != "site" || !matches!(key.as_str(), "portal" | "exit"));
        assert_eq!(documented, known, "{file}, [{header}]");
    }
}

#[test]
fn every_file_that_the_parser_takes_fits_the_schema() {
    let mut texts: Vec<(String, String)> = Vec::new();
    let mut paths = files("docs/recipes", ".toml");
    paths.extend(files("tests/golden", "").into_iter().map(|case| case.join("network.toml")));
    for path in paths {
        texts.push((path.display().to_string(), fs::read_to_string(path).unwrap()));
    }
    texts.push(("everything.toml".to_owned(), EVERYTHING.to_owned()));
    texts.push(("base.toml".to_owned(), crate::BASE.to_owned()));
    let from_files = texts.len();
    for page in files("docs", ".md") {
        let text = fs::read_to_string(&page).unwrap();
        for block in text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
            texts.push((page.display().to_string(), with_keys(block)));
        }
    }
    let mut from_pages = 0;
    for (at, (name, text)) in texts.iter().enumerate() {
        if at < from_files || parse(text).is_ok() {
            assert_eq!(parse(text).err(), None, "{name}");
            assert_eq!(validator::faults(&made::SCHEMA, text), [""; 0], "{name}");
            from_pages += usize::from(at >= from_files);
        }
    }
    assert!(from_files > 40 && from_pages > 0, "{from_files} files, {from_pages} blocks");
}

/// Writes a key in place of each "…".
fn with_keys(block: &str) -> String {
    let mut parts = block.split("\"…\"");
    let first = parts.next().unwrap().to_owned();
    parts.zip(1..).fold(first, |text, (part, id)| {
        let key = signed::admin_public(&Secret::new([id; 32]));
        format!("{text}\"{key}\"{part}")
    })
}

#[test]
fn odd_lines_that_the_parser_takes_fit_the_schema() {
    for (section, line) in ODD {
        assert!(parser::takes(section, line), "[{section}] {line}");
        assert_eq!(faults_of_line(section, line), [""; 0], "[{section}] {line}");
    }
}

#[test]
fn wrong_lines_do_not_fit_the_schema() {
    for (section, line) in WRONG {
        let taken = parser::takes(section, line);
        assert!(!taken || section.contains("direct"), "[{section}] {line}");
        assert_ne!(faults_of_line(section, line), [""; 0], "[{section}] {line}");
    }
}

#[test]
fn what_the_parser_refuses_does_not_fit_the_schema() {
    let mut beyond = BEYOND_A_SCHEMA.to_vec();
    let mut refused = 0;
    let mut cases = broken::cases(&["02-keys.txt", "03-types.txt", "04-values.txt"]);
    for (file, titles) in IN_ONE_TABLE {
        let mut of_file = broken::cases(&[file]);
        of_file.retain(|(title, _)| titles.contains(&title.as_str()));
        assert_eq!(of_file.len(), titles.len(), "a case of {file} has another title");
        cases.extend(of_file);
    }
    for (title, text) in cases {
        assert!(parse(&text).is_err() && DeTable::parse(&text).is_ok(), "{title}");
        if validator::faults(&made::SCHEMA, &text).is_empty() {
            let at = beyond.iter().position(|known| *known == title);
            beyond.remove(at.unwrap_or_else(|| panic!("the schema takes {title}:\n{text}")));
        } else {
            refused += 1;
        }
    }
    assert_eq!(beyond, [""; 0], "the schema refuses these");
    assert!(refused > 110, "{refused} cases");
}

#[test]
fn commands_keep_the_line_that_names_the_schema() {
    const DIRECTIVE: &str = "#:schema ./portals.schema.json\n\n";
    let secret = Secret::new([7; 32]);
    let admin = signed::admin_public(&secret);
    let text = format!("{DIRECTIVE}{}", crate::BASE);
    let text = edit::set(&text, &["network"], "serial", "1").unwrap();
    let text = edit::set(&text, &["network"], "admins", &format!("[\"{admin}\"]")).unwrap();
    let signed = sign(&text, &secret);
    assert!(signed.starts_with(DIRECTIVE), "{signed}");
    assert!(signed::standing(&signed, &[admin]) == signed::FileStanding::Signed(admin));
    assert_eq!(parse(&signed).unwrap().serial, 1);
    let edited = edit::set(&signed, &["network"], "serial", "2").unwrap();
    let edited = edit::remove(&edited, &["phone", "mike"]).unwrap();
    assert!(edited.starts_with(DIRECTIVE), "{edited}");
    assert_eq!(parse(&edited).unwrap().serial, 2);
}
