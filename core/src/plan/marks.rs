//! Portals of devices and of ports: what enters is told by more than a policy rule can see. The firewall marks it, and the rules go by the
//! mark.
//!
//! Strict `rp_filter` takes three parts for that. What enters is marked as it comes in, and its connection with it; an answer out of
//! the tunnel gets the mark of its connection before it is routed, and `src_valid_mark` on the tunnel has its reverse-path check look at
//! it; and an answer does not enter again, though it carries the mark. Each portal has a mark of its own: a list of exits leads
//! another way by its rules alone.

use crate::base::net::{Cidr, Family, IfName, Mark};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::Rule as Filter;
use crate::firewall::{
    Action::{Accept, Drop, SetConnectionMark, SetMark},
    Condition::{
        self, ConnectionMarked, Destination, Family as Of, Icmp, Incoming, Marked, NotDestination, NotMarked,
        Opening, Outgoing, Source,
    },
    Interfaces, Networks, Set, SetName,
};
use crate::plan::firewall::{disjoint, in_set, rule};
use crate::plan::routing::{self, ALLOWED, DEVICES, END, ENTRANCES, closed, into};
use crate::plan::{arrivals, entering, inbound, names};
use crate::site::{Entrance, Exit, Portal, Probe, Site, Vlan, families};
use crate::state::{PORTAL_MARKS, Rule, RuleAction, Selector, TUNNEL_MARK, TUNNELED};

/// The rules that lead what carries the mark of a portal to its exit, and close behind.
pub(super) fn rules(site: &Site, portal: &Portal, mark: Mark) -> Vec<Rule> {
    let marked = Selector { mark: Some(mark), ..Selector::default() };
    let at = |interface: &IfName| Selector { incoming: Some(interface.clone()), ..marked.clone() };
    let table = portal.exit.table();
    let mut rules = Vec::new();
    let (selectors, priority) = match &portal.entrance {
        Entrance::Interface(interface)
        | Entrance::Vlan(Vlan { interface, .. })
        | Entrance::Wifi { interface, .. } => (vec![at(interface)], ENTRANCES),
        Entrance::Own => (vec![at(&routing::sent_here())], ENTRANCES),
        Entrance::From(sources) => {
            let from = |source: &Cidr| Selector { from: Some(*source), ..marked.clone() };
            (sources.iter().map(from).collect(), DEVICES)
        }
        Entrance::Mac(_) => {
            // The reverse-path checks of what comes out of the tunnel, and of what devices send to this host itself where all
            // interfaces have `src_valid_mark`.
            let checks = portal.exit.interface().into_iter().cloned().chain([routing::sent_here()]);
            rules.extend(checks.map(|interface| Rule {
                priority: ALLOWED,
                family: Family::V4,
                selector: at(&interface),
                action: RuleAction::Goto(END),
            }));
            (vec![marked.clone()], DEVICES)
        }
    };
    for selector in selectors {
        let closes_ipv6 = site.ipv6 && entering::takes_ipv6(portal);
        rules.extend(into(&[], &selector, priority, table));
        rules.extend(closes_ipv6.then(|| closed(Family::V6, selector)));
    }
    rules
}

/// The rules that have the reverse-path check of an answer from beyond an exit look into that exit's table. This host itself asks, so
/// nothing else goes by them.
pub(super) fn probe_rules(site: &Site) -> impl Iterator<Item = Rule> {
    site.probes.iter().map(|probe| Rule {
        priority: DEVICES,
        family: Family::V4,
        selector: Selector {
            incoming: Some(routing::sent_here()),
            mark: Some(probe.mark),
            ..Selector::default()
        },
        action: RuleAction::Lookup(probe.table),
    })
}

/// The tunnels that answers to marked packets may come out of.
pub(super) fn tunnels(site: &Site) -> SortedSet<&IfName> {
    let of_portals = marked(site).flat_map(|(portal, _)| &portal.exits).filter_map(Exit::interface);
    of_portals.chain(site.probes.iter().map(|probe| &probe.interface)).collect()
}

/// Marks of what comes in.
pub(super) fn incoming(site: &Site) -> Vec<Filter> {
    let tunnels = || Incoming(in_set("tunnels"));
    let mut rules = inbound::marks(site);
    rules.extend(site.probes.iter().map(|probe| answer(site, probe)));
    // Behind those: what is masqueraded looks like one of them until it has its own address again.
    rules.extend(
        marked(site)
            .filter(|(portal, _)| portal.exits.iter().any(|exit| exit.interface().is_some()))
            .map(|(_, mark)| rule([tunnels(), ConnectionMarked(mark)], SetMark(mark))),
    );
    let mut comes_in: Vec<(&Portal, Mark)> =
        marked(site).filter(|(portal, _)| portal.entrance != Entrance::Own).collect();
    // Single devices come before the whole interface that they are behind.
    comes_in.sort_by_key(|(portal, _)| portal.entrance_interface().is_some());
    for (portal, mark) in &comes_in {
        let chosen = chosen(site, portal).into_iter().chain(names::asking_here(site, portal));
        rules.extend(
            chosen.map(|conditions| rule(conditions.into_iter().chain([Marked(NONE)]), SetMark(*mark))),
        );
    }
    rules.extend(comes_in.iter().map(|(_, mark)| keep(*mark)));
    rules
}

