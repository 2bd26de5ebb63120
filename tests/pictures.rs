//! Golden pictures: the map of a network as text and as a drawing. `UPDATE_GOLDEN=1 cargo test --test pictures`
//! writes the current ones; look at them in a browser before you commit them.

use std::fs;
use std::path::{Path, PathBuf};

use wg_portals::base::keys::public_key;
use wg_portals::base::net::Secret;
use wg_portals::config;
use wg_portals::config::model::Network;
use wg_portals::map::{self, LinkState, Live, Look, Map, PortalUse};

/// Golden cases with a map.
const MAPS: [&str; 6] = ["behind-nat", "both-ways", "chain", "same-lan", "twelve-sites", "wifi"];

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

/// State of the links and portals of nyc in the case `chain`: one of each kind.
fn live() -> Live {
    let link = |peer: &str, look, words: &str| (peer.to_owned(), LinkState { words: words.to_owned(), look });
    let portal =
        |name: &str, exit: &str, state| (name.to_owned(), PortalUse { exit: exit.to_owned(), state });
    Live {
        own: "nyc".to_owned(),
        links: [
            link("paris", Look::Up, "up, direct"),
            link("oslo", Look::Relayed, "up, relayed by rome"),
            link("rome", Look::Down, "down"),
        ]
        .into_iter()
        .collect(),
        portals: [
            portal("guest", "oslo", "failed-over"),
            portal("tv", "paris", "open"),
            portal("cinema", "nowhere", "blocked"),
        ]
        .into_iter()
        .collect(),
    }
}

#[test]
fn maps_are_as_their_files() {
    for case in MAPS {
        let network = network(case);
        let map = Map::new(&network, None);
        compare(case, &[("map.txt", map::text(&map)), ("map.svg", map::picture(&map))]);
    }
    let network = network("chain");
    let map = Map::new(&network, Some(&live()));
    compare("chain", &[("map-live.txt", map::text(&map)), ("map-live.svg", map::picture(&map))]);
}

#[test]
fn lines_of_a_map_fit_a_terminal() {
    for case in MAPS {
        for line in map::text(&Map::new(&network(case), None)).lines() {
            assert!(line.chars().count() <= 80, "{case}: {line}");
        }
    }
}

/// No file of a network is too large for the arithmetic.
#[test]
fn a_map_has_room_for_all_sites() {
    let sites = |number: u8| {
        let mut text = "[network]\nname = \"home\"\nsubnet = \"10.0.0.0/8\"\n".to_owned();
        for id in 1..=number {
            let key = public_key(&Secret::new([id; 32]));
            text +=
                &format!("[site.s{id}]\nid = {id}\npublic_key = \"{key}\"\nendpoint = \"s{id}.example\"\n");
            if id > 1 {
                text += &format!("exits = [\"s{}\"]\n", id - 1);
                for portal in 0..10 {
                    text += &format!(
                        "[site.s{id}.portal.p{portal}]\nexit = \"s{}\"\nfrom = [\"192.168.1.{portal}\"]\n",
                        id - 1
                    );
                }
            }
        }
        parsed(&text)
    };
    for number in [1, 2, 3, 5, 250] {
        let network = sites(number);
        let map = Map::new(&network, None);
        let (text, drawing) = (map::text(&map), map::picture(&map));
        assert!(text.contains(&format!("─ s{number} ")), "{text}");
        let is_negative = |start: &str| drawing.contains(&format!(" {start}=\"-"));
        assert!(!is_negative("x") && !is_negative("y"), "{number} sites: a card is outside");
    }
}
