//! Firewalls in the real kernel via the real programs of iptables, of both flavours, and pinholes in the
//! chains of other firewalls. Each test works in its own network namespaces, which takes root: `sudo`, or
//! `unshare -Urnm` for a root in a user namespace.

#[path = "support/firewalls.rs"]
mod firewalls;
#[path = "support/fitting.rs"]
mod fitting;
mod namespace;
#[path = "support/iptables_reader.rs"]
mod reader;
#[path = "support/translations.rs"]
mod translations;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::rc::Rc;

use fitting::fitting;
use proptest::prelude::*;
use wg_portals::base::net::Family;
use wg_portals::base::sorted::{SortedMap, SortedSet};
use wg_portals::firewall::xtables::{IptablesProgram, IptablesRuleset, compile};
use wg_portals::firewall::{
    Action, Chain, Condition, Firewall, FirewallRule, ForeignChain, Interfaces, Networks, PinholeChain,
    Pinholes, TableFamily,
};
use wg_portals::kernel::iptables::{Iptables, entries, legacy};
use wg_portals::kernel::linux::Linux;
use wg_portals::kernel::nftables::{Nftables, Survey};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_firewall_leads_to_any_other_in_both_flavours(
        a in firewalls::firewall(),
        b in firewalls::firewall(),
    ) {
        let [a, b] = [a, b].map(|firewall| compile(Some(&fitting(firewall)), &pinholes(), &FAMILIES));
        for program in [IptablesProgram::Legacy, IptablesProgram::Nft] {
            let (a, b) = (a.clone(), b.clone());
            namespace::inside(move || leads_there_and_back(program, &a, &b));
        }
    }
}

fn leads_there_and_back(program: IptablesProgram, a: &IptablesRuleset, b: &IptablesRuleset) {
    let tables = Iptables::find();
    let neighbours = "*filter\n:OTHERS - [0:0]\n-A FORWARD -i eth7 -j OTHERS\n-A OTHERS -j RETURN\nCOMMIT\n";
    run(&program.name(Family::V4, "-restore"), &["--noflush"], neighbours);
    let foreign = || tables.dump(program, Family::V4).unwrap().is_used_by_others();
    let nothing = IptablesRuleset::new();
    for (from, to) in [(&nothing, a), (a, b), (b, a), (a, &nothing)] {
        tables.change(program, from, to).unwrap();
        assert_eq!(&tables.read(program).unwrap(), to, "{program:?}");
        reader::finds_all_of(to, program);
        assert!(foreign());
    }
    let saved = run(&program.name(Family::V4, "-save"), &[], "");
    assert!(saved.contains("-A FORWARD -i eth7 -j OTHERS\n-A OTHERS -j RETURN"), "{saved}");
    assert!(!saved.contains("PORTALS_"), "{saved}");
}

fn pinholes() -> SortedMap<Family, Pinholes> {
    let port = FirewallRule { conditions: vec![Condition::UdpPort(51821, 51821)], action: Action::Accept };
    [(Family::V4, Pinholes::from([(Chain::Input, vec![port])]))].into()
}

#[test]
fn changes_by_others_are_detected() {
    namespace::inside(|| {
        let tables = Iptables::find();
        let program = tables.legacy.expect("Debian's iptables has both flavours");
        let rule = |name: &str| FirewallRule {
            conditions: vec![Condition::Incoming(Interfaces::One(name.parse().unwrap()))],
            action: Action::Drop,
        };
        let firewall =
            Firewall { chains: [(Chain::Forward, vec![rule("a"), rule("b")])].into(), ..Firewall::default() };
        let wanted = compile(Some(&firewall), &SortedMap::new(), &FAMILIES);
        let other_hand = reader::of(program, Family::V4);
        for damage in [
            "-F FORWARD",
            "-F PORTALS_FORWARD",
            "-D PORTALS_FORWARD 1",
            "-I PORTALS_FORWARD -j RETURN",
            "-R PORTALS_FORWARD 2 -i b -m ttl --ttl-eq 1 -j DROP",
            "-R PORTALS_FORWARD 2 -i c -j DROP",
            "-R PORTALS_FORWARD 2 -i b -j ACCEPT",
            "-I FORWARD -j ACCEPT",
            "-A FORWARD -j PORTALS_FORWARD",
        ] {
            tables.change(program, &tables.read(program).unwrap(), &wanted).unwrap();
            let digest = || entries::digest(&mut Vec::new()).unwrap();
            let before = digest();
            assert_eq!(digest(), before);
            assert!(other_hand.execute("filter", damage).unwrap().status.success(), "{damage}");
            assert_ne!(digest(), before, "{damage}");
            let seen = tables.read(program).unwrap();
            assert_ne!(seen, wanted, "{damage}");
            tables.change(program, &seen, &wanted).unwrap();
            assert_eq!(tables.read(program).unwrap(), wanted, "{damage}");
        }
        tables.change(program, &wanted, &IptablesRuleset::new()).unwrap();
        let left = ["-P INPUT ACCEPT", "-P FORWARD ACCEPT", "-P OUTPUT ACCEPT", "-A FORWARD -j ACCEPT"];
        assert_eq!(other_hand.list_table("filter").unwrap(), left);
    });
}

