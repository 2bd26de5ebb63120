//! A fake machine in two hands: those of the program under test, and those of the test.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use nix::errno::Errno;

use super::FakeKernel;
use crate::base::error::Result;
use crate::base::net::IfName;
use crate::base::sorted::SortedMap;
use crate::kernel::conntrack::ConnectionFilter;
use crate::kernel::echo::EchoPath;
use crate::kernel::link::Links;
use crate::kernel::sockets::{ChangeMonitor, EchoSocket, HelperSocket, NeighbourMonitor, TunnelPackets};
use crate::kernel::wireguard::Reading;
use crate::kernel::{Kernel, Outcome};
use crate::state::step::Step;
use crate::state::{Link, Scope, State, Tunnel};
use crate::wifi::card::Station;

/// Shared fake machine. All clones are one machine.
#[derive(Debug, Clone)]
pub struct SharedFake(Arc<Mutex<FakeKernel>>);

impl SharedFake {
    /// Shares a machine.
    pub fn new(machine: FakeKernel) -> Self {
        Self(Arc::new(Mutex::new(machine)))
    }

    /// Returns the machine, for the test to look at. Every other call waits for the end of the look.
    pub fn look(&self) -> MutexGuard<'_, FakeKernel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the machine as another program does. All subscribers hear of the change.
    pub fn by_another_hand(&self, change: impl FnOnce(&mut State)) {
        let mut machine = self.look();
        change(&mut machine.state);
        machine.listeners.tell();
    }
}

impl Kernel for SharedFake {
    fn observe(&mut self, scope: &Scope) -> Result<State> {
        self.look().observe(scope)
    }

    fn observe_with(&mut self, links: &Links, scope: &Scope) -> Result<State> {
        self.look().observe_with(links, scope)
    }

    /// Tells all subscribers of the changes, including the caller, as the real kernel does.
    fn apply(&mut self, steps: &[Step]) -> Vec<Outcome> {
        let mut machine = self.look();
        let outcomes = machine.apply(steps);
        machine.listeners.tell();
        outcomes
    }

    fn links(&mut self) -> Result<Links> {
        self.look().links()
    }

    fn interface_to(&mut self, address: IpAddr, links: &Links) -> Option<IfName> {
        self.look().interface_to(address, links)
    }

    fn is_outside_tunnels(&mut self, address: IpAddr, links: &Links) -> bool {
        self.look().is_outside_tunnels(address, links)
    }

    fn uplink_addresses(&mut self, uplinks: &[&IfName], links: &Links) -> Result<Vec<IpAddr>> {
        self.look().uplink_addresses(uplinks, links)
    }

    fn can_close_ports(&mut self) -> bool {
        self.look().can_close_ports()
    }

    fn legacy_tables(&mut self) -> Result<Option<u64>> {
        self.look().legacy_tables()
    }

    fn look_for_wireguard(&mut self) -> Result<()> {
        self.look().look_for_wireguard()
    }

    fn own_tunnels(&mut self) -> Result<SortedMap<IfName, Link>> {
        self.look().own_tunnels()
    }

    fn read_tunnel(&mut self, name: &IfName, link: &Link, now: SystemTime) -> Result<Reading> {
        self.look().read_tunnel(name, link, now)
    }

    fn change_tunnel(&mut self, name: &IfName, from: &Tunnel, to: &Tunnel) -> Result<()> {
        Kernel::change_tunnel(&mut *self.look(), name, from, to)
    }

    fn runs_tunnels(&self) -> bool {
        self.look().runs_tunnels()
    }

    fn begin_handshakes_anew(&self) {
        self.look().begin_handshakes_anew();
    }

    fn forget_connections(&mut self, chosen: &ConnectionFilter) -> Result<usize> {
        self.look().forget_connections(chosen)
    }

    fn stations(&mut self, interfaces: &[&IfName]) -> Result<SortedMap<IfName, Vec<Station>>> {
        self.look().stations(interfaces)
    }

    fn change_monitor(&mut self) -> Result<Box<dyn ChangeMonitor>> {
        self.look().change_monitor()
    }

    fn neighbour_monitor(&mut self) -> Result<Box<dyn NeighbourMonitor>> {
        self.look().neighbour_monitor()
    }

    fn echo_socket(&mut self, path: &EchoPath) -> Result<Box<dyn EchoSocket>, Errno> {
        self.look().echo_socket(path)
    }

    fn tunnel_packets(&mut self) -> Result<Box<dyn TunnelPackets>, Errno> {
        self.look().tunnel_packets()
    }

    fn helper_socket(&mut self, port: u16) -> Result<Box<dyn HelperSocket>, Errno> {
        self.look().helper_socket(port)
    }
}
