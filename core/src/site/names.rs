//! Names of the computers in the homes of sites: `NAME.SITE.portals.internal`.
//!
//! The site whose home it is asks the resolver of that home, and translates the addresses in its answers.
//! Therefore homes with the same network do not get mixed up, however many there are.

use std::net::IpAddr;

use super::ids::site_address;
use super::links::linked;
use crate::base::sorted::SortedMap;
use crate::config::model::{Name, Network};

/// Names of computers in homes, as one site resolves them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HomeNames {
    /// Name of this site.
    pub own: Name,
    /// Resolver in the home of this site; linked sites may ask for its names.
    pub resolver: Option<IpAddr>,
    /// Sites whose names can be asked for here, this one included, each with the address in its tunnels at
    /// which it answers.
    pub sites: SortedMap<Name, IpAddr>,
}

impl HomeNames {
    /// Domain of the names of all sites. `internal` is reserved for private use (ICANN, 2024).
    pub const DOMAIN: &str = "portals.internal";

    /// Returns the names that the site `own` and the sites linked to it have.
    pub(super) fn new(network: &Network, own: &str) -> Self {
        let mut named = linked(network, own);
        named.extend(network.sites.iter().filter(|(name, _)| *name == own));
        named.retain(|(_, site)| site.dns.is_some());
        Self {
            own: own.to_owned(),
            resolver: network.sites[own].dns,
            sites: named
                .into_iter()
                .map(|(name, site)| (name.clone(), site_address(network, site.id)))
                .collect(),
        }
    }

    /// Returns the domain of the names of one site.
    pub fn domain(site: &str) -> String {
        format!("{site}.{}", Self::DOMAIN)
    }
}
