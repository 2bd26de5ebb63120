//! Names of sets that several parts of the firewall share, and builders of rules.

use crate::base::net::{Cidr, Family, IfName, Mark, special_purpose};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::{Action, Chain, Condition, FirewallRule, Interfaces, Networks, Set, SetName};
use crate::site::{Exit, Site};

/// Set of all tunnels.
pub(super) const TUNNELS: &str = "tunnels";
/// Set of the tunnels that lead to providers.
pub(super) const PROVIDERS: &str = "providers";
/// Set of interfaces all of whose traffic enters a portal.
pub(super) const ENTRANCES: &str = "entrances";
/// Set of addresses of resolvers whose queries must not leave via the site's own uplink.
pub(super) const RESOLVERS: &str = "resolvers";
/// Set of the host's addresses where its own resolver may answer.
pub(super) const OWN: &str = "own";
/// Set of networks that belong to our sites and phones.
pub(super) const NETWORK: &str = "network";
/// Set of interfaces that lead to everything that portals guard: the tunnels, and the loopback interface for
/// the host itself.
pub(super) const INNER: &str = "inner";
/// Set of sources that leave via this site's uplink under its address.
pub(super) const INSIDE: &str = "inside";

/// Rules of a chain, in the order in which packets meet them. Functions add to the list of their caller,
/// which costs less code than to return a list.
pub(super) type Rules = Vec<FirewallRule>;

/// Sets by name.
pub(super) type Sets = SortedMap<SetName, Set>;

/// Function that adds rules to a chain.
pub(super) type Part = fn(&mut Rules, &Site);

/// Returns the rules that these functions add to each chain, apart from chains without rules.
pub(super) fn in_chains(parts: &[(Chain, &[Part])], site: &Site) -> SortedMap<Chain, Rules> {
    let mut chains = SortedMap::new();
    for (chain, parts) in parts {
        let mut rules = Rules::new();
        for part in *parts {
            part(&mut rules, site);
        }
        if !rules.is_empty() {
            chains.insert(*chain, rules);
        }
    }
    chains
}

/// Adds a rule with its conditions in the right order.
pub(super) fn add(rules: &mut Rules, conditions: impl Into<Vec<Condition>>, action: Action) {
    add_in_order(rules, conditions.into(), action);
}

/// Adds a rule from lists of conditions, which costs less code than a chain of iterators at each caller.
pub(super) fn add_of(rules: &mut Rules, parts: &[&[Condition]], action: Action) {
    add_in_order(rules, parts.concat(), action);
}

/// Adds a rule. Separate from [`add`], because each type of list would otherwise get a copy of the code.
fn add_in_order(rules: &mut Rules, mut conditions: Vec<Condition>, action: Action) {
    // The condition on a device goes last. No rule has two of them.
    let is_about_device = |condition: &Condition| matches!(condition, Condition::Device(_));
    if let Some(at) = conditions.iter().position(is_about_device) {
        let device = conditions.remove(at);
        conditions.push(device);
    }
    rules.push(FirewallRule { conditions, action });
}

/// Replaces looks into sets with a single interface, or with a single pair with an interface, by comparisons,
/// which take half the time.
pub(super) fn compare_single(rules: &mut Rules, sets: &Sets) {
    for FirewallRule { conditions, .. } in rules {
        for place in 0..conditions.len() {
            let condition = &mut conditions[place];
            let set = condition.set().and_then(|name| sets.get(name));
            let Some(set) = set.filter(|set| set.len() == 1) else { continue };
            match (set, &*condition) {
                (Set::Interfaces(names), _) => {
                    *condition = condition.with_interfaces(Interfaces::One(names.as_slice()[0].clone()));
                }
                (Set::InterfacePairs(pairs), _) => {
                    let (from, to) = &pairs.as_slice()[0];
                    *condition = coming(from);
                    conditions.push(leaving(to));
                }
                (Set::MarksAtInterfaces(pairs), Condition::Way(pairing, ways)) if !pairing.negated => {
                    let ((name, value), mask) = (&pairs.as_slice()[0], ways.mask);
                    *condition = if pairing.outgoing { leaving(name) } else { coming(name) };
                    // Where the rule asks for a mark already, the mark of the pair is narrower.
                    let marked = Condition::ConnectionMarked(Mark { value: *value, mask });
                    let wider = |other: &Condition| matches!(other, Condition::ConnectionMarked(_));
                    match conditions.iter().position(wider) {
                        Some(place) => conditions[place] = marked,
                        None => conditions.insert(place, marked),
                    }
                    break;
                }
                _ => {}
            }
        }
    }
}

/// Returns the condition on packets that come in on an interface.
pub(super) fn coming(interface: &IfName) -> Condition {
    Condition::Incoming(Interfaces::One(interface.clone()))
}

/// Returns the condition on packets that go out on an interface.
pub(super) fn leaving(interface: &IfName) -> Condition {
    Condition::Outgoing(Interfaces::One(interface.clone()))
}

