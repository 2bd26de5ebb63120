//! The exits of portals that have several: asks them all the time whether they are up, and chooses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant, SystemTime};

use super::health::{Health, Standing, choose, interval};
use crate::base::error::{Error, Result};
use crate::base::net::IfName;
use crate::config::model::{Failover, Name};
use crate::control::Known;
use crate::engine::status::PortalState;
use crate::kernel::echo::Echo;
use crate::kernel::linux::Linux;
use crate::site::{Choices, Exit, Portal, Site};

/// Why a portal leaves where a person wants it to.
const BY_HAND: &str = "chosen by hand";

/// All exits that are in a list of several, and what their portals make of them.
#[derive(Debug, Default)]
pub(super) struct Exits {
    times: Option<Failover>,
    /// Portals with several exits, in the order of the file.
    lists: Vec<List>,
    probes: Vec<Probe>,
}

/// A portal has moved to another exit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    /// Name of the portal.
    pub(super) portal: Name,
    /// Where it left before.
    pub(super) from: Exit,
    /// Where it leaves now.
    pub(super) to: Exit,
    /// What has come of it, in the word of `portals status`.
    pub(super) state: PortalState,
    /// In words.
    pub(super) why: String,
}

/// A portal with several exits.
#[derive(Debug)]
struct List {
    portal: Name,
    exits: Vec<Exit>,
    /// Where it leaves now.
    chosen: Exit,
    /// Since when, and why.
    since: Instant,
    why: String,
    /// Where a person wants it to leave.
    by_hand: Option<Exit>,
}

#[derive(Debug)]
struct Probe {
    way: Way,
    /// When it is asked the next time.
    next: Instant,
    /// Bytes that have come from it, where that is the answer.
    received: Option<u64>,
    /// None where the interface, or its address, is not there.
    echo: Option<Echo>,
    health: Health,
}

/// How an exit is asked.
#[derive(Debug, PartialEq, Eq)]
struct Way {
    /// Its name.
    exit: Name,
    interface: IfName,
    from: Ipv4Addr,
    to: Ipv4Addr,
    /// Not the other end is asked, but somebody on the internet behind it.
    is_beyond: bool,
    /// A provider need not answer a ping. But its WireGuard answers whatever it gets, with a keepalive if nothing else, after
    /// 10 s at most (KEEPALIVE_TIMEOUT in WireGuard's paper, § 6.5): so what counts is that bytes come in.
    is_provider: bool,
}

/// The shortest silence of a provider that tells something: two keepalives that are lost.
const PROVIDERS_SILENCE: Duration = Duration::from_secs(25);

impl Exits {
    /// Begins with the choices that stand: what is ahead of them was down, as far as is known.
    pub(super) fn begin(&mut self, site: &Site, standing: &Choices) {
        self.take_in(site, standing);
        for probe in &mut self.probes {
            let is_it = |exit: &Exit| matches!(exit, Exit::Tunnel { name, .. } if *name == probe.way.exit);
            let is_ahead =
                |list: &List| list.exits.iter().take_while(|exit| **exit != list.chosen).any(is_it);
            if self.lists.iter().any(is_ahead) && !self.lists.iter().any(|list| is_it(&list.chosen)) {
                probe.health = Health::new(probe.way.times(site.failover), true);
            }
        }
    }

    /// Takes in what the file says now, and has the portals of the site leave where they do; those that move by that.
    pub(super) fn follow(&mut self, site: &mut Site) -> Vec<Move> {
        let choices = self.choices();
        self.take_in(site, &choices);
        let moves = self.decide(Instant::now());
        site.choose(&self.choices());
        moves
    }

    fn choices(&self) -> Choices {
        self.lists.iter().map(|list| (list.portal.clone(), list.chosen.clone())).collect()
    }

    fn take_in(&mut self, site: &Site, choices: &Choices) {
        let mut lists = std::mem::take(&mut self.lists);
        let list = |portal: &Portal| {
            let chosen = portal.chosen(choices).clone();
            let known = lists.iter().position(|list| list.portal == portal.name && list.chosen == chosen);
            List {
                exits: portal.exits.clone(),
                ..known.map_or_else(|| List::new(portal, chosen), |place| lists.swap_remove(place))
            }
        };
        self.lists = site.portals.iter().filter(|portal| portal.can_fail_over()).map(list).collect();
        let mut old = std::mem::take(&mut self.probes);
        for exit in self.lists.iter().flat_map(|list| &list.exits) {
            for way in ways(site, exit) {
                if self.probes.iter().any(|probe| probe.way == way) {
                    continue;
                }
                let known = old.iter().position(|probe| probe.way == way).map(|place| old.swap_remove(place));
                self.probes.push(known.unwrap_or_else(|| Probe::new(way, site.failover)));
            }
        }
        for probe in &mut self.probes {
            probe.health.set_times(probe.way.times(site.failover));
        }
        self.times = Some(site.failover);
    }

