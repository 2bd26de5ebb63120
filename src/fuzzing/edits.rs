//! Edits of network files, and their signatures.

use std::sync::LazyLock;

use crate::base::net::{PublicKey, Secret};
use crate::config::model::Network;
use crate::config::{self, edit};
use crate::signed::{FileStanding, admin_public, hash, is_signature, sign, standing, unsigned};

static ADMIN: LazyLock<(Secret, PublicKey)> = LazyLock::new(|| {
    let seed = Secret::new([100; 32]);
    let public = admin_public(&seed);
    (seed, public)
});

/// Edits a file: the first byte chooses the site, the rest of the first line is an item for its lists, and
/// the other lines are the file.
pub(super) fn play(bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else { return };
    let rest = String::from_utf8_lossy(rest);
    let Some((item, text)) = rest.split_once('\n') else { return };
    // Signatures take most of the time.
    if *which < 64 {
        sign_and_forge(text, [" ", "\n", "\r\n", "#"][usize::from(*which) % 4]);
    }
    match config::parse(text) {
        Ok(network) => edit_network(text, &network, usize::from(*which), item),
        Err(_) => edit_blindly(text, item),
    }
}

fn sign_and_forge(text: &str, behind: &str) {
    let (seed, public) = &*ADMIN;
    let signed = sign(text, seed);
    let standing = |text: &str| standing(text, &[*public]);
    assert_eq!(standing(&signed), FileStanding::Signed(*public));
    assert_eq!(sign(&signed, seed), signed);
    assert!(other_lines(&signed).trim_end() == other_lines(text).trim_end());
    assert!(standing(text) == FileStanding::Edited || text == signed, "nobody else can sign");
    let longer = signed.clone() + behind;
    assert!(standing(&longer) == FileStanding::Edited && hash(&longer) != hash(&signed));
    // Blanks go with the signature; text stays, without the former signature.
    let body = if behind == "#" { unsigned(&signed).to_owned() + behind } else { signed.clone() };
    assert_eq!(sign(&longer, seed), sign(&body, seed));
    assert!(!has_uniform_ends(text) || has_uniform_ends(&signed));
}

/// Returns a text without its signatures.
fn other_lines(text: &str) -> String {
    unsigned(text).split_inclusive('\n').filter(|line| !is_signature(line)).collect()
}

/// Does all edits of one site. Each result is another network in just one place, or has a fault.
fn edit_network(text: &str, network: &Network, which: usize, item: &str) {
    let check = |result: crate::base::error::Result<String>, expected: &Network| {
        let Ok(after) = result.map_err(|error| assert!(error.to_string().contains("by hand"))) else {
            return;
        };
        assert!(!has_uniform_ends(text) || has_uniform_ends(&after), "{after:?}");
        if let Ok(new) = config::parse(&after) {
            assert_eq!(new, *expected, "{after}");
        } else {
            assert!(is_toml(&after), "{after}");
        }
    };
    let mut expected = network.clone();
    expected.serial = 77;
    check(edit::set(text, &["network"], "serial", "77"), &expected);
    let mut expected = network.clone();
    let section =
        "[site.new-site]\nid = 250\npublic_key = \"pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk=\"\n";
    let longer = edit::append(text, section);
    if let Ok(mut new) = config::parse(&longer) {
        assert!(network.sites.contains_key("new-site") || new.sites.remove("new-site").is_some());
        assert_eq!(new, expected);
    }
    if let Some((name, _)) = network.phones.iter().nth(which % network.phones.len().max(1)) {
        expected.phones.remove(name);
        check(edit::remove(text, &["phone", name]), &expected);
    }
    let Some((name, site)) = network.sites.iter().nth(which % network.sites.len().max(1)) else { return };
    let table = ["site", name.as_str()];
    let mut expected = network.clone();
    expected.sites.remove(name);
    check(edit::remove(text, &table), &expected);
    let mut expected = network.clone();
    let exits = &mut expected.sites.get_mut(name).expect("the site").exits;
    if !exits.iter().any(|exit| exit == item) {
        exits.push(item.to_owned());
    }
    check(edit::add_to_list(text, &table, "exits", item), &expected);
    if let Some(exit) = site.exits.first() {
        let mut expected = network.clone();
        expected.sites.get_mut(name).expect("the site").exits.remove(0);
        check(edit::remove_from_list(text, &table, "exits", exit), &expected);
    }
}

/// Edits a text that is no network file.
fn edit_blindly(text: &str, item: &str) {
    let names: Vec<&str> = item.split('.').collect();
    for table in [&names[..], &["site", "nyc"], &["network"]] {
        for key in ["exits", names[0]] {
            let results = [
                edit::set(text, table, key, "7"),
                edit::add_to_list(text, table, key, item),
                edit::remove_from_list(text, table, key, item),
            ];
            for after in results.into_iter().flatten() {
                assert!(!has_uniform_ends(text) || has_uniform_ends(&after), "{after:?}");
                assert!(is_toml(&after), "{after}");
            }
        }
        let _ = edit::remove(text, table);
    }
    let _ = edit::append(text, item);
}

/// Reports whether a text is TOML: all edits refuse another one.
fn is_toml(text: &str) -> bool {
    edit::remove_from_list(text, &["network"], "exits", "").is_ok()
}

/// Reports whether all lines end alike.
fn has_uniform_ends(text: &str) -> bool {
    let returns = text.matches('\r').count();
    returns == text.matches("\r\n").count() && (returns == 0 || returns == text.matches('\n').count())
}
