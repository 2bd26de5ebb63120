//! Golden pictures: the map of a network, and the way of a packet, as text and as a drawing.
//! `UPDATE_GOLDEN=1 cargo test --test pictures` writes the current ones; look at them in a browser before you
//! commit them. `scripts/record` writes the drawing of the demo.

#[path = "support/recording.rs"]
mod recording;

use std::fs;
use std::path::{Path, PathBuf};

use wg_portals::base::keys::public_key;
use wg_portals::base::net::Secret;
use wg_portals::config;
use wg_portals::config::model::{ExitRef, Network};
use wg_portals::engine::on_paper;
use wg_portals::map::packet::{self, PacketPath};
use wg_portals::map::{self, Look, Map};

/// Golden cases with a map.
const MAPS: [&str; 6] = ["behind-nat", "both-ways", "chain", "same-lan", "twelve-sites", "wifi"];

/// Golden cases with the way of a packet from a portal of nyc.
const PATHS: [(&str, &str); 6] = [
    ("chain", "guest"),
    ("chain", "own"),
    ("device-by-mac", "tv"),
    ("direct", "guest"),
    ("one-way", "guest"),
    ("ports", "console"),
];

fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(case)
}

fn network(case: &str) -> Network {
    parsed(&fs::read_to_string(folder(case).join("network.toml")).unwrap())
}

fn parsed(text: &str) -> Network {
    config::parse(text).unwrap_or_else(|faults| panic!("{text}{:?}", faults[0]))
}

/// Compares pictures with the files of these names, or writes the files.
fn compare(case: &str, pictures: &[(&str, String)]) {
    for (name, picture) in pictures {
        let file = folder(case).join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&file, picture).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        assert!(expected == *picture, "{} should be:\n{picture}", file.display());
    }
}

/// Adds the state of the links and portals of nyc in the case `chain`: one of each kind.
fn add_state(map: &mut Map) {
    map.draw_at("nyc");
    map.set_link("paris", Look::Up, "up, direct");
    map.set_link("oslo", Look::Relayed, "up, relayed by rome");
    map.set_link("rome", Look::Down, "down");
    map.set_portal("guest", "oslo", "failed-over");
    map.set_portal("tv", "paris", "open");
    map.set_portal("cinema", "nowhere", "blocked");
}

#[test]
fn maps_are_as_their_files() {
    for case in MAPS {
        let network = network(case);
        let map = Map::new(&network);
        compare(case, &[("map.txt", map::text(&map)), ("map.svg", map::picture(&map))]);
    }
    let network = network("chain");
    let mut map = Map::new(&network);
    add_state(&mut map);
    compare("chain", &[("map-live.txt", map::text(&map)), ("map-live.svg", map::picture(&map))]);
}

/// Way from a portal of a golden case, on a host that has all that the file names.
fn path(case: &str, network: &Network, site: &str, portal: &str) -> PacketPath {
    let file = folder(case).join("network.toml");
    let mut site = on_paper::whole_site(&file, network, &site.to_owned()).unwrap();
    PacketPath::new(&mut site, portal).unwrap()
}

#[test]
fn ways_of_packets_are_as_their_files() {
    for (case, portal) in PATHS {
        let path = path(case, &network(case), "nyc", portal);
        let names = ["txt", "svg"].map(|ending| format!("packet-{portal}.{ending}"));
        compare(case, &[(&names[0], packet::text(&path)), (&names[1], packet::picture(&path))]);
    }
}

#[test]
fn every_portal_has_a_way_that_fits_a_terminal() {
    let mut seen = 0;
    for entry in fs::read_dir(folder("..").join("golden")).unwrap() {
        let case = entry.unwrap().file_name().into_string().unwrap();
        let network = network(&case);
        for (site, entry) in &network.sites {
            for portal in &entry.portals {
                let text = packet::text(&path(&case, &network, site, &portal.name));
                assert!(text.lines().skip(1).all(|line| line.chars().count() <= 80), "{case}: {text}");
                let has_exit = portal.exits[0] != ExitRef::Direct;
                assert_eq!(text.contains("WireGuard encrypts"), has_exit, "{case}: {text}");
                assert!(text.contains("\nleaves        "), "{case}: {text}");
                // The last rule of the filter lets the packet pass.
                let filter =
                    text.split("chain forward\n").nth(1).and_then(|rest| rest.split("\n     ▼").next());
                let verdict = filter.map(|rules| rules.lines().last().unwrap_or("accept").to_owned());
                assert!(verdict.is_none_or(|verdict| verdict.ends_with("accept")), "{case}: {text}");
                seen += 1;
            }
        }
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn lines_of_a_map_fit_a_terminal() {
    for case in MAPS {
        for line in map::text(&Map::new(&network(case))).lines() {
            assert!(line.chars().count() <= 80, "{case}: {line}");
        }
    }
}

/// No file of a network is too large for the arithmetic.
#[test]
fn a_map_has_room_for_all_sites() {
    let portals = |exit: u8| {
        let portal =
            |number: u8| format!("[[P]].p{number}]\nexit = \"s{exit}\"\nfrom = [\"192.168.1.{number}\"]\n");
        (0..10).map(portal).collect::<Vec<_>>().concat()
    };
    let site = |id: u8| {
        let key = public_key(&Secret::new([id; 32]));
        let text = format!("[site.s{id}]\nid = {id}\npublic_key = \"{key}\"\nendpoint = \"s{id}.example\"\n");
        if id == 1 {
            return text;
        }
        let portals = portals(id - 1).replace("[[P]]", &format!("[site.s{id}.portal"));
        format!("{text}exits = [\"s{}\"]\n{portals}", id - 1)
    };
    let sites = |number: u8| {
        let all: String = (1..=number).map(site).collect();
        parsed(&format!("[network]\nname = \"home\"\nsubnet = \"10.0.0.0/8\"\n{all}"))
    };
    for number in [1, 2, 3, 5, 250] {
        let network = sites(number);
        let map = Map::new(&network);
        let (text, drawing) = (map::text(&map), map::picture(&map));
        assert!(text.contains(&format!("─ s{number} ")), "{text}");
        let is_negative = |start: &str| drawing.contains(&format!(" {start}=\"-"));
        assert!(!is_negative("x") && !is_negative("y"), "{number} sites: a card is outside");
    }
}

#[test]
fn the_drawing_of_the_demo_shows_its_recording() {
    let drawing = include_str!("../docs/demo.svg");
    let drawn: Vec<String> =
        drawing.lines().filter(|line| line.starts_with("<text")).map(without_tags).collect();
    let recorded: Vec<String> = recording::lines().into_iter().filter(|line| !line.is_empty()).collect();
    assert!(recorded.len() > 20, "{recorded:?}");
    assert_eq!(drawn, recorded, "scripts/record --draw draws docs/demo.svg anew");
}

/// Returns the words of an element, as a reader sees them.
fn without_tags(element: &str) -> String {
    let parts = element.split('<').map(|part| part.split_once('>').map_or(part, |(_, words)| words));
    parts.collect::<String>().replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
