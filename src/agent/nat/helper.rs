//! Helper of other sites: answers their questions, relays their links, and calls a site whose peer looks for
//! it. The packets between linked sites share its port.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::super::source::{Source, Task, Turn};
use super::exchange::FileExchange;
use super::keys::{PairKeys, random};
use super::record::Record;
use crate::base::error::Result;
use crate::base::moment::{after, earlier, is_due};
use crate::base::net::{IfName, PublicKey};
use crate::base::sorted::SortedSet;
use crate::control::HelperStatus;
use crate::join::packet::requested;
use crate::kernel::Kernel;
use crate::kernel::conntrack::ConnectionFilter;
use crate::kernel::sockets::{HelperPacket, HelperSocket};
use crate::nat::helper::{Call, Helper, Pair, Received, RelayedLink};
use crate::nat::packet::{ASK, Message};
use crate::site::{HelperPart, Site};
use crate::system::logging as log;

/// Average time between two changes of the rules, which a member of the network can ask for without end.
const RULES_PAUSE: Duration = Duration::from_secs(2);

/// Time that changes may be ahead of the average: twenty of them may come at once.
const RULES_BURST: Duration = Duration::from_secs(40);

/// Time between two looks at relayed links: links that nobody uses any more end.
const REVIEW: Duration = Duration::from_mins(10);

/// Number of hops of a call.
const HOPS: u8 = 64;

/// Ports at which this site helps others.
#[derive(Debug)]
pub(in crate::agent) struct HelperPorts {
    part: Option<HelperPart>,
    helper: Option<Helper>,
    /// Exchange of the network file.
    pub(in crate::agent) exchange: FileExchange,
    keys: PairKeys,
    /// Open ports, each with its socket.
    sockets: Vec<(u16, Box<dyn HelperSocket>)>,
    /// Faults of the ports, each in a sentence.
    faults: Vec<String>,
    /// Number of questions answered so far.
    questions: u64,
    /// Time at which changed rules are due.
    due: Option<Instant>,
    /// Time up to which the changes so far would have lasted at the average pace.
    paced: Instant,
    /// Relayed links whose rules are in force.
    in_force: Vec<RelayedLink>,
    /// Time of the next look at them.
    review: Option<Instant>,
    record: Record,
    /// Tunnels of this site to the sites that it may call.
    tunnels: Vec<OwnTunnel>,
    /// Packets that may be requests of new sites.
    requests: Vec<HelperPacket>,
    /// Time of the turn after one that has left a task to the agent: there may be more.
    again: Option<Instant>,
}

/// Tunnel of this site to another.
#[derive(Debug)]
struct OwnTunnel {
    /// Id of the other site.
    to: u8,
    interface: IfName,
    key: PublicKey,
    port: u16,
}

impl HelperPorts {
    /// Begins with the relayed links that an earlier agent has left next to the network file.
    pub(in crate::agent) fn open(file: &Path) -> Self {
        Self {
            part: None,
            helper: None,
            exchange: FileExchange::default(),
            keys: PairKeys::default(),
            sockets: Vec::new(),
            faults: Vec::new(),
            questions: 0,
            due: None,
            paced: Instant::now(),
            in_force: Vec::new(),
            review: None,
            record: Record::next_to(file),
            tunnels: Vec::new(),
            requests: Vec::new(),
            again: None,
        }
    }

    /// Records the relayed links for the next agent.
    pub(in crate::agent) fn keep(&mut self) {
        self.record.write(Instant::now());
    }

    /// Takes over the links of the site, and sets the links that it relays.
    pub(in crate::agent) fn follow(&mut self, kernel: &mut dyn Kernel, site: &mut Site, now: Instant) {
        let part = site.nat.helper.clone();
        match &part {
            None => (self.helper, self.tunnels) = (None, Vec::new()),
            Some(part) => {
                let is_new = self.helper.is_none();
                let new = || Helper::new(part.id, [random(), random()], now);
                let helper = self.helper.get_or_insert_with(new);
                self.keys.follow(&site.private_key, &part.keys);
                helper.follow(self.keys.all(), part.links.clone());
                if is_new {
                    helper.resume(&self.record.links());
                }
                let relayed = helper.relayed();
                self.record.set(&relayed);
                site.nat.relayed = relayed.into_iter().map(|(_, link)| link).collect();
                self.tunnels = own_tunnels(site, part);
            }
        }
        self.part = part;
        self.due = None;
        self.open_ports(kernel);
    }

