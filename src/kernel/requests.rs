//! Steps as requests to rtnetlink: interfaces, addresses, routes and rules.

use nix::errno::Errno;

use super::link::Links;
use super::message::Message;
use super::netlink::{Refusal, Socket};
use super::{address, link, route, rule, step_errors};
use crate::base::error::Result;
use crate::base::net::IfName;
use crate::state::step::{NamedLink, RoutingStep};
use crate::state::{LinkKind, RouteTarget};

/// Makes interfaces. `links` is a snapshot that names the interfaces that carry VLANs.
pub(super) fn add_links(socket: &mut Socket, new: &[&NamedLink], links: &Links) -> Vec<Result<()>> {
    let mut encoded = Vec::new();
    for new in new {
        encoded.push(encode_new(new, links));
    }
    judged(send(socket, encoded), &|index, refused| Err(step_errors::not_added(new[index], refused)))
}

/// Removes interfaces. An interface that is gone already counts as removed: another program removed it
/// meanwhile, or it was a tun device, which disappears with its process.
pub(super) fn remove_links(socket: &mut Socket, old: &[&NamedLink]) -> Vec<Result<()>> {
    judge_removal(old, socket.batch(removals(old)))
}

/// Returns the requests that remove interfaces.
pub(super) fn removals(old: &[&NamedLink]) -> Vec<Message> {
    let mut requests = Vec::new();
    for old in old {
        requests.push(link::remove(&old.name));
    }
    requests
}

/// Returns the results of the removal of interfaces.
pub(super) fn judge_removal(old: &[&NamedLink], verdicts: Vec<Result<(), Refusal>>) -> Vec<Result<()>> {
    judged(verdicts, &|index, refused| match refused.errno {
        Errno::ENODEV => Ok(()),
        _ => Err(step_errors::not_removed(old[index], refused)),
    })
}

/// Changes interfaces, addresses, routes and rules. `links` is a snapshot of all interfaces: the kernel wants
/// interfaces by number.
pub(super) fn change_routing(socket: &mut Socket, steps: &[&RoutingStep], links: &Links) -> Vec<Result<()>> {
    let mut encoded = Vec::new();
    for step in steps {
        encoded.push(encode(step, links));
    }
    judged(send(socket, encoded), &|index, refused| {
        let step = steps[index];
        if is_gone(step, refused.errno) { Ok(()) } else { Err(step_errors::not_changed(step, refused)) }
    })
}

/// Returns the result of each step; `judge` decides about a refused one.
fn judged(
    verdicts: Vec<Result<(), Refusal>>,
    judge: &dyn Fn(usize, Refusal) -> Result<()>,
) -> Vec<Result<()>> {
    let mut results = Vec::with_capacity(verdicts.len());
    for (index, verdict) in verdicts.into_iter().enumerate() {
        results.push(verdict.or_else(|refused| judge(index, refused)));
    }
    results
}

/// Sends requests in one batch. Returns the verdict on each; a request that could not be encoded counts as
/// refused.
fn send(socket: &mut Socket, encoded: Vec<Result<Message, Errno>>) -> Vec<Result<(), Refusal>> {
    let mut verdicts = Vec::with_capacity(encoded.len());
    let mut requests = Vec::with_capacity(encoded.len());
    for request in encoded {
        verdicts.push(request.map(|request| requests.push(request)).map_err(Refusal::from));
    }
    let sent = verdicts.iter_mut().filter(|verdict| verdict.is_ok());
    for (place, verdict) in sent.zip(socket.batch(requests)) {
        *place = verdict;
    }
    verdicts
}

/// Returns the request that makes an interface; ENODEV if the interface that carries a VLAN is missing.
fn encode_new(NamedLink { name, link }: &NamedLink, links: &Links) -> Result<Message, Errno> {
    match &link.kind {
        LinkKind::WireGuard(_) => Ok(link::create_wireguard(name, link.mtu)),
        LinkKind::Vlan { parent, id } => Ok(link::create_vlan(name, link.mtu, index(parent, links)?, *id)),
    }
}

/// Returns the request that carries out a step; ENODEV if its interface is missing.
fn encode(step: &RoutingStep, links: &Links) -> Result<Message, Errno> {
    let device = |target: &RouteTarget| match target {
        RouteTarget::Device { interface, .. } => index(interface, links).map(Some),
        RouteTarget::Unreachable => Ok(None),
    };
    Ok(match step {
        RoutingStep::ChangeLink { name, to, .. } => link::finish(name, to),
        RoutingStep::AddAddress(name, address) => address::add(index(name, links)?, *address),
        RoutingStep::RemoveAddress(name, address) => address::remove(index(name, links)?, *address),
        RoutingStep::BringUp(name) => link::set_up(name, true),
        RoutingStep::BringDown(name) => link::set_up(name, false),
        RoutingStep::AddRoute(route) => route::add(route, device(&route.target)?),
        RoutingStep::RemoveRoute(route) => route::remove(route, device(&route.target)?),
        RoutingStep::AddRule(rule) => rule::add(rule),
        RoutingStep::RemoveRule(rule) => rule::remove(rule),
    })
}

fn index(name: &IfName, links: &Links) -> Result<u32, Errno> {
    links.get(name).map(|link| link.index).ok_or(Errno::ENODEV)
}

/// Tells whether the object of a step is gone already, so that nothing is left to do.
fn is_gone(step: &RoutingStep, errno: Errno) -> bool {
    match step {
        // Another program removed the interface; a tun device disappears with its process.
        RoutingStep::BringDown(_) => errno == Errno::ENODEV,
        // The kernel removes addresses together with their interface.
        RoutingStep::RemoveAddress(..) => matches!(errno, Errno::ENODEV | Errno::EADDRNOTAVAIL),
        // The kernel removes routes together with their interface, and also when it is set down.
        RoutingStep::RemoveRoute(_) => matches!(errno, Errno::ENODEV | Errno::ESRCH),
        // Other programs flush rules, and do not look whose rules they are.
        RoutingStep::RemoveRule(_) => errno == Errno::ENOENT,
        RoutingStep::ChangeLink { .. }
        | RoutingStep::AddAddress(..)
        | RoutingStep::BringUp(_)
        | RoutingStep::AddRoute(_)
        | RoutingStep::AddRule(_) => false,
    }
}
