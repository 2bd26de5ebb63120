//! The steps that lead from one state to another, in an order that never opens a way meant to be closed.

use std::borrow::Cow;

use crate::base::net::{IfName, InterfaceAddress, Priority};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::xtables::{Program, Ruleset};
use crate::firewall::{Firewall, ForeignChain, Opened};
use crate::state::{Link, Peer, Route, Rule, RuleAction, State, Tunnel};

/// One change of the machine. It holds all that is needed to take it back: see [`Step::inverse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Makes an interface, with MTU and alias, down and (WireGuard) without a key.
    AddLink(IfName, Link),
    /// Removes an interface.
    RemoveLink(IfName, Link),
    /// Changes MTU or alias; the kind is the same on both sides.
    ChangeLink {
        /// Its name.
        name: IfName,
        /// What it was.
        from: Link,
        /// What it becomes.
        to: Link,
    },
    /// Changes WireGuard settings: only what differs is sent, so that other peers keep their sessions.
    ChangeTunnel {
        /// The interface.
        name: IfName,
        /// What it was; [`Tunnel::default`] for an interface that was just made.
        from: Tunnel,
        /// What it becomes; [`Tunnel::default`] for an interface that is about to be removed.
        to: Tunnel,
    },
    /// Gives an interface an address.
    AddAddress(IfName, InterfaceAddress),
    /// Takes an address away.
    RemoveAddress(IfName, InterfaceAddress),
    /// Sets an interface up.
    BringUp(IfName),
    /// Sets an interface down.
    BringDown(IfName),
    /// Adds a route.
    AddRoute(Route),
    /// Removes a route.
    RemoveRoute(Route),
    /// Adds a rule.
    AddRule(Rule),
    /// Removes a rule.
    RemoveRule(Rule),
    /// Changes which ports nothing may come in by, in one transaction; `None` = no table for that.
    ClosePorts {
        /// The former set.
        from: Option<SortedSet<IfName>>,
        /// The new set.
        to: Option<SortedSet<IfName>>,
    },
    /// Changes our nftables table in one transaction; `None` = no table.
    ChangeFirewall {
        /// What it was.
        from: Option<Firewall>,
        /// What it becomes.
        to: Option<Firewall>,
    },
    /// Changes what is ours in iptables, each table in one step.
    ChangeIptables {
        /// Whose.
        program: Program,
        /// What it was.
        from: Ruleset,
        /// What it becomes.
        to: Ruleset,
    },
    /// Changes our rules at the top of a chain of somebody else's, in one transaction.
    ChangeOpenings {
        /// The chain.
        chain: ForeignChain,
        /// What they were.
        from: Opened,
        /// What they become.
        to: Opened,
    },
    /// Writes a kernel setting.
    SetSysctl {
        /// Path below `/proc/sys`.
        key: String,
        /// What it was.
        from: String,
        /// What it becomes.
        to: String,
    },
}

impl Step {
    /// The step that takes this one back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        match self.clone() {
            Self::AddLink(name, link) => Self::RemoveLink(name, link),
            Self::RemoveLink(name, link) => Self::AddLink(name, link),
            Self::ChangeLink { name, from, to } => Self::ChangeLink { name, from: to, to: from },
            Self::ChangeTunnel { name, from, to } => Self::ChangeTunnel { name, from: to, to: from },
            Self::AddAddress(name, address) => Self::RemoveAddress(name, address),
            Self::RemoveAddress(name, address) => Self::AddAddress(name, address),
            Self::BringUp(name) => Self::BringDown(name),
            Self::BringDown(name) => Self::BringUp(name),
            Self::AddRoute(route) => Self::RemoveRoute(route),
            Self::RemoveRoute(route) => Self::AddRoute(route),
            Self::AddRule(rule) => Self::RemoveRule(rule),
            Self::RemoveRule(rule) => Self::AddRule(rule),
            Self::ClosePorts { from, to } => Self::ClosePorts { from: to, to: from },
            Self::ChangeFirewall { from, to } => Self::ChangeFirewall { from: to, to: from },
            Self::ChangeIptables { program, from, to } => {
                Self::ChangeIptables { program, from: to, to: from }
            }
            Self::ChangeOpenings { chain, from, to } => Self::ChangeOpenings { chain, from: to, to: from },
            Self::SetSysctl { key, from, to } => Self::SetSysctl { key, from: to, to: from },
        }
    }
}

