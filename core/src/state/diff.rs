//! Steps that lead from one state to another, in an order that never opens a path that must stay closed.

use std::borrow::Cow;
use std::num::NonZeroU16;

use crate::base::net::{IfName, Priority};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::state::step::{FirewallStep, NamedLink, RoutingStep, Step, SysctlChange, TunnelChange};
use crate::state::{FORWARDING6, Link, Peer, Route, Rule, RuleAction, State, Tunnel};

/// Returns the steps that lead from `have` to `want`; no steps if the two are equal.
///
/// The first steps remove objects that would collide with new ones. Then the firewall changes, so that no
/// path is open before the firewall guards it. Then new objects follow, from the interfaces up to the rules
/// that send traffic there; then the removals, from the rules down. Firewalls that are removed as a whole
/// come last.
pub fn diff(want: &State, have: &State) -> Vec<Step> {
    let mut have = Cow::Borrowed(have);
    let mut steps = clear_the_way(want, &mut have);
    let (guards, guards_that_go): (Vec<_>, Vec<_>) = guards(want, &have).into_iter().partition(stays);
    steps.extend(guards.into_iter().map(Step::Firewall));
    steps.extend(additions(want, &have));
    steps.extend(sysctls(want, &have));
    steps.extend(removals(want, &have));
    steps.extend(guards_that_go.into_iter().rev().map(Step::Firewall));
    steps
}

/// Removes interfaces that must be made again, and frees UDP ports that another tunnel will get. Updates
/// `have` accordingly. Usually there are no such steps.
fn clear_the_way(want: &State, have: &mut Cow<State>) -> Vec<Step> {
    let wanted_ports: SortedSet<NonZeroU16> =
        want.tunnels.values().filter_map(|tunnel| tunnel.port).collect();
    let has_wanted_port = |tunnel: &Tunnel| tunnel.port.is_some_and(|port| wanted_ports.contains(&port));
    let is_in_the_way = |name: &IfName, link: &Link, have: &State| match want.links.get(name) {
        Some(wanted) => wanted.kind != link.kind,
        None => have.tunnels.get(name).is_some_and(has_wanted_port),
    };
    let in_the_way: Vec<IfName> = have
        .links
        .iter()
        .filter(|(name, link)| is_in_the_way(name, link, have))
        .map(|(name, _)| name.clone())
        .collect();
    let mut steps = Vec::new();
    for name in &in_the_way {
        steps.extend(remove_link_whole(name, have.to_mut()));
    }

    let gives_port_up = |(name, tunnel): &(&IfName, &Tunnel)| {
        let keeps_port = want.tunnels.get(*name).is_some_and(|wanted| wanted.port == tunnel.port);
        !keeps_port && has_wanted_port(tunnel)
    };
    let giving: Vec<(IfName, Tunnel)> = have
        .tunnels
        .iter()
        .filter(gives_port_up)
        .map(|(name, tunnel)| (name.clone(), tunnel.clone()))
        .collect();
    for (name, from) in giving {
        let to = Tunnel { port: None, ..from.clone() };
        have.to_mut().tunnels.insert(name.clone(), to.clone());
        steps.push(Step::ChangeTunnel(TunnelChange { name, from, to }));
    }
    steps
}

/// Removes an interface, and each object that depends on it with its own step, so that the inverses restore
/// all of them.
fn remove_link_whole(name: &IfName, have: &mut State) -> Vec<Step> {
    let gone = State {
        routes: have.routes.iter().filter(|route| route.interface() == Some(name)).cloned().collect(),
        addresses: have.addresses.iter().filter(|(interface, _)| interface == name).cloned().collect(),
        up: have.up.iter().filter(|interface| *interface == name).cloned().collect(),
        tunnels: have.tunnels.remove_entry(name).into_iter().collect(),
        links: have.links.remove_entry(name).into_iter().collect(),
        ..State::default()
    };
    have.routes.retain(|route| !gone.routes.contains(route));
    have.addresses.retain(|address| !gone.addresses.contains(address));
    have.up.remove(name);
    removals(&State::default(), &gone)
}

fn additions(want: &State, have: &State) -> Vec<Step> {
    let mut steps = Vec::new();
    for (name, to) in &want.links {
        steps.extend(link_step(name, have.links.get(name), to));
    }
    for (name, to) in &want.tunnels {
        steps.extend(tunnel_step(name, have.tunnels.get(name), to));
    }
    steps.extend(routing_additions(want, have).into_iter().map(Step::Routing));
    steps
}

