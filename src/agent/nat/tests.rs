//! Three sites on fake kernels, whose packets reach each other: nyc and paris, which have no endpoint, and
//! the helper oslo.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::super::source::{Source as _, Task, Turn};
use super::*;
use crate::base::keys::public_key;
use crate::base::net::{PublicKey, Secret};
use crate::base::sorted::SortedMap;
use crate::config;
use crate::control::PathKind;
use crate::join::packet::{LENGTH, requested};
use crate::kernel::fake::FakeKernel;
use crate::kernel::sockets::{HelperPacket, TunnelPacket};
use crate::kernel::wireguard::PeerStatistics;
use crate::nat::packet::MAGIC;
use crate::plan::plan;
use crate::site::access_point::Passphrases;
use crate::site::facts::{Facts, HostFirewalls};
use crate::site::{self, Inputs, Site};

/// Time between two turns of the sources.
const STEP: Duration = Duration::from_millis(10);

struct Place {
    site: Site,
    address: IpAddr,
    kernel: FakeKernel,
    links: LinkPaths,
    helper: HelperPorts,
    /// Number of packets that were sent.
    sent: usize,
    /// Number of requests of new sites that the agent was given.
    requests: usize,
    reasons: Vec<&'static str>,
}

struct World {
    now: Instant,
    places: Vec<Place>,
    /// Set if packets between nyc and paris are lost.
    is_cut: bool,
}

fn secret(index: usize) -> Secret {
    Secret::new([u8::try_from(index + 1).unwrap(); 32])
}

fn key(index: usize) -> PublicKey {
    public_key(&secret(index))
}

fn site(index: usize) -> Site {
    let [nyc, paris, oslo] = [0, 1, 2].map(key);
    let text = format!(
        r#"
        [network]
        name = "home"
        subnet = "10.77.0.0/16"
        [site.nyc]
        id = 1
        public_key = "{nyc}"
        exits = ["paris"]
        links = ["oslo"]
        [site.paris]
        id = 2
        public_key = "{paris}"
        links = ["oslo"]
        [site.oslo]
        id = 3
        public_key = "{oslo}"
        endpoint = "192.0.2.3"
        "#
    );
    let network = config::parse(&text).unwrap();
    let filters = HostFirewalls { nftables: true, ..HostFirewalls::default() };
    let facts = Facts { filters, ..Facts::default() };
    let inputs = Inputs {
        file: Path::new("network.toml"),
        private_key: &secret(index),
        public_key: key(index),
        network_secret: None,
        phone_keys: &SortedMap::new(),
        passphrases: &Passphrases::new(),
        facts: &facts,
        providers: &SortedMap::new(),
        resolved: &SortedMap::new(),
    };
    site::view(&network, &inputs).unwrap_or_else(|errors| panic!("{errors}"))
}

impl Place {
    fn new(index: usize, now: Instant) -> Self {
        let mut site = site(index);
        let mut kernel = FakeKernel::with_host(["eth0".parse().unwrap()]);
        kernel.state = plan(&site);
        let mut links = LinkPaths::open(Path::new("/nonexistent"));
        let mut helper = HelperPorts::open(Path::new("/nonexistent/network.toml"));
        links.follow(&mut kernel, &mut site, now);
        helper.follow(&mut kernel, &mut site, now);
        let address = IpAddr::from([192, 0, 2, u8::try_from(index + 1).unwrap()]);
        Self { site, address, kernel, links, helper, sent: 0, requests: 0, reasons: Vec::new() }
    }

    fn turn(&mut self, now: Instant) {
        match self.links.turn(Turn { kernel: &mut self.kernel, now, has_input: true }).unwrap() {
            Task::ReconcileUnlessPaused(reason) => {
                self.reasons.push(reason);
                self.links.follow(&mut self.kernel, &mut self.site, now);
                self.kernel.state = plan(&self.site);
            }
            done => assert!(matches!(done, Task::Nothing)),
        }
        let done = self.helper.turn(Turn { kernel: &mut self.kernel, now, has_input: true }).unwrap();
        match done {
            Task::Reconcile(reason) => {
                self.reasons.push(reason);
                self.helper.follow(&mut self.kernel, &mut self.site, now);
                self.helper.has_applied(&mut self.kernel, &self.site).unwrap();
            }
            Task::HearRequests(packets) => self.requests += packets.len(),
            _ => {}
        }
    }

