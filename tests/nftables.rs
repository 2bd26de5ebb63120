//! Firewalls in the real kernel, against the real `nft` program. Each test works in network namespaces of its own, which
//! takes root: `sudo`, or `unshare -Urn` for a root of one's own.

#[path = "support/firewalls.rs"]
mod firewalls;

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use proptest::prelude::*;
use wg_portals::firewall::{
    Action, Chain, Condition, Devices, Firewall, Interfaces, Networks, Places, Rule, Set, SetName, Ways,
};
use wg_portals::firewall_text::{ports, to_text};
use wg_portals::kernel::nftables::Nftables;
use wg_portals::net::{Cidr, Family, IfName, Mac, Mark};
use wg_portals::sorted::SortedSet;

/// A table of somebody else's, with names like ours.
const NEIGHBOUR: &str = "table inet other {
    set uplinks { type ifname; elements = { \"eth0\" }; }
    chain forward { type filter hook forward priority 0; policy accept; iifname @uplinks accept; }
}";

const MARK: Mark = Mark { value: 0x8100_0000, mask: 0x8f00_0000 };
const DEVICE: Mac = Mac([0xaa, 0xbb, 0xcc, 0, 0xe, 0xf]);

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

/// What `nft` lists of `a` and of `b`, after all the ways there are between nothing, `a` and `b`.
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
    let (rules, expected): (Vec<Rule>, Vec<&str>) = cases.into_iter().unzip();
    let firewall = Firewall { sets: sets(), chains: [(Chain::Forward, rules)].into() };
    let listing = in_namespace(|| {
        change(None, Some(&firewall));
        nft(&["list", "chain", "inet", "portals", "forward"], "")
    });
    // nft 1.1 says it in these words.
    let listing = listing.replace("tcp flags & (syn | rst) == syn", "tcp flags syn / syn,rst");
    let listed: Vec<&str> = listing.lines().filter_map(|line| line.strip_prefix("\t\t")).collect();
    assert_eq!(listed[0], "type filter hook forward priority filter; policy accept;");
    assert_eq!(listed[1..], expected);
}

