//! Steps that lead from one state to another, in an order that never opens a path that must stay closed.

use crate::base::net::IfName;
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::Firewall;
use crate::state::step::{FirewallStep, NamedLink, RoutingStep, Step, SysctlChange, TunnelChange};
use crate::state::{FORWARDING6, Link, Peer, Rule, RuleAction, State, Tunnel};

/// Returns the steps that lead from `have` to `want`; no steps if the two are equal.
///
/// The first steps remove objects that would collide with new ones. Then the firewall changes, so that no
/// path is open before the firewall guards it. Then new objects follow, from the interfaces up to the rules
/// that send traffic there; then the removals, from the rules down. Firewalls that are removed as a whole
/// come last. The flowtable of the firewall takes in a new interface when that exists, and gives up an
/// interface before that goes.
pub fn diff(want: &State, have: &State) -> Vec<Step> {
    let (mut steps, mut guards_that_go) = (Vec::new(), Vec::new());
    let have = clear_the_way(&mut steps, want, have);
    let first = without_new_devices(want, &have);
    for guard in guards(want, first.as_ref().or(want.firewall.as_ref()), &have) {
        if stays(&guard) {
            steps.push(Step::Firewall(guard));
        } else {
            guards_that_go.push(guard);
        }
    }
    for part in [additions, sysctls, removals] {
        part(&mut steps, want, &have);
    }
    if first.is_some() {
        steps.push(Step::Firewall(FirewallStep::ChangeFirewall { from: first, to: want.firewall.clone() }));
    }
    while let Some(guard) = guards_that_go.pop() {
        steps.push(Step::Firewall(guard));
    }
    steps
}

/// Returns the wanted firewall without the devices of its flowtable that are still to be made; `None` if all
/// exist.
fn without_new_devices(want: &State, have: &State) -> Option<Firewall> {
    let wanted = want.firewall.as_ref()?;
    let mut devices = wanted.flows.clone()?;
    devices.retain(|name| have.links.contains_key(name) || !want.links.contains_key(name));
    let flows = Some(devices);
    (flows != wanted.flows).then(|| Firewall { flows, ..wanted.clone() })
}

/// Removes interfaces that must be made again, and frees UDP ports that another tunnel will get. Returns the
/// state after these steps. Usually there are none.
fn clear_the_way(steps: &mut Vec<Step>, want: &State, have: &State) -> State {
    let has_wanted_port = |tunnel: &Tunnel| {
        tunnel.port.is_some() && want.tunnels.values().any(|wanted| wanted.port == tunnel.port)
    };
    let is_in_the_way = |(name, link): &(&IfName, &Link)| match want.links.get(name) {
        Some(wanted) => wanted.kind != link.kind,
        None => have.tunnels.get(name).is_some_and(has_wanted_port),
    };
    let in_the_way: Vec<&IfName> = have.links.iter().filter(is_in_the_way).map(|(name, _)| name).collect();
    let mut cleared = have.clone();
    let goes = |name: &IfName| have.links.contains_key(name) && !want.links.contains_key(name);
    let goes_first = |name: &IfName| in_the_way.contains(&name) || want.firewall.is_none() && goes(name);
    leave_flowtable(steps, &goes_first, &mut cleared);
    for name in in_the_way {
        remove_link_whole(steps, name, &mut cleared);
    }
    for (name, tunnel) in cleared.tunnels.iter_mut() {
        let keeps_port = want.tunnels.get(name).is_some_and(|wanted| wanted.port == tunnel.port);
        if !keeps_port && has_wanted_port(tunnel) {
            let from = tunnel.clone();
            tunnel.port = None;
            let (name, to) = (name.clone(), tunnel.clone());
            steps.push(Step::ChangeTunnel(TunnelChange { name, from, to }));
        }
    }
    cleared
}

/// Takes interfaces that go before the firewall changes out of its flowtable. Without this step, the inverses
/// would restore a flowtable of interfaces that do not exist yet.
fn leave_flowtable(steps: &mut Vec<Step>, goes_first: &dyn Fn(&IfName) -> bool, have: &mut State) {
    let Some(devices) = have.firewall.as_ref().and_then(|firewall| firewall.flows.as_ref()) else {
        return;
    };
    if devices.iter().any(goes_first) {
        let from = have.firewall.clone();
        if let Some(devices) = have.firewall.as_mut().and_then(|firewall| firewall.flows.as_mut()) {
            devices.retain(|name| !goes_first(name));
        }
        let to = have.firewall.clone();
        steps.push(Step::Firewall(FirewallStep::ChangeFirewall { from, to }));
    }
}

/// Removes an interface, and each object that depends on it with its own step, so that the inverses restore
/// all of them.
fn remove_link_whole(steps: &mut Vec<Step>, name: &IfName, have: &mut State) {
    let mut rest = have.clone();
    rest.routes.retain(|route| route.interface() != Some(name));
    rest.addresses.retain(|(interface, _)| interface != name);
    rest.up.remove(name);
    rest.tunnels.remove(name);
    rest.links.remove(name);
    removals(steps, &rest, have);
    *have = rest;
}

fn additions(steps: &mut Vec<Step>, want: &State, have: &State) {
    for (name, to) in &want.links {
        let (name, to, from) = (name.clone(), to.clone(), have.links.get(name).cloned());
        match from {
            None => steps.push(Step::AddLink(NamedLink { name, link: to })),
            Some(from) if from != to => add(steps, RoutingStep::ChangeLink { name, from, to }),
            Some(_) => {}
        }
    }
    for (name, wanted) in &want.tunnels {
        let from = have.tunnels.get(name);
        if from.is_none_or(|from| !is_as_wanted(from, wanted)) {
            let from = from.cloned().unwrap_or_default();
            let to = keep_roamed(wanted, &from);
            steps.push(Step::ChangeTunnel(TunnelChange { name: name.clone(), from, to }));
        }
    }
    routing_additions(steps, want, have);
}

