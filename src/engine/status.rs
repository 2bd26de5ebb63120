//! Report of `portals status`: the state of links, portals and exits, from the network file and the live
//! tunnels.

use std::net::SocketAddr;
use std::time::SystemTime;

use crate::base::error::Result;
use crate::base::net::{Cidr, IfName, InterfaceAddress, PublicKey};
use crate::base::sorted::SortedMap;
use crate::control::{AgentStatus, TimedState};
use crate::engine::file_report::FileReport;
use crate::firewall;
use crate::kernel::Kernel;
use crate::kernel::wireguard::PeerStatistics;
use crate::services::leases::Lease;
use crate::site::{Entrance, Exit, Obstacle, Portal, Relay, Site, SitePeer};
use crate::state::{Link, Scope, State, WireGuardBackend};
use crate::wifi::card::Station;

/// Report of `portals status`.
#[derive(Debug)]
pub struct Report {
    /// Name of the network.
    pub network: String,
    /// Name of this site.
    pub site: String,
    /// Set if the agent runs.
    pub agent: bool,
    /// Knowledge of the agent, if it runs and answers.
    pub agent_status: Option<AgentStatus>,
    /// Network file; `None` if its network has no admin keys.
    pub file: Option<FileReport>,
    /// WireGuard that runs the tunnels.
    pub wireguard: WireGuardBackend,
    /// Firewall that guards the portals.
    pub firewall: firewall::FirewallBackend,
    /// Reason for the choice of the firewall: it follows the word "because".
    pub firewall_reason: &'static str,
    /// Links in the order of their interfaces, then of their peers.
    pub links: Vec<LinkReport>,
    /// Portals in the order of the network file.
    pub portals: Vec<PortalReport>,
    /// Faults, each in a sentence: programs that fail or are not installed, and Wi-Fi cards that cannot do
    /// their work.
    pub missing: Vec<String>,
    /// Phones in the order of their names.
    pub phones: Vec<PhoneReport>,
    /// Traffic of other sites' chains that goes on from here.
    pub relays: Vec<Relay>,
    /// Networks that this site and then linked sites share.
    pub lans: Vec<LanReport>,
}

/// Network that a site shares.
#[derive(Debug)]
pub struct LanReport {
    /// Name of the site.
    pub site: String,
    /// Network: at this site as it is here, at other sites as this site sees it.
    pub network: Cidr,
    /// Network in its place for other sites and phones, if this site translates it.
    pub seen_as: Option<Cidr>,
}

/// Link to another site, to a provider or to a phone.
#[derive(Debug)]
pub struct LinkReport {
    /// Name of the site at the other end, or of the exit that is a provider.
    pub peer: String,
    /// Interface of this site.
    pub interface: IfName,
    /// Set if this site uses the link as an exit.
    pub exit: bool,
    /// Address from which the peer was last heard, or at which it is dialled.
    pub endpoint: Option<SocketAddr>,
    /// Seconds since the last handshake.
    pub handshake_age: Option<u64>,
    /// Bytes received from the peer.
    pub received: u64,
    /// Bytes sent to the peer.
    pub sent: u64,
    /// Set if the link has a session that can be used.
    pub up: bool,
}

/// Phone that dials this site.
#[derive(Debug)]
pub struct PhoneReport {
    /// Link to the phone.
    pub link: LinkReport,
    /// Name of the exit in use: this site, if the phone's traffic leaves here.
    pub exit: String,
}

/// Portal of this site.
#[derive(Debug)]
pub struct PortalReport {
    /// Name of the portal.
    pub name: String,
    /// Traffic that enters, in words: `interface eth1`.
    pub entrance: String,
    /// IPv4 address of this host on the portal's LAN.
    pub address: Option<InterfaceAddress>,
    /// IPv6 address of this host on the portal's LAN, if the LAN has IPv6.
    pub address6: Option<InterfaceAddress>,
    /// Name of the exit in use; `nowhere` if no exit of the list is up.
    pub exit: String,
    /// Names of the sites on the way and of the place where traffic leaves, if the exit in use is a chain;
    /// otherwise empty.
    pub hops: Vec<String>,
    /// State of the portal's traffic.
    pub state: PortalState,
    /// Obstacle that blocks the portal, although its exits may be up.
    pub obstacle: Option<Obstacle>,
    /// Connected devices; `None` if the portal is no Wi-Fi.
    pub stations: Option<Vec<Station>>,
    /// Devices with an address from this host; `None` if the portal gives no addresses.
    pub leases: Option<Vec<Lease>>,
}