    /// Returns the kind of the path to a peer, and the site that relays.
    fn path(&self, peer: &str, now: Instant) -> Option<(PathKind, String)> {
        let link = self.links.tell(now).into_iter().find(|link| link.peer == peer).unwrap();
        link.path.map(|path| (path.kind, path.by))
    }

    fn endpoint(&self, interface: &str, peer: usize) -> Option<SocketAddr> {
        self.kernel.state.tunnels[&interface.parse().unwrap()].peers[&key(peer)].endpoint
    }
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self { now, places: [0, 1, 2].map(|index| Place::new(index, now)).into(), is_cut: false }
    }

    /// Lets time pass until something holds. Reports whether it does within the limit.
    fn until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while self.now < end && !holds(self) {
            self.now += STEP;
            for index in 0..self.places.len() {
                self.places[index].turn(self.now);
                self.carry(index);
            }
        }
        holds(self)
    }

    /// Carries the packets of a place to their receivers.
    fn carry(&mut self, index: usize) {
        let place = &mut self.places[index];
        let own = place.address;
        let datagrams = &place.kernel.datagrams;
        let mut packets = Vec::new();
        for sent in datagrams.take_sent_by_tunnels() {
            packets.push((SocketAddr::new(own, sent.port), sent.to, sent.packet));
        }
        for HelperPacket { from, to, packet } in datagrams.take_sent_by_helper() {
            packets.push((from, to, packet));
        }
        place.sent += packets.len();
        for (from, to, packet) in packets {
            let is_lost = self.is_cut && index < 2 && to.ip() != self.places[2].address;
            let Some(receiver) = self.places.iter().find(|place| place.address == to.ip()) else { continue };
            let datagrams = &receiver.kernel.datagrams;
            if is_lost {
                continue;
            }
            if datagrams.helper_ports().contains(&to.port()) {
                self.arrive_at_helper(from, to, packet);
            } else {
                datagrams.deliver_to_tunnel(TunnelPacket { port: to.port(), from, packet });
            }
        }
    }

    /// Plays the rules of the helper's kernel: packets of relayed links go on to the other side.
    fn arrive_at_helper(&mut self, from: SocketAddr, to: SocketAddr, packet: Vec<u8>) {
        let helper = &self.places[2];
        for link in &helper.site.nat.relayed {
            for (side, far) in [(link.sides[0], link.sides[1]), (link.sides[1], link.sides[0])] {
                if (side.source, side.local) == (from, to) {
                    let packet = TunnelPacket { port: far.source.port(), from: far.local, packet };
                    if let Some(receiver) = self.places.iter().find(|place| place.address == far.source.ip())
                    {
                        receiver.kernel.datagrams.deliver_to_tunnel(packet);
                    }
                    return;
                }
            }
        }
        helper.kernel.datagrams.deliver_to_helper(HelperPacket { from, to, packet });
    }

    fn is_up(&self) -> bool {
        let path = |index: usize, peer| self.places[index].path(peer, self.now);
        path(0, "paris").is_some() && path(1, "nyc").is_some()
    }

    fn sent(&self) -> usize {
        self.places.iter().map(|place| place.sent).sum()
    }
}

#[test]
fn tunnels_get_addresses_that_answer_and_then_nothing_is_sent() {
    let mut world = World::new();
    assert!(world.until(Duration::from_secs(5), World::is_up));
    let [nyc, paris] = [0, 1].map(|index| world.places[index].address);
    assert_eq!(world.places[0].endpoint("to-paris", 1), Some(SocketAddr::new(paris, 51820)));
    assert_eq!(world.places[1].endpoint("portals0", 0), Some(SocketAddr::new(nyc, 51822)));
    assert_eq!(world.places[0].path("paris", world.now), Some((PathKind::Direct, String::new())));
    world.until(Duration::from_secs(2), |_| false);
    for place in &mut world.places {
        for peer in [0, 1, 2].map(key) {
            let handshake = Some(SystemTime::now());
            let statistics = PeerStatistics { handshake, ..PeerStatistics::default() };
            place.kernel.statistics.insert(peer, statistics);
        }
    }
    world.until(Duration::from_mins(2), |_| false);
    let sent = world.sent();
    world.until(Duration::from_mins(2), |_| false);
    assert_eq!(world.sent(), sent, "the links are up");
}