fn one_rule_of_each_sort() -> Vec<(Rule, &'static str)> {
    let one = |name: &str| Interfaces::One(interface(name));
    let many = || Interfaces::In(SetName("inside".into()));
    let network = |text: &str| Networks::One(text.parse().unwrap());
    let set4 = || Networks::In(Family::V4, SetName("lans".into()));
    let set6 = || Networks::In(Family::V6, SetName("lans6".into()));
    let places = |length| Places { set: SetName("places".into()), length };
    let ways = || Ways { set: SetName("ways".into()), mask: 0xef00_0000 };
    let accept = |condition, text| (Rule { conditions: vec![condition], action: Action::Accept }, text);
    let act = |action, text| (Rule { conditions: vec![], action }, text);
    vec![
        accept(Condition::Family(Family::V4), "meta nfproto ipv4 accept"),
        accept(Condition::Family(Family::V6), "meta nfproto ipv6 accept"),
        accept(Condition::Incoming(one("eth1")), "iifname \"eth1\" accept"),
        accept(Condition::Incoming(many()), "iifname @inside accept"),
        accept(Condition::Outgoing(one("eth1")), "oifname \"eth1\" accept"),
        accept(Condition::Outgoing(many()), "oifname @inside accept"),
        accept(Condition::NotOutgoing(one("eth1")), "oifname != \"eth1\" accept"),
        accept(Condition::NotOutgoing(many()), "oifname != @inside accept"),
        accept(Condition::Path(SetName("paths".into())), "iifname . oifname @paths accept"),
        accept(Condition::NotIncoming(one("eth1")), "iifname != \"eth1\" accept"),
        accept(Condition::NotIncoming(many()), "iifname != @inside accept"),
        accept(Condition::NotFrom(places(26)), "iifname . ip saddr & 255.255.255.192 != @places accept"),
        accept(Condition::NotFrom(places(24)), "iifname . ip saddr & 255.255.255.0 != @places accept"),
        accept(Condition::NotTo(places(32)), "iifname . ip daddr != @places accept"),
        accept(Condition::NotReturning(ways()), "iifname . ct mark & 0xef000000 != @ways accept"),
        accept(Condition::Departing(ways()), "oifname . ct mark & 0xef000000 @ways accept"),
        accept(Condition::Source(network("10.0.0.0/8")), "ip saddr 10.0.0.0/8 accept"),
        accept(Condition::Source(network("10.77.1.64/26")), "ip saddr 10.77.1.64/26 accept"),
        accept(Condition::Source(network("10.77.1.1/32")), "ip saddr 10.77.1.1 accept"),
        accept(Condition::Source(network("0.0.0.0/0")), "ip saddr 0.0.0.0/0 accept"),
        accept(Condition::Source(set4()), "ip saddr @lans accept"),
        accept(Condition::Source(network("fd77::/48")), "ip6 saddr fd77::/48 accept"),
        accept(Condition::Source(network("fd77::1/128")), "ip6 saddr fd77::1 accept"),
        accept(Condition::Source(set6()), "ip6 saddr @lans6 accept"),
        accept(Condition::NotSource(network("10.77.0.0/16")), "ip saddr != 10.77.0.0/16 accept"),
        accept(Condition::NotSource(set6()), "ip6 saddr != @lans6 accept"),
        accept(Condition::Destination(network("10.77.0.0/17")), "ip daddr 10.77.0.0/17 accept"),
        accept(Condition::Destination(network("fd77::/57")), "ip6 daddr fd77::/57 accept"),
        accept(Condition::Destination(set4()), "ip daddr @lans accept"),
        accept(Condition::NotDestination(network("fd77::/48")), "ip6 daddr != fd77::/48 accept"),
        accept(Condition::NotDestination(set4()), "ip daddr != @lans accept"),
        accept(Condition::Established, "ct state established,related accept"),
        accept(Condition::Opening, "ct direction original accept"),
        accept(Condition::Replying, "ct direction reply accept"),
        accept(Condition::ConnectionNotMarked(MARK), "ct mark & 0x8f000000 != 0x81000000 accept"),
        accept(
            Condition::NotMarked(Mark { value: 0x4d00, mask: 0xff00 }),
            "meta mark & 0x0000ff00 != 0x00004d00 accept",
        ),
        accept(Condition::Marked(MARK), "meta mark & 0x8f000000 == 0x81000000 accept"),
        accept(Condition::ConnectionMarked(MARK), "ct mark & 0x8f000000 == 0x81000000 accept"),
        accept(Condition::Device(Devices::One(DEVICE)), "ether saddr aa:bb:cc:00:0e:0f accept"),
        accept(Condition::Device(Devices::In(SetName("devices".into()))), "ether saddr @devices accept"),
        accept(Condition::Icmp(Family::V4), "meta l4proto icmp accept"),
        accept(Condition::Icmp(Family::V6), "meta l4proto ipv6-icmp accept"),
        accept(Condition::UdpPort(67, 68), "udp dport 67-68 accept"),
        accept(Condition::UdpPort(53, 53), "udp dport 53 accept"),
        accept(Condition::TcpPort(443, 443), "tcp dport 443 accept"),
        accept(Condition::TcpPort(8000, 8080), "tcp dport 8000-8080 accept"),
        accept(Condition::TcpSyn, "tcp flags syn / syn,rst accept"),
        act(Action::Accept, "accept"),
        act(Action::Drop, "drop"),
        act(Action::Reject, "reject with icmpx admin-prohibited"),
        act(Action::SetMark(MARK), "meta mark set meta mark & 0xf1ffffff | 0x81000000"),
        act(Action::SetConnectionMark(MARK), "ct mark set ct mark & 0xf1ffffff | 0x81000000"),
        act(Action::ClampMss(1240), "tcp option maxseg size set 1240"),
    ]
}

#[test]
fn translations_are_listed_where_they_may_stand() {
    let masquerade = Rule {
        conditions: vec![
            Condition::Source(Networks::One("10.77.0.0/16".parse().unwrap())),
            Condition::Outgoing(Interfaces::One(interface("eth0"))),
        ],
        action: Action::Masquerade,
    };
    let redirect = Rule {
        conditions: vec![
            Condition::Destination(Networks::One("10.77.1.65/32".parse().unwrap())),
            Condition::UdpPort(53, 53),
        ],
        action: Action::Redirect(5053),
    };
    let divert = Rule {
        conditions: vec![
            Condition::Destination(Networks::One("192.168.1.1/32".parse().unwrap())),
            Condition::TcpPort(53, 53),
        ],
        action: Action::Divert("9.9.9.9".parse().unwrap()),
    };
    let send_as = Rule {
        conditions: vec![
            Condition::Outgoing(Interfaces::One("to-swiss".parse().unwrap())),
            Condition::Family(Family::V4),
        ],
        action: Action::SendAs("10.8.0.2".parse().unwrap()),
    };
    let leaving = vec![masquerade, send_as];
    let chains = [(Chain::Prerouting, vec![redirect, divert]), (Chain::Postrouting, leaving)].into();
    let firewall = Firewall { chains, ..Firewall::default() };
    let listing = in_namespace(|| {
        change(None, Some(&firewall));
        assert_eq!(read().as_ref(), Some(&firewall), "written and read by us");
        change(Some(&firewall), None);
        nft(&["-f", "-"], &to_text(None, Some(&firewall)));
        assert_eq!(read().as_ref(), Some(&firewall), "written by nft, read by us");
        nft(&["list", "ruleset"], "")
    });
    let expected = "table inet portals {
\tchain prerouting {
\t\ttype nat hook prerouting priority dstnat; policy accept;
\t\tip daddr 10.77.1.65 udp dport 53 redirect to :5053
\t\tip daddr 192.168.1.1 tcp dport 53 dnat ip to 9.9.9.9
\t}

\tchain postrouting {
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\tip saddr 10.77.0.0/16 oifname \"eth0\" masquerade
\t\toifname \"to-swiss\" meta nfproto ipv4 snat ip to 10.8.0.2
\t}
}
";
    assert_eq!(listing, expected);
}

