//! dnsmasq for the names in this home, which the resolvers of linked sites ask: it asks the home's own
//! resolver, and translates the addresses in the answers as the firewall translates packets.
//!
//! The site whose home it is does this, so that any number of homes may have the same network.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::{Service, dnsmasq};
use crate::base::net::{Cidr, Family, netmask};
use crate::base::sorted::SortedSet;
use crate::site::{HomeNames, RESOLVER_PORT, Site};

/// Name of the service.
const SERVICE: &str = "home-names";

/// Networks that homes use: RFC 1918, and link-local addresses (RFC 3927).
const PRIVATE: [(Ipv4Addr, u8); 4] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
];

/// Reports whether linked sites may ask for names of this home.
pub(super) fn is_needed(site: &Site) -> bool {
    site.names.resolver.is_some() && !site.tunnels.is_empty()
}

/// Returns the service, if linked sites may ask for names of this home.
pub(super) fn of(site: &Site, run_folder: &Path) -> Option<Service> {
    let resolver = site.names.resolver.filter(|_| is_needed(site))?;
    Some(dnsmasq::with(SERVICE.to_owned(), configuration_of(site, resolver), run_folder))
}

/// Returns the configuration. All its values are numbers, and the name of the site.
fn configuration_of(site: &Site, resolver: IpAddr) -> String {
    let (own, domain) = (site.address, HomeNames::domain(&site.name));
    // With bind-dynamic, dnsmasq listens again when the tunnels with this address are made anew. There is no
    // cache, because the portals' resolvers have one, and no other upstream: it answers for this domain only.
    let mut text = format!(
        "listen-address={own}\nbind-dynamic\nport={RESOLVER_PORT}\nno-resolv\nno-poll\nno-hosts\npid-file=\n\
         log-facility=-\ncache-size=0\nserver=/{domain}/{resolver}\n"
    );
    unshared(&mut text, site);
    for (here, seen_as) in site.translations().filter(|(here, _)| here.family() == Family::V4) {
        let (first, last, mask) = (here.address(), here.last(), netmask(here.family(), here.length()));
        let _ = writeln!(text, "alias={first}-{last},{},{mask}", seen_as.address());
    }
    text
}

/// Adds the ranges of private addresses that clients at linked sites cannot reach here.
fn unshared(text: &mut String, site: &Site) {
    let reached: SortedSet<Cidr> = site.own_lans().chain([site.subnet]).collect();
    let mut hide = |first: u32, last: u32| {
        let (first, last) = (Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last));
        // Packets to such an address would stay in the home of the client. No computer has an address of
        // 240.0.0.0/4 (RFC 1112).
        let _ = writeln!(text, "alias={first}-{last},240.0.0.0,255.0.0.0");
    };
    for (address, length) in PRIVATE {
        let (mut next, end) = (address.to_bits(), address.to_bits() | u32::MAX >> length);
        for network in &reached {
            let (IpAddr::V4(first), IpAddr::V4(last)) = (network.address(), network.last()) else { continue };
            let (first, last) = (first.to_bits(), last.to_bits());
            if last < next || first > end {
                continue;
            }
            if first > next {
                hide(next, first - 1);
            }
            next = next.max(last.saturating_add(1));
        }
        if next <= end {
            hide(next, end);
        }
    }
}
