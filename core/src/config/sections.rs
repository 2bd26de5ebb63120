//! The sections of the file, key by key.

use std::net::IpAddr;

use toml::de::DeValue;

use super::draft::{NetworkDraft, PhoneDraft, PortalDraft, ProviderDraft, SiteDraft};
use super::fault::{At, Findings};
use super::model::{
    CONFIRMATION_TIMES, EntranceConfig, FirewallChoice, MOST_ADMINS, MOST_PHONES, MOST_SERIAL, Mtu, RpFilter,
    Security, Wifi,
};
use super::reader::{Read, Section, ValueFault, wrong};
use super::scalars::{choice, flag, number, path, reference, text};
use super::shared_networks;
use super::suggest::listed;
use super::values::{self, LONGEST_NAME, LONGEST_NETWORK_NAME};
use crate::base::sorted::order;

const FIREWALLS: &[(&str, FirewallChoice)] = &[
    ("auto", FirewallChoice::Auto),
    ("nftables", FirewallChoice::Nftables),
    ("iptables", FirewallChoice::Iptables),
];
const RP_FILTERS: &[(&str, RpFilter)] = &[("keep", RpFilter::Keep), ("loose", RpFilter::Loose)];
const SECURITIES: &[(&str, Security)] =
    &[("wpa2", Security::Wpa2), ("wpa2+wpa3", Security::Both), ("wpa3", Security::Wpa3)];
const KEY: &str = "\"<what portals init prints there>\"";
const PHONE_KEY: &str = "\"<what the phone's app shows>\"";
const ADMIN: &str = "\"<what portals sign --create prints>\"";
const FAILOVER: &str = "failover = { down_after = 3, up_after = 10 }";
const EXIT: &str = "\"paris\"";
const WIFI: &str = "wifi = { interface = \"wlan0\", ssid = \"Paris\", passphrase_file = \"wifi.key\", \
                    country = \"US\", channel = 6 }";

/// Reads the whole file.
pub(super) fn file(root: &Section<'_>, found: &mut Findings) -> NetworkDraft {
    root.only(&["network", "site", "phone"], found);
    let network = root.table("network", "[network]", found);
    if !root.has("network") {
        let help = "begin the file with `[network]`, `name = \"home\"` and `subnet = \"10.77.0.0/16\"`";
        found.add(&root.span, "the network file has no [network]", help);
    }
    if !root.has("site") {
        let help = "add `[site.nyc]` with its `id` and `public_key`";
        found.add(&root.span, "the network file has no site", help);
    }
    let mut draft = NetworkDraft {
        sites: root.each("site", "nyc", site, found),
        phones: root.each("phone", "mike", phone, found),
        ..NetworkDraft::default()
    };
    if let Some(section) = network {
        self::network(&mut draft, &section, found);
    }
    draft
}

fn network(draft: &mut NetworkDraft, section: &Section<'_>, found: &mut Findings) {
    section
        .only(&["name", "subnet", "subnet6", "mtu", "failover", "resolve_after", "serial", "admins"], found);
    draft.name =
        section.required("name", "\"home\"", &text(|name| values::name(name, LONGEST_NETWORK_NAME)), found);
    draft.subnet = section.required("subnet", "\"10.77.0.0/16\"", &text(values::subnet), found);
    draft.ipv6 = section.has("subnet6");
    draft.subnet6 = section.optional("subnet6", "\"fd77:1:2::/48\"", &text(values::subnet), found);
    draft.mtu = section.optional("mtu", "1280", &mtu, found);
    draft.resolve_after = section.optional("resolve_after", "120", &number(5..=3600), found);
    draft.serial = section.optional("serial", "1", &number(0..=MOST_SERIAL), found);
    draft.admins = section.list("admins", ADMIN, &text(values::public_key), found);
    if let Some(one_more) = draft.admins.get(MOST_ADMINS) {
        let help = "remove keys that nobody signs with any more";
        found.add(&one_more.span, format_args!("`admins` has more than {MOST_ADMINS} keys"), help);
    }
    if let Some(failover) = section.table("failover", FAILOVER, found) {
        failover.only(&["down_after", "up_after", "probe"], found);
        draft.down_after = failover.optional("down_after", "3", &number(1..=60), found);
        draft.up_after = failover.optional("up_after", "10", &number(1..=3600), found);
        draft.probe = failover.optional("probe", "\"9.9.9.9\"", &text(values::probe), found);
    }
}

const SITE_KEYS: [&str; 20] = [
    "id",
    "public_key",
    "endpoint",
    "port",
    "helper_port",
    "relay",
    "port_mapping",
    "exits",
    "links",
    "lan",
    "dns",
    "uplink",
    "firewall",
    "fastpath",
    "rp_filter",
    "hook",
    "dyndns",
    "confirm_reload",
    "portal",
    "exit",
];

