//! Content of valid wg-quick files.

use std::num::NonZeroU16;

use wg_portals::config::model::EndpointHost;
use wg_portals::wgquick::{Parsed, RoutingTable, WgQuickFile, parse};

const PRIVATE: &str = "8Gp4NTUJAq3H2DgkpQT2HxJvkEN0OmEX0ApKNKpqkX4=";
const PUBLIC: [&str; 3] = [
    "pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk=",
    "zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk=",
    "Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI=",
];

fn parsed(text: &str) -> Parsed {
    parse(text.as_bytes()).unwrap_or_else(|faults| {
        let faults: Vec<String> =
            faults.iter().map(|fault| fault.render(std::path::Path::new("ch.conf"))).collect();
        panic!("{text}\n{}", faults.join("\n"))
    })
}

/// File with one peer, which has these lines.
fn with_peer(lines: &str) -> WgQuickFile {
    parsed(&format!("[Interface]\nPrivateKey = {PRIVATE}\n[Peer]\nPublicKey = {}\n{lines}\n", PUBLIC[0]))
        .config
}

/// File with these lines in `[Interface]`.
fn with_lines(lines: &str) -> Parsed {
    parsed(&format!("[Interface]\nPrivateKey = {PRIVATE}\n{lines}\n"))
}

fn texts(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

#[test]
fn a_typical_file_of_a_provider_is_read() {
    let text = format!(
        "# Device: Quick Otter\n[Interface]\nPrivateKey = {PRIVATE}\n\
         Address = 10.68.1.2/32,fc00:bbbb::2/128\nDNS = 10.64.0.1\n\n\
         [Peer]\nPublicKey = {}\nAllowedIPs = 0.0.0.0/0,::0/0\nEndpoint = 193.32.127.66:51820\n",
        PUBLIC[0]
    );
    let WgQuickFile { interface, peers } = parsed(&text).config;
    assert_eq!(interface.private_key.as_ref().unwrap().to_base64().as_str(), PRIVATE);
    assert_eq!(texts(&interface.addresses), ["10.68.1.2/32", "fc00:bbbb::2/128"]);
    assert_eq!(texts(&interface.dns), ["10.64.0.1"]);
    assert_eq!((interface.mtu, interface.listen_port, interface.fwmark), (None, None, None));
    let [peer] = peers.as_slice() else { panic!("one peer") };
    assert_eq!(peer.public_key.to_string(), PUBLIC[0]);
    assert_eq!(texts(&peer.allowed_ips), ["0.0.0.0/0", "::/0"]);
    assert_eq!(peer.endpoint.as_ref().unwrap().to_string(), "193.32.127.66:51820");
    assert_eq!((peer.preshared_key.is_some(), peer.keepalive), (false, None));
}

#[test]
fn several_peers_with_all_keys_are_read() {
    let text = format!(
        "\n[Interface] \nAddress = 10.8.0.1/24 \nAddress = 10.9.0.1/16 \nPrivateKey = {PRIVATE} \n\
         ListenPort = 51820  #of this end\n\n\
         [Peer] \nPublicKey   =   {}    \nEndpoint = 192.0.2.67:1234 \n\
         AllowedIPs = 10.8.0.3/32, 10.8.4.0/24\n\n\
         [Peer] \nPublicKey = {} \nEndpoint = [2001:db8:60:6b0::c05f:543]:2468 \nAllowedIPs = 10.8.0.4/32\n\
         AllowedIPs=192.168.0.0/16\n\
         PersistentKeepalive = 100\n\n\
         [Peer] \nPublicKey = {} \nPresharedKey = {PRIVATE} \nEndpoint = vpn.example.net:18981 \n\
         AllowedIPs = 10.10.10.230",
        PUBLIC[0], PUBLIC[1], PUBLIC[2]
    );
    let WgQuickFile { interface, peers } = parsed(&text).config;
    assert_eq!(texts(&interface.addresses), ["10.8.0.1/24", "10.9.0.1/16"]);
    assert_eq!(interface.listen_port, Some(51820));
    let keys: Vec<String> = peers.iter().map(|peer| peer.public_key.to_string()).collect();
    assert_eq!(keys, PUBLIC);
    let endpoints: Vec<String> =
        peers.iter().map(|peer| peer.endpoint.as_ref().unwrap().to_string()).collect();
    assert_eq!(endpoints, ["192.0.2.67:1234", "[2001:db8:60:6b0::c05f:543]:2468", "vpn.example.net:18981"]);
    assert_eq!(peers[2].endpoint.as_ref().unwrap().host, EndpointHost::Name("vpn.example.net".to_owned()));
    assert_eq!(texts(&peers[1].allowed_ips), ["10.8.0.4/32", "192.168.0.0/16"]);
    assert_eq!(texts(&peers[2].allowed_ips), ["10.10.10.230/32"]);
    assert_eq!(
        peers.iter().map(|peer| peer.keepalive).collect::<Vec<_>>(),
        [None, NonZeroU16::new(100), None]
    );
    assert!(peers[2].preshared_key.as_ref().is_some_and(|key| key.to_base64().as_str() == PRIVATE));
}

#[test]
fn any_spelling_is_read() {
    let wanted =
        with_peer("Endpoint = vpn.example.net:51820\nAllowedIPs = 0.0.0.0/0, ::/0\nPersistentKeepalive = 25");
    let public = PUBLIC[0];
    let plain = format!(
        "[Interface]\nPrivateKey = {PRIVATE}\n[Peer]\nPublicKey = {public}\n\
         Endpoint = vpn.example.net:51820\n\
         AllowedIPs = 0.0.0.0/0, ::/0\nPersistentKeepalive = 25\n"
    );
    let keys_in_another_case = format!(
        "[INTERFACE]\nprivatekey = {PRIVATE}\n[peer]\nPUBLICKEY = {public}\n\
         endPoint = vpn.example.net:51820\n\
         allowedips = 0.0.0.0/0, ::/0\npersistentKeepAlive = 25\n"
    );
    let peer_first = format!(
        "[Peer]\nPublicKey = {public}\nEndpoint = vpn.example.net:51820\nAllowedIPs = 0.0.0.0/0, ::/0\n\
         PersistentKeepalive = 25\n\
         [Interface]\nPrivateKey = {PRIVATE}\n"
    );
    for text in [
        plain.clone(),
        plain.replace('\n', "\r\n"),
        plain.replace('\n', "\r\n\r\n"),
        plain.replace('\n', " # \u{e9}\n\t\n# PrivateKey = x\n"),
        plain.replace(" = ", "="),
        plain.replace(" = ", "\t =  \t"),
        plain.replace("0.0.0.0/0, ::/0", "0.0.0.0/0\nAllowedIPs = ::/0"),
        plain.replace("[Interface]", "[Interface]\n[Interface]"),
        plain.replace("[Peer]", "  [Peer]  "),
        plain.trim_end().to_owned(),
        format!("\u{feff}{plain}"),
        keys_in_another_case,
        peer_first,
    ] {
        assert_eq!(parsed(&text).config, wanted, "{text}");
    }
}

#[test]
fn settings_of_the_interface() {
    let interface = |lines: &str| with_lines(lines).config.interface;
    let marks = ["off", "0", "51820", "0xCA6C", "0xffffffff"];
    assert_eq!(
        marks.map(|mark| interface(&format!("FwMark = {mark}")).fwmark.unwrap()),
        [0, 0, 51820, 51820, u32::MAX]
    );
    for (text, table) in [
        ("auto", RoutingTable::Auto),
        ("off", RoutingTable::Off),
        ("1234", RoutingTable::Named("1234".to_owned())),
        ("main", RoutingTable::Named("main".to_owned())),
    ] {
        assert_eq!(interface(&format!("Table = {text}")).table, table);
    }
    assert_eq!(interface("ListenPort = 0").listen_port, None, "the kernel chooses");
    assert_eq!(interface("MTU = 1280").mtu, Some(1280));
    assert_eq!(
        texts(&interface("Address = 10.0.0.2, fd00::2/64\nAddress = 10.0.0.3/24").addresses),
        ["10.0.0.2/32", "fd00::2/64", "10.0.0.3/24"]
    );
    let dns = interface("DNS = 10.64.0.1, corp.example\nDNS = ::1,yes");
    assert_eq!(
        (texts(&dns.dns), dns.search),
        (vec!["10.64.0.1".to_owned(), "::1".to_owned()], vec!["corp.example".to_owned(), "yes".to_owned()])
    );
}

#[test]
fn settings_of_a_peer() {
    for (text, seconds) in [("off", 0), ("OFF", 0), ("0", 0), ("65535", 65535)] {
        assert_eq!(
            with_peer(&format!("PersistentKeepalive = {text}")).peers[0].keepalive,
            NonZeroU16::new(seconds)
        );
    }
    let zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(
        with_peer(&format!("PresharedKey = {zeros}")).peers[0].preshared_key,
        None,
        "as for the kernel"
    );
    assert!(with_peer("").peers[0].allowed_ips.is_empty());
    assert_eq!(with_lines("").config.peers, []);
}

/// Remarks on a file, with their lines.
fn remarks(parsed: &Parsed) -> Vec<String> {
    parsed.remarks.iter().map(|remark| format!("{}: {}", remark.line, remark.message)).collect()
}

/// Lines that wg and wg-quick accept (`oracle.rs` checks that), with their meaning and the remark on them.
#[test]
fn odd_lines_of_the_interface_are_read_as_wg_quick_reads_them() {
    let left_out = |domain| {
        format!(
            "3: `{domain}` under `DNS` is left out: it is a search domain, which the resolver of each device \
             must know itself"
        )
    };
    let plain = "Address = 10.0.0.2/32, fd00::2/64\nDNS = 9.9.9.9, 149.112.112.112";
    for (lines, same_as, remark) in [
        ("Address = 10.0.0.2 fd00::2/64,\nDNS = 9.9.9.9\t149.112.112.112 ,", plain, None),
        ("Address = 10.0.0.2/255.255.255.255 , , fd00::2/64\nDNS = ,9.9.9.9,,149.112.112.112", plain, None),
        ("DNS = ~., _tcp.example.net", "", Some(left_out("~."))),
        (
            "DNS = 1.2.3",
            "",
            Some("3: `1.2.3` under `DNS` is left out: it is not the address of a name server".to_owned()),
        ),
        ("Address =\nDNS =\nMTU =\nTable =", "", None),
        ("MTU = 0", "", Some("3: `MTU` is 0, which means the default".to_owned())),
        ("MTU = 0x500", "MTU = 1280", None),
        ("MTU = 02400", "MTU = 1280", None),
        (
            "MTU = 560\nMTU = 1280",
            "MTU = 1280",
            Some("4: `MTU` appears again: this value replaces the earlier one".to_owned()),
        ),
        (
            "MTU = 1280\nMTU =",
            "",
            Some("4: `MTU` appears again: this value replaces the earlier one".to_owned()),
        ),
        (
            "ListenPort = domain",
            "ListenPort = 53",
            Some("3: `ListenPort` names port 53 as `domain`".to_owned()),
        ),
        (
            "Listen Port = 53",
            "ListenPort = 53",
            Some("3: the spaces inside the name of `ListenPort` are ignored".to_owned()),
        ),
        ("FwMark = 0x 35", "FwMark = 53", Some("3: the spaces inside `FwMark` are ignored".to_owned())),
        (
            "[ Interface ]\nFwMark = 53",
            "FwMark = 53",
            Some("3: the spaces inside this header are ignored".to_owned()),
        ),
    ] {
        let (odd, mut plain) = (with_lines(lines), with_lines(same_as));
        plain.config.interface.search.clone_from(&odd.config.interface.search);
        assert_eq!(odd.config, plain.config, "{lines}");
        assert_eq!(remarks(&odd).first(), remark.as_ref(), "{lines}");
    }
    assert_eq!(with_lines("MTU = 560").config.interface.mtu, Some(560));
}

#[test]
fn odd_lines_of_a_peer_are_read_as_wg_reads_them() {
    let spaces = "the spaces inside `Endpoint` are ignored";
    for (line, same_as, remark) in [
        ("Endpoint = [203.0.113.9]:51820", "Endpoint = 203.0.113.9:51820", None),
        ("Endpoint = 203.0.113.9 : 51820", "Endpoint = 203.0.113.9:51820", Some(spaces)),
        (
            "Endpoint = 2001:db8::9:51820",
            "Endpoint = [2001:db8::9]:51820",
            Some("`Endpoint` is read as `[2001:db8::9]:51820`"),
        ),
        (
            "Endpoint = 2001:db8::9:ffff:5182",
            "Endpoint = [2001:db8::9:ffff]:5182",
            Some("`Endpoint` is read as `[2001:db8::9:ffff]:5182`"),
        ),
        (
            "Endpoint = 203.0.113.9:https",
            "Endpoint = 203.0.113.9:443",
            Some("`Endpoint` names port 443 as `https`"),
        ),
        ("Endpoint = vpn.example.net.:51820", "Endpoint = vpn.example.net:51820", None),
        ("PersistentKeepalive = 025", "PersistentKeepalive = 25", None),
        (
            "Allowed\tIPs = 10.0.0.0/8",
            "AllowedIPs = 10.0.0.0/8",
            Some("the spaces inside the name of `AllowedIPs` are ignored"),
        ),
        (
            "[ P eer ]\nPublicKey = {}",
            "[Peer]\nPublicKey = {}",
            Some("the spaces inside this header are ignored"),
        ),
    ] {
        let file = |line: &str| {
            let line = line.replace("{}", PUBLIC[1]);
            parsed(&format!(
                "[Interface]\nPrivateKey = {PRIVATE}\n[Peer]\nPublicKey = {}\n{line}\n",
                PUBLIC[0]
            ))
        };
        let odd = file(line);
        assert_eq!(odd.config, file(same_as).config, "{line}");
        assert_eq!(remarks(&odd), Vec::from_iter(remark.map(|remark| format!("5: {remark}"))), "{line}");
    }
    let name = with_peer("Endpoint = my_vpn.example.net:51820").peers[0].endpoint.clone().unwrap();
    assert_eq!(name.host, EndpointHost::Name("my_vpn.example.net".to_owned()));
}

/// The kernel merges all peers with the same key: each section replaces the networks, and otherwise only the
/// values that it names.
#[test]
fn a_peer_that_is_given_twice_is_one() {
    let [first, other, _] = PUBLIC;
    let text = format!(
        "[Interface]\nPrivateKey = {PRIVATE}\n\
         [Peer]\nPublicKey = {first}\nEndpoint = 192.0.2.1:1\nPersistentKeepalive = 7\n\
         AllowedIPs = 10.0.0.0/8\n\
         [Peer]\nPublicKey = {other}\nAllowedIPs = 10.0.0.0/8\n\
         [Peer]\nPublicKey = {first}\nAllowedIPs = 10.2.0.0/16\nEndpoint = 192.0.2.2:2\n"
    );
    let parsed = parsed(&text);
    let [between, twice] = &parsed.config.peers[..] else { panic!("two") };
    assert_eq!([between, twice].map(|peer| peer.public_key.to_string()), [other, first]);
    assert_eq!(texts(&twice.allowed_ips), ["10.2.0.0/16"]);
    assert_eq!(
        (twice.endpoint.as_ref().unwrap().to_string().as_str(), twice.keepalive),
        ("192.0.2.2:2", NonZeroU16::new(7))
    );
    assert_eq!(
        remarks(&parsed),
        ["12: this peer appears again: these `AllowedIPs` replace the earlier ones, and settings that are \
          missing here stay"]
    );
}

#[test]
fn a_peer_with_the_key_of_this_end_is_left_out() {
    let own = wg_portals::base::keys::public_key(&PRIVATE.parse().unwrap());
    let parsed = parsed(&format!("[Interface]\nPrivateKey = {PRIVATE}\n[Peer]\nPublicKey = {own}\n"));
    assert_eq!(parsed.config.peers, []);
    assert_eq!(remarks(&parsed), ["4: this peer has the key of this end: it is left out, as in the kernel"]);
}

#[test]
fn omitted_lines_are_reported() {
    let programs = "PostUp = iptables -A FORWARD -i %i -j ACCEPT; touch /tmp/# = x\npostdown = reboot\n\
                    PreUp =\nPreDown = x\nSaveConfig = true\n\
                    IncludedApplications = org.example";
    let Parsed { config, .. } = with_lines(programs);
    assert_eq!(config, with_lines("").config);
    assert_eq!(
        remarks(&with_lines(programs)),
        [
            "3: `PostUp` is left out: portals runs no commands from this file",
            "4: `PostDown` is left out: portals runs no commands from this file",
            "5: `PreUp` is left out: portals runs no commands from this file",
            "6: `PreDown` is left out: portals runs no commands from this file",
            "7: `SaveConfig` is left out: it has no meaning here",
            "8: `IncludedApplications` is left out: it has no meaning here",
        ]
    );
    let text = format!(
        "[Interface]\nPrivateKey = {PRIVATE}\n[Peer]\nPublicKey = {}\n\
         AllowedIPs = 10.0.0.0/8, 192.168.1.5/24\n",
        PUBLIC[0]
    );
    assert_eq!(texts(&parsed(&text).config.peers[0].allowed_ips), ["10.0.0.0/8", "192.168.1.0/24"]);
    assert_eq!(
        remarks(&parsed(&text)),
        ["5: an address in `AllowedIPs` has host bits set: the network is 192.168.1.0/24"]
    );
}
