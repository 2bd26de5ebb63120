//! Firewalls in the real kernel, against the real `nft` program. Each test runs in its own network
//! namespaces, which needs root: `sudo`, or `unshare -Urn` for root of a user namespace.

#[path = "support/firewalls.rs"]
mod firewalls;
#[path = "support/samples.rs"]
mod samples;
#[path = "support/translations.rs"]
mod translations;

use std::io::Write as _;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use proptest::prelude::*;
use samples::{interface, one_rule_of_each_sort, sets};
use wg_portals::base::net::{Cidr, Family};
use wg_portals::base::sorted::SortedSet;
use wg_portals::firewall::text::{ports, to_text};
use wg_portals::firewall::{
    Action, Chain, Condition, Firewall, FirewallRule, Interfaces, Networks, Set, SetName,
};
use wg_portals::kernel::nftables::Nftables;

/// A foreign table, with names like portals' own.
const NEIGHBOUR: &str = "table inet other {
    set uplinks { type ifname; elements = { \"eth0\" }; }
    chain forward { type filter hook forward priority 0; policy accept; iifname @uplinks accept; }
}";

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_firewall_leads_to_any_other(a in firewalls::firewall(), b in firewalls::firewall()) {
        let (of_a, of_b) = in_namespace(|| changes_by_netlink(&a, &b));
        prop_assert_eq!(in_namespace(|| changes_by_script(&a, &b)), (of_a, of_b.clone()));
        let fresh = in_namespace(|| {
            change(None, Some(&b));
            our_listing()
        });
        prop_assert_eq!(fresh, of_b);
    }
}

/// Listings by `nft` of `a` and of `b`, after all transitions between nothing, `a` and `b`.
fn changes_by_netlink(a: &Firewall, b: &Firewall) -> (Vec<String>, Vec<String>) {
    nft(&["-f", "-"], NEIGHBOUR);
    let neighbour = nft(&["list", "table", "inet", "other"], "");
    change(None, Some(a));
    let of_a = our_listing();
    change(Some(a), Some(b));
    let of_b = our_listing();
    change(Some(b), Some(a));
    assert_eq!(our_listing(), of_a, "changed and changed back");
    change(Some(a), None);
    assert_eq!(nft(&["list", "ruleset"], ""), neighbour);
    (of_a, of_b)
}

/// Returns a firewall with the sets of the samples, and these rules in one chain.
fn with_rules(chain: Chain, rules: Vec<FirewallRule>) -> Firewall {
    Firewall { sets: sets(), chains: [(chain, rules)].into(), flows: None }
}

fn changes_by_script(a: &Firewall, b: &Firewall) -> (Vec<String>, Vec<String>) {
    let run = |from: Option<&Firewall>, to: Option<&Firewall>| {
        nft(&["-f", "-"], &to_text(from, to));
        assert_eq!(read().as_ref(), to, "written by nft, read by us");
        to.map(|_| our_listing()).unwrap_or_default()
    };
    let listings = (run(None, Some(a)), run(Some(a), Some(b)));
    run(Some(b), None);
    listings
}

#[test]
fn each_condition_and_action_is_listed_as_a_person_would_write_it() {
    let cases = one_rule_of_each_sort();
    let (rules, expected): (Vec<FirewallRule>, Vec<&str>) = cases.into_iter().unzip();
    let firewall = with_rules(Chain::Forward, rules);
    let listing = in_namespace(|| {
        change(None, Some(&firewall));
        nft(&["list", "chain", "inet", "portals", "forward"], "")
    });
    // nft 1.1 uses these words.
    let listing = listing.replace("tcp flags & (syn | rst) == syn", "tcp flags syn / syn,rst");
    let listed: Vec<&str> = listing.lines().filter_map(|line| line.strip_prefix("\t\t")).collect();
    assert_eq!(listed[0], "type filter hook forward priority filter; policy accept;");
    assert_eq!(listed[1..], expected);
}

