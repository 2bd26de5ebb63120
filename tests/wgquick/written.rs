//! Properties: reading never panics, and written files are read back unchanged.

use std::net::IpAddr;
use std::num::NonZeroU16;

use proptest::prelude::*;
use wg_portals::base::net::{Cidr, InterfaceAddress, PublicKey, Secret};
use wg_portals::config::model::EndpointHost;
use wg_portals::wgquick::{DialledHost, InterfaceSection, PeerSection, RoutingTable, WgQuickFile, parse};

fn secrets() -> impl Strategy<Value = Secret> {
    (1..=255u8).prop_map(|byte| Secret::new([byte; 32]))
}

fn addresses() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

fn interface_addresses() -> impl Strategy<Value = InterfaceAddress> {
    (addresses(), 0..=128u8).prop_map(|(address, length)| InterfaceAddress {
        address,
        length: length.min(Cidr::host(address).length()),
    })
}

fn hosts() -> impl Strategy<Value = EndpointHost> {
    let is_of_one = |address: &IpAddr| !address.is_unspecified() && !address.is_multicast();
    prop_oneof![
        addresses().prop_filter("of one host", is_of_one).prop_map(EndpointHost::Address),
        "[a-z]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z]{1,10}){0,3}".prop_map(EndpointHost::Name)
    ]
}

fn endpoints() -> impl Strategy<Value = DialledHost> {
    (hosts(), 1..=u16::MAX).prop_map(|(host, port)| DialledHost { host, port })
}

fn tables() -> impl Strategy<Value = RoutingTable> {
    let named = (0..=u32::MAX).prop_map(|number| RoutingTable::Named(number.to_string()));
    prop_oneof![Just(RoutingTable::Auto), Just(RoutingTable::Off), named]
}

fn interfaces() -> impl Strategy<Value = InterfaceSection> {
    (
        secrets(),
        prop::collection::vec(interface_addresses(), 0..4),
        prop::collection::vec(addresses(), 0..3),
        prop::collection::vec("[a-z]{1,9}(\\.[a-z]{2,3})?", 0..3),
        prop::option::of(68..=65_535u32),
        prop::option::of(1..=u16::MAX),
        prop::option::of(any::<u32>()),
        tables(),
    )
        .prop_map(|(key, addresses, dns, search, mtu, listen_port, fwmark, table)| InterfaceSection {
            private_key: Some(key),
            addresses,
            dns,
            search,
            mtu,
            listen_port,
            fwmark,
            table,
        })
}

fn peers() -> impl Strategy<Value = PeerSection> {
    (
        any::<[u8; 32]>(),
        prop::option::of(secrets()),
        prop::option::of(endpoints()),
        prop::collection::vec(interface_addresses().prop_map(InterfaceAddress::network), 0..4),
        any::<u16>(),
    )
        .prop_map(|(key, preshared_key, endpoint, allowed_ips, keepalive)| PeerSection {
            public_key: PublicKey(key),
            preshared_key,
            endpoint,
            allowed_ips,
            keepalive: NonZeroU16::new(keepalive),
        })
}

/// Random files: lines of keys, numbers and punctuation.
fn nearly_files() -> impl Strategy<Value = String> {
    let words = "(\\[Interface\\]|\\[Peer\\]|PrivateKey|Address|DNS|MTU|Endpoint|AllowedIPs|=|,|/|:|#|\
                 \\[|\\]|[0-9]{1,6}|::|off|é| |\t|\n|\r\n){0,60}";
    words.prop_map(|text| format!("[Interface]\n{text}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn written_files_are_read_back_unchanged(
        interface in interfaces(),
        mut peers in prop::collection::vec(peers(), 0..4),
    ) {
        peers.dedup_by_key(|peer| peer.public_key);
        let config = WgQuickFile { interface, peers };
        let text = config.to_text();
        let parsed = parse(text.as_bytes()).unwrap_or_else(|faults| panic!("{}\n{faults:?}", text.as_str()));
        prop_assert_eq!(&parsed.config, &config);
        // The other remarks tell how a value was read; these tell that search domains are omitted.
        prop_assert!(parsed.remarks.iter().all(|remark| remark.message.contains("search domain")));
        prop_assert_eq!(parsed.config.to_text(), text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_text_like_a_file_makes_it_panic(text in nearly_files()) {
        if let Err(faults) = parse(text.as_bytes()) {
            prop_assert!(!faults.is_empty());
            for fault in faults {
                prop_assert!(!fault.message.is_empty() && !fault.help.is_empty());
                prop_assert!(fault.at.line >= 1 && fault.at.line <= text.lines().count().max(1));
            }
        }
    }
}
