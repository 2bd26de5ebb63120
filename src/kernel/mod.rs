//! The layer that touches the machine: it observes the machine and carries out steps. The layer is thin,
//! because every difficult decision was made before.

#![cfg_attr(
    not(target_has_atomic = "64"),
    expect(
        dead_code,
        unused_imports,
        reason = "the built-in WireGuard uses them, and the check for unknown keys"
    )
)]

pub mod address;
mod attributes;
mod batch;
#[cfg_attr(not(target_has_atomic = "64"), path = "no_builtin.rs")]
pub mod builtin;
mod checksum;
pub mod conntrack;
pub(crate) mod constant;
mod datagram;
pub mod drops;
pub mod echo;
pub mod fake;
pub mod generic;
pub mod host_rule;
pub mod inject;
pub mod iptables;
#[cfg(target_has_atomic = "64")]
pub mod knocks;
pub mod link;
pub mod linux;
pub mod message;
pub mod neighbour;
pub mod netlink;
pub mod netlink_monitor;
mod nfnetlink;
pub mod nftables;
pub mod nl80211;
mod requests;
pub mod route;
pub mod rtnetlink;
pub mod rule;
pub mod sockets;
mod step_errors;
pub mod sysctl;
mod tun;
pub mod wireguard;

use std::net::IpAddr;
use std::time::SystemTime;

use nix::errno::Errno;

use crate::base::error::{Error, Result};
use crate::base::net::{IfName, PublicKey};
use crate::base::sorted::SortedMap;
use crate::state::step::Step;
use crate::state::{Link, Scope, State, Tunnel};
use crate::wifi::card::Station;
use conntrack::ConnectionFilter;
use echo::EchoPath;
use link::Links;
use sockets::{ChangeMonitor, EchoSocket, HelperSocket, NeighbourMonitor, TunnelPackets};
use wireguard::{PeerStatistics, Reading};

/// A machine that can be observed and changed.
pub trait Kernel {
    /// Returns everything of ours on the machine, and the parts of the host that `scope` asks for. Changes
    /// nothing.
    fn observe(&mut self, scope: &Scope) -> Result<State>;

    /// Observes like [`Kernel::observe`], with interfaces that the caller has just listed.
    fn observe_with(&mut self, links: &Links, scope: &Scope) -> Result<State>;

    /// Carries out steps in order, and returns one outcome for each step.
    ///
    /// Adjacent steps of one type go to the kernel as one batch. Nothing is tried behind the first batch with
    /// a failure; within that batch, steps behind the failed step may have been carried out.
    fn apply(&mut self, steps: &[Step]) -> Vec<Outcome>;

    /// Takes a snapshot of all interfaces.
    fn links(&mut self) -> Result<Links>;

    /// Returns the interface through which packets to an address leave this machine.
    fn interface_to(&mut self, address: IpAddr, links: &Links) -> Option<IfName>;

    /// Reports whether a tunnel's packets to an address leave this machine, and not through a tunnel of
    /// portals: that tunnel would carry itself.
    fn is_outside_tunnels(&mut self, address: IpAddr, links: &Links) -> bool;

    /// Returns the addresses of these uplinks at which another site may reach this host: at most one IPv6
    /// address, which is global, and two private IPv4 addresses for a site in the same home.
    fn uplink_addresses(&mut self, uplinks: &[&IfName], links: &Links) -> Result<Vec<IpAddr>>;

    /// Reports whether packets can be dropped as they arrive at a port of a bridge of the host.
    fn can_close_ports(&mut self) -> bool;

    /// Returns a digest of all tables of legacy iptables in use, if there are any: the kernel reports no
    /// change of them.
    fn legacy_tables(&mut self) -> Result<Option<u64>>;

    /// Looks for the kernel's WireGuard once more if there was none: it may have been installed since.
    fn look_for_wireguard(&mut self) -> Result<()>;

    /// Returns the tunnels of portals, of this network or an earlier one.
    fn own_tunnels(&mut self) -> Result<SortedMap<IfName, Link>>;

    /// Reads the settings of a tunnel, and the statistics of its peers. `now` decides which peers are alive.
    fn read_tunnel(&mut self, name: &IfName, link: &Link, now: SystemTime) -> Result<Reading>;

    /// Reads the tunnel of portals on an interface; `None` if there is none.
    fn own_tunnel(&mut self, name: &IfName) -> Result<Option<Reading>> {
        let Some(link) = self.own_tunnels()?.remove(name) else { return Ok(None) };
        self.read_tunnel(name, &link, SystemTime::now()).map(Some)
    }

    /// Reads the statistics of the peers of each tunnel of portals.
    fn own_peers(&mut self, now: SystemTime) -> Result<Vec<(IfName, SortedMap<PublicKey, PeerStatistics>)>> {
        let mut all = Vec::new();
        for (name, link) in &self.own_tunnels()? {
            all.push((name.clone(), self.read_tunnel(name, link, now)?.peers));
        }
        Ok(all)
    }

    /// Changes the settings of one tunnel of portals.
    fn change_tunnel(&mut self, name: &IfName, from: &Tunnel, to: &Tunnel) -> Result<()>;

    /// Reports whether this process runs tunnels with the built-in WireGuard.
    fn runs_tunnels(&self) -> bool;

    /// Makes the built-in WireGuard begin anew with every peer that does not answer.
    fn begin_handshakes_anew(&self);

    /// Forgets the chosen connections, and returns their number.
    fn forget_connections(&mut self, chosen: &ConnectionFilter) -> Result<usize>;

    /// Returns the devices that are connected to each of these interfaces, without those that are not Wi-Fi.
    fn stations(&mut self, interfaces: &[&IfName]) -> Result<SortedMap<IfName, Vec<Station>>>;

    /// Subscribes to all changes from now on.
    fn change_monitor(&mut self) -> Result<Box<dyn ChangeMonitor>>;

    /// Subscribes to the devices that show up from now on.
    fn neighbour_monitor(&mut self) -> Result<Box<dyn NeighbourMonitor>>;

    /// Opens a socket for echo requests.
    fn echo_socket(&mut self, path: &EchoPath) -> Result<Box<dyn EchoSocket>, Errno>;

    /// Opens sockets for packets of links, which leave from the ports of tunnels.
    fn tunnel_packets(&mut self) -> Result<Box<dyn TunnelPackets>, Errno>;

    /// Opens a socket for questions at a port of this host, at all its addresses.
    fn helper_socket(&mut self, port: u16) -> Result<Box<dyn HelperSocket>, Errno>;

    /// Sends a packet through a tunnel, so that a handshake begins at once. If that fails, a later keepalive
    /// begins the handshake.
    fn knock(&mut self, interface: &IfName, from: IpAddr, to: IpAddr) {
        if from.is_ipv4() && to.is_ipv4() {
            let path = EchoPath { interface: interface.clone(), from, to, mark: None };
            let _ = self.echo_socket(&path).and_then(|mut echo| echo.ask());
        }
    }
}

/// Outcome of a step.
#[derive(Debug)]
pub enum Outcome {
    /// The step was carried out.
    Done,
    /// The step was tried and failed; nothing of it remains.
    Failed(Error),
    /// The step was not tried, because an earlier step failed.
    Untried,
}

impl From<Result<()>> for Outcome {
    fn from(result: Result<()>) -> Self {
        result.map_or_else(Self::Failed, |()| Self::Done)
    }
}
