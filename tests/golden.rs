//! Golden cases: a folder each, with a network file, the facts of a host, and the commands of the plan. A
//! reader learns the dataplane from them. `UPDATE_GOLDEN=1 cargo test --test golden` writes the current
//! commands; read the difference before you commit it.

mod recipes;
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use wg_portals::base::net::{Family, IfName};
use wg_portals::base::sorted::{SortedMap, SortedSet};
use wg_portals::commands::as_commands::Script;
use wg_portals::commands::plan::head;
use wg_portals::config::model::RESOLVERS;
use wg_portals::engine::load::Files;
use wg_portals::firewall::xtables::IptablesProgram;
use wg_portals::firewall::{Chain, ForeignChain, RestrictiveRules, TableFamily};
use wg_portals::nat::helper::{RelaySide, RelayedLink};
use wg_portals::plan::{bridged, plan, relayed_links};
use wg_portals::services;
use wg_portals::site::facts::{Facts, HostFirewalls, LinkSort, Master, Tie};
use wg_portals::site::{Exit, ExitChoices, Site};
use wg_portals::state::State;
use wg_portals::state::diff::diff;
use wg_portals::system::child::THIS_PROGRAM;

/// Firewall of a case's host.
#[derive(Clone, Copy, PartialEq)]
enum Firewall {
    Nftables,
    Iptables,
}

