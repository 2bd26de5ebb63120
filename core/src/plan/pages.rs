//! Pages of portals for the browsers of their devices. Devices reach the page of their own portal at this
//! host's address in their LAN, and nobody else does.

use crate::base::net::{Cidr, Family};
use crate::base::sorted::SortedSet;
use crate::firewall::{
    Action::{Accept, Redirect, Reject},
    Condition::{self, Place, TcpPort},
    NetworksAtInterfaces, Pairing, Set, SetName,
};
use crate::plan::sets::{Rules, Sets, add, add_members, add_set, of_family, to_in};
use crate::site::{PAGE_PORT, Portal, Site};

/// Set of the interfaces of portals with a page, each with the address of its page.
const READERS: &str = "readers";
/// Set of the addresses of all pages.
const PAGES: &str = "pages";

/// TCP port at which a browser looks for a page by itself (RFC 9110 § 4.2.1).
const HTTP: u16 = 80;

/// Adds the rule that redirects browsers to the port of the page. No other program of this host shows a page
/// at an address that portals itself has set up.
pub(super) fn prerouting(rules: &mut Rules, site: &Site) {
    if has_pages(site) {
        add(rules, [TcpPort(HTTP, HTTP), at_own_page()], Redirect(PAGE_PORT));
    }
}

/// Adds the rules that let devices of the portal's LAN reach the page, and refuse everyone else: other local
/// networks may be allowed to reach the LAN.
pub(super) fn input(rules: &mut Rules, site: &Site) {
    if has_pages(site) {
        let port = TcpPort(PAGE_PORT, PAGE_PORT);
        add(rules, [port.clone(), at_own_page()], Accept);
        add(rules, [port, to_in(Family::V4, PAGES)], Reject);
    }
}

/// Adds the sets that the rules of this file look into.
pub(super) fn sets(sets: &mut Sets, site: &Site) {
    let (mut readers, mut pages) = (SortedSet::new(), SortedSet::new());
    for portal in with_page(site) {
        let Some(lan) = portal.address else { continue };
        pages.insert(Cidr::host(lan.address));
        if let Some(interface) = portal.entrance_interface() {
            readers.insert((interface.clone(), lan.address));
        }
    }
    add_set(sets, SetName(READERS.to_owned()), Set::NetworksAtInterfaces(Family::V4, readers));
    add_members(sets, of_family(Family::V4, PAGES), Family::V4, pages);
}

/// Returns the condition on packets to a page, from the LAN of its portal.
fn at_own_page() -> Condition {
    let (family, set) = (Family::V4, SetName(READERS.to_owned()));
    Place(Pairing::FAMILIAR, NetworksAtInterfaces { family, set, length: family.bits() })
}

fn has_pages(site: &Site) -> bool {
    with_page(site).next().is_some()
}

fn with_page(site: &Site) -> impl Iterator<Item = &Portal> {
    site.portals.iter().filter(|portal| portal.page)
}
