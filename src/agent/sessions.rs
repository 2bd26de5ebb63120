//! Sessions with the other ends of tunnels: the time at which each was last heard, and whether it answers.
//! WireGuard tells neither: a handshake counts for three minutes, whatever comes after it.
//!
//! A peer whose endpoint changes in the network file is dialled there at once, although its session lives.

use std::time::{Duration, Instant, SystemTime};

use super::dial::dial;
use super::source::{Source, Task, Turn};
use crate::base::error::Result;
use crate::base::moment::{after, is_due};
use crate::base::net::{IfName, PublicKey};
use crate::config::model::EndpointHost;
use crate::control::SessionStatus;
use crate::kernel::Kernel;
use crate::kernel::wireguard::PeerStatistics;
use crate::site::{PeerEndpoint, Site};
use crate::system::logging as log;

/// Time between two looks at the counters of all tunnels.
const LOOK: Duration = Duration::from_secs(5);

/// Time without an answer after which a peer counts as silent. WireGuard answers each packet within 10 s, and
/// begins a new handshake after 15 s without an answer (WireGuard's paper, § 6.5).
const SILENCE: Duration = Duration::from_secs(15);

/// Bytes of a keepalive, which gets no answer: a data message without data (WireGuard's paper, § 5.4.6).
const KEEPALIVE_BYTES: u64 = 32;

/// Sessions with the other ends of all tunnels.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// Sessions in the order of their interfaces.
    list: Vec<Session>,
    /// Time of the next look; none while there is no tunnel.
    next: Option<Instant>,
}

/// Session with the other end of a tunnel.
#[derive(Debug)]
struct Session {
    interface: IfName,
    key: PublicKey,
    /// Seconds between keepalives; at least 1.
    keepalive: u64,
    /// Endpoint in the network file; empty if it has none.
    endpoint: String,
    /// Set while the endpoint is new, and not dialled yet.
    is_moved: bool,
    /// Bytes received and sent by the last look, and its time.
    last: Option<(u64, u64, Instant)>,
    /// Time at which something was last seen to come.
    seen: Option<Instant>,
    /// Time from which on packets have been sent and nothing has come.
    unanswered: Option<Instant>,
}

impl Sessions {
    /// Takes over the tunnels of the site, with the endpoints of the network file.
    pub(super) fn follow(&mut self, site: &Site) {
        let mut old = std::mem::take(&mut self.list);
        for (interface, _, peer) in site.peers() {
            let key = peer.public_key;
            let endpoint = peer.endpoint.as_ref().map_or_else(String::new, written);
            let keepalive = peer.keepalive.map_or(u64::MAX, |seconds| seconds.get().into());
            let mut session = match old.iter().position(|known| known.is(interface, key)) {
                Some(place) => old.swap_remove(place),
                None => Session::new(interface.clone(), key, endpoint.clone()),
            };
            session.is_moved = !endpoint.is_empty() && (session.is_moved || session.endpoint != endpoint);
            (session.endpoint, session.keepalive) = (endpoint, keepalive);
            self.list.push(session);
        }
        self.next = (!self.list.is_empty()).then(|| self.next.unwrap_or_else(Instant::now));
    }

    /// Dials the peers whose endpoint has changed in the network file. The plan leaves a peer with a live
    /// session where it is, because the peer may have roamed.
    pub(super) fn dial_moved(&mut self, kernel: &mut dyn Kernel, site: &Site) {
        for session in self.list.iter_mut().filter(|session| session.is_moved) {
            if let Err(error) = session.dial(kernel, site) {
                log::error!("{error}");
            }
        }
    }

    /// Returns the sessions that have been heard.
    pub(super) fn tell(&self, now: Instant) -> Vec<SessionStatus> {
        let mut told = Vec::new();
        let age = |since: Instant| now.saturating_duration_since(since);
        for session in &self.list {
            let unanswered = session.unanswered.map(age).filter(|age| *age >= SILENCE);
            if session.seen.is_some() || unanswered.is_some() {
                told.push(SessionStatus {
                    interface: session.interface.clone(),
                    key: session.key,
                    seen: session.seen.map(|seen| age(seen).as_secs()),
                    unanswered: unanswered.map(|age| age.as_secs()),
                });
            }
        }
        told
    }