/// The steps that lead from `have` to `want`. None, if there is nothing to do.
///
/// The order: first out of the way what the new would collide with; then the firewall, so that no way is open before it is
/// guarded; then what is new, from the interface up to the rules that send traffic there; then what is no longer wanted, from
/// the rules down; the firewall's end comes last.
pub fn diff(want: &State, have: &State) -> Vec<Step> {
    let mut have = Cow::Borrowed(have);
    let mut steps = clear_the_way(want, &mut have);
    let (guards, guards_that_go): (Vec<Step>, Vec<Step>) = guards(want, &have).partition(stays);
    steps.extend(guards);
    steps.extend(additions(want, &have));
    steps.extend(sysctls(want, &have));
    steps.extend(removals(want, &have));
    steps.extend(guards_that_go.into_iter().rev());
    steps
}

/// Interfaces that must be made anew, and UDP ports that change hands: done first, and taken note of in `have`. As a rule there are none.
fn clear_the_way(want: &State, have: &mut Cow<State>) -> Vec<Step> {
    let wanted_ports: SortedSet<u16> = want.tunnels.values().map(|tunnel| tunnel.port).collect();
    let is_in_the_way = |name: &IfName, link: &Link, have: &State| match want.links.get(name) {
        Some(wanted) => wanted.kind != link.kind,
        None => have.tunnels.get(name).is_some_and(|tunnel| wanted_ports.contains(&tunnel.port)),
    };
    let in_the_way: Vec<IfName> = have
        .links
        .iter()
        .filter(|(name, link)| is_in_the_way(name, link, have))
        .map(|(name, _)| name.clone())
        .collect();
    let mut steps: Vec<Step> =
        in_the_way.iter().flat_map(|name| remove_link_whole(name, have.to_mut())).collect();

    let gives_port_up = |(name, tunnel): &(&IfName, &Tunnel)| {
        let keeps_port = want.tunnels.get(*name).is_some_and(|wanted| wanted.port == tunnel.port);
        !keeps_port && wanted_ports.contains(&tunnel.port)
    };
    let giving: Vec<(IfName, Tunnel)> = have
        .tunnels
        .iter()
        .filter(gives_port_up)
        .map(|(name, tunnel)| (name.clone(), tunnel.clone()))
        .collect();
    for (name, from) in giving {
        let to = Tunnel { port: 0, ..from.clone() };
        have.to_mut().tunnels.insert(name.clone(), to.clone());
        steps.push(Step::ChangeTunnel { name, from, to });
    }
    steps
}

/// Removes an interface and all that hangs on it, one by one, so that the inverse puts it all back.
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
        match have.links.get(name) {
            None => steps.push(Step::AddLink(name.clone(), to.clone())),
            Some(from) if from != to => {
                steps.push(Step::ChangeLink { name: name.clone(), from: from.clone(), to: to.clone() });
            }
            Some(_) => {}
        }
    }
    for (name, wanted) in &want.tunnels {
        let from = have.tunnels.get(name);
        if !from.is_some_and(|from| is_as_wanted(from, wanted)) {
            let from = from.cloned().unwrap_or_default();
            let to = keep_roamed(wanted, &from);
            steps.push(Step::ChangeTunnel { name: name.clone(), from, to });
        }
    }
    let addresses = want.addresses.difference(&have.addresses).cloned();
    steps.extend(addresses.map(|(name, address)| Step::AddAddress(name, address)));
    steps.extend(want.up.difference(&have.up).cloned().map(Step::BringUp));
    for route in want.routes.difference(&have.routes) {
        // Two routes cannot share a place, so the old one leaves just before; the unreachable one behind it stays.
        let old = have.routes.iter().find(|old| old.place() == route.place()).cloned();
        steps.extend(old.map(Step::RemoveRoute));
        steps.push(Step::AddRoute(route.clone()));
    }
    let missing = want.rules.difference(&have.rules);
    steps.extend(in_order_of_making(missing).into_iter().cloned().map(Step::AddRule));
    steps
}

