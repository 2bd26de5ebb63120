//! Phones that leave at another exit than the site that they dial: the policy rules that lead there, and the
//! filter rules that keep the phones on that way. Phones that leave at this site are guests like the guests
//! of any peer.

use crate::base::net::{Cidr, Family, IfName};
use crate::firewall::Action::{Accept, Reject};
use crate::plan::priorities::{DEVICES, into, skip};
use crate::plan::sets::{
    Rules, Sets, TUNNELS, add, add_networks, add_of, coming, coming_in, from, from_in, leaving, leaving_in,
    of_family, to, to_in,
};
use crate::site::{Exit, Site, SitePhone};
use crate::state::{Rule, Selector};

/// Set of networks that linked sites share.
const FAR_LANS: &str = "far-lans";
/// Set of addresses of phones.
const PHONES: &str = "phones";

/// Adds the policy rules that lead phones to their exits, and refuse traffic that an exit does not take.
pub(super) fn rules(rules: &mut Vec<Rule>, site: &Site) {
    for (interface, phone, own) in leaving_elsewhere(site) {
        let entering = Selector { incoming: Some(interface.clone()), from: Some(own), ..Selector::default() };
        for network in shared(site, own.family()) {
            rules.push(skip(&entering, network));
        }
        into(rules, site, &[], &entering, DEVICES, phone.exit.table());
    }
}

/// Adds the filter rules that allow only the ways of the policy rules, even while the policy rules are
/// gone. WireGuard vouches for the source address.
pub(super) fn forward(rules: &mut Rules, site: &Site) {
    to_far_lans(rules, site);
    for (interface, phone, own) in leaving_elsewhere(site) {
        let entering = [coming(interface), from(own)];
        for network in shared(site, own.family()) {
            add_of(rules, &[&entering, &[to(network)]], Accept);
        }
        for exit in site.exit_interfaces(&phone.exit) {
            add_of(rules, &[&entering, &[leaving(exit)]], Accept);
        }
        add(rules, entering, Reject);
    }
}

/// Adds the rules that let all phones reach the networks that linked sites share.
fn to_far_lans(rules: &mut Rules, site: &Site) {
    let mut sets = Sets::new();
    self::sets(&mut sets, site);
    for family in site.carried() {
        if sets.contains_key(&of_family(family, FAR_LANS)) {
            let way =
                [coming_in(TUNNELS), from_in(family, PHONES), to_in(family, FAR_LANS), leaving_in(TUNNELS)];
            add(rules, way, Accept);
        }
    }
}

/// Adds the sets that these rules look into; none if they are not needed.
pub(super) fn sets(sets: &mut Sets, site: &Site) {
    let mut phones = Vec::new();
    for (_, _, phone) in site.phones() {
        phones.extend(&phone.peer.networks);
    }
    let lans = far_lans(site);
    if !phones.is_empty() && !lans.is_empty() {
        add_networks(sets, site, FAR_LANS, &lans);
        add_networks(sets, site, PHONES, &phones);
    }
}

/// Returns the phones that leave at another site, once for each of their addresses.
fn leaving_elsewhere(site: &Site) -> Vec<(&IfName, &SitePhone, Cidr)> {
    let mut all = Vec::new();
    for (interface, _, phone) in site.phones().filter(|(_, _, phone)| phone.exit != Exit::Direct) {
        for own in &phone.peer.networks {
            all.push((interface, phone, *own));
        }
    }
    all
}

/// Returns the networks of a family that this site and linked sites share, as packets of phones meet them in
/// routing: the phones reach them too.
fn shared(site: &Site, family: Family) -> Vec<Cidr> {
    let mut networks: Vec<Cidr> = site.own_lans().collect();
    networks.extend(far_lans(site));
    networks.retain(|network| network.family() == family);
    networks
}

fn far_lans(site: &Site) -> Vec<Cidr> {
    let mut lans = Vec::new();
    for of_site in site.far_lans.values() {
        lans.extend(of_site);
    }
    lans
}
