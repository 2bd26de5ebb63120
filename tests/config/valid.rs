//! Content of valid network files.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use wg_portals::base::net::{Cidr, Mac, PublicKey};
use wg_portals::base::sorted::SortedMap;
use wg_portals::config::model::{
    EndpointHost, EntranceConfig, ExitRef, FailoverDelays, FirewallChoice, Mtu, Network, PhoneConfig,
    PortalConfig, Ports, Position, Protocol, ProviderConfig, RpFilter, Security, SharedNetwork, SiteConfig,
    Subnet6, Wifi,
};
use wg_portals::config::{parse, portal_addresses};
use wg_portals::engine::network_file::load;

use crate::BASE;

/// File with every key of the format, and every kind of entrance.
const EVERYTHING: &str = include_str!("everything.toml");

/// Two positions are always equal.
const ANYWHERE: Position = Position { line: 1, column: 1 };

fn read(text: &str) -> Network {
    parse(text).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn cidr(text: &str) -> Cidr {
    text.parse().expect("a network")
}

fn networks<const N: usize>(texts: [&str; N]) -> Vec<Cidr> {
    texts.map(|text| text.parse().expect("a network")).to_vec()
}

fn key(text: &str) -> PublicKey {
    text.parse().expect("a key")
}

fn portal(name: &str, exits: Vec<ExitRef>, entrance: EntranceConfig) -> PortalConfig {
    PortalConfig {
        name: name.to_owned(),
        exits,
        entrance,
        to: vec![],
        ports: vec![],
        except: vec![],
        address: None,
        dhcp: None,
        dns: vec![],
        ntp: true,
        router: None,
        inbound: false,
        page: false,
        position: ANYWHERE,
    }
}

fn to_paris() -> Vec<ExitRef> {
    vec![ExitRef::Site("paris".to_owned())]
}

fn guest() -> PortalConfig {
    let mullvad = ExitRef::Provider("mullvad".to_owned());
    PortalConfig {
        to: networks(["198.51.100.0/24", "2001:db8::/32"]),
        ports: vec![
            Ports { protocol: Protocol::Tcp, first: 443, last: 443 },
            Ports { protocol: Protocol::Udp, first: 3478, last: 3481 },
        ],
        except: networks(["192.168.0.0/16"]),
        address: Some("10.77.1.129/26".parse().expect("an address")),
        dhcp: Some(false),
        dns: resolvers(),
        router: Some(true),
        inbound: true,
        page: true,
        ..portal(
            "guest",
            [to_paris(), vec![mullvad, ExitRef::Direct]].concat(),
            EntranceConfig::Interface("eth1".parse().expect("a name")),
        )
    }
}

fn resolvers() -> Vec<IpAddr> {
    ["9.9.9.9", "2620:fe::fe"].map(|address| address.parse().expect("an address")).into()
}

fn wifi() -> EntranceConfig {
    EntranceConfig::Wifi(Wifi {
        interface: "wlan0".parse().expect("a name"),
        ssid: "Paris".to_owned(),
        passphrase_file: PathBuf::from("wifi.key"),
        country: "US".to_owned(),
        channel: 36,
        hidden: true,
        security: Security::Wpa3,
    })
}

fn nyc() -> SiteConfig {
    let vlan = EntranceConfig::Vlan { parent: "eth0".parse().expect("a name"), id: 30 };
    let sources = EntranceConfig::From(networks(["192.168.1.50/32", "192.168.1.64/27"]));
    let devices = EntranceConfig::Mac(vec![Mac([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff])]);
    let mullvad = ProviderConfig { config: PathBuf::from("mullvad-ch.conf"), position: ANYWHERE };
    SiteConfig {
        id: 1,
        public_key: key("nycnycnycnycnycnycnycnycnycnycnycnycnycnycA="),
        endpoint: Some(EndpointHost::Name("nyc.example.net".to_owned())),
        port: 51000,
        helper_port: Some(443),
        relay: false,
        port_mapping: false,
        exits: vec!["paris".to_owned()],
        links: vec!["oslo".to_owned()],
        lan: vec![
            SharedNetwork { network: cidr("192.168.1.0/24"), seen_as: None },
            SharedNetwork { network: cidr("192.168.3.0/24"), seen_as: Some(cidr("10.78.3.0/24")) },
            SharedNetwork { network: cidr("172.20.0.9/32"), seen_as: Some(cidr("10.78.1.9/32")) },
        ],
        dns: Some("192.168.1.1".parse().expect("an address")),
        uplink: Some("eth0".parse().expect("a name")),
        firewall: FirewallChoice::Nftables,
        fastpath: true,
        rp_filter: RpFilter::Loose,
        hook: Some(PathBuf::from("moved.sh")),
        dyndns: Some(PathBuf::from("inadyn.conf")),
        confirm_reload: Some(Duration::from_mins(5)),
        portals: vec![
            guest(),
            portal("cameras", to_paris(), vlan),
            portal("air", to_paris(), wifi()),
            portal("tv", to_paris(), sources),
            portal("console", to_paris(), devices),
            PortalConfig { ntp: false, ..portal("router", to_paris(), EntranceConfig::Own) },
        ],
        providers: SortedMap::from([("mullvad".to_owned(), mullvad)]),
    }
}

/// A site with only the required keys.
fn bare(id: u8, public_key: &str) -> SiteConfig {
    SiteConfig {
        id,
        public_key: key(public_key),
        endpoint: None,
        port: 51820,
        helper_port: None,
        relay: true,
        port_mapping: true,
        exits: vec![],
        links: vec![],
        lan: vec![],
        dns: None,
        uplink: None,
        firewall: FirewallChoice::Auto,
        fastpath: false,
        rp_filter: RpFilter::Keep,
        hook: None,
        dyndns: None,
        confirm_reload: None,
        portals: vec![],
        providers: SortedMap::new(),
    }
}

fn phone(id: u8, exit: Option<ExitRef>, public_key: &str) -> PhoneConfig {
    PhoneConfig {
        id,
        at: "nyc".to_owned(),
        exit,
        public_key: key(public_key),
        preshared_key_file: None,
        dns: vec![],
        position: ANYWHERE,
    }
}

#[test]
fn every_key_is_read() {
    let paris = SiteConfig {
        endpoint: Some(EndpointHost::Address("203.0.113.9".parse().expect("an address"))),
        exits: vec!["nyc".to_owned()],
        ..bare(2, "parisparisparisparisparisparisparisparispaA=")
    };
    let oslo = bare(3, "osloosloosloosloosloosloosloosloosloosloosA=");
    let elsewhere = Some(ExitRef::Site("paris".to_owned()));
    let expected = Network {
        name: "home".to_owned(),
        subnet: "10.77.0.0/16".parse().expect("a network"),
        subnet6: Some(Subnet6 { network: "fd77:1:2::/48".parse().expect("a network"), position: ANYWHERE }),
        mtu: Mtu::Fixed(1420),
        failover: FailoverDelays { down_after: Duration::from_secs(5), up_after: Duration::from_mins(1) },
        probe: Some(Ipv4Addr::new(9, 9, 9, 9).into()),
        resolve_after: Duration::from_secs(90),
        serial: 7,
        admins: vec!["adminadminadminadminadminadminadminadminadA=".parse().expect("a key")],
        sites: SortedMap::from([
            ("nyc".to_owned(), nyc()),
            ("paris".to_owned(), paris),
            ("oslo".to_owned(), oslo),
        ]),
        phones: SortedMap::from([
            (
                "mike".to_owned(),
                PhoneConfig {
                    dns: resolvers(),
                    preshared_key_file: Some("mike.psk".into()),
                    ..phone(1, elsewhere, "mikemikemikemikemikemikemikemikemikemikemiA=")
                },
            ),
            ("anna".to_owned(), phone(2, None, "annaannaannaannaannaannaannaannaannaannaanA=")),
            ("lisa".to_owned(), phone(3, None, "lisalisalisalisalisalisalisalisalisalisaliA=")),
        ]),
    };
    assert_eq!(read(EVERYTHING), expected);
}

#[test]
fn positions_point_at_their_values() {
    let network = read(EVERYTHING);
    let nyc = &network.sites["nyc"];
    let place = |position: Position| {
        let line = EVERYTHING.lines().nth(position.line - 1).expect("a line of the file");
        line.chars().skip(position.column - 1).collect::<String>()
    };
    assert_eq!(place(nyc.portals[1].position), "[site.nyc.portal.cameras]");
    assert_eq!(place(nyc.providers["mullvad"].position), "[site.nyc.exit.mullvad]");
    assert_eq!(place(network.phones["mike"].position), "[phone.mike]");
    assert_eq!(place(network.subnet6.expect("IPv6").position), "\"fd77:1:2::/48\"");
}

#[test]
fn lans_without_an_address_get_a_free_network() {
    let network = read(EVERYTHING);
    let addresses: Vec<String> = portal_addresses(&network, "nyc")
        .into_iter()
        .map(|(name, address)| format!("{name} {address}"))
        .collect();
    assert_eq!(addresses, ["air 10.77.1.193/26", "cameras 10.77.1.65/26", "guest 10.77.1.129/26"]);
    assert!(portal_addresses(&network, "paris").is_empty());
    assert!(portal_addresses(&network, "rome").is_empty());
}

#[test]
fn missing_keys_have_their_defaults() {
    let network = read(BASE);
    assert_eq!((network.mtu, network.subnet6), (Mtu::Fixed(1280), None));
    let failover = FailoverDelays { down_after: Duration::from_secs(3), up_after: Duration::from_secs(10) };
    assert_eq!((network.failover, network.resolve_after), (failover, Duration::from_mins(2)));
    assert_eq!(network.probe, None);
    let paris = &network.sites["paris"];
    assert_eq!((paris.port, paris.firewall, paris.rp_filter), (51820, FirewallChoice::Auto, RpFilter::Keep));
}

#[test]
fn an_mtu_can_be_measured() {
    let network = read(&BASE.replace("[network]", "[network]\nmtu = \"auto\""));
    assert_eq!((network.mtu, network.mtu.most()), (Mtu::Measured, 1280));
}

#[test]
fn equivalent_toml_gives_the_same_network() {
    let inline = BASE
        .replace("[site.nyc.portal.guest]\nexit = \"paris\"", "portal.guest.exit = [\"paris\"]")
        .replace("interface = \"eth1\"", "portal.guest.interface = 'eth1'")
        .replace("id = 2", "id = 0x2")
        .replace('\n', "\r\n");
    assert_eq!(read(&inline), read(BASE));
}

#[test]
fn an_unreadable_file_is_an_error_with_its_reason() {
    let folder = tempfile("config-load");
    let path = folder.join("network.toml");
    let message = |path: &_| load(path).expect_err("it is broken").to_string();
    assert!(message(&path).contains("create one with `portals init`"), "{}", message(&path));
    std::fs::write(&path, b"[network]\nname = \"h\xffme\"\n").expect("a file can be written");
    assert!(message(&path).starts_with(&format!("{}:2:10: this is not UTF-8 text\n", path.display())));
    std::fs::write(&path, BASE.replace("id = 2", "id = 0").replace("id = 3", "id = 0")).expect("once more");
    let errors = load(&path).expect_err("two ids are wrong");
    assert_eq!(errors.iter().count(), 2);
    assert!(errors.to_string().starts_with(&format!("{}:17:6: `id` cannot be 0\n", path.display())));
    std::fs::remove_dir_all(folder).expect("the folder can go");
}

/// Folder of this test.
fn tempfile(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("portals-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}
