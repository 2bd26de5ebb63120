//! Properties of every network: both ends of a link agree, plans are deterministic, and steps lead there and
//! back.

mod behind_nat;
mod chains;
mod draft;
mod edits;
mod layout;
mod pairs;
#[path = "../support/mod.rs"]
mod support;

use draft::{HOME, NAMES, networks, texts};
use proptest::prelude::*;
use support::{entrances, facts, files, providers, radios};
use wg_portals::base::net::{Cidr, IfName, Secret, Table};
use wg_portals::base::sorted::{SortedMap, SortedSet};
use wg_portals::config::model::{ExitRef, Network};
use wg_portals::firewall::FirewallBackend;
use wg_portals::firewall::xtables::IptablesProgram;
use wg_portals::interop::phone;
use wg_portals::kernel::fake::FakeKernel;
use wg_portals::kernel::{Kernel, Outcome};
use wg_portals::plan::{plan, take_up_exits};
use wg_portals::site::{Exit, ExitChoices, Portal, SHARED_INTERFACE, Site};
use wg_portals::state::diff::diff;
use wg_portals::state::step::Step;
use wg_portals::state::{RouteTarget, RuleAction, Selector, State};

/// Firewalls that a host may have.
const BACKENDS: [FirewallBackend; 2] =
    [FirewallBackend::Nftables, FirewallBackend::Iptables(IptablesProgram::Plain)];

const FACTS: &str = r#"
uplink = "eth0"
addresses = ["203.0.113.9/24"]
uplink_networks = ["203.0.113.0/24"]
local = ["172.20.0.0/16", "fd99::/64"]
uplink6 = "eth0"
hears_advertisements = ["eth0"]
own = ["172.20.0.1", "203.0.113.9"]
flowtables = true
"#;

/// File of every provider: two tunnels may have the same address.
const PROVIDER: &str = "[Interface]
PrivateKey = 8Gp4NTUJAq3H2DgkpQT2HxJvkEN0OmEX0ApKNKpqkX4=
Address = 10.2.0.2/32, fd00::2/128
MTU = 1380
[Peer]
PublicKey = Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI=
AllowedIPs = 10.0.0.0/8, 172.16.0.0/12
Endpoint = 192.0.2.5:51820
[Peer]
PublicKey = zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk=
AllowedIPs = 198.18.0.0/15, 10.0.0.0/8, 2001:db8::/32
Endpoint = [2001:db8::1]:51820
";

