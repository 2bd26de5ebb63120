//! Path MTU of the links to other sites: measured when a link comes up and every few minutes. Packets that
//! vanish are logged.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::source::{Source, Task, Turn};
use crate::base::error::Result;
use crate::base::moment::{after, doubled, earlier};
use crate::base::net::IfName;
use crate::base::sorted::SortedMap;
use crate::config::model::{Mtu, Name};
use crate::engine::mtu_search::{MtuSearch, MtuVerdict};
use crate::kernel::Kernel;
use crate::kernel::echo::EchoPath;
use crate::kernel::sockets::EchoSocket;
use crate::site::Site;
use crate::system::logging as log;

/// Longest wait for an answer. A late answer, to the small echo or the large one, does not count.
const ECHO_TIMEOUT: Duration = Duration::from_secs(1);

/// Time until a link is measured again: paths change without notice.
const ROUND: Duration = Duration::from_mins(5);

/// First wait before a silent link is measured again. It doubles each time up to the longest.
const FIRST: Duration = Duration::from_secs(4);

/// Longest wait before a silent link is measured again.
const LONGEST: Duration = Duration::from_mins(1);

/// Most links that are measured at the same time: each takes an open file.
const AT_ONCE: usize = 4;

/// Size of the small echo in bytes.
const SMALL: usize = 64;

/// Links to other sites, and the path MTUs that were measured.
#[derive(Debug, Default)]
pub(super) struct PathMtus {
    links: Vec<MeasuredLink>,
    /// Measured MTUs of tunnels by interface, where less than the tunnel's largest.
    narrow: SortedMap<IfName, u32>,
    /// Set if the MTU of tunnels follows the measurements (`mtu = "auto"`).
    is_followed: bool,
    /// Uplink and gateway that the measurements went through.
    uplink: Option<(IfName, Option<IpAddr>)>,
}

#[derive(Debug)]
struct MeasuredLink {
    path: LinkPath,
    /// Socket for echoes; none if the interface or its address does not exist.
    echo: Option<Box<dyn EchoSocket>>,
    measurement: MtuSearch,
    asked: Option<Echoes>,
    /// Time of the next pair of echoes, or end of the wait for the answers.
    due: Instant,
    /// Wait before the next measurement if the link is silent.
    wait: Duration,
    /// Largest packet that passes in bytes, where less than the tunnel's MTU.
    narrow: Option<u32>,
}

#[derive(Debug, PartialEq, Eq)]
struct LinkPath {
    peer: Name,
    echo: EchoPath,
    /// MTU of the tunnel in bytes.
    most: u32,
}

/// Pair of echoes, a small one and a large one: their sequence numbers, and whether each was answered.
#[derive(Debug)]
struct Echoes {
    numbers: [u16; 2],
    answered: [bool; 2],
}

impl PathMtus {
    /// Begins with the path MTUs that an earlier agent has measured.
    pub(super) fn begin(&mut self, narrow: SortedMap<IfName, u32>) {
        self.narrow = narrow;
    }

    /// Takes over the links of the site, and sets the MTU of its tunnels to the measured one. Measurements
    /// through another uplink do not count.
    pub(super) fn follow(&mut self, site: &mut Site, now: Instant) {
        let uplink = site.host.uplink.as_ref().map(|uplink| (uplink.interface.clone(), uplink.gateway));
        let before = std::mem::replace(&mut self.uplink, uplink);
        if before.is_some() && before != self.uplink {
            self.narrow = SortedMap::new();
        }
        site.narrow(&self.narrow);
        self.is_followed = site.mtu == Mtu::Measured;
        let mut old = std::mem::take(&mut self.links);
        for path in paths(site) {
            let place = old.iter().position(|link| link.path == path);
            self.links.push(match place {
                Some(place) => old.swap_remove(place),
                None => MeasuredLink::new(path, now),
            });
        }
    }

    /// Returns a sentence for each link that swallows packets.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for link in &self.links {
            complaints.extend(link.narrow.map(|width| link.complaint(width)));
        }
        complaints
    }

    /// Sends echoes, takes answers, and logs changes. Reports whether the MTU of a tunnel must become
    /// smaller.
    fn measure(&mut self, kernel: &mut dyn Kernel, now: Instant) -> bool {
        let mut has_changed = false;
        let mut free = AT_ONCE.saturating_sub(self.links.iter().filter(|link| link.asked.is_some()).count());
        for link in &mut self.links {
            let before = link.narrow;
            if link.asked.is_none() && link.due <= now {
                if free == 0 {
                    link.due = after(now, ECHO_TIMEOUT);
                    continue;
                }
                free -= 1;
            }
            link.measure(kernel, now);
            if before == link.narrow {
                continue;
            }
            match link.narrow {
                Some(width) if self.is_followed => {
                    log::info!("{}: it takes no larger ones from now on", link.finding(width));
                    self.narrow.insert(link.path.echo.interface.clone(), width);
                    has_changed = true;
                }
                Some(width) => log::warn!("{}", link.complaint(width)),
                None => log::info!("the path to {} takes packets of every size again", link.path.peer),
            }
        }
        has_changed
    }
}

