//! Packets between linked sites, through their tunnels: the exchange of the network file, and questions of
//! commands.

use std::net::IpAddr;

use super::ids::site_address;
use super::links::{linked, networks_of};
use crate::base::net::{Cidr, PublicKey};
use crate::base::sorted::SortedSet;
use crate::config::model::{Name, Network, SiteConfig, question_port};

/// Part of a site in the packets between linked sites. Files are exchanged only in networks with admin keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangePart {
    /// Id of this site.
    pub id: u8,
    /// UDP port at which it exchanges files and answers questions, at its address in the tunnels.
    pub port: u16,
    /// Sites with a link to this one, in the order of their names.
    pub peers: Vec<ExchangePeer>,
}

/// Site with a link to this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangePeer {
    /// Id of the site.
    pub id: u8,
    /// Name of the site.
    pub name: Name,
    /// Public key of the site.
    pub key: PublicKey,
    /// Address of the site in the tunnels.
    pub address: IpAddr,
    /// UDP port of the site for these packets.
    pub port: u16,
    /// All networks behind the site.
    pub networks: SortedSet<Cidr>,
}

impl ExchangePart {
    /// Derives the part of the site `own`; `None` if the site has no port left, or if it has no link to a
    /// site that has one.
    pub(super) fn new(network: &Network, own: &str) -> Option<Self> {
        let mine = &network.sites[own];
        let port = port(mine)?;
        let mut peers = Vec::new();
        for (name, peer) in linked(network, own) {
            if let Some(port) = self::port(peer) {
                let (id, key, address) = (peer.id, peer.public_key, site_address(network, peer.id));
                let networks = networks_of(network, name);
                peers.push(ExchangePeer { id, name: name.clone(), key, address, port, networks });
            }
        }
        (!peers.is_empty()).then_some(Self { id: mine.id, port, peers })
    }
}

/// Returns the sites with a link to the site `own`, each with whether this is its only link.
pub fn links_of<'a>(network: &'a Network, own: &str) -> Vec<(&'a Name, bool)> {
    let mut links = Vec::new();
    for (name, _) in linked(network, own) {
        links.push((name, linked(network, name).len() == 1));
    }
    links
}

fn port(site: &SiteConfig) -> Option<u16> {
    question_port(site.port, site.providers.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::keys::public_key;
    use crate::base::net::Secret;
    use crate::config::parse;

    fn network(admins: &str, port: u16) -> Network {
        let [nyc, paris, rome] = [1, 2, 3].map(|id| public_key(&Secret::new([id; 32])));
        let text = format!(
            r#"
            [network]
            name = "home"
            subnet = "10.77.0.0/16"
            admins = [{admins}]
            [site.nyc]
            id = 1
            public_key = "{nyc}"
            links = ["paris"]
            [site.paris]
            id = 2
            public_key = "{paris}"
            endpoint = "192.0.2.2"
            port = {port}
            [site.rome]
            id = 3
            public_key = "{rome}"
            exits = ["paris"]
            "#
        );
        parse(&text).unwrap_or_else(|faults| panic!("{}", faults[0].message))
    }

    #[test]
    fn sites_with_a_single_link_are_known() {
        let network = network("", 51000);
        let links = |own| -> Vec<(String, bool)> {
            links_of(&network, own).into_iter().map(|(name, is_only)| (name.clone(), is_only)).collect()
        };
        assert_eq!(links("paris"), [("nyc".to_owned(), true), ("rome".to_owned(), true)]);
        assert_eq!(links("nyc"), [("paris".to_owned(), false)]);
    }

    #[test]
    fn linked_sites_know_each_other() {
        let network_of = |port| network("", port);
        let paris = ExchangePart::new(&network_of(51000), "paris").unwrap();
        let peers: Vec<_> = paris.peers.iter().map(|peer| (peer.id, peer.name.as_str(), peer.port)).collect();
        assert_eq!((paris.id, paris.port, peers), (2, 51255, vec![(1, "nyc", 52075), (3, "rome", 52075)]));
        let nyc = ExchangePart::new(&network_of(51000), "nyc").unwrap();
        assert_eq!((nyc.port, nyc.peers.len()), (52075, 1));
        assert_eq!((nyc.peers[0].address, nyc.peers[0].port), ("10.77.2.1".parse().unwrap(), 51255));
        assert_eq!(nyc.peers[0].networks, ["10.77.2.0/24".parse().unwrap()].into());
        // Paris has no port left.
        assert_eq!(ExchangePart::new(&network_of(65400), "paris"), None);
        assert_eq!(ExchangePart::new(&network_of(65400), "nyc"), None);
    }
}
