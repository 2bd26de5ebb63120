//! Paths of the links to other sites.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;

use super::super::source::{Source, Task, Turn};
use super::keys::{PairKeys, random};
use super::link::Link;
use crate::base::error::Result;
use crate::base::moment::{earlier, is_due};
use crate::base::net::IfName;
use crate::control::LinkPathStatus;
use crate::kernel::Kernel;
use crate::kernel::sockets::{TunnelPacket, TunnelPackets};
use crate::nat::ip_of;
use crate::nat::packet::{Answer, Header, Kind, MOST_ADDRESSES, Message};
use crate::nat::search::Outgoing;
use crate::site::Site;
use crate::system::logging as log;
use crate::system::logging::RateLimit;
use crate::system::port_mapping::{PortMapping, Router};

/// Links for which helpers can be asked.
#[derive(Debug)]
pub(in crate::agent) struct LinkPaths {
    /// Ports that the home router maps.
    mapping: PortMapping,
    id: u8,
    keys: PairKeys,
    links: Vec<Link>,
    /// Socket next to the tunnels' own; none while no link needs it.
    packets: Option<Box<dyn TunnelPackets>>,
    /// Reason why it could not be opened, so that the log has it once.
    fault: Option<Errno>,
    /// Addresses of this host at which a peer may reach it.
    addresses: Vec<IpAddr>,
    /// Rate limit on log lines about tunnels that cannot be read or changed.
    complaints: RateLimit,
}

impl LinkPaths {
    /// Begins with the port mappings that an earlier agent has left in a folder.
    pub(in crate::agent) fn open(folder: &Path) -> Self {
        Self {
            mapping: PortMapping::open(folder),
            id: 0,
            keys: PairKeys::default(),
            links: Vec::new(),
            packets: None,
            fault: None,
            addresses: Vec::new(),
            complaints: RateLimit::default(),
        }
    }

    /// Takes over the links of the site, and sets the endpoints of its peers to the addresses in use.
    pub(in crate::agent) fn follow(&mut self, kernel: &mut dyn Kernel, site: &mut Site, now: Instant) {
        let mut keys = site.nat.helper_keys.clone();
        for link in &site.nat.links {
            self.id = link.view.own;
            keys.insert(link.view.peer, link.key);
        }
        self.keys.follow(&site.private_key, &keys);
        let mut old = std::mem::take(&mut self.links);
        for link in &site.nat.links {
            let known = old.iter().position(|known| known.site == *link);
            let new = || Link::new(link.clone(), now);
            self.links.push(known.map_or_else(new, |place| old.swap_remove(place)));
        }
        let router = site.host.uplink.as_ref().and_then(Router::behind);
        self.mapping.follow(&site.nat.mapped_ports, router, &site.private_key, now);
        let addresses = if self.links.is_empty() { Vec::new() } else { own_addresses(kernel, site) };
        if addresses != self.addresses {
            self.addresses = addresses;
            self.network_has_changed(now);
        }
        for link in &self.links {
            link.set_endpoint(site);
        }
    }

    /// Checks the links that are up, and searches anew for those that are down.
    pub(super) fn network_has_changed(&mut self, now: Instant) {
        for index in 0..self.links.len() {
            let addresses = self.addresses_of(index);
            self.links[index].network_has_changed(&addresses, now);
        }
    }

    /// Checks the links of an interface, whose other end no longer answers.
    pub(in crate::agent) fn doubt(&mut self, interface: &IfName, now: Instant) {
        for link in self.links.iter_mut().filter(|link| link.site.interface == *interface) {
            link.doubt(now);
        }
    }

    /// Returns the paths of all links, or the searches for them.
    pub(in crate::agent) fn tell(&self, now: Instant) -> Vec<LinkPathStatus> {
        let mut told = Vec::new();
        for link in &self.links {
            told.push(link.tell(&self.mapping, now));
        }
        told
    }

    /// Returns the addresses of this site at which the peer of a link may reach it.
    fn addresses_of(&self, index: usize) -> Vec<SocketAddr> {
        let port = self.links[index].site.view.port;
        let mut addresses: Vec<SocketAddr> = self.mapping.external(port).into_iter().collect();
        for address in &self.addresses {
            addresses.push(SocketAddr::new(*address, port));
        }
        addresses.truncate(MOST_ADDRESSES);
        addresses
    }

    /// Opens or closes the socket next to the tunnels' own.
    fn open_if_needed(&mut self, kernel: &mut dyn Kernel) {
        if !self.links.iter().any(Link::needs_packets) {
            self.packets = None;
        } else if self.packets.is_none() {
            match kernel.tunnel_packets() {
                Ok(packets) => (self.packets, self.fault) = (Some(packets), None),
                Err(errno) if self.fault == Some(errno) => {}
                Err(errno) => {
                    log::error!("cannot open a socket for links behind NAT: {errno}");
                    self.fault = Some(errno);
                }
            }
        }
    }