#[test]
fn edits_by_another_hand_are_seen_and_repaired() {
    let in_chains = [
        "add rule inet portals forward counter",
        "add rule inet portals forward iifname \"eth*\" accept",
        "add rule inet portals forward ct state new accept",
        "add rule inet portals forward ip saddr & 255.0.255.0 == 10.0.1.0 accept",
        "add rule inet portals forward meta mark set 1",
        "flush chain inet portals forward",
    ];
    let elsewhere = [
        // With it comes a set without a name.
        "insert rule inet portals forward ip saddr { 1.1.1.1, 2.2.2.2 } drop",
        "flush ruleset; add table inet portals",
        "add chain inet portals mine; add rule inet portals mine iifname @inside drop",
        "flush chain inet portals forward; delete chain inet portals forward; \
         add chain inet portals forward { type filter hook forward priority 7; policy accept; }",
        "add chain inet portals forward { policy drop; }",
        "add set inet portals mine { type inet_service; }",
        "add set inet portals more { type ipv4_addr; flags interval; elements = { 1.2.3.4-1.2.3.7, 1.2.3.9-1.2.3.12 }; }",
        "flush set inet portals inside",
        "add table inet portals { flags dormant; }",
    ];
    let rules = one_rule_of_each_sort().into_iter().map(|(rule, _)| rule).collect();
    let wanted = Firewall { sets: sets(), chains: [(Chain::Forward, rules)].into() };
    let without_rules = Firewall { sets: sets(), chains: [(Chain::Forward, Vec::new())].into() };
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
fn an_edit_that_could_be_ours_is_repaired_in_place() {
    in_namespace(|| {
        let rule = Rule { conditions: vec![], action: Action::Accept };
        let wanted = Firewall { sets: sets(), chains: [(Chain::Input, vec![rule])].into() };
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
fn a_refused_part_leaves_all_as_it_was() {
    in_namespace(|| {
        let accept = |conditions| Rule { conditions, action: Action::Accept };
        let from = Firewall { sets: sets(), chains: [(Chain::Input, vec![accept(vec![])])].into() };
        change(None, Some(&from));
        let before = our_listing();

        let nowhere = Condition::Incoming(Interfaces::In(SetName("nowhere".into())));
        let bad = vec![accept(vec![Condition::Opening]), accept(vec![nowhere])];
        let to = Firewall { chains: [(Chain::Forward, bad)].into(), ..Firewall::default() };
        let error = Nftables::find().unwrap().unwrap().change(Some(&from), Some(&to)).unwrap_err();
        assert_eq!(error.to_string(), "cannot add rule 2 of chain forward: No such file or directory");
        assert_eq!(our_listing(), before);

        let error = Nftables::find().unwrap().unwrap().change(None, Some(&from)).unwrap_err();
        assert_eq!(error.to_string(), "cannot add set devices: File exists");
        assert_eq!(our_listing(), before);
    });
}

/// Nobody hears of it: others' ruleset, and the number of its generation, are as they were.
#[test]
fn what_the_kernel_can_do_is_asked_for_without_doing_it() {
    in_namespace(|| {
        nft(&["-f", "-"], NEIGHBOUR);
        let rule = Rule { conditions: vec![], action: Action::Accept };
        change(None, Some(&Firewall { sets: sets(), chains: [(Chain::Input, vec![rule])].into() }));
        let before = (nft(&["list", "ruleset"], ""), generation());
        let mut nftables = Nftables::find().unwrap().unwrap();
        let none: [&str; 0] = [];
        assert_eq!(nftables.lacks().unwrap(), none);
        assert_eq!(nftables.lacks().unwrap(), none);
        assert_eq!((nft(&["list", "ruleset"], ""), generation()), before);
    });
}

/// The kernel's number of this state of its ruleset: it is in the header of each answer.
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

/// Many more than fit into one message, or into the usual send buffer.
#[test]
fn a_set_may_be_large() {
    // Others than root get no larger buffers than the kernel gives everybody (net.core.wmem_max).
    let is_root = std::fs::read_to_string("/proc/self/uid_map").unwrap().contains("4294967295");
    let count: u32 = if is_root { 20_000 } else { 2_000 };
    let networks = (0..count).map(|n| Cidr::new(std::net::Ipv4Addr::from_bits(n << 9).into(), 24).unwrap());
    let lans = Set::Networks(Family::V4, networks.collect());
    let firewall = Firewall { sets: [(SetName("lans".into()), lans)].into(), ..Firewall::default() };
    in_namespace(|| change(None, Some(&firewall)));
}

#[test]
fn sixty_four_tunnels_take_milliseconds() {
    let (all, fewer) = (tunnels(64), tunnels(63));
    in_namespace(|| {
        let mut nftables = Nftables::find().unwrap().unwrap();
        let added = time(|| nftables.change(None, Some(&all)).unwrap());
        let looked = time(|| assert_eq!(nftables.read().unwrap().as_ref(), Some(&all)));
        let edited = time(|| nftables.change(Some(&all), Some(&fewer)).unwrap());
        let removed = time(|| nftables.change(Some(&fewer), None).unwrap());
        println!(
            "64 tunnels: added in {added:?}, read in {looked:?}, one less in {edited:?}, removed in {removed:?}"
        );
        assert!(added + looked + edited < Duration::from_secs(1));
    });
}

/// What a site with this many exits has, roughly.
fn tunnels(count: usize) -> Firewall {
    let tunnels = (0..count).map(|n| interface(&format!("to-site{n}")));
    let paths = (0..count).map(|n| (interface(&format!("eth{n}")), interface(&format!("to-site{n}"))));
    let mut rules: Vec<Rule> = one_rule_of_each_sort().into_iter().take(19).map(|(rule, _)| rule).collect();
    rules.push(Rule { conditions: vec![], action: Action::Reject });
    let mut sets = sets();
    sets.insert(SetName("inside".into()), Set::Interfaces(tunnels.collect()));
    sets.insert(SetName("paths".into()), Set::Paths(paths.collect()));
    Firewall { sets, chains: [(Chain::Forward, rules)].into() }
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn sets() -> wg_portals::sorted::SortedMap<SetName, Set> {
    let networks =
        |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<SortedSet<Cidr>>();
    let lans = networks(&["10.0.0.0/8", "11.0.0.0/8", "192.168.1.50/32", "255.0.0.0/8"]);
    let lans6 = networks(&["fd77::/48", "ff00::/8"]);
    [
        ("inside", Set::Interfaces([interface("eth1"), interface("to-paris")].into())),
        ("devices", Set::Devices([DEVICE].into())),
        ("paths", Set::Paths([(interface("eth1"), interface("to-paris"))].into())),
        ("places", Set::Places([(interface("eth1"), Ipv4Addr::new(10, 77, 1, 64))].into())),
        ("ways", Set::Ways([(interface("to-paris"), 0x2300_0000)].into())),
        ("lans", Set::Networks(Family::V4, lans)),
        ("lans6", Set::Networks(Family::V6, lans6)),
    ]
    .map(|(name, set)| (SetName(name.into()), set))
    .into()
}

/// By netlink and by a script, closed ports are the same, and what another hand changed is seen.
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

fn interface(name: &str) -> IfName {
    name.parse().unwrap()
}

/// Changes the table, and sees to it that it reads back as wanted.
fn change(from: Option<&Firewall>, to: Option<&Firewall>) {
    let mut nftables = Nftables::find().unwrap().unwrap();
    nftables.change(from, to).unwrap_or_else(|error| panic!("{error}: {}", to_text(from, to)));
    assert_eq!(nftables.read().unwrap().as_ref(), to);
}

fn read() -> Option<Firewall> {
    Nftables::find().unwrap().unwrap().read().unwrap()
}

/// The sets and chains in our table as `nft` lists them, sorted: the kernel's order tells only when each was made.
fn our_listing() -> Vec<String> {
    let listing = nft(&["list", "table", "inet", "portals"], "");
    let content = listing.strip_prefix("table inet portals {\n").and_then(|rest| rest.strip_suffix("}\n"));
    let mut objects: Vec<String> =
        content.unwrap().split_terminator("\n\n").map(|o| o.trim_end().into()).collect();
    objects.sort();
    objects
}

/// Runs `nft` in the namespace of this thread.
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

/// Runs `work` on a thread in a network namespace of its own, which goes away with the thread.
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