/// Adds a step. Separate, because the compiler would write a copy of the code for each kind of step.
fn add(steps: &mut Vec<Step>, step: RoutingStep) {
    steps.push(Step::Routing(step));
}

fn routing_additions(steps: &mut Vec<Step>, want: &State, have: &State) {
    for (name, address) in want.addresses.difference(&have.addresses) {
        add(steps, RoutingStep::AddAddress(name.clone(), *address));
    }
    for name in want.up.difference(&have.up) {
        add(steps, RoutingStep::BringUp(name.clone()));
    }
    for route in want.routes.difference(&have.routes) {
        // Two routes cannot share a place, so the old route leaves just before. The unreachable route behind
        // it stays.
        if let Some(old) = have.routes.iter().find(|old| old.place() == route.place()) {
            add(steps, RoutingStep::RemoveRoute(old.clone()));
        }
        add(steps, RoutingStep::AddRoute(route.clone()));
    }
    for rule in in_order_of_making(&want.rules, &have.rules) {
        add(steps, RoutingStep::AddRule(rule.clone()));
    }
}

fn removals(steps: &mut Vec<Step>, want: &State, have: &State) {
    routing_removals(steps, want, have);
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
}

fn routing_removals(steps: &mut Vec<Step>, want: &State, have: &State) {
    for rule in in_order_of_making(&have.rules, &want.rules).into_iter().rev() {
        add(steps, RoutingStep::RemoveRule(rule.clone()));
    }
    for old in have.routes.difference(&want.routes) {
        if want.routes.iter().all(|new| new.place() != old.place()) {
            add(steps, RoutingStep::RemoveRoute(old.clone()));
        }
    }
    for (name, address) in have.addresses.difference(&want.addresses) {
        add(steps, RoutingStep::RemoveAddress(name.clone(), *address));
    }
    for name in have.up.difference(&want.up) {
        add(steps, RoutingStep::BringDown(name.clone()));
    }
}

/// Returns the rules that `others` lacks, in the order in which they are made; they are removed in reverse
/// order. The targets of jumps come first. Then exceptions come before the rules that they make exceptions
/// to, so that a router whose own traffic enters a portal is reachable at every moment.
fn in_order_of_making<'a>(rules: &'a SortedSet<Rule>, others: &'a SortedSet<Rule>) -> Vec<&'a Rule> {
    let mut new = Vec::new();
    for rule in rules.difference(others) {
        new.push(rule);
    }
    let mut targets = SortedSet::new();
    for rule in &new {
        if let RuleAction::Goto(priority) = rule.action {
            targets.insert(priority);
        }
    }
    let mut ordered = Vec::new();
    for are_targets in [true, false] {
        for rule in &new {
            if targets.contains(&rule.priority) == are_targets {
                ordered.push(*rule);
            }
        }
    }
    ordered
}

/// Returns the changes of the firewalls: first firewalls that refuse packets, then pinholes.
fn guards(want: &State, firewall: Option<&Firewall>, have: &State) -> Vec<FirewallStep> {
    let mut steps = Vec::new();
    if want.closed_ports != have.closed_ports {
        let (from, to) = (have.closed_ports.clone(), want.closed_ports.clone());
        steps.push(FirewallStep::ClosePorts { from, to });
    }
    if firewall != have.firewall.as_ref() {
        let (from, to) = (have.firewall.clone(), firewall.cloned());
        steps.push(FirewallStep::ChangeFirewall { from, to });
    }
    differing(&want.iptables, &have.iptables, &mut |program, from, to| {
        steps.push(FirewallStep::ChangeIptables { program: *program, from, to });
    });
    differing(&want.pinholes, &have.pinholes, &mut |chain, from, to| {
        steps.push(FirewallStep::ChangePinholes { chain: chain.clone(), from, to });
    });
    steps
}

/// Passes the entries that differ to `change`, with their present and their desired value. The default stands
/// for an entry that one of the maps lacks.
fn differing<K: Ord, V: Default + Clone + PartialEq>(
    want: &SortedMap<K, V>,
    have: &SortedMap<K, V>,
    change: &mut dyn FnMut(&K, V, V),
) {
    for (key, from) in have {
        let to = want.get(key);
        if to != Some(from) {
            change(key, from.clone(), to.cloned().unwrap_or_default());
        }
    }
    for (key, to) in want {
        if !have.contains_key(key) && *to != V::default() {
            change(key, V::default(), to.clone());
        }
    }
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

/// Adds the changes of kernel settings. A setting of an interface that was just made has no former value
/// to restore: it disappears with the interface. IPv6 is forwarded only while each interface keeps its
/// advertised routes.
fn sysctls(steps: &mut Vec<Step>, want: &State, have: &State) {
    let turn = |key: &str, to: &str| match (key, to) {
        (FORWARDING6, "0") => 0,
        (FORWARDING6, _) => 2,
        _ => 1,
    };
    for now in 0..=2 {
        for (key, to) in &want.sysctls {
            let from = have.sysctls.get(key);
            if turn(key, to) == now && from != Some(to) {
                let (key, from, to) = (key.clone(), from.unwrap_or(to).clone(), to.clone());
                steps.push(Step::SetSysctl(SysctlChange { key, from, to }));
            }
        }
    }
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
