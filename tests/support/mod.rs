//! Shared parts of several tests: sites with known keys, and host facts from a file.

use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

use toml::de::{DeTable, DeValue};
use wg_portals::base::keys;
use wg_portals::base::net::{IfName, Secret};
use wg_portals::base::package_manager::PackageManager;
use wg_portals::base::sorted::{SortedMap, SortedSet};
use wg_portals::config;
use wg_portals::config::model::{EntranceConfig, Network, Wifi};
use wg_portals::engine::load::Files;
use wg_portals::site::access_point::Radios;
use wg_portals::site::facts::LinkSort;
use wg_portals::site::facts::{Facts, HostFirewalls, Master, Tie, Uplink};
use wg_portals::state::WireGuardBackend;
use wg_portals::wgquick::{self, Parsed};
use wg_portals::wifi::card::{Band, Card, Channel, ChannelRules};
use wg_portals::wifi::passphrase::Passphrase;

/// Private key of the site with this id in all tests: its id, 32 times.
pub(crate) fn private_key(id: u8) -> Secret {
    Secret::new([id; 32])
}

/// Files of one site of a network, as they would be in /etc/portals.
pub(crate) fn files(network: &Network, site: &str, network_secret: Option<Secret>) -> Files {
    let private_key = private_key(network.sites[site].id);
    Files {
        text: String::new(),
        file: "/etc/portals/network.toml".into(),
        network: Box::new(network.clone()),
        folder: "/etc/portals".into(),
        public_key: keys::public_key(&private_key),
        private_key,
        has_next_key: false,
        network_secret,
        phone_keys: SortedMap::new(),
        passphrases: wifis(network, site)
            .map(|wifi| (wifi.passphrase_file.clone().into(), Ok(Passphrase::of("correct horse").unwrap())))
            .collect(),
        providers: SortedMap::new(),
    }
}

/// Content of the files of a site's providers.
pub(crate) fn providers(
    network: &Network,
    site: &str,
    read: impl Fn(&Path) -> Vec<u8>,
) -> SortedMap<String, Parsed> {
    let parsed = |config: &Path| {
        wgquick::parse(&read(config)).unwrap_or_else(|faults| panic!("{}: {faults:?}", config.display()))
    };
    let providers = network.sites[site].providers.iter();
    providers.map(|(name, provider)| (name.clone(), parsed(&provider.config))).collect()
}

/// A network from a text that must be valid.
pub(crate) fn network(text: &str) -> Network {
    config::parse(text).unwrap_or_else(|faults| {
        let faults: Vec<String> =
            faults.iter().map(|fault| fault.render(Path::new("network.toml"))).collect();
        panic!("{text}\n{}", faults.join("\n"))
    })
}

/// Host facts: `uplink`, `uplink6`, `hears_advertisements`, `gateway`, `addresses`, `uplink_networks`,
/// `local`, `own`, `ipv6`, `without_ipv6`, `old_rules`, `neighbours`, `ports` with their bridges, and names
/// with their addresses.
pub(crate) fn facts(text: &str) -> (Facts, SortedMap<String, IpAddr>) {
    let table = DeTable::parse(text).expect("facts are TOML").into_inner();
    let text_of = |key: &str| table.get(key).and_then(|value| value.get_ref().as_str()).map(str::to_owned);
    let uplink = text_of("uplink").map(|interface| Uplink {
        interface: interface.parse().unwrap(),
        gateway: text_of("gateway").map(|gateway| gateway.parse().unwrap()),
        addresses: list(table.get("addresses").map(toml::Spanned::get_ref)),
    });
    let facts = Facts {
        uplink,
        uplink6: text_of("uplink6").map(|interface| interface.parse().unwrap()),
        local: list(table.get("local").map(toml::Spanned::get_ref)),
        behind: SortedMap::new(),
        own: list(table.get("own").map(toml::Spanned::get_ref)),
        given: SortedSet::new(),
        rules_in_front: SortedSet::new(),
        uplink_networks: list(table.get("uplink_networks").map(toml::Spanned::get_ref)),
        wireguard: Some(WireGuardBackend::Kernel),
        ipv6: table.get("ipv6").is_none_or(|value| value.get_ref().as_bool() == Some(true)),
        without_ipv6: list(table.get("without_ipv6").map(toml::Spanned::get_ref)),
        can_be_deaf: SortedSet::new(),
        hears_advertisements: list(table.get("hears_advertisements").map(toml::Spanned::get_ref)),
        interfaces: SortedMap::new(),
        ties: ties(pairs(table.get("ports").map(toml::Spanned::get_ref))),
        closes_ports: true,
        rules_know_ports: table.get("old_rules").is_none(),
        firmware: None,
        neighbours: pairs(table.get("neighbours").map(toml::Spanned::get_ref)),
        filters: HostFirewalls {
            nftables: true,
            flowtables: table.contains_key("flowtables"),
            ..HostFirewalls::default()
        },
        radios: Radios::default(),
        package_manager: PackageManager::default(),
    };
    let resolved = pairs(table.get("names").map(toml::Spanned::get_ref));
    (facts, resolved)
}

