//! Connection marks that record the tunnel a connection went into.

use std::slice;

use crate::base::net::Family::V6;
use crate::base::net::{IfName, Mark};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::{
    Action::{Accept, SetConnectionMark},
    Condition::{ConnectionMarked, Family, FromOriginator, FromResponder, Way},
    MarksAtInterfaces, Pairing, Set, SetName,
};
use crate::plan::sets::{
    Rules, Sets, TUNNELS, add, add_interfaces, add_of, add_set, carried, leaving_in, not_by_uplinks,
};
use crate::site::{Site, TABLE_BASE};
use crate::state::{PORTAL_MARKS, TUNNEL_BITS, TUNNEL_NUMBER_BITS, TUNNELED, tunneled};

/// Set of tunnels, with the marks of connections that went into each.
const PAIRS: &str = "ways";

/// Returns the set of tunnels with the marks of their connections, and the bits of the mark that count.
pub(super) fn pairs() -> MarksAtInterfaces {
    MarksAtInterfaces { set: SetName(PAIRS.to_owned()), mask: TUNNEL_BITS }
}

/// Returns the mark of connections that went into a tunnel before marks recorded the tunnel.
pub(super) fn untold() -> Mark {
    Mark { value: TUNNELED.value, mask: TUNNEL_BITS }
}

/// Adds the rule that accepts forwarded packets of a connection that went into a tunnel, on their way into
/// that tunnel.
///
/// The mark proves that our rules let an earlier packet of the connection into this tunnel: [`rules`] sets it
/// at the last hook, where no packet arrives that the rules behind these refuse. So this rule and that on
/// answers open nothing:
/// - A packet of the side that opened the connection leaves into the same tunnel only. Where the file gives a
///   portal another exit, its packets leave elsewhere by the policy rules, and meet all rules. Where no
///   policy rule is left, they leave via the uplink, and meet all rules.
/// - Packets with a forged source are dropped before these rules: see [`ingress`](super::ingress) and
///   [`strays`](super::strays).
/// - An answer has come out of the tunnel that the connection went into, or out of any tunnel if the mark
///   does not tell which: all others are dropped as they come in. It does not leave via an uplink: while a
///   portal's interface is gone, the route to the internet is the only one left for answers.
/// - DHCP opens no connection into a tunnel, because its first packet meets all rules. Answers to a client
///   whose own port is one of DHCP go on.
/// - Two tunnels may share a number where there are more than 15. A connection may go on in the other one.
/// - A mark without the number of a tunnel is not in the set, and neither is one that another program has
///   overwritten: such packets meet all rules.
/// - A connection that another one has announced takes over the mark of that one. Its packets may leave into
///   that tunnel, too, but have the tunnel as their only way.
/// - Only connections of families that the tunnels carry get the mark.
///
/// Packets behind these rules meet the last hook as well.
pub(super) fn going_on(rules: &mut Rules, site: &Site) {
    if !site.tunnels.is_empty() {
        add(rules, [ConnectionMarked(TUNNELED), FromOriginator, Way(Pairing::LEAVING, pairs())], Accept);
    }
}

/// Adds the rule that accepts forwarded answers of such connections: see [`going_on`].
pub(super) fn answers(rules: &mut Rules, site: &Site) {
    if site.tunnels.is_empty() {
        return;
    }
    let back = [FromResponder, ConnectionMarked(TUNNELED)];
    add_of(rules, &[&back, carried(site).as_slice(), &not_by_uplinks(site)], Accept);
}

/// Adds the rule that lets packets out which have their mark already: most packets.
pub(super) fn departing(rules: &mut Rules, site: &Site) {
    if !site.tunnels.is_empty() {
        add(rules, [ConnectionMarked(TUNNELED), Way(Pairing::LEAVING, pairs())], Accept);
    }
}

/// Adds the rules that give a connection the mark of the tunnel that it is opened into. The rules before
/// these accept all packets of connections that have the mark, all answers, and nearly all packets that leave
/// elsewhere. A connection with the mark of a portal keeps that mark, because a portal has one tunnel.
pub(super) fn rules(rules: &mut Rules, site: &Site) {
    if site.tunnels.is_empty() {
        return;
    }
    if !site.carries_ipv6() {
        add(rules, [Family(V6)], Accept);
    }
    let of_portal = ConnectionMarked(Mark { value: PORTAL_MARKS, mask: PORTAL_MARKS });
    // Packets with the mark of a portal also come here on their way elsewhere.
    let mut into_tunnels = None;
    if site.portals.iter().any(|portal| portal.mark().is_some()) {
        into_tunnels = Some(leaving_in(TUNNELS));
        add_of(rules, &[slice::from_ref(&of_portal), into_tunnels.as_slice()], SetConnectionMark(TUNNELED));
    }
    add(rules, [of_portal], Accept);
    let mut mark = Mark { value: TUNNELED.value, mask: TUNNEL_BITS & !PORTAL_MARKS };
    let mut of_some = Rules::new();
    for (name, bit, tunnels) in tunnels_by_bit(site) {
        if tunnels.len() == site.tunnels.len() {
            mark.value |= bit;
        } else {
            add(&mut of_some, [leaving_in(&name)], SetConnectionMark(Mark { value: bit, mask: bit }));
        }
    }
    add_of(rules, &[into_tunnels.as_slice()], SetConnectionMark(mark));
    rules.append(&mut of_some);
}

