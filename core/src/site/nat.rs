//! Links behind NAT: the links that this site searches a path for, and its part as a helper of other sites.

use std::net::{IpAddr, SocketAddr};

use super::ids::{site_address, site_port};
use super::links::{all_links, linked};
use super::{PeerEndpoint, PeerKnowledge, SiteTunnel};
use crate::base::net::{Cidr, IfName, PublicKey};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::{EndpointHost, Name, Network, SiteConfig, question_port};
use crate::nat::helper::{HelpedLink, Pair, RelayedLink};
use crate::nat::search::{HelperView, LinkView};
use crate::nat::{is_home_address, relay_port};

/// Links behind NAT, as one site sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteNat {
    /// Part of this site as a helper of other sites; `None` if it is no helper.
    pub helper: Option<HelperPart>,
    /// Links of this site for which a third site is a helper, in the order of the peers' names.
    pub links: Vec<SearchedLink>,
    /// Public keys of the helpers of these links, by id.
    pub helper_keys: SortedMap<u8, PublicKey>,
    /// UDP ports that this site's router should forward to it, in ascending order.
    pub mapped_ports: Vec<u16>,
    /// UDP ports that must reach this site, in ascending order; empty if other sites cannot dial it.
    pub dialled_ports: Vec<u16>,
    /// Set if the endpoint of this site may be an address of the router in front of it.
    pub may_be_behind_router: bool,
    /// Links that this site relays at present. The network file does not tell them: the agent fills them in,
    /// and other processes read them from the observed firewall.
    pub relayed: Vec<RelayedLink>,
}

/// Part of a site as a helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelperPart {
    /// Id of this site.
    pub id: u8,
    /// UDP ports at which this site answers questions.
    pub ports: Vec<u16>,
    /// Public keys of the sites that may ask, by id.
    pub keys: SortedMap<u8, PublicKey>,
    /// Names of these sites, by id.
    pub names: SortedMap<u8, Name>,
    /// Links between two other sites.
    pub links: Vec<HelpedLink>,
}

/// Link for which this site searches a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchedLink {
    /// Name of this site.
    pub own: Name,
    /// Site at the other end.
    pub peer: Name,
    /// Interface of the link's tunnel.
    pub interface: IfName,
    /// Public key of the peer.
    pub key: PublicKey,
    /// Set if one end has an endpoint in the network file, so that the other end dials it.
    pub is_dialled: bool,
    /// Addresses of this site and of the peer in the tunnel.
    pub inside: (IpAddr, IpAddr),
    /// Link, as the search needs it.
    pub view: LinkView,
    /// Names of the helpers by id, including those whose address is unknown.
    pub helper_names: SortedMap<u8, Name>,
}

impl SiteNat {
    /// Derives the links behind NAT of the site `own`, which has these tunnels to sites and providers,
    /// with IPv6 or without.
    pub(super) fn new(
        network: &Network,
        own: &str,
        (tunnels, carry_ipv6): (&SortedMap<IfName, SiteTunnel>, bool),
        known: &PeerKnowledge,
    ) -> Self {
        let helpers = helpers_of(network, own);
        let mut links = Vec::new();
        for (name, _) in linked(network, own) {
            let has_peer = |tunnel: &SiteTunnel| tunnel.provider.is_none() && tunnel.peers.contains_key(name);
            if let Some((interface, tunnel)) = tunnels.iter().find(|(_, tunnel)| has_peer(tunnel)) {
                links.extend(searched_link(network, own, (interface, tunnel, name), (&helpers, known)));
            }
        }
        let helper = HelperPart::new(network, own, carry_ipv6);
        let helper_keys = helpers.iter().map(|(_, site)| (site.id, site.public_key)).collect();
        let site = &network.sites[own];
        let mut dialled = dialled_ports(site, helper.as_ref(), tunnels);
        let mapped_ports = if site.port_mapping { mapped_ports(&dialled, &links) } else { Vec::new() };
        if let Some(helper) = &helper {
            dialled.extend(helper.relay_ports());
        }
        let dialled_ports = dialled.into_iter().collect();
        let may_be_behind_router = site.endpoint.as_ref().is_some_and(may_be_of_router);
        let relayed = Vec::new();
        Self { helper, links, helper_keys, mapped_ports, dialled_ports, may_be_behind_router, relayed }
    }
}

