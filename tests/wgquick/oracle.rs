//! The real wg and wg-quick as oracles, where they are installed: portals refuses exactly the files that they
//! refuse.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};
use std::{env, fs};

use wg_portals::wgquick::parse;

const INTERFACE: &str = "[Interface]\nPrivateKey = 8Gp4NTUJAq3H2DgkpQT2HxJvkEN0OmEX0ApKNKpqkX4=\n";
const PEER: &str = "[Peer]\nPublicKey = pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk=\n";

/// Lines of a file, of which the last one is checked.
const LINES: &[(&str, &[&str])] = &[
    (
        INTERFACE,
        &[
            "Address = 10.0.0.2/32 10.0.0.3, ,",
            "Address =",
            "Addr ess = 10.0.0.2",
            "[ Interface]\nAddress = 10.0.0.2",
            "[ Interface]\nListen Port = 5",
            "DNS = ~example.net _a 9.9.9.9,",
            "DNS =",
            "MTU =",
            "Table =",
            "ListenPort = domain",
            "ListenPort =",
            "ListenPort = x",
            "FwMark = 0x 1",
            "FwMark = OFF",
            "FwMark = 0XCA",
            "FwMark = 0x",
            "FwMark = -1",
            "PrivateKey = 8Gp4NTUJAq3H2DgkpQT2HxJvkEN 0OmEX0ApKNKpqkX4=",
            "PrivateKey = 8Gp4",
            "SaveConfig = TRUE",
            "SaveConfig = yes",
            "SaveConfig =",
            "PostUp =",
            "Reserved = 1",
            "Jc = 4",
            "[Peer]",
            "[Foo]",
            "[Interface",
            "; comment",
        ],
    ),
    (
        PEER,
        &[
            "Endpoint = [203.0.113.9]:51820",
            "Endpoint = 203.0.113.9 : 51820",
            "Endpoint = 2001:db8::9:51820",
            "Endpoint = 1:2:3:4:5:6:7:8",
            "Endpoint = [2001:db8::1] : 5",
            "Endpoint = [2001:db8::1]",
            "Endpoint = [203.0.113.9:5",
            "Endpoint = 203.0.113.9:domain",
            "Endpoint = 203.0.113.9:x",
            "Endpoint = 203.0.113.9",
            "Endpoint =",
            "AllowedIPs = 10.0.0.0/8,",
            "AllowedIPs = 10.0.0.0/8 ::/0",
            "AllowedIPs = 10.0.0.1/8,10.0.0.0/08",
            "AllowedIPs =",
            "Allowed IPs = 10.0. 0.0/8",
            "PersistentKeepalive = Off",
            "PersistentKeepalive = 025",
            "PersistentKeepalive = 0x10",
            "PersistentKeepalive = 65536",
            "PersistentKeepalive =",
            "PresharedKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "PresharedKey =",
            "PublicKey = zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk=",
            "[Peer]\nPublicKey = pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk=",
            "[ Peer ]\nPublicKey = zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk=",
            "MTU = 1280",
            "PostUp = true",
        ],
    ),
];

#[test]
fn files_that_wg_and_wg_quick_accept_are_accepted() {
    // For users other than root, wg-quick asks for a password first.
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !is_root || Command::new("wg").arg("--version").output().is_err() {
        return;
    }
    let folder = env::temp_dir().join(format!("portals-oracle-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let mut different = String::new();
    for (part, lines) in LINES {
        for line in *lines {
            let text = format!("{INTERFACE}{}{line}\n", part.strip_prefix(INTERFACE).unwrap_or(part));
            let (theirs, ours) = (is_taken(&folder, &text), parse(text.as_bytes()).is_ok());
            if theirs != ours {
                let _ = writeln!(different, "{line}: taken by wg {theirs}, here {ours}");
            }
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(different, "");
}

/// Reports whether both programs read the file. wg reads it before it looks for the interface, which does not
/// exist.
fn is_taken(folder: &std::path::Path, text: &str) -> bool {
    let file = folder.join("ch.conf");
    fs::write(&file, text).unwrap();
    let stripped = Command::new("wg-quick").arg("strip").arg(&file).stdin(Stdio::null()).output().unwrap();
    if !stripped.status.success() {
        return false;
    }
    let settings = folder.join("stripped");
    fs::File::create(&settings).unwrap().write_all(&stripped.stdout).unwrap();
    let mut set = Command::new("wg");
    set.args(["setconf", "no-such-link"]).arg(&settings).env("WG_ENDPOINT_RESOLUTION_RETRIES", "0");
    let words = set.output().unwrap().stderr;
    let words = String::from_utf8_lossy(&words);
    !words.contains("parsing error") && !words.contains("Invalid configuration")
}
