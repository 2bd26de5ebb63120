//! Way of a packet through the kernel of one site, from a portal to its exit: the hooks of netfilter and the
//! routing decisions, with the rules of ours that the packet meets there.

mod fit;
mod picture;
mod text;

use std::net::{IpAddr, Ipv4Addr};

use crate::base::net::{Cidr, IfName, InterfaceAddress};
use crate::base::sorted::SortedSet;
use crate::config::model::{Ports, Protocol};
use crate::firewall::{Chain, Firewall, FirewallBackend};
use crate::plan::plan;
use crate::site::{Entrance, Exit, Portal, Site};
use crate::state::{State, TUNNEL_MARK};
use fit::{Packet, UNSPECIFIED};
pub use picture::picture;
pub use text::text;

/// Address on the internet to which the packet goes if the portal takes all destinations: k.root-servers.net,
/// of the RIPE NCC.
const INTERNET: IpAddr = IpAddr::V4(Ipv4Addr::new(193, 0, 14, 129));

/// Way of a packet.
#[derive(Debug)]
pub struct PacketPath {
    title: String,
    stages: Vec<Stage>,
}

/// Place on the way.
#[derive(Debug)]
struct Stage {
    /// Hook of netfilter; stages of one hook follow each other.
    hook: &'static str,
    kind: Kind,
    /// Words after the name of the kind: priority and chain.
    place: String,
    /// Rules in the order in which the packet meets them.
    lines: Vec<String>,
}

/// Kind of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Interface,
    Raw,
    Conntrack,
    Mangle,
    Nat,
    Filter,
    Routing,
}

impl Stage {
    /// Returns the words in bold and in plain type.
    fn words(&self) -> (&str, &str) {
        match self.kind {
            Kind::Interface | Kind::Routing => (&self.place, ""),
            kind => (kind.look().0, &self.place),
        }
    }
}

impl Kind {
    /// Name of the kind, and the number of its colour.
    fn look(self) -> (&'static str, i32) {
        match self {
            Self::Interface => ("", 3),
            Self::Raw => ("raw", 7),
            Self::Conntrack => ("conntrack", 1),
            Self::Mangle => ("mangle", 4),
            Self::Nat => ("nat", 0),
            Self::Filter => ("filter", 5),
            Self::Routing => ("", 2),
        }
    }
}

/// Way in the making.
struct Walk<'a> {
    state: &'a State,
    firewall: &'a Firewall,
    packet: Packet,
    stages: Vec<Stage>,
}

impl PacketPath {
    /// Returns the way from a portal of a site; `None` if the site has no portal of that name. The rules are
    /// in nft's words, so the site gets that firewall; on a host with iptables, the chains have other names.
    pub fn new(site: &mut Site, portal: &str) -> Option<Self> {
        site.guard.firewall = FirewallBackend::Nftables;
        let site = &*site;
        let portal = site.portals.iter().find(|other| other.name == portal)?;
        let mut state = plan(site);
        let firewall = state.firewall.take().unwrap_or_default();
        let outgoing = site.exit_interfaces(&portal.exit).next().cloned();
        let packet = packet(portal, outgoing.clone());
        let mut walk = Walk { state: &state, firewall: &firewall, packet, stages: Vec::new() };
        let from = portal.entrance_words();
        let title = [
            &site.name,
            "/",
            &portal.name,
            ": the first packet of a connection to ",
            &walk.packet.to.to_string(),
            ", exit ",
            &portal.exit.to_string(),
        ]
        .concat();
        walk.add("enters", Kind::Interface, from, Vec::new());
        if portal.entrance == Entrance::Own {
            walk.leave_process();
        } else {
            walk.forward(portal.entrance_interface());
        }
        match (&portal.exit, outgoing) {
            (Exit::Tunnel { interface, .. }, _) => {
                walk.leave();
                walk.encrypt(site, interface);
            }
            (Exit::Direct, Some(uplink)) => {
                walk.leave();
                walk.add("leaves", Kind::Interface, uplink.to_string(), Vec::new());
            }
            _ => {}
        }
        Some(Self { title, stages: walk.stages })
    }
}

/// Returns the first packet of a connection from a portal.
fn packet(portal: &Portal, outgoing: Option<IfName>) -> Packet {
    let mut source = None;
    let mut devices = SortedSet::new();
    let mut incoming = portal.entrance_interface().cloned();
    match &portal.entrance {
        Entrance::From(all) => source = all.iter().find(|source| source.address().is_ipv4()).copied(),
        Entrance::Mac { devices: all, .. } => devices = all.clone(),
        Entrance::Own => {
            incoming = Some(loopback());
            source = Some(Cidr::host(UNSPECIFIED));
        }
        _ => source = portal.address.map(InterfaceAddress::network),
    }
    let to = portal.to.iter().find(|network| network.address().is_ipv4());
    Packet {
        incoming,
        outgoing,
        source,
        to: to.map_or(INTERNET, |network| network.nth(1).unwrap_or(network.address())),
        devices,
        port: portal.ports().first().copied(),
        mark: 0,
        connection_mark: 0,
    }
}