fn link_step(name: &IfName, from: Option<&Link>, to: &Link) -> Option<Step> {
    let (name, to) = (name.clone(), to.clone());
    match from.cloned() {
        None => Some(Step::AddLink(NamedLink { name, link: to })),
        Some(from) if from != to => Some(Step::Routing(RoutingStep::ChangeLink { name, from, to })),
        Some(_) => None,
    }
}

fn tunnel_step(name: &IfName, from: Option<&Tunnel>, wanted: &Tunnel) -> Option<Step> {
    if from.is_some_and(|from| is_as_wanted(from, wanted)) {
        return None;
    }
    let from = from.cloned().unwrap_or_default();
    let to = keep_roamed(wanted, &from);
    Some(Step::ChangeTunnel(TunnelChange { name: name.clone(), from, to }))
}

fn routing_additions(want: &State, have: &State) -> Vec<RoutingStep> {
    let addresses = want.addresses.difference(&have.addresses).cloned();
    let mut steps: Vec<RoutingStep> =
        addresses.map(|(name, address)| RoutingStep::AddAddress(name, address)).collect();
    steps.extend(want.up.difference(&have.up).cloned().map(RoutingStep::BringUp));
    for route in want.routes.difference(&have.routes) {
        // Two routes cannot share a place, so the old route leaves just before. The unreachable route behind
        // it stays.
        let old = have.routes.iter().find(|old| old.place() == route.place()).cloned();
        steps.extend(old.map(RoutingStep::RemoveRoute));
        steps.push(RoutingStep::AddRoute(route.clone()));
    }
    let missing = want.rules.difference(&have.rules);
    steps.extend(in_order_of_making(missing).into_iter().cloned().map(RoutingStep::AddRule));
    steps
}

fn removals(want: &State, have: &State) -> Vec<Step> {
    let mut steps = Vec::new();
    steps.extend(routing_removals(want, have).into_iter().map(Step::Routing));
    for (name, from) in &have.tunnels {
        if !want.tunnels.contains_key(name) {
            let (name, from) = (name.clone(), from.clone());
            steps.push(Step::ChangeTunnel(TunnelChange { name, from, to: Tunnel::default() }));
        }
    }
    for (name, link) in &have.links {
        if !want.links.contains_key(name) {
            steps.push(Step::RemoveLink(NamedLink { name: name.clone(), link: link.clone() }));
        }
    }
    steps
}

fn routing_removals(want: &State, have: &State) -> Vec<RoutingStep> {
    let unwanted = in_order_of_making(have.rules.difference(&want.rules));
    let mut steps: Vec<RoutingStep> =
        unwanted.into_iter().rev().cloned().map(RoutingStep::RemoveRule).collect();
    let replaced = |old: &&Route| want.routes.iter().any(|new| new.place() == old.place());
    let routes = have.routes.difference(&want.routes).filter(|old| !replaced(old));
    steps.extend(routes.cloned().map(RoutingStep::RemoveRoute));
    let addresses = have.addresses.difference(&want.addresses).cloned();
    steps.extend(addresses.map(|(name, address)| RoutingStep::RemoveAddress(name, address)));
    steps.extend(have.up.difference(&want.up).cloned().map(RoutingStep::BringDown));
    steps
}

/// Returns rules in the order in which they are made; they are removed in reverse order. The targets of jumps
/// come first. Then exceptions come before the rules that they make exceptions to, so that a router whose own
/// traffic enters a portal is reachable at every moment.
fn in_order_of_making<'a>(rules: impl Iterator<Item = &'a Rule>) -> Vec<&'a Rule> {
    let rules: Vec<&Rule> = rules.collect();
    let targets: SortedSet<Priority> = rules
        .iter()
        .filter_map(|rule| match rule.action {
            RuleAction::Goto(target) => Some(target),
            RuleAction::Lookup(_) | RuleAction::Unreachable => None,
        })
        .collect();
    let (first, rest): (Vec<&Rule>, Vec<&Rule>) =
        rules.into_iter().partition(|rule| targets.contains(&rule.priority));
    [first, rest].concat()
}

