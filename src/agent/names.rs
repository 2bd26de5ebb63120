//! Host names of the other ends: resolved at start until it works, and again when a link has had no handshake for long.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant, SystemTime};

use crate::config::model::{Host, Name};
use crate::error::Result;
use crate::kernel::echo::Echo;
use crate::kernel::linux::Linux;
use crate::net::{IfName, PublicKey};
use crate::resolver::Lookup;
use crate::site::{Peer, Site};
use crate::state::Tunnel;

/// After a name that was not found: the first wait, doubled each time up to the longest.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// How long an address that was never heard from is given, the first time: three handshakes (REKEY_TIMEOUT in WireGuard's paper,
/// § 6.1).
const FIRST_TRY: Duration = Duration::from_secs(15);

/// All names that this site has to resolve.
#[derive(Debug, Default)]
pub(super) struct Names {
    entries: BTreeMap<String, Entry>,
    links: Vec<Link>,
    resolve_after: Duration,
}

/// What is known of a name.
#[derive(Debug, Default)]
struct Entry {
    /// The address in use.
    address: Option<IpAddr>,
    /// Under way.
    lookup: Option<Lookup>,
    /// When to ask again, or to look whether that is needed.
    due: Option<Instant>,
    /// The last wait.
    wait: Duration,
    /// Something else tells that the address does not work.
    is_doubted: bool,
}

/// A link that is dialled by name.
#[derive(Debug)]
struct Link {
    host: String,
    /// Name of the site at its other end.
    site: Name,
    interface: IfName,
    key: PublicKey,
    port: u16,
    /// Our address and the other end's inside the tunnel.
    inside: (IpAddr, IpAddr),
}

/// How a link is doing.
struct Condition {
    /// Since the last handshake; none = there was none.
    age: Option<Duration>,
    alive: bool,
    tunnel: Tunnel,
}

impl Names {
    /// From now on these names count; all of them are looked for.
    pub(super) fn ask(&mut self, names: BTreeSet<&str>, now: Instant) {
        self.entries.retain(|name, _| names.contains(name.as_str()));
        for name in names {
            let entry = self.entries.entry(name.to_owned()).or_default();
            entry.lookup = Some(Lookup::begin(name, now));
        }
    }

    /// Takes in where the names are used.
    pub(super) fn follow(&mut self, site: &Site) {
        self.resolve_after = site.resolve_after;
        let link = |(interface, name, peer): (&IfName, &Name, &Peer)| {
            let endpoint = peer.endpoint.as_ref()?;
            let Host::Name(host) = &endpoint.host else { return None };
            Some(Link {
                host: host.clone(),
                site: name.clone(),
                interface: interface.clone(),
                key: peer.public_key,
                port: endpoint.port,
                inside: (site.address, peer.address),
            })
        };
        self.links = site.peers().filter_map(link).collect();
    }

    /// The addresses in use.
    pub(super) fn addresses(&self) -> BTreeMap<String, IpAddr> {
        let address = |(name, entry): (&String, &Entry)| Some((name.clone(), entry.address?));
        self.entries.iter().filter_map(address).collect()
    }

    /// What to poll for input.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.entries.values().filter_map(|entry| entry.lookup.as_ref()?.descriptor())
    }

    /// When there is something to do though nothing came in.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let due = |entry: &Entry| entry.lookup.as_ref().map(Lookup::deadline).or(entry.due);
        self.entries.values().filter_map(due).min()
    }

    /// The link to a site does not work: its name is resolved again.
    pub(super) fn doubt(&mut self, site: &str, now: Instant) {
        for link in self.links.iter().filter(|link| link.site == site) {
            if let Some(entry) = self.entries.get_mut(&link.host).filter(|entry| entry.lookup.is_none()) {
                entry.is_doubted = true;
                entry.lookup = Some(Lookup::begin(&link.host, now));
            }
        }
    }

    /// The network of this host has changed: names that were not found may be found now.
    pub(super) fn try_all(&mut self, now: Instant) {
        for entry in self.entries.values_mut().filter(|entry| entry.address.is_none()) {
            entry.due = Some(now);
        }
    }

    /// Takes answers, asks again where that is due, and has links that do not work dial another address. Never waits. Whether
    /// a name has got its first address.
    pub(super) fn turn(&mut self, kernel: &mut Linux, now: Instant) -> Result<bool> {
        let mut is_new = false;
        for (name, entry) in &mut self.entries {
            let links: Vec<&Link> = self.links.iter().filter(|link| link.host == *name).collect();
            if entry.lookup.is_none() && entry.due.is_some_and(|due| due <= now) {
                entry.look_after(name, &links, self.resolve_after, kernel, now)?;
            }
            let Some(addresses) = entry.lookup.as_mut().and_then(|lookup| lookup.turn(now)) else { continue };
            entry.lookup = None;
            if addresses.is_empty() {
                entry.try_again(name, now);
            } else if entry.address.is_none() {
                entry.address = addresses.first().copied();
                entry.begin(now);
                is_new = true;
            } else {
                entry.take(name, &addresses, &links, self.resolve_after, kernel, now)?;
            }
        }
        Ok(is_new)
    }
}