/// State of a portal's traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortalState {
    /// Traffic leaves through the first exit of the list.
    Open,
    /// Traffic leaves through a later exit of the list.
    FailedOver,
    /// Traffic leaves via this site's own uplink, as the network file says.
    Direct,
    /// Traffic does not pass, because all exits are down or an obstacle is in the way.
    Blocked,
}

impl Report {
    /// Returns a report with one entry of each kind.
    #[cfg(test)]
    pub(crate) fn example() -> Self {
        let link = LinkReport {
            peer: "paris".to_owned(),
            interface: "to-paris".parse().unwrap(),
            exit: true,
            endpoint: Some("203.0.113.9:51821".parse().unwrap()),
            handshake_age: Some(12),
            received: 1,
            sent: 2,
            up: true,
        };
        let phone = PhoneReport {
            link: LinkReport {
                peer: "mike".to_owned(),
                interface: "portals0".parse().unwrap(),
                exit: false,
                endpoint: None,
                handshake_age: None,
                received: 0,
                sent: 0,
                up: false,
            },
            exit: "paris".to_owned(),
        };
        let portal = PortalReport {
            name: "guest".to_owned(),
            entrance: "interface eth1".to_owned(),
            address: Some("10.77.1.65/26".parse().unwrap()),
            address6: None,
            exit: "paris".to_owned(),
            hops: Vec::new(),
            state: PortalState::Open,
            obstacle: None,
            stations: None,
            leases: None,
        };
        Self {
            network: "home".to_owned(),
            site: "nyc".to_owned(),
            agent: true,
            agent_status: None,
            file: None,
            wireguard: WireGuardBackend::Kernel,
            firewall: firewall::FirewallBackend::Nftables,
            firewall_reason: "the network file says so",
            links: vec![link],
            portals: vec![portal],
            missing: Vec::new(),
            phones: vec![phone],
            relays: Vec::new(),
            lans: Vec::new(),
        }
    }

    /// Returns the agent's view of a portal.
    pub fn known(&self, portal: &str) -> Option<&TimedState> {
        self.agent_status.as_ref()?.portals.iter().find(|known| known.name == portal)
    }
}

impl PortalState {
    /// List of the states.
    pub const ALL: [Self; 4] = [Self::Open, Self::FailedOver, Self::Direct, Self::Blocked];

    /// Returns the state of a portal with this list of exits, of which `exit` is in use and up.
    pub fn of(exit: &Exit, list: &[Exit]) -> Self {
        match exit {
            Exit::Direct => Self::Direct,
            Exit::Nowhere => Self::Blocked,
            Exit::Tunnel { .. } if list.first() == Some(exit) => Self::Open,
            Exit::Tunnel { .. } => Self::FailedOver,
        }
    }

    /// Returns the word in `portals status --json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::FailedOver => "failed-over",
            Self::Direct => "direct",
            Self::Blocked => "blocked",
        }
    }
}

/// Reads the live tunnels of a site. The portals of `site` must have the exits that are in use: see
/// [`choose_observed`](super::observed::choose_observed).
pub fn report(site: &Site, agent: bool, kernel: &mut dyn Kernel, now: SystemTime) -> Result<Report> {
    let live = kernel.own_tunnels()?;
    let (mut links, mut phones) = (Vec::new(), Vec::new());
    for (interface, tunnel) in &site.tunnels {
        let statistics = match live.get(interface) {
            Some(link) => {
                kernel.read_tunnel(interface, link, now).map(|reading| reading.peers).unwrap_or_default()
            }
            None => SortedMap::new(),
        };
        let link = |name, peer: &SitePeer| {
            link_report(name, interface, tunnel.table.is_some(), &statistics, peer.public_key, now)
        };
        links.extend(tunnel.peers.iter().map(|(name, peer)| link(name, peer)));
        phones.extend(tunnel.phones.iter().map(|(name, phone)| PhoneReport {
            link: link(name, &phone.peer),
            exit: if phone.exit == Exit::Direct { site.name.clone() } else { phone.exit.to_string() },
        }));
    }
    // The firewall of choice can change with the host. Until the next change of ours, the firewall in place
    // guards the portals.
    let (firewall, firewall_reason) = match guarding(&kernel.observe(&Scope::default())?) {
        Some(former) if former != site.guard.firewall => (former, "until the next change of this machine"),
        _ => (site.guard.firewall, site.guard.reason),
    };
    let mut stations = stations(site, kernel)?;
    let portals = site.portals.iter().map(|portal| PortalReport {
        // The caller reads them: it knows the folder.
        leases: None,
        stations: portal.entrance_interface().and_then(|interface| stations.remove(interface)),
        ..portal_report(site, portal, &links)
    });
    let portals = portals.collect();
    Ok(Report {
        network: site.network.clone(),
        site: site.name.clone(),
        agent,
        agent_status: None,
        file: None,
        wireguard: backend_in_use(&live).unwrap_or(site.host.wireguard),
        firewall,
        firewall_reason,
        links,
        portals,
        missing: Vec::new(),
        phones,
        relays: site.relays.clone(),
        lans: lans(site),
    })
}

