//! Tests of dnsmasq's configuration, which the real dnsmasq checks where it is installed.

use std::fs;
use std::process::{self, Command};

use super::*;
use crate::site::{Entrance, Exit, ReplyPath, RouterAccess};
use crate::system::child::path_of;

const IPV4_ONLY: PortalPath = PortalPath { mtu: Some(1280), ipv4: true, ipv6: None };

fn portal() -> Portal {
    Portal {
        name: "guest".to_owned(),
        entrance: Entrance::Interface("eth1".parse().unwrap()),
        is_here: true,
        obstacle: None,
        router: RouterAccess::Basics,
        page: false,
        answers: ReplyPath::ByExit,
        exits: vec![Exit::Direct],
        exit: Exit::Direct,
        address: Some("10.77.1.65/26".parse().unwrap()),
        address6: None,
        dhcp: true,
        resolvers: vec!["9.9.9.9".parse().unwrap(), "1.1.1.1".parse().unwrap()],
        asks_by_exit: false,
        to: Vec::new(),
        except: Vec::new(),
        behind: [].into(),
        ports: None,
    }
}

/// Returns a portal whose LAN has IPv6, with a resolver of each family.
fn portal6() -> Portal {
    Portal {
        address6: Some("fd77:1:2:101::1/64".parse().unwrap()),
        resolvers: vec!["9.9.9.9".parse().unwrap(), "2620:fe::fe".parse().unwrap()],
        ..portal()
    }
}

fn names() -> HomeNames {
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let sites = [("nyc", "10.77.1.1"), ("paris", "10.77.2.1")];
    HomeNames {
        own: "nyc".to_owned(),
        resolver: Some(address("192.168.1.1")),
        sites: sites.map(|(name, site)| (name.to_owned(), address(site))).into(),
    }
}

fn service_of(portal: &Portal, path: PortalPath) -> Option<Service> {
    of(portal, &names(), &path, Path::new("/run/portals"))
}

/// Returns the configuration of a portal, after dnsmasq has accepted it.
fn text(portal: &Portal, path: PortalPath) -> Option<String> {
    let service = service_of(portal, path)?;
    let content = &service.files[0].content;
    accepts(content);
    Some(String::from_utf8(content.to_vec()).unwrap())
}