impl Source for PathMtus {
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        for link in self.links.iter().filter(|link| link.asked.is_some()) {
            all.extend(link.echo.as_ref().map(|echo| echo.descriptor()));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let mut next = None;
        for link in &self.links {
            next = earlier(next, Some(link.due));
        }
        next
    }

    fn turn(&mut self, turn: Turn) -> Result<Task> {
        let is_narrower = self.measure(turn.kernel, turn.now);
        Ok(if is_narrower { Task::Reconcile("a path is narrower than its tunnel") } else { Task::Nothing })
    }
}

impl MeasuredLink {
    fn new(path: LinkPath, now: Instant) -> Self {
        let measurement = MtuSearch::new(path.most);
        Self { path, echo: None, measurement, asked: None, due: now, wait: FIRST, narrow: None }
    }

    fn measure(&mut self, kernel: &mut dyn Kernel, now: Instant) {
        if let Some(echoes) = &mut self.asked {
            for number in self.echo.as_mut().map(|echo| echo.answers()).unwrap_or_default() {
                for (asked, answered) in echoes.numbers.iter().zip(&mut echoes.answered) {
                    *answered |= number == *asked;
                }
            }
            if !echoes.answered[1] && now < self.due {
                return;
            }
        }
        match self.asked.take() {
            Some(echoes) => match self.measurement.heard(echoes.answered[0], echoes.answered[1]) {
                Some(verdict) => self.conclude(verdict, now),
                None => self.ask(kernel, now),
            },
            None if self.due <= now => self.ask(kernel, now),
            None => {}
        }
    }

    fn ask(&mut self, kernel: &mut dyn Kernel, now: Instant) {
        if self.echo.is_none() {
            self.echo = kernel.echo_socket(&self.path.echo).ok();
        }
        let large = usize::try_from(self.measurement.size()).unwrap_or(SMALL);
        let mut asked = None;
        if let Some(echo) = &mut self.echo
            && let Ok(small) = echo.ask_in(SMALL)
            && let Ok(large) = echo.ask_in(large)
        {
            asked = Some(Echoes { numbers: [small, large], answered: [false; 2] });
        }
        self.due = after(now, ECHO_TIMEOUT);
        if asked.is_none() {
            // The interface may have been made anew: the next pair goes through a new socket.
            self.conclude(MtuVerdict::Silent, now);
        }
        self.asked = asked;
    }

    fn conclude(&mut self, verdict: MtuVerdict, now: Instant) {
        self.measurement = MtuSearch::new(self.path.most);
        // The socket would receive answers to the echoes of other programs.
        self.echo = None;
        let wait = match verdict {
            MtuVerdict::Silent => {
                let longer = doubled(self.wait, FIRST, LONGEST);
                std::mem::replace(&mut self.wait, longer)
            }
            MtuVerdict::Whole | MtuVerdict::Narrow(_) => {
                self.wait = FIRST;
                self.narrow = if let MtuVerdict::Narrow(passes) = verdict { Some(passes) } else { None };
                ROUND
            }
        };
        self.due = after(now, wait);
    }

    fn finding(&self, width: u32) -> String {
        let LinkPath { peer, echo, most } = &self.path;
        let interface = &echo.interface;
        format!(
            "the path to {peer} swallows packets of {most} bytes in {interface} and takes those of {width}"
        )
    }

    fn complaint(&self, width: u32) -> String {
        format!(
            "{}, so that transfers hang: set `mtu = {width}` or `mtu = \"auto\"` under [network] at all \
             sites",
            self.finding(width)
        )
    }
}

/// Returns the links to other sites. Phones are left out because they are often asleep, and providers because
/// they need not answer echoes.
fn paths(site: &Site) -> Vec<LinkPath> {
    let mut paths = Vec::new();
    for (interface, tunnel) in site.tunnels.iter().filter(|(_, tunnel)| tunnel.provider.is_none()) {
        for (name, peer) in &tunnel.peers {
            if peer.address.is_ipv4() {
                let (from, to) = (site.address_in(tunnel, peer.address), peer.address);
                let echo = EchoPath { interface: interface.clone(), from, to, mark: None };
                paths.push(LinkPath { peer: name.clone(), echo, most: site.mtu_of(tunnel) });
            }
        }
    }
    paths
}
