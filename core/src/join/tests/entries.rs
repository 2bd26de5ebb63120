//! Entries of new sites in the network file.

use super::super::invitations::Applicant;
use super::*;
use crate::config::{self, model::Network};

fn file() -> String {
    let sites: Vec<String> = [("nyc", 1, "endpoint = \"203.0.113.9\""), ("oslo", 7, "links = [\"nyc\"]")]
        .iter()
        .map(|(name, id, more)| format!("[site.{name}]\nid = {id}\npublic_key = \"{}\"\n{more}\n", key(*id)))
        .collect();
    format!("[network]\nname = \"home\"\nsubnet = \"10.77.0.0/16\"\n{}", sites.concat())
}

fn parse(text: &str) -> Network {
    config::parse(text).unwrap_or_else(|faults| panic!("{text}\n{}", faults[0].message))
}

fn applicant(request: JoinRequest) -> Applicant {
    Applicant { key: key(2), request, from: None }
}

fn entry(terms: &Terms, request: JoinRequest) -> Result<String, String> {
    SiteEntry::new(&parse(&file()), "nyc", terms, &applicant(request)).map(|entry| entry.to_text())
}

#[test]
fn an_entry_holds_the_terms_and_the_wishes() {
    let wishes = JoinRequest {
        endpoint: Some(host("paris.example.net")),
        lan: vec!["192.168.5.0/24".parse().unwrap()],
        portal: Some("eth1".parse().unwrap()),
        ..JoinRequest::default()
    };
    let text = entry(&terms("paris"), wishes.clone()).unwrap();
    let network = parse(&(file() + &text));
    let paris = &network.sites["paris"];
    assert_eq!((paris.id, paris.public_key), (8, key(2)), "ids are not used again");
    assert_eq!((&paris.exits, paris.links.len()), (&names(&["nyc"]), 0));
    assert_eq!(paris.endpoint, wishes.endpoint);
    assert_eq!((paris.lan.len(), paris.portals.len()), (1, 1));

    let invited = Terms {
        exits: names(&["oslo"]),
        lan: vec!["192.168.6.0/24".parse().unwrap()],
        portal: Some("eth2".parse().unwrap()),
        ..terms("paris")
    };
    let text = entry(&invited, wishes).unwrap();
    let paris = &parse(&(file() + &text)).sites["paris"];
    assert_eq!((&paris.exits, &paris.links), (&names(&["oslo"]), &names(&["nyc"])));
    assert_eq!(paris.lan[0].network.to_string(), "192.168.6.0/24", "the invitation decides");
    assert!(text.contains("\"eth2\"") && !text.contains("eth1"), "{text}");

    let named = JoinRequest { name: Some("bonn".to_owned()), ..JoinRequest::default() };
    assert!(entry(&terms("paris"), named).unwrap().starts_with("[site.bonn]\n"));
}

#[test]
fn a_site_that_does_not_fit_is_refused() {
    let lan = |lan: &str| JoinRequest { lan: vec![lan.parse().unwrap()], ..JoinRequest::default() };
    let none = JoinRequest::default;
    let portal = JoinRequest { portal: Some("eth1".parse().unwrap()), ..none() };
    for (terms, request, reason) in [
        (terms("nyc"), none(), "another site is called nyc"),
        (
            terms("paris"),
            JoinRequest { name: Some("oslo".to_owned()), ..none() },
            "another site is called oslo",
        ),
        (terms("paris"), lan("8.8.8.0/24"), "8.8.8.0/24 is not a private network"),
        (terms("paris"), lan("0.0.0.0/0"), "0.0.0.0/0 is not a private network"),
        (terms("paris"), lan("10.0.0.0/8"), "10.0.0.0/8 is not a private network"),
        (terms("paris"), lan("172.0.0.0/8"), "172.0.0.0/8 is not a private network"),
        (Terms { exits: Vec::new(), ..terms("paris") }, portal, "a portal needs an exit"),
    ] {
        let refused = entry(&terms, request).unwrap_err();
        assert!(refused.starts_with(reason), "{refused}");
        assert!(refused.len() <= 180, "it fits into an answer");
    }
    let own = Applicant { key: key(7), ..applicant(none()) };
    let refused = SiteEntry::new(&parse(&file()), "nyc", &terms("paris"), &own).unwrap_err();
    assert_eq!(refused, "the key of this box belongs to site oslo already");
    // The checks of the network file refuse the rest.
    for (terms, request) in [
        (terms("direct"), none()),
        (terms("paris"), lan("10.77.5.0/24")),
        (Terms { exits: names(&["rome"]), ..terms("paris") }, none()),
    ] {
        let text = file() + &entry(&terms, request).unwrap();
        assert!(config::parse(&text).is_err(), "{text}");
    }
}

#[test]
fn ids_are_given_out_until_none_is_left() {
    let mut network = parse(&file());
    let next = |network: &Network| {
        SiteEntry::new(network, "nyc", &terms("paris"), &applicant(JoinRequest::default()))
            .map(|entry| entry.id)
    };
    let mut site = network.sites["oslo"].clone();
    site.id = 250;
    network.sites.insert("last".to_owned(), site.clone());
    assert_eq!(next(&network), Ok(2), "the lowest that is free");
    for id in 2..250 {
        site.id = id;
        site.public_key = PublicKey([id; 32]);
        network.sites.insert(format!("s{id}"), site.clone());
    }
    assert_eq!(next(&network), Err("all 250 ids of sites are taken".to_owned()));
}

#[test]
fn the_provisional_file_is_a_network_file_of_both_sites() {
    for (uses_inviter, inviter_uses) in [(false, false), (false, true), (true, false), (true, true)] {
        let invited = Terms {
            exits: if uses_inviter { names(&["nyc"]) } else { Vec::new() },
            inviter_uses,
            ..terms("paris")
        };
        let mut text = file() + &entry(&invited, JoinRequest::default()).unwrap();
        if inviter_uses {
            text = text.replace("endpoint = ", "exits = [\"paris\"]\nendpoint = ");
        }
        let network = parse(&text);
        let answer = entry::joined(&network, "nyc", key(2), (key(7), None)).unwrap();
        let JoinAnswer::Joined(joined) = answer else { panic!("joined") };
        assert_eq!((joined.uses_inviter, joined.inviter_uses), (uses_inviter, inviter_uses));
        for door in [token().door, None] {
            let own = host("192.0.2.1");
            let endpoint = if door.is_some() { None } else { Some(&own) };
            let token = Token { door, ..token() };
            let provisional = parse(&entry::provisional_file(&token, &joined, key(2), endpoint));
            let (mine, theirs) = (&provisional.sites["paris"], &provisional.sites["nyc"]);
            assert_eq!(provisional.sites.len(), 2);
            assert_eq!((mine.id, mine.public_key, theirs.public_key), (8, key(2), key(1)));
            assert_eq!(mine.exits.is_empty(), !uses_inviter);
            assert_eq!(theirs.exits.is_empty(), !inviter_uses);
        }
    }
    let network = parse(&file());
    assert_eq!(entry::joined(&network, "nyc", key(9), (key(7), None)), None, "it was removed since");
    let whole = entry::provisional_file(&token(), &joined(), key(2), None);
    let network = parse(&whole);
    assert!(network.subnet6.is_some());
    assert_eq!(network.mtu, Mtu::Fixed(1420));
}