fn view(network: &Network, name: &str) -> Site {
    let mut files = files(network, name, Some(Secret::new([9; 32])));
    files.providers = providers(network, name, |_| PROVIDER.into());
    let (mut facts, _) = facts(FACTS);
    facts.interfaces = entrances(network, name);
    facts.radios = radios(network, name);
    files.view(&facts, &SortedMap::new()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn views(network: &Network) -> SortedMap<&str, Site> {
    NAMES
        .into_iter()
        .filter(|name| network.sites.contains_key(*name))
        .map(|name| (name, view(network, name)))
        .collect()
}

/// A host with all interfaces that the drawn networks name.
fn host() -> FakeKernel {
    let mut host = FakeKernel::with_host((0..4).map(|number| format!("lan{number}").parse().unwrap()));
    let settings = [
        "net/ipv4/ip_forward",
        "net/ipv4/conf/all/send_redirects",
        "net/ipv6/conf/all/forwarding",
        "net/ipv6/conf/eth0/accept_ra",
    ];
    for key in settings {
        host.state.sysctls.insert(key.to_owned(), "1".to_owned());
    }
    host
}

/// Applies all steps, which must succeed.
fn carry_out(kernel: &mut FakeKernel, steps: &[Step]) {
    for (step, outcome) in steps.iter().zip(kernel.apply(steps)) {
        assert!(matches!(outcome, Outcome::Done), "{step:?}: {outcome:?}");
    }
}

/// A choice for each portal with several exits, selected by `number`.
fn choices(site: &Site, number: usize) -> ExitChoices {
    let several = site.portals.iter().filter(|portal| portal.can_fail_over());
    let choice = |(index, portal): (usize, &Portal)| {
        let all: Vec<&Exit> = portal.all_choices().collect();
        (portal.name.clone(), all[number.wrapping_add(index) % all.len()].clone())
    };
    several.enumerate().map(choice).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn homes_with_the_same_network_do_not_meet(network in networks()) {
        let homes: Vec<Cidr> = HOME.iter().map(|home| home.parse().unwrap()).collect();
        // Networks of providers' files are wider, and none of ours.
        let is_home = |network: &Cidr| {
            network.length() > 12 && homes.iter().any(|home| home.overlaps(*network))
        };
        for site in views(&network).values() {
            let state = plan(site);
            prop_assert!(!state.routes.iter().any(|route| is_home(&route.destination)));
            let peers = state.tunnels.values().flat_map(|tunnel| tunnel.peers.values());
            let allowed: Vec<Cidr> = peers.flat_map(|peer| peer.allowed_ips.iter().copied()).collect();
            prop_assert!(!allowed.iter().any(is_home));
            for (_, seen_as) in site.translations() {
                prop_assert!(!allowed.contains(&seen_as));
                let missed = state.routes.iter().filter(|route| route.destination == seen_as);
                let unreachable = missed.filter(|route| route.target == RouteTarget::Unreachable);
                prop_assert_eq!(unreachable.count(), usize::from(!site.tunnels.is_empty()));
            }
        }
    }

    #[test]
    fn allowed_ips_on_an_interface_overlap_only_for_chains(network in networks()) {
        let sources: SortedSet<Cidr> = chains::sources(&network).into_iter().map(|one| one.network).collect();
        for site in views(&network).values() {
            for tunnel in plan(site).tunnels.values() {
                let peers: Vec<_> = tunnel.peers.values().collect();
                for (index, one) in peers.iter().enumerate() {
                    for other in &peers[index + 1..] {
                        for a in &one.allowed_ips {
                            for b in other.allowed_ips.iter().filter(|b| a.overlaps(**b)) {
                                let narrower = if a.covers(*b) { b } else { a };
                                prop_assert!(a != b && sources.contains(narrower), "{a} {b}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn chains_lead_from_hop_to_hop_and_out_at_the_last_one(network in networks()) {
        chains::all_lead_out(&network, &views(&network));
    }

    #[test]
    fn both_ends_of_a_link_agree(network in networks()) {
        let views = views(&network);
        for (name, site) in &views {
            for (interface, peer_name, peer) in site.peers() {
                let Some(other) = views.get(peer_name.as_str()) else { continue };
                let link = other.peers().find(|(_, far_name, _)| *far_name == name);
                let (far_interface, _, back) = link.expect("the other end has the link");
                if let Some(endpoint) = &peer.endpoint {
                    prop_assert_eq!(endpoint.port, other.tunnels[far_interface].port);
                }
                let is_searched = site.nat.links.iter().any(|link| link.peer == *peer_name);
                let is_dialled = peer.endpoint.is_some() || back.endpoint.is_some();
                prop_assert!(is_searched || is_dialled, "one of them must dial, or a third site must help");
                prop_assert!(peer.preshared_key == back.preshared_key);
                prop_assert_eq!(peer.public_key, network.sites[peer_name].public_key);
                let (near, far) = (plan(site), plan(other));
                let allowed = &near.tunnels[interface].peers[&peer.public_key].allowed_ips;
                let leads_to_sites = |name: &IfName| {
                    other.tunnels.get(name).is_some_and(|tunnel| tunnel.provider.is_none())
                };
                let here = far.addresses.iter().filter(|(name, _)| name == far_interface);
                for (_, address) in here.filter(|(name, _)| leads_to_sites(name)) {
                    prop_assert!(allowed.iter().any(|network| network.contains(address.address)));
                }
            }
        }
    }

    #[test]
    fn traffic_of_a_phone_goes_to_its_exit_or_nowhere(network in networks()) {
        for (name, site) in &views(&network) {
            let plan = plan(site);
            for (phone_name, phone) in network.phones.iter().filter(|(_, phone)| phone.at == *name) {
                let address = wg_portals::config::phone_address(&network, phone);
                let address6 = wg_portals::config::phone_address6(&network, phone);
                let link = site.peers().find(|(_, peer, _)| *peer == phone_name);
                let (interface, _, peer) = link.expect("the site has a link to its phone");
                prop_assert_eq!(interface.as_str(), SHARED_INTERFACE);
                let allowed = &plan.tunnels[interface].peers[&peer.public_key].allowed_ips;
                let own: Vec<Cidr> = [address].into_iter().chain(address6).map(Cidr::host).collect();
                prop_assert_eq!(allowed.iter().copied().collect::<Vec<_>>(), own);
                let selects = |selector: &Selector| {
                    selector.from == Some(Cidr::host(address)) && selector.to.is_none()
                };
                let mut rules = plan.rules.iter().filter(|rule| selects(&rule.selector));
                let number = |exit: &str| exit.strip_prefix("vpn-").unwrap().parse::<u32>().unwrap();
                let table = match &phone.exit {
                    Some(ExitRef::Site(exit)) => 7700 + u32::from(network.sites[exit].id),
                    Some(ExitRef::Provider(exit)) => 7951 + number(exit),
                    Some(chain @ ExitRef::Chain(_)) => {
                        let name = chain.to_string();
                        let chain = site.chains.iter().find(|chain| chain.name == name);
                        chain.expect("the phone uses it").table.0
                    }
                    _ => {
                        prop_assert_eq!(rules.next(), None);
                        continue;
                    }
                };
                prop_assert_eq!(&rules.next().unwrap().action, &RuleAction::Lookup(Table(table)));
                prop_assert_eq!(&rules.next().unwrap().action, &RuleAction::Unreachable);
            }
        }
    }

    #[test]
    fn another_phone_changes_nothing_else(
        text in texts(),
        returns: bool,
        end in prop::sample::select(&["", "\n", "\n\n# mine", "  \n#\n"][..]),
    ) {
        let text = text.trim_end().to_owned() + end;
        let text = if returns { text.replace('\n', "\r\n") } else { text };
        let network = support::network(&text);
        let (at, site) = network.sites.iter().next().unwrap();
        let entry = phone::PhoneEntry {
            name: "lisa",
            id: phone::free_id(&network).unwrap(),
            at,
            exit: site.exits.first().map(String::as_str),
            dns: &[],
            public_key: wg_portals::base::keys::public_key(&support::private_key(7)),
        };
        let path = std::path::Path::new("network.toml");
        let (longer, with) = phone::add(path, &text, &entry).unwrap();
        prop_assert!(longer.starts_with(&text));
        let ending = if returns { "\r\n" } else { "\n" };
        prop_assert_eq!(longer.matches('\n').count(), longer.matches(ending).count());
        prop_assert_eq!(longer.contains('\r'), returns);
        let mut without = support::network(&longer);
        prop_assert_eq!(&without, &*with);
        without.phones.remove("lisa");
        prop_assert_eq!(without, network);
    }

    #[test]
    fn ports_of_a_site_differ(network in networks()) {
        for site in views(&network).values() {
            let ports: SortedSet<u16> = site.tunnels.values().map(|tunnel| tunnel.port).collect();
            prop_assert_eq!(ports.len(), site.tunnels.len());
        }
    }

    #[test]
    fn a_plan_is_deterministic(network in networks()) {
        for (name, site) in &views(&network) {
            prop_assert_eq!(plan(site), plan(&view(&network, name)));
        }
    }

    #[test]
    fn a_second_apply_finds_nothing_to_do(network in networks()) {
        for site in views(&network).values() {
            let want = plan(site);
            let mut kernel = host();
            carry_out(&mut kernel, &diff(&want, &State::default()));
            let have = kernel.observe(&want.scope()).unwrap();
            prop_assert_eq!(diff(&want, &have), vec![]);
        }
    }

    #[test]
    fn the_observed_state_shows_the_exits(network in networks(), number: usize) {
        for mut site in views(&network).into_values() {
            for firewall in BACKENDS {
                site.guard.firewall = firewall;
                let chosen = choices(&site, number);
                site.choose(&chosen);
                let have = plan(&site);
                prop_assert_eq!(take_up_exits(&mut site, &have), chosen);
                prop_assert_eq!(take_up_exits(&mut site, &State::default()), ExitChoices::new());
            }
        }
    }

    #[test]
    fn no_move_uses_the_uplink_in_between(network in networks(), from: usize, to: usize, iptables: bool) {
        for mut site in views(&network).into_values() {
            site.guard.firewall = BACKENDS[usize::from(iptables)];
            let (from, to) = (choices(&site, from), choices(&site, to));
            site.choose(&from);
            let mut kernel = host();
            carry_out(&mut kernel, &diff(&plan(&site), &State::default()));
            site.choose(&to);
            let want = plan(&site);
            let have = kernel.observe(&want.scope()).unwrap();
            let closed = |rules: &SortedSet<_>| {
                let closing = |rule: &&wg_portals::state::Rule| rule.closes();
                rules.iter().filter(closing).cloned().collect::<Vec<_>>()
            };
            let always_closed: Vec<_> =
                closed(&have.rules).into_iter().filter(|rule| want.rules.contains(rule)).collect();
            for step in diff(&want, &have) {
                carry_out(&mut kernel, &[step]);
                let now = kernel.observe(&want.scope()).unwrap();
                prop_assert!(always_closed.iter().all(|rule| now.rules.contains(rule)));
                for (portal, exit) in take_up_exits(&mut site, &now) {
                    let choice = (portal, exit);
                    let is_wanted = from.iter().chain(&to).any(|wanted| *wanted == choice);
                    prop_assert!(choice.1 != Exit::Direct || is_wanted);
                }
            }
        }
    }

    #[test]
    fn steps_lead_from_any_file_to_any_other_and_back(one in networks(), other in networks()) {
        let (first, second) = (plan(&view(&one, "nyc")), plan(&view(&other, "nyc")));
        let scope = first.scope().union(second.scope());
        let mut kernel = host();
        carry_out(&mut kernel, &diff(&first, &State::default()));
        let before = kernel.observe(&scope).unwrap();
        let steps = diff(&second, &before);
        carry_out(&mut kernel, &steps);
        prop_assert_eq!(diff(&second, &kernel.observe(&scope).unwrap()), vec![]);
        let back: Vec<Step> = steps.iter().rev().map(Step::inverse).collect();
        carry_out(&mut kernel, &back);
        prop_assert_eq!(kernel.observe(&scope).unwrap(), before);
    }
}