#[test]
fn every_case_gives_the_commands_in_its_folder() {
    let mut wrong = Vec::new();
    for (case, facts) in cases() {
        for (firewall, ending) in [(Firewall::Nftables, ".sh"), (Firewall::Iptables, ".iptables.sh")] {
            let expected = PathBuf::from(facts.to_string_lossy().replace(".facts.toml", ending));
            let made = commands(&case, &facts, firewall);
            assert_eq!(with_an_option_twice(&made), None, "{}", expected.display());
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                fs::write(&expected, &made).unwrap();
            } else if fs::read_to_string(&expected).unwrap_or_default() != made {
                wrong.push(format!("{} should be:\n{made}", expected.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns a line that has one of these options twice: the programs of iptables refuse it.
fn with_an_option_twice(commands: &str) -> Option<&str> {
    commands.lines().filter(|line| line.starts_with("-A ")).find(|line| {
        [" -i ", " -o ", " -s ", " -d ", " -p ", " -j "].iter().any(|option| line.matches(option).count() > 1)
    })
}

#[test]
fn the_counted_programs_are_the_planned_ones() {
    let mut seen = 0;
    for (case, facts) in cases() {
        let (_, site) = site(&case, &facts, Firewall::Nftables);
        let mut planned = services::plan(&site, Path::new("/run/portals"));
        // The pages are shown by this program itself.
        planned.retain(|service| service.program.name != THIS_PROGRAM);
        let mut counted = 0;
        for (program, number) in services::programs(&site) {
            let of_program = planned.iter().filter(|service| service.program == program).count();
            assert_eq!(number, of_program, "{} in {}", program.name, facts.display());
            counted += number;
        }
        assert_eq!(counted, planned.len());
        seen += counted;
    }
    assert!(seen > 0);
}

/// Folder of each case, and the facts of each of its hosts.
fn cases() -> Vec<(PathBuf, PathBuf)> {
    let is_facts = |path: &PathBuf| path.to_string_lossy().ends_with(".facts.toml");
    let hosts =
        |case: PathBuf| entries(&case).into_iter().filter(is_facts).map(move |facts| (case.clone(), facts));
    entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")).into_iter().flat_map(hosts).collect()
}

/// A provider's resolvers answer only its own customers.
#[test]
fn a_portal_that_moves_asks_the_resolvers_of_its_new_exit() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/providers");
    let (_, mut site) = site(&case, &case.join("nyc.facts.toml"), Firewall::Nftables);
    let asked = |site: &Site| site.portals[0].resolvers.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(asked(&site), ["10.2.0.1"]);
    let [swiss, paris] = [0, 1].map(|index| vec![("guest".to_owned(), site.portals[0].exits[index].clone())]);
    site.choose(&paris);
    assert_eq!(asked(&site), RESOLVERS.map(|resolver| resolver.to_string()));
    site.choose(&swiss);
    assert_eq!(asked(&site), ["10.2.0.1"]);
}

/// A new chain in the file changes the tables of the chains after it.
#[test]
fn a_chain_in_use_stays_chosen_when_its_table_changes() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chain");
    let (_, site) = site(&case, &case.join("nyc.facts.toml"), Firewall::Nftables);
    let tv = site.portals.iter().find(|portal| portal.name == "tv").unwrap();
    let last = tv.exits.last().unwrap();
    let mut before = last.clone();
    let Exit::Tunnel { table, .. } = &mut before else { panic!("{last}") };
    table.0 += 1;
    assert_eq!(tv.chosen(&vec![("tv".to_owned(), before)]), last);
    assert_eq!(tv.chosen(&vec![("guest".to_owned(), last.clone())]), &tv.exits[0]);
}

/// A resolver of a linked site gets only addresses that it can reach: an untranslated one would lead into the
/// home of the device that asks.
#[test]
fn answers_with_names_of_a_home_are_translated() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/same-lan");
    let configurations = |name: &str| {
        let (_, site) = site(&case, &case.join(format!("{name}.facts.toml")), Firewall::Nftables);
        let services = services::plan(&site, Path::new("/run/portals"));
        let content =
            |service: &services::Service| String::from_utf8(service.files[0].content.to_vec()).unwrap();
        services.iter().map(|service| (service.name.clone(), content(service))).collect::<Vec<_>>()
    };
    let [(name, text)] = &configurations("paris")[..] else { panic!("one service") };
    assert_eq!(name, "home-names");
    assert_eq!(
        text,
        "listen-address=10.77.2.1\nbind-dynamic\nport=5053\nno-resolv\nno-poll\nno-hosts\npid-file=\n\
         log-facility=-\ncache-size=0\nserver=/paris.portals.internal/192.168.1.2\n\
         alias=10.0.0.0-10.76.255.255,240.0.0.0,255.0.0.0\n\
         alias=10.78.0.0-10.255.255.255,240.0.0.0,255.0.0.0\n\
         alias=169.254.0.0-169.254.255.255,240.0.0.0,255.0.0.0\n\
         alias=172.16.0.0-172.16.4.8,240.0.0.0,255.0.0.0\n\
         alias=172.16.4.10-172.31.255.255,240.0.0.0,255.0.0.0\n\
         alias=192.168.0.0-192.168.0.255,240.0.0.0,255.0.0.0\n\
         alias=192.168.2.0-192.168.2.255,240.0.0.0,255.0.0.0\n\
         alias=192.168.4.0-192.168.255.255,240.0.0.0,255.0.0.0\n\
         alias=192.168.1.0-192.168.1.255,10.78.2.0,255.255.255.0\n\
         alias=172.16.4.9-172.16.4.9,10.79.2.9,255.255.255.255\n"
    );
    let guests = configurations("nyc").into_iter().find(|(name, _)| name == "dnsmasq-guest").unwrap().1;
    let of_homes = "local=/portals.internal/\nserver=/nyc.portals.internal/192.168.1.1\n\
                    server=/paris.portals.internal/10.77.2.1#5053@10.77.1.65\n";
    assert!(guests.contains(of_homes), "{guests}");
}

/// Notes or errors for the first site of a golden case on a slightly different host.
fn told(change: impl FnOnce(&mut Facts)) -> Result<Vec<String>, String> {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/one-way");
    let network = support::network(&fs::read_to_string(case.join("network.toml")).unwrap());
    let (mut facts, resolved) = support::facts(&fs::read_to_string(case.join("nyc.facts.toml")).unwrap());
    facts.interfaces = support::entrances(&network, "nyc");
    change(&mut facts);
    let view = support::files(&network, "nyc", None).view(&facts, &resolved);
    view.map(|site| site.notes).map_err(|errors| errors.to_string())
}

#[test]
fn a_network_of_the_host_is_not_in_the_subnet_unless_portals_made_it() {
    let with = |network: &str| told(|facts| _ = facts.local.insert(network.parse().unwrap()));
    let refused = "`subnet` is 10.77.0.0/16, but 10.77.1.0/24, a part of it, is already connected to this \
                   router and would be cut off: \
                   choose a private network that no site uses yet, and write it into the files of all sites";
    assert_eq!(with("10.77.1.0/24"), Err(refused.to_owned()));
    // Neither the name of the interface nor an address of a former file matters.
    assert_eq!(with("10.77.1.64/26"), Ok(Vec::new()));
    let given = told(|facts| {
        facts.local.insert("10.77.9.0/24".parse().unwrap());
        facts.given.insert(("eth1".parse().unwrap(), "10.77.9.0/24".parse().unwrap()));
    });
    assert_eq!(given, Ok(Vec::new()));
}

#[test]
fn a_network_of_the_host_that_a_peer_shares_is_refused_with_the_line_to_write() {
    let text = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/linked-for-access/network.toml"),
    );
    let network = support::network(&text.unwrap());
    let told = |local: &str| {
        let facts = Facts { local: [local.parse().unwrap()].into(), ..Facts::default() };
        let facts = Facts { filters: HostFirewalls { nftables: true, ..HostFirewalls::default() }, ..facts };
        let view = support::files(&network, "nyc", None).view(&facts, &SortedMap::new());
        view.map(drop).map_err(|errors| errors.to_string())
    };
    assert_eq!(told("192.168.1.0/24"), Ok(()));
    let refused = "site `oslo` has the network 192.168.3.0/24, but 192.168.0.0/16 is already connected to \
                   this router: write `lan = [\"192.168.3.0/24 as 10.78.3.0/24\"]` at site `oslo`, in the \
                   files of all sites";
    assert_eq!(told("192.168.0.0/16"), Err(refused.to_owned()));
    let taken = "site `oslo` has the network 10.77.3.0/24, but 10.77.3.0/24 is already connected to this \
                 router: change `subnet`, or the `address` of the portal there, or renumber this network";
    assert!(told("10.77.3.0/24").unwrap_err().starts_with(taken));
}

/// Tests that portals opens no way on a bridge by which packets to the internet might leave.
#[test]
fn a_bridge_with_devices_lets_packets_stay_on_it_unless_it_is_an_uplink() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/device");
    let network = support::network(&fs::read_to_string(case.join("network.toml")).unwrap());
    let ways = |lan: &str, change: fn(&mut Facts)| {
        let (mut facts, resolved) = support::facts(&fs::read_to_string(case.join("nyc.facts.toml")).unwrap());
        let bridge: IfName = "br-lan".parse().unwrap();
        let master = Master { interface: bridge.clone(), sort: LinkSort::Bridge, holds_uplink: false };
        facts.ties.insert("eth1".parse().unwrap(), Tie { master: Some(master), ..Tie::default() });
        facts.behind.insert(bridge, [lan.parse().unwrap()].into());
        change(&mut facts);
        bridged(&support::files(&network, "nyc", None).view(&facts, &resolved).unwrap()).len()
    };
    assert_eq!(ways("192.168.1.0/24", |_| {}), 1);
    assert_eq!(ways("192.168.7.0/24", |_| {}), 0, "no device is there");
    assert_eq!(ways("192.168.1.0/24", |facts| facts.uplink6 = "br-lan".parse().ok()), 0);
    assert_eq!(ways("192.168.1.0/24", |facts| facts.uplink = None), 0);
    let one_arm = |facts: &mut Facts| facts.uplink.as_mut().unwrap().interface = "br-lan".parse().unwrap();
    assert_eq!(ways("192.168.1.0/24", one_arm), 0);
}