fn site(name: At<String>, section: &Section<'_>, found: &mut Findings) -> SiteDraft {
    check_name("site", &name, found);
    let misspelt = !section.only(&SITE_KEYS, found);
    SiteDraft {
        name,
        misspelt,
        id: section.required("id", "1", &number(1..=250), found),
        public_key: section.required("public_key", KEY, &text(values::public_key), found),
        dialled: section.has("endpoint"),
        endpoint: section.optional("endpoint", "\"nyc.example.net\"", &text(values::host), found),
        port: section.optional("port", "51820", &number(1..=65535), found),
        helper_port: section.optional("helper_port", "443", &number(1..=65535), found),
        relay: section.optional("relay", "false", &flag, found),
        port_mapping: section.optional("port_mapping", "false", &flag, found),
        exits: section.list("exits", "\"paris\"", &reference, found),
        links: section.list("links", "\"paris\"", &reference, found),
        lan: section.list("lan", "\"192.168.1.0/24\"", &text(shared_networks::parse), found),
        shares: section.has("lan"),
        dns: section.optional("dns", "\"192.168.1.1\"", &text(values::address), found),
        uplink: section.optional("uplink", "\"eth0\"", &text(values::interface), found),
        firewall: section.optional("firewall", "\"auto\"", &choice(FIREWALLS), found),
        fastpath: section.optional("fastpath", "true", &flag, found),
        rp_filter: section.optional("rp_filter", "\"keep\"", &choice(RP_FILTERS), found),
        hook: section.optional("hook", "\"moved.sh\"", &path, found),
        dyndns: section.optional("dyndns", "\"inadyn.conf\"", &path, found),
        confirm_reload: section.optional("confirm_reload", "60", &number(CONFIRMATION_TIMES), found),
        portals: section.each("portal", "guest", portal, found),
        providers: section.each("exit", "mullvad", provider, found),
    }
}

/// Reads an MTU: `"auto"`, or a number of bytes.
fn mtu(value: &DeValue<'_>) -> Result<Mtu, ValueFault> {
    if value.as_str() == Some("auto") { Ok(Mtu::Measured) } else { number(576..=1500)(value).map(Mtu::Fixed) }
}

const PORTAL_KEYS: [&str; 17] = [
    "exit",
    "interface",
    "vlan",
    "wifi",
    "from",
    "mac",
    "self",
    "to",
    "ports",
    "except",
    "address",
    "dhcp",
    "dns",
    "ntp",
    "router",
    "inbound",
    "page",
];

fn portal(name: At<String>, section: &Section<'_>, found: &mut Findings) -> PortalDraft {
    check_name("portal", &name, found);
    section.only(&PORTAL_KEYS, found);
    PortalDraft {
        name,
        span: section.span.clone(),
        exits: portal_exits(section, found),
        entrance: entrance(section, found),
        to: section.list("to", "\"198.51.100.0/24\"", &text(values::network), found),
        ports: section.list("ports", "\"tcp/443\"", &text(values::ports), found),
        except: section.list("except", "\"192.168.0.0/16\"", &text(values::network), found),
        addressed: section.has("address"),
        address: section.optional("address", "\"10.77.1.65/26\"", &text(values::interface_address), found),
        dhcp: section.optional("dhcp", "false", &flag, found),
        dns: resolvers(section, found),
        ntp: section.optional("ntp", "false", &flag, found),
        router: section.optional("router", "true", &flag, found),
        inbound: section.optional("inbound", "true", &flag, found),
        page: section.optional("page", "true", &flag, found),
    }
}

fn portal_exits(section: &Section<'_>, found: &mut Findings) -> Vec<At<String>> {
    section.must_have("exit", EXIT, found);
    section.must_list("exit", EXIT, found);
    section.one_or_list("exit", EXIT, &reference, found)
}

/// Reads the one entrance of a portal. Reads surplus entrances too, so that a person sees the faults of all
/// of them.
fn entrance(section: &Section<'_>, found: &mut Findings) -> Option<At<EntranceConfig>> {
    const KEYS: [&str; 6] = ["interface", "vlan", "wifi", "from", "mac", "self"];
    let (mut given, mut places) = (Vec::new(), Vec::new());
    for key in KEYS {
        if let Some(span) = section.key_span(key) {
            places.push((span.start, 0));
            given.push((key, span));
        }
    }
    let mut entrance = None;
    let order = order(&places);
    for at in &order {
        let (key, span) = &given[*at];
        let other = one_entrance(section, key, found);
        entrance = entrance.or(other);
        let (first, _) = &given[order[0]];
        if first != key {
            let message = format_args!("{} has two entrances, `{first}` and `{key}`", section.label);
            found.add(span, message, "keep one, and write another portal for the other");
        }
    }
    if given.is_empty() {
        let help = format_args!("add one of {}, such as `interface = \"eth1\"`", listed(&KEYS));
        found.add(&section.span, format_args!("{} has no entrance", section.label), help);
    }
    entrance
}

