//! Portals of devices and of ports. Policy rules cannot match the properties that identify their traffic, so
//! the firewall marks the traffic that enters, and the policy rules match the mark.
//!
//! This works under strict `rp_filter` in three parts. First, packets are marked as they come in, and their
//! connection with them. Second, an answer out of the tunnel gets the mark of its connection before routing,
//! and `src_valid_mark` on the tunnel makes the reverse-path check include the mark. Third, an answer does
//! not enter the portal again, although it carries the mark. Each portal has its own mark, so that failover
//! to another exit changes only policy rules.

use std::slice;

use crate::base::net::{Cidr, Family, IfName, Mac, Mark, Priority};
use crate::base::sorted::SortedSet;
use crate::firewall::{
    Action::{Accept, Drop, SetConnectionMark, SetMark},
    Condition::{
        self, ConnectionMarked, Device, Family as Of, FromOriginator, FromResponder, Icmp, Marked,
        NotDestination, NotMarked, NotOutgoing,
    },
    Devices, Networks, Set, SetName,
};
use crate::plan::priorities::{ALLOWED, DEVICES, END, ENTRANCES, into, loopback};
use crate::plan::sets::{
    INNER, Rules, Sets, TUNNELS, add, add_members, add_of, add_set, carried, coming, coming_in, disjoint,
    from, in_set, of_family, to,
};
use crate::plan::{classifier, connection_marks, devices, dns, exempt, inbound};
use crate::site::{Entrance, Exit, ExitProbe, Portal, Site, Vlan, families};
use crate::state::{
    PORTAL_MARKS, Rule, RuleAction, Selector, TUNNEL_MARK, TUNNEL_NUMBER_BITS, TUNNELED, portal_mark,
};

/// Adds the policy rules that lead packets with the mark of a portal to an exit, and refuse packets that
/// the exit does not take.
pub(super) fn rules(rules: &mut Vec<Rule>, site: &Site, portal: &Portal, mark: Mark, exit: &Exit) {
    let (selectors, priority) = selectors(portal, mark);
    reverse_path_rules(rules, site, portal, mark, exit);
    let mut all = Vec::new();
    for selector in selectors {
        into(&mut all, site, &[], &selector, priority, exit.table());
    }
    all.retain(|rule| classifier::enters(portal, rule.family));
    rules.append(&mut all);
}

/// Returns the selectors of packets with the mark of a portal, and the priority of their rules.
fn selectors(portal: &Portal, mark: Mark) -> (Vec<Selector>, Priority) {
    let at = |interface| Selector { incoming: Some(interface), ..marked_by(mark) };
    match &portal.entrance {
        Entrance::Interface(interface)
        | Entrance::Vlan(Vlan { interface, .. })
        | Entrance::Wifi { interface, .. } => (vec![at(interface.clone())], ENTRANCES),
        Entrance::Own => (vec![at(loopback())], ENTRANCES),
        Entrance::From(sources) => {
            let from = |source: &Cidr| Selector { from: Some(*source), ..marked_by(mark) };
            (sources.iter().map(from).collect(), DEVICES)
        }
        Entrance::Mac { .. } => (vec![marked_by(mark)], DEVICES),
    }
}

/// Adds the rules that exempt two reverse-path checks from the rules of a portal of devices: the check of
/// packets out of the tunnel, and the check of packets from devices to this host itself on hosts where all
/// interfaces have `src_valid_mark`. IPv6 has no such checks, but answers out of the tunnel have the mark,
/// too, and go to the devices.
fn reverse_path_rules(rules: &mut Vec<Rule>, site: &Site, portal: &Portal, mark: Mark, exit: &Exit) {
    if !matches!(portal.entrance, Entrance::Mac { .. }) {
        return;
    }
    let mut answers = vec![(Family::V4, loopback())];
    if let Some(tunnel) = exit.interface() {
        answers.extend(site.carried().map(|family| (family, tunnel.clone())));
    }
    for (family, interface) in answers {
        rules.push(Rule {
            priority: ALLOWED,
            family,
            selector: Selector { incoming: Some(interface), ..marked_by(mark) },
            action: RuleAction::Goto(END),
        });
    }
}

