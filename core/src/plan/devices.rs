//! Portals of devices that take everything the devices send. Sets hold the devices of all these portals, each
//! with its way out, so the number of rules does not grow with the number of portals. Portals that take only
//! some ports or destinations, and devices that leave directly, have rules of their own.

use std::ops::Range;

use crate::base::net::{Cidr, Family, IfName, Mac};
use crate::base::sorted::SortedSet;
use crate::firewall::{
    Action::{Accept, Reject},
    Condition::{self, Device, Family as Of, Place, Way},
    Devices, MarksAtInterfaces, NetworksAtInterfaces, Pairing, Set, SetName,
};
use crate::plan::classifier;
use crate::plan::ingress::{by_length, of_length};
use crate::plan::sets::{Rules, Sets, add, add_members, add_set, disjoint, from_in, of_family};
use crate::site::{Entrance, Exit, Portal, Site};
use crate::state::portal_mark;

/// Set of devices that the file names by their addresses.
const ADDRESSES: &str = "device-addresses";
/// Set of devices that the file names by their hardware addresses.
pub(super) const NAMED: &str = "device-macs";
/// Set of devices whose IPv6 enters no exit.
const WITHOUT_IPV6: &str = "device-macs6";
/// Kind of the sets of ways out, by the source.
const WAYS: &str = "device-ways";
/// Set of ways out, by the mark of the portal of devices that the file names by their hardware addresses.
const WAYS_BY_MARK: &str = "device-marks-ways";

/// Adds the rules for forwarded packets: devices reach what is exempt from their portals, and everything else
/// only at their exits.
pub(super) fn forward(rules: &mut Rules, site: &Site) {
    for family in site.carried() {
        for who in entering(site, family) {
            classifier::exempt_networks(rules, site, &who, family);
        }
        for portal in whole(site) {
            classifier::excepted(rules, portal, family);
        }
    }
    // Devices have more IPv6 addresses than those that the file names.
    let is_last = site.carries_ipv6();
    if !is_last {
        refuse_ipv6(rules, site);
    }
    let (of_sources, of_marks) = ways(site);
    let mut all = Vec::new();
    for family in site.carried() {
        for (length, _) in by_length(&of_sources, family) {
            let set = of_length(WAYS, family, length);
            add(rules, [Place(Pairing::LEAVING, NetworksAtInterfaces { family, set, length })], Accept);
        }
        for who in entering(site, family) {
            if !all.contains(&who) {
                all.push(who);
            }
        }
    }
    if !of_marks.is_empty() {
        let set = SetName(WAYS_BY_MARK.to_owned());
        let ways = MarksAtInterfaces { set, mask: portal_mark(0).mask };
        add(rules, [Way(Pairing::LEAVING, ways)], Accept);
    }
    for who in all {
        add(rules, [who], Reject);
    }
    if is_last {
        refuse_ipv6(rules, site);
    }
}

/// Returns the conditions on packets of a family from these devices.
pub(super) fn entering(site: &Site, family: Family) -> Vec<Condition> {
    let mut entering = Vec::new();
    if !sources(site, family).is_empty() {
        entering.push(from_in(family, ADDRESSES));
    }
    if !named(site).is_empty() {
        entering.push(Device(Devices::In(SetName(NAMED.to_owned()))));
    }
    entering
}

/// Returns the condition on devices that the file names by their IPv4 addresses, if some are known by their
/// hardware addresses. Other devices whose IPv6 enters no exit meet it, too.
pub(super) fn named_by_ipv4(site: &Site) -> Option<Condition> {
    for portal in whole(site) {
        if matches!(portal.entrance, Entrance::From(_)) && !classifier::devices(site, portal).is_empty() {
            return Some(without_ipv6());
        }
    }
    None
}

fn without_ipv6() -> Condition {
    Device(Devices::In(SetName(WITHOUT_IPV6.to_owned())))
}

