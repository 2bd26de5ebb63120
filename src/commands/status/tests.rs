//! Tests of the texts and the JSON of `status`.

use super::*;
use crate::base::net::Table;

#[test]
fn json_has_the_specified_form() {
    let expected = concat!(
        r#"{"network":"home","site":"nyc","agent":true,"wireguard":"kernel","firewall":"nftables","#,
        r#""links":[{"peer":"paris","interface":"to-paris","exit":true,"endpoint":"203.0.113.9:51821","#,
        r#""handshake_age_s":12,"rx_bytes":1,"tx_bytes":2,"up":true}],"#,
        r#""portals":[{"name":"guest","entrance":"interface eth1","address":"10.77.1.65/26","#,
        r#""exit":"paris","state":"open"}],"#,
        r#""phones":[{"name":"mike","exit":"paris","endpoint":null,"handshake_age_s":null,"#,
        r#""rx_bytes":0,"tx_bytes":0,"up":false}]}"#
    );
    assert_eq!(json(&Report::example()), expected);
}

#[test]
fn chains_are_shown_where_they_begin_and_where_they_go_on() {
    let relay = Relay {
        source: "10.77.3.64/26".parse().unwrap(),
        from: "oslo".to_owned(),
        incoming: "portals0".parse().unwrap(),
        to: "paris".to_owned(),
        outgoing: "to-paris".parse().unwrap(),
        table: Table(7702),
    };
    let mut report = Report { relays: vec![relay], ..Report::example() };
    report.portals[0].exit = "oslo via paris".to_owned();
    report.portals[0].hops = ["paris", "oslo"].map(str::to_owned).into();
    let json = json(&report);
    let portal = r#""exit":"oslo via paris","state":"open","hops":["paris","oslo"]}"#;
    let relays = r#""relays":[{"source":"10.77.3.64/26","from":"oslo","to":"paris"}]}"#;
    assert_eq!(json.matches("\"hops\"").count(), 1, "{json}");
    assert!(json.contains(portal) && json.ends_with(relays), "{json}");
    let text = for_people(&report, Style::PLAIN);
    assert!(text.contains("eth1 → oslo via paris  "), "{text}");
    assert!(text.ends_with("\nrelays\n  10.77.3.64/26       oslo → paris\n"), "{text}");
}

#[test]
fn portals_show_an_ipv6_address_if_they_have_one() {
    let mut report = Report::example();
    report.portals[0].address6 = Some("fd77:1:2:101::1/64".parse().unwrap());
    let json = json(&report);
    let both = r#""address":"10.77.1.65/26","address6":"fd77:1:2:101::1/64","exit":"paris","#;
    assert!(json.contains(both), "{json}");
    let text = for_people(&report, Style::PLAIN);
    assert!(text.contains(" → paris  10.77.1.65/26, fd77:1:2:101::1/64\n"), "{text}");
}

#[test]
fn shared_networks_are_shown_as_others_see_them() {
    let network = |text: &str| text.parse().unwrap();
    let lan = |site: &str, here: &str, seen_as: Option<&str>| LanReport {
        site: site.to_owned(),
        network: network(here),
        seen_as: seen_as.map(network),
    };
    let lans = vec![lan("nyc", "192.168.1.0/24", Some("10.78.1.0/24")), lan("paris", "10.78.2.0/24", None)];
    let report = Report { lans, ..Report::example() };
    let expected = concat!(
        r#""networks":[{"site":"nyc","network":"192.168.1.0/24","seen_as":"10.78.1.0/24"},"#,
        r#"{"site":"paris","network":"10.78.2.0/24"}]}"#
    );
    assert!(json(&report).ends_with(expected), "{}", json(&report));
    let text = for_people(&report, Style::PLAIN);
    let expected =
        "networks\n  nyc          192.168.1.0/24, seen as 10.78.1.0/24\n  paris        10.78.2.0/24\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn knowledge_of_the_agent_comes_last() {
    let known =
        |name: &str, words: &str| TimedState { name: name.to_owned(), since: 90, words: words.to_owned() };
    let agent_status = AgentStatus {
        unconfirmed: Some(17),
        portals: vec![known("guest", "chosen by hand")],
        exits: vec![known("paris", "up")],
        ..AgentStatus::default()
    };
    let report = Report { agent_status: Some(agent_status), ..Report::example() };
    let json = json(&report);
    assert!(json.contains(r#""state":"open","since_s":90,"why":"chosen by hand"}],"#), "{json}");
    let end = r#""exits":[{"name":"paris","state":"up","since_s":90}],"unconfirmed_s":17}"#;
    assert!(json.ends_with(end), "{json}");
    let text = for_people(&report, Style::PLAIN);
    assert!(text.contains("\nnot confirmed: undone in 17 s unless"), "{text}");
    assert!(text.contains("10.77.1.65/26  chosen by hand, 90 s ago\n"), "{text}");
    assert!(text.contains("\nphones\n  mike         away  → paris "), "{text}");
}