fn lans(site: &Site) -> Vec<LanReport> {
    let mut lans = Vec::new();
    for lan in &site.lan {
        lans.push(LanReport { site: site.name.clone(), network: lan.network, seen_as: lan.seen_as });
    }
    for (name, networks) in &site.far_lans {
        for network in networks {
            lans.push(LanReport { site: name.clone(), network: *network, seen_as: None });
        }
    }
    lans
}

/// Returns the firewall that has our own rules.
fn guarding(have: &State) -> Option<firewall::FirewallBackend> {
    match (&have.firewall, have.iptables.keys().next()) {
        (Some(_), _) => Some(firewall::FirewallBackend::Nftables),
        (None, program) => program.map(|program| firewall::FirewallBackend::Iptables(*program)),
    }
}

fn backend_in_use(live: &SortedMap<IfName, Link>) -> Option<WireGuardBackend> {
    live.values().find_map(Link::backend)
}

fn link_report(
    name: &str,
    interface: &IfName,
    exit: bool,
    statistics: &SortedMap<PublicKey, PeerStatistics>,
    key: PublicKey,
    now: SystemTime,
) -> LinkReport {
    let peer = statistics.get(&key).copied().unwrap_or_default();
    LinkReport {
        peer: name.to_owned(),
        interface: interface.clone(),
        exit,
        endpoint: peer.endpoint,
        handshake_age: peer.age(now).map(|age| age.as_secs()),
        received: peer.received,
        sent: peer.sent,
        up: peer.alive(now),
    }
}

fn portal_report(site: &Site, portal: &Portal, links: &[LinkReport]) -> PortalReport {
    let state = match &portal.exit {
        Exit::Tunnel { interface, .. }
            if !links.iter().any(|link| link.interface == *interface && link.up) =>
        {
            PortalState::Blocked
        }
        exit => PortalState::of(exit, &portal.exits),
    };
    PortalReport {
        name: portal.name.clone(),
        entrance: portal.entrance_words(),
        address: portal.address,
        address6: portal.address6,
        exit: portal.exit.to_string(),
        hops: site.chain(&portal.exit).map(|chain| chain.hops.clone()).unwrap_or_default(),
        state,
        obstacle: portal.obstacle.clone(),
        stations: None,
        leases: None,
    }
}

/// Returns the devices that are connected to a site's Wi-Fi networks, by interface. The list of a network
/// that is off is empty.
fn stations(site: &Site, kernel: &mut dyn Kernel) -> Result<SortedMap<IfName, Vec<Station>>> {
    let of_wifi = |portal: &Portal| matches!(portal.entrance, Entrance::Wifi { .. });
    let wifis = site.portals.iter().filter(|portal| of_wifi(portal)).filter_map(Portal::entrance_interface);
    let mut stations: SortedMap<IfName, Vec<Station>> =
        wifis.map(|interface| (interface.clone(), Vec::new())).collect();
    let interfaces: Vec<&IfName> = stations.keys().collect();
    let connected = kernel.stations(&interfaces)?;
    stations.extend(connected);
    Ok(stations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::Firewall;
    use crate::firewall::xtables::{IptablesProgram, IptablesRuleset};

    #[test]
    fn the_firewall_with_our_rules_guards() {
        let mut have = State::default();
        assert_eq!(guarding(&have), None);
        have.iptables.insert(IptablesProgram::Legacy, IptablesRuleset::new());
        assert_eq!(guarding(&have), Some(firewall::FirewallBackend::Iptables(IptablesProgram::Legacy)));
        // Then our rules in iptables only open ways through rules of other programs.
        have.firewall = Some(Firewall::default());
        assert_eq!(guarding(&have), Some(firewall::FirewallBackend::Nftables));
    }
}
