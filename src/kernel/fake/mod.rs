//! A kernel that is only data, for tests. It follows the rules of the real kernel as far as the order of
//! steps depends on them, and fails where a test wants it to.

mod datagrams;
mod shared;
mod sockets;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::time::SystemTime;

use nix::errno::Errno;

use super::batch::Batch;
use super::conntrack::ConnectionFilter;
use super::echo::EchoPath;
use super::link::Links;
use super::sockets::{ChangeMonitor, EchoSocket, HelperSocket, NeighbourMonitor, TunnelPackets};
use super::wireguard::{PeerStatistics, Reading};
use super::{Kernel, Outcome, step_errors};
use crate::base::error::{Context as _, Result};
use crate::base::net::{IfName, PublicKey};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::site::facts::Facts;
use crate::state::step::{FirewallStep, NamedLink, RoutingStep, Step, SysctlChange, TunnelChange};
use crate::state::{Link, LinkKind, Route, Scope, State, Tunnel, words};
use crate::wifi::card::Station;
pub use datagrams::{FakeDatagrams, SentPacket};
pub use shared::SharedFake;
use sockets::{FakeEchoSocket, FakeMonitor, Silence, Subscribers};

/// Machine in memory. Unlike with the real kernel, the removal of an object that does not exist is an error.
#[derive(Debug, Clone, Default)]
pub struct FakeKernel {
    /// Objects of ours, and the settings, addresses and interfaces of the host that a scope may contain.
    pub state: State,
    /// Interfaces of the host, which are not ours.
    pub host: SortedSet<IfName>,
    /// Number of the step that fails once, counted from 0 over all calls.
    pub fail_at: Option<usize>,
    /// Number of the step after which another program removes our firewall once, counted from 0 over all
    /// calls.
    pub flush_behind: Option<usize>,
    /// Number of steps that were tried.
    pub tried: usize,
    /// Set if tunnels cannot be read.
    pub tunnels_are_unreadable: bool,
    /// Number of changes of tunnels outside steps before one fails, once.
    pub tunnel_fails_after: Option<usize>,
    /// Facts about the host, for a caller that reads them.
    pub facts: Facts,
    /// Choices of connections that were forgotten.
    pub forgotten: Vec<ConnectionFilter>,
    /// Interfaces through which no echo request is answered.
    pub silent: Silence,
    /// Statistics of the peers of tunnels, their endpoints aside.
    pub statistics: SortedMap<PublicKey, PeerStatistics>,
    /// Packets of links, and of helpers.
    pub datagrams: FakeDatagrams,
    /// Addresses of the uplinks.
    pub uplink_addresses: Vec<IpAddr>,
    /// Addresses to which packets leave through tunnels of portals.
    pub inside_tunnels: SortedSet<IpAddr>,
    listeners: Subscribers,
}

impl FakeKernel {
    /// Returns a machine with these interfaces of the host, and nothing of ours.
    pub fn with_host(interfaces: impl IntoIterator<Item = IfName>) -> Self {
        Self { host: interfaces.into_iter().collect(), ..Self::default() }
    }

    fn carry_out(&mut self, step: &Step) -> Result<()> {
        let number = self.tried;
        self.tried += 1;
        let result = if self.fail_at == Some(number) { Err(Errno::EIO) } else { self.change(step) };
        if self.flush_behind == Some(number) {
            self.state.firewall = None;
        }
        result.map_err(|errno| step_errors::failure(&words::step(step), "", errno.into()))
    }

    fn change(&mut self, step: &Step) -> Result<(), Errno> {
        match step {
            Step::AddLink(NamedLink { name, link }) => self.add_link(name, link),
            Step::RemoveLink(NamedLink { name, .. }) => self.remove_link(name),
            Step::ChangeTunnel(TunnelChange { name, to, .. }) => self.change_tunnel(name, to),
            Step::Routing(step) => self.change_routing(step),
            Step::Firewall(step) => self.change_firewall(step),
            Step::SetSysctl(SysctlChange { key, to, .. }) => {
                self.state.sysctls.get_mut(key).ok_or(Errno::ENOENT)?.clone_from(to);
                Ok(())
            }
        }
    }

    fn change_routing(&mut self, step: &RoutingStep) -> Result<(), Errno> {
        let state = &mut self.state;
        match step {
            RoutingStep::ChangeLink { name, to, .. } => {
                *state.links.get_mut(name).ok_or(Errno::ENODEV)? = to.clone();
                Ok(())
            }
            RoutingStep::AddAddress(name, address) => {
                self.exists(name)?;
                expect(self.state.addresses.insert((name.clone(), *address)), Errno::EEXIST)
            }
            RoutingStep::RemoveAddress(name, address) => {
                expect(state.addresses.remove(&(name.clone(), *address)), Errno::EADDRNOTAVAIL)
            }
            RoutingStep::BringUp(name) => self.bring_up(name),
            RoutingStep::BringDown(name) => self.bring_down(name),
            RoutingStep::AddRoute(route) => self.add_route(route),
            RoutingStep::RemoveRoute(route) => expect(state.routes.remove(route), Errno::ESRCH),
            RoutingStep::AddRule(rule) => expect(state.rules.insert(rule.clone()), Errno::EEXIST),
            RoutingStep::RemoveRule(rule) => expect(state.rules.remove(rule), Errno::ENOENT),
        }
    }

