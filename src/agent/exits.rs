//! The exits of portals that have several: asks them all the time whether they are up, and chooses.

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
    /// Portals with several exits, in the order of the file.
    lists: Vec<List>,
    probes: Vec<Probe>,
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

/// A portal with several exits.
#[derive(Debug)]
struct List {
    portal: Name,
    exits: Vec<Exit>,
    /// Where it leaves now.
    chosen: Exit,
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
    /// Name of the site.
    site: Name,
    interface: IfName,
    from: Ipv4Addr,
    to: Ipv4Addr,
}

impl Exits {
    /// Begins with the choices that stand: what is ahead of them was down, as far as is known.
    pub(super) fn begin(&mut self, site: &Site, standing: &Choices) {
        self.take_in(site, standing);
        for probe in &mut self.probes {
            let is_it = |exit: &Exit| matches!(exit, Exit::Site { name, .. } if *name == probe.way.site);
            let is_ahead =
                |list: &List| list.exits.iter().take_while(|exit| **exit != list.chosen).any(is_it);
            if self.lists.iter().any(is_ahead) && !self.lists.iter().any(|list| is_it(&list.chosen)) {
                probe.health = Health::new(site.failover, true);
            }
        }
    }

    /// Takes in what the file says now, and has the portals of the site leave where they do.
    pub(super) fn follow(&mut self, site: &mut Site) {
        let choices = self.choices();
        self.take_in(site, &choices);
        self.decide();
        site.choose(&self.choices());
    }

    fn choices(&self) -> Choices {
        self.lists.iter().map(|list| (list.portal.clone(), list.chosen.clone())).collect()
    }

    fn take_in(&mut self, site: &Site, choices: &Choices) {
        let list = |portal: &Portal| List {
            portal: portal.name.clone(),
            exits: portal.exits.clone(),
            chosen: portal.chosen(choices).clone(),
        };
        self.lists = site.portals.iter().filter(|portal| portal.can_fail_over()).map(list).collect();
        let mut old = std::mem::take(&mut self.probes);
        for exit in self.lists.iter().flat_map(|list| &list.exits) {
            let Some(way) = way(site, exit) else { continue };
            if self.probes.iter().all(|probe| probe.way != way) {
                let known = old.iter().position(|probe| probe.way == way).map(|place| old.swap_remove(place));
                let health = || Health::new(site.failover, false);
                self.probes.push(known.unwrap_or_else(|| Probe { way, echo: None, health: health() }));
            }
        }
        for probe in &mut self.probes {
            probe.health.set_times(site.failover);
        }
        self.times = Some(site.failover);
        self.next = if self.probes.is_empty() { None } else { self.next.or_else(|| Some(Instant::now())) };
    }

    /// What to poll for input.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.probes.iter().filter_map(|probe| Some(probe.echo.as_ref()?.as_fd()))
    }

    /// When there is something to do though nothing came in.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let verdicts = self.probes.iter().filter_map(|probe| probe.health.verdict_due());
        self.next.into_iter().chain(verdicts).min()
    }

    /// Takes the answers, judges silence, and asks again when that is due: never waits. The exits that have just gone down.
    pub(super) fn turn(&mut self, now: Instant) -> Vec<Name> {
        let mut lost = Vec::new();
        for probe in &mut self.probes {
            let before = probe.health.standing();
            probe.hear(now);
            if before != Standing::Down && probe.health.standing() == Standing::Down {
                lost.push(probe.way.site.clone());
            }
        }
        if let Some(times) = self.times.filter(|_| self.next.is_some_and(|next| next <= now)) {
            for probe in &mut self.probes {
                probe.ask(now);
            }
            self.next = Some(now + interval(times));
        }
        lost
    }

    /// Chooses anew, by what is known now; the portals that move.
    pub(super) fn decide(&mut self) -> Vec<Move> {
        let mut moves = Vec::new();
        for List { portal, exits, chosen } in &mut self.lists {
            let to = choose(exits, chosen, |name| standing(&self.probes, name));
            if *chosen != *to {
                let state = PortalState::of(to, exits);
                let from = std::mem::replace(chosen, to.clone());
                moves.push(Move { portal: portal.clone(), from, to: chosen.clone(), state });
            }
        }
        moves
    }

    /// Why a portal moves, and where to, in words.
    pub(super) fn explain(&self, Move { portal, from, to, .. }: &Move) -> String {
        let times = self.times.map_or((0, 0), |times| (times.down_after.as_secs(), times.up_after.as_secs()));
        let lost = matches!(from, Exit::Site { name, .. } if standing(&self.probes, name) == Standing::Down);
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
}

fn standing(probes: &[Probe], site: &str) -> Standing {
    let probe = probes.iter().find(|probe| probe.way.site == site);
    probe.map_or(Standing::Unproven, |probe| probe.health.standing())
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
        let Way { interface, from, to, .. } = &self.way;
        if self.echo.is_none() {
            self.echo = Echo::open(interface, *from, *to).ok();
        }
        // The interface may have been made anew: then another socket is bound to it the next time.
        self.echo = self.echo.take().and_then(|mut echo| echo.ask().is_ok().then_some(echo));
        self.health.asked(now);
    }
}

/// How an exit is asked, if it is a site.
fn way(site: &Site, exit: &Exit) -> Option<Way> {
    let Exit::Site { name, interface, .. } = exit else { return None };
    let peer = site.tunnels.get(interface)?.peers.get(name)?;
    let (IpAddr::V4(from), IpAddr::V4(to)) = (site.address, peer.address) else { return None };
    Some(Way { site: name.clone(), interface: interface.clone(), from, to })
}