impl HelperPart {
    fn new(network: &Network, own: &str, relays_ipv6: bool) -> Option<Self> {
        let site = &network.sites[own];
        let mut ports = vec![helper_port(site)?];
        ports.extend(site.helper_port);
        let (keys, names) = (SortedMap::new(), SortedMap::new());
        let mut part = Self { id: site.id, ports, keys, names, links: Vec::new() };
        for (name, other_name) in all_links(network) {
            if name == own || other_name == own {
                continue;
            }
            let [one, other] = [name, other_name].map(|name| &network.sites[name]);
            for (name, site) in [(name, one), (other_name, other)] {
                part.keys.insert(site.id, site.public_key);
                part.names.get_or_insert_with(site.id, || name.clone());
            }
            part.links.push(HelpedLink {
                pair: Pair(one.id, other.id),
                ports: [tunnel_port(one, (other_name, other)), tunnel_port(other, (name, one))],
                relay_port: relay_port(site.port, one.id, other.id).filter(|_| site.relay),
                relays_ipv6,
            });
        }
        Some(part)
    }

    /// Returns the UDP ports at which this site relays links.
    pub fn relay_ports(&self) -> SortedSet<u16> {
        self.links.iter().filter_map(|link| link.relay_port).collect()
    }

    /// Reports whether this site relays links at the ports of a relayed link.
    pub fn may_relay(&self, relayed: &RelayedLink) -> bool {
        let relay_ports = self.relay_ports();
        let is_known = |port| relay_ports.contains(&port) || self.ports.contains(&port);
        !relay_ports.is_empty() && relayed.sides.iter().all(|side| is_known(side.local.port()))
    }
}

/// Returns the sites that help with some link of the site `own`.
pub(super) fn helpers_of<'a>(network: &'a Network, own: &str) -> Vec<(&'a Name, &'a SiteConfig)> {
    let peers = linked(network, own);
    // Any other site helps with the links that it is not an end of.
    let has_other_peer = |name: &Name| peers.iter().any(|(peer, _)| *peer != name);
    let mut helpers = Vec::new();
    for (name, site) in &network.sites {
        if name != own && helper_port(site).is_some() && has_other_peer(name) {
            helpers.push((name, site));
        }
    }
    helpers
}

/// Returns the port at which a site answers questions; `None` if it is no helper.
fn helper_port(site: &SiteConfig) -> Option<u16> {
    site.endpoint.as_ref()?;
    question_port(site.port, site.providers.len())
}

/// Returns the port of the tunnel of `site` to a peer.
fn tunnel_port(site: &SiteConfig, (name, peer): (&Name, &SiteConfig)) -> u16 {
    site_port(site, site.exits.contains(name), peer)
}

/// Largest number of helpers of a link: while it is down, each of them is asked every second. Both ends ask
/// the same ones, because they go through the sites in the same order: relays first.
const MOST_HELPERS: usize = 8;

fn searched_link(
    network: &Network,
    own: &str,
    (interface, tunnel, name): (&IfName, &SiteTunnel, &Name),
    (sites, known): (&[(&Name, &SiteConfig)], &PeerKnowledge),
) -> Option<SearchedLink> {
    let mine = &network.sites[own];
    let peer = &network.sites[name];
    let mut helper_names = SortedMap::new();
    let mut helpers = Vec::new();
    let relays_first = [true, false]
        .into_iter()
        .flat_map(|relays| sites.iter().filter(move |(_, site)| site.relay == relays));
    for (helper_name, site) in relays_first {
        let Some((port, endpoint)) = helper_port(site).zip(site.endpoint.as_ref()) else { continue };
        if *helper_name == name {
            continue;
        }
        if helper_names.len() == MOST_HELPERS {
            break;
        }
        helper_names.insert(site.id, (*helper_name).clone());
        let Some(address) = PeerEndpoint::new(endpoint, port, known.resolved).address else { continue };
        let extra_port = site.helper_port.map(|port| SocketAddr::new(address.ip(), port));
        helpers.push(HelperView { id: site.id, port: address, extra_port });
    }
    let end = tunnel.peers.get(name).filter(|_| !helper_names.is_empty())?;
    let view = LinkView {
        own: mine.id,
        peer: peer.id,
        port: tunnel.port,
        peer_port: site_port(peer, end.exits_here, mine),
        endpoint: end.endpoint.as_ref().and_then(|endpoint| endpoint.address),
        helpers,
        inside: networks_in_tunnels(network),
    };
    Some(SearchedLink {
        own: own.to_owned(),
        peer: name.clone(),
        interface: interface.clone(),
        key: peer.public_key,
        is_dialled: mine.endpoint.is_some() || peer.endpoint.is_some(),
        inside: (site_address(network, mine.id), end.address),
        view,
        helper_names,
    })
}

