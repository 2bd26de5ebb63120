//! Host facts, read in the network namespaces of these tests. Needs root, or `unshare -Urnm`.

mod namespace;

use std::fs::{self, File};
use std::path::Path;

use namespace::{inside, ip};
use wg_portals::base::net::{Cidr, IfName};
use wg_portals::base::sorted::SortedSet;
use wg_portals::engine::host::{Host as _, HostQuery};
use wg_portals::kernel::Kernel as _;
use wg_portals::kernel::linux::Linux;
use wg_portals::site::facts::{Facts, Uplink};

fn read(named: Option<&IfName>) -> Facts {
    let mut kernel = Linux::open().unwrap();
    let links = kernel.links().unwrap();
    let question = HostQuery {
        ipv6: true,
        links: &links,
        folder: Path::new("/run/portals"),
        uplink: named,
        marks: false,
        fastpath: false,
        translates: false,
        cards: &SortedSet::new(),
        neighbours: &[],
    };
    kernel.facts(&question).unwrap()
}

fn name(text: &str) -> IfName {
    text.parse().unwrap()
}

fn networks<const N: usize>(texts: [&str; N]) -> SortedSet<Cidr> {
    texts.map(|text| text.parse().unwrap()).into()
}

fn commands(lines: &[&str]) {
    for line in lines {
        ip(line);
    }
}

/// A router with an uplink, a LAN, a network behind the LAN, and a foreign VPN.
const ROUTER: &[&str] = &[
    "link add wan type bridge",
    "address add 203.0.113.7/24 dev wan",
    "link set wan up",
    "link add lan type bridge",
    "address add 192.168.1.1/24 dev lan",
    "link set lan up",
    "route add 172.16.0.0/12 via 192.168.1.2",
    "link add vpn type bridge",
    "link set vpn up",
    "route add 0.0.0.0/1 dev vpn",
];

fn wan() -> Uplink {
    Uplink {
        interface: name("wan"),
        gateway: Some("203.0.113.1".parse().unwrap()),
        addresses: ["203.0.113.7/24".parse().unwrap()].into(),
    }
}

#[test]
fn a_router_is_described() {
    inside(|| {
        commands(ROUTER);
        ip("route add default via 203.0.113.1");
        let facts = read(None);
        assert_eq!(facts.uplink, Some(wan()));
        assert_eq!(facts.local, networks(["172.16.0.0/12", "192.168.1.0/24"]));
        assert_eq!(facts.uplink_networks, networks(["203.0.113.0/24"]));
        assert_eq!(facts.own, ["192.168.1.1", "203.0.113.7"].map(|own| own.parse().unwrap()).into());
        assert!(facts.ipv6 && facts.wireguard.is_some());
    });
}

#[test]
fn a_default_route_outside_of_table_main_is_found() {
    inside(|| {
        commands(ROUTER);
        commands(&["route add default via 203.0.113.1 table 201", "rule add pref 32000 lookup 201"]);
        assert_eq!(read(None).uplink, Some(wan()));
    });
}

#[test]
fn settings_for_ipv6_are_those_of_each_interface() {
    inside(|| {
        for (interface, setting, value) in [
            ("off", "disable_ipv6", "1"),
            ("deaf", "accept_ra", "0"),
            ("hears", "accept_ra", "2"),
            ("hears", "forwarding", "1"),
            ("forwards", "accept_ra", "1"),
            ("forwards", "forwarding", "1"),
            ("default", "accept_ra", "1"),
            ("default", "forwarding", "0"),
        ] {
            let folder = Path::new("/proc/sys/net/ipv6/conf").join(interface);
            if !folder.exists() {
                ip(&format!("link add {interface} type bridge"));
            }
            fs::write(folder.join(setting), value).unwrap();
        }
        let facts = read(None);
        assert_eq!(facts.without_ipv6, [name("off")].into());
        let hear = facts.hears_advertisements;
        assert!(hear.contains(&name("hears")) && hear.contains(&name("default")), "{hear:?}");
        assert!(!hear.contains(&name("deaf")) && !hear.contains(&name("forwards")), "{hear:?}");
        assert!(["off", "deaf", "hears", "lo"].map(name).iter().all(|name| facts.can_be_deaf.contains(name)));
    });
}

#[test]
fn interfaces_of_portals_are_neither_uplink_nor_local() {
    let tun = File::options().read(true).write(true).open("/dev/net/tun");
    assert!(tun.is_ok(), "this test needs a /dev/net/tun that all users may open (chmod 666): {tun:?}");
    inside(|| {
        commands(ROUTER);
        commands(&[
            "tuntap add dev to-paris mode tun",
            "link set to-paris alias portals:home",
            "link set to-paris up",
            "route add 10.77.2.0/24 dev to-paris",
            "route add default dev to-paris",
        ]);
        let facts = read(None);
        assert_eq!(facts.uplink, None);
        assert_eq!(facts.uplink_networks, SortedSet::new());
        assert_eq!(facts.local, networks(["172.16.0.0/12", "192.168.1.0/24", "203.0.113.0/24"]));
    });
}

#[test]
fn the_tunnels_mark_leads_past_a_portal_for_own_traffic() {
    inside(|| {
        commands(ROUTER);
        commands(&[
            "route add default via 203.0.113.1",
            "rule add pref 110 fwmark 0x10000000/0x10000000 lookup main",
            "route add default dev vpn table 7702",
            "rule add pref 112 iif lo lookup 7702",
        ]);
        assert_eq!(read(None).uplink, Some(wan()));
    });
}

#[test]
fn a_named_uplink_is_taken_though_another_is_better() {
    inside(|| {
        commands(ROUTER);
        commands(&[
            "route add default via 203.0.113.1 metric 50",
            "route add default via 192.168.1.2 metric 5",
        ]);
        assert_eq!(read(Some(&name("wan"))).uplink, Some(wan()));
        assert_eq!(read(Some(&name("eth7"))).uplink, None);
        assert_eq!(read(None).uplink.unwrap().interface, name("lan"));
    });
}

#[test]
fn a_host_without_a_network_has_no_uplink() {
    inside(|| assert_eq!(read(None).uplink, None));
}
