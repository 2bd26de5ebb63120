//! Properties of links between sites behind NAT: both ends and their helpers derive the same from one file.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use wg_portals::nat::helper::{HelpedLink, Pair, RelaySide, RelayedLink};
use wg_portals::plan::{plan, relayed_links};
use wg_portals::site::SearchedLink;

use super::draft::networks;
use super::{BACKENDS, views};

/// Properties of a link that both ends see alike.
type End = (u8, u16, IpAddr);

/// Returns the own end and the far end of a link, each with the id of its site, its port and its address.
fn ends(link: &SearchedLink) -> (End, End) {
    let view = &link.view;
    ((view.own, view.port, link.inside.0), (view.peer, view.peer_port, link.inside.1))
}

/// Relayed link at the relay port of a helped link.
fn relayed(link: &HelpedLink) -> Option<RelayedLink> {
    let port = link.relay_port?;
    let side = |id: u8, port_of_site: u16| RelaySide {
        source: SocketAddr::new([192, 0, 2, id].into(), port_of_site),
        local: SocketAddr::new([198, 51, 100, 1].into(), port),
    };
    Some(RelayedLink { sides: [side(link.pair.0, link.ports[0]), side(link.pair.1, link.ports[1])] })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_ends_of_a_link_and_its_helpers_agree(network in networks()) {
        let views = views(&network);
        for (name, site) in &views {
            for link in &site.nat.links {
                let far = views[link.peer.as_str()].nat.links.iter().find(|far| far.peer == *name).unwrap();
                let (here, there) = ends(link);
                prop_assert_eq!((there, here), ends(far));
                prop_assert_eq!(&link.helper_names, &far.helper_names);
                prop_assert_eq!(&link.view.helpers, &far.view.helpers);
                for (id, helper) in &link.helper_names {
                    let helper = views[helper.as_str()].nat.helper.as_ref().unwrap();
                    let pair = Pair::of(link.view.own, link.view.peer);
                    let helped = helper.links.iter().find(|helped| helped.pair == pair).unwrap();
                    prop_assert_eq!(helped.ports[usize::from(pair.1 == link.view.own)], link.view.port);
                    prop_assert_eq!(helper.keys.get(&pair.0).is_some(), helper.keys.get(&pair.1).is_some());
                    let view = link.view.helpers.iter().find(|view| view.id == *id).unwrap();
                    let asked: Vec<u16> =
                        [view.port].iter().chain(&view.extra_port).map(SocketAddr::port).collect();
                    prop_assert_eq!(asked, helper.ports.clone());
                }
            }
        }
    }

    #[test]
    fn a_link_that_neither_end_can_dial_is_searched_and_kept_open(network in networks()) {
        for (name, site) in &views(&network) {
            for (peer, end) in site.tunnels.values().flat_map(|tunnel| &tunnel.peers) {
                let is_site = network.sites.contains_key(peer);
                if is_site && end.endpoint.is_none() && network.sites[*name].endpoint.is_none() {
                    prop_assert!(site.nat.links.iter().any(|link| link.peer == *peer));
                    prop_assert!(end.keepalive.is_some());
                }
            }
        }
    }

    #[test]
    fn ports_of_helpers_differ(network in networks()) {
        for site in views(&network).values() {
            let Some(helper) = &site.nat.helper else { continue };
            let mut ports: Vec<u16> = site.tunnels.values().map(|tunnel| tunnel.port).collect();
            ports.extend(&helper.ports);
            ports.extend(helper.relay_ports().iter());
            let count = ports.len();
            ports.sort_unstable();
            ports.dedup();
            prop_assert_eq!(ports.len(), count);
        }
    }

    #[test]
    fn the_observed_state_shows_the_relayed_links(network in networks()) {
        for mut site in views(&network).into_values() {
            for firewall in BACKENDS {
                site.guard.firewall = firewall;
                let links = site.nat.helper.iter().flat_map(|helper| &helper.links);
                site.nat.relayed = links.filter_map(relayed).collect();
                prop_assert_eq!(relayed_links(&site, &plan(&site)), site.nat.relayed);
            }
        }
    }
}
