//! Failover: probes the exits of portals that have several exits, and chooses one for each portal.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use super::failover::PortalMove;
use super::health::{ExitState, Health, choose};
use super::probe::{ProbePath, ProbedExit, paths};
use super::source::{Source, Task, Turn};
use crate::base::error::{Error, Result};
use crate::base::moment::earlier;
use crate::base::net::IfName;
use crate::config::model::{FailoverDelays, Name};
use crate::control::{BY_HAND, TimedState};
use crate::engine::status::PortalState;
use crate::kernel::Kernel;
use crate::site::{Exit, ExitChoices, Portal, Site};

/// Exits that are in a list of several, and the portals with such lists.
#[derive(Debug, Default)]
pub(super) struct Exits {
    times: Option<FailoverDelays>,
    /// Portals with several exits, in the order of the network file.
    lists: Vec<ExitList>,
    probes: Vec<ProbedExit>,
}

/// Portal with several exits.
#[derive(Debug)]
struct ExitList {
    portal: Name,
    exits: Vec<Exit>,
    /// Exit in use.
    chosen: Exit,
    /// Time of the last choice.
    since: Instant,
    /// Reason of the last choice.
    why: String,
    /// Exit that a person has chosen.
    by_hand: Option<Exit>,
}

impl Exits {
    /// Begins with the choices that are in force. Exits ahead of them in their lists were down, as far as is
    /// known.
    pub(super) fn begin(&mut self, site: &Site, in_use: &ExitChoices) {
        self.take_over(site, in_use);
        for probe in &mut self.probes {
            let is_probed =
                |exit: &Exit| matches!(exit, Exit::Tunnel { name, .. } if *name == probe.path.exit);
            let is_ahead =
                |list: &ExitList| list.exits.iter().take_while(|exit| **exit != list.chosen).any(is_probed);
            if self.lists.iter().any(is_ahead) && !self.lists.iter().any(|list| is_probed(&list.chosen)) {
                probe.health = Health::new(probe.path.times(site.agent.failover), true);
            }
        }
    }

    /// Takes over the lists of the site, and sets the exits of its portals to the chosen ones. Returns the
    /// moves that follow from that.
    pub(super) fn follow(&mut self, site: &mut Site) -> Vec<PortalMove> {
        let choices = self.choices();
        self.take_over(site, &choices);
        let moves = self.decide(Instant::now());
        site.choose(&self.choices());
        moves
    }

    fn choices(&self) -> ExitChoices {
        self.lists.iter().map(|list| (list.portal.clone(), list.chosen.clone())).collect()
    }

    fn take_over(&mut self, site: &Site, choices: &ExitChoices) {
        let mut lists = std::mem::take(&mut self.lists);
        for portal in site.portals.iter().filter(|portal| portal.can_fail_over()) {
            let chosen = portal.chosen(choices);
            let is_it = |list: &ExitList| list.portal == portal.name && list.chosen.is_same(chosen);
            let mut list = match lists.iter().position(is_it) {
                Some(place) => lists.swap_remove(place),
                None => ExitList::new(portal),
            };
            (list.exits, list.chosen) = (portal.exits.clone(), chosen.clone());
            self.lists.push(list);
        }
        let mut old = std::mem::take(&mut self.probes);
        for list in &self.lists {
            for exit in &list.exits {
                for path in paths(site, exit) {
                    if self.probes.iter().any(|probe| probe.path == path) {
                        continue;
                    }
                    self.probes.push(match old.iter().position(|probe| probe.path == path) {
                        Some(place) => old.swap_remove(place),
                        None => ProbedExit::new(path, site.agent.failover),
                    });
                }
            }
        }
        for probe in &mut self.probes {
            probe.health.set_times(probe.path.times(site.agent.failover));
        }
        self.times = Some(site.agent.failover);
    }

    /// Takes answers, judges silence, and sends the probes that are due. Returns the interfaces of exits that
    /// have just gone down.
    fn probe(&mut self, kernel: &mut dyn Kernel, now: Instant) -> Vec<IfName> {
        let mut gone_down = Vec::new();
        for probe in &mut self.probes {
            if probe.turn(kernel, now) {
                gone_down.push(probe.path.echo.interface.clone());
            }
        }
        gone_down
    }

    /// Chooses the exits anew. Returns the moves.
    pub(super) fn decide(&mut self, now: Instant) -> Vec<PortalMove> {
        let mut moves = Vec::new();
        let up_after = self.times.map_or(0, |times| times.up_after.as_secs());
        for list in &mut self.lists {
            let best = || choose(&list.exits, &list.chosen, |name| state_of(&self.probes, name));
            let to =
                list.by_hand.as_ref().filter(|exit| list.exits.contains(exit)).unwrap_or_else(best).clone();
            if list.chosen != to {
                let why = list.reason(&to, up_after, &self.probes);
                let from = std::mem::replace(&mut list.chosen, to.clone());
                (list.since, list.why) = (now, why.clone());
                let state = PortalState::of(&to, &list.exits);
                moves.push(PortalMove { portal: list.portal.clone(), from, to, state, why });
            }
        }
        moves
    }