    /// Sends packets from the port of a tunnel. Pings to addresses behind a tunnel of ours are left out: the
    /// tunnel would carry itself.
    fn send(&mut self, port: u16, outgoing: Vec<Outgoing>, kernel: &mut dyn Kernel) {
        let Some(packets) = &mut self.packets else { return };
        let Ok(links) = kernel.links() else { return };
        for Outgoing { to, receiver, hops, salt, message } in outgoing {
            let Some(key) = self.keys.of(receiver) else { continue };
            if message.kind() == Kind::Ping && !kernel.is_outside_tunnels(ip_of(&to), &links) {
                continue;
            }
            // A candidate of a family without a route is silent, as one that does not answer.
            let _ = packets.send(port, to, hops, &key.seal(self.id, receiver, salt, &message));
        }
    }

    /// Hands a packet to the links that it may belong to.
    fn receive(
        &mut self,
        TunnelPacket { port, from, packet }: &TunnelPacket,
        kernel: &mut dyn Kernel,
        now: Instant,
    ) {
        let Some(header) = Header::decode(packet) else { return };
        if header.kind == Kind::Hint {
            for link in self.links.iter_mut().filter(|link| link.site.view.port == *port) {
                link.search.hint(*from, now);
            }
            return;
        }
        let key = self.keys.of(header.from).filter(|_| header.to == self.id);
        let Some(message) = key.and_then(|key| key.open(&header, packet)) else { return };
        for index in 0..self.links.len() {
            let addresses = self.addresses_of(index);
            let link = &mut self.links[index];
            match message {
                Message::Call(peer) if link.site.view.peer == peer => link.called(&addresses, now),
                _ if link.site.view.port == *port => {
                    let outgoing = link.search.receive(*from, &header, &message, now, &mut random);
                    self.send(*port, outgoing, kernel);
                    self.doubt_mapping(index, &message, now);
                }
                _ => {}
            }
        }
    }

    /// Lets the port mapping see the address at which a helper sees this site, if the message is the answer
    /// to a question of the link. Other helpers' last answers may be old.
    fn doubt_mapping(&mut self, index: usize, message: &Message, now: Instant) {
        let Message::Answer(Answer { seen, .. }) = message else { return };
        let link = &self.links[index];
        if self.mapping.external(link.site.view.port).is_some() && link.search.seen().any(|own| own == *seen)
        {
            self.mapping.doubt(*seen, now);
        }
    }

    /// Asks the home router for port mappings, and tells the searches of changes.
    fn map_ports(&mut self, now: Instant) {
        self.mapping.turn(now);
        if self.mapping.take_change() {
            for index in 0..self.links.len() {
                let addresses = self.addresses_of(index);
                self.links[index].search.set_addresses(addresses);
            }
        }
    }
}

/// Returns the addresses of this host at which a peer may reach it.
fn own_addresses(kernel: &mut dyn Kernel, site: &Site) -> Vec<IpAddr> {
    let mut uplinks: Vec<&IfName> = site.host.uplink.iter().map(|uplink| &uplink.interface).collect();
    uplinks.extend(&site.host.uplink6);
    let addresses = kernel.links().and_then(|links| kernel.uplink_addresses(&uplinks, &links));
    addresses.unwrap_or_else(|error| {
        log::error!("{error}");
        Vec::new()
    })
}

impl Source for LinkPaths {
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        all.extend(self.mapping.descriptor());
        if let Some(packets) = &self.packets {
            packets.descriptors(all);
        }
        for link in &self.links {
            all.extend(link.descriptor());
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let mut next = self.mapping.deadline();
        for link in &self.links {
            next = earlier(next, link.deadline());
        }
        next
    }

    /// Receives packets, and does the work that is due for each link.
    fn turn(&mut self, Turn { kernel, now, has_input }: Turn) -> Result<Task> {
        if has_input {
            let received = self.packets.as_mut().map(|packets| packets.receive()).unwrap_or_default();
            for packet in &received {
                self.receive(packet, kernel, now);
            }
        }
        let mut task = Task::Nothing;
        for index in 0..self.links.len() {
            if !has_input && !is_due(self.links[index].deadline(), now) {
                continue;
            }
            let addresses = self.addresses_of(index);
            match self.links[index].turn(&addresses, kernel, now) {
                Ok(outgoing) if outgoing.is_empty() => {}
                Ok(outgoing) => {
                    self.open_if_needed(kernel);
                    self.send(self.links[index].site.view.port, outgoing, kernel);
                }
                Err(error) => {
                    self.links[index].hold(now);
                    if let Some(message) = self.complaints.say(error.to_string(), now) {
                        log::error!("{message}");
                    }
                    // Its peer may be removed, and not added again.
                    task = Task::ReconcileUnlessPaused("a tunnel could not be changed");
                }
            }
        }
        self.map_ports(now);
        self.open_if_needed(kernel);
        Ok(task)
    }
}
