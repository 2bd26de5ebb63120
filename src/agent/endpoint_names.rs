//! Host names of endpoints: looked up at start until a lookup succeeds, and again when a link has had no
//! handshake for long.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant, SystemTime};

use super::dial::dial;
use super::source::{Source, Task, Turn};
use crate::base::error::Result;
use crate::base::moment::{after, doubled, earlier, is_due};
use crate::base::net::{IfName, PublicKey};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::EndpointHost;
use crate::kernel::Kernel;
use crate::site::{PeerEndpoint, Site};
use crate::state::Tunnel;
use crate::system::logging as log;
use crate::system::resolver::Lookup;

/// First wait after a name was not found. It doubles each time up to the longest.
const RETRY: Duration = Duration::from_secs(1);

/// Longest wait after a name was not found.
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// First wait for a handshake with an address that has never answered: three attempts (REKEY_TIMEOUT in
/// WireGuard's paper, § 6.1).
const FIRST_TRY: Duration = Duration::from_secs(15);

/// Host names that this site has to look up.
#[derive(Debug, Default)]
pub(super) struct EndpointNames {
    entries: Vec<EndpointName>,
    links: Vec<LinkByName>,
    resolve_after: Duration,
}

/// Host name, and its state.
#[derive(Debug, Default)]
struct EndpointName {
    name: String,
    /// Address in use.
    address: Option<IpAddr>,
    /// Lookup in progress.
    lookup: Option<Lookup>,
    /// Time of the next lookup, or of the next look at the links to see if a lookup is needed.
    due: Option<Instant>,
    /// Last wait.
    wait: Duration,
    /// Set if probes show that the address does not work.
    is_doubted: bool,
}

/// Link that is dialled by name.
#[derive(Debug)]
struct LinkByName {
    host: String,
    interface: IfName,
    key: PublicKey,
    port: u16,
    /// Addresses inside the tunnel: this site's and the other end's.
    inside: (IpAddr, IpAddr),
}

/// Condition of a link.
struct LinkCondition {
    /// Time since the last handshake; none = there was no handshake.
    age: Option<Duration>,
    alive: bool,
    tunnel: Tunnel,
}

impl EndpointNames {
    /// Takes over the names of a network file, and looks up all of them.
    pub(super) fn ask(&mut self, names: SortedSet<&str>, now: Instant) {
        let mut old = std::mem::take(&mut self.entries);
        for name in names {
            let known = old.iter().position(|entry| entry.name == name).map(|place| old.swap_remove(place));
            let mut entry =
                known.unwrap_or_else(|| EndpointName { name: name.to_owned(), ..EndpointName::default() });
            entry.lookup = Some(Lookup::begin(name, now));
            self.entries.push(entry);
        }
    }

    /// Takes over the links that use the names.
    pub(super) fn follow(&mut self, site: &Site) {
        self.resolve_after = site.agent.resolve_after;
        self.links.clear();
        for (interface, _, peer) in site.peers() {
            let Some(PeerEndpoint { host: EndpointHost::Name(host), port, .. }) = &peer.endpoint else {
                continue;
            };
            self.links.push(LinkByName {
                host: host.clone(),
                interface: interface.clone(),
                key: peer.public_key,
                port: *port,
                inside: (site.address_in(&site.tunnels[interface], peer.address), peer.address),
            });
        }
    }

    /// Returns the addresses in use.
    pub(super) fn addresses(&self) -> SortedMap<String, IpAddr> {
        let mut addresses = SortedMap::new();
        for entry in &self.entries {
            if let Some(address) = entry.address {
                addresses.insert(entry.name.clone(), address);
            }
        }
        addresses
    }

    /// Looks up the names of an interface's links again, because these links do not work.
    pub(super) fn doubt(&mut self, interface: &IfName, now: Instant) {
        for link in self.links.iter().filter(|link| link.interface == *interface) {
            let is_idle = |entry: &&mut EndpointName| entry.name == link.host && entry.lookup.is_none();
            if let Some(entry) = self.entries.iter_mut().find(is_idle) {
                entry.is_doubted = true;
                entry.lookup = Some(Lookup::begin(&link.host, now));
            }
        }
    }

    /// Schedules a lookup of all unknown names for now: the network of this host has changed, and they may be
    /// found.
    pub(super) fn try_all(&mut self, now: Instant) {
        for entry in self.entries.iter_mut().filter(|entry| entry.address.is_none()) {
            entry.due = Some(now);
        }
    }

    /// Takes answers, begins the lookups that are due, and has links that do not work dial another address.
    /// Never waits. Reports whether a name has got its first address.
    pub(super) fn look_up(&mut self, kernel: &mut dyn Kernel, now: Instant) -> Result<bool> {
        let mut is_new = false;
        for entry in &mut self.entries {
            let links = self.links.iter().filter(|link| link.host == entry.name).collect();
            let mut look = LinkReview { links, resolve_after: self.resolve_after, kernel, now };
            if entry.lookup.is_none() && is_due(entry.due, now) {
                // Set even if the condition of the links cannot be read.
                entry.due = Some(after(now, self.resolve_after));
                look.begin_lookup_if_needed(entry)?;
            }
            let Some(addresses) = entry.lookup.as_mut().and_then(|lookup| lookup.turn(now)) else { continue };
            entry.lookup = None;
            if addresses.is_empty() {
                entry.try_again(now);
            } else if entry.address.is_none() {
                entry.address = addresses.first().copied();
                entry.wait = Duration::ZERO;
                entry.due = Some(after(now, FIRST_TRY.min(self.resolve_after)));
                is_new = true;
            } else {
                look.take_addresses(entry, &addresses)?;
            }
        }
        Ok(is_new)
    }
}