/// Adds the sets that the rules look into.
pub(super) fn sets(sets: &mut Sets, site: &Site) {
    let (of_sources, of_marks) = ways(site);
    for family in site.carried() {
        add_members(sets, of_family(family, ADDRESSES), family, sources(site, family));
        for (length, places) in by_length(&of_sources, family) {
            add_set(sets, of_length(WAYS, family, length), Set::NetworksAtInterfaces(family, places));
        }
    }
    add_set(sets, SetName(NAMED.to_owned()), Set::Devices(named(site)));
    add_set(sets, SetName(WITHOUT_IPV6.to_owned()), Set::Devices(devices_without_ipv6(site)));
    add_set(sets, SetName(WAYS_BY_MARK.to_owned()), Set::MarksAtInterfaces(of_marks));
}

/// Adds the rules that refuse IPv6 of devices which no exit takes.
fn refuse_ipv6(rules: &mut Rules, site: &Site) {
    if devices_without_ipv6(site).is_empty() || !site.host.ipv6 {
        return;
    }
    let who = without_ipv6();
    classifier::allow_local(rules, site, &who, Family::V6);
    add(rules, [Of(Family::V6), who], Reject);
}

/// Returns the places in the list of portals between which this file has the rules of all portals of
/// devices. No other portal of devices is between these, so that its rules keep their place. A device can be
/// in two portals, once by its address and once by its hardware address: its mark then leads it to the exit
/// of the second one, which is one of its ways.
pub(super) fn places(site: &Site) -> Range<usize> {
    let mut places = 0..0;
    for (place, portal) in site.portals.iter().enumerate() {
        if !classifier::has_devices(portal) {
            continue;
        }
        if portal.takes_all() && portal.exit != Exit::Direct {
            places = if places.is_empty() { place..place + 1 } else { places.start..place + 1 };
        } else if !places.is_empty() {
            break;
        }
    }
    places
}

/// Returns the portals whose rules are in this file, in their order.
pub(super) fn whole(site: &Site) -> Vec<&Portal> {
    let mut whole = Vec::new();
    for portal in &site.portals[places(site)] {
        if classifier::has_devices(portal) {
            whole.push(portal);
        }
    }
    whole
}

/// Returns the sources of a family.
fn sources(site: &Site, family: Family) -> SortedSet<Cidr> {
    let mut all = Vec::new();
    for portal in whole(site) {
        if let Entrance::From(sources) = &portal.entrance {
            all.extend(sources.iter().copied());
        }
    }
    disjoint(family, &all)
}

fn named(site: &Site) -> SortedSet<Mac> {
    let mut named = SortedSet::new();
    for portal in whole(site) {
        if let Entrance::Mac { devices, .. } = &portal.entrance {
            named.extend(devices.iter().copied());
        }
    }
    named
}

/// Returns the devices whose IPv6 enters no exit: where the tunnels carry IPv6, only those that the file
/// names by their addresses.
fn devices_without_ipv6(site: &Site) -> SortedSet<Mac> {
    let mut devices = SortedSet::new();
    for portal in whole(site) {
        if !site.carries_ipv6() || matches!(portal.entrance, Entrance::From(_)) {
            devices.extend(classifier::devices(site, portal).iter().copied());
        }
    }
    devices
}

/// Interfaces by which packets may leave, each with a property of those packets.
type Ways<T> = SortedSet<(IfName, T)>;

/// Returns the ways out: of sources, and of packets with the marks of portals.
fn ways(site: &Site) -> (Ways<Cidr>, Ways<u32>) {
    let (mut of_sources, mut of_marks) = (SortedSet::new(), SortedSet::new());
    for portal in whole(site) {
        for exit in site.exit_interfaces(&portal.exit) {
            if let Entrance::From(sources) = &portal.entrance {
                of_sources.extend(sources.iter().map(|source| (exit.clone(), *source)));
            } else if let Some(mark) = portal.mark() {
                of_marks.insert((exit.clone(), mark.value));
            }
        }
    }
    (of_sources, of_marks)
}
