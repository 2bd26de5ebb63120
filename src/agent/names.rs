//! Host names of the other ends: resolved at start until it works, and again when a link has had no handshake for long.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant, SystemTime};

use crate::base::error::Result;
use crate::base::net::{IfName, PublicKey};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::{Host, Name};
use crate::kernel::echo::Echo;
use crate::kernel::linux::Linux;
use crate::site::{Peer, Site};
use crate::state::Tunnel;
use crate::system::resolver::Lookup;

/// After a name that was not found: the first wait, doubled each time up to the longest.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// How long an address that was never heard from is given, the first time: three handshakes (REKEY_TIMEOUT in WireGuard's paper,
/// § 6.1).
const FIRST_TRY: Duration = Duration::from_secs(15);

/// All names that this site has to resolve.
#[derive(Debug, Default)]
pub(super) struct Names {
    entries: Vec<Entry>,
    links: Vec<Link>,
    resolve_after: Duration,
}

/// What is known of a name.
#[derive(Debug, Default)]
struct Entry {
    name: String,
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
    pub(super) fn ask(&mut self, names: SortedSet<&str>, now: Instant) {
        let mut old = std::mem::take(&mut self.entries);
        for name in names {
            let known = old.iter().position(|entry| entry.name == name).map(|place| old.swap_remove(place));
            let mut entry = known.unwrap_or_else(|| Entry { name: name.to_owned(), ..Entry::default() });
            entry.lookup = Some(Lookup::begin(name, now));
            self.entries.push(entry);
        }
    }

    /// Takes in where the names are used.
    pub(super) fn follow(&mut self, site: &Site) {
        self.resolve_after = site.resolve_after;
        let link = |(interface, _, peer): (&IfName, &Name, &Peer)| {
            let inside = site.address_in(&site.tunnels[interface], peer.address);
            let endpoint = peer.endpoint.as_ref()?;
            let Host::Name(host) = &endpoint.host else { return None };
            Some(Link {
                host: host.clone(),
                interface: interface.clone(),
                key: peer.public_key,
                port: endpoint.port,
                inside: (inside, peer.address),
            })
        };
        self.links = site.peers().filter_map(link).collect();
    }

    /// The addresses in use.
    pub(super) fn addresses(&self) -> SortedMap<String, IpAddr> {
        let address = |entry: &Entry| Some((entry.name.clone(), entry.address?));
        self.entries.iter().filter_map(address).collect()
    }

    /// What to poll for input.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.entries.iter().filter_map(|entry| entry.lookup.as_ref()?.descriptor())
    }

    /// When there is something to do though nothing came in.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let due = |entry: &Entry| entry.lookup.as_ref().map(Lookup::deadline).or(entry.due);
        self.entries.iter().filter_map(due).min()
    }

    /// The links of an interface do not work: their names are resolved again.
    pub(super) fn doubt(&mut self, interface: &IfName, now: Instant) {
        for link in self.links.iter().filter(|link| link.interface == *interface) {
            let is_idle = |entry: &&mut Entry| entry.name == link.host && entry.lookup.is_none();
            if let Some(entry) = self.entries.iter_mut().find(is_idle) {
                entry.is_doubted = true;
                entry.lookup = Some(Lookup::begin(&link.host, now));
            }
        }
    }

    /// The network of this host has changed: names that were not found may be found now.
    pub(super) fn try_all(&mut self, now: Instant) {
        for entry in self.entries.iter_mut().filter(|entry| entry.address.is_none()) {
            entry.due = Some(now);
        }
    }

    /// Takes answers, asks again where that is due, and has links that do not work dial another address. Never waits. Whether
    /// a name has got its first address.
    pub(super) fn turn(&mut self, kernel: &mut Linux, now: Instant) -> Result<bool> {
        let mut is_new = false;
        for entry in &mut self.entries {
            let links = self.links.iter().filter(|link| link.host == entry.name).collect();
            let mut look = Look { links, resolve_after: self.resolve_after, kernel, now };
            if entry.lookup.is_none() && entry.due.is_some_and(|due| due <= now) {
                // Also if it cannot be told how the links are doing.
                entry.due = Some(now + self.resolve_after);
                look.after(entry)?;
            }
            let Some(addresses) = entry.lookup.as_mut().and_then(|lookup| lookup.turn(now)) else { continue };
            entry.lookup = None;
            if addresses.is_empty() {
                entry.try_again(now);
            } else if entry.address.is_none() {
                entry.address = addresses.first().copied();
                entry.wait = Duration::ZERO;
                entry.due = Some(now + FIRST_TRY.min(self.resolve_after));
                is_new = true;
            } else {
                look.take(entry, &addresses)?;
            }
        }
        Ok(is_new)
    }
}

