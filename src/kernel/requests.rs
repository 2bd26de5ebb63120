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
    send(socket, new, |new| encode_new(new, links), |new, refused| Err(step_errors::not_added(new, refused)))
}

/// Removes interfaces. An interface that is gone already counts as removed: another program removed it
/// meanwhile, or it was a tun device, which disappears with its process.
pub(super) fn remove_links(socket: &mut Socket, old: &[&NamedLink]) -> Vec<Result<()>> {
    send(
        socket,
        old,
        |old| Ok(link::remove(&old.name)),
        |old, refused| match refused.errno {
            Errno::ENODEV => Ok(()),
            _ => Err(step_errors::not_removed(old, refused)),
        },
    )
}

/// Changes interfaces, addresses, routes and rules. `links` is a snapshot of all interfaces: the kernel wants
/// interfaces by number.
pub(super) fn change_routing(socket: &mut Socket, steps: &[&RoutingStep], links: &Links) -> Vec<Result<()>> {
    send(
        socket,
        steps,
        |step| encode(step, links),
        |step, refused| {
            if is_gone(step, refused.errno) { Ok(()) } else { Err(step_errors::not_changed(step, refused)) }
        },
    )
}

/// Sends one request for each step, in one batch. `judge` decides about refusals.
fn send<T>(
    socket: &mut Socket,
    steps: &[&T],
    encode: impl Fn(&T) -> Result<Message, Errno>,
    judge: impl Fn(&T, Refusal) -> Result<()>,
) -> Vec<Result<()>> {
    let mut requests = Vec::with_capacity(steps.len());
    let encoded: Vec<Result<(), Errno>> =
        steps.iter().map(|step| encode(step).map(|request| requests.push(request))).collect();
    let mut verdicts = socket.batch(requests).into_iter();
    let verdict = |(step, encoded): (&&T, Result<(), Errno>)| {
        encoded
            .map_err(Refusal::from)
            .and_then(|()| verdicts.next().expect("there is a verdict on each request"))
            .or_else(|refused| judge(step, refused))
    };
    steps.iter().zip(encoded).map(verdict).collect()
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
