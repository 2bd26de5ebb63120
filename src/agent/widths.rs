//! Measures what the links to other sites let pass, when they come up and now and then, and says where packets vanish.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use super::Agent;
use super::measurement::{Measurement, Verdict};
use crate::config::model::Name;
use crate::kernel::echo::Echo;
use crate::net::IfName;
use crate::site::Site;

/// How long an answer may take. One that is late counts for nothing, large or small.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a link is measured again: paths change, and nobody tells.
const ROUND: Duration = Duration::from_mins(5);

/// How soon a link that does not answer is asked again; twice as long each time, up to the longest.
const FIRST: Duration = Duration::from_secs(4);
const LONGEST: Duration = Duration::from_mins(1);

/// How many links are measured at the same time: each takes an open file.
const AT_ONCE: usize = 4;

/// Bytes of the small echo.
const SMALL: usize = 64;

/// All links to other sites.
#[derive(Debug, Default)]
pub(super) struct Widths(Vec<Link>);

#[derive(Debug)]
struct Link {
    way: Way,
    /// None where the interface, or its address, is not there.
    echo: Option<Echo>,
    measurement: Measurement,
    asked: Option<Question>,
    /// When it is asked next, or is no longer waited for.
    due: Instant,
    /// How long a silent one is left alone.
    wait: Duration,
    /// What passes, where it is less than all.
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
}

/// Numbers of the two echoes, and whether they were answered.
#[derive(Debug)]
struct Question {
    small: (u16, bool),
    large: (u16, bool),
}

impl Widths {
    /// Takes in what links there are now.
    pub(super) fn follow(&mut self, site: &Site, now: Instant) {
        let mut old = std::mem::take(&mut self.0);
        self.0 = ways(site)
            .into_iter()
            .map(|way| match old.iter().position(|link| link.way == way) {
                Some(place) => old.swap_remove(place),
                None => Link::new(way, now),
            })
            .collect();
    }

    /// What to poll for input.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let waiting = self.0.iter().filter(|link| link.asked.is_some());
        waiting.filter_map(|link| link.echo.as_ref()).map(|echo| echo.as_fd())
    }

    /// When to look at them though nothing has come in.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.iter().map(|link| link.due).min()
    }

    /// A sentence for each link that swallows packets.
    pub(super) fn complaints(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter_map(Link::complaint)
    }

    /// Asks, hears, and says what has changed.
    fn turn(&mut self, now: Instant) {
        let mut free = AT_ONCE.saturating_sub(self.0.iter().filter(|link| link.asked.is_some()).count());
        for link in &mut self.0 {
            let before = link.narrow;
            if link.asked.is_none() && link.due <= now {
                if free == 0 {
                    link.due = now + PATIENCE;
                    continue;
                }
                free -= 1;
            }
            link.turn(now);
            match link.complaint() {
                complaint if before == link.narrow => drop(complaint),
                Some(complaint) => log::warn!("{complaint}"),
                None => log::info!("the way to {} takes whole packets again", link.way.peer),
            }
        }
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

    fn complaint(&self) -> Option<String> {
        let Way { peer, interface, most, .. } = &self.way;
        let passes = self.narrow?;
        Some(format!(
            "the way to {peer} swallows packets of {most} bytes in {interface} and takes those of {passes}, so that transfers hang: \
             set `mtu = {passes}` under [network] at all sites"
        ))
    }
}

/// The links to other sites. Phones are often asleep, and what a provider answers is its own business.
fn ways(site: &Site) -> Vec<Way> {
    let mut ways = Vec::new();
    for (interface, tunnel) in site.tunnels.iter().filter(|(_, tunnel)| tunnel.provider.is_none()) {
        for (name, peer) in &tunnel.peers {
            if let (IpAddr::V4(from), IpAddr::V4(to)) = (site.address_in(tunnel), peer.address) {
                let most = site.mtu_of(tunnel);
                ways.push(Way { peer: name.clone(), interface: interface.clone(), from, to, most });
            }
        }
    }
    ways
}

impl Agent {
    /// Measures the links that are due.
    pub(super) fn look_at_widths(&mut self) {
        self.widths.turn(Instant::now());
    }
}
