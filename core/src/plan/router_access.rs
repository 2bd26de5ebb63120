//! Access of portals' devices to this router itself: DHCP, names and a ping, and nothing else where the portal is not open to it.

use super::entering;
use super::firewall::{disjoint, in_set, networks_in, rule};
use super::names::{self, DNS};
use super::routing::sent_here;
use crate::base::net::{Cidr, Family, IfName, Mac};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::xtables::{Ruleset, Target};
use crate::firewall::{
    Action::{Accept, Reject},
    Condition::{
        self, Device, Established, Family as Of, Icmp, Incoming, NotDestination, Opening, Source, UdpPort,
    },
    Devices, Firewall, Interfaces, Rule, Set, SetName,
};
use crate::site::{Entrance, Portal, RESOLVER_PORT, Served, Site};
use crate::state::diff::Step;

/// The set of interfaces whose devices do not reach all of this router.
const VISITORS: &str = "visitors";
/// The set of addresses that such devices have on a LAN that exists already.
const VISITING: &str = "visiting";
/// The set of hardware addresses of such devices.
const VISITING_MAC: &str = "visiting-mac";
/// The set of hardware addresses of those that are told by their IPv4 addresses.
const VISITING6: &str = "visiting6-mac";
/// The set of addresses of this host that it answers a ping at there.
const VISITED: &str = "visited";

/// Ports of DHCP servers (RFC 2131 § 4.1, RFC 8415 § 7.2).
const DHCP: [(Family, u16); 2] = [(Family::V4, 67), (Family::V6, 547)];

/// The rules about what is addressed to this host.
pub(super) fn input(site: &Site) -> Vec<Rule> {
    let device = |set: &str| Device(Devices::In(SetName(set.to_owned())));
    let mut rules = Vec::new();
    if !interfaces(site).is_empty() {
        let elsewhere = NotDestination(networks_in(VISITED));
        rules.extend(access(site, &Incoming(in_set(VISITORS)), None, Some(elsewhere)));
    }
    let mut of_devices = Vec::new();
    if !sources(site).is_empty() {
        of_devices.extend(access(site, &Source(networks_in(VISITING)), Some(Family::V4), None));
    }
    if !devices(site, is_by_mac).is_empty() {
        of_devices.extend(access(site, &device(VISITING_MAC), None, None));
    }
    // Who is told by an IPv4 address may have others.
    if !devices(site, is_by_address).is_empty() {
        of_devices.extend(access(site, &device(VISITING6), Some(Family::V6), None));
    }
    if !of_devices.is_empty() {
        // This host's own address can be among those.
        rules.push(rule([Incoming(Interfaces::One(sent_here()))], Accept));
    }
    rules.extend(of_devices);
    rules
}

/// The sets that those look at.
pub(super) fn sets(site: &Site) -> SortedMap<SetName, Set> {
    let addresses = visitors(site).filter(|portal| portal.entrance_interface().is_some());
    let addresses = addresses.filter_map(|portal| Some(Cidr::host(portal.address?.address))).collect();
    let networks = |networks| Set::Networks(Family::V4, networks);
    let sets = [
        (VISITORS, Set::Interfaces(interfaces(site))),
        (VISITED, networks(addresses)),
        (VISITING, networks(sources(site))),
        (VISITING_MAC, Set::Devices(devices(site, is_by_mac))),
        (VISITING6, Set::Devices(devices(site, is_by_address))),
    ];
    sets.into_iter()
        .filter(|(_, set)| set.len() > 0)
        .map(|(name, set)| (SetName(name.to_owned()), set))
        .collect()
}

/// Warnings for people who may be managing this router from a portal that these steps close to them.
pub fn closing(site: &Site, steps: &[Step]) -> Vec<String> {
    let closed = visitors(site).filter(|portal| {
        let Some(interface) = portal.entrance_interface() else { return false };
        let is_new = matches!(portal.entrance, Entrance::Vlan(_) | Entrance::Wifi { .. })
            && steps.iter().any(|step| matches!(step, Step::AddAddress(name, _) if name == interface));
        !is_new && steps.iter().any(|step| is_closed_by(step, interface))
    });
    let told = closed.map(|portal| {
        format!(
            "portal `{}`: devices there will no longer reach this router's own services (ssh, web), but for DHCP, DNS and ping: \
             write `router = true` if you manage it from there",
            portal.name
        )
    });
    told.collect()
}