fn marked_by(mark: Mark) -> Selector {
    Selector { mark: Some(mark), ..Selector::default() }
}

/// Adds the rules that lead the reverse-path check of an answer to a probe into the table of the probed
/// exit. The rules lead IPv6 probes there as well: the kernel does not send IPv6 out of an interface without
/// a route. This host itself sends the probes, so no other traffic matches these rules.
pub(super) fn probe_rules(rules: &mut Vec<Rule>, site: &Site) {
    for probe in &site.agent.probes {
        rules.push(Rule {
            priority: DEVICES,
            family: Family::of(probe.target),
            selector: Selector { incoming: Some(loopback()), ..marked_by(probe.mark) },
            action: RuleAction::Lookup(probe.table),
        });
    }
}

/// Returns the tunnels that answers to marked packets may come out of.
pub(super) fn marked_tunnels(site: &Site) -> SortedSet<&IfName> {
    let mut tunnels: SortedSet<&IfName> = site.agent.probes.iter().map(|probe| &probe.interface).collect();
    for (portal, _) in marked(site) {
        tunnels.extend(portal.exits.iter().filter_map(Exit::interface));
    }
    tunnels
}

/// Adds the rules that mark incoming packets.
pub(super) fn incoming(rules: &mut Rules, site: &Site) {
    inbound::marks(rules, site);
    for probe in &site.agent.probes {
        answer(rules, site, probe);
    }
    // These rules follow the rule on answers to probes: a masqueraded answer to a device looks like an answer
    // to a probe until it has its own address again.
    let mut answered = Vec::new();
    for (portal, mark) in marked(site) {
        if portal.exits.iter().any(|exit| exit.interface().is_some()) {
            answered.push(mark);
        }
    }
    restore(rules, &answered);
    // Single devices come before the whole interface that they are behind.
    let mut comes_in = Vec::new();
    for whole in [false, true] {
        for (portal, mark) in marked(site) {
            if portal.entrance != Entrance::Own && portal.entrance_interface().is_some() == whole {
                comes_in.push((portal, mark));
            }
        }
    }
    let alike = alike(site);
    add_alike(rules, site, &alike);
    for (portal, mark) in &comes_in {
        if alike.iter().any(|(other, _)| other.name == portal.name) {
            continue;
        }
        let mut chosen = chosen(site, portal);
        chosen.extend(dns::asking_here(site, portal));
        for conditions in chosen {
            add_of(rules, &[&[Marked(NONE)], &conditions], SetMark(*mark));
        }
    }
    // A connection gets its mark in one step: packets on other processors would see a mark that grows.
    for (_, mark) in comes_in {
        add(rules, [Marked(mark)], SetConnectionMark(mark));
    }
}

/// Adds the rules that give answers out of tunnels the marks of their connections, which are marks of
/// portals. The bits of marks are fewer than the marks of many portals.
fn restore(rules: &mut Rules, marks: &[Mark]) {
    if marks.len() <= 4 {
        for mark in marks {
            add(rules, [ConnectionMarked(*mark), coming_in(TUNNELS)], SetMark(*mark));
        }
        return;
    }
    let of_portal = Mark { value: PORTAL_MARKS, mask: PORTAL_MARKS };
    let start = Mark { value: PORTAL_MARKS, mask: portal_mark(0).mask };
    add(rules, [ConnectionMarked(of_portal), coming_in(TUNNELS)], SetMark(start));
    for bit in &TUNNEL_NUMBER_BITS {
        if marks.iter().any(|mark| mark.value & bit != 0) {
            let both = Mark { value: PORTAL_MARKS | bit, mask: PORTAL_MARKS | bit };
            add(
                rules,
                [ConnectionMarked(both), Marked(of_portal)],
                SetMark(Mark { value: *bit, mask: *bit }),
            );
        }
    }
}

