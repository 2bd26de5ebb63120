//! Way of a packet through the kernel of one site, from a portal to its exit: the hooks of netfilter and the
//! routing decisions, with the rules of ours that the packet meets there.

mod fit;
mod picture;
mod text;

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use crate::base::net::{IfName, InterfaceAddress};
use crate::config::model::{Ports, Protocol};
use crate::firewall::{Chain, Firewall, FirewallBackend};
use crate::plan::plan;
use crate::site::{Entrance, PeerEndpoint, Portal, Site, SiteTunnel};
use crate::state::{State, TUNNEL_MARK};
use fit::Packet;
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
    /// Rules in the order in which the packet meets them, one a line.
    lines: String,
}

/// Kind of a place: its name, and the number of its colour.
type Kind = (&'static str, i32);

const INTERFACE: Kind = ("", 3);
const RAW: Kind = ("raw", 7);
const CONNTRACK: Kind = ("conntrack", 1);
const MANGLE: Kind = ("mangle", 4);
const NAT: Kind = ("nat", 0);
const FILTER: Kind = ("filter", 5);
const ROUTING: Kind = ("", 2);

/// Way in the making.
struct Walk<'a> {
    state: &'a State,
    firewall: &'a Firewall,
    packet: Packet<'a>,
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
        let outgoing = site.exit_interfaces(&portal.exit).next();
        let packet = packet(portal, outgoing.map(IfName::as_str));
        let (owner, name, to, exit) = (&site.name, &portal.name, packet.to, &portal.exit);
        let title = format!("{owner}/{name}: the first packet of a connection to {to}, exit {exit}");
        let mut walk = Walk { state: &state, firewall: &firewall, packet, stages: Vec::new() };
        walk.add("enters", INTERFACE, portal.entrance_words(), String::new());
        if matches!(portal.entrance, Entrance::Own) {
            walk.leave_process();
        } else {
            walk.forward(portal.entrance_interface());
        }
        if let Some(outgoing) = outgoing {
            walk.leave();
            match site.tunnels.get(outgoing) {
                Some(tunnel) => walk.encrypt(site, outgoing, tunnel),
                None => walk.add("leaves", INTERFACE, outgoing.to_string(), String::new()),
            }
        }
        Some(Self { title, stages: walk.stages })
    }
}

/// Returns the first packet of a connection from a portal.
fn packet<'a>(portal: &'a Portal, outgoing: Option<&'a str>) -> Packet<'a> {
    let to = portal.to.iter().find(|network| network.address().is_ipv4());
    let to = to.map_or(INTERNET, |network| network.nth(1).unwrap_or(network.address()));
    let mut packet = Packet::of_host(outgoing, to);
    packet.port = portal.ports().first().copied();
    if !matches!(portal.entrance, Entrance::Own) {
        packet.incoming = portal.entrance_interface().map(IfName::as_str);
        packet.source = match &portal.entrance {
            Entrance::From(all) => all.iter().find(|source| source.address().is_ipv4()).copied(),
            Entrance::Mac { devices, .. } => {
                packet.devices = devices.as_slice();
                None
            }
            _ => portal.address.map(InterfaceAddress::network),
        };
    }
    packet
}

impl Walk<'_> {
    #[inline(never)]
    fn add(&mut self, hook: &'static str, kind: Kind, place: String, lines: String) {
        self.stages.push(Stage { hook, kind, place, lines });
    }

    fn pass(&mut self, kind: Kind, chain: Chain) {
        let hook = chain.hook();
        let place = format!("{}, chain {}", hook.priority, chain.name());
        let lines = self.packet.pass(self.firewall, chain);
        self.add(hook.hook, kind, place, lines);
    }

    fn track(&mut self, hook: &'static str) {
        self.add(hook, RAW, "-300".to_owned(), String::new());
        self.add(hook, CONNTRACK, "-200".to_owned(), String::new());
    }

    fn route(&mut self, place: &str) {
        let lines = self.packet.route(self.state);
        self.add("routing", ROUTING, place.to_owned(), lines);
    }

    /// Takes a packet from an interface through the hooks of a router.
    fn forward(&mut self, entrance: Option<&IfName>) {
        let closed = self.state.closed_ports.as_ref();
        let is_closed = entrance.is_some_and(|entrance| closed.is_some_and(|ports| ports.contains(entrance)));
        let lines = if is_closed { "drop" } else { "" };
        self.add("ingress", FILTER, "table netdev".to_owned(), lines.to_owned());
        self.track("prerouting");
        self.pass(MANGLE, Chain::Marks);
        self.pass(NAT, Chain::Prerouting);
        self.route("decision");
        if self.packet.outgoing.is_some() {
            self.pass(FILTER, Chain::Forward);
        }
    }

    /// Takes a packet that this host sends through the hooks before the last one.
    fn leave_process(&mut self) {
        self.route("decision");
        self.track("output");
        let mark = self.packet.mark;
        self.pass(MANGLE, Chain::OwnMarks);
        if self.packet.mark != mark {
            self.route("decision once more, for the new mark");
        }
        self.pass(FILTER, Chain::Output);
    }

    /// Takes a packet through the last hook.
    fn leave(&mut self) {
        self.pass(MANGLE, Chain::Leaving);
        self.pass(NAT, Chain::Postrouting);
    }
}

impl<'a> Walk<'a> {
    /// Takes the packet through the tunnel, and the encrypted packet to the uplink.
    fn encrypt(&mut self, site: &'a Site, interface: &IfName, tunnel: &SiteTunnel) {
        let endpoint = tunnel.peers.values().find_map(|peer| peer.endpoint.as_ref());
        let mut lines = format!("UDP from port {} to ", tunnel.port);
        let _ = match endpoint {
            Some(PeerEndpoint { host, port, .. }) => write!(lines, "{host}:{port}"),
            None => write!(lines, "the address from which the other end was heard last"),
        };
        let _ = write!(lines, "\nmark {:#x}", TUNNEL_MARK.value);
        self.add("tunnel", INTERFACE, [interface.as_str(), ": WireGuard encrypts"].concat(), lines);
        let uplink = site.uplink_interface().map(IfName::as_str);
        let to = endpoint.and_then(|endpoint| endpoint.address).map_or(INTERNET, |address| address.ip());
        self.packet = Packet::of_host(uplink, if to.is_ipv4() { to } else { INTERNET });
        self.packet.mark = TUNNEL_MARK.value;
        self.packet.port = endpoint.map(|endpoint| Ports {
            protocol: Protocol::Udp,
            first: endpoint.port,
            last: endpoint.port,
        });
        self.leave_process();
        // WireGuard takes the address of the uplink.
        self.packet.source = None;
        self.leave();
        self.add("leaves", INTERFACE, uplink.unwrap_or("no uplink").to_owned(), String::new());
    }
}