fn removals(want: &State, have: &State) -> Vec<Step> {
    let unwanted = in_order_of_making(have.rules.difference(&want.rules));
    let mut steps: Vec<Step> = unwanted.into_iter().rev().cloned().map(Step::RemoveRule).collect();
    let replaced = |old: &&Route| want.routes.iter().any(|new| new.place() == old.place());
    let routes = have.routes.difference(&want.routes).filter(|old| !replaced(old));
    steps.extend(routes.cloned().map(Step::RemoveRoute));
    let addresses = have.addresses.difference(&want.addresses).cloned();
    steps.extend(addresses.map(|(name, address)| Step::RemoveAddress(name, address)));
    steps.extend(have.up.difference(&want.up).cloned().map(Step::BringDown));
    let tunnels = have.tunnels.iter().filter(|(name, _)| !want.tunnels.contains_key(*name));
    steps.extend(tunnels.map(|(name, from)| Step::ChangeTunnel {
        name: name.clone(),
        from: from.clone(),
        to: Tunnel::default(),
    }));
    let links = have.links.iter().filter(|(name, _)| !want.links.contains_key(*name));
    steps.extend(links.map(|(name, link)| Step::RemoveLink(name.clone(), link.clone())));
    steps
}

/// What others jump to is there before them; then exceptions come before what they except from, so that a router whose own traffic
/// enters a portal is never out of reach in between. They go the other way round.
fn in_order_of_making<'a>(rules: impl Iterator<Item = &'a Rule>) -> Vec<&'a Rule> {
    let mut rules: Vec<&Rule> = rules.collect();
    let targets: SortedSet<Priority> = rules
        .iter()
        .filter_map(|rule| match rule.action {
            RuleAction::Goto(target) => Some(target),
            RuleAction::Lookup(_) | RuleAction::Unreachable => None,
        })
        .collect();
    rules.sort_by_key(|rule| !targets.contains(&rule.priority));
    rules
}

/// Changes of the firewalls: first what refuses, then what opens a way.
fn guards(want: &State, have: &State) -> impl Iterator<Item = Step> {
    let ports = (want.closed_ports != have.closed_ports)
        .then(|| Step::ClosePorts { from: have.closed_ports.clone(), to: want.closed_ports.clone() });
    let nftables = (want.firewall != have.firewall)
        .then(|| Step::ChangeFirewall { from: have.firewall.clone(), to: want.firewall.clone() });
    let iptables = differing(&want.iptables, &have.iptables)
        .map(|(program, from, to)| Step::ChangeIptables { program, from, to });
    let openings = differing(&want.openings, &have.openings).map(|(chain, from, to)| Step::ChangeOpenings {
        chain,
        from,
        to,
    });
    ports.into_iter().chain(nftables).chain(iptables).chain(openings)
}

/// What is not the same in both, as it is and as it shall be; nothing stands for what only one of them has.
fn differing<K: Ord + Clone, V: Default + Clone + PartialEq>(
    want: &SortedMap<K, V>,
    have: &SortedMap<K, V>,
) -> impl Iterator<Item = (K, V, V)> {
    let keys: SortedSet<&K> = want.keys().chain(have.keys()).collect();
    let pair = |key: &K| {
        let of = |map: &SortedMap<K, V>| map.get(key).cloned().unwrap_or_default();
        (key.clone(), of(have), of(want))
    };
    keys.into_iter().map(pair).filter(|(_, from, to)| from != to).collect::<Vec<_>>().into_iter()
}

/// Whether anything is left behind a change of a firewall.
fn stays(step: &Step) -> bool {
    match step {
        Step::ClosePorts { to, .. } => to.is_some(),
        Step::ChangeFirewall { to, .. } => to.is_some(),
        Step::ChangeIptables { to, .. } => !to.is_empty(),
        Step::ChangeOpenings { to, .. } => !to.rules.is_empty(),
        _ => false,
    }
}

/// Settings that differ. Those of an interface that was just made have no value yet to come back to: it goes away with them.
fn sysctls(want: &State, have: &State) -> Vec<Step> {
    let changed = want.sysctls.iter().filter(|(key, value)| have.sysctls.get(*key) != Some(*value));
    changed
        .map(|(key, to)| {
            let from = have.sysctls.get(key).unwrap_or(to).clone();
            Step::SetSysctl { key: key.clone(), from, to: to.clone() }
        })
        .collect()
}

/// The wanted settings, but for the peers that stay where they roamed to.
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

/// A peer that answers is left where it roamed to; its endpoint in the file is only where to begin.
fn stays_where_it_is(have: &Peer, want: &Peer) -> bool {
    have.alive || want.endpoint.is_none()
}

/// Whether nothing has to change, but for what is observed only.
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