fn is_closed_by(step: &Step, interface: &IfName) -> bool {
    match step {
        Step::ChangeFirewall { from, to } => {
            let closed = |firewall: &Option<Firewall>| {
                let set = firewall.as_ref().and_then(|found| found.sets.get(&SetName(VISITORS.to_owned())));
                matches!(set, Some(Set::Interfaces(names)) if names.contains(interface))
            };
            closed(to) && !closed(from)
        }
        Step::ChangeIptables { from, to, .. } => refuses(to, interface) && !refuses(from, interface),
        _ => false,
    }
}

/// Tells whether these rules refuse in the end what comes in there for this host.
fn refuses(rules: &Ruleset, interface: &IfName) -> bool {
    let all = [Incoming(Interfaces::One(interface.clone()))];
    let input = format!("{}INPUT", crate::firewall::xtables::CHAIN_PREFIX);
    let chains = rules.values().flat_map(|content| content.chains.iter());
    let mut lines = chains.filter(|(name, _)| name.starts_with(&input)).flat_map(|(_, lines)| lines);
    lines.any(|line| line.conditions == all && line.target == Target::Do(Reject))
}

/// The rules for what `who` may ask of this host, be it in one family alone, and the refusal of all else: also of a connection that was opened before.
fn access(site: &Site, who: &Condition, only: Option<Family>, not_pinged: Option<Condition>) -> Vec<Rule> {
    let speaks =
        |family: Family| only.is_none_or(|only| only == family) && (family == Family::V4 || site.ipv6);
    // An address tells the family.
    let of = only.filter(|_| !matches!(who, Source(_))).map(Of);
    let who = |more: Option<Condition>| [Some(who.clone()), of.clone(), more].into_iter().flatten();
    let dhcp = DHCP.into_iter().filter(|(family, _)| speaks(*family)).map(|(_, port)| UdpPort(port, port));
    let served = dhcp.chain(names::at(DNS)).chain(names::at(RESOLVER_PORT));
    let mut rules: Vec<Rule> = served.map(|port| rule(who(Some(port)), Accept)).collect();
    if let Some(elsewhere) = not_pinged {
        rules.push(rule(who(Some(Opening)).chain([elsewhere, Icmp(Family::V4)]), Reject));
    }
    // IPv6 neighbours find each other by ICMP.
    for family in [Family::V4, Family::V6].into_iter().filter(|family| speaks(*family)) {
        let who = who(None).filter(|condition| !matches!(condition, Of(_)));
        rules.push(rule(who.chain([Icmp(family)]), Accept));
    }
    rules.push(rule(who(Some(Opening)), Reject));
    rules.push(rule(who(Some(Established)), Accept));
    rules.push(rule(who(None), Reject));
    rules
}

fn visitors(site: &Site) -> impl Iterator<Item = &Portal> {
    site.portals.iter().filter(|portal| portal.router == Served::Basics)
}

fn interfaces(site: &Site) -> SortedSet<IfName> {
    visitors(site).filter_map(Portal::entrance_interface).cloned().collect()
}

fn sources(site: &Site) -> SortedSet<Cidr> {
    let all = visitors(site).filter_map(|portal| match &portal.entrance {
        Entrance::From(sources) => Some(sources),
        _ => None,
    });
    disjoint(Family::V4, all.flatten().copied())
}

fn devices(site: &Site, told: fn(&Entrance) -> bool) -> SortedSet<Mac> {
    let told = visitors(site).filter(|portal| told(&portal.entrance));
    told.flat_map(|portal| entering::devices(site, portal)).collect()
}

fn is_by_mac(entrance: &Entrance) -> bool {
    matches!(entrance, Entrance::Mac(_))
}

fn is_by_address(entrance: &Entrance) -> bool {
    matches!(entrance, Entrance::From(_))
}