#[test]
fn a_link_is_relayed_and_the_connections_that_bypass_its_rules_are_forgotten() {
    let mut world = World::new();
    world.is_cut = true;
    assert!(world.until(Duration::from_secs(5), World::is_up));
    let relayed = Some((PathKind::Relayed, "oslo".to_owned()));
    assert_eq!(
        [world.places[0].path("paris", world.now), world.places[1].path("nyc", world.now)],
        [relayed.clone(), relayed]
    );
    let oslo = &world.places[2];
    assert_eq!(oslo.reasons, ["other links need a relay"]);
    assert_eq!(oslo.kernel.forgotten.len(), 1);
    let help = oslo.helper.tell().unwrap();
    assert_eq!(help.relayed, [["nyc".to_owned(), "paris".to_owned()]]);
    assert!(help.questions > 3);

    world.is_cut = false;
    let is_direct =
        |world: &World| world.places[0].path("paris", world.now) == Some((PathKind::Direct, String::new()));
    assert!(world.until(Duration::from_mins(10), is_direct), "it leaves the relay when it can");
}

#[test]
fn a_tunnel_that_lost_its_peer_on_the_way_gets_it_back() {
    let mut world = World::new();
    // The peer is removed and added again, with its new endpoint: the second change fails.
    world.places[0].kernel.tunnel_fails_after = Some(1);
    assert!(world.until(Duration::from_secs(8), World::is_up));
    assert_eq!(world.places[0].reasons, ["a tunnel could not be changed"]);
}

#[test]
fn a_tunnel_that_cannot_be_read_keeps_nobody_busy() {
    let mut world = World::new();
    assert!(world.until(Duration::from_secs(5), World::is_up));
    let now = world.now + Duration::from_secs(2);
    let Place { kernel, links, .. } = &mut world.places[0];
    kernel.tunnels_are_unreadable = true;
    let turn = Turn { kernel, now, has_input: false };
    assert!(matches!(links.turn(turn).unwrap(), Task::ReconcileUnlessPaused(_)));
    assert_eq!(links.deadline(), Some(now + Duration::from_secs(1)));
    world.places[0].kernel.tunnels_are_unreadable = false;
    assert!(world.until(Duration::from_secs(8), World::is_up));
}

#[test]
fn a_link_that_is_silent_is_searched_anew() {
    let mut world = World::new();
    assert!(world.until(Duration::from_secs(5), World::is_up));
    // Much is sent, and nothing comes back.
    let interface = "to-paris".parse().unwrap();
    world.places[0].kernel.silent.set(&interface, true);
    let statistics =
        PeerStatistics { sent: 10_000, handshake: Some(SystemTime::now()), ..PeerStatistics::default() };
    world.places[0].kernel.statistics.insert(key(1), statistics);
    assert!(world.until(Duration::from_secs(4), |world| !world.is_up()), "sending without an answer is seen");
    world.places[0].kernel.silent.set(&interface, false);
    assert!(world.until(Duration::from_secs(8), World::is_up));
}

