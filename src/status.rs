//! What `portals status` tells: the state of links, portals and exits, from the file and from the live tunnels.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::SystemTime;

use crate::error::Result;
use crate::firewall;
use crate::kernel::linux::Linux;
use crate::kernel::wireguard::PeerStatistics;
use crate::net::{IfName, InterfaceAddress, PublicKey};
use crate::site::{Entrance, Exit, Portal, Site};
use crate::state::{Backend, Link, LinkKind};

/// All that `portals status` tells.
#[derive(Debug)]
pub struct Report {
    /// Name of the network.
    pub network: String,
    /// Name of this site.
    pub site: String,
    /// Whether the agent runs.
    pub agent: bool,
    /// Who runs the tunnels.
    pub wireguard: Backend,
    /// Which firewall guards the portals.
    pub firewall: firewall::Backend,
    /// Why that one: to go behind "because".
    pub firewall_reason: &'static str,
    /// By interface, then by peer.
    pub links: Vec<LinkReport>,
    /// In the order of the file.
    pub portals: Vec<PortalReport>,
}

/// One link.
#[derive(Debug)]
pub struct LinkReport {
    /// Name of the site at the other end.
    pub peer: String,
    /// Our interface.
    pub interface: IfName,
    /// Whether we use it as an exit.
    pub exit: bool,
    /// Where the peer was last heard of, or is dialled.
    pub endpoint: Option<SocketAddr>,
    /// Seconds since the last handshake.
    pub handshake_age: Option<u64>,
    /// Bytes received from it.
    pub received: u64,
    /// Bytes sent to it.
    pub sent: u64,
    /// Whether it has a session that can be used.
    pub up: bool,
}

/// One portal.
#[derive(Debug)]
pub struct PortalReport {
    /// Its name.
    pub name: String,
    /// What enters, in words: `interface eth1`.
    pub entrance: String,
    /// The address of its LAN.
    pub address: Option<InterfaceAddress>,
    /// Name of the exit.
    pub exit: String,
    /// Whether traffic passes.
    pub state: PortalState,
}

/// Whether a portal's traffic passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortalState {
    /// Through its exit.
    Open,
    /// By this site's own uplink, as the file says.
    Direct,
    /// Not at all, since its exit is down.
    Blocked,
}

impl PortalState {
    /// The word in `status --json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Direct => "direct",
            Self::Blocked => "blocked",
        }
    }
}

/// Reads the live tunnels of a site.
pub fn report(site: &Site, agent: bool, kernel: &mut Linux, now: SystemTime) -> Result<Report> {
    let live = kernel.own_links()?;
    let mut links = Vec::new();
    for (interface, tunnel) in &site.tunnels {
        let statistics = match live.get(interface) {
            Some(link) => {
                kernel.read_tunnel(interface, link, now).map(|reading| reading.peers).unwrap_or_default()
            }
            None => BTreeMap::new(),
        };
        for (name, peer) in &tunnel.peers {
            links.push(link_report(
                name,
                interface,
                tunnel.table.is_some(),
                &statistics,
                peer.public_key,
                now,
            ));
        }
    }
    let portals = site.portals.iter().map(|portal| portal_report(portal, &links)).collect();
    Ok(Report {
        network: site.network.clone(),
        site: site.name.clone(),
        agent,
        wireguard: backend_in_use(&live).unwrap_or(site.backend),
        firewall: site.firewall,
        firewall_reason: site.firewall_reason,
        links,
        portals,
    })
}

fn backend_in_use(live: &BTreeMap<IfName, Link>) -> Option<Backend> {
    live.values().map(|Link { kind: LinkKind::WireGuard(backend), .. }| *backend).next()
}

fn link_report(
    name: &str,
    interface: &IfName,
    exit: bool,
    statistics: &BTreeMap<PublicKey, PeerStatistics>,
    key: PublicKey,
    now: SystemTime,
) -> LinkReport {
    let peer = statistics.get(&key).copied().unwrap_or_default();
    LinkReport {
        peer: name.to_owned(),
        interface: interface.clone(),
        exit,
        endpoint: peer.endpoint,
        // A handshake in the future means that the clock was set back: it was just now.
        handshake_age: peer.handshake.map(|then| now.duration_since(then).map_or(0, |age| age.as_secs())),
        received: peer.received,
        sent: peer.sent,
        up: peer.alive(now),
    }
}

fn portal_report(portal: &Portal, links: &[LinkReport]) -> PortalReport {
    let (exit, state) = match &portal.exit {
        Exit::Direct => ("direct".to_owned(), PortalState::Direct),
        Exit::Site { name, .. } => {
            let is_up = links.iter().any(|link| link.peer == *name && link.up);
            (name.clone(), if is_up { PortalState::Open } else { PortalState::Blocked })
        }
    };
    PortalReport {
        name: portal.name.clone(),
        entrance: entrance(portal),
        address: portal.address,
        exit,
        state,
    }
}

fn entrance(portal: &Portal) -> String {
    match &portal.entrance {
        Entrance::Interface(interface) => format!("interface {interface}"),
        Entrance::From(sources) => {
            let sources: Vec<String> = sources.iter().map(ToString::to_string).collect();
            format!("from {}", sources.join(", "))
        }
        Entrance::Own => "self".to_owned(),
    }
}