/// A firewall with each kind of address translation, in the chains where the kernel allows it.
fn translations() -> Firewall {
    let masquerade = FirewallRule {
        conditions: vec![
            Condition::Source(Networks::One("10.77.0.0/16".parse().unwrap())),
            Condition::Outgoing(Interfaces::One(interface("eth0"))),
        ],
        action: Action::Masquerade,
    };
    let redirect = FirewallRule {
        conditions: vec![
            Condition::Destination(Networks::One("10.77.1.65/32".parse().unwrap())),
            Condition::UdpPort(53, 53),
        ],
        action: Action::Redirect(5053),
    };
    let divert = FirewallRule {
        conditions: vec![
            Condition::Destination(Networks::One("192.168.1.1/32".parse().unwrap())),
            Condition::TcpPort(53, 53),
        ],
        action: Action::DestinationNat("9.9.9.9".parse().unwrap()),
    };
    let send_as = |family, address: &str| FirewallRule {
        conditions: vec![
            Condition::Outgoing(Interfaces::One("to-swiss".parse().unwrap())),
            Condition::Family(family),
        ],
        action: Action::SourceNat(address.parse().unwrap()),
    };
    let leaving = vec![masquerade, send_as(Family::V4, "10.8.0.2"), send_as(Family::V6, "fd08::2")];
    let chains = [(Chain::Prerouting, vec![redirect, divert]), (Chain::Postrouting, leaving)].into();
    Firewall { chains, ..Firewall::default() }
}

#[test]
fn translations_are_listed_where_they_may_stand() {
    for (firewall, expected) in
        [(translations(), TRANSLATIONS), translations::of_networks(), translations::of_relayed_packets()]
    {
        let listing = in_namespace(|| {
            change(None, Some(&firewall));
            assert_eq!(read().as_ref(), Some(&firewall), "written and read by us");
            change(Some(&firewall), None);
            nft(&["-f", "-"], &to_text(None, Some(&firewall)));
            assert_eq!(read().as_ref(), Some(&firewall), "written by nft, read by us");
            nft(&["list", "ruleset"], "")
        });
        assert_eq!(listing, expected);
    }
}

/// Listing of [`translations`] by `nft`.
const TRANSLATIONS: &str = "table inet portals {
\tchain prerouting {
\t\ttype nat hook prerouting priority dstnat; policy accept;
\t\tip daddr 10.77.1.65 udp dport 53 redirect to :5053
\t\tip daddr 192.168.1.1 tcp dport 53 dnat ip to 9.9.9.9
\t}

\tchain postrouting {
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\tip saddr 10.77.0.0/16 oifname \"eth0\" masquerade
\t\toifname \"to-swiss\" meta nfproto ipv4 snat ip to 10.8.0.2
\t\toifname \"to-swiss\" meta nfproto ipv6 snat ip6 to fd08::2
\t}
}
";

#[test]
fn edits_by_others_are_detected_and_repaired() {
    let in_chains = [
        "add rule inet portals forward counter",
        "add rule inet portals forward iifname \"eth*\" accept",
        "add rule inet portals forward ct state new accept",
        "add rule inet portals forward ip saddr & 255.0.255.0 == 10.0.1.0 accept",
        "add rule inet portals forward meta mark set 1",
        "flush chain inet portals forward",
    ];
    let elsewhere = [
        // This rule brings an anonymous set.
        "insert rule inet portals forward ip saddr { 1.1.1.1, 2.2.2.2 } drop",
        "flush ruleset; add table inet portals",
        "add chain inet portals mine; add rule inet portals mine iifname @inside drop",
        "flush chain inet portals forward; delete chain inet portals forward; \
         add chain inet portals forward { type filter hook forward priority 7; policy accept; }",
        "add chain inet portals forward { policy drop; }",
        "add set inet portals mine { type inet_service; }",
        "add set inet portals more { type ipv4_addr; flags interval; \
         elements = { 1.2.3.4-1.2.3.7, 1.2.3.9-1.2.3.12 }; }",
        "flush set inet portals inside",
        "add table inet portals { flags dormant; }",
    ];
    let rules = one_rule_of_each_sort().into_iter().map(|(rule, _)| rule).collect();
    let wanted = with_rules(Chain::Forward, rules);
    let without_rules = with_rules(Chain::Forward, Vec::new());
    let in_chains = in_chains.iter().map(|edit| (edit, &without_rules));
    let nothing = Firewall::default();
    for (edit, expected) in in_chains.chain(elsewhere.iter().map(|edit| (edit, &nothing))) {
        in_namespace(|| {
            change(None, Some(&wanted));
            let listing = our_listing();
            nft(&["-f", "-"], &edit.replace("; add", "\nadd").replace("; delete", "\ndelete"));
            let found = read();
            assert_eq!(found.as_ref(), Some(expected), "{edit}");
            change(found.as_ref(), Some(&wanted));
            assert_eq!(our_listing(), listing, "{edit}");
        });
    }
}

