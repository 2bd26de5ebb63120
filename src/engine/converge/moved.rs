//! Connections of portals that leave elsewhere than before: their packets would keep the address to which
//! they were translated at the former exit.

use std::net::IpAddr;

use crate::base::net::{Cidr, IfName, InterfaceAddress, Mark};
use crate::base::sorted::SortedSet;
use crate::kernel::conntrack::ConnectionFilter;
use crate::site::{Entrance, Portal, Site};
use crate::state::{Rule, RuleAction, State};

/// Portals that leave elsewhere now, by the sources and the marks of their connections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    sources: SortedSet<Cidr>,
    marks: SortedSet<Mark>,
}

impl Moved {
    /// Returns the portals with these names, which their caller moves to other exits.
    pub fn portals<'a>(site: &Site, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut moved = Self::default();
        for name in names {
            for portal in site.portals.iter().filter(|portal| portal.name == name) {
                moved.add(site, portal);
            }
        }
        moved
    }

    /// Adds all traffic that the observed policy rules lead elsewhere than the wanted ones: traffic of a
    /// portal that is new, or that the network file gives another exit or takes away.
    ///
    /// Another exit changes the firewall as well. So if the observed firewall is the wanted one, no exit has
    /// changed: another program has taken rules away, which now come back as they were.
    #[must_use]
    pub(super) fn with_changes(mut self, site: &Site, have: &State, want: &State) -> Self {
        if have.filters_like(want) {
            return self;
        }
        // The rules of a probe lead no traffic but answers to the probe.
        let is_probe =
            |rule: &Rule| site.agent.probes.iter().any(|probe| rule.selector.mark == Some(probe.mark));
        for (rules, others) in [(&have.rules, &want.rules), (&want.rules, &have.rules)] {
            for rule in rules {
                if !others.contains(rule) && leads_to_exit(rule) && !is_probe(rule) {
                    self.add_selected(site, rule, have);
                }
            }
        }
        self
    }

    /// Returns the connections to forget; none if no portal has moved. Connections to pages of portals stay:
    /// they take no exit, and the answer to the browser that has moved the portal keeps its translation.
    pub(super) fn connections(self, site: &Site) -> Option<ConnectionFilter> {
        if self.sources.is_empty() && self.marks.is_empty() {
            return None;
        }
        let with_page = site.portals.iter().filter(|portal| portal.page);
        Some(ConnectionFilter {
            by_source: self.sources,
            by_mark: self.marks,
            spared: with_page.filter_map(|portal| Some(portal.address?.address)).collect(),
            ..ConnectionFilter::default()
        })
    }

    fn add(&mut self, site: &Site, portal: &Portal) {
        self.sources.extend(portal.resolver().map(Cidr::host));
        match (portal.mark(), &portal.entrance) {
            // Other devices come in through the same interface, or have the same address.
            (Some(mark), _) => drop(self.marks.insert(mark)),
            (None, Entrance::From(sources)) => self.sources.extend(sources.iter().copied()),
            (None, Entrance::Own) => self.sources.extend(own_addresses(site)),
            (None, _) => self.sources.extend(networks(portal)),
        }
    }

    /// Adds the traffic that a policy rule selects.
    fn add_selected(&mut self, site: &Site, rule: &Rule, have: &State) {
        let selector = &rule.selector;
        self.marks.extend(selector.mark);
        if selector.mark.is_some_and(|mark| is_known(mark, have)) {
            // Other devices come in through the same interface, or have the same address.
            return;
        }
        match (&selector.from, &selector.incoming) {
            (Some(source), _) => drop(self.sources.insert(*source)),
            (None, Some(interface)) => self.sources.extend(behind(site, interface)),
            // A mark alone, or the rule that other rules skip to.
            (None, None) => {}
        }
    }
}

fn leads_to_exit(rule: &Rule) -> bool {
    !rule.closes() && matches!(rule.action, RuleAction::Lookup(_))
}

/// Reports whether a portal with this mark was there before. The connections of a new portal are older than
/// the portal, and carry no mark.
fn is_known(mark: Mark, have: &State) -> bool {
    let refuses = |rule: &Rule| rule.selector.mark == Some(mark) && rule.action == RuleAction::Unreachable;
    have.rules.iter().any(refuses)
}