/// Marks of what this host sends itself: of connections that it opens, but for the tunnels' own packets.
pub(super) fn outgoing(site: &Site) -> Vec<Filter> {
    let Some((portal, mark)) = marked(site).find(|(portal, _)| portal.entrance == Entrance::Own) else {
        return Vec::new();
    };
    let chosen = chosen(site, portal).into_iter();
    let opening = [Opening, NotMarked(TUNNEL_MARK)];
    let marking = chosen.map(|conditions| rule(opening.iter().cloned().chain(conditions), SetMark(mark)));
    marking.chain([keep(mark)]).collect()
}

/// What carries the mark of a portal leaves by tunnels alone, whatever became of the rules and whatever
/// uplink there is. Answers do not have to: where the devices are on the uplink's own wire, they have the
/// mark of their connection, and go home. Nor does anything of a connection that went into a tunnel leave
/// elsewhere: this host itself would tell a server in ICMP that who asked has gone.
pub(super) fn leaving(site: &Site) -> Vec<Filter> {
    let closed = marked(site).filter(|(portal, _)| portal.exit != Exit::Direct);
    let mut drops: Vec<Filter> = closed.map(|(_, mark)| rule([Opening, Marked(mark)], Drop)).collect();
    let only_ipv4 = drops.is_empty().then_some(Of(Family::V4));
    if site.tunnels.values().any(|tunnel| tunnel.table.is_some()) {
        drops.push(rule([Of(Family::V4), Opening, ConnectionMarked(TUNNELED)], Drop));
    }
    let inside = only_ipv4.into_iter().chain([Outgoing(in_set(arrivals::INNER))]);
    let inside = (!drops.is_empty()).then(|| rule(inside, Accept));
    inside.into_iter().chain(drops).collect()
}

/// The sets of destinations that are not marked.
pub(super) fn sets(site: &Site) -> SortedMap<SetName, Set> {
    let mut sets = SortedMap::new();
    for (portal, _) in marked(site) {
        for family in families(site) {
            let kept = kept(site, portal, family);
            if !kept.is_empty() {
                sets.insert(kept_by(portal, family), Set::Networks(family, kept));
            }
        }
    }
    sets
}

/// No mark of ours.
const NONE: Mark = Mark { value: 0, mask: PORTAL_MARKS };

fn marked(site: &Site) -> impl Iterator<Item = (&Portal, Mark)> {
    site.portals.iter().filter_map(|portal| Some((portal, portal.mark?)))
}

/// An answer from beyond an exit, to this host itself.
fn answer(site: &Site, probe: &Probe) -> Filter {
    let one = |address| Networks::One(Cidr::host(address));
    let own = site
        .tunnels
        .get(&probe.interface)
        .map_or(site.address, |tunnel| site.address_in(tunnel, probe.target.into()));
    let conditions = [
        Incoming(Interfaces::One(probe.interface.clone())),
        Source(one(probe.target.into())),
        Destination(one(own)),
        Icmp(Family::V4),
    ];
    rule(conditions, SetMark(probe.mark))
}

/// The connection has the mark of the packet.
fn keep(mark: Mark) -> Filter {
    rule([Marked(mark)], SetConnectionMark(mark))
}

/// All that tells what enters a portal: of each of these, all must hold.
fn chosen(site: &Site, portal: &Portal) -> Vec<Vec<Condition>> {
    let mut chosen = Vec::new();
    let enters = |family: &Family| *family == Family::V4 || entering::takes_ipv6(portal);
    for family in families(site).filter(enters) {
        let kept = (!kept(site, portal, family).is_empty())
            .then(|| NotDestination(Networks::In(family, kept_by(portal, family))));
        for to in entering::destinations(portal) {
            let tells_family = kept.is_some() || to.is_some() || matches!(portal.entrance, Entrance::From(_));
            let of_family = (!tells_family).then_some(Of(family));
            let parts = [entering::condition(portal), of_family, kept.clone(), to];
            let with = |port| parts.iter().cloned().chain([port]).flatten().collect();
            chosen.extend(entering::ports(portal).into_iter().map(with));
        }
    }
    chosen
}

/// Destinations that do not enter a portal.
fn kept(site: &Site, portal: &Portal, family: Family) -> SortedSet<Cidr> {
    let all = match portal.entrance {
        Entrance::Interface(_) | Entrance::Vlan(_) | Entrance::Wifi { .. } => {
            portal.except.iter().copied().collect()
        }
        Entrance::From(_) | Entrance::Mac(_) => routing::device_kept(site, portal),
        Entrance::Own => routing::own_kept(site, portal),
    };
    disjoint(family, all.into_iter())
}

fn kept_by(portal: &Portal, family: Family) -> SetName {
    let kind = if family == Family::V4 { "kept" } else { "kept6" };
    SetName(format!("{kind}-{}", portal.name))
}