#[test]
fn an_edit_with_rules_that_portals_could_write_is_repaired_in_place() {
    in_namespace(|| {
        let rule = FirewallRule { conditions: vec![], action: Action::Accept };
        let wanted = with_rules(Chain::Input, vec![rule]);
        change(None, Some(&wanted));
        let listing = our_listing();
        nft(&["add", "rule", "inet", "portals", "input", "drop"], "");
        nft(&["delete", "element", "inet", "portals", "lans", "{ 10.0.0.0/8 }"], "");
        let found = read();
        assert_ne!(found, Some(Firewall::default()));
        assert_ne!(found.as_ref(), Some(&wanted));
        change(found.as_ref(), Some(&wanted));
        assert_eq!(our_listing(), listing);
    });
}

#[test]
fn a_refused_part_leaves_everything_as_it_was() {
    in_namespace(|| {
        let accept = |conditions| FirewallRule { conditions, action: Action::Accept };
        let from = with_rules(Chain::Input, vec![accept(vec![])]);
        change(None, Some(&from));
        let before = our_listing();

        let nowhere = Condition::Incoming(Interfaces::In(SetName("nowhere".into())));
        let bad = vec![accept(vec![Condition::FromOriginator]), accept(vec![nowhere])];
        let to = Firewall { chains: [(Chain::Forward, bad)].into(), ..Firewall::default() };
        let error = Nftables::find().unwrap().unwrap().change(Some(&from), Some(&to)).unwrap_err();
        assert_eq!(error.to_string(), "cannot add rule 2 of chain forward: No such file or directory");
        assert_eq!(our_listing(), before);

        let error = Nftables::find().unwrap().unwrap().change(None, Some(&from)).unwrap_err();
        assert_eq!(error.to_string(), "cannot add set devices: File exists");
        assert_eq!(our_listing(), before);
    });
}

/// Reading changes nothing: the foreign ruleset, and the number of its generation, are as they were.
#[test]
fn the_kernels_abilities_are_tested_without_a_change() {
    in_namespace(|| {
        nft(&["-f", "-"], NEIGHBOUR);
        let rule = FirewallRule { conditions: vec![], action: Action::Accept };
        change(None, Some(&with_rules(Chain::Input, vec![rule])));
        let before = (nft(&["list", "ruleset"], ""), generation());
        let mut nftables = Nftables::find().unwrap().unwrap();
        let none: [&str; 0] = [];
        for translates in [false, true, false] {
            assert_eq!(nftables.lacks(translates).unwrap(), none);
        }
        assert_eq!((nft(&["list", "ruleset"], ""), generation()), before);
    });
}

/// Generation of the kernel's ruleset, from the header of each reply.
fn generation() -> String {
    let listing = nft(&["--debug=mnl", "list", "tables"], "");
    let numbers: Vec<&str> = listing.lines().filter(|line| line.contains("extra header")).collect();
    assert!(numbers.len() > 2, "{listing}");
    numbers.join("\n")
}

#[test]
fn without_a_table_there_is_nothing_to_delete() {
    in_namespace(|| {
        assert_eq!(read(), None);
        let error = Nftables::find().unwrap().unwrap().change(Some(&Firewall::default()), None).unwrap_err();
        assert_eq!(error.to_string(), "cannot delete table portals: No such file or directory");
    });
}

/// Number of elements that exceeds one message, and the usual send buffer.
#[test]
fn a_set_may_be_large() {
    // Users other than root cannot enlarge the buffer beyond the kernel's default (net.core.wmem_max).
    let is_root = std::fs::read_to_string("/proc/self/uid_map").unwrap().contains("4294967295");
    let count: u32 = if is_root { 20_000 } else { 2_000 };
    let networks = (0..count).map(|n| Cidr::new(std::net::Ipv4Addr::from_bits(n << 9).into(), 24).unwrap());
    let lans = Set::Networks(Family::V4, true, networks.collect());
    let firewall = Firewall { sets: [(SetName("lans".into()), lans)].into(), ..Firewall::default() };
    in_namespace(|| change(None, Some(&firewall)));
}