impl Entry {
    /// The name was not found.
    fn try_again(&mut self, now: Instant) {
        if self.wait.is_zero() {
            log::warn!("the name {} does not resolve; trying again", self.name);
        }
        self.wait = (self.wait * 2).clamp(RETRY, LONGEST_RETRY);
        self.due = Some(now + self.wait);
    }
}

/// A look at the links that are dialled by one name.
struct Look<'a> {
    links: Vec<&'a Link>,
    resolve_after: Duration,
    kernel: &'a mut Linux,
    now: Instant,
}

impl Look<'_> {
    /// Asks again if there is no address yet, or if a link has had no handshake for long; else waits until that may be.
    fn after(&mut self, entry: &mut Entry) -> Result<()> {
        let mut left = Some(self.resolve_after).filter(|_| entry.address.is_some());
        for link in &self.links {
            let rest = |age: Duration| self.resolve_after.checked_sub(age).filter(|rest| !rest.is_zero());
            left = left.min(link.condition(self.kernel)?.age.and_then(rest));
        }
        match left {
            Some(left) => {
                entry.due = Some(self.now + left);
                entry.wait = Duration::ZERO;
            }
            None => entry.lookup = Some(Lookup::begin(&entry.name, self.now)),
        }
        Ok(())
    }

    /// Has the links that do not work dial the address that is the right one now.
    fn take(&mut self, entry: &mut Entry, addresses: &[IpAddr]) -> Result<()> {
        entry.due = Some(self.now + self.resolve_after);
        let is_doubted = std::mem::take(&mut entry.is_doubted);
        let is_known = entry.address.is_some_and(|address| addresses.contains(&address));
        let mut wait = self.resolve_after;
        let mut silent = Vec::new();
        for link in &self.links {
            let condition = link.condition(self.kernel)?;
            let is_young = condition.age.filter(|age| *age < self.resolve_after);
            // The name may still say what it said, while the other end has reached us from elsewhere: as long as that works
            // it is right.
            if is_doubted || !(is_young.is_some() || is_known && condition.alive) {
                silent.push((*link, condition.tunnel));
            } else if let Some(age) = is_young {
                wait = wait.min(self.resolve_after.saturating_sub(age).max(RETRY));
            }
        }
        let next = next(addresses, entry.address, !silent.is_empty());
        if let Some(address) = next.filter(|_| entry.address != next) {
            log::info!("{} is {address} now", entry.name);
        }
        entry.address = next;
        for (link, tunnel) in silent {
            if let Some(address) = next {
                link.dial(address, &tunnel, self.kernel)?;
            }
            entry.wait = (entry.wait * 2).clamp(FIRST_TRY.min(self.resolve_after), self.resolve_after);
            wait = wait.min(entry.wait);
        }
        entry.due = Some(self.now + wait);
        Ok(())
    }
}

/// Which of a name's addresses to use: the one in use, as long as it works; else the one behind it, which may be of the other
/// family; the first if the one in use is none of them any more.
fn next(addresses: &[IpAddr], current: Option<IpAddr>, is_silent: bool) -> Option<IpAddr> {
    match addresses.iter().position(|address| Some(*address) == current) {
        Some(_) if !is_silent => current,
        Some(place) => addresses.get(place + 1).or(addresses.first()).copied(),
        None => addresses.first().copied(),
    }
}

impl Link {
    fn condition(&self, kernel: &mut Linux) -> Result<Condition> {
        let now = SystemTime::now();
        let Some(link) = kernel.own_tunnels()?.remove(&self.interface) else {
            return Ok(Condition { age: None, alive: false, tunnel: Tunnel::default() });
        };
        let reading = kernel.read_tunnel(&self.interface, &link, now)?;
        let peer = reading.peers.get(&self.key).copied().unwrap_or_default();
        Ok(Condition { age: peer.age(now), alive: peer.alive(now), tunnel: reading.tunnel })
    }

    /// Changes where the peer is dialled, and nothing else of the tunnel.
    fn dial(&self, address: IpAddr, from: &Tunnel, kernel: &mut Linux) -> Result<()> {
        let mut to = from.clone();
        let endpoint = SocketAddr::new(address, self.port);
        match to.peers.get_mut(&self.key) {
            Some(peer) if peer.endpoint != Some(endpoint) => peer.endpoint = Some(endpoint),
            _ => return Ok(()),
        }
        kernel.change_tunnel(&self.interface, from, &to)?;
        Echo::knock(&self.interface, self.inside.0, self.inside.1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_address_is_of_the_name_and_another_one_only_if_need_be() {
        let [one, two, v6] = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|text| text.parse().unwrap());
        let all = [one, two, v6];
        assert_eq!(next(&all, Some(two), false), Some(two));
        assert_eq!(next(&all, Some(two), true), Some(v6), "the other family is tried");
        assert_eq!(next(&all, Some(v6), true), Some(one), "and the first once more");
        assert_eq!(next(&[one], Some(one), true), Some(one));
        assert_eq!(next(&[one], Some(two), false), Some(one), "the name has another address");
    }
}