#[test]
fn the_program_runs_only_after_a_change() {
    namespace::inside(|| {
        let program = Iptables::find().legacy.expect("Debian's iptables has both flavours");
        let mut kernel = Linux::open().unwrap();
        assert!(kernel.legacy_iptables(program).unwrap().is_empty(), "a question makes no table");
        let other_hand = reader::of(program, Family::V4);
        let mut last = None;
        for (change, refuses) in
            [("-P FORWARD DROP", true), ("-I FORWARD -i a -j ACCEPT", true), ("-P FORWARD ACCEPT", false)]
        {
            assert!(other_hand.execute("filter", change).unwrap().status.success(), "{change}");
            let seen = kernel.legacy_iptables(program).unwrap();
            assert_eq!(seen[0].refusing, [Chain::Forward][..usize::from(refuses)], "{change}");
            assert!(last.as_ref().is_none_or(|last| !Rc::ptr_eq(last, &seen)), "{change}");
            assert!(Rc::ptr_eq(&seen, &kernel.legacy_iptables(program).unwrap()), "{change}");
            last = Some(seen);
        }
    });
}

/// The kernel leaves some bytes of the buffer as they are: they must not be counters of the table before.
#[test]
fn packets_change_no_digest_of_several_tables() {
    namespace::inside(|| {
        let program = Iptables::find().legacy.expect("Debian's iptables has both flavours");
        for family in FAMILIES {
            for table in ["filter", "nat", "mangle"] {
                assert!(reader::of(program, family).execute(table, "-L").unwrap().status.success());
            }
        }
        assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
        let mut room = Vec::new();
        let before = entries::digest(&mut room).unwrap();
        for address in ["127.0.0.1", "::1"] {
            assert!(Command::new("ping").args(["-q", "-c", "1", address]).status().unwrap().success());
            assert_eq!(entries::digest(&mut room).unwrap(), before, "{address}");
        }
    });
}

#[test]
fn this_kernel_lacks_nothing() {
    assert_eq!(namespace::inside(|| legacy::lacks(&[], true, true)), Vec::<String>::new());
    assert_eq!(Iptables::find().missing(IptablesProgram::Legacy), Vec::<String>::new());
}

#[test]
fn translations_read_back_and_can_be_removed() {
    namespace::inside(|| {
        let tables = Iptables::find();
        let here = Condition::Destination(Networks::One("192.168.1.1/32".parse().unwrap()));
        let rules = vec![
            FirewallRule { conditions: vec![Condition::UdpPort(53, 53)], action: Action::Redirect(5053) },
            FirewallRule {
                conditions: vec![here],
                action: Action::DestinationNat("9.9.9.9".parse().unwrap()),
            },
        ];
        let send_as = |family, address: &str| FirewallRule {
            conditions: vec![Condition::Family(family)],
            action: Action::SourceNat(address.parse().unwrap()),
        };
        let sources = vec![send_as(Family::V4, "10.8.0.2"), send_as(Family::V6, "fd08::2")];
        let chains = [(Chain::Prerouting, rules), (Chain::Postrouting, sources)].into();
        let firewall = Firewall { chains, ..Firewall::default() };
        let wanted = compile(Some(&firewall), &SortedMap::new(), &[Family::V4, Family::V6]);
        for program in tables.legacy.into_iter().chain(tables.nft) {
            leads_there_and_back(program, &wanted, &IptablesRuleset::new());
        }
    });
}

#[test]
fn translations_of_networks_and_of_ports_read_back() {
    namespace::inside(|| {
        let tables = Iptables::find();
        for (firewall, _) in [translations::of_networks(), translations::of_relayed_packets()] {
            let wanted = compile(Some(&firewall), &SortedMap::new(), &[Family::V4, Family::V6]);
            for program in tables.legacy.into_iter().chain(tables.nft) {
                leads_there_and_back(program, &wanted, &IptablesRuleset::new());
            }
        }
    });
}

#[test]
fn a_refused_line_is_named() {
    namespace::inside(|| {
        let tables = Iptables::find();
        let program = tables.legacy.expect("Debian's iptables has both flavours");
        // TCPMSS without a match for SYN.
        let rule = FirewallRule { conditions: Vec::new(), action: Action::ClampMss(1240) };
        let firewall = Firewall { chains: [(Chain::Forward, vec![rule])].into(), ..Firewall::default() };
        let wanted = compile(Some(&firewall), &SortedMap::new(), &[Family::V4]);
        let error = tables.change(program, &IptablesRuleset::new(), &wanted).unwrap_err().to_string();
        assert!(error.starts_with("cannot change the rules of iptables: iptables-"), "{error}");
        assert!(
            error.contains("-A PORTALS_FORWARD -j TCPMSS --set-mss 1240") || error.contains("COMMIT"),
            "{error}"
        );
        assert_eq!(tables.read(program).unwrap(), IptablesRuleset::new());
    });
}

