//! Steps as requests to rtnetlink: interfaces, addresses, routes and rules.

use nix::errno::Errno;

use super::link::HostLink;
use super::message::Message;
use super::netlink::{Refusal, Socket};
use super::{address, link, refusal, route, rule};
use crate::base::error::Result;
use crate::base::net::IfName;
use crate::base::sorted::SortedMap;
use crate::state::diff::Step;
use crate::state::{Link, LinkKind, Target};

/// Sends one request a step, in one batch. `links` are needed for addresses and routes: the kernel wants
/// interfaces by number there.
pub(super) fn send(
    socket: &mut Socket,
    steps: &[Step],
    links: &SortedMap<IfName, HostLink>,
) -> Vec<Result<()>> {
    let mut requests = Vec::with_capacity(steps.len());
    let encoded: Vec<Result<(), Errno>> =
        steps.iter().map(|step| encode(step, links).map(|request| requests.push(request))).collect();
    let mut verdicts = socket.batch(requests).into_iter();
    let verdict = |encoded: Result<(), Errno>| {
        encoded
            .map_err(Refusal::from)
            .and_then(|()| verdicts.next().expect("there is a verdict on each request"))
    };
    steps.iter().zip(encoded.into_iter().map(verdict)).map(|(step, verdict)| judge(step, verdict)).collect()
}

/// The request that carries out a step; ENODEV if its interface is missing.
fn encode(step: &Step, links: &SortedMap<IfName, HostLink>) -> Result<Message, Errno> {
    let index = |name: &IfName| links.get(name).map(|link| link.index).ok_or(Errno::ENODEV);
    let device = |target: &Target| match target {
        Target::Device { interface, .. } => index(interface).map(Some),
        Target::Unreachable => Ok(None),
    };
    Ok(match step {
        Step::AddLink(name, Link { kind: LinkKind::WireGuard(_), mtu, .. }) => {
            link::create_wireguard(name, *mtu)
        }
        Step::AddLink(name, Link { kind: LinkKind::Vlan { parent, id }, mtu, .. }) => {
            link::create_vlan(name, *mtu, index(parent)?, *id)
        }
        Step::RemoveLink(name, _) => link::remove(name),
        Step::ChangeLink { name, to, .. } => link::finish(name, to),
        Step::AddAddress(name, address) => address::add(index(name)?, *address),
        Step::RemoveAddress(name, address) => address::remove(index(name)?, *address),
        Step::BringUp(name) => link::set_up(name, true),
        Step::BringDown(name) => link::set_up(name, false),
        Step::AddRoute(route) => route::add(route, device(&route.target)?),
        Step::RemoveRoute(route) => route::remove(route, device(&route.target)?),
        Step::AddRule(rule) => rule::add(rule),
        Step::RemoveRule(rule) => rule::remove(rule),
        Step::ChangeTunnel { .. }
        | Step::ClosePorts { .. }
        | Step::ChangeFirewall { .. }
        | Step::ChangeIptables { .. }
        | Step::ChangeOpenings { .. }
        | Step::SetSysctl { .. } => return Err(Errno::EOPNOTSUPP),
    })
}

/// What the kernel's verdict means for a step.
pub(super) fn judge(step: &Step, verdict: Result<(), Refusal>) -> Result<()> {
    match verdict {
        Err(refusal) if !is_gone(step, refusal.errno) => Err(refusal::failure(step, refusal)),
        _ => Ok(()),
    }
}

/// Whether what was to be removed is not there any more: then that is done.
fn is_gone(step: &Step, errno: Errno) -> bool {
    match step {
        // Removed by somebody else meanwhile; a tun device goes with its process.
        Step::RemoveLink(..) | Step::BringDown(_) => errno == Errno::ENODEV,
        // The kernel takes addresses away with their interface.
        Step::RemoveAddress(..) => matches!(errno, Errno::ENODEV | Errno::EADDRNOTAVAIL),
        // And routes, also when it is set down.
        Step::RemoveRoute(_) => matches!(errno, Errno::ENODEV | Errno::ESRCH),
        // Others flush rules without looking whose they are.
        Step::RemoveRule(_) => errno == Errno::ENOENT,
        _ => false,
    }
}