/// Returns the conditions on packets that do not leave via an uplink.
pub(super) fn not_by_uplinks(site: &Site) -> Vec<Condition> {
    let mut conditions = Vec::new();
    for uplink in site.uplinks() {
        conditions.push(Condition::NotOutgoing(Interfaces::One(uplink.clone())));
    }
    conditions
}

/// Returns the condition on packets from a network.
pub(super) fn from(network: Cidr) -> Condition {
    Condition::Source(Networks::One(network))
}

/// Returns the condition on packets to a network.
pub(super) fn to(network: Cidr) -> Condition {
    Condition::Destination(Networks::One(network))
}

/// Returns the condition on packets that come in on an interface in the set of this name.
pub(super) fn coming_in(set: &str) -> Condition {
    Condition::Incoming(in_set(set))
}

/// Returns the condition on packets that go out on an interface in the set of this name.
pub(super) fn leaving_in(set: &str) -> Condition {
    Condition::Outgoing(in_set(set))
}

/// Returns the condition on packets from networks of one family in the set of this name.
pub(super) fn from_in(family: Family, set: &str) -> Condition {
    Condition::Source(networks_in(family, set))
}

/// Returns the condition on packets to networks of one family in the set of this name.
pub(super) fn to_in(family: Family, set: &str) -> Condition {
    Condition::Destination(networks_in(family, set))
}

/// Returns the interfaces in the set of this name.
pub(super) fn in_set(name: &str) -> Interfaces {
    Interfaces::In(SetName(name.to_owned()))
}

/// Returns the networks of one family in the set of this name.
pub(super) fn networks_in(family: Family, name: &str) -> Networks {
    Networks::In(family, of_family(family, name))
}

/// Returns the name of the set with the networks of one family; the set for IPv4 has the plain name.
pub(super) fn of_family(family: Family, name: &str) -> SetName {
    SetName(if family == Family::V4 { name.to_owned() } else { format!("{name}6") })
}

/// Adds a set, if it has members.
pub(super) fn add_set(sets: &mut Sets, name: SetName, set: Set) {
    if set.len() > 0 {
        sets.insert(name, set);
    }
}

/// Adds a set of networks of one family, if it has members.
pub(super) fn add_members(sets: &mut Sets, name: SetName, family: Family, members: SortedSet<Cidr>) {
    let has_larger = members.iter().any(|network| network.length() < family.bits());
    add_set(sets, name, Set::Networks(family, has_larger, members));
}

/// Adds a set of interfaces, if it has members.
pub(super) fn add_interfaces(sets: &mut Sets, name: &str, interfaces: SortedSet<IfName>) {
    add_set(sets, SetName(name.to_owned()), Set::Interfaces(interfaces));
}

/// Adds the sets of these networks that have members, one for each family that the tunnels carry.
pub(super) fn add_networks(sets: &mut Sets, site: &Site, name: &str, networks: &[Cidr]) {
    for family in site.carried() {
        add_members(sets, of_family(family, name), family, disjoint(family, networks));
    }
}

/// Returns the condition that keeps a rule to IPv4, unless the tunnels carry IPv6 as well.
pub(super) fn carried(site: &Site) -> Option<Condition> {
    (!site.carries_ipv6()).then_some(Condition::Family(Family::V4))
}

/// Returns the networks of one family, without those that another network in the list covers.
pub(super) fn disjoint(family: Family, networks: &[Cidr]) -> SortedSet<Cidr> {
    let mut all = SortedSet::new();
    for network in networks {
        if network.family() == family {
            all.insert(*network);
        }
    }
    // Sorted by address and then by length, a network comes after the one that covers it, with only covered
    // networks between.
    let mut last: Option<Cidr> = None;
    all.retain(|network| {
        let covered = last.is_some_and(|outer| outer.covers(*network));
        if !covered {
            last = Some(*network);
        }
        !covered
    });
    all
}

/// Returns the families that the tunnels carry, and that some of these networks have.
pub(super) fn families_of(site: &Site, networks: &[Cidr]) -> Vec<Family> {
    site.carried().filter(|family| networks.iter().any(|network| network.family() == *family)).collect()
}

/// Returns the networks that are not the internet. The exit's own computers, which no guest reaches, are on
/// one of them, and so are devices of portals.
pub(super) fn private(site: &Site) -> Vec<Cidr> {
    let mut private: Vec<Cidr> = site.host.uplink_networks.iter().copied().collect();
    private.extend(&site.host.local_networks);
    for family in site.carried() {
        private.extend(special_purpose(family));
    }
    private
}

/// Returns the members of the set [`RESOLVERS`].
pub(super) fn resolvers(site: &Site) -> Vec<Cidr> {
    let elsewhere = site.portals.iter().filter(|portal| portal.exit != Exit::Direct);
    let mut resolvers = Vec::new();
    for portal in elsewhere {
        resolvers.extend(portal.resolver().map(Cidr::host));
    }
    resolvers
}