fn loopback() -> IfName {
    "lo".parse().expect("a valid name")
}

impl Walk<'_> {
    fn add(&mut self, hook: &'static str, kind: Kind, place: String, lines: Vec<String>) {
        self.stages.push(Stage { hook, kind, place, lines });
    }

    fn pass(&mut self, kind: Kind, chain: Chain) {
        let hook = chain.hook();
        let place = [&hook.priority.to_string(), ", chain ", chain.name()].concat();
        let lines = self.packet.pass(self.firewall, chain);
        self.add(hook.hook, kind, place, lines);
    }

    fn track(&mut self, hook: &'static str) {
        self.add(hook, Kind::Raw, "-300".to_owned(), Vec::new());
        self.add(hook, Kind::Conntrack, "-200".to_owned(), Vec::new());
    }

    fn route(&mut self, place: &str) {
        let lines = self.packet.route(self.state);
        self.add("routing", Kind::Routing, place.to_owned(), lines);
    }

    /// Takes a packet from an interface through the hooks of a router.
    fn forward(&mut self, entrance: Option<&IfName>) {
        let closed = self.state.closed_ports.as_ref();
        let is_closed = entrance.is_some_and(|entrance| closed.is_some_and(|ports| ports.contains(entrance)));
        let lines = if is_closed { vec!["drop".to_owned()] } else { Vec::new() };
        self.add("ingress", Kind::Filter, "table netdev".to_owned(), lines);
        self.track("prerouting");
        self.pass(Kind::Mangle, Chain::Marks);
        self.pass(Kind::Nat, Chain::Prerouting);
        self.route("decision");
        if self.packet.outgoing.is_some() {
            self.pass(Kind::Mangle, Chain::Mss);
            self.pass(Kind::Filter, Chain::Forward);
        }
    }

    /// Takes a packet that this host sends through the hooks before the last one.
    fn leave_process(&mut self) {
        self.route("decision");
        self.track("output");
        let mark = self.packet.mark;
        self.pass(Kind::Mangle, Chain::OwnMarks);
        if self.packet.mark != mark {
            self.route("decision once more, for the new mark");
        }
        self.pass(Kind::Filter, Chain::Output);
    }

    /// Takes a packet through the last hook.
    fn leave(&mut self) {
        self.pass(Kind::Mangle, Chain::Leaving);
        self.pass(Kind::Nat, Chain::Postrouting);
    }

    /// Takes the packet through the tunnel, and the encrypted packet to the uplink.
    fn encrypt(&mut self, site: &Site, interface: &IfName) {
        let Some(tunnel) = site.tunnels.get(interface) else { return };
        let endpoint = tunnel.peers.values().find_map(|peer| peer.endpoint.as_ref());
        let peer = endpoint.map_or_else(
            || "the address from which the other end was heard last".to_owned(),
            |endpoint| [&endpoint.host.to_string(), ":", &endpoint.port.to_string()].concat(),
        );
        let words = ["UDP from port ", &tunnel.port.to_string(), " to ", &peer].concat();
        let lines = vec![words, format!("mark {:#x}", TUNNEL_MARK.value)];
        self.add("tunnel", Kind::Interface, [interface.as_str(), ": WireGuard encrypts"].concat(), lines);
        let uplink = site.uplink_interface().cloned();
        let to = endpoint.and_then(|endpoint| endpoint.address).map_or(INTERNET, |address| address.ip());
        self.packet = Packet {
            incoming: Some(loopback()),
            outgoing: uplink.clone(),
            source: Some(Cidr::host(UNSPECIFIED)),
            to: if to.is_ipv4() { to } else { INTERNET },
            devices: SortedSet::new(),
            port: endpoint.map(|endpoint| Ports {
                protocol: Protocol::Udp,
                first: endpoint.port,
                last: endpoint.port,
            }),
            mark: TUNNEL_MARK.value,
            connection_mark: 0,
        };
        self.leave_process();
        // WireGuard takes the address of the uplink.
        self.packet.source = None;
        self.leave();
        let uplink = uplink.map_or_else(|| "no uplink".to_owned(), |uplink| uplink.to_string());
        self.add("leaves", Kind::Interface, uplink, Vec::new());
    }
}