/// Returns the sources of traffic that comes in through an interface; `lo` means this host itself.
fn behind(site: &Site, interface: &IfName) -> Vec<Cidr> {
    if interface.as_str() == "lo" {
        return own_addresses(site);
    }
    let mut behind = Vec::new();
    for portal in &site.portals {
        if portal.entrance_interface() == Some(interface) {
            behind.extend(networks(portal));
        }
    }
    behind
}

/// Returns the networks of the devices that come in through the interface of a portal.
fn networks(portal: &Portal) -> Vec<Cidr> {
    let mut networks: Vec<Cidr> = portal.addresses().map(InterfaceAddress::network).collect();
    networks.extend(&portal.behind);
    networks
}

/// Returns the addresses from which this host itself opens connections.
fn own_addresses(site: &Site) -> Vec<Cidr> {
    let mut own = Vec::new();
    let mut add = |address: IpAddr| {
        if site.carries_ipv6() || address.is_ipv4() {
            own.push(Cidr::host(address));
        }
    };
    if let Some(uplink) = &site.host.uplink {
        for own in &uplink.addresses {
            add(own.address);
        }
    }
    for address in site.addresses() {
        add(address);
    }
    for (_, address) in site.chain_addresses() {
        add(address);
    }
    own
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::base::net::Secret;
    use crate::base::sorted::SortedMap;
    use crate::config;
    use crate::plan::plan;
    use crate::site::access_point::Passphrases;
    use crate::site::facts::{Facts, HostFirewalls};
    use crate::site::{self, Exit, Inputs};

    /// Network in which nyc has four portals: `guests` with a list of exits, `desk`, `web` with a mark, and
    /// its own.
    const NETWORK: &str = r#"
        [network]
        name = "home"
        subnet = "10.77.0.0/16"
        [site.nyc]
        id = 1
        public_key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
        exits = ["paris", "oslo"]
        [site.nyc.portal.guests]
        exit = ["paris", "oslo"]
        interface = "eth1"
        [site.nyc.portal.desk]
        exit = "paris"
        from = ["192.168.1.50"]
        [site.nyc.portal.web]
        exit = "paris"
        from = ["192.168.1.51"]
        ports = ["tcp/443"]
        [site.paris]
        id = 2
        public_key = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
        exits = ["nyc"]
        endpoint = "203.0.113.2"
        [site.oslo]
        id = 3
        public_key = "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM="
        exits = ["nyc"]
        endpoint = "203.0.113.3"
    "#;

    fn site(network: &str) -> Site {
        let network = config::parse(network).unwrap();
        let filters = HostFirewalls { nftables: true, ..HostFirewalls::default() };
        let interfaces = [("eth1".parse().unwrap(), 1500)].into();
        let facts = Facts { filters, interfaces, ..Facts::default() };
        let inputs = Inputs {
            file: Path::new("network.toml"),
            private_key: &Secret::new([0; 32]),
            public_key: network.sites["nyc"].public_key,
            network_secret: None,
            phone_keys: &SortedMap::new(),
            passphrases: &Passphrases::new(),
            facts: &facts,
            providers: &SortedMap::new(),
            resolved: &SortedMap::new(),
        };
        site::view(&network, &inputs).unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// Returns the network in which a portal of nyc has another exit.
    fn edited(portal: &str, from: &str, to: &str) -> String {
        let head = format!("[site.nyc.portal.{portal}]\n        exit = ");
        let edited = NETWORK.replace(&format!("{head}{from}"), &format!("{head}{to}"));
        assert_ne!(edited, NETWORK);
        edited
    }

    /// Returns the sources and the number of the marks of the traffic that moves between two network files.
    fn changes(from: &str, to: &str) -> (Vec<String>, usize) {
        let site = self::site(to);
        summary(&Moved::default().with_changes(&site, &plan(&self::site(from)), &plan(&site)))
    }

    fn summary(moved: &Moved) -> (Vec<String>, usize) {
        (moved.sources.iter().map(ToString::to_string).collect(), moved.marks.len())
    }

    #[test]
    fn moves_of_the_caller_are_the_connections_of_its_portals() {
        let site = site(NETWORK);
        let moved = |names: &[&str]| summary(&Moved::portals(&site, names.iter().copied()));
        let lan = site.portals[0].address.unwrap().network().to_string();
        assert_eq!(moved(&[]), (vec![], 0));
        assert!(moved(&["guests"]).0.contains(&lan) && moved(&["guests"]).1 == 0);
        assert_eq!(moved(&["desk"]), (vec!["192.168.1.50/32".to_owned()], 0));
        assert_eq!(moved(&["web"]), (vec![], 1), "other traffic of the device stays");
        assert_eq!(moved(&["of another network"]), (vec![], 0));
    }

    #[test]
    fn connections_to_the_page_of_a_portal_stay() {
        let site = site(&NETWORK.replace("interface = \"eth1\"", "interface = \"eth1\"\npage = true"));
        let own = site.portals[0].address.unwrap().address;
        let filter = Moved::portals(&site, ["guests"]).connections(&site).unwrap();
        assert_eq!(filter.spared, [own].into());
    }

    #[test]
    fn an_edited_exit_moves_its_portal_alone() {
        for to in ["\"oslo\"", "\"direct\""] {
            let desk = edited("desk", "\"paris\"", to);
            assert_eq!(changes(NETWORK, &desk), (vec!["192.168.1.50/32".to_owned()], 0), "{to}");
            assert_eq!(changes(&desk, NETWORK), (vec!["192.168.1.50/32".to_owned()], 0), "back from {to}");
        }
        assert_eq!(changes(NETWORK, &edited("web", "\"paris\"", "\"oslo\"")), (vec![], 1));
    }

    #[test]
    fn a_chain_moves_the_address_that_its_connections_have() {
        let (plain, chain) = (NETWORK, edited("desk", "\"paris\"", "\"oslo via paris\""));
        let chain = chain.replace(
            "exits = [\"nyc\"]\n        endpoint = \"203.0.113.2\"",
            "exits = [\"oslo\"]\n        endpoint = \"203.0.113.2\"",
        );
        let own = |text: &str| text.replace("from = [\"192.168.1.50\"]", "self = true");
        let desk = vec!["10.77.0.1/32".to_owned(), "192.168.1.50/32".to_owned()];
        assert_eq!(changes(plain, &chain), (desk, 0));
        let router = vec!["10.77.0.1/32".to_owned(), "10.77.1.1/32".to_owned()];
        assert_eq!(changes(&own(plain), &own(&chain)), (router, 0));
    }

    #[test]
    fn a_new_portal_moves_connections_that_carry_no_mark_yet() {
        let without = NETWORK.split("[site.nyc.portal.web]").next().unwrap().to_owned()
            + &NETWORK[NETWORK.find("[site.paris]").unwrap()..];
        assert_eq!(changes(&without, NETWORK), (vec!["192.168.1.51/32".to_owned()], 1));
        assert_eq!(changes(NETWORK, &without), (vec![], 1), "its connections carry the mark");
    }

    #[test]
    fn a_choice_of_another_exit_moves_the_portal() {
        let mut site = self::site(NETWORK);
        let before = plan(&site);
        let oslo = site.portals[0].exits[1].clone();
        for exit in [oslo, Exit::Nowhere] {
            site.choose(&vec![("guests".to_owned(), exit)]);
            let moved = Moved::default().with_changes(&site, &before, &plan(&site));
            assert_eq!(moved, Moved::portals(&site, ["guests"]), "{}", site.portals[0].exit);
        }
    }

    #[test]
    fn rules_that_come_back_move_nothing() {
        let site = site(NETWORK);
        let want = plan(&site);
        let flushed = State { rules: SortedSet::new(), ..want.clone() };
        assert!(Moved::default().with_changes(&site, &flushed, &want).connections(&site).is_none());
        // A first attempt to move the portal has left its firewall behind.
        let known = Moved::portals(&site, ["guests"]);
        assert_eq!(known.clone().with_changes(&site, &flushed, &want), known);
    }
}