impl Source for EndpointNames {
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        for entry in &self.entries {
            all.extend(entry.lookup.as_ref().and_then(Lookup::descriptor));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let mut next = None;
        for entry in &self.entries {
            next = earlier(next, entry.lookup.as_ref().map(Lookup::deadline).or(entry.due));
        }
        next
    }

    /// Looks names up. A first address lets the links of a name be dialled.
    fn turn(&mut self, turn: Turn) -> Result<Task> {
        Ok(match self.look_up(turn.kernel, turn.now) {
            Ok(true) => Task::Reconcile("a host name was found"),
            Ok(false) => Task::Nothing,
            Err(error) => {
                log::error!("{error}");
                Task::Nothing
            }
        })
    }
}

impl EndpointName {
    /// Schedules another lookup of a name that was not found.
    fn try_again(&mut self, now: Instant) {
        // At a start, the network and its name servers may be a moment away.
        if self.wait == RETRY * 2 {
            log::warn!(
                "the name {} does not resolve: its link waits until it does, or until the other end dials",
                self.name
            );
        }
        self.wait = doubled(self.wait, RETRY, LONGEST_RETRY);
        self.due = Some(after(now, self.wait));
    }
}

/// Look at the links that are dialled by one name.
struct LinkReview<'a> {
    links: Vec<&'a LinkByName>,
    resolve_after: Duration,
    kernel: &'a mut dyn Kernel,
    now: Instant,
}

impl LinkReview<'_> {
    /// Begins a lookup if the name has no address yet, or if a link has had no handshake for long. Otherwise
    /// waits until a link may have had none for long.
    fn begin_lookup_if_needed(&mut self, entry: &mut EndpointName) -> Result<()> {
        let mut left = Some(self.resolve_after).filter(|_| entry.address.is_some());
        for link in &self.links {
            let rest = |age: Duration| self.resolve_after.checked_sub(age).filter(|rest| !rest.is_zero());
            left = left.min(link.condition(self.kernel)?.age.and_then(rest));
        }
        match left {
            Some(left) => {
                entry.due = Some(after(self.now, left));
                entry.wait = Duration::ZERO;
            }
            None => entry.lookup = Some(Lookup::begin(&entry.name, self.now)),
        }
        Ok(())
    }

    /// Makes the links that do not work dial an address of the name.
    fn take_addresses(&mut self, entry: &mut EndpointName, addresses: &[IpAddr]) -> Result<()> {
        entry.due = Some(after(self.now, self.resolve_after));
        let is_doubted = std::mem::take(&mut entry.is_doubted);
        let is_known = entry.address.is_some_and(|address| addresses.contains(&address));
        let mut wait = self.resolve_after;
        let mut silent = Vec::new();
        for link in &self.links {
            let condition = link.condition(self.kernel)?;
            let is_young = condition.age.filter(|age| *age < self.resolve_after);
            // The name may still have the old address while the other end has reached this site from another
            // one: as long as the link works, its endpoint is right.
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
                link.dial(address, tunnel, self.kernel)?;
            }
            entry.wait = doubled(entry.wait, FIRST_TRY.min(self.resolve_after), self.resolve_after);
            wait = wait.min(entry.wait);
        }
        entry.due = Some(after(self.now, wait));
        Ok(())
    }
}

/// Chooses among the addresses of a name: the address in use, as long as it works; otherwise the next one in
/// the list, which may be of the other family; the first one if the address in use is no longer in the list.
fn next(addresses: &[IpAddr], current: Option<IpAddr>, is_silent: bool) -> Option<IpAddr> {
    match addresses.iter().position(|address| Some(*address) == current) {
        Some(_) if !is_silent => current,
        Some(place) => addresses.get(place + 1).or(addresses.first()).copied(),
        None => addresses.first().copied(),
    }
}

impl LinkByName {
    fn condition(&self, kernel: &mut dyn Kernel) -> Result<LinkCondition> {
        let reading = kernel.own_tunnel(&self.interface)?.unwrap_or_default();
        let now = SystemTime::now();
        let peer = reading.peers.get(&self.key).copied().unwrap_or_default();
        Ok(LinkCondition { age: peer.age(now), alive: peer.alive(now), tunnel: reading.tunnel })
    }

    /// Changes the endpoint of the peer, and nothing else of the tunnel.
    fn dial(&self, address: IpAddr, tunnel: Tunnel, kernel: &mut dyn Kernel) -> Result<()> {
        let endpoint = SocketAddr::new(address, self.port);
        if tunnel.peers.get(&self.key).is_none_or(|peer| peer.endpoint == Some(endpoint)) {
            return Ok(());
        }
        dial(kernel, &self.interface, tunnel, self.key, (endpoint, true))?;
        kernel.knock(&self.interface, self.inside.0, self.inside.1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_changes_only_if_needed_and_only_to_one_of_the_name() {
        let [one, two, v6] = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|text| text.parse().unwrap());
        let all = [one, two, v6];
        assert_eq!(next(&all, Some(two), false), Some(two));
        assert_eq!(next(&all, Some(two), true), Some(v6), "the other family is tried");
        assert_eq!(next(&all, Some(v6), true), Some(one), "and then the first again");
        assert_eq!(next(&[one], Some(one), true), Some(one));
        assert_eq!(next(&[one], Some(two), false), Some(one), "the name has another address");
    }
}