    /// What to poll for input.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.probes.iter().filter_map(|probe| Some(probe.echo.as_ref()?.as_fd()))
    }

    /// When there is something to do though nothing came in.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let verdicts = self.probes.iter().filter_map(|probe| probe.health.verdict_due());
        self.probes.iter().map(|probe| probe.next).chain(verdicts).min()
    }

    /// Takes the answers, judges silence, and asks again when that is due: never waits. The interfaces of exits that have just gone down.
    pub(super) fn turn(&mut self, kernel: &mut Linux, now: Instant) -> Vec<IfName> {
        let mut lost = Vec::new();
        for probe in &mut self.probes {
            let before = probe.health.standing();
            let is_due = probe.next <= now;
            if is_due {
                probe.count(kernel, now);
            }
            probe.hear(now);
            if before != Standing::Down && probe.health.standing() == Standing::Down {
                lost.push(probe.way.interface.clone());
            }
            if is_due {
                probe.ask(now);
            }
        }
        lost
    }

    /// Chooses anew, by what is known now; the portals that move.
    pub(super) fn decide(&mut self, now: Instant) -> Vec<Move> {
        let mut moves = Vec::new();
        let up_after = self.times.map_or(0, |times| times.up_after.as_secs());
        for list in &mut self.lists {
            let best = || choose(&list.exits, &list.chosen, |name| standing(&self.probes, name));
            let to =
                list.by_hand.as_ref().filter(|exit| list.exits.contains(exit)).unwrap_or_else(best).clone();
            if list.chosen != to {
                let why = list.reason(&to, up_after, &self.probes);
                let from = std::mem::replace(&mut list.chosen, to.clone());
                (list.since, list.why) = (now, why.clone());
                let state = PortalState::of(&to, &list.exits);
                moves.push(Move { portal: list.portal.clone(), from, to, state, why });
            }
        }
        moves
    }

    /// Has a portal leave at an exit of its list, whether that answers or not; or lets it go again.
    pub(super) fn choose_by_hand(&mut self, portal: &str, exit: Option<&str>) -> Result<()> {
        let names: Vec<&str> = self.lists.iter().map(|list| list.portal.as_str()).collect();
        let names = names.join(", ");
        let Some(list) = self.lists.iter_mut().find(|list| list.portal == portal) else {
            return Err(Error::wrong(if names.is_empty() {
                "no portal of this site has a list of exits to choose from".to_owned()
            } else {
                format!("no portal `{portal}` here has several exits; those that have: {names}")
            }));
        };
        let by_hand = exit.map(|name| list.exit(name)).transpose()?;
        (list.since, list.why) = match &by_hand {
            Some(_) => (Instant::now(), BY_HAND.to_owned()),
            None => (Instant::now(), "it is the first that is up".to_owned()),
        };
        list.by_hand = by_hand;
        Ok(())
    }

    /// What was chosen by hand counts no more.
    pub(super) fn let_go(&mut self) {
        for list in &mut self.lists {
            list.by_hand = None;
        }
    }

    /// What is known of the portals that have several exits, and of those exits.
    pub(super) fn tell(&self, now: Instant) -> (Vec<Known>, Vec<Known>) {
        let portal = |list: &List| Known {
            name: list.portal.clone(),
            since: now.duration_since(list.since).as_secs(),
            words: list.why.clone(),
        };
        let exit = |probe: &Probe| Known {
            name: probe.way.exit.clone(),
            since: now.duration_since(probe.health.since()).as_secs(),
            words: probe.health.standing().as_str().to_owned(),
        };
        let exits = self.probes.iter().filter(|probe| !probe.way.is_beyond);
        let exits = exits.filter_map(|probe| decisive(&self.probes, &probe.way.exit)).map(exit);
        (self.lists.iter().map(portal).collect(), exits.collect())
    }
}

impl List {
    fn new(portal: &Portal, chosen: Exit) -> Self {
        Self {
            portal: portal.name.clone(),
            exits: portal.exits.clone(),
            chosen,
            since: Instant::now(),
            why: "it began there".to_owned(),
            by_hand: None,
        }
    }

    /// The exit of that name.
    fn exit(&self, name: &str) -> Result<Exit> {
        self.exits.iter().find(|exit| exit.to_string() == name).cloned().ok_or_else(|| {
            let names: Vec<String> = self.exits.iter().map(ToString::to_string).collect();
            let (portal, names) = (&self.portal, names.join(", "));
            Error::wrong(format!("`{name}` is no exit of portal `{portal}`: choose one of {names}, or auto"))
        })
    }