    fn look(&mut self, kernel: &mut dyn Kernel, now: Instant) -> Result<()> {
        let clock = SystemTime::now();
        for (interface, peers) in &kernel.own_peers(clock)? {
            for session in self.list.iter_mut().filter(|session| session.interface == *interface) {
                session.take(peers.get(&session.key).copied().unwrap_or_default(), (now, clock));
            }
        }
        Ok(())
    }
}

impl Session {
    fn new(interface: IfName, key: PublicKey, endpoint: String) -> Self {
        Self {
            interface,
            key,
            keepalive: u64::MAX,
            endpoint,
            is_moved: false,
            last: None,
            seen: None,
            unanswered: None,
        }
    }

    fn is(&self, interface: &IfName, key: PublicKey) -> bool {
        self.interface == *interface && self.key == key
    }

    /// Takes in the counters of a look.
    fn take(&mut self, peer: PeerStatistics, (now, clock): (Instant, SystemTime)) {
        let Some((received, sent, then)) = self.last.replace((peer.received, peer.sent, now)) else {
            self.seen = self.seen.or(peer.age(clock).and_then(|age| now.checked_sub(age)));
            return;
        };
        // The counters of a peer that is removed and added begin anew.
        if peer.received != received && peer.received > 0 {
            (self.seen, self.unanswered) = (Some(now), None);
            return;
        }
        let sent = peer.sent.checked_sub(sent).unwrap_or(peer.sent);
        let keepalives = 1 + now.saturating_duration_since(then).as_secs() / self.keepalive;
        if sent > KEEPALIVE_BYTES * keepalives {
            self.unanswered.get_or_insert(now);
        }
    }

    /// Has the tunnel dial the endpoint of the network file. A name is dialled when its address is known.
    fn dial(&mut self, kernel: &mut dyn Kernel, site: &Site) -> Result<()> {
        let found = site.peers().find(|(interface, _, peer)| self.is(interface, peer.public_key));
        let Some((_, _, peer)) = found else { return Ok(()) };
        let Some(address) = peer.endpoint.as_ref().and_then(|endpoint| endpoint.address) else {
            return Ok(());
        };
        let Some(reading) = kernel.own_tunnel(&self.interface)? else { return Ok(()) };
        let is_alive = reading.peers.get(&self.key).is_some_and(|peer| peer.alive(SystemTime::now()));
        dial(kernel, &self.interface, reading.tunnel, self.key, (address, is_alive))?;
        let own = site.address_in(&site.tunnels[&self.interface], peer.address);
        kernel.knock(&self.interface, own, peer.address);
        self.is_moved = false;
        Ok(())
    }
}

/// Returns an endpoint as the network file has it: another address of the same name is no change.
fn written(endpoint: &PeerEndpoint) -> String {
    let host = match &endpoint.host {
        EndpointHost::Address(address) => address.to_string(),
        EndpointHost::Name(name) => name.clone(),
    };
    [&host, " ", &endpoint.port.to_string()].concat()
}

impl Source for Sessions {
    fn deadline(&self) -> Option<Instant> {
        self.next
    }

