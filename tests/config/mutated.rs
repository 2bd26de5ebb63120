//! Properties of the parser: every text gives either a network or printable errors, and never a panic.

use std::path::Path;

use proptest::prelude::*;
use wg_portals::config::{parse, portal_addresses};

const EVERYTHING: &str = include_str!("everything.toml");

fn answers(text: &str) {
    match parse(text) {
        Ok(network) => {
            for name in network.sites.keys() {
                portal_addresses(&network, name);
            }
        }
        Err(faults) => {
            assert!(!faults.is_empty());
            assert!(faults.is_sorted_by_key(|fault| (fault.at.line, fault.at.column)), "{faults:?}");
            for fault in faults {
                assert!(!fault.help.is_empty() && fault.at.column > 0);
                assert_eq!(fault.render(Path::new("network.toml")).lines().count(), 3);
            }
        }
    }
}

/// Edits that people and editors make, one at a time.
#[derive(Debug, Clone)]
enum Change {
    Cut(usize, usize),
    Put(usize, String),
    Copy(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = 0..EVERYTHING.len();
    let words = prop::sample::select(vec![
        "[",
        "]",
        "[[",
        "{",
        "}",
        "\"",
        "\"\"\"",
        "'",
        "=",
        ",",
        ".",
        "\n",
        "\r",
        "#",
        "\\",
        "\t",
        "é",
        "0",
        "-1",
        "id = 1\n",
        "[site.nyc]\n",
        "::/0",
        "255",
        "/",
        "direct",
        "\u{feff}",
        "\u{1b}",
        "true",
        "1979-05-27",
    ]);
    prop_oneof![
        (at.clone(), 0..40_usize).prop_map(|(from, length)| Change::Cut(from, length)),
        (at.clone(), words.prop_map(str::to_owned)).prop_map(|(at, text)| Change::Put(at, text)),
        (at, 0..200_usize).prop_map(|(from, length)| Change::Copy(from, length)),
    ]
}

fn apply(text: &mut String, change: Change) {
    let place = |text: &str, at: usize| text.floor_char_boundary(at.min(text.len()));
    match change {
        Change::Cut(from, length) => {
            let (from, to) = (place(text, from), place(text, from + length));
            text.replace_range(from..to, "");
        }
        Change::Put(at, words) => text.insert_str(place(text, at), &words),
        Change::Copy(from, length) => {
            let copy = text[place(text, from)..place(text, from + length)].to_owned();
            text.push_str(&copy);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_gives_a_network_or_errors(text in any::<String>()) {
        answers(&text);
    }

    #[test]
    fn any_change_of_a_valid_file_gives_a_network_or_errors(
        changes in prop::collection::vec(change(), 1..6),
    ) {
        let mut text = EVERYTHING.to_owned();
        for change in changes {
            apply(&mut text, change);
        }
        answers(&text);
    }
}
