//! `portals interfaces`: the interfaces of this machine, and their use.

use std::path::Path;

use super::ExitStatus;
use crate::base::error::Errors;
use crate::base::json::JsonText;
use crate::base::net::IfName;
use crate::base::path::folder_of;
use crate::base::sorted::SortedMap;
use crate::base::text::append;
use crate::cli::output::{complain, print, say};
use crate::config::model::{EntranceConfig, SiteConfig};
use crate::engine::host::interfaces::{self, HostInterface};
use crate::engine::{network_file, own_key};
use crate::site::facts::LinkSort;
use crate::state::words::count;
use crate::wifi::card::{Band, Card};

/// Names of the portals that use an interface.
type Users = SortedMap<IfName, Vec<String>>;

/// Prints a line for each interface, or JSON.
pub(super) fn run(file: &Path, as_json: bool) -> Result<ExitStatus, Errors> {
    let found = interfaces::list()?;
    let users = users(file);
    if as_json {
        say!("{}", json(&found, &users));
    } else {
        print(format_args!("{}", lines(&found, &users)));
    }
    Ok(ExitStatus::Done)
}

/// Returns the portals of this site by their interface, as far as file and key can be read.
fn users(file: &Path) -> Users {
    let mut users = Users::new();
    if !file.exists() {
        return users;
    }
    let Ok((_, network)) = network_file::load(file) else {
        complain!("note: {} is wrong, so no portals are shown; `portals check` says why", file.display());
        return users;
    };
    let own = own_key::owner(&folder_of(file), &network);
    let site = network.sites.values().find(|site| Some(site.public_key) == own);
    if let Some(site) = site {
        add_users(&mut users, site);
    } else {
        complain!("note: no portals are shown, because this site's key cannot be read: run this as root");
    }
    users
}

fn add_users(users: &mut Users, site: &SiteConfig) {
    for portal in &site.portals {
        let interface = match &portal.entrance {
            EntranceConfig::Interface(name) | EntranceConfig::Vlan { parent: name, .. } => name,
            EntranceConfig::Wifi(wifi) => &wifi.interface,
            EntranceConfig::From(_) | EntranceConfig::Mac(_) | EntranceConfig::Own => continue,
        };
        users.get_or_default(interface.clone()).push(portal.name.clone());
    }
}