/// Adds the sets that the rules of this file look into.
pub(super) fn sets(sets: &mut Sets, site: &Site) {
    let mut pairs: SortedSet<(IfName, u32)> =
        numbers(site).into_iter().map(|(tunnel, number)| (tunnel, tunneled(number))).collect();
    for portal in &site.portals {
        if let (Some(mark), Some(tunnel)) = (portal.mark(), portal.exit.interface()) {
            pairs.insert((tunnel.clone(), TUNNELED.value | mark.value));
        }
    }
    add_set(sets, SetName(PAIRS.to_owned()), Set::MarksAtInterfaces(pairs));
    for (name, _, tunnels) in tunnels_by_bit(site) {
        add_interfaces(sets, &name, tunnels);
    }
}

/// Returns the tunnels whose number has a bit, for each bit that is in use, with the names of the sets. Sets
/// and rules for bits are fewer than those for tunnels.
fn tunnels_by_bit(site: &Site) -> Vec<(String, u32, SortedSet<IfName>)> {
    let mut marks = Vec::new();
    for (tunnel, number) in numbers(site) {
        marks.push((tunnel, tunneled(number)));
    }
    by_bit("bit", &marks)
}

/// Returns the owners of marks with a bit of the number in a mark, for each bit that is in use. The names of
/// their sets begin with `name`.
pub(super) fn by_bit<T: Ord + Clone>(name: &str, marks: &[(T, u32)]) -> Vec<(String, u32, SortedSet<T>)> {
    let mut by_bit = Vec::new();
    for (index, bit) in TUNNEL_NUMBER_BITS.iter().enumerate() {
        let with_bit = |(owner, mark): &(T, u32)| (mark & bit != 0).then(|| owner.clone());
        let owners: SortedSet<T> = marks.iter().filter_map(with_bit).collect();
        if !owners.is_empty() {
            by_bit.push((format!("{name}-{index}"), *bit, owners));
        }
    }
    by_bit
}

/// Returns the tunnels' numbers. The numbers follow from the tables, so adding or removing a tunnel leaves
/// the numbers of other tunnels alone.
fn numbers(site: &Site) -> SortedMap<IfName, u8> {
    let tables = site.tunnels.values().map(|tunnel| tunnel.table.map_or(0, |table| table.0 - TABLE_BASE));
    site.tunnels.keys().cloned().zip(spread(tables)).collect()
}

/// Returns a number from 1 to 15 for each table. If two tables would get the same number, the second one gets
/// the next free number; if none is left, they share one.
fn spread(tables: impl Iterator<Item = u32>) -> Vec<u8> {
    const COUNT: u32 = (1 << TUNNEL_NUMBER_BITS.len()) - 1;
    let mut taken = SortedSet::new();
    let number = |table: u32| {
        let mut candidates = (table..table + COUNT).map(|number| number % COUNT + 1);
        let number = candidates.find(|number| !taken.contains(number)).unwrap_or(table % COUNT + 1);
        taken.insert(number);
        u8::try_from(number).expect("four bits")
    };
    tables.map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tunnels_share_a_number_only_where_there_are_none_left() {
        assert_eq!(spread([2, 3, 30].into_iter()), [3, 4, 1]);
        assert_eq!(spread([0, 15, 1].into_iter()), [1, 2, 3], "two tables that would have the same number");
        let mut all = spread(1..=30);
        assert_eq!(all[..15], all[15..], "each number twice");
        all.truncate(15);
        all.sort_unstable();
        assert_eq!(all, (1..=15).collect::<Vec<u8>>());
    }

    #[test]
    fn marks_of_tunnels_differ_and_are_not_marks_of_portals() {
        let marks: SortedSet<u32> = (1..=15).map(tunneled).collect();
        assert_eq!(marks.len(), 15);
        assert!(marks.iter().all(|mark| mark & PORTAL_MARKS == 0 && mark & !TUNNEL_BITS == 0));
        assert!(!marks.contains(&untold().value));
    }
}
