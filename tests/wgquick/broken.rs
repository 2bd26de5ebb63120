//! Cases in `broken.txt`: a file (its lines after `|`), and the message that a user gets, byte for byte.
//! `UPDATE_GOLDEN=1 cargo test --test wgquick` writes the current messages; read the difference before you
//! commit it.

use std::path::Path;
use std::{env, fs};

use wg_portals::wgquick::parse;

#[test]
fn every_broken_file_gets_its_message() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wgquick/broken.txt");
    let golden = fs::read_to_string(&path).unwrap();
    let told: Vec<String> = golden.trim_end().split("\n\n").map(tell).collect();
    assert!(told.len() >= 40, "{} cases", told.len());
    let told = told.join("\n\n") + "\n";
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, told).unwrap();
    } else {
        assert_eq!(told, golden);
    }
}

/// A case, with the message that a user gets.
fn tell(case: &str) -> String {
    let given: Vec<&str> = case.lines().take_while(|line| line.starts_with(['#', '|'])).collect();
    let file: String = given[1..].iter().flat_map(|line| [&line[1..], "\n"]).collect();
    let Err(faults) = parse(file.as_bytes()) else { panic!("{case}\nis not broken") };
    let told = faults.iter().map(|fault| fault.render(Path::new("ch.conf")));
    given.into_iter().map(str::to_owned).chain(told).collect::<Vec<_>>().join("\n")
}

#[test]
fn bytes_that_are_not_text_are_an_error() {
    let told = |bytes: &[u8]| parse(bytes).unwrap_err()[0].render(Path::new("ch.conf"));
    assert_eq!(
        told(b"[Interface]\nDNS = \xff\n"),
        "ch.conf:2:7: this is not UTF-8 text\n    2 | DNS = \u{fffd}\n      |       ^ save the file as UTF-8"
    );
    let of_windows: Vec<u8> = "\u{feff}[Interface]".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(told(&of_windows).starts_with("ch.conf:1:1: this is not UTF-8 text"));
}

/// Private and pre-shared keys do not reach a log, even if they are misspelt.
#[test]
fn no_key_is_ever_printed() {
    let key = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
    for line in [
        format!("PrivateKey = {}", &key[..43]),
        format!("PrivateKey = {key} x"),
        format!("PrivatKey = {key}"),
        format!("Key = {key}"),
        format!("MTU = {key}"),
        format!("PostUp = wg set %i private-key {key}\nMTU = x"),
        format!("{key} = 5"),
        key.to_owned(),
        format!("private key {key}"),
        format!("[{key}]"),
        format!("PrivateKey = {key}\nPrivateKey = {key}"),
        format!("PrivateKey = {} {}", &key[..20], &key[20..]),
        format!("DNS = {key}, {}", &key[..43]),
        format!("Table = {key}"),
    ] {
        for file in [format!("[Interface]\n{line}\n"), format!("{line}\n"), format!("[Peer]\n{line}\n")] {
            let told: String = match parse(file.as_bytes()) {
                Ok(parsed) => parsed.remarks.into_iter().map(|remark| remark.message).collect(),
                Err(faults) => faults.iter().map(|fault| fault.render(Path::new("ch.conf"))).collect(),
            };
            assert!(!told.contains(&key[10..30]), "{file}\n{told}");
        }
    }
}