/// Returns the first portals of devices, if they take packets to the same destinations from devices that the
/// file names by their hardware addresses; none if there are not several.
fn alike(site: &Site) -> Vec<(&Portal, Mark)> {
    let is_earlier = |portal: &Portal| classifier::has_devices(portal) && portal.mark().is_some();
    let is_first = !site.portals[..devices::places(site).start].iter().any(is_earlier);
    let mut alike = Vec::new();
    for portal in devices::whole(site) {
        alike.extend(portal.mark().map(|mark| (portal, mark)));
    }
    if !is_first || alike.len() < 2 || alike.iter().any(|(portal, _)| !portal.except.is_empty()) {
        alike.clear();
    }
    alike
}

/// Adds the rules that mark packets which enter such portals: one for all devices, and one for each bit of
/// the numbers in the marks. A packet has no mark before these rules.
fn add_alike(rules: &mut Rules, site: &Site, alike: &[(&Portal, Mark)]) {
    let Some((portal, mark)) = alike.first() else { return };
    let all = Device(Devices::In(SetName(devices::NAMED.to_owned())));
    let mut chosen = chosen(site, portal);
    chosen.extend(dns::asking_here(site, portal));
    for mut conditions in chosen {
        conditions.retain(|condition| !matches!(condition, Device(_)));
        let start = Mark { value: PORTAL_MARKS, mask: mark.mask };
        add_of(rules, &[&[Marked(NONE)], &conditions, slice::from_ref(&all)], SetMark(start));
    }
    for (name, bit, _) in devices_by_bit(alike) {
        let unset = Marked(Mark { value: PORTAL_MARKS, mask: PORTAL_MARKS | bit });
        add(rules, [unset, Device(Devices::In(SetName(name)))], SetMark(Mark { value: bit, mask: bit }));
    }
}

/// Returns the devices of portals whose marks have a bit, for each bit that is in use, with the names of the
/// sets.
fn devices_by_bit(alike: &[(&Portal, Mark)]) -> Vec<(String, u32, SortedSet<Mac>)> {
    let mut marks = Vec::new();
    for (portal, mark) in alike {
        if let Entrance::Mac { devices, .. } = &portal.entrance {
            marks.extend(devices.iter().map(|device| (*device, mark.value)));
        }
    }
    connection_marks::by_bit("device-macs-bit", &marks)
}

/// Adds the rules that mark packets of this host itself: in connections that it opens, except for the
/// tunnels' own packets.
pub(super) fn outgoing(rules: &mut Rules, site: &Site) {
    let opening = [FromOriginator, NotMarked(TUNNEL_MARK)];
    for (portal, mark) in marked(site) {
        if portal.entrance == Entrance::Own {
            for conditions in chosen(site, portal) {
                add_of(rules, &[&opening, &conditions], SetMark(mark));
            }
            add(rules, [Marked(mark)], SetConnectionMark(mark));
        }
    }
}

/// Adds the rules that let packets with the mark of a portal leave only via tunnels, even without the
/// policy rules and on any uplink. Answers are exempt: where the devices are on the uplink's own link,
/// answers carry the mark of their connection, and go to the devices. Packets of a connection that went into
/// a tunnel do not leave elsewhere either: otherwise this host itself would tell a server by ICMP that the
/// client is gone.
pub(super) fn leaving(rules: &mut Rules, site: &Site) {
    let marked = marked(site);
    let mut closed = Vec::new();
    for (portal, mark) in &marked {
        if portal.exit != Exit::Direct {
            closed.push(*mark);
        }
    }
    let is_tunneled = site.tunnels.values().any(|tunnel| tunnel.table.is_some());
    let carried = carried(site);
    let elsewhere = NotOutgoing(in_set(INNER));
    if !site.tunnels.is_empty() || !closed.is_empty() {
        add(rules, [FromResponder], Accept);
    }
    connection_marks::departing(rules, site);
    if is_tunneled {
        let tunneled = [ConnectionMarked(TUNNELED), elsewhere.clone()];
        add_of(rules, &[carried.as_slice(), &tunneled], Drop);
    }
    if !site.tunnels.is_empty() {
        // The rules that follow are about packets with marks of portals, and packets into tunnels.
        let unmarked = (!closed.is_empty()).then_some(Marked(NONE));
        add_of(rules, &[unmarked.as_slice(), &[NotOutgoing(in_set(TUNNELS))]], Accept);
    }
    if closed.len() == marked.len() && closed.len() > 4 {
        closed = vec![Mark { value: PORTAL_MARKS, mask: PORTAL_MARKS }];
    }
    for mark in closed {
        add(rules, [Marked(mark), FromOriginator, elsewhere.clone()], Drop);
    }
}