#[test]
fn a_network_of_the_host_cannot_stand_for_another_one() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/same-lan/network.toml");
    let network = support::network(&fs::read_to_string(case).unwrap());
    let filters = HostFirewalls { nftables: true, ..HostFirewalls::default() };
    let facts = Facts { local: ["10.78.2.64/26".parse().unwrap()].into(), filters, ..Facts::default() };
    let view = support::files(&network, "paris", None).view(&facts, &SortedMap::new());
    let refused = "`lan` shows 192.168.1.0/24 as 10.78.2.0/24, but 10.78.2.64/26 is already connected to \
                   this router: write `lan = [\"192.168.1.0/24 as 10.80.2.0/24\", \"192.168.3.0/24\", \
                   \"172.16.4.9 as 10.79.2.9\"]`";
    assert_eq!(view.map(drop).map_err(|errors| errors.to_string()), Err(refused.to_owned()));
}

#[test]
fn devices_that_were_behind_an_entrance_before_are_noted() {
    let behind = |network: &str| {
        let networks = [network, "10.77.1.64/26"].map(|network| network.parse().unwrap());
        told(|facts| facts.behind.insert("eth1".parse().unwrap(), networks.into()))
    };
    let note = "portal `guest`: the devices of 192.168.1.0/24, behind eth1, will leave at paris";
    assert_eq!(behind("192.168.1.0/24"), Ok(vec![note.to_owned()]));
    assert_eq!(behind("10.77.1.64/26"), Ok(Vec::new()));
}