/// Returns the table of interfaces: name, state, kind, use and addresses.
pub(super) fn lines(found: &[HostInterface], users: &Users) -> String {
    let mut text = String::new();
    for interface in found {
        let (word, of) = role(interface, users);
        let mut role = format!("{word} {of}");
        if let Some(card) = &interface.card {
            role = format!("{}, {}", role.trim_end(), abilities(card));
        }
        let mut addresses = String::new();
        for address in &interface.addresses {
            append(&mut addresses, address);
        }
        let HostInterface { name, state, kind, .. } = interface;
        let line = format!("  {:15}  {state:7}  {kind:8}  {role:24}  {addresses}", name.as_str());
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Returns the use of an interface, and what uses it.
fn role(interface: &HostInterface, users: &Users) -> (&'static str, String) {
    if let Some(portals) = users.get(&interface.name) {
        return ("portal", portals.join(", "));
    }
    match &interface.master {
        _ if interface.is_uplink => ("uplink", String::new()),
        Some((master, LinkSort::Bridge)) => ("port of bridge", master.to_string()),
        Some((master, _)) => ("port of", master.to_string()),
        None if interface.addresses.is_empty() => ("free", String::new()),
        None => ("LAN", String::new()),
    }
}

/// Returns the words for what a Wi-Fi card can do.
fn abilities(card: &Card) -> String {
    if card.access_points == 0 {
        return "no access point".to_owned();
    }
    let networks = count(card.access_points as usize, "network");
    let state = if card.is_switched_off { ", switched off" } else { "" };
    format!("{}, {networks}{state}", bands(card).join(" and "))
}

fn bands(card: &Card) -> Vec<String> {
    let mut bands = Vec::new();
    for (name, Band { channels, .. }) in [("2.4 GHz", &card.two_ghz), ("5 GHz", &card.five_ghz)] {
        if !channels.is_empty() {
            bands.push(name.to_owned());
        }
    }
    bands
}

fn json(found: &[HostInterface], users: &Users) -> String {
    let mut json = JsonText::default();
    json.begin("", '{');
    json.begin("interfaces", '[');
    for interface in found {
        json.begin("", '{');
        json.text("name", &interface.name);
        json.text("kind", &interface.kind);
        json.text("state", &interface.state);
        json.begin("addresses", '[');
        for address in &interface.addresses {
            json.text("", address);
        }
        json.end(']');
        json.text("use", &role(interface, users).0);
        if let Some((master, _)) = &interface.master {
            json.text("port_of", master);
        }
        json.texts("portals", users.get(&interface.name).map_or(&[], Vec::as_slice));
        if let Some(card) = &interface.card {
            json.begin("wifi", '{');
            json.texts("bands", &bands(card));
            json.put("access_points", &card.access_points);
            json.put("switched_off", &card.is_switched_off);
            json.end('}');
        }
        json.end('}');
    }
    json.end(']');
    json.end('}');
    json.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wifi::card::{Channel, ChannelRules};

    fn interface(name: &str, kind: &str) -> HostInterface {
        HostInterface {
            name: name.parse().unwrap(),
            kind: kind.to_owned(),
            state: "up",
            is_uplink: false,
            master: None,
            card: None,
            addresses: Vec::new(),
        }
    }

    #[test]
    fn uses_are_told_apart() {
        let addresses = ["192.168.1.1/24", "fd00::1/64"].map(|address| address.parse().unwrap());
        let channel = |number| vec![Channel { number, rules: ChannelRules::Free }];
        let card = Card {
            two_ghz: Band { channels: channel(6), ..Band::default() },
            five_ghz: Band { channels: channel(36), ..Band::default() },
            access_points: 8,
            is_switched_off: true,
            ..Card::default()
        };
        let found = [
            HostInterface { is_uplink: true, addresses: addresses[..1].into(), ..interface("eth0", "wired") },
            HostInterface { state: "no link", ..interface("eth1", "wired") },
            interface("eth2", "wired"),
            HostInterface {
                master: Some(("br-lan".parse().unwrap(), LinkSort::Bridge)),
                ..interface("eth3", "wired")
            },
            HostInterface { addresses: addresses.into(), ..interface("br-lan", "bridge") },
            HostInterface { card: Some(card.clone()), state: "off", ..interface("wlan0", "Wi-Fi") },
            HostInterface { card: Some(Card { access_points: 0, ..card }), ..interface("wlan1", "Wi-Fi") },
        ];
        let users = [("eth1", "guest"), ("wlan0", "tv")];
        let users: Users = users
            .map(|(name, portal)| (name.parse().unwrap(), vec![portal.to_owned()]))
            .into_iter()
            .collect();
        assert_eq!(
            lines(&found, &users),
            "  eth0             up       wired     uplink                    192.168.1.1/24\n  \
             eth1             no link  wired     portal guest\n  \
             eth2             up       wired     free\n  \
             eth3             up       wired     port of bridge br-lan\n  \
             br-lan           up       bridge    LAN                       192.168.1.1/24, fd00::1/64\n  \
             wlan0            off      Wi-Fi     portal tv, 2.4 GHz and 5 GHz, 8 networks, switched off\n  \
             wlan1            up       Wi-Fi     free, no access point\n"
        );
        let json = json(&found[5..6], &users);
        assert_eq!(
            json,
            concat!(
                r#"{"interfaces":[{"name":"wlan0","kind":"Wi-Fi","state":"off","addresses":[],"#,
                r#""use":"portal","portals":["tv"],"#,
                r#""wifi":{"bands":["2.4 GHz","5 GHz"],"access_points":8,"switched_off":true}}]}"#
            )
        );
    }
}