fn networks_in_tunnels(network: &Network) -> Vec<Cidr> {
    let mut networks = vec![network.subnet];
    networks.extend(network.subnet6.map(|subnet6| subnet6.network));
    networks
}

/// Returns the ports at which other sites dial and ask a site; none if it has no endpoint.
fn dialled_ports(
    site: &SiteConfig,
    helper: Option<&HelperPart>,
    tunnels: &SortedMap<IfName, SiteTunnel>,
) -> SortedSet<u16> {
    let mut ports = SortedSet::new();
    if site.endpoint.is_some() {
        for tunnel in tunnels.values().filter(|tunnel| tunnel.provider.is_none()) {
            ports.insert(tunnel.port);
        }
        for port in helper.map_or(&[][..], |helper| &helper.ports) {
            ports.insert(*port);
        }
    }
    ports
}

/// Returns the ports that the router of a site should forward: those that other sites dial or search.
fn mapped_ports(dialled: &SortedSet<u16>, links: &[SearchedLink]) -> Vec<u16> {
    let mut ports = dialled.clone();
    ports.extend(links.iter().map(|link| link.view.port));
    ports.into_iter().collect()
}

/// Reports whether the endpoint of a site may be an address of a router in front of it, which is no IPv6
/// address and no private one.
fn may_be_of_router(endpoint: &EndpointHost) -> bool {
    !matches!(endpoint, EndpointHost::Address(own) if own.is_ipv6() || is_home_address(*own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::keys::public_key;
    use crate::base::net::Secret;
    use crate::config::parse;
    use crate::site::{names_to_resolve, tunnels};

    /// Two homes behind NAT, and two public sites. Rome is linked to Nyc, Oslo to no site.
    const SITES: [(&str, u8, &str); 4] = [
        ("nyc", 1, "exits = [\"paris\"]\nlinks = [\"rome\"]"),
        ("paris", 2, ""),
        ("rome", 3, "endpoint = \"rome.example.net\""),
        ("oslo", 4, "endpoint = \"203.0.113.4\"\nport = 51000\nhelper_port = 443"),
    ];

    /// Network of these sites, with further lines of one of them.
    fn network(site: &str, lines: &str) -> Network {
        let mut text = "[network]\nname = \"home\"\nsubnet = \"10.77.0.0/16\"\n".to_owned();
        for (name, id, own) in SITES {
            let key = public_key(&Secret::new([id; 32]));
            let more = if name == site { lines } else { "" };
            text = format!("{text}[site.{name}]\nid = {id}\npublic_key = \"{key}\"\n{own}\n{more}\n");
        }
        parse(&text).unwrap_or_else(|faults| panic!("{text}{:?}", faults[0].message))
    }

    fn nat(network: &Network, own: &str, resolved: &[(&str, &str)]) -> SiteNat {
        let address = |(name, address): &(&str, &str)| ((*name).to_owned(), address.parse().unwrap());
        let resolved = resolved.iter().map(address).collect();
        let known =
            PeerKnowledge { network_secret: None, phone_keys: &SortedMap::new(), resolved: &resolved };
        SiteNat::new(network, own, (&tunnels(network, own, &known), false), &known)
    }

    #[test]
    fn third_sites_with_an_endpoint_help() {
        let network = network("", "");
        let nat = nat(&network, "nyc", &[("rome.example.net", "198.51.100.3")]);
        let [to_paris, to_rome] = &nat.links[..] else { panic!("two links") };
        assert_eq!((to_paris.peer.as_str(), to_rome.peer.as_str()), ("paris", "rome"));
        assert_eq!((to_paris.interface.as_str(), to_rome.interface.as_str()), ("to-paris", "portals0"));
        assert_eq!(to_paris.inside, ("10.77.1.1".parse().unwrap(), "10.77.2.1".parse().unwrap()));
        let helper = |id, port: &str, extra_port: Option<&str>| HelperView {
            id,
            port: port.parse().unwrap(),
            extra_port: extra_port.map(|port| port.parse().unwrap()),
        };
        let oslo = helper(4, "203.0.113.4:51255", Some("203.0.113.4:443"));
        let paris = LinkView {
            own: 1,
            peer: 2,
            port: 51822,
            peer_port: 51820,
            endpoint: None,
            helpers: vec![oslo, helper(3, "198.51.100.3:52075", None)],
            inside: vec!["10.77.0.0/16".parse().unwrap()],
        };
        assert_eq!(to_paris.view, paris);
        let rome = LinkView {
            peer: 3,
            port: 51820,
            endpoint: Some("198.51.100.3:51820".parse().unwrap()),
            helpers: vec![oslo],
            ..paris
        };
        assert_eq!(to_rome.view, rome, "a site does not help with its own links");
        assert_eq!(nat.helper_keys.keys().copied().collect::<Vec<_>>(), [3, 4]);
        assert_eq!((nat.helper, nat.mapped_ports), (None, vec![51820, 51822]));
        assert_eq!(nat.dialled_ports, [], "nobody dials it");
    }

    #[test]
    fn both_ends_of_a_link_ask_the_same_few_helpers() {
        let more = (10..50_u8).map(|id| {
            let key = public_key(&Secret::new([id; 32]));
            format!("[site.s{id}]\nid = {id}\npublic_key = \"{key}\"\nendpoint = \"s{id}.example.net\"\n")
        });
        let network = network("oslo", &more.collect::<String>());
        let asked = |own, peer| {
            let nat = nat(&network, own, &[]);
            let link = nat.links.iter().find(|link| link.peer == peer).unwrap();
            link.helper_names.clone()
        };
        assert_eq!(asked("nyc", "paris").len(), MOST_HELPERS);
        assert_eq!(asked("nyc", "paris"), asked("paris", "nyc"));
    }

    #[test]
    fn names_of_helpers_are_resolved() {
        let network = network("", "");
        // Paris has no link to Rome.
        let providers = SortedMap::new();
        let names = names_to_resolve(&network, "paris", &providers);
        assert_eq!(names.iter().copied().collect::<Vec<_>>(), ["rome.example.net"]);
        let nat = nat(&network, "paris", &[]);
        let [link] = &nat.links[..] else { panic!("one link") };
        assert_eq!(link.view.helpers.iter().map(|helper| helper.id).collect::<Vec<_>>(), [4]);
        let names: Vec<_> = link.helper_names.values().map(String::as_str).collect();
        assert_eq!(names, ["rome", "oslo"], "a name that is not resolved yet counts");
        assert_eq!(nat.mapped_ports, [51820]);
    }

    #[test]
    fn a_helper_relays_the_links_of_others() {
        let oslo = nat(&network("", ""), "oslo", &[]);
        let helper = oslo.helper.unwrap();
        let link = |pair, ports, relay_port| HelpedLink { pair, ports, relay_port, relays_ipv6: false };
        let links =
            [link(Pair(1, 2), [51822, 51820], Some(51259)), link(Pair(1, 3), [51820, 51820], Some(51260))];
        assert_eq!((helper.id, helper.ports, helper.links), (4, vec![51255, 443], links.to_vec()));
        assert_eq!(helper.keys.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(oslo.mapped_ports, [443, 51255], "it has no tunnel");
        assert_eq!(oslo.dialled_ports, [443, 51255, 51259, 51260], "and it relays");
        assert_eq!(oslo.links, []);
        let home = nat(&network("", ""), "nyc", &[]);
        assert_eq!(home.dialled_ports, [], "others cannot dial a site without an endpoint");
        for (endpoint, may_be) in
            [("10.0.0.1", false), ("2001:db8::1", false), ("203.0.113.9", true), ("paris.example.net", true)]
        {
            let one = network("paris", &format!("endpoint = \"{endpoint}\""));
            assert_eq!(nat(&one, "paris", &[]).may_be_behind_router, may_be, "{endpoint}");
        }

        let rome = nat(&network("rome", "relay = false"), "rome", &[]);
        assert_eq!(rome.helper.unwrap().links, [link(Pair(1, 2), [51822, 51820], None)]);
        assert_eq!(rome.mapped_ports, [51820, 52075]);
        assert_eq!(rome.dialled_ports, [51820, 52075]);
    }

    #[test]
    fn sites_may_opt_out() {
        assert_eq!(nat(&network("nyc", "port_mapping = false"), "nyc", &[]).mapped_ports, []);
        // The ports of five providers leave none for questions.
        let provider = |number| format!("[site.rome.exit.vpn-{number}]\nconfig = \"vpn.conf\"\n");
        let four: String = (1..5).map(provider).collect();
        assert!(nat(&network("rome", &four), "rome", &[]).helper.is_some());
        let five: String = (1..6).map(provider).collect();
        assert_eq!(nat(&network("rome", &five), "rome", &[]).helper, None);
        assert_eq!(nat(&network("rome", "port = 65281"), "rome", &[]).helper, None);
        let last = nat(&network("rome", "port = 65280"), "rome", &[]).helper.unwrap();
        assert_eq!((last.ports, last.links[0].relay_port), (vec![65535], None));
    }
}