impl Entry {
    /// The name was not found.
    fn try_again(&mut self, name: &str, now: Instant) {
        if self.wait.is_zero() {
            log::warn!("the name {name} does not resolve; trying again");
        }
        self.wait = (self.wait * 2).clamp(RETRY, LONGEST_RETRY);
        self.due = Some(now + self.wait);
    }

    /// An address is tried for the first time.
    fn begin(&mut self, now: Instant) {
        self.wait = Duration::ZERO;
        self.due = Some(now + FIRST_TRY);
    }

    /// Asks again if there is no address yet, or if a link has had no handshake for long; else waits until that may be.
    fn look_after(
        &mut self,
        name: &str,
        links: &[&Link],
        resolve_after: Duration,
        kernel: &mut Linux,
        now: Instant,
    ) -> Result<()> {
        let mut left = Some(resolve_after).filter(|_| self.address.is_some());
        for link in links {
            let rest = |age: Duration| resolve_after.checked_sub(age).filter(|rest| !rest.is_zero());
            left = left.min(link.condition(kernel)?.age.and_then(rest));
        }
        match left {
            Some(left) => {
                self.due = Some(now + left);
                self.wait = Duration::ZERO;
            }
            None => self.lookup = Some(Lookup::begin(name, now)),
        }
        Ok(())
    }

    /// Has the links that do not work dial the address that is the right one now; or, if that is the one that does not work,
    /// the next one of the name: of the other family, perhaps.
    fn take(
        &mut self,
        name: &str,
        addresses: &[IpAddr],
        links: &[&Link],
        resolve_after: Duration,
        kernel: &mut Linux,
        now: Instant,
    ) -> Result<()> {
        let is_doubted = std::mem::take(&mut self.is_doubted);
        let known = addresses.iter().position(|address| Some(*address) == self.address);
        let mut wait = resolve_after;
        let mut silent = Vec::new();
        for link in links {
            let condition = link.condition(kernel)?;
            let works = match known {
                // The name still says so, and others have reached us from elsewhere: as long as that works it is right.
                Some(_) => condition.alive && !is_doubted,
                None => condition.age.is_some_and(|age| age < resolve_after) && !is_doubted,
            };
            if !works {
                silent.push((*link, condition));
            } else if let Some(age) = condition.age {
                wait = wait.min(resolve_after.saturating_sub(age).max(RETRY));
            }
        }
        let next = match known {
            Some(place) if silent.is_empty() => place,
            Some(place) => (place + 1) % addresses.len(),
            None => 0,
        };
        if self.address != Some(addresses[next]) {
            log::info!("{name} is {} now", addresses[next]);
        }
        self.address = Some(addresses[next]);
        for (link, condition) in silent {
            link.dial(addresses[next], condition.tunnel, kernel)?;
            self.wait = (self.wait * 2).clamp(FIRST_TRY, resolve_after.max(FIRST_TRY));
            wait = wait.min(self.wait);
        }
        self.due = Some(now + wait);
        Ok(())
    }
}

impl Link {
    fn condition(&self, kernel: &mut Linux) -> Result<Condition> {
        let now = SystemTime::now();
        let Some(link) = kernel.own_links()?.remove(&self.interface) else {
            return Ok(Condition { age: None, alive: false, tunnel: Tunnel::default() });
        };
        let reading = kernel.read_tunnel(&self.interface, &link, now)?;
        let peer = reading.peers.get(&self.key).copied().unwrap_or_default();
        // A handshake in the future means that the clock was set back: it was just now.
        let age = peer.handshake.map(|then| now.duration_since(then).unwrap_or_default());
        Ok(Condition { age, alive: peer.alive(now), tunnel: reading.tunnel })
    }

    /// Changes where the peer is dialled, and nothing else of the tunnel.
    fn dial(&self, address: IpAddr, from: Tunnel, kernel: &mut Linux) -> Result<()> {
        let mut to = from.clone();
        let endpoint = SocketAddr::new(address, self.port);
        match to.peers.get_mut(&self.key) {
            Some(peer) if peer.endpoint != Some(endpoint) => peer.endpoint = Some(endpoint),
            _ => return Ok(()),
        }
        kernel.change_tunnel(&self.interface, &from, &to)?;
        self.knock();
        Ok(())
    }

    /// Sends something, so that a handshake begins at once and not with the next keepalive.
    fn knock(&self) {
        let (IpAddr::V4(from), IpAddr::V4(to)) = self.inside else { return };
        // If it cannot be sent, the keepalive does it.
        let _ = Echo::open(&self.interface, from, to).and_then(|mut echo| echo.ask());
    }
}
