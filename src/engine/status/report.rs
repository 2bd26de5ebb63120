//! Report of `portals status`, as plain data.

use std::net::{IpAddr, SocketAddr};

use crate::base::net::{Cidr, IfName, InterfaceAddress, PublicKey};
use crate::control::{AgentStatus, PathKind, TimedState};
use crate::engine::file_report::FileReport;
use crate::firewall;
use crate::nat::is_home_address;
use crate::services::leases::Lease;
use crate::site::{Exit, Obstacle, Relay};
use crate::state::WireGuardBackend;
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
    /// UDP ports that must reach this machine, in ascending order; empty if other sites cannot dial it.
    pub ports: Vec<u16>,
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
    /// Public key of the other end.
    pub key: PublicKey,
    /// Other end, as far as a way out depends on it.
    pub end: LinkEnd,
    /// Seconds since something came from the peer, as far as the agent knows.
    pub seen: Option<u64>,
    /// Seconds for which the peer has not answered, as far as the agent knows; `None` if it answers.
    pub unanswered: Option<u64>,
}

/// Other end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEnd {
    /// Site or phone.
    Member,
    /// Provider.
    Provider,
    /// This machine itself: the endpoint is one of its own addresses.
    Itself,
    /// Site whose name, its endpoint, has no address yet.
    Unresolved,
    /// None: the tunnel does not exist.
    Missing,
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
    /// Public address of the exit in use, as far as it is known.
    pub exit_address: Option<IpAddr>,
    /// Names of the sites on the way and of the place where traffic leaves, if the exit in use is a chain;
    /// otherwise empty.
    pub hops: Vec<String>,
    /// Names of the exits in the portal's list, in its order, if it has several; otherwise empty.
    pub exits: Vec<String>,
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
            key: PublicKey([2; 32]),
            end: LinkEnd::Member,
            seen: None,
            unanswered: None,
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
                key: PublicKey([3; 32]),
                end: LinkEnd::Member,
                seen: None,
                unanswered: None,
            },
            exit: "paris".to_owned(),
        };
        let portal = PortalReport {
            name: "guest".to_owned(),
            entrance: "interface eth1".to_owned(),
            address: Some("10.77.1.65/26".parse().unwrap()),
            address6: None,
            exit: "paris".to_owned(),
            exit_address: None,
            hops: Vec::new(),
            exits: Vec::new(),
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
            ports: Vec::new(),
        }
    }

    /// Returns the agent's view of a portal.
    pub fn known(&self, portal: &str) -> Option<&TimedState> {
        self.agent_status.as_ref()?.portals.iter().find(|known| known.name == portal)
    }

    /// Takes in the knowledge of the agent.
    pub fn take_agent_status(&mut self, agent_status: AgentStatus) {
        for link in &mut self.links {
            link.take_session(&agent_status);
        }
        for phone in &mut self.phones {
            phone.link.take_session(&agent_status);
        }
        self.agent_status = Some(agent_status);
    }

    /// Fills in the public addresses of exits: a site that is heard directly leaves to the internet at the
    /// same address.
    pub fn find_exit_addresses(&mut self) {
        for portal in &mut self.portals {
            let is_exit = |link: &&LinkReport| {
                link.exit && link.up && link.end == LinkEnd::Member && link.peer == portal.exit
            };
            let Some(link) = self.links.iter().find(is_exit) else { continue };
            let known = self.agent_status.as_ref().and_then(|known| known.link(&link.peer, &link.interface));
            let path = known.and_then(|known| known.path.as_ref());
            let is_direct = path.is_none_or(|path| !matches!(path.kind, PathKind::Relayed | PathKind::Local));
            let address = link.endpoint.map(|endpoint| endpoint.ip());
            portal.exit_address = address.filter(|address| is_direct && !is_home_address(*address));
        }
    }
}

impl LinkReport {
    fn take_session(&mut self, agent_status: &AgentStatus) {
        for session in &agent_status.sessions {
            if self.key == session.key && self.interface == session.interface {
                (self.seen, self.unanswered) = (session.seen, session.unanswered);
            }
        }
    }

    /// Reports whether the link has a session, and the other end does not answer.
    pub fn is_silent(&self) -> bool {
        self.up && self.unanswered.is_some()
    }

    /// Returns the state in a word or two.
    pub fn state(&self) -> &'static str {
        match (self.up, self.is_silent()) {
            (false, _) => "down",
            (true, true) => "not answering",
            (true, false) => "up",
        }
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
