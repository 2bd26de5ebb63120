//! The exits of portals that have several: asks them all the time whether they are up, and chooses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Instant;

use super::health::{Health, Standing, choose, interval};
use crate::config::model::{Failover, Name};
use crate::kernel::echo::Echo;
use crate::net::IfName;
use crate::site::{Choices, Exit, Portal, Site};
use crate::status::PortalState;

/// All exits that are in a list of several, and what their portals make of them.
#[derive(Debug, Default)]
pub(super) struct Exits {
    times: Option<Failover>,
    lists: BTreeMap<Name, Vec<Exit>>,
    choices: Choices,
    probes: BTreeMap<Name, Probe>,
    /// When they are asked the next time.
    next: Option<Instant>,
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
}

#[derive(Debug)]
struct Probe {
    way: Way,
    /// None where the interface, or its address, is not there.
    echo: Option<Echo>,
    health: Health,
}

/// How an exit is asked.
#[derive(Debug, PartialEq, Eq)]
struct Way {
    interface: IfName,
    from: Ipv4Addr,
    to: Ipv4Addr,
}

impl Exits {
    /// Begins with the choices that stand: what is ahead of them was down, as far as is known.
    pub(super) fn begin(&mut self, site: &Site, standing: Choices) {
        let ahead = |portal: &Portal| {
            let chosen = standing.get(&portal.name)?;
            let ahead = portal.exits.iter().take_while(|exit| *exit != chosen);
            Some(ahead.map(ToString::to_string).collect::<Vec<_>>())
        };
        let was_down: BTreeSet<Name> = site.portals.iter().filter_map(ahead).flatten().collect();
        let in_use: BTreeSet<Name> = standing.values().map(ToString::to_string).collect();
        self.choices = standing;
        self.follow_with(site, |name| was_down.contains(name) && !in_use.contains(name));
    }

    /// Takes in what the file says now, and has the portals of the site leave where they do.
    pub(super) fn follow(&mut self, site: &mut Site) {
        self.follow_with(site, |_| false);
        self.decide();
        site.choose(&self.choices);
    }

    fn follow_with(&mut self, site: &Site, was_down: impl Fn(&str) -> bool) {
        let several = site.portals.iter().filter(|portal| portal.can_fail_over());
        self.lists = several.map(|portal| (portal.name.clone(), portal.exits.clone())).collect();
        self.choices.retain(|portal, _| self.lists.contains_key(portal));
        let mut old = std::mem::take(&mut self.probes);
        for (name, way) in ways(site, self.lists.values().flatten()) {
            let probe = match old.remove(&name) {
                Some(probe) if probe.way == way => probe,
                _ => {
                    let health = Health::new(site.failover, was_down(&name));
                    Probe { way, echo: None, health }
                }
            };
            self.probes.insert(name, probe);
        }
        self.probes.values_mut().for_each(|probe| probe.health.set_times(site.failover));
        self.times = Some(site.failover);
        self.next = match self.next {
            _ if self.probes.is_empty() => None,
            None => Some(Instant::now()),
            next => next,
        };
    }

    /// What to poll for input.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.probes.values().filter_map(|probe| Some(probe.echo.as_ref()?.as_fd()))
    }

    /// When there is something to do though nothing came in.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let verdicts = self.probes.values().filter_map(|probe| probe.health.verdict_due());
        self.next.into_iter().chain(verdicts).min()
    }

    /// Takes the answers, judges silence, and asks again when that is due: never waits. The exits that have just gone down.
    pub(super) fn turn(&mut self, now: Instant) -> Vec<Name> {
        let mut lost = Vec::new();
        for (name, probe) in &mut self.probes {
            let before = probe.health.standing();
            probe.hear(now);
            if before != Standing::Down && probe.health.standing() == Standing::Down {
                lost.push(name.clone());
            }
        }
        if let Some(times) = self.times.filter(|_| self.next.is_some_and(|next| next <= now)) {
            self.probes.values_mut().for_each(|probe| probe.ask(now));
            self.next = Some(now + interval(times));
        }
        lost
    }

    /// Chooses anew, by what is known now; the portals that move.
    pub(super) fn decide(&mut self) -> Vec<Move> {
        let mut moves = Vec::new();
        for (portal, exits) in &self.lists {
            let from = self.choices.get(portal).unwrap_or(&exits[0]).clone();
            let to = choose(exits, &from, |name| self.standing(name)).clone();
            self.choices.insert(portal.clone(), to.clone());
            if from != to {
                let state = PortalState::of(&to, exits);
                moves.push(Move { portal: portal.clone(), from, to, state });
            }
        }
        moves
    }

    /// Why a portal moves, and where to, in words.
    pub(super) fn explain(&self, Move { portal, from, to, .. }: &Move) -> String {
        let times = self.times.map_or((0, 0), |times| (times.down_after.as_secs(), times.up_after.as_secs()));
        let lost = matches!(from, Exit::Site { name, .. } if self.standing(name) == Standing::Down);
        let why = if lost {
            format!("{from} does not answer for {} s", times.0)
        } else {
            format!("{to} has answered for {} s", times.1)
        };
        let what = match to {
            Exit::Site { .. } => format!("now through {to}"),
            Exit::Direct => "now by this site's own uplink".to_owned(),
            Exit::Nowhere => "no other exit is left: blocked".to_owned(),
        };
        format!("portal {portal}: {why}; {what}")
    }

    fn standing(&self, name: &str) -> Standing {
        self.probes.get(name).map_or(Standing::Unproven, |probe| probe.health.standing())
    }
}

impl Probe {
    fn hear(&mut self, now: Instant) {
        if self.echo.as_mut().is_some_and(Echo::is_answered) {
            self.health.answered(now);
        }
        self.health.judge(now);
    }

    /// What cannot be sent is a question without an answer, too.
    fn ask(&mut self, now: Instant) {
        let Way { interface, from, to } = &self.way;
        if self.echo.is_none() {
            self.echo = Echo::open(interface, *from, *to).ok();
        }
        // The interface may have been made anew: then another socket is bound to it the next time.
        self.echo = self.echo.take().and_then(|mut echo| echo.ask().is_ok().then_some(echo));
        self.health.asked(now);
    }
}

/// How each of the exits that are sites is asked, by its name.
fn ways<'a>(site: &Site, exits: impl Iterator<Item = &'a Exit>) -> BTreeMap<Name, Way> {
    let way = |exit: &Exit| {
        let Exit::Site { name, interface, .. } = exit else { return None };
        let peer = site.tunnels.get(interface)?.peers.get(name)?;
        let (IpAddr::V4(from), IpAddr::V4(to)) = (site.address, peer.address) else { return None };
        Some((name.clone(), Way { interface: interface.clone(), from, to }))
    };
    exits.filter_map(way).collect()
}