fn one_entrance(section: &Section<'_>, key: &str, found: &mut Findings) -> Option<At<EntranceConfig>> {
    let span = section.value_span(key)?;
    let value = match key {
        "interface" => EntranceConfig::Interface(
            section.optional(key, "\"eth1\"", &text(values::interface), found)?.value,
        ),
        "vlan" => vlan(&section.table(key, "vlan = { parent = \"eth0\", id = 30 }", found)?, found)?,
        "wifi" => EntranceConfig::Wifi(wifi(&section.table(key, WIFI, found)?, found)?),
        "from" => {
            EntranceConfig::From(sources(section, key, "\"192.168.1.50\"", &text(values::network), found)?)
        }
        "mac" => {
            EntranceConfig::Mac(sources(section, key, "\"aa:bb:cc:dd:ee:ff\"", &text(values::mac), found)?)
        }
        _ => own(section, key, found)?,
    };
    Some(At { value, span })
}

fn vlan(section: &Section<'_>, found: &mut Findings) -> Option<EntranceConfig> {
    section.only(&["parent", "id"], found);
    let parent = section.required("parent", "\"eth0\"", &text(values::interface), found);
    let id = section.required("id", "30", &number(1..=4094), found);
    Some(EntranceConfig::Vlan { parent: parent?.value, id: id?.value })
}

fn wifi(section: &Section<'_>, found: &mut Findings) -> Option<Wifi> {
    const KNOWN: [&str; 7] = ["interface", "ssid", "passphrase_file", "country", "channel", "hidden", "wpa"];
    section.only(&KNOWN, found);
    let interface = section.required("interface", "\"wlan0\"", &text(values::interface), found);
    let ssid = section.required("ssid", "\"Paris\"", &text(values::ssid), found);
    let passphrase_file = section.required("passphrase_file", "\"wifi.key\"", &path, found);
    let country = section.required("country", "\"US\"", &text(values::country), found);
    let channel = section.required("channel", "6", &values::channel, found);
    let hidden = section.optional("hidden", "true", &flag, found);
    let security = section.optional("wpa", "\"wpa2+wpa3\"", &choice(SECURITIES), found);
    Some(Wifi {
        interface: interface?.value,
        ssid: ssid?.value,
        passphrase_file: passphrase_file?.value,
        country: country?.value,
        channel: channel?.value,
        hidden: hidden.is_some_and(|hidden| hidden.value),
        security: security.map_or(Security::Both, |security| security.value),
    })
}

fn sources<T: PartialEq>(
    section: &Section<'_>,
    key: &str,
    example: &str,
    read: &Read<T>,
    found: &mut Findings,
) -> Option<Vec<T>> {
    section.must_list(key, example, found);
    let list = section.list(key, example, read, found);
    (!list.is_empty()).then(|| list.into_iter().map(|source| source.value).collect())
}

fn own(section: &Section<'_>, key: &str, found: &mut Findings) -> Option<EntranceConfig> {
    let read = |value: &DeValue<'_>| match flag(value) {
        Ok(false) => wrong("cannot be false", "write `self = true`, or another entrance"),
        flag => flag,
    };
    section.optional(key, "true", &read, found).map(|_| EntranceConfig::Own)
}

fn provider(name: At<String>, section: &Section<'_>, found: &mut Findings) -> ProviderDraft {
    check_name("exit", &name, found);
    section.only(&["config"], found);
    let config = section.required("config", "\"mullvad-ch.conf\"", &path, found);
    ProviderDraft { name, span: section.span.clone(), config }
}

fn phone(name: At<String>, section: &Section<'_>, found: &mut Findings) -> PhoneDraft {
    check_name("phone", &name, found);
    section.only(&["id", "at", "exit", "public_key", "preshared_key_file", "dns"], found);
    PhoneDraft {
        name,
        span: section.span.clone(),
        id: section.required("id", "1", &number(1..=MOST_PHONES.into()), found),
        at: section.required("at", "\"nyc\"", &reference, found),
        exit: section.optional("exit", EXIT, &reference, found),
        public_key: section.required("public_key", PHONE_KEY, &text(values::public_key), found),
        preshared_key_file: section.optional("preshared_key_file", "\"mike.psk\"", &path, found),
        dns: resolvers(section, found),
    }
}

fn resolvers(section: &Section<'_>, found: &mut Findings) -> Vec<At<IpAddr>> {
    section.list("dns", "\"9.9.9.9\"", &text(values::address), found)
}

/// Checks the name in a header. The draft keeps a wrong name all the same: other parts of the file may refer
/// to it.
fn check_name(what: &str, name: &At<String>, found: &mut Findings) {
    if let Err(ValueFault::Value(words)) = values::name(&name.value, LONGEST_NAME) {
        found.add(&name.span, format_args!("the {what}'s name {}", words.message()), words.help());
    }
}