/// Interfaces through which portals of a site are entered, with their MTUs, as facts of its host.
pub(crate) fn entrances(network: &Network, site: &str) -> SortedMap<IfName, u32> {
    let entrances = network.sites[site].portals.iter().filter_map(|portal| match &portal.entrance {
        EntranceConfig::Interface(name) | EntranceConfig::Vlan { parent: name, .. } => {
            Some((name.clone(), 1500))
        }
        _ => None,
    });
    let cards = wifis(network, site).map(|wifi| (wifi.interface.clone(), 1500));
    entrances.chain(cards).collect()
}

/// Cards with the abilities that a site needs.
pub(crate) fn radios(network: &Network, site: &str) -> Radios {
    let card = |wifi: &Wifi| {
        let channels = vec![Channel { number: wifi.channel, rules: ChannelRules::Free }];
        let band = Band { n: true, ac: true, channels };
        let (two_ghz, five_ghz) = (band.clone(), band);
        let card =
            Card { access_points: 8, country: wifi.country.clone(), two_ghz, five_ghz, ..Card::default() };
        (wifi.interface.clone(), card)
    };
    Radios { cards: wifis(network, site).map(card).collect(), knows_countries: true }
}

fn wifis<'a>(network: &'a Network, site: &str) -> impl Iterator<Item = &'a Wifi> {
    network.sites[site].portals.iter().filter_map(|portal| match &portal.entrance {
        EntranceConfig::Wifi(wifi) => Some(wifi),
        _ => None,
    })
}

fn ties(ports: SortedMap<IfName, IfName>) -> SortedMap<IfName, Tie> {
    let tie = |interface| Tie {
        master: Some(Master { interface, sort: LinkSort::Bridge, holds_uplink: false }),
        ..Tie::default()
    };
    ports.into_iter().map(|(port, bridge)| (port, tie(bridge))).collect()
}

/// Keys of a table with their values.
pub(crate) fn pairs<K, V>(table: Option<&DeValue>) -> SortedMap<K, V>
where
    K: FromStr<Err: std::fmt::Debug> + Ord,
    V: FromStr<Err: std::fmt::Debug>,
{
    let entries = table.and_then(DeValue::as_table).into_iter().flatten();
    let pair = |key: &str, value: &str| (key.parse().unwrap(), value.parse().unwrap());
    entries.map(|(key, value)| pair(key.get_ref(), value.get_ref().as_str().unwrap())).collect()
}

fn list<T: FromStr<Err: std::fmt::Debug> + Ord>(value: Option<&DeValue>) -> SortedSet<T> {
    let items = value.and_then(DeValue::as_array).into_iter().flatten();
    items.map(|item| item.get_ref().as_str().unwrap().parse().unwrap()).collect()
}