/// Refusals of unknown traffic as in OpenWrt's fw4, firewalld and a hand-written firewall.
const REFUSING: [(&str, &str); 4] = [
    (
        "policy",
        "chain forward { type filter hook forward priority filter; policy drop; \
         ct state established accept; }",
    ),
    (
        "last rule",
        "chain forward { type filter hook forward priority filter; iifname eth0 accept; \
         counter reject with icmpx admin-prohibited; }",
    ),
    (
        "zone",
        "chain wan { log prefix \"no\" drop; }\nchain forward { type filter hook forward priority filter; \
         iifname eth0 jump wan; }",
    ),
    (
        "goto",
        "chain end { counter drop; }\nchain mid { goto end; }\n\
         chain forward { type filter hook forward priority filter; jump mid; }",
    ),
];

/// Chains that decide only about known traffic.
const PASSING: [&str; 4] = [
    "chain no { drop; }\nchain forward { type filter hook forward priority filter; \
     ip daddr 203.0.113.66 jump no; }",
    "chain forward { type filter hook forward priority filter; policy accept; ct state invalid drop; }",
    "chain drops { drop; }\nchain forward { type filter hook forward priority filter; iifname eth0 accept; }",
    "chain forward { type filter hook prerouting priority filter; policy drop; }",
];

#[test]
fn chains_that_refuse_unknown_traffic_are_recognised() {
    for (name, chains) in REFUSING {
        let survey = namespace::inside(move || survey_of(chains));
        assert_eq!(survey.refusing, [(chain("forward"), Chain::Forward)], "{name}");
    }
    for chains in PASSING {
        let survey = namespace::inside(move || survey_of(chains));
        assert_eq!(survey.refusing, [], "{chains}");
    }
}

fn survey_of(chains: &str) -> Survey {
    run("nft", &["-f", "-"], &format!("table inet fw {{ {chains}; }}"));
    Nftables::find().unwrap().expect("the kernel has nftables").survey().unwrap()
}

fn chain(name: &str) -> ForeignChain {
    ForeignChain { family: TableFamily::Inet, table: "fw".to_owned(), name: name.to_owned() }
}

#[test]
fn openings_come_first_and_are_removed_without_a_trace() {
    namespace::inside(|| {
        run("nft", &["-f", "-"], &format!("table inet fw {{ {}; }}", REFUSING[0].1));
        let before = run("nft", &["list", "ruleset"], "");
        let mut nftables = Nftables::find().unwrap().expect("the kernel has nftables");
        let rule = |condition| Some(FirewallRule { conditions: vec![condition], action: Action::Accept });
        let wanted = PinholeChain {
            rules: vec![
                rule(Condition::Incoming(Interfaces::One("to-paris".parse().unwrap()))),
                rule(Condition::UdpPort(7, 9)),
            ],
            at_top: true,
        };
        let mut check = |what: &str| {
            nftables.open(&chain("forward"), &wanted).unwrap();
            assert_eq!(
                nftables.survey().unwrap().pinholes,
                [(chain("forward"), wanted.clone())].into(),
                "{what}"
            );
        };
        check("new");
        let rules = run("nft", &["list", "chain", "inet", "fw", "forward"], "");
        let expected = "\t\tiifname \"to-paris\" accept comment \"portals\"\n\
                        \t\tudp dport 7-9 accept comment \"portals\"\n\t\tct state established accept\n";
        assert!(rules.contains(expected), "{rules}");
        run("nft", &["insert", "rule", "inet", "fw", "forward", "drop"], "");
        check("another rule comes before portals' rules");
        run("nft", &["-f", "-"], "flush table inet fw");
        check("flushed");
        run("nft", &["-f", "-"], &format!("delete table inet fw; table inet fw {{ {}; }}", REFUSING[0].1));
        check("loaded again");
        nftables.open(&chain("forward"), &PinholeChain::default()).unwrap();
        assert_eq!(run("nft", &["list", "ruleset"], ""), before);
        run("nft", &["-f", "-"], "delete table inet fw");
        nftables.open(&chain("forward"), &PinholeChain::default()).unwrap();
        assert_eq!(nftables.survey().unwrap().pinholes, SortedMap::new());
    });
}

#[test]
fn a_table_that_has_an_owner_is_left_alone() {
    namespace::inside(|| {
        // nft owns its tables exclusively as long as it runs.
        let mut nft =
            Command::new("nft").args(["-i"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut input = nft.stdin.take().unwrap();
        writeln!(input, "add table inet fw {{ flags owner; }}").unwrap();
        writeln!(input, "add chain inet fw forward {{ type filter hook forward priority 0; policy drop; }}")
            .unwrap();
        input.flush().unwrap();
        let mut nftables = Nftables::find().unwrap().expect("the kernel has nftables");
        let expected = SortedSet::from(["inet fw forward".to_owned()]);
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let survey = loop {
            let survey = nftables.survey().unwrap();
            if survey.locked == expected || std::time::Instant::now() > until {
                break survey;
            }
        };
        assert_eq!((survey.locked, survey.refusing), (expected, Vec::new()));
        drop(input);
        nft.wait().unwrap();
    });
}

/// Output of a program in the namespace of this thread.
fn run(program: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs the program {program}: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}\n{input}");
    String::from_utf8(output.stdout).unwrap()
}
