//! Chains of other sites that go on from here: the policy rules that lead their traffic to the next hop, and
//! the filter rules that keep it on that way. The source tells the chain, and WireGuard vouches for it. The
//! last hop of a chain needs no such rules: there, the traffic is that of a guest.

use crate::base::net::{Cidr, Family, IfName};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::{
    Action::{Accept, Reject},
    Condition::Source,
    Networks, SetName,
};
use crate::plan::priorities::{DEVICES, into, skip};
use crate::plan::sets::{Rules, Sets, add, add_members, add_of, coming, leaving, to};
use crate::site::{Relay, Site};
use crate::state::{Rule, Selector};

/// Ways through this site, by the interfaces of the previous and the next hop, with their sources of one
/// family.
type Ways<'a> = SortedMap<(&'a IfName, &'a IfName, Family), SortedSet<Cidr>>;

/// Adds the policy rules that lead each source to its next hop, and refuse traffic that the next hop does
/// not take.
pub(super) fn rules(rules: &mut Vec<Rule>, site: &Site) {
    for Relay { source, incoming, table, .. } in &site.relays {
        let coming =
            Selector { incoming: Some(incoming.clone()), from: Some(*source), ..Selector::default() };
        for network in shared(site, source.family()) {
            rules.push(skip(&coming, network));
        }
        into(rules, site, &[], &coming, DEVICES, Some(*table));
    }
}

/// Adds the filter rules that allow only the ways of the policy rules, even while the policy rules are
/// gone.
pub(super) fn forward(rules: &mut Rules, site: &Site) {
    for (number, ((incoming, outgoing, family), _)) in ways(site).into_iter().enumerate() {
        let entering = [coming(incoming), Source(Networks::In(family, sources(number)))];
        for network in shared(site, family) {
            add_of(rules, &[&entering, &[to(network)]], Accept);
        }
        add_of(rules, &[&entering, &[leaving(outgoing)]], Accept);
        add(rules, entering, Reject);
    }
}

/// Adds the sets that the rules of this file look into.
pub(super) fn sets(sets: &mut Sets, site: &Site) {
    for (number, ((_, _, family), of_way)) in ways(site).into_iter().enumerate() {
        add_members(sets, sources(number), family, of_way);
    }
}

/// Returns the networks of a family that this site shares. Networks of other sites lie on the way of the
/// chain, or not at all.
fn shared(site: &Site, family: Family) -> impl Iterator<Item = Cidr> {
    site.own_lans().filter(move |network| network.family() == family)
}

fn ways(site: &Site) -> Ways<'_> {
    let mut ways = Ways::new();
    for relay in &site.relays {
        let way = (&relay.incoming, &relay.outgoing, relay.source.family());
        ways.get_or_default(way).insert(relay.source);
    }
    ways
}

fn sources(number: usize) -> SetName {
    SetName(format!("relayed-{}", number + 1))
}