#[test]
fn a_site_whose_peer_looks_for_it_looks_at_its_link() {
    let mut world = World::new();
    assert!(world.until(Duration::from_secs(5), World::is_up));
    world.until(Duration::from_secs(10), |_| false);
    // The tunnel from oslo to paris works; nyc has moved, and paris does not know.
    let handshake = Some(SystemTime::now());
    let statistics = PeerStatistics { handshake, ..PeerStatistics::default() };
    world.places[2].kernel.statistics.insert(key(1), statistics);
    let paris = SocketAddr::new(world.places[1].address, 51820);
    let tunnels = &mut world.places[2].kernel.state.tunnels;
    let peer = tunnels.get_mut(&"portals0".parse().unwrap()).unwrap().peers.get_mut(&key(1)).unwrap();
    peer.endpoint = Some(paris);
    let interface = "portals0".parse().unwrap();
    world.places[1].kernel.silent.set(&interface, true);
    world.places[0].address = "198.51.100.1".parse().unwrap();
    let now = world.now;
    let Place { links, kernel, .. } = &mut world.places[0];
    links.doubt(&"to-paris".parse().unwrap(), now);
    kernel.silent.set(&"to-paris".parse().unwrap(), true);
    let moved = world.places[0].address;
    let is_found = |world: &World| world.places[1].endpoint("portals0", 0).unwrap().ip() == moved;
    assert!(world.until(Duration::from_secs(5), is_found), "paris searches");
    for (place, interface) in [(0, "to-paris"), (1, "portals0")] {
        world.places[place].kernel.silent.set(&interface.parse().unwrap(), false);
    }
    assert!(world.until(Duration::from_secs(8), World::is_up));
}

#[test]
fn ports_that_others_have_are_named() {
    let now = Instant::now();
    let mut oslo = Place::new(2, now);
    let taken = oslo.kernel.datagrams.helper_ports()[0];
    let mut other = HelperPorts::open(Path::new("/nonexistent/network.toml"));
    other.follow(&mut oslo.kernel, &mut oslo.site, now);
    let faults: Vec<String> = other.faults().collect();
    assert!(faults[0].contains(&format!("UDP port {taken}")), "{faults:?}");
}

#[test]
fn relayed_links_that_nobody_uses_end() {
    let mut world = World::new();
    world.is_cut = true;
    assert!(world.until(Duration::from_secs(5), World::is_up));
    let oslo = &mut world.places[2];
    assert_eq!(oslo.site.nat.relayed.len(), 1);
    // The fake kernel has no connections to forget.
    for minutes in [1, 11, 21] {
        oslo.turn(world.now + Duration::from_mins(minutes));
    }
    assert_eq!(oslo.site.nat.relayed, []);
    assert_eq!(oslo.reasons.len(), 2);
}

#[test]
fn a_flood_of_requests_of_new_sites_holds_up_no_relay() {
    let mut world = World::new();
    world.is_cut = true;
    let mut request = vec![0; LENGTH];
    request[..4].copy_from_slice(&MAGIC);
    request[4] = 6;
    assert!(requested(&request).is_some());
    let (from, to) = ("198.51.100.9:4000".parse().unwrap(), "192.0.2.3:52075".parse().unwrap());
    let end = world.now + Duration::from_secs(5);
    let mut number = 0;
    while world.now < end && !world.is_up() {
        let packet = HelperPacket { from, to, packet: request.clone() };
        assert!(world.places[2].kernel.datagrams.deliver_to_helper(packet));
        number += 1;
        world.until(STEP, |_| false);
    }
    assert!(world.is_up());
    let oslo = &mut world.places[2];
    if oslo.requests < number {
        assert!(oslo.helper.deadline().is_some_and(|due| due <= world.now), "one waits for the next turn");
        oslo.turn(world.now);
    }
    assert_eq!(oslo.requests, number, "no request is lost");
}

#[test]
fn a_member_that_moves_without_end_does_not_keep_the_relay_busy() {
    let mut world = World::new();
    world.is_cut = true;
    assert!(world.until(Duration::from_secs(5), World::is_up));
    let begin = world.places[2].reasons.len();
    let relay = world.places[0].endpoint("to-paris", 1).unwrap();
    for number in 0..120 {
        world.places[0].address = IpAddr::from([198, 51, 100, number]);
        // A packet of WireGuard comes from an address that the relay does not know.
        world.arrive_at_helper(SocketAddr::new(world.places[0].address, 51822), relay, vec![4; 32]);
        world.until(Duration::from_millis(1100), |_| false);
    }
    let changes = world.places[2].reasons.len() - begin;
    assert!((20..=90).contains(&changes), "{changes} changes in two minutes");
}