/// Script from a bare host to the plan of the site that the facts are named for.
fn commands(case: &Path, facts: &Path, firewall: Firewall) -> String {
    let (files, site) = site(case, facts, firewall);
    Script::new(&files, &site).write(&diff(&plan(&site), &State::default()))
}

/// Site that the facts are named for, and its files.
fn site(case: &Path, facts: &Path, firewall: Firewall) -> (Files, Site) {
    let network = support::network(&fs::read_to_string(case.join("network.toml")).unwrap());
    let name = facts.file_name().unwrap().to_str().unwrap().trim_end_matches(".facts.toml");
    let secret =
        fs::read_to_string(case.join("network.secret")).ok().map(|text| text.trim().parse().unwrap());
    let text = fs::read_to_string(facts).unwrap();
    let (mut facts, resolved) = support::facts(&text);
    facts.interfaces = support::entrances(&network, name);
    if facts.ipv6 {
        facts.can_be_deaf = facts.interfaces.keys().cloned().collect();
    }
    facts.radios = support::radios(&network, name);
    let own_keys = DeTable::parse(&text).expect("facts are TOML").into_inner();
    if firewall == Firewall::Iptables {
        facts.filters = HostFirewalls { legacy: Some(IptablesProgram::Plain), ..HostFirewalls::default() };
    }
    if own_keys.contains_key("refuses") {
        facts.filters.barriers = barriers(firewall);
    }
    let mut files = support::files(&network, name, secret);
    files.providers = support::providers(&network, name, |config| fs::read(case.join(config)).unwrap());
    let view = files.view(&facts, &resolved);
    let mut site = view.unwrap_or_else(|errors| panic!("{}: {errors}", case.display()));
    site.choose(&choices(&text, &site));
    site.narrow(&support::pairs(own_keys.get("widths").map(toml::Spanned::get_ref)));
    let relayed = own_keys.get("relayed").and_then(|links| links.get_ref().as_array()).into_iter().flatten();
    site.nat.relayed = relayed.map(|link| relayed_link(link.get_ref().as_str().unwrap())).collect();
    (files, site)
}

/// Chains of other programs that refuse unknown packets.
fn barriers(firewall: Firewall) -> SortedSet<(RestrictiveRules, Chain)> {
    let mut barriers = SortedSet::new();
    for (name, chain) in [("forward", Chain::Forward), ("input", Chain::Input)] {
        let (family, table, name) = (TableFamily::Inet, "fw4".to_owned(), name.to_owned());
        match firewall {
            Firewall::Nftables => {
                let foreign = ForeignChain { family, table, name };
                barriers.insert((RestrictiveRules::Nftables(foreign), chain));
            }
            Firewall::Iptables => barriers.extend(
                [Family::V4, Family::V6]
                    .map(|family| (RestrictiveRules::Iptables(IptablesProgram::Plain, family), chain)),
            ),
        }
    }
    barriers
}

/// Relayed link from a text: the source of each side, and the address of this site that it sends to.
fn relayed_link(text: &str) -> RelayedLink {
    let sides: Vec<RelaySide> = text
        .split(", ")
        .map(|side| {
            let (source, local) = side.split_once(" > ").expect("both ends of a side");
            RelaySide { source: source.parse().unwrap(), local: local.parse().unwrap() }
        })
        .collect();
    RelayedLink { sides: sides.try_into().expect("two sides") }
}