/// Adds the sets of destinations that are exempt from marking, and of devices whose marks have a bit.
pub(super) fn sets(sets: &mut Sets, site: &Site) {
    for (name, _, devices) in devices_by_bit(&alike(site)) {
        add_set(sets, SetName(name), Set::Devices(devices));
    }
    for (portal, _) in marked(site) {
        for family in families(site) {
            let exempt = exempt(site, portal, family);
            add_members(sets, exempt_set(portal, family), family, exempt);
        }
    }
}

/// Absence of every mark of a portal.
const NONE: Mark = Mark { value: 0, mask: PORTAL_MARKS };

fn marked(site: &Site) -> Vec<(&Portal, Mark)> {
    let mut marked = Vec::new();
    for portal in &site.portals {
        marked.extend(portal.mark().map(|mark| (portal, mark)));
    }
    marked
}

/// Adds the rule that marks an answer to a probe.
fn answer(rules: &mut Rules, site: &Site, probe: &ExitProbe) {
    let own = site
        .tunnels
        .get(&probe.interface)
        .map_or(site.address, |tunnel| site.address_in(tunnel, probe.target));
    let conditions = [
        coming(&probe.interface),
        from(Cidr::host(probe.target)),
        to(Cidr::host(own)),
        Icmp(Family::of(probe.target)),
    ];
    add(rules, conditions, SetMark(probe.mark));
}

/// Returns the lists of conditions on traffic that enters a portal. Traffic enters if it fulfils all
/// conditions of one list.
fn chosen(site: &Site, portal: &Portal) -> Vec<Vec<Condition>> {
    let mut chosen = Vec::new();
    for family in families(site).filter(|family| classifier::enters(portal, *family)) {
        let exempt = (!exempt(site, portal, family).is_empty())
            .then(|| NotDestination(Networks::In(family, exempt_set(portal, family))));
        for to in classifier::destinations(portal, family) {
            let implies_family =
                exempt.is_some() || to.is_some() || matches!(portal.entrance, Entrance::From(_));
            let of_family = (!implies_family).then_some(Of(family));
            let entering = classifier::condition(portal, family);
            for port in classifier::ports(portal) {
                let parts = [&of_family, &port, &entering, &exempt, &to];
                chosen.push(parts.map(Option::as_slice).concat());
            }
        }
    }
    chosen
}

/// Returns the destinations that do not enter a portal.
fn exempt(site: &Site, portal: &Portal, family: Family) -> SortedSet<Cidr> {
    match portal.entrance {
        Entrance::Interface(_) | Entrance::Vlan(_) | Entrance::Wifi { .. } => {
            disjoint(family, &portal.except)
        }
        Entrance::From(_) | Entrance::Mac { .. } => {
            disjoint(family, exempt::for_devices(site, portal).as_slice())
        }
        Entrance::Own => disjoint(family, exempt::for_router(site, portal).as_slice()),
    }
}

pub(super) fn exempt_set(portal: &Portal, family: Family) -> SetName {
    SetName(format!("{}-{}", of_family(family, "kept"), portal.name))
}