#[test]
fn sixty_four_tunnels_come_and_go() {
    let (all, fewer) = (tunnels(64), tunnels(63));
    in_namespace(|| {
        let mut nftables = Nftables::find().unwrap().unwrap();
        nftables.change(None, Some(&all)).unwrap();
        assert_eq!(nftables.read().unwrap().as_ref(), Some(&all));
        nftables.change(Some(&all), Some(&fewer)).unwrap();
        assert_eq!(nftables.read().unwrap().as_ref(), Some(&fewer));
        nftables.change(Some(&fewer), None).unwrap();
        assert_eq!(nftables.read().unwrap(), None);
    });
}

/// Approximate firewall of a site with this many exits.
fn tunnels(count: usize) -> Firewall {
    let tunnels = (0..count).map(|n| interface(&format!("to-site{n}")));
    let paths = (0..count).map(|n| (interface(&format!("eth{n}")), interface(&format!("to-site{n}"))));
    let mut rules: Vec<_> = one_rule_of_each_sort().into_iter().take(19).map(|(rule, _)| rule).collect();
    rules.push(FirewallRule { conditions: vec![], action: Action::Reject });
    let mut sets = sets();
    sets.insert(SetName("inside".into()), Set::Interfaces(tunnels.collect()));
    sets.insert(SetName("paths".into()), Set::InterfacePairs(paths.collect()));
    Firewall { sets, ..with_rules(Chain::Forward, rules) }
}

/// Closed ports are the same by netlink and by a script, and changes by others are detected.
#[test]
fn ports_are_closed_by_netlink_as_by_nft() {
    in_namespace(|| {
        let mut nftables = Nftables::find().unwrap().unwrap();
        let listing = || nft(&["list", "ruleset"], "");
        assert!(nftables.can_close_ports());
        assert_eq!((nftables.closed_ports().unwrap(), listing()), (None, String::new()));
        let port = [interface("lo")].into();
        nftables.close_ports(Some(&port)).unwrap();
        assert_eq!(nftables.closed_ports().unwrap().as_ref(), Some(&port));
        let by_netlink = listing();
        assert!(by_netlink.contains("device \"lo\" priority -500; policy drop;"), "{by_netlink}");
        nft(&["-f", "-"], &ports(true, Some(&port)));
        assert_eq!((nftables.closed_ports().unwrap().as_ref(), listing()), (Some(&port), by_netlink));
        for edit in [
            "add rule netdev portals port-1 accept",
            "add chain netdev portals port-1 { policy accept; }",
            "delete table netdev portals; add table netdev portals",
        ] {
            nft(&["-f", "-"], edit);
            assert_eq!(nftables.closed_ports().unwrap(), Some(SortedSet::new()), "{edit}");
            nftables.close_ports(Some(&port)).unwrap();
        }
        nft(&["-f", "-"], &ports(true, None));
        assert_eq!((nftables.closed_ports().unwrap(), listing()), (None, String::new()));
        nftables.close_ports(None).unwrap();
    });
}

/// Changes the table, and checks that it reads back as wanted.
fn change(from: Option<&Firewall>, to: Option<&Firewall>) {
    let mut nftables = Nftables::find().unwrap().unwrap();
    nftables.change(from, to).unwrap_or_else(|error| panic!("{error}: {}", to_text(from, to)));
    assert_eq!(nftables.read().unwrap().as_ref(), to);
}

fn read() -> Option<Firewall> {
    Nftables::find().unwrap().unwrap().read().unwrap()
}

/// Sets and chains of portals' table as `nft` lists them, sorted: the kernel's order only tells their age.
fn our_listing() -> Vec<String> {
    let listing = nft(&["list", "table", "inet", "portals"], "");
    let content = listing.strip_prefix("table inet portals {\n").and_then(|rest| rest.strip_suffix("}\n"));
    let mut objects: Vec<String> =
        content.unwrap().split_terminator("\n\n").map(|o| o.trim_end().into()).collect();
    objects.sort();
    objects
}

/// Output of `nft` in the namespace of this thread.
fn nft(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("nft")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program nft is needed: install the package nftables");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "nft {arguments:?}: {errors}\n{input}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `work` on a thread in a new network namespace, which ends with the thread.
fn in_namespace<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect(
                "network namespaces are not permitted: run the tests as root, or under `unshare -Urn`",
            );
            work()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
