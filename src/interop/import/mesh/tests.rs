use std::fmt::Write as _;

use super::*;
use crate::base::keys;
use crate::config;
use crate::config::model::Network;
use crate::wgquick::parse;

/// A box for a test: its name, the lines of `[Interface]`, and its peers: number among the boxes, and lines.
type TestBox<'a> = (&'a str, &'a str, &'a [(u8, &'a str)]);

fn secret(number: u8) -> Secret {
    Secret::new([number; 32])
}

fn conf(number: u8, (_, interface, peers): &TestBox) -> String {
    let mut text =
        format!("[Interface]\nPrivateKey = {}\n{interface}\n", secret(number).to_base64().as_str());
    for (peer, lines) in *peers {
        let _ = writeln!(text, "[Peer]\nPublicKey = {}\n{lines}", keys::public_key(&secret(*peer)));
    }
    text
}

const WISHES: MeshWishes = MeshWishes { network: "home", subnet: None, subnet6: None };

/// Returns the network file of boxes with the keys 1, 2 and so on, or all errors.
fn text_of(boxes: &[TestBox], wishes: &MeshWishes) -> Result<String, String> {
    let mut parsed = Vec::new();
    for (entry, number) in boxes.iter().zip(1..) {
        let text = conf(number, entry);
        parsed.push((
            format!("{}.conf", entry.0),
            parse(text.as_bytes()).unwrap_or_else(|faults| panic!("{faults:?}")),
        ));
    }
    let files: Vec<MeshFile> =
        parsed.iter().map(|(path, parsed)| MeshFile { path: Path::new(path), parsed }).collect();
    mesh(&files, wishes).map(|mesh| mesh.text).map_err(|errors| errors.to_string())
}

/// Returns the text of a network file that must be valid, and its network.
fn made(boxes: &[TestBox]) -> (String, Network) {
    let text = text_of(boxes, &WISHES).unwrap();
    let network = config::parse(&text).unwrap_or_else(|faults| panic!("{text}\n{faults:?}"));
    (text, network)
}

fn lans(network: &Network, site: &str) -> Vec<String> {
    network.sites[site].lan.iter().map(ToString::to_string).collect()
}

const TO_A: &str = "Endpoint = a.example.net:51820\nAllowedIPs = 10.8.0.1/32";

#[test]
fn a_link_that_one_file_names_is_a_link() {
    let (text, network) =
        made(&[("a", "Address = 10.8.0.1/24", &[]), ("b", "Address = 10.8.0.2/24", &[(1, TO_A)])]);
    assert_eq!(network.sites["a"].links, ["b"]);
    assert!(text.contains("b and a: only the file of b names the other"), "{text}");
    assert_eq!((network.sites["a"].id, network.sites["b"].id), (1, 2));
}

#[test]
fn everything_makes_an_exit_and_the_last_peer_gets_it() {
    for (allowed, is_exit) in [
        ("0.0.0.0/0", true),
        ("::/0", true),
        ("0.0.0.0/1, 128.0.0.0/1", true),
        ("::/1, 8000::/1", true),
        ("0.0.0.0/1", false),
        ("10.8.0.1/32", false),
    ] {
        let peer = format!("Endpoint = 203.0.113.9:51820\nAllowedIPs = {allowed}");
        let (text, network) =
            made(&[("a", "Address = 10.8.0.1/24", &[]), ("b", "Address = 10.8.0.2/24", &[(1, &peer)])]);
        let (exits, links) = (&network.sites["b"].exits, &network.sites["a"].links);
        assert_eq!((exits.len(), links.len()), if is_exit { (1, 0) } else { (0, 1) }, "{text}");
        let has_portal = network.sites["b"].portals.len() == 1;
        assert_eq!(has_portal, allowed.starts_with("0.0.0.0/0") || allowed.contains("128."), "{text}");
    }
    let everything = "Endpoint = 203.0.113.9:51820\nAllowedIPs = 0.0.0.0/0";
    let (_, network) =
        made(&[("a", "", &[]), ("b", "", &[]), ("c", "", &[(1, everything), (2, "AllowedIPs = 0.0.0.0/0")])]);
    assert_eq!(network.sites["c"].exits, ["b"]);
    let (_, network) = made(&[("a", "", &[]), ("b", "", &[(1, everything), (9, everything)])]);
    assert!(network.sites["b"].exits.is_empty() && network.sites["b"].portals.is_empty());
}

#[test]
fn boxes_that_are_exits_of_each_other_have_their_own_ports() {
    let (text, network) = made(&[
        ("a", "ListenPort = 1000", &[(2, "Endpoint = 203.0.113.9:2000\nAllowedIPs = 0.0.0.0/0")]),
        ("b", "ListenPort = 2000", &[(1, "Endpoint = 198.51.100.2:1000\nAllowedIPs = 0.0.0.0/0")]),
    ]);
    assert_eq!(
        (&network.sites["a"].exits[..], &network.sites["b"].exits[..]),
        (&["b".to_owned()][..], &["a".to_owned()][..])
    );
    assert!(
        text.contains("a: its tunnel to b has UDP port 1002: ") && text.contains("UDP port 2001"),
        "{text}"
    );
}

#[test]
fn endpoints_and_ports_come_from_all_files() {
    let endpoint = |network: &Network| {
        let site = &network.sites["a"];
        (site.endpoint.as_ref().unwrap().to_string(), site.port)
    };
    let of = |interface: &'static str, from_b: &str, from_c: &str| {
        let (b, c) = (format!("Endpoint = {from_b}"), format!("Endpoint = {from_c}"));
        let (text, network) = made(&[("a", interface, &[]), ("b", "", &[(1, &b)]), ("c", "", &[(1, &c)])]);
        (endpoint(&network), text)
    };
    let (got, text) = of("", "a.example.net:4500", "a.example.net:4500");
    assert!(got == ("a.example.net".to_owned(), 4500) && !text.contains("dialled"), "{text}");
    let (got, text) = of("ListenPort = 51820", "192.168.1.2:51820", "a.example.net:4500");
    assert_eq!(got, ("a.example.net".to_owned(), 51820));
    assert!(text.contains("a: its endpoint is a.example.net; b dialled 192.168.1.2:51820"), "{text}");
    assert!(text.contains("a: it listens on port 51820, but c dialled a.example.net:4500"), "{text}");
    let (got, _) = of("", "[2001:db8::9]:1", "[2001:db8::9]:2");
    assert_eq!(got, ("2001:db8::9".to_owned(), 1));
}

#[test]
fn boxes_behind_one_router_keep_their_ports_apart() {
    let (b, c) = ("Endpoint = 203.0.113.9:51820", "Endpoint = 203.0.113.9:51821");
    let (text, network) = made(&[
        ("a", "", &[(2, b), (3, c)]),
        ("b", "ListenPort = 51820", &[]),
        ("c", "ListenPort = 51820", &[]),
    ]);
    assert_eq!((network.sites["b"].port, network.sites["c"].port), (51820, 51821), "{text}");
}

#[test]
fn only_networks_that_are_surely_behind_a_box_are_shared() {
    // Allowed IPs that b sends to a; the rest of a's file; the resulting `lan` of a; and words about it.
    for (allowed, peers_of_a, lan, remark) in [
        ("192.168.1.0/24, 10.8.0.1/32", &[][..], &["192.168.1.0/24"][..], ""),
        ("192.168.1.5/32", &[], &["192.168.1.5"], ""),
        ("10.8.0.0/24, 10.8.0.77/32", &[], &[], ""),
        ("192.168.0.0/16, 192.168.1.0/24", &[], &["192.168.0.0/16"], ""),
        ("10.8.0.64/26", &[], &[], "it is a part of the old tunnel network"),
        ("10.0.0.0/8", &[], &[], "it holds the tunnel addresses"),
        ("203.0.113.0/24", &[], &[], "it is not a private network"),
        ("172.0.0.0/8", &[], &[], "it is not a private network"),
        ("0.0.0.0/1", &[], &[], ""),
        ("fd00:1::/64", &[], &[], "IPv6, which is off"),
        ("192.168.1.0/24", &[(3, "AllowedIPs = 192.168.0.0/16")], &[], ""),
        ("192.168.0.0/16", &[(3, "AllowedIPs = 192.168.3.0/24")], &[], "it sends these addresses on"),
        ("192.168.1.0/24", &[(9, "AllowedIPs = 192.168.1.0/24")], &[], "it sends these addresses on"),
        ("192.168.1.0/24", &[(2, "AllowedIPs = 192.168.1.0/24")], &[], "it sends these addresses on"),
        ("192.168.1.0/24", &[(3, "AllowedIPs = 0.0.0.0/0")], &["192.168.1.0/24"], ""),
    ] {
        let lines = format!("Endpoint = a.example.net:51820\nAllowedIPs = {allowed}");
        let (text, network) = made(&[
            ("a", "Address = 10.8.0.1/24", peers_of_a),
            ("b", "Address = 10.8.0.2/24", &[(1, &lines)]),
            ("c", "Address = 10.8.0.3/24", &[(1, TO_A)]),
        ]);
        assert_eq!(lans(&network, "a"), lan, "{allowed}: {text}");
        assert!(text.contains(remark), "{remark}: {text}");
        // IPv6 has one remark for all networks.
        if !allowed.starts_with("fd") {
            assert_eq!(text.contains("AllowedIPs` "), !remark.is_empty(), "{allowed}: {text}");
        }
    }
}

#[test]
fn the_same_network_behind_two_boxes_is_left_to_the_person() {
    let home = "Endpoint = 203.0.113.9:51820\nAllowedIPs = 192.168.1.0/24";
    let (text, network) = made(&[
        ("a", "", &[]),
        ("b", "", &[]),
        ("c", "", &[(2, home)]),
        ("d", "", &[(1, "AllowedIPs = 192.168.0.0/16"), (3, "AllowedIPs = 10.8.0.3/32")]),
    ]);
    assert!(lans(&network, "a").is_empty() && lans(&network, "b").is_empty(), "{text}");
    assert!(lans(&network, "c").is_empty(), "a tunnel address is no LAN: {text}");
    assert!(text.contains("b: network 192.168.1.0/24, of which a has addresses, too"), "{text}");
}

#[test]
fn spokes_of_a_hub_are_told_about_links() {
    let all = "Endpoint = a.example.net:51820\nAllowedIPs = 10.8.0.0/24";
    let (text, _) = made(&[
        ("a", "Address = 10.8.0.1/24", &[(2, "AllowedIPs = 10.8.0.2/32"), (3, "AllowedIPs = 10.8.0.3/32")]),
        ("b", "Address = 10.8.0.2/24", &[(1, all)]),
        ("c", "Address = 10.8.0.3/24", &[(1, all)]),
    ]);
    assert!(text.contains("b: it may have reached c through another box"), "{text}");
    assert!(!text.contains("a: it may"), "{text}");
}

#[test]
fn peers_with_a_single_address_become_phones() {
    let phone = "AllowedIPs = 10.8.0.9/32, fd00::9/128";
    let (text, network) = made(&[
        (
            "a",
            "Address = 10.8.0.1/24",
            &[
                (2, "AllowedIPs = 10.8.0.2/32"),
                (5, phone),
                (6, "AllowedIPs = 10.8.0.10/31"),
                (7, "AllowedIPs = 10.8.0.12/32\nEndpoint = 192.0.2.1:1"),
                (8, "AllowedIPs = 10.8.0.13/32\nPresharedKey = AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="),
            ],
        ),
        ("b", "Address = 10.8.0.2/24", &[(1, TO_A), (5, phone)]),
    ]);
    let phones: Vec<_> = network.phones.values().map(|phone| (phone.id, phone.at.as_str())).collect();
    assert_eq!(phones, [(1, "a"), (2, "a")], "{text}");
    assert_eq!(network.phones["phone-1"].public_key, keys::public_key(&secret(5)));
    assert!(network.phones["phone-2"].preshared_key_file.is_some() && !text.contains("AQEBAQEB"));
    for number in [6, 7] {
        assert!(text.contains(&format!("a: peer {} ", keys::public_key(&secret(number)))), "{text}");
    }
    assert!(text.contains(&format!("b: peer {} ", keys::public_key(&secret(5)))), "{text}");
}

#[test]
fn a_63rd_phone_is_left_out() {
    let lines: Vec<String> = (1..=63).map(|number| format!("AllowedIPs = 10.8.1.{number}/32")).collect();
    let mut peers: Vec<(u8, &str)> = (101..).zip(lines.iter().map(String::as_str)).collect();
    peers.push((2, "AllowedIPs = 10.8.0.2/32"));
    let (text, network) = made(&[("a", "", &peers), ("b", "", &[(1, TO_A)])]);
    assert_eq!(network.phones.values().count(), 62);
    assert!(text.contains("a network has at most 62 phones"), "{text}");
}

#[test]
fn the_subnet_is_apart_from_everything_in_the_files() {
    let subnet = |interface: &str, allowed: &str| {
        let lines = format!("Endpoint = a.example.net:51820\nAllowedIPs = {allowed}");
        let boxes = [("a", interface, &[][..]), ("b", "", &[(1, lines.as_str())][..])];
        text_of(&boxes, &WISHES).map(|text| config::parse(&text).unwrap().subnet.to_string())
    };
    assert_eq!(subnet("Address = 10.8.0.1/24", "10.8.0.1/32").unwrap(), "10.77.0.0/16");
    assert_eq!(subnet("Address = 10.77.3.1/24", "10.77.3.1/32").unwrap(), "10.78.0.0/16");
    assert_eq!(subnet("Address = 10.77.3.1/24", "10.78.9.0/24").unwrap(), "10.79.0.0/16");
    assert_eq!(subnet("Address = 10.8.0.1/24", "10.0.0.0/8").unwrap(), "10.77.0.0/16");
    assert_eq!(subnet("Address = 10.8.0.1/8", "10.0.0.1/32").unwrap_err().matches("--subnet").count(), 1);
    let boxes = [("a", "Address = 10.8.0.1/8", &[][..]), ("b", "", &[(1, TO_A)][..])];
    let wishes = MeshWishes { subnet: "172.31.0.0/16".parse().ok(), ..WISHES };
    assert!(text_of(&boxes, &wishes).unwrap().contains("subnet = \"172.31.0.0/16\""));
}

#[test]
fn the_mtu_is_the_smallest() {
    let mtu = |one: &str, other: &str| {
        let (text, network) = made(&[("a", one, &[]), ("b", other, &[(1, TO_A)])]);
        (network.mtu.most(), text.contains("`MTU`"))
    };
    assert_eq!(mtu("MTU = 1420", "MTU = 1380"), (1380, false));
    assert_eq!(mtu("", "MTU = 1400"), (1400, false));
    assert_eq!(mtu("", ""), (1280, false));
    assert_eq!(mtu("MTU = 9000", "MTU = 8920"), (1280, true));
}

#[test]
fn ipv6_is_on_if_the_links_carry_it() {
    let on = |address: &str, mtu: &str, allowed: &str| {
        let interface = format!("Address = 10.8.0.2/24{address}\n{mtu}");
        let lines = format!("Endpoint = a.example.net:51820\nAllowedIPs = {allowed}");
        let (_, network) = made(&[("a", "", &[]), ("b", &interface, &[(1, &lines)])]);
        network.subnet6.is_some()
    };
    assert!(on(", fd00::2/64", "", "fd00::1/128") && on(", fd00::2/64", "", "0.0.0.0/0, ::/0"));
    assert!(!on("", "", "0.0.0.0/0, ::/0") && !on(", fd00::2/64", "", "10.8.0.1/32"));
    assert!(!on(", fd00::2/64", "MTU = 1200", "fd00::1/128"));
}

#[test]
fn all_errors_are_reported_at_once() {
    let errors = text_of(
        &[
            ("direct", "", &[]),
            ("_._", "", &[]),
            ("same-name-one", "", &[(1, TO_A)]),
            ("same-name-on", "", &[(1, TO_A)]),
        ],
        &WISHES,
    )
    .unwrap_err();
    let expected = [
        // `_._` becomes `---`, which is a name.
        "direct.conf: a site cannot have the name of this file",
        "same-name-one.conf and same-name-on.conf would both be the site of this name",
        "_._.conf: no other file has this box as a peer",
    ];
    for part in expected {
        assert!(errors.contains(part), "{part}: {errors}");
    }
    let errors = text_of(&[("é", "", &[]), ("b", "", &[(1, "AllowedIPs = 10.8.0.1/32")])], &WISHES);
    assert!(errors.unwrap_err().contains("é.conf: a site cannot have the name of this file"));
    let errors = text_of(&[("a", "", &[]), ("b", "", &[(1, "AllowedIPs = 10.8.0.1/32")])], &WISHES);
    assert!(errors.unwrap_err().contains("no file has an `Endpoint`"));
}

#[test]
fn two_files_of_one_box_are_refused() {
    let entry = ("a", "Address = 10.8.0.1/24", &[(2, TO_A)][..]);
    let parsed = parse(conf(1, &entry).as_bytes()).unwrap();
    let files = ["a.conf", "b.conf"].map(|path| MeshFile { path: Path::new(path), parsed: &parsed });
    let errors = mesh(&files, &WISHES).unwrap_err().to_string();
    assert!(errors.contains("a.conf and b.conf have the same `PrivateKey`"), "{errors}");
}

#[test]
fn too_many_files_and_networks_are_refused() {
    let names: Vec<String> = (0..251).map(|number| format!("b{number}")).collect();
    let boxes: Vec<TestBox> = names.iter().map(|name| (name.as_str(), "", &[][..])).collect();
    assert!(text_of(&boxes[..2], &WISHES).is_err());
    let entry = ("a", "", &[][..]);
    let parsed = parse(conf(1, &entry).as_bytes()).unwrap();
    let files = vec![MeshFile { path: Path::new("a.conf"), parsed: &parsed }; 251];
    assert!(mesh(&files, &WISHES).unwrap_err().to_string().contains("more than 250 files"));
    let networks: Vec<String> =
        (0..1001_u32).map(|number| format!("192.168.{}.{}/32", number / 256, number % 256)).collect();
    let lines = format!("Endpoint = a.example.net:51820\nAllowedIPs = {}", networks.join(","));
    let errors =
        text_of(&[("a", "Address = 10.8.0.1/24", &[]), ("b", "", &[(1, &lines)])], &WISHES).unwrap_err();
    assert!(errors.contains("more than 1000 networks"), "{errors}");
}