fn accepts(content: &[u8]) {
    let Some(dnsmasq) = path_of(PROGRAM.name) else { return };
    let file = std::env::temp_dir().join(format!("portals-dnsmasq-{}-{:p}", process::id(), content));
    fs::write(&file, content).unwrap();
    let output =
        Command::new(dnsmasq).arg("--test").arg(format!("--conf-file={}", file.display())).output().unwrap();
    fs::remove_file(&file).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_lan_has_leases_and_a_resolver() {
    let expected = "\
        interface=eth1\nexcept-interface=lo\nbind-dynamic\nno-resolv\nno-poll\nno-hosts\npid-file=\n\
        log-facility=-\nport=5053\nserver=9.9.9.9@10.77.1.65\nserver=1.1.1.1@10.77.1.65\n\
        local=/portals.internal/\nserver=/nyc.portals.internal/192.168.1.1\n\
        server=/paris.portals.internal/10.77.2.1#5053@10.77.1.65\n\
        domain-needed\nbogus-priv\ncache-size=1000\ndhcp-range=10.77.1.66,10.77.1.126,12h\n\
        dhcp-leasefile=/run/portals/services/dnsmasq-guest/leases\ndhcp-authoritative\nno-ping\n\
        dhcp-option=3,10.77.1.65\ndhcp-option=6,10.77.1.65\ndhcp-option=26,1280\n";
    assert_eq!(text(&portal(), IPV4_ONLY).unwrap(), expected);
    let blocked = PortalPath { ipv4: false, ..IPV4_ONLY };
    assert_eq!(
        text(&portal(), blocked).unwrap(),
        expected,
        "dnsmasq does not restart when the exit goes down"
    );
    assert!(service_of(&portal(), blocked).unwrap().if_known.is_empty());
}

#[test]
fn dhcp_and_dns_work_without_each_other() {
    let without_dhcp = text(&Portal { dhcp: false, ..portal() }, IPV4_ONLY).unwrap();
    assert!(without_dhcp.contains("server=") && !without_dhcp.contains("dhcp"), "{without_dhcp}");
    let without_dns = text(&Portal { resolvers: Vec::new(), ..portal() }, IPV4_ONLY).unwrap();
    assert!(without_dns.contains("port=0") && !without_dns.contains("dhcp-option=6"), "{without_dns}");
    assert_eq!(text(&Portal { dhcp: false, resolvers: Vec::new(), ..portal() }, IPV4_ONLY), None);
    assert_eq!(text(&Portal { is_here: false, ..portal() }, IPV4_ONLY), None);
    let direct = text(&portal(), PortalPath { mtu: None, ..IPV4_ONLY }).unwrap();
    assert!(!direct.contains("dhcp-option=26"), "without a tunnel, packets need not be smaller: {direct}");
}

#[test]
fn a_lan_with_ipv6_has_advertisements_while_the_exit_takes_ipv6() {
    let both = PortalPath { mtu: Some(1280), ipv4: true, ipv6: Some(true) };
    let settings = text(&portal6(), both).unwrap();
    assert!(
        settings.contains("\nserver=9.9.9.9@10.77.1.65\nserver=2620:fe::fe@fd77:1:2:101::1\n"),
        "{settings}"
    );
    let expected = "dhcp-option=26,1280\ndhcp-range=fd77:1:2:101::,ra-stateless,64,300\n\
        ra-param=eth1,mtu:1280,60,300\ndhcp-option=option6:dns-server,[fd77:1:2:101::1]\n";
    assert!(settings.ends_with(expected), "{settings}");
    assert!(service_of(&portal6(), both).unwrap().if_known.is_empty());

    let no_ipv6 = PortalPath { ipv6: Some(false), ..both };
    let settings = text(&portal6(), no_ipv6).unwrap();
    assert!(!settings.contains("server=2620") && settings.contains("server=9.9.9.9"), "{settings}");
    let expected = "dhcp-option=26,1280\ndhcp-range=fd77:1:2:101::,ra-stateless,64,300\n\
        dhcp-range=fd77:1:2:101::,ra-stateless,64,deprecated\nra-param=eth1,mtu:1280,60,0\n";
    assert!(settings.ends_with(expected), "{settings}");
    assert_eq!(service_of(&portal6(), no_ipv6).unwrap().if_known, ["--filter-AAAA"]);
}

#[test]
fn parts_of_ipv6_that_a_portal_lacks_are_left_out() {
    let both = PortalPath { mtu: Some(1280), ipv4: true, ipv6: Some(true) };
    let without_dns = Portal { resolvers: Vec::new(), ..portal6() };
    assert!(!text(&without_dns, both).unwrap().contains("option6"));
    assert!(service_of(&without_dns, PortalPath { ipv6: Some(false), ..both }).unwrap().if_known.is_empty());
    let without_dhcp = text(&Portal { dhcp: false, ..portal6() }, both).unwrap();
    assert!(!without_dhcp.contains("ra-") && without_dhcp.contains("@fd77:1:2:101::1"), "{without_dhcp}");
    for mtu in [None, Some(1279)] {
        let text = text(&portal6(), PortalPath { mtu, ..both }).unwrap();
        assert!(text.contains("\nra-param=eth1,60,300\n"), "{text}");
    }
    // The network has IPv6, and this host has none.
    let without_host = text(&Portal { address6: None, ..portal6() }, IPV4_ONLY).unwrap();
    assert!(without_host.contains("server=9.9.9.9@") && !without_host.contains("2620"), "{without_host}");
}

#[test]
fn resolvers_that_no_exit_reaches_are_kept_if_there_are_no_others() {
    let only6 = Portal { resolvers: vec!["2620:fe::fe".parse().unwrap()], ..portal6() };
    let blocked = PortalPath { mtu: None, ipv4: false, ipv6: Some(false) };
    for path in [blocked, PortalPath { ipv4: true, ..blocked }] {
        assert!(text(&only6, path).unwrap().contains("server=2620:fe::fe@fd77:1:2:101::1\n"));
    }
    let both = text(&portal6(), blocked).unwrap();
    assert!(both.contains("server=9.9.9.9@") && both.contains("server=2620:fe::fe@"), "{both}");
}

#[test]
fn no_interface_name_becomes_another_setting() {
    for name in ["eth1,lo", "eth1*", "eth1 x", "eth\"1", "eth1\ndhcp-script=/bin/sh", "#eth1", "eth1\\"] {
        assert!(name.parse::<IfName>().is_err(), "{name:?}");
    }
    let strange = Portal { entrance: Entrance::Interface("a+@._-b".parse().unwrap()), ..portal6() };
    let path = PortalPath { ipv6: Some(true), ..IPV4_ONLY };
    assert!(text(&strange, path).unwrap().starts_with("interface=a+@._-b\n"));
}
