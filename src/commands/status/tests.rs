//! Tests of the texts and the JSON of `status`.

use super::*;
use crate::base::net::{PublicKey, Table};
use crate::control::{HelperStatus, LinkPath, PathKind, SessionStatus};
use crate::engine::status::LinkEnd;

/// Returns the text for people.
fn shown(report: &Report) -> String {
    for_people(report, Style::PLAIN, &Terms { is_verbose: false, start: "portals start".to_owned() })
}

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
    let text = shown(&report);
    assert!(text.contains("eth1 → oslo via paris  "), "{text}");
    assert!(text.ends_with("\nrelays\n  10.77.3.64/26       oslo → paris\n"), "{text}");
}

#[test]
fn json_lists_the_exits_that_a_portal_can_choose_from() {
    let mut report = Report::example();
    report.portals[0].exits = ["paris", "oslo via paris", "direct"].map(str::to_owned).into();
    let json = json(&report);
    assert!(json.contains(r#""state":"open","exits":["paris","oslo via paris","direct"]}"#), "{json}");
    assert!(!json.contains(r#""hops""#), "the exit in use is no chain: {json}");
}

#[test]
fn portals_show_an_ipv6_address_if_they_have_one() {
    let mut report = Report::example();
    report.portals[0].address6 = Some("fd77:1:2:101::1/64".parse().unwrap());
    let json = json(&report);
    let both = r#""address":"10.77.1.65/26","address6":"fd77:1:2:101::1/64","exit":"paris","#;
    assert!(json.contains(both), "{json}");
    let text = shown(&report);
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
    let text = shown(&report);
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
    let text = shown(&report);
    assert!(text.contains("\nnot confirmed: undone in 17 s unless"), "{text}");
    assert!(text.contains("10.77.1.65/26  chosen by hand, 90 s ago\n"), "{text}");
    assert!(text.contains("\nphones\n  mike         away  → paris "), "{text}");
}

/// Returns the report with the agent's view of the link to paris.
fn with_path(up: bool, path: Option<(PathKind, &str)>, tried: &[&str], port_mapping: &str) -> Report {
    let link = LinkPathStatus {
        peer: "paris".to_owned(),
        interface: "to-paris".parse().unwrap(),
        path: path.map(|(kind, by)| LinkPath { kind, by: by.to_owned() }),
        tried: tried.iter().map(|way| (*way).to_owned()).collect(),
        port_mapping: port_mapping.to_owned(),
    };
    let agent_status = AgentStatus { links: vec![link], ..AgentStatus::default() };
    let mut report = Report { agent_status: Some(agent_status), ..Report::example() };
    report.links[0].up = up;
    report
}

#[test]
fn a_link_that_is_up_shows_its_path() {
    for (kind, by, words, members) in [
        (PathKind::Direct, "", "direct", r#""path":"direct""#),
        (PathKind::Local, "", "local", r#""path":"local""#),
        (PathKind::Mapped, "nyc", "direct (mapped by your router)", r#""path":"mapped","by":"nyc""#),
        (PathKind::Relayed, "oslo", "relayed by oslo", r#""path":"relayed","by":"oslo""#),
    ] {
        let report = with_path(true, Some((kind, by)), &["an old sentence"], "");
        let text = shown(&report);
        assert!(text.contains(&format!("in 1 B, out 2 B  {words}\n\nportals\n")), "{text}");
        let json = json(&report);
        assert!(json.contains(&format!(r#""up":true,{members}}}],"#)), "{json}");
    }
}

#[test]
fn a_link_that_is_down_shows_what_was_tried() {
    let report =
        with_path(false, None, &["oslo answered 2 s ago", "forward UDP 51822"], "no router maps ports");
    let text = shown(&report);
    let lines =
        "out 2 B\n    oslo answered 2 s ago\n    forward UDP 51822\n    no router maps ports\n\nportals\n";
    assert!(text.contains(lines), "{text}");
    let json = json(&report);
    let members = concat!(
        r#""up":false,"tried":["oslo answered 2 s ago","forward UDP 51822"],"#,
        r#""port_mapping":"no router maps ports"}],"#
    );
    assert!(json.contains(members), "{json}");
}

#[test]
fn a_link_without_a_search_looks_as_ever() {
    let mut report = with_path(true, Some((PathKind::Direct, "")), &[], "");
    report.agent_status.as_mut().unwrap().links[0].interface = "to-oslo".parse().unwrap();
    let text = shown(&report);
    assert!(text.contains("in 1 B, out 2 B\n\nportals\n"), "{text}");
    assert!(json(&report).contains(r#""up":true}],"#));
}

#[test]
fn a_helper_shows_the_links_that_it_relays() {
    let relayed = vec![["mike", "sara"].map(str::to_owned)];
    let with = |relayed| {
        let helper = Some(HelperStatus { questions: 12, relayed });
        let agent_status = AgentStatus { helper, ..AgentStatus::default() };
        Report { agent_status: Some(agent_status), ..Report::example() }
    };
    let report = with(relayed);
    let text = shown(&report);
    assert!(text.ends_with("\n\nhelper\n  relays mike–sara\n"), "{text}");
    let json = json(&report);
    assert!(json.ends_with(r#","helper":{"questions":12,"relayed":[["mike","sara"]]}}"#), "{json}");
    assert!(!shown(&with(Vec::new())).contains("helper"), "it relays nothing");
}

#[test]
fn the_network_file_comes_before_faults() {
    use crate::engine::file_report::FileSignature;
    let file = FileReport { serial: 7, signature: FileSignature::By(PublicKey([1; 32])) };
    let missing = vec!["dnsmasq does not run".to_owned()];
    let report = Report { file: Some(file), missing, ..Report::example() };
    let text = shown(&report);
    let lines = "\nnetwork file: serial 7, signed by AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\ndnsmasq";
    assert!(text.contains(lines), "{text}");
    let json = json(&report);
    assert!(json.contains(r#","file":{"serial":7,"signature":"signed","signed_by":"AQ"#), "{json}");
    let text = shown(&Report::example());
    assert!(!text.contains("network file:"), "the network has no admin keys: {text}");
}

/// Returns the report with the agent's view of the session with paris.
fn with_session(handshake: Option<u64>, seen: Option<u64>, unanswered: Option<u64>) -> Report {
    let mut report = Report::example();
    (report.links[0].handshake_age, report.links[0].up) = (handshake, handshake.is_some());
    let (interface, key) = ("to-paris".parse().unwrap(), PublicKey([2; 32]));
    let sessions = vec![SessionStatus { interface, key, seen, unanswered }];
    report.take_agent_status(AgentStatus { sessions, ..AgentStatus::default() });
    report
}

#[test]
fn a_link_that_does_not_answer_is_not_up() {
    let report = with_session(Some(100), Some(21), Some(17));
    let text = shown(&report);
    let line =
        "  paris        not answering  exit  to-paris         203.0.113.9:51821        last seen 21 s ago ";
    assert!(text.contains(line), "{text}");
    let json_text = json(&report);
    let members = r#""up":true,"last_seen_s":21,"not_answering_s":17}],"#;
    assert!(json_text.contains(members), "{json_text}");
    let page = prometheus::text(&report, SystemTime::UNIX_EPOCH);
    assert!(page.contains("portals_link_not_answering{peer=\"paris\",interface=\"to-paris\"} 1\n"), "{page}");
    // After three minutes, it is down.
    let report = with_session(None, Some(200), Some(196));
    assert!(shown(&report).contains("  paris        down  exit "), "{}", shown(&report));
    assert!(!json(&report).contains("not_answering"), "{}", json(&report));
}

#[test]
fn a_link_that_was_up_was_seen() {
    let sign = |handshake, seen| shown(&with_session(handshake, seen, None));
    assert!(sign(None, Some(240)).contains(" last seen 4 min ago "), "{}", sign(None, Some(240)));
    assert!(sign(None, None).contains(" no handshake yet "));
    assert!(sign(Some(12), Some(3)).contains(" up    exit "), "{}", sign(Some(12), Some(3)));
    assert!(sign(Some(12), Some(3)).contains(" handshake 12 s ago "));
}

#[test]
fn a_phone_that_does_not_answer_is_away() {
    let mut report = Report::example();
    let phone = &mut report.phones[0].link;
    (phone.up, phone.handshake_age, phone.unanswered) = (true, Some(90), Some(30));
    assert!(shown(&report).contains("\n  mike         away  → paris "), "{}", shown(&report));
}

#[test]
fn a_machine_without_an_agent_names_the_command_that_starts_it() {
    let mut report = Report { agent: false, ..Report::example() };
    (report.links[0].endpoint, report.links[0].end) = (None, LinkEnd::Missing);
    let text = shown(&report);
    let head = "home · site nyc · no agent · kernel WireGuard · nftables\n\
                no agent runs: start it with `portals start`\n";
    assert!(text.starts_with(head) && text.contains("  no tunnel  "), "{text}");
    report.links[0].end = LinkEnd::Member;
    assert!(shown(&report).contains("  waiting to be dialled  "), "the kernel's tunnel waits");
    report.links[0].end = LinkEnd::Unresolved;
    assert!(shown(&report).contains("  name has no address  "), "nobody can dial it");
    assert!(!shown(&Report::example()).contains("start it"));
}

#[test]
fn an_endpoint_that_is_this_machine_is_named() {
    let mut report = Report::example();
    report.links[0].end = LinkEnd::Itself;
    let way_out = "\n    203.0.113.9 is an address of this machine: correct the `endpoint` of paris\n";
    assert!(shown(&report).contains(way_out), "{}", shown(&report));
    assert!(json(&report).contains(r#""up":true,"is_itself":true}],"#), "{}", json(&report));
}

#[test]
fn the_public_address_of_an_exit_is_shown() {
    for (path, address) in [
        (None, Some("203.0.113.9")),
        (Some(PathKind::Direct), Some("203.0.113.9")),
        (Some(PathKind::Mapped), Some("203.0.113.9")),
        (Some(PathKind::Local), None),
        (Some(PathKind::Relayed), None),
    ] {
        let mut report = with_path(true, path.map(|kind| (kind, "oslo")), &[], "");
        report.find_exit_addresses();
        let (text, json) = (shown(&report), json(&report));
        let words = address.map_or("→ paris  10".to_owned(), |address| format!("→ paris ({address})  10"));
        let member = r#""exit_address":"203.0.113.9""#;
        assert!(text.contains(&words) && json.contains(member) == address.is_some(), "{text}{json}");
    }
    let address = |change: fn(&mut LinkReport)| {
        let mut report = Report::example();
        change(&mut report.links[0]);
        report.find_exit_addresses();
        report.portals[0].exit_address
    };
    assert!(address(|_| {}).is_some());
    assert_eq!(address(|link| link.end = LinkEnd::Provider), None, "a provider may have others");
    assert_eq!(address(|link| link.up = false), None);
    assert_eq!(address(|link| link.endpoint = Some("192.168.1.2:51820".parse().unwrap())), None);
}

#[test]
fn ports_that_must_reach_this_machine_are_listed() {
    let report = Report { ports: vec![51_820, 51_822, 52_075, 52_076], ..Report::example() };
    let text = shown(&report);
    assert!(text.contains("\nUDP 51820, 51822, 52075-52076 must reach this machine\n"), "{text}");
    assert!(json(&report).ends_with(r#","udp_ports":[51820,51822,52075,52076]}"#), "{}", json(&report));
}

#[test]
fn the_reason_for_the_firewall_is_for_the_curious() {
    let terms = Terms { is_verbose: true, start: String::new() };
    let text = for_people(&Report::example(), Style::PLAIN, &terms);
    assert!(text.contains(" · nftables (the network file says so)\n"), "{text}");
}