#[test]
fn the_head_of_a_plan_names_portals_phones_sites_and_ports() {
    let shown = |case: &str, own: &str, uplink: &str, lan: &str| {
        let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(case);
        let (files, _) = site(&case, &case.join(format!("{own}.facts.toml")), Firewall::Nftables);
        let mut network = files.network;
        for portal in &mut network.sites.get_mut(own).unwrap().portals {
            portal.address = portal.address.or(Some(lan.parse().unwrap()).filter(|_| portal.name == "guest"));
        }
        let (mut facts, resolved) =
            support::facts(&fs::read_to_string(case.join(format!("{own}.facts.toml"))).unwrap());
        facts.interfaces = support::entrances(&network, own);
        facts.uplink.as_mut().unwrap().addresses = [uplink.parse().unwrap()].into();
        let mut files = support::files(&network, own, None);
        files.providers = support::providers(&network, own, |config| fs::read(case.join(config)).unwrap());
        head(&files.view(&facts, &resolved).unwrap())
    };
    let of_nyc = "guest: eth1 → oslo via paris, else oslo, else paris, DHCP 10.77.1.66–126\n\
                  cinema: eth2 → rome via paris, DHCP 10.77.1.130–190\n\
                  tv: from 192.168.1.50/32 → paris, else mullvad via paris via oslo, else oslo via paris\n\
                  box: mac 02:00:00:00:00:01 → oslo via paris\n\
                  own: self → oslo via paris\nmike: phone → oslo via paris\n";
    assert_eq!(shown("chain", "nyc", "198.51.100.2/24", "10.77.1.65/26"), format!("{of_nyc}\n"));
    // The endpoint of a site with private addresses is that of the router in front of it.
    let forward =
        "forward UDP 51820, 51822-51823, 52075, 52081-52082 to this box, in the router in front of it";
    assert_eq!(shown("chain", "nyc", "192.168.5.2/24", "10.77.1.65/26"), format!("{of_nyc}{forward}\n\n"));
    assert_eq!(shown("chain", "oslo", "192.0.2.5/24", "10.77.3.65/26"), "exit for nyc, paris\n\n");
    let wide = shown("one-way", "nyc", "198.51.100.2/24", "10.77.250.254/22");
    assert_eq!(wide, "guest: eth1 → paris, DHCP 10.77.248.1–10.77.251.254\n\n");
}

/// The plan with relayed links shows those links, and no others.
#[test]
fn relayed_links_are_read_from_the_observed_state() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/relayed");
    for firewall in [Firewall::Nftables, Firewall::Iptables] {
        let (_, mut site) = site(&case, &case.join("cloud.facts.toml"), firewall);
        let have = plan(&site);
        assert_eq!(site.nat.relayed.len(), 3);
        assert_eq!(relayed_links(&site, &have), site.nat.relayed);
        assert_eq!(relayed_links(&site, &State::default()), []);

        // Two links cannot have one source, and each side of a link has the family of the other side.
        let [first, second, v6] = site.nat.relayed[..] else { panic!("three links") };
        let doubled = RelayedLink { sides: [first.sides[1], second.sides[0]] };
        let mixed = RelayedLink {
            sides: [RelaySide { source: v6.sides[0].source, ..first.sides[0] }, second.sides[1]],
        };
        site.nat.relayed = vec![first, doubled, mixed, second, v6];
        assert_eq!(plan(&site), have);

        // The file does not relay links at these ports any more, or relays none at all.
        let helper = site.nat.helper.as_mut().unwrap();
        helper.ports.retain(|port| *port != 443);
        assert_eq!(relayed_links(&site, &have), [first]);
        for link in &mut site.nat.helper.as_mut().unwrap().links {
            link.relay_port = None;
        }
        assert_eq!(relayed_links(&site, &have), []);
        site.nat.helper = None;
        assert_eq!(relayed_links(&site, &have), []);
    }
}

/// Exits that portals use, by the table `exits` of the host facts: names of exits by names of portals.
fn choices(text: &str, site: &Site) -> ExitChoices {
    let table = DeTable::parse(text).expect("facts are TOML").into_inner();
    let exits = table.get("exits").and_then(|value| value.get_ref().as_table()).into_iter().flatten();
    exits
        .map(|(name, exit)| {
            let exit = exit.get_ref().as_str().unwrap();
            let portal = site.portals.iter().find(|portal| portal.name == *name.get_ref()).unwrap();
            let choice = portal.all_choices().find(|choice| choice.to_string() == exit).unwrap();
            (portal.name.clone(), choice.clone())
        })
        .collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}
