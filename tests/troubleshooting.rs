//! Page of faults, and of the words with which a command names them. The scenarios make each of these faults
//! for real. `UPDATE_GOLDEN=1 cargo test --test troubleshooting` rewrites the page.

#[path = "support/generated.rs"]
mod generated;
#[allow(dead_code, reason = "the scenarios make the faults")]
#[path = "support/troubles/mod.rs"]
mod troubles;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use troubles::{ALL, Trouble};

const HEAD: &str = "\
# Troubleshooting

| you see | command at the router |
|---|---|
| the TV has no address, or finds no names | `portals doctor`: see `programs`, `ports` and `Wi-Fi` |
| the TV has no internet | `portals test PORTAL`: does the way of the portal work? Then `portals trace DEVICE 1.1.1.1:443`: where does its traffic stop? |
| the TV is still at home: a service shows the wrong country or address | `portals test PORTAL`: see `way` and `address`. Then `portals trace DEVICE ADDRESS:PORT`: does its traffic enter the portal? |
| one service does not work | `portals trace DEVICE ADDRESS:PORT`; `--live` waits for a packet of the device itself |
| some sites hang: small pages load, and transfers stop | `portals doctor`: see `path` |
| everything is slow | `portals test PORTAL`: delay, loss and speed |
| a link is down | `portals doctor` at both ends: see `links`, `endpoint` and `unknown keys` |
| nothing works after a start or an upgrade | `portals doctor`: see `boot`, `agent` and `clock` |
| you are locked out of the router | see [Locked out](#locked-out) |

`portals doctor` checks the network file, this machine and its links, and names what is wrong: `✗` is a fault,
`!` a fact to know, `-` something that could not be checked. `portals trace` follows one flow, and says where
it stops; with `--both`, it says at which of two sites. [Find a fault](diagnosis.md) explains these commands,
and has the messages of other commands.

## Locked out

- **Wait**, if the change was made with `portals apply --confirm SECONDS` or under `confirm_reload`: it is
  undone once that time has passed ([changes to a remote router](commands.md#changes-to-a-remote-router)).
- **Come from a network that is in no portal**: the LAN at home, another port, or the console. A device behind
  the interface, VLAN or Wi-Fi of a portal does not reach the services of the router, unless the portal has
  `router = true` ([a portal's keys](configuration.md)).
- **Come from another site or with a [phone](phones-and-providers.md)**, if this site shares its LAN
  ([the computers at home](home-networks.md)).
- **Then**: `portals doctor` says what is wrong. `portals stop` and, after it, `portals down` take everything
  away that portals has set up. The next start of the machine opens the portals again, unless you run
  `portals uninstall`.

## All faults

The tests make every fault in the tables below for real, and compare the words. `⟨…⟩` stands for text that
differs, and `⋮` for more lines.
";

#[test]
fn the_page_has_the_words_of_the_table() {
    generated::compare("docs/troubleshooting.md", &page(), "troubleshooting");
}

#[test]
fn every_fault_is_there_once() {
    let mut faults = BTreeSet::new();
    for Trouble { fault, words, command, .. } in ALL.iter().flat_map(|(_, rows)| rows.iter()) {
        assert!(faults.insert(*fault), "{fault}");
        assert!(!words.is_empty() && command.starts_with("portals "), "{fault}");
    }
    assert!(faults.len() >= 40, "{} faults", faults.len());
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (heading, rows) in ALL {
        let _ = write!(page, "\n### {heading}\n\n| fault | command | words |\n|---|---|---|\n");
        for Trouble { fault, command, words, .. } in *rows {
            let _ = writeln!(page, "| {fault} | `{command}` | {} |", cell(words));
        }
    }
    page
}

/// Returns lines as the content of a cell: code, one line below the other.
fn cell(words: &str) -> String {
    let lines = words.lines().map(|line| {
        let line = line
            .trim_start()
            .replace(" --config /run/demo/network.toml", "")
            .replace("/run/demo", "/etc/portals")
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        format!("<code>{}</code>", line.replace('|', "&#124;").replace('*', "&#42;").replace('`', "&#96;"))
    });
    lines.collect::<Vec<_>>().join("<br>")
}
