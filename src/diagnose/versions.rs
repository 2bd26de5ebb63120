//! Check of the versions of other programs, which do not start with settings that they do not know.

use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::case::Live;
use super::finding::{Findings, Words};
use crate::base::moment::after;
use crate::config::model::Security;
use crate::services;
use crate::system::child::path_of;
use crate::system::command::Command;
use crate::system::packages;
use crate::system::wait::wait_for_input;

/// Longest wait for the version of a program.
const PATIENCE: Duration = Duration::from_secs(3);

/// Version of a program: two numbers.
type Version = (u32, u32);

/// Programs, the argument with which each tells its version, the oldest version that knows the settings that
/// portals always writes, the one for those of some sites, and a second way out. Sources: `bind-dynamic` and
/// the MTU of `ra-param` in dnsmasq's CHANGELOG, `sae_pwe` in hostapd's ChangeLog.
const NEEDS: [(&str, &str, Version, Version, &str); 2] = [
    ("dnsmasq", "--version", (2, 63), (2, 77), ""),
    ("hostapd", "-v", (0, 0), (2, 10), "\nOr write `wpa = \"wpa2\"` into each `wifi` of this site."),
];

/// Checks that programs are not too old.
pub(super) fn programs(live: &mut Live, findings: &mut Findings) {
    let site = &live.here.site;
    for (program, _) in services::programs(site) {
        let Some((name, argument, always, sometimes, other)) =
            NEEDS.iter().find(|(name, ..)| *name == program.name)
        else {
            continue;
        };
        let has_more = match *name {
            "dnsmasq" => site.portals.iter().any(|portal| portal.dhcp && portal.address6.is_some()),
            _ => site
                .wifi
                .access_points
                .iter()
                .any(|point| point.networks.iter().any(|network| network.security != Security::Wpa2)),
        };
        let needed = if has_more { sometimes } else { always };
        let said = path_of(name).and_then(|path| first_line(&path, argument).ok()).unwrap_or_default();
        // Who builds a program may give its version any form: an unknown one is no fault.
        let Some(version) = version_in(&said).filter(|version| version < needed) else { continue };
        let install = packages::manager().how_to_install(program.package);
        findings.wrong(
            &Words {
                check: "programs",
                seen: "{0} is version {1}.{2}: too old, portals needs {3}.{4}.",
                why: "It does not start with settings that it does not know.",
                way_out: "If there is a newer one: {5}{6}",
            },
            &[name, &version.0, &version.1, &needed.0, &needed.1, &install, other],
        );
    }
}

/// Runs a program with an argument, and returns the first line that it writes. A program that writes nothing
/// is ended.
fn first_line(program: &Path, argument: &str) -> io::Result<String> {
    let (mut reader, writer) = io::pipe()?;
    let mut child =
        Command::new(program).arg(argument).stdout(writer.as_fd()).stderr(writer.as_fd()).spawn()?;
    drop(writer);
    let until = after(Instant::now(), PATIENCE);
    let (mut text, mut length) = ([0; 256], 0);
    while length < text.len() && !text[..length].contains(&b'\n') {
        let has_input = wait_for_input(&[reader.as_fd()], Some(until)).unwrap_or_default();
        if has_input != [true] {
            break;
        }
        match reader.read(&mut text[length..]) {
            Ok(0) | Err(_) => break,
            Ok(more) => length += more,
        }
    }
    child.kill()?;
    child.wait()?;
    let text = String::from_utf8_lossy(&text[..length]);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Returns the first version in a line, such as `Dnsmasq version 2.90  Copyright` or `hostapd v2.10-devel`.
fn version_in(line: &str) -> Option<Version> {
    for word in line.split_whitespace() {
        let mut numbers = word.trim_start_matches('v').split(|letter: char| !letter.is_ascii_digit());
        let mut number = || numbers.next()?.parse().ok();
        if let (Some(first), Some(second)) = (number(), number()) {
            return Some((first, second));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_any_form() {
        for (line, version) in [
            ("Dnsmasq version 2.90  Copyright (c) 2000-2024 Simon Kelley", Some((2, 90))),
            ("Dnsmasq version 2.63rc1", Some((2, 63))),
            ("Dnsmasq version 2.80-1.1ubnt", Some((2, 80))),
            ("hostapd v2.10", Some((2, 10))),
            ("hostapd v2.12-devel-hostap_2_11+", Some((2, 12))),
            ("Dnsmasq version UNKNOWN", None),
            ("version 99999999999999999999.1", None),
            ("", None),
        ] {
            assert_eq!(version_in(line), version, "{line}");
        }
        assert!((2, 9) < (2, 10));
    }

    #[test]
    fn a_program_is_heard_and_ended() {
        let line = |program: &str, argument| first_line(&path_of(program).unwrap(), argument).ok();
        assert_eq!(line("echo", "hostapd v2.10\nand more"), Some("hostapd v2.10".to_owned()));
        assert_eq!(line("sleep", "100000"), Some(String::new()));
        assert!(line("yes", &"y".repeat(300)).unwrap().starts_with('y'));
    }
}
