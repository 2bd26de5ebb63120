//! Measures what the links to other sites let pass, when they come up and now and then, and says where
//! packets vanish.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use super::Agent;
use super::measurement::{Measurement, Verdict};
use crate::base::net::IfName;
use crate::base::sorted::SortedMap;
use crate::config::model::{Mtu, Name};
use crate::kernel::echo::Echo;
use crate::site::Site;

/// The longest wait for an answer. One that is late counts for nothing, large or small.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time until a link is measured again: paths change, and nobody tells.
const ROUND: Duration = Duration::from_mins(5);

/// Time until a silent link is asked again; twice as long each time, up to the longest.
const FIRST: Duration = Duration::from_secs(4);
const LONGEST: Duration = Duration::from_mins(1);

/// Links that are measured at the same time, at most: each takes an open file.
const AT_ONCE: usize = 4;

/// Bytes of the small echo.
const SMALL: usize = 64;

/// All links to other sites.
#[derive(Debug, Default)]
pub(super) struct Widths {
    links: Vec<Link>,
    /// Widths of tunnels by their interfaces, where measured and less than all.
    narrow: SortedMap<IfName, u32>,
    /// The way out that this was measured by.
    uplink: Option<(IfName, Option<IpAddr>)>,
}

#[derive(Debug)]
struct Link {
    way: Way,
    /// None where the interface, or its address, is not there.
    echo: Option<Echo>,
    measurement: Measurement,
    asked: Option<Question>,
    /// When it is asked next, or is no longer waited for.
    due: Instant,
    /// Time for which a silent one is left alone.
    wait: Duration,
    /// The size that passes, where it is less than all.
    narrow: Option<u32>,
}

#[derive(Debug, PartialEq, Eq)]
struct Way {
    peer: Name,
    interface: IfName,
    from: Ipv4Addr,
    to: Ipv4Addr,
    /// Bytes that the tunnel takes.
    most: u32,
    /// Set where it takes no more than the way does.
    is_measured: bool,
}

/// Numbers of the two echoes, and whether they were answered.
#[derive(Debug)]
struct Question {
    small: (u16, bool),
    large: (u16, bool),
}

impl Widths {
    /// Goes on with what an agent before has measured.
    pub(super) fn begin(&mut self, narrow: SortedMap<IfName, u32>) {
        self.narrow = narrow;
    }

    /// Takes in what links there are now, and has their tunnels be as wide as has been measured. By another
    /// way out, that counts for nothing.
    pub(super) fn follow(&mut self, site: &mut Site, now: Instant) {
        let uplink = site.uplink.as_ref().map(|uplink| (uplink.interface.clone(), uplink.gateway));
        let before = std::mem::replace(&mut self.uplink, uplink);
        if before.is_some() && before != self.uplink {
            self.narrow = SortedMap::new();
        }
        site.narrow(&self.narrow);
        let mut old = std::mem::take(&mut self.links);
        self.links = ways(site)
            .into_iter()
            .map(|way| match old.iter().position(|link| link.way == way) {
                Some(place) => old.swap_remove(place),
                None => Link::new(way, now),
            })
            .collect();
    }

    /// The descriptors to poll for input.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let waiting = self.links.iter().filter(|link| link.asked.is_some());
        waiting.filter_map(|link| link.echo.as_ref()).map(|echo| echo.as_fd())
    }

    /// When to look at them though nothing has come in.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.links.iter().map(|link| link.due).min()
    }

    /// A sentence for each link that swallows packets.
    pub(super) fn complaints(&self) -> impl Iterator<Item = String> {
        self.links.iter().filter_map(|link| Some(link.complaint(link.narrow?)))
    }

    /// Asks, hears, and says what has changed; whether tunnels are to be narrowed.
    fn turn(&mut self, now: Instant) -> bool {
        let mut has_changed = false;
        let mut free = AT_ONCE.saturating_sub(self.links.iter().filter(|link| link.asked.is_some()).count());
        for link in &mut self.links {
            let before = link.narrow;
            if link.asked.is_none() && link.due <= now {
                if free == 0 {
                    link.due = now + PATIENCE;
                    continue;
                }
                free -= 1;
            }
            link.turn(now);
            if before == link.narrow {
                continue;
            }
            match link.narrow {
                Some(width) if link.way.is_measured => {
                    log::info!("{}: it takes no larger ones from now on", link.finding(width));
                    self.narrow.insert(link.way.interface.clone(), width);
                    has_changed = true;
                }
                Some(width) => log::warn!("{}", link.complaint(width)),
                None => log::info!("the way to {} takes whole packets again", link.way.peer),
            }
        }
        has_changed
    }
}