    /// Why it moves to another exit.
    fn reason(&self, to: &Exit, up_after: u64, probes: &[Probe]) -> String {
        let is_down = |probe: &&Probe| {
            self.chosen.to_string() == probe.way.exit && probe.health.standing() == Standing::Down
        };
        match probes.iter().find(is_down) {
            _ if self.by_hand.as_ref() == Some(to) => BY_HAND.to_owned(),
            Some(Probe { way, health, .. }) => {
                let silence = health.times().down_after.as_secs();
                match way {
                    Way { is_beyond: true, to, exit, .. } => {
                        format!("{to} does not answer through {exit} for {silence} s")
                    }
                    Way { exit, .. } => format!("{exit} does not answer for {silence} s"),
                }
            }
            None => format!("{to} has answered for {up_after} s"),
        }
    }
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { portal, to, why, .. } = self;
        write!(f, "portal {portal}: {why}; ")?;
        match to {
            Exit::Tunnel { .. } => write!(f, "now through {to}"),
            Exit::Direct => f.write_str("now by this site's own uplink"),
            Exit::Nowhere => f.write_str("no other exit is left: blocked"),
        }
    }
}

fn standing(probes: &[Probe], exit: &str) -> Standing {
    decisive(probes, exit).map_or(Standing::Unproven, |probe| probe.health.standing())
}

/// The question through an exit that decides what it is taken for: all must be answered.
fn decisive<'a>(probes: &'a [Probe], exit: &str) -> Option<&'a Probe> {
    let of_exit = probes.iter().filter(|probe| probe.way.exit == exit);
    of_exit.max_by_key(|probe| match probe.health.standing() {
        Standing::Up => 0,
        Standing::Unproven => 1,
        Standing::Down => 2,
    })
}

impl Way {
    /// How long it may be silent, and has to hold.
    fn times(&self, times: Failover) -> Failover {
        let least = if self.is_provider { PROVIDERS_SILENCE } else { Duration::ZERO };
        Failover { down_after: times.down_after.max(least), ..times }
    }
}

impl Probe {
    fn new(way: Way, times: Failover) -> Self {
        let health = Health::new(way.times(times), false);
        Self { way, next: Instant::now(), received: None, echo: None, health }
    }

    /// Whether more has come from a provider than had when it was asked the last time.
    fn count(&mut self, kernel: &mut Linux, now: Instant) {
        if self.way.is_provider {
            let received = received(kernel, &self.way.interface).ok();
            if self.received.is_some_and(|before| received.is_some_and(|received| received > before)) {
                self.health.answered(now);
            }
            self.received = received;
        }
    }

    fn hear(&mut self, now: Instant) {
        if self.echo.as_mut().is_some_and(Echo::is_answered) {
            self.health.answered(now);
        }
        self.health.judge(now);
    }

    /// What cannot be sent is a question without an answer, too.
    fn ask(&mut self, now: Instant) {
        let Way { interface, from, to, .. } = &self.way;
        if self.echo.is_none() {
            self.echo = Echo::open(interface, *from, *to).ok();
        }
        // The interface may have been made anew: then another socket is bound to it the next time.
        self.echo = self.echo.take().and_then(|mut echo| echo.ask().is_ok().then_some(echo));
        self.health.asked(now);
        self.next = now + interval(self.health.times());
    }
}

/// Bytes that have come out of a tunnel, from all who are at its other end.
fn received(kernel: &mut Linux, interface: &IfName) -> Result<u64> {
    let Some(link) = kernel.own_tunnels()?.remove(interface) else { return Ok(0) };
    let peers = kernel.read_tunnel(interface, &link, SystemTime::now())?.peers;
    Ok(peers.values().map(|peer| peer.received).sum())
}

/// How an exit is asked, if it has a tunnel.
fn ways(site: &Site, exit: &Exit) -> Vec<Way> {
    let Exit::Tunnel { name, interface, .. } = exit else { return Vec::new() };
    let Some(tunnel) = site.tunnels.get(interface) else { return Vec::new() };
    let Some(IpAddr::V4(other_end)) = tunnel.peers.get(name).map(|peer| peer.address) else {
        return Vec::new();
    };
    let is_provider = tunnel.provider.is_some();
    let asked = |(to, is_beyond): (Ipv4Addr, bool)| {
        let IpAddr::V4(from) = site.address_in(tunnel, to.into()) else { return None };
        Some(Way {
            exit: name.clone(),
            interface: interface.clone(),
            from,
            to,
            is_beyond,
            is_provider: is_provider && !is_beyond,
        })
    };
    let beyond = site.probes.iter().filter(|probe| probe.interface == *interface);
    let targets = [(other_end, false)].into_iter().chain(beyond.map(|probe| (probe.target, true)));
    targets.filter_map(asked).collect()
}
