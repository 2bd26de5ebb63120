//! Pages of portals for the browsers of their devices. Devices reach the page of their own portal at this
//! host's address in their LAN, and nobody else does.

use crate::base::net::{Cidr, Family, IfName};
use crate::base::sorted::SortedSet;
use crate::firewall::{
    Action::{Accept, Redirect, Reject},
    Condition::{self, TcpPort},
};
use crate::plan::sets::{Rules, Sets, add, add_interfaces, add_members, add_of, coming_in, of_family, to_in};
use crate::site::{PAGE_PORT, Portal, Site};

/// Set of the interfaces of portals with a page.
const READERS: &str = "readers";
/// Set of the addresses of their pages.
const PAGES: &str = "pages";

/// TCP port at which a browser looks for a page by itself (RFC 9110 § 4.2.1).
const HTTP: u16 = 80;

/// Adds the rule that redirects browsers to the port of the page. No other program of this host shows a page
/// at an address that portals itself has set up.
pub(super) fn prerouting(rules: &mut Rules, site: &Site) {
    if has_pages(site) {
        let asking = [TcpPort(HTTP, HTTP), coming_in(READERS), to_in(Family::V4, PAGES)];
        add(rules, asking, Redirect(PAGE_PORT));
    }
}

/// Adds the rules that let devices of the portal's LAN reach the page, and refuse everyone else: other local
/// networks may be allowed to reach the LAN.
pub(super) fn input(rules: &mut Rules, site: &Site) {
    if has_pages(site) {
        let page: [Condition; 2] = [TcpPort(PAGE_PORT, PAGE_PORT), to_in(Family::V4, PAGES)];
        add_of(rules, &[&page, &[coming_in(READERS)]], Accept);
        add(rules, page, Reject);
    }
}

/// Adds the sets that the rules of this file look into.
pub(super) fn sets(sets: &mut Sets, site: &Site) {
    let interfaces: SortedSet<IfName> =
        with_page(site).filter_map(Portal::entrance_interface).cloned().collect();
    let addresses = with_page(site).filter_map(|portal| Some(Cidr::host(portal.address?.address)));
    add_interfaces(sets, READERS, interfaces);
    add_members(sets, of_family(Family::V4, PAGES), Family::V4, addresses.collect());
}

fn has_pages(site: &Site) -> bool {
    with_page(site).next().is_some()
}

fn with_page(site: &Site) -> impl Iterator<Item = &Portal> {
    site.portals.iter().filter(|portal| portal.page)
}