    /// Changes a firewall. A transaction that edits an object that does not exist is refused as a whole.
    fn change_firewall(&mut self, step: &FirewallStep) -> Result<(), Errno> {
        let state = &mut self.state;
        match step {
            FirewallStep::ClosePorts { from, to } => {
                expect(state.closed_ports == *from, Errno::ENOENT)?;
                state.closed_ports.clone_from(to);
                Ok(())
            }
            FirewallStep::ChangeFirewall { from, to } => {
                expect(state.firewall == *from, Errno::ENOENT)?;
                for device in to.iter().filter_map(|firewall| firewall.flows.as_ref()).flatten() {
                    let is_here = state.links.contains_key(device) || self.host.contains(device);
                    expect(is_here, Errno::ENOENT)?;
                }
                state.firewall.clone_from(to);
                Ok(())
            }
            FirewallStep::ChangeIptables { program, from, to } => {
                replace(&mut state.iptables, *program, from, to)
            }
            FirewallStep::ChangePinholes { chain, from, to } => {
                replace(&mut state.pinholes, chain.clone(), from, to)
            }
        }
    }

    fn exists(&self, name: &IfName) -> Result<(), Errno> {
        expect(self.state.links.contains_key(name) || self.host.contains(name), Errno::ENODEV)
    }

    fn add_link(&mut self, name: &IfName, link: &Link) -> Result<(), Errno> {
        expect(self.exists(name).is_err(), Errno::EEXIST)?;
        match &link.kind {
            LinkKind::WireGuard(_) => self.state.tunnels.insert(name.clone(), Tunnel::default()),
            LinkKind::Vlan { parent, .. } => self.exists(parent)?,
        }
        self.state.links.insert(name.clone(), link.clone());
        Ok(())
    }

    /// Removes an interface with its addresses, routes and settings, and from the flowtable.
    fn remove_link(&mut self, name: &IfName) -> Result<(), Errno> {
        self.state.links.remove(name).ok_or(Errno::ENODEV)?;
        if let Some(flows) = self.state.firewall.as_mut().and_then(|firewall| firewall.flows.as_mut()) {
            flows.remove(name);
        }
        self.state.tunnels.remove(name);
        self.state.addresses.retain(|(interface, _)| interface != name);
        self.state.up.remove(name);
        self.forget_routes(name);
        Ok(())
    }

    fn change_tunnel(&mut self, name: &IfName, to: &Tunnel) -> Result<(), Errno> {
        expect(self.state.tunnels.contains_key(name), Errno::ENODEV)?;
        if self.state.up.contains(name) {
            self.port_is_free(name, to.port)?;
        }
        self.state.tunnels.insert(name.clone(), to.clone());
        Ok(())
    }

    /// Sets an interface up. WireGuard opens its port only now: two tunnels may have got the same port
    /// before.
    fn bring_up(&mut self, name: &IfName) -> Result<(), Errno> {
        self.exists(name)?;
        if let Some(tunnel) = self.state.tunnels.get(name) {
            self.port_is_free(name, tunnel.port)?;
        }
        self.state.up.insert(name.clone());
        Ok(())
    }

    fn bring_down(&mut self, name: &IfName) -> Result<(), Errno> {
        self.exists(name)?;
        self.state.up.remove(name);
        self.forget_routes(name);
        Ok(())
    }

    fn port_is_free(&self, name: &IfName, port: Option<NonZeroU16>) -> Result<(), Errno> {
        let holds = |(other, tunnel): (&IfName, &Tunnel)| {
            other != name && tunnel.port == port && self.state.up.contains(other)
        };
        expect(port.is_none() || !self.state.tunnels.iter().any(holds), Errno::EADDRINUSE)
    }

    fn add_route(&mut self, route: &Route) -> Result<(), Errno> {
        if let Some(interface) = route.interface() {
            self.exists(interface)?;
            expect(self.state.up.contains(interface), Errno::ENETDOWN)?;
        }
        let taken = self.state.routes.iter().any(|other| other.place() == route.place());
        expect(!taken, Errno::EEXIST)?;
        self.state.routes.insert(route.clone());
        Ok(())
    }

    fn forget_routes(&mut self, name: &IfName) {
        self.state.routes.retain(|route| route.interface() != Some(name));
    }
}

impl Kernel for FakeKernel {
    fn links(&mut self) -> Result<Links> {
        Ok(Links::new())
    }

