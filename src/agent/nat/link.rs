//! Link to another site: the search for its path while it is down, and looks at its tunnel while it is up.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant, SystemTime};

use super::super::dial::dial;
use super::check::{Check, Verdict};
use super::keys::random;
use crate::base::error::Result;
use crate::base::moment::{after, earlier, is_due};
use crate::control::{LinkPath, LinkPathStatus, PathKind};
use crate::kernel::Kernel;
use crate::kernel::echo::EchoPath;
use crate::kernel::wireguard::{PeerStatistics, Reading};
use crate::nat::mapping::MappingState;
use crate::nat::search::{MappedAt, Outgoing, Path, Search, SearchReport};
use crate::nat::words::{LinkNames, sentences};
use crate::site::{PeerEndpoint, SearchedLink, Site};
use crate::system::port_mapping::PortMapping;

/// Time in which a link whose peer can be dialled comes up by itself.
const DIALLING: Duration = Duration::from_secs(2);

/// Time limit on a handshake at an address that has answered a ping.
const HANDSHAKE: Duration = Duration::from_secs(6);

/// Time limit on an answer through a tunnel that may be dead.
const DOUBT: Duration = Duration::from_secs(1);

/// Time between two looks at a link that carries traffic.
const BUSY_LOOK: Duration = Duration::from_secs(1);

/// Time between two looks at an idle link: at least one keepalive comes in that time, if it comes at all.
const IDLE_LOOK: Duration = Duration::from_secs(30);

/// Time between two looks at a link that is dialled as the network file says: WireGuard keeps it up alone.
const PLAIN_LOOK: Duration = Duration::from_mins(1);

/// Age of a search that begins anew when the peer looks for this site: rounds have become rare.
const CALLED_ANEW: Duration = Duration::from_secs(5);

/// Time for which a link is left alone after its tunnel could not be read or changed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Most bytes in the time of a look that are keepalives, a handshake and one check of the peer alone. A check
/// that counted as traffic would be followed by a look, the look by a check of this end, and so on.
const IDLE_BYTES: u64 = 1024;

/// Link to another site.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) site: SearchedLink,
    pub(super) search: Search,
    phase: Phase,
    /// Address that this agent has given the tunnel last.
    dialled: Option<SocketAddr>,
    /// Counters of the last look.
    last: PeerStatistics,
    /// Set if something had come from the peer by the last look.
    was_heard: bool,
    /// End of the pause after a failure.
    held_until: Option<Instant>,
}

#[derive(Debug)]
enum Phase {
    /// WireGuard has time to come up by itself until then.
    Dialling(Instant),
    /// The link is down.
    Down,
    /// The link is up; the next look is due then.
    Up(Instant),
    /// The link was up, or has just got an address, and is checked.
    Checked(Check),
}

impl Link {
    /// Begins with a link of the network file.
    pub(super) fn new(site: SearchedLink, now: Instant) -> Self {
        let search = Search::begin(site.view.clone(), Vec::new(), now);
        let wait = if site.is_dialled { DIALLING } else { Duration::ZERO };
        Self {
            site,
            search,
            phase: Phase::Dialling(after(now, wait)),
            dialled: None,
            last: PeerStatistics::default(),
            was_heard: false,
            held_until: None,
        }
    }

    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.phase {
            Phase::Checked(check) => check.descriptor(),
            _ => None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.held_until.is_some() {
            return self.held_until;
        }
        let searching = self.search.deadline();
        match &self.phase {
            Phase::Dialling(until) => Some(*until),
            Phase::Down => searching,
            Phase::Up(look) => earlier(searching, Some(*look)),
            Phase::Checked(check) => earlier(searching, Some(check.deadline())),
        }
    }

