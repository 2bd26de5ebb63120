//! Requests to the agent at its control socket, and the answers.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use super::confirm::Confirmation;
use super::reconcile::Applied;
use super::source::{Source, Task, Turn};
use super::{Agent, log_errors};
use crate::base::error::{Error, Errors, Result};
use crate::config::model::Name;
use crate::control::{
    AgentStatus, Answer, ChangeReport, ControlListener, ControlRequest, InvitationStatus, WaitingClient,
};
use crate::exchange::Exchange;
use crate::system::logging as log;

impl Source for ControlListener {
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        self.descriptors(all);
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline()
    }

    fn turn(&mut self, _: Turn) -> Result<Task> {
        Ok(self.hear().map_or(Task::Nothing, |(request, client)| Task::Answer(request, client)))
    }
}

impl Agent {
    /// Carries out a request, and answers with the outcome.
    pub(super) fn answer(&mut self, request: ControlRequest, client: WaitingClient) {
        let answer = match request {
            ControlRequest::Status => Ok(self.agent_status().to_fields()),
            ControlRequest::Invitations => Ok(InvitationStatus::into_fields(self.invitations())),
            ControlRequest::Invite(terms) => self.invite(terms),
            ControlRequest::Revoke(name) => self.revoke(&name),
            ControlRequest::Allow(name) => self.allow(&name),
            ControlRequest::Accept(pasted) => self.accept(&pasted),
            ControlRequest::Rotate { leaves_behind } => self.rotate(leaves_behind),
            ControlRequest::Apply { file, confirm } => reported(self.apply_file(&file, confirm)),
            ControlRequest::Confirm => reported(self.confirm()),
            ControlRequest::Reload => reported(self.reload(Confirmation::AsTheFileSays)),
            ControlRequest::Offer => reported(self.exchange(Exchange::offer_all)),
            ControlRequest::Pull => {
                reported(self.drop_changes().and_then(|()| self.exchange(Exchange::pull)))
            }
            ControlRequest::Exit { portal, exit } => reported(self.choose_exit(&portal, exit.as_ref())),
        };
        log_errors(&answer);
        self.sources.control.tell(client, &answer);
    }

    fn apply_file(&mut self, file: &Path, confirm: Option<Duration>) -> Result<Applied, Errors> {
        if same_file(file, &self.file) {
            return self.reload(confirm.map_or(Confirmation::NotNeeded, Confirmation::Within));
        }
        let (own, other) = (self.file.display(), file.display());
        Err(Error::wrong(format!(
            "the agent on this machine uses {own}, not {other}: end it, then `portals apply` again or \
             `portals run --config {other}`"
        ))
        .into())
    }

    /// Asks the linked sites for their files.
    fn exchange(&mut self, ask: fn(&mut Exchange, Instant)) -> Result<Applied, Errors> {
        let machine = self.sources.helper_ports.exchange.machine().ok_or_else(|| {
            Error::wrong(
                "this site exchanges no network file: the network needs an admin key (`portals sign \
                 --create`), \
                 and this site a link",
            )
        })?;
        ask(machine, Instant::now());
        Ok(Applied::default())
    }

    /// Moves a portal to an exit that a person has chosen. Without one, the agent chooses again.
    pub(super) fn choose_exit(&mut self, portal: &str, exit: Option<&Name>) -> Result<Applied, Errors> {
        self.sources.exits.choose_by_hand(portal, exit.map(String::as_str))?;
        match exit {
            Some(exit) => log::info!("portal {portal}: {exit} was chosen by hand"),
            None => log::info!("portal {portal}: the agent chooses the exit again"),
        }
        let moves = self.sources.exits.decide(Instant::now());
        self.move_portals(moves)
    }

    fn agent_status(&self) -> AgentStatus {
        let now = Instant::now();
        let sources = &self.sources;
        let deadline = sources.confirmation.deadline();
        let left = deadline.map(|deadline| deadline.saturating_duration_since(now).as_secs());
        let (portals, exits) = sources.exits.tell(now);
        let mut failures: Vec<String> = sources.clock.complaint().into_iter().collect();
        failures.extend(sources.path_mtus.complaints());
        failures.extend(sources.services.failures());
        failures.extend(sources.helper_ports.faults());
        let (links, helper) = (sources.link_paths.tell(now), sources.helper_ports.tell());
        let exchange = &sources.helper_ports.exchange;
        AgentStatus {
            unconfirmed: left,
            portals,
            exits,
            failures,
            links,
            helper,
            files: exchange.tell(),
            file_problem: exchange.problem(),
            is_rotating: exchange.is_rotating,
            sessions: sources.sessions.tell(now),
            put_back: self
                .put_back
                .clone()
                .map(|(at, words)| (now.saturating_duration_since(at).as_secs(), words)),
        }
    }
}

/// Returns the answer to a request for changes.
fn reported(done: Result<Applied, Errors>) -> Answer {
    done.map(|applied| ChangeReport::from(applied).into_fields())
}

/// Reports whether two paths lead to one file, with symbolic links followed.
fn same_file(one: &Path, other: &Path) -> bool {
    one == other || one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}