    /// Forgets the connections of links whose rules have changed: a connection that began before the rules
    /// bypasses them.
    pub(in crate::agent) fn has_applied(&mut self, kernel: &mut dyn Kernel, site: &Site) -> Result<()> {
        if self.in_force == site.nat.relayed {
            return Ok(());
        }
        let (before, after) = (&self.in_force, &site.nat.relayed);
        let mut changed = Vec::new();
        for (links, others) in [(before, after), (after, before)] {
            changed.extend(links.iter().filter(|link| !others.contains(link)));
        }
        // A failure is tried again with the next attempt.
        kernel.forget_connections(&connections_of(&changed))?;
        self.in_force.clone_from(after);
        Ok(())
    }

    /// Ends the relayed links that have no connection any more. Forgotten connections begin anew with the
    /// next packet.
    fn review(&mut self, kernel: &mut dyn Kernel, now: Instant) {
        self.review = Some(after(now, REVIEW));
        let Some(helper) = &mut self.helper else { return };
        for link in &self.in_force {
            match kernel.forget_connections(&connections_of(&[link])) {
                Ok(0) => {
                    helper.end(link);
                    self.due = Some(now);
                }
                Ok(_) => {}
                Err(error) => log::error!("{error}"),
            }
        }
    }

    /// Returns the faults of the ports, each in a sentence.
    pub(in crate::agent) fn faults(&self) -> impl Iterator<Item = String> {
        self.faults.iter().cloned()
    }

    /// Returns the help of this site for others; `None` if it is no helper.
    pub(in crate::agent) fn tell(&self) -> Option<HelperStatus> {
        let (part, helper) = (self.part.as_ref()?, self.helper.as_ref()?);
        let mut relayed = Vec::new();
        for (Pair(one, other), _) in helper.relayed() {
            relayed.push([one, other].map(|id| part.names.get(&id).cloned().unwrap_or_default()));
        }
        Some(HelperStatus { questions: self.questions, relayed })
    }

    /// Sends a packet from one of the ports.
    pub(in crate::agent) fn send(&mut self, from: SocketAddr, to: SocketAddr, packet: &[u8]) {
        if let Some((_, socket)) = self.sockets.iter_mut().find(|(port, _)| *port == from.port()) {
            let _ = socket.send(from, to, packet);
        }
    }

    fn open_ports(&mut self, kernel: &mut dyn Kernel) {
        let mut wanted = SortedSet::new();
        if let Some(part) = &self.part {
            wanted.extend(part.ports.iter().copied());
            wanted.extend(part.relay_ports());
        }
        wanted.extend(self.exchange.port());
        let faults = std::mem::take(&mut self.faults);
        let mut open = std::mem::take(&mut self.sockets);
        for port in wanted {
            if let Some(place) = open.iter().position(|(known, _)| *known == port) {
                self.sockets.push(open.swap_remove(place));
                continue;
            }
            match kernel.helper_socket(port) {
                Ok(socket) => self.sockets.push((port, socket)),
                Err(errno) => self.faults.push(format!(
                    "other sites are not answered at UDP port {port}: {}; free the port, or set another \
                     `port`",
                    errno.desc()
                )),
            }
        }
        for fault in self.faults.iter().filter(|fault| !faults.contains(fault)) {
            log::warn!("{fault}");
        }
    }

    /// Returns the work for the agent. Requests come last: anybody can send a flood of them.
    fn task(&mut self, now: Instant) -> Task {
        if is_due(self.due, now) {
            self.due = None;
            self.paced = after(self.paced.max(now), RULES_PAUSE);
            return Task::Reconcile("other links need a relay");
        }
        if let Some(task) = self.exchange.task(now) {
            return task;
        }
        if self.requests.is_empty() {
            return Task::Nothing;
        }
        Task::HearRequests(std::mem::take(&mut self.requests))
    }

    /// Sends what is due to linked sites. The tunnels may not be there yet.
    fn exchange(&mut self, now: Instant) {
        for HelperPacket { from, to, packet } in self.exchange.turn(now) {
            self.send(from, to, &packet);
        }
    }