    /// Sets the exit of a portal to one of its list, whether that exit answers or not. Without `exit`, the
    /// agent chooses again.
    pub(super) fn choose_by_hand(&mut self, portal: &str, exit: Option<&str>) -> Result<()> {
        let names: Vec<&str> = self.lists.iter().map(|list| list.portal.as_str()).collect();
        let names = names.join(", ");
        let Some(list) = self.lists.iter_mut().find(|list| list.portal == portal) else {
            return Err(Error::wrong(if names.is_empty() {
                "no portal of this site has a list of exits to choose from".to_owned()
            } else {
                format!(
                    "no portal `{portal}` of this site has several exits; portals with several exits: {names}"
                )
            }));
        };
        let by_hand = exit.map(|name| list.exit(name)).transpose()?;
        (list.since, list.why) = match &by_hand {
            Some(_) => (Instant::now(), BY_HAND.to_owned()),
            None => (Instant::now(), "it is the first exit that is up".to_owned()),
        };
        list.by_hand = by_hand;
        Ok(())
    }

    /// Forgets the exits that a person has chosen.
    pub(super) fn forget_chosen_by_hand(&mut self) {
        for list in &mut self.lists {
            list.by_hand = None;
        }
    }

    /// Returns the state of the portals with several exits, and of these exits.
    pub(super) fn tell(&self, now: Instant) -> (Vec<TimedState>, Vec<TimedState>) {
        let portal = |list: &ExitList| TimedState {
            name: list.portal.clone(),
            since: now.duration_since(list.since).as_secs(),
            words: list.why.clone(),
        };
        let exit = |probe: &ProbedExit| TimedState {
            name: probe.path.exit.clone(),
            since: now.duration_since(probe.health.since()).as_secs(),
            words: probe.health.state().as_str().to_owned(),
        };
        let mut exits = Vec::new();
        for probe in &self.probes {
            if !probe.path.is_beyond {
                exits.extend(decisive(&self.probes, &probe.path.exit).map(exit));
            }
        }
        (self.lists.iter().map(portal).collect(), exits)
    }
}

impl Source for Exits {
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        for probe in &self.probes {
            all.extend(probe.descriptor());
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let mut next = None;
        for probe in &self.probes {
            next = earlier(next, Some(probe.deadline()));
        }
        next
    }

    fn turn(&mut self, turn: Turn) -> Result<Task> {
        let lost = self.probe(turn.kernel, turn.now);
        let moves = self.decide(turn.now);
        let is_quiet = lost.is_empty() && moves.is_empty();
        Ok(if is_quiet { Task::Nothing } else { Task::MovePortals { lost, moves } })
    }
}

impl ExitList {
    fn new(portal: &Portal) -> Self {
        Self {
            portal: portal.name.clone(),
            exits: Vec::new(),
            chosen: Exit::Nowhere,
            since: Instant::now(),
            why: "it began there".to_owned(),
            by_hand: None,
        }
    }

    /// Returns the exit of that name.
    fn exit(&self, name: &str) -> Result<Exit> {
        self.exits.iter().find(|exit| exit.to_string() == name).cloned().ok_or_else(|| {
            let names: Vec<String> = self.exits.iter().map(ToString::to_string).collect();
            let (portal, names) = (&self.portal, names.join(", "));
            Error::wrong(format!("`{name}` is no exit of portal `{portal}`: choose one of {names}, or auto"))
        })
    }

    /// Returns the reason for a move to another exit.
    fn reason(&self, to: &Exit, up_after: u64, probes: &[ProbedExit]) -> String {
        let is_down = |probe: &&ProbedExit| {
            self.chosen.to_string() == probe.path.exit && probe.health.state() == ExitState::Down
        };
        match probes.iter().find(is_down) {
            _ if self.by_hand.as_ref() == Some(to) => BY_HAND.to_owned(),
            Some(ProbedExit { path, health, .. }) => {
                let silence = health.times().down_after.as_secs();
                match path {
                    ProbePath { is_beyond: true, echo, exit, .. } => {
                        format!("{} does not answer through {exit} for {silence} s", echo.to)
                    }
                    ProbePath { exit, .. } => format!("{exit} does not answer for {silence} s"),
                }
            }
            None => format!("{to} has answered for {up_after} s"),
        }
    }
}

fn state_of(probes: &[ProbedExit], exit: &str) -> ExitState {
    decisive(probes, exit).map_or(ExitState::Unproven, |probe| probe.health.state())
}

/// Returns the probe that decides the state of an exit, the worst one: an exit is up only if all probes
/// through it are answered.
fn decisive<'a>(probes: &'a [ProbedExit], exit: &str) -> Option<&'a ProbedExit> {
    let of_exit = probes.iter().filter(|probe| probe.path.exit == exit);
    of_exit.max_by_key(|probe| match probe.health.state() {
        ExitState::Up => 0,
        ExitState::Unproven => 1,
        ExitState::Down => 2,
    })
}