    /// Reports whether the link works, as far as is known.
    fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up(_))
    }

    /// Reports whether the link works as the network file has it: one end dials the other.
    fn is_plain(&self) -> bool {
        self.site.is_dialled && !self.is_relayed()
    }

    /// Reports whether packets of the peer and of helpers may come now. Links that are up need them too: a
    /// peer that has moved pings first.
    pub(super) fn needs_packets(&self) -> bool {
        match self.phase {
            Phase::Dialling(_) => false,
            Phase::Down => true,
            Phase::Up(_) | Phase::Checked(_) => !self.is_plain(),
        }
    }

    fn is_relayed(&self) -> bool {
        matches!(self.search.chosen(), Some((_, Path::Relayed(_))))
    }

    /// Returns the path, or the search for one.
    pub(super) fn tell(&self, mapping: &PortMapping, now: Instant) -> LinkPathStatus {
        let report = self.search.report(now);
        let port = self.site.view.port;
        let mapped = mapping.states().find(|(mapped, _)| *mapped == port).map(|(_, state)| state);
        let has_second_nat = matches!(mapped, Some(MappingState::SecondNat(..)));
        let names = LinkNames { peer: &self.site.peer, helpers: &self.site.helper_names };
        let path = self.is_up().then(|| self.path(&report)).flatten();
        LinkPathStatus {
            peer: self.site.peer.clone(),
            interface: self.site.interface.clone(),
            path,
            tried: sentences(&report, names, has_second_nat),
            port_mapping: mapped.map_or_else(String::new, |state| format!("UDP port {port}: {state}")),
        }
    }

    fn path(&self, report: &SearchReport) -> Option<LinkPath> {
        let (_, path) = report.chosen?;
        let (kind, by) = match (path, report.mapped) {
            (Path::Relayed(helper), _) => (PathKind::Relayed, self.site.helper_names.get(&helper)),
            (Path::Local, _) => (PathKind::Local, None),
            (Path::Direct, Some(MappedAt::Own)) => (PathKind::Mapped, Some(&self.site.own)),
            (Path::Direct, Some(MappedAt::Peer)) => (PathKind::Mapped, Some(&self.site.peer)),
            (Path::Direct, None) => (PathKind::Direct, None),
        };
        Some(LinkPath { kind, by: by.cloned().unwrap_or_default() })
    }

    /// Checks a link that may have gone down.
    pub(super) fn doubt(&mut self, now: Instant) {
        if self.is_up() {
            self.phase = Phase::Checked(Check::begin(DOUBT, now));
        }
    }

    /// Leaves the link alone for a moment, because its tunnel could not be read or changed.
    pub(super) fn hold(&mut self, now: Instant) {
        self.held_until = Some(after(now, AFTER_FAILURE));
    }

    /// Takes note that the peer looks for this site.
    pub(super) fn called(&mut self, addresses: &[SocketAddr], now: Instant) {
        let is_slow = now.duration_since(self.search.began()) > CALLED_ANEW;
        match self.phase {
            Phase::Down if is_slow => self.begin_anew(addresses, now),
            _ => self.doubt(now),
        }
    }

    /// Takes note that this host's network is another: it may have another address to the peer, and an
    /// attempt that was hopeless may succeed.
    pub(super) fn network_has_changed(&mut self, addresses: &[SocketAddr], now: Instant) {
        if matches!(self.phase, Phase::Down) {
            self.begin_anew(addresses, now);
        } else {
            self.search.set_addresses(addresses.to_vec());
            self.doubt(now);
        }
    }

    /// Sets the endpoint of the peer to the address in use: the plan must not go back to another one while a
    /// handshake is under way. Links that work as the network file has them keep its endpoint, which may be a
    /// name.
    pub(super) fn set_endpoint(&self, site: &mut Site) {
        let is_settled = self.is_plain() && self.is_up();
        let Some(address) = self.dialled.filter(|_| !is_settled) else { return };
        let tunnel = site.tunnels.get_mut(&self.site.interface);
        if let Some(peer) = tunnel.and_then(|tunnel| tunnel.peers.get_mut(&self.site.peer)) {
            peer.endpoint = Some(PeerEndpoint::at(address));
        }
    }

    /// Does the work that is due, and returns the packets to send. `addresses` are this site's own.
    pub(super) fn turn(
        &mut self,
        addresses: &[SocketAddr],
        kernel: &mut dyn Kernel,
        now: Instant,
    ) -> Result<Vec<Outgoing>> {
        if self.held_until.is_some() && !is_due(self.held_until, now) {
            return Ok(Vec::new());
        }
        self.held_until = None;
        match &mut self.phase {
            Phase::Dialling(until) if !is_due(Some(*until), now) => return Ok(Vec::new()),
            Phase::Dialling(_) => match self.peer(kernel)? {
                Some(peer) if peer.alive(SystemTime::now()) => {
                    self.search.set_addresses(addresses.to_vec());
                    self.is_found(peer, now);
                }
                _ => self.begin_anew(addresses, now),
            },
            Phase::Up(look) if is_due(Some(*look), now) => self.look(kernel, now)?,
            Phase::Checked(check) => {
                let path = EchoPath {
                    interface: self.site.interface.clone(),
                    from: self.site.inside.0,
                    to: self.site.inside.1,
                    mark: None,
                };
                match check.turn(&path, kernel, now) {
                    Verdict::Open => {}
                    Verdict::Works => {
                        let peer = self.peer(kernel)?.unwrap_or_default();
                        self.is_found(peer, now);
                    }
                    Verdict::Silent => self.begin_anew(addresses, now),
                }
            }
            Phase::Down if is_due(self.search.deadline(), now) => {
                self.notice_handshake(kernel, now)?;
            }
            Phase::Up(_) | Phase::Down => {}
        }
        let outgoing = self.search.turn(now, &mut random);
        self.dial(kernel, now)?;
        Ok(outgoing)
    }

    /// Takes note that the link works.
    fn is_found(&mut self, peer: PeerStatistics, now: Instant) {
        if let Some(endpoint) = peer.endpoint {
            self.search.settle(endpoint, now);
            self.dialled = self.search.chosen().map(|(address, _)| address);
        }
        (self.last, self.was_heard) = (peer, false);
        let look = if self.is_plain() { PLAIN_LOOK } else { BUSY_LOOK };
        self.phase = Phase::Up(after(now, look));
    }

    fn begin_anew(&mut self, addresses: &[SocketAddr], now: Instant) {
        self.search.begin_anew(addresses.to_vec(), now);
        self.phase = Phase::Down;
        self.dialled = None;
    }

    /// Looks at the counters of a link that is up: sending without an answer means doubt.
    fn look(&mut self, kernel: &mut dyn Kernel, now: Instant) -> Result<()> {
        let Some(peer) = self.peer(kernel)? else {
            self.phase = Phase::Up(after(now, IDLE_LOOK));
            return Ok(());
        };
        let before = std::mem::replace(&mut self.last, peer);
        let received = peer.received.saturating_sub(before.received);
        let sent = peer.sent.saturating_sub(before.sent);
        // Of two ends with the same keepalive, one sends all of them: only a change means something.
        let is_silent = received == 0 && (sent > IDLE_BYTES || self.was_heard);
        self.was_heard = received > 0;
        if is_silent || !peer.alive(SystemTime::now()) {
            self.phase = Phase::Checked(Check::begin(DOUBT, now));
            return Ok(());
        }
        if let Some(endpoint) = peer.endpoint {
            self.search.settle(endpoint, now);
        }
        let is_busy = received + sent > IDLE_BYTES;
        let wait = match (self.is_plain(), is_busy) {
            (true, _) => PLAIN_LOOK,
            (false, true) => BUSY_LOOK,
            (false, false) => IDLE_LOOK,
        };
        self.phase = Phase::Up(after(now, wait));
        Ok(())
    }

    /// Ends the search if the peer has completed a handshake by itself.
    fn notice_handshake(&mut self, kernel: &mut dyn Kernel, now: Instant) -> Result<()> {
        let Some(peer) = self.peer(kernel)? else { return Ok(()) };
        if peer.handshake > self.last.handshake && peer.alive(SystemTime::now()) {
            self.last = peer;
            self.phase = Phase::Checked(Check::begin(HANDSHAKE, now));
        }
        Ok(())
    }

    /// Gives the tunnel the address that the search has chosen.
    fn dial(&mut self, kernel: &mut dyn Kernel, now: Instant) -> Result<()> {
        let Some((address, _)) = self.search.chosen().filter(|(address, _)| Some(*address) != self.dialled)
        else {
            return Ok(());
        };
        let Some(Reading { tunnel, peers }) = kernel.own_tunnel(&self.site.interface)? else { return Ok(()) };
        let Some(peer) = peers.get(&self.site.key) else { return Ok(()) };
        // Before the changes: if one fails, the check ends in another search.
        self.dialled = Some(address);
        self.phase = Phase::Checked(Check::begin(HANDSHAKE, now));
        let is_alive = peer.alive(SystemTime::now());
        dial(kernel, &self.site.interface, tunnel, self.site.key, (address, is_alive))
    }

    /// Returns the statistics of the peer in the tunnel.
    fn peer(&self, kernel: &mut dyn Kernel) -> Result<Option<PeerStatistics>> {
        let reading = kernel.own_tunnel(&self.site.interface)?;
        Ok(reading.and_then(|reading| reading.peers.get(&self.site.key).copied()))
    }
}
