//! A peer of a tunnel: its settings, and its end of WireGuard's protocol, which boringtun computes without
//! any input or output of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use defguard_boringtun::noise::errors::WireGuardError;
use defguard_boringtun::noise::rate_limiter::RateLimiter;
use defguard_boringtun::noise::{Tunn, TunnResult};
use defguard_boringtun::x25519::{self, StaticSecret};

use crate::base::net::{PublicKey, Secret};
use crate::kernel::wireguard::PeerStatistics;
use crate::state;

/// Number of handshakes in a second from which on a peer must prove with a cookie that it is at its address.
const WITHOUT_COOKIE: u64 = 100;

/// Time between two looks at the timers of a peer.
pub(super) const ROUND: Duration = Duration::from_secs(1);

/// Bytes of a message of data that the statistics leave out: the tag behind the data.
const TAG: u64 = 16;

/// Length of a message that begins a handshake.
pub(super) const BEGINNING: usize = 148;

/// First byte of a message of data.
const DATA: u8 = 4;

/// Keys of a tunnel, and its defence against floods of handshakes.
pub(super) struct Identity {
    /// Private key.
    pub(super) private: StaticSecret,
    /// Public key of the private key.
    pub(super) public: x25519::PublicKey,
    /// Checks messages before anyone looks for their peer, and asks for cookies.
    pub(super) door: RateLimiter,
    /// Takes every message: each peer checks the messages that have passed the door once more.
    inner: Arc<RateLimiter>,
}

impl Identity {
    /// Returns the identity with a private key.
    pub(super) fn new(private: &[u8; 32]) -> Self {
        let private = StaticSecret::from(*private);
        let public = x25519::PublicKey::from(&private);
        let door = RateLimiter::new(&public, WITHOUT_COOKIE);
        let inner = Arc::new(RateLimiter::new(&public, u64::MAX));
        Self { private, public, door, inner }
    }
}

/// A peer of a tunnel.
pub(super) struct Peer {
    /// Settings. The endpoint is the address from which the peer was last heard.
    pub(super) settings: state::Peer,
    /// Number of the peer in the messages that it sends, 24 bits.
    pub(super) index: u32,
    key: PublicKey,
    protocol: Tunn,
    received: u64,
    sent: u64,
    /// Time of the last look at the timers.
    looked: Instant,
    /// Set if the next look begins a handshake.
    dials: bool,
}

impl Peer {
    /// Returns a peer without a session.
    pub(super) fn new(
        key: PublicKey,
        settings: state::Peer,
        index: u32,
        identity: &Identity,
        now: Instant,
    ) -> Box<Self> {
        let protocol = protocol(key, &settings, index, identity);
        Box::new(Self { settings, index, key, protocol, received: 0, sent: 0, looked: now, dials: false })
    }

    /// Ends the session, and begins with new timers and the present time of the clock.
    pub(super) fn renew(&mut self, identity: &Identity) {
        self.protocol = protocol(self.key, &self.settings, self.index, identity);
    }

    /// Ends the session, and begins a handshake soon.
    pub(super) fn redial(&mut self, identity: &Identity) {
        self.renew(identity);
        self.dials = true;
    }

    /// Reports whether someone waits for this peer: it should have a session all the time, and can be
    /// dialled.
    pub(super) fn is_wanted(&self) -> bool {
        self.settings.keepalive.is_some() && self.settings.endpoint.is_some()
    }

    /// Reports whether there is a session that can be used.
    pub(super) fn has_session(&self) -> bool {
        let now = SystemTime::now();
        self.statistics(now).alive(now)
    }

    /// Reports whether timers run: there is a session, a handshake, or the wish for one.
    pub(super) fn has_timers(&self) -> bool {
        self.settings.endpoint.is_some() && !self.protocol.is_expired()
    }

    /// Looks at the timers, unless that was a moment ago. The protocol knows no other time than that of the
    /// last look, so that a look comes before each message. Returns the length of a message to send, which
    /// is then in the room.
    ///
    /// After 90 s without an answer the protocol gives up, and sends not even keepalives until there is data.
    /// A peer that is wanted begins anew: its next keepalive begins a handshake.
    pub(super) fn look(&mut self, identity: &Identity, now: Instant, room: &mut [u8]) -> Option<usize> {
        if now.saturating_duration_since(self.looked) < ROUND {
            return None;
        }
        self.looked = now;
        let result = if std::mem::take(&mut self.dials) {
            // The handshake takes the place of a keepalive.
            let _ = self.protocol.update_timers(&mut [0; BEGINNING]);
            self.protocol.format_handshake_initiation(room, false)
        } else {
            self.protocol.update_timers(room)
        };
        if matches!(result, TunnResult::Err(WireGuardError::ConnectionExpired)) && self.is_wanted() {
            self.renew(identity);
            return None;
        }
        count(&mut self.sent, &result)
    }

    /// Encrypts a packet. Returns the length of a message to send: the packet, or the beginning of a
    /// handshake if there is no session. Then the packet waits for the session.
    pub(super) fn encrypt(&mut self, packet: &[u8], room: &mut [u8]) -> Option<usize> {
        count(&mut self.sent, &self.protocol.encapsulate(packet, room))
    }

    /// Encrypts the next packet that waited for a session. Returns the length of the message.
    pub(super) fn next_waiting(&mut self, room: &mut [u8]) -> Option<usize> {
        count(&mut self.sent, &self.protocol.decapsulate(None, &[], room))
    }

    /// Takes a message that has passed the door.
    pub(super) fn take<'a>(
        &mut self,
        message: &[u8],
        from: SocketAddr,
        room: &'a mut [u8],
    ) -> TunnResult<'a> {
        let result = self.protocol.decapsulate(Some(from.ip()), message, room);
        count(&mut self.sent, &result);
        if !matches!(result, TunnResult::Err(_)) {
            let tag = if message.first() == Some(&DATA) { TAG } else { 0 };
            self.received += message.len() as u64 - tag;
        }
        result
    }

    /// Returns the statistics.
    pub(super) fn statistics(&self, now: SystemTime) -> PeerStatistics {
        let age = self.protocol.time_since_last_handshake();
        PeerStatistics {
            endpoint: self.settings.endpoint,
            handshake: age.and_then(|age| now.checked_sub(age)),
            received: self.received,
            sent: self.sent,
        }
    }
}

/// Counts a message to send, and returns its length.
fn count(sent: &mut u64, result: &TunnResult<'_>) -> Option<usize> {
    let TunnResult::WriteToNetwork(message) = result else { return None };
    *sent += message.len() as u64;
    Some(message.len())
}

fn protocol(key: PublicKey, settings: &state::Peer, index: u32, identity: &Identity) -> Tunn {
    Tunn::new(
        identity.private.clone(),
        x25519::PublicKey::from(key.0),
        settings.preshared_key.as_ref().map(Secret::bytes).copied(),
        settings.keepalive.map(Into::into),
        index,
        Some(Arc::clone(&identity.inner)),
    )
}