    /// Receives the packets that wait at the port in this place of the list.
    fn receive(&mut self, place: usize, kernel: &mut dyn Kernel, now: Instant) {
        let (_, socket) = &mut self.sockets[place];
        for heard in socket.receive() {
            let is_door = |part: &HelperPart| part.ports.contains(&heard.to.port());
            if requested(&heard.packet).is_some() && self.part.as_ref().is_some_and(is_door) {
                self.requests.push(heard);
                continue;
            }
            for HelperPacket { from, to, packet } in self.exchange.receive(&heard, now) {
                let _ = socket.send(from, to, &packet);
            }
            let (Some(part), Some(helper)) = (&self.part, &mut self.helper) else { continue };
            let received = Received { from: heard.from, to: heard.to, packet: &heard.packet };
            let reaction = helper.receive(received, now, &mut random);
            if let Some(answer) = reaction.answer {
                self.questions += u64::from(answer.len() == ASK);
                let _ = socket.send(heard.to, heard.from, &answer);
            }
            if reaction.has_changed {
                let wait = self.paced.saturating_duration_since(now).saturating_sub(RULES_BURST);
                self.due = Some(after(now, wait));
            }
            if let Some(Call { to, peer }) = reaction.call
                && let Some(tunnel) = self.tunnels.iter().find(|tunnel| tunnel.to == to)
                && let Some(key) = self.keys.of(to)
            {
                call(tunnel, &key.seal(part.id, to, random(), &Message::Call(peer)), kernel);
            }
        }
    }
}

impl Source for HelperPorts {
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        for (_, socket) in &self.sockets {
            all.push(socket.descriptor());
        }
        all.extend(self.exchange.answers.descriptor());
    }

    fn deadline(&self) -> Option<Instant> {
        let due = earlier(self.due, earlier(self.review, self.again));
        earlier(due, earlier(self.record.deadline(), self.exchange.deadline()))
    }

    /// Answers questions. Links that are relayed from another address need other rules.
    fn turn(&mut self, Turn { kernel, now, has_input }: Turn) -> Result<Task> {
        if has_input {
            for place in 0..self.sockets.len() {
                self.receive(place, kernel, now);
            }
        }
        self.exchange(now);
        if self.in_force.is_empty() {
            self.review = None;
        } else if self.review.is_none() {
            self.review = Some(after(now, REVIEW));
        } else if is_due(self.review, now) {
            self.review(kernel, now);
        }
        if is_due(self.record.deadline(), now) {
            self.record.write(now);
        }
        let task = self.task(now);
        self.again = if matches!(task, Task::Nothing) { None } else { Some(now) };
        Ok(task)
    }
}

/// Returns the choice of the connections of relayed links.
fn connections_of(links: &[&RelayedLink]) -> ConnectionFilter {
    let mut by_path = Vec::new();
    for link in links {
        by_path.extend(link.sides.map(|side| (side.source, side.local.port())));
    }
    ConnectionFilter { by_path, ..ConnectionFilter::default() }
}

/// Sends a call the way of a tunnel of this site: through the other site's NAT, which the tunnel keeps open.
fn call(tunnel: &OwnTunnel, packet: &[u8], kernel: &mut dyn Kernel) {
    let endpoint = endpoint_of(tunnel, kernel).ok().flatten();
    if let Some(endpoint) = endpoint
        && let Ok(mut packets) = kernel.tunnel_packets()
    {
        let _ = packets.send(tunnel.port, endpoint, HOPS, packet);
    }
}

/// Returns the address at which a tunnel's other end was last heard; `None` if the tunnel is down.
fn endpoint_of(tunnel: &OwnTunnel, kernel: &mut dyn Kernel) -> Result<Option<SocketAddr>> {
    let Some(reading) = kernel.own_tunnel(&tunnel.interface)? else { return Ok(None) };
    let peer = reading.peers.get(&tunnel.key).filter(|peer| peer.alive(SystemTime::now()));
    Ok(peer.and_then(|peer| peer.endpoint))
}

fn own_tunnels(site: &Site, part: &HelperPart) -> Vec<OwnTunnel> {
    let mut tunnels = Vec::new();
    for (interface, tunnel) in &site.tunnels {
        for (id, key) in &part.keys {
            if tunnel.peers.values().any(|peer| peer.public_key == *key) {
                let interface = interface.clone();
                tunnels.push(OwnTunnel { to: *id, interface, key: *key, port: tunnel.port });
            }
        }
    }
    tunnels
}