    fn turn(&mut self, turn: Turn) -> Result<Task> {
        if is_due(self.next, turn.now) {
            self.next = Some(after(turn.now, LOOK));
            if let Err(error) = self.look(turn.kernel, turn.now) {
                log::debug!("{error}");
            }
        }
        Ok(Task::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::sorted::SortedSet;
    use crate::kernel::fake::FakeKernel;
    use crate::state::{Link, LinkKind, Peer, Tunnel, WireGuardBackend};

    const KEY: PublicKey = PublicKey([2; 32]);

    /// Machine with a tunnel to a peer, whose counters a test sets.
    struct Stage {
        kernel: FakeKernel,
        sessions: Sessions,
        now: Instant,
    }

    impl Stage {
        fn begin(keepalive: u64) -> Self {
            let interface: IfName = "to-paris".parse().unwrap();
            let mut kernel = FakeKernel::default();
            let kind = LinkKind::WireGuard(WireGuardBackend::Kernel);
            let link = Link { kind, alias: String::new(), mtu: 1280 };
            kernel.state.links.insert(interface.clone(), link);
            let peer = Peer {
                preshared_key: None,
                endpoint: None,
                keepalive: None,
                allowed_ips: SortedSet::new(),
                alive: false,
            };
            let tunnel = Tunnel { peers: [(KEY, peer)].into(), ..Tunnel::default() };
            kernel.state.tunnels.insert(interface.clone(), tunnel);
            let session = Session { keepalive, ..Session::new(interface, KEY, String::new()) };
            Self { kernel, sessions: Sessions { list: vec![session], next: None }, now: Instant::now() }
        }

        /// Looks at the counters after a time, and tells of the session.
        fn look(&mut self, seconds: u64, received: u64, sent: u64) -> Option<SessionStatus> {
            self.now += Duration::from_secs(seconds);
            let peer = PeerStatistics { received, sent, ..PeerStatistics::default() };
            self.kernel.statistics.insert(KEY, peer);
            self.sessions.look(&mut self.kernel, self.now).unwrap();
            self.sessions.tell(self.now).pop()
        }

        fn unanswered(&mut self, seconds: u64, received: u64, sent: u64) -> Option<u64> {
            self.look(seconds, received, sent).and_then(|session| session.unanswered)
        }
    }

    #[test]
    fn a_peer_that_does_not_answer_for_a_while_is_silent() {
        let mut stage = Stage::begin(25);
        assert_eq!(stage.look(0, 0, 0), None);
        assert_eq!(stage.unanswered(5, 92, 148), None, "a handshake");
        assert_eq!(stage.unanswered(5, 92, 276), None, "a packet");
        assert_eq!(stage.unanswered(10, 92, 276), None, "an answer may take 10 s");
        assert_eq!(stage.unanswered(5, 92, 424), Some(15), "WireGuard begins a new handshake");
        assert_eq!(stage.unanswered(20, 92, 1016), Some(35));
        assert_eq!(stage.unanswered(5, 184, 1164), None, "it has answered");
    }

    #[test]
    fn keepalives_want_no_answer() {
        for (keepalive, at_once) in [(25, 32), (2, 96), (u64::MAX, 32)] {
            let mut stage = Stage::begin(keepalive);
            let mut sent = 0;
            for _ in 0..100 {
                assert_eq!(stage.unanswered(5, 92, sent), None, "{keepalive} {sent}");
                sent += at_once;
            }
            // The smallest packet that is none.
            assert_eq!(stage.unanswered(5, 92, sent + 96), None);
            assert_eq!(stage.unanswered(15, 92, sent + 96), Some(15));
        }
    }

    #[test]
    fn a_peer_stays_seen_when_its_counters_begin_anew() {
        let mut stage = Stage::begin(25);
        stage.look(0, 1000, 1000);
        stage.look(5, 2000, 2000);
        let session = stage.look(5, 0, 148).unwrap();
        assert_eq!((session.seen, session.unanswered), (Some(5), None));
        let session = stage.look(15, 0, 592).unwrap();
        assert_eq!((session.seen, session.unanswered), (Some(20), Some(15)));
        let session = stage.look(5, 92, 740).unwrap();
        assert_eq!((session.seen, session.unanswered), (Some(0), None));
    }

    #[test]
    fn a_session_that_is_older_than_the_agent_has_the_age_of_its_handshake() {
        let mut stage = Stage::begin(25);
        let handshake = Some(SystemTime::now() - Duration::from_secs(100));
        let peer = PeerStatistics { handshake, received: 5000, ..PeerStatistics::default() };
        stage.kernel.statistics.insert(KEY, peer);
        let now = Instant::now() + Duration::from_secs(1000);
        stage.sessions.look(&mut stage.kernel, now).unwrap();
        let seen = stage.sessions.tell(now)[0].seen.unwrap();
        assert!((100..110).contains(&seen), "{seen}");
    }
}