/// Returns the changes of the firewalls: first firewalls that refuse packets, then pinholes.
fn guards(want: &State, have: &State) -> Vec<FirewallStep> {
    let mut steps = Vec::new();
    if want.closed_ports != have.closed_ports {
        let (from, to) = (have.closed_ports.clone(), want.closed_ports.clone());
        steps.push(FirewallStep::ClosePorts { from, to });
    }
    if want.firewall != have.firewall {
        let (from, to) = (have.firewall.clone(), want.firewall.clone());
        steps.push(FirewallStep::ChangeFirewall { from, to });
    }
    for (program, from, to) in differing(&want.iptables, &have.iptables) {
        steps.push(FirewallStep::ChangeIptables { program, from, to });
    }
    for (chain, from, to) in differing(&want.pinholes, &have.pinholes) {
        steps.push(FirewallStep::ChangePinholes { chain, from, to });
    }
    steps
}

/// Returns the entries that differ, with their present and their desired value. The default stands for an
/// entry that one of the maps lacks.
fn differing<K: Ord + Clone, V: Default + Clone + PartialEq>(
    want: &SortedMap<K, V>,
    have: &SortedMap<K, V>,
) -> Vec<(K, V, V)> {
    let keys: SortedSet<&K> = want.keys().chain(have.keys()).collect();
    let mut entries = Vec::new();
    for key in keys {
        let of = |map: &SortedMap<K, V>| map.get(key).cloned().unwrap_or_default();
        let (from, to) = (of(have), of(want));
        if from != to {
            entries.push((key.clone(), from, to));
        }
    }
    entries
}

/// Tells whether anything remains of a firewall after a change.
fn stays(step: &FirewallStep) -> bool {
    match step {
        FirewallStep::ClosePorts { to, .. } => to.is_some(),
        FirewallStep::ChangeFirewall { to, .. } => to.is_some(),
        FirewallStep::ChangeIptables { to, .. } => !to.is_empty(),
        FirewallStep::ChangePinholes { to, .. } => !to.rules.is_empty(),
    }
}

/// Returns the changes of kernel settings. A setting of an interface that was just made has no former value
/// to restore: it disappears with the interface.
fn sysctls(want: &State, have: &State) -> Vec<Step> {
    let differing = want.sysctls.iter().filter(|(key, value)| have.sysctls.get(*key) != Some(*value));
    let mut changes: Vec<SysctlChange> = differing
        .map(|(key, to)| {
            let from = have.sysctls.get(key).unwrap_or(to).clone();
            SysctlChange { key: key.clone(), from, to: to.clone() }
        })
        .collect();
    // IPv6 is forwarded only while each interface keeps its advertised routes.
    if let Some(at) = changes.iter().position(|change| change.key == FORWARDING6) {
        let forwarding = changes.remove(at);
        let place = if forwarding.to == "0" { 0 } else { changes.len() };
        changes.insert(place, forwarding);
    }
    changes.into_iter().map(Step::SetSysctl).collect()
}

/// Returns the desired settings, with the present endpoints of peers that roamed.
fn keep_roamed(wanted: &Tunnel, have: &Tunnel) -> Tunnel {
    let mut to = wanted.clone();
    for (key, peer) in to.peers.iter_mut() {
        if let Some(old) = have.peers.get(key)
            && stays_where_it_is(old, peer)
        {
            peer.endpoint = old.endpoint;
        }
    }
    to
}

/// Tells whether a peer keeps its present endpoint. A peer that answers may have roamed; its endpoint in the
/// network file is only the first one to dial.
fn stays_where_it_is(have: &Peer, want: &Peer) -> bool {
    have.alive || want.endpoint.is_none()
}

/// Tells whether the settings are as desired. Properties that are only observed do not count.
fn is_as_wanted(have: &Tunnel, want: &Tunnel) -> bool {
    let peer_is = |have: &Peer, want: &Peer| {
        (have.endpoint == want.endpoint || stays_where_it_is(have, want))
            && have.preshared_key == want.preshared_key
            && have.keepalive == want.keepalive
            && have.allowed_ips == want.allowed_ips
    };
    have.private_key == want.private_key
        && have.port == want.port
        && have.fwmark == want.fwmark
        && have.peers.len() == want.peers.len()
        && have.peers.iter().zip(&want.peers).all(|((a, x), (b, y))| a == b && peer_is(x, y))
}
