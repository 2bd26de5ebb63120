//! Chains of exits in valid files, and more of them than there are addresses.

use std::fmt::Write as _;

use wg_portals::config::model::ExitRef;
use wg_portals::config::{chain_addresses, parse};

/// Network of `count` sites, each of which has all others as exits, and a portal with chains of two hops to
/// all others.
fn mesh(count: u8, more: &str) -> String {
    let mut text = "[network]\nname = \"home\"\nsubnet = \"10.77.0.0/16\"\n".to_owned();
    let others = |own: u8| (1..=count).filter(move |other| *other != own);
    for site in 1..=count {
        let key = wg_portals::base::keys::public_key(&wg_portals::base::net::Secret::new([site; 32]));
        let exits: Vec<String> = others(site).map(|other| format!("s{other}")).collect();
        let chain = |via: u8, to: u8| format!("s{to} via s{via}");
        let chains: Vec<String> = others(site)
            .flat_map(|via| others(site).filter(move |to| *to != via).map(move |to| chain(via, to)))
            .collect();
        let _ = write!(
            text,
            "[site.s{site}]\nid = {site}\npublic_key = \"{key}\"\nendpoint = \"192.0.2.{site}\"\n\
             exits = {exits:?}\n\
             [site.s{site}.portal.way]\nexit = {chains:?}\ninterface = \"eth1\"\n"
        );
    }
    text + more
}

#[test]
fn a_chain_is_read_in_the_order_of_travel() {
    let network = parse(&mesh(3, "")).unwrap();
    let exits = &network.sites["s1"].portals[0].exits;
    assert_eq!(exits[0], ExitRef::Chain(vec!["s2".to_owned(), "s3".to_owned()]));
    assert_eq!(exits[0].to_string(), "s3 via s2");
}

#[test]
fn chains_have_addresses_of_the_network_that_no_site_has() {
    let second = "[site.s1.portal.second]\nexit = \"s3 via s2\"\nself = true\n";
    let network = parse(&mesh(3, second)).unwrap();
    let addresses: Vec<String> = chain_addresses(&network)
        .into_iter()
        .map(|((site, chain), addresses)| format!("{site} {chain} {}", addresses[0]))
        .collect();
    let wanted = [
        "s1 s2 via s3 10.77.0.1",
        "s1 s3 via s2 10.77.0.2",
        "s2 s1 via s3 10.77.0.3",
        "s2 s3 via s1 10.77.0.4",
        "s3 s1 via s2 10.77.0.5",
        "s3 s2 via s1 10.77.0.6",
    ];
    assert_eq!(addresses, wanted);
    let lan = "[site.s1.portal.lan]\nexit = \"s2\"\ninterface = \"eth2\"\naddress = \"10.77.0.1/30\"\n";
    let network = parse(&mesh(3, lan)).unwrap();
    let addresses = chain_addresses(&network);
    assert_eq!(addresses.values().next().unwrap()[0].to_string(), "10.77.0.4", "the first one after the LAN");
}

#[test]
fn more_chains_than_addresses_are_refused() {
    // 7 sites have 7 · 6 · 5 chains, 8 have 8 · 7 · 6.
    assert!(parse(&mesh(7, "")).is_ok());
    let faults = parse(&mesh(8, "")).unwrap_err();
    let [fault] = faults.as_slice() else { panic!("{faults:?}") };
    assert_eq!(fault.message, "there are 336 different chains, but only 254 addresses for them");
}