    fn interface_to(&mut self, _: IpAddr, _: &Links) -> Option<IfName> {
        None
    }

    fn is_outside_tunnels(&mut self, address: IpAddr, _: &Links) -> bool {
        !self.inside_tunnels.contains(&address)
    }

    fn uplink_addresses(&mut self, _: &[&IfName], _: &Links) -> Result<Vec<IpAddr>> {
        Ok(self.uplink_addresses.clone())
    }

    fn can_close_ports(&mut self) -> bool {
        self.facts.closes_ports
    }

    fn legacy_tables(&mut self) -> Result<Option<u64>> {
        Ok(None)
    }

    fn look_for_wireguard(&mut self) -> Result<()> {
        Ok(())
    }

    fn own_tunnels(&mut self) -> Result<SortedMap<IfName, Link>> {
        let tunnels = self.state.links.iter().filter(|(_, link)| link.backend().is_some());
        Ok(tunnels.map(|(name, link)| (name.clone(), link.clone())).collect())
    }

    fn read_tunnel(&mut self, name: &IfName, _: &Link, _: SystemTime) -> Result<Reading> {
        if self.tunnels_are_unreadable {
            return Err(Errno::EIO).context(|| format!("cannot read {name}"));
        }
        let tunnel = self.state.tunnels.get(name).cloned().unwrap_or_default();
        let mut peers = SortedMap::new();
        for (key, peer) in &tunnel.peers {
            let statistics = self.statistics.get(key).copied().unwrap_or_default();
            peers.insert(*key, PeerStatistics { endpoint: peer.endpoint, ..statistics });
        }
        Ok(Reading { tunnel, peers })
    }

    fn change_tunnel(&mut self, name: &IfName, _: &Tunnel, to: &Tunnel) -> Result<()> {
        let fails = self.tunnel_fails_after == Some(0);
        self.tunnel_fails_after = self.tunnel_fails_after.and_then(|left| left.checked_sub(1));
        let changed = if fails { Err(Errno::EIO) } else { Self::change_tunnel(self, name, to) };
        changed.context(|| format!("cannot change {name}"))
    }

    fn runs_tunnels(&self) -> bool {
        false
    }

    fn begin_handshakes_anew(&self) {}

    fn forget_connections(&mut self, chosen: &ConnectionFilter) -> Result<usize> {
        self.forgotten.push(chosen.clone());
        Ok(0)
    }

    fn stations(&mut self, _: &[&IfName]) -> Result<SortedMap<IfName, Vec<Station>>> {
        Ok(SortedMap::new())
    }

    fn change_monitor(&mut self) -> Result<Box<dyn ChangeMonitor>> {
        Ok(Box::new(FakeMonitor::open(&mut self.listeners)?))
    }

    fn neighbour_monitor(&mut self) -> Result<Box<dyn NeighbourMonitor>> {
        Ok(Box::new(FakeMonitor::open(&mut self.listeners)?))
    }

    fn echo_socket(&mut self, path: &EchoPath) -> Result<Box<dyn EchoSocket>, Errno> {
        self.exists(&path.interface)?;
        Ok(Box::new(FakeEchoSocket::open(&path.interface, path.to, &self.silent)?))
    }

    fn tunnel_packets(&mut self) -> Result<Box<dyn TunnelPackets>, Errno> {
        self.datagrams.open_at_tunnels()
    }

    fn helper_socket(&mut self, port: u16) -> Result<Box<dyn HelperSocket>, Errno> {
        self.datagrams.open_at(port)
    }

    fn observe(&mut self, scope: &Scope) -> Result<State> {
        let mut state = self.state.clone();
        let ours = self.state.links.keys().collect::<SortedSet<_>>();
        state.up.retain(|name| ours.contains(name) || scope.interfaces.contains(name));
        state.addresses.retain(|address| ours.contains(&address.0) || scope.addresses.contains(address));
        state.sysctls.retain(|key, _| scope.sysctls.contains(key));
        Ok(state)
    }

    fn observe_with(&mut self, _: &Links, scope: &Scope) -> Result<State> {
        self.observe(scope)
    }

    fn apply(&mut self, steps: &[Step]) -> Vec<Outcome> {
        Batch::carry_out_all(steps, &mut |_, run| run.iter().map(|step| self.carry_out(step)).collect())
    }
}

/// Replaces the value of a key, if it is as expected. An empty value removes the key.
fn replace<K: Ord, V: Default + Clone + PartialEq>(
    map: &mut SortedMap<K, V>,
    key: K,
    from: &V,
    to: &V,
) -> Result<(), Errno> {
    expect(map.remove(&key).unwrap_or_default() == *from, Errno::ENOENT)?;
    if *to != V::default() {
        map.insert(key, to.clone());
    }
    Ok(())
}

fn expect(holds: bool, errno: Errno) -> Result<(), Errno> {
    if holds { Ok(()) } else { Err(errno) }
}
