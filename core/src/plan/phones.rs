//! Phones that leave at another exit than the site that they dial: the policy rules that lead there, and the
//! filter rules that keep the phones on that way. Phones that leave at this site are guests like the guests
//! of any peer.

use crate::base::net::{Cidr, Family, IfName};
use crate::base::sorted::SortedMap;
use crate::firewall::FirewallRule as Filter;
use crate::firewall::{
    Action::{Accept, Reject},
    Condition::{Destination, Incoming, Outgoing, Source},
    Interfaces, Networks, Set, SetName,
};
use crate::plan::priorities::{DEVICES, into, skip};
use crate::plan::sets::{network_sets, networks_in, of_family, rule, tunnels};
use crate::site::{Exit, Site, SitePhone};
use crate::state::{Rule, Selector};

/// Set of networks that linked sites share.
const FAR_LANS: &str = "far-lans";
/// Set of addresses of phones.
const PHONES: &str = "phones";

/// Returns the policy rules that lead phones to their exits, and refuse traffic that an exit does not take.
pub(super) fn rules(site: &Site) -> impl Iterator<Item = Rule> {
    leaving_elsewhere(site).flat_map(|(interface, phone, own)| {
        let entering = Selector { incoming: Some(interface.clone()), from: Some(own), ..Selector::default() };
        let shared = shared(site, own.family()).map(|network| skip(&entering, network));
        shared.chain(into(site, &[], &entering, DEVICES, phone.exit.table())).collect::<Vec<_>>()
    })
}

/// Returns the filter rules that allow only the ways of the policy rules, even while the policy rules are
/// gone. WireGuard vouches for the source address.
pub(super) fn forward(site: &Site) -> Vec<Filter> {
    let mut filters = to_far_lans(site);
    for (interface, phone, own) in leaving_elsewhere(site) {
        let entering = [Incoming(Interfaces::One(interface.clone())), Source(Networks::One(own))];
        let shared = shared(site, own.family()).map(|network| Destination(Networks::One(network)));
        let exit = site.exit_interfaces(&phone.exit).cloned();
        let exit = exit.map(|exit| Outgoing(Interfaces::One(exit)));
        let open = shared.chain(exit).map(|way| rule(entering.iter().cloned().chain([way]), Accept));
        filters.extend(open);
        filters.push(rule(entering, Reject));
    }
    filters
}

/// Returns the rules that let all phones reach the networks that linked sites share.
fn to_far_lans(site: &Site) -> Vec<Filter> {
    let sets = sets(site);
    let reach = |family| {
        let way = [
            Incoming(tunnels()),
            Source(networks_in(family, PHONES)),
            Destination(networks_in(family, FAR_LANS)),
        ];
        rule(way.into_iter().chain([Outgoing(tunnels())]), Accept)
    };
    let is_needed = |family: &Family| sets.contains_key(&of_family(*family, FAR_LANS));
    site.carried().filter(is_needed).map(reach).collect()
}

/// Returns the sets that these rules look into; none if they are not needed.
pub(super) fn sets(site: &Site) -> SortedMap<SetName, Set> {
    let phones: Vec<Cidr> =
        site.phones().flat_map(|(_, _, phone)| phone.peer.networks.iter().copied()).collect();
    let lans: Vec<Cidr> = site.far_lans.values().flatten().copied().collect();
    if phones.is_empty() || lans.is_empty() {
        return SortedMap::new();
    }
    network_sets(site, &[(FAR_LANS, lans), (PHONES, phones)])
}

/// Returns the phones that leave at another site, once for each of their addresses.
fn leaving_elsewhere(site: &Site) -> impl Iterator<Item = (&IfName, &SitePhone, Cidr)> {
    let phones = site.phones().filter(|(_, _, phone)| phone.exit != Exit::Direct);
    phones
        .flat_map(|(interface, _, phone)| phone.peer.networks.iter().map(move |own| (interface, phone, *own)))
}

/// Returns the networks of a family that this site and linked sites share, as packets of phones meet them in
/// routing: the phones reach them too.
fn shared(site: &Site, family: Family) -> impl Iterator<Item = Cidr> {
    let networks = site.own_lans().chain(site.far_lans.values().flatten().copied());
    networks.filter(move |network| network.family() == family)
}