impl Link {
    fn new(way: Way, now: Instant) -> Self {
        let measurement = Measurement::new(way.most);
        Self { way, echo: None, measurement, asked: None, due: now, wait: FIRST, narrow: None }
    }

    fn turn(&mut self, now: Instant) {
        if let Some(question) = &mut self.asked {
            for number in self.echo.as_mut().map(Echo::answers).unwrap_or_default() {
                question.small.1 |= number == question.small.0;
                question.large.1 |= number == question.large.0;
            }
            if !question.large.1 && now < self.due {
                return;
            }
        }
        match self.asked.take() {
            Some(question) => match self.measurement.heard(question.small.1, question.large.1) {
                Some(verdict) => self.conclude(verdict, now),
                None => self.ask(now),
            },
            None if self.due <= now => self.ask(now),
            None => {}
        }
    }

    fn ask(&mut self, now: Instant) {
        let Way { interface, from, to, .. } = &self.way;
        if self.echo.is_none() {
            self.echo = Echo::open(interface, *from, *to).ok();
        }
        let large = usize::try_from(self.measurement.size()).unwrap_or(SMALL);
        let mut asked = None;
        // The interface may have been made anew: then another socket is bound to it the next time.
        self.echo = self.echo.take().and_then(|mut echo| {
            let (small, large) = (echo.ask_in(SMALL).ok()?, echo.ask_in(large).ok()?);
            asked = Some(Question { small: (small, false), large: (large, false) });
            Some(echo)
        });
        self.due = now + PATIENCE;
        if asked.is_none() {
            self.conclude(Verdict::Silent, now);
        }
        self.asked = asked;
    }

    fn conclude(&mut self, verdict: Verdict, now: Instant) {
        self.measurement = Measurement::new(self.way.most);
        // It would hear what others ask.
        self.echo = None;
        let wait = match verdict {
            Verdict::Silent => {
                let longer = (self.wait * 2).min(LONGEST);
                std::mem::replace(&mut self.wait, longer)
            }
            Verdict::Whole | Verdict::Narrow(_) => {
                self.wait = FIRST;
                self.narrow = if let Verdict::Narrow(passes) = verdict { Some(passes) } else { None };
                ROUND
            }
        };
        self.due = now + wait;
    }

    fn finding(&self, width: u32) -> String {
        let Way { peer, interface, most, .. } = &self.way;
        format!(
            "the way to {peer} swallows packets of {most} bytes in {interface} and takes those of {width}"
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

/// The links to other sites. Phones are often asleep, and what a provider answers is its own business.
fn ways(site: &Site) -> Vec<Way> {
    let mut ways = Vec::new();
    for (interface, tunnel) in site.tunnels.iter().filter(|(_, tunnel)| tunnel.provider.is_none()) {
        for (name, peer) in &tunnel.peers {
            if let (IpAddr::V4(from), IpAddr::V4(to)) = (site.address_in(tunnel, peer.address), peer.address)
            {
                let most = site.mtu_of(tunnel);
                let is_measured = site.mtu == Mtu::Measured;
                ways.push(Way {
                    peer: name.clone(),
                    interface: interface.clone(),
                    from,
                    to,
                    most,
                    is_measured,
                });
            }
        }
    }
    ways
}

impl Agent {
    /// Measures the links that are due.
    pub(super) fn look_at_widths(&mut self) {
        if self.widths.turn(Instant::now()) {
            drop(self.attempt("a way is narrower than its tunnel"));
        }
    }
}
