//! Agent: applies the network file, then stays, watches and repairs. One loop around `poll`, which turns only
//! when an event has come or a deadline has passed.

mod admission;
mod clock;
mod confirm;
mod devices;
mod dial;
mod door;
mod endpoint_names;
mod exits;
mod fail_closed;
mod failover;
mod flap_damping;
mod handover;
mod health;
mod hook;
mod legacy_tables;
mod monitor;
mod nat;
mod pages;
mod path_mtu;
mod pending_moves;
mod probe;
mod reconcile;
mod requests;
mod retry;
mod rotate;
mod services;
mod sessions;
mod signals;
mod source;
mod sources;
mod take_file;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::base::error::{Error, ErrorKind, Errors, Result};
use crate::control::{ControlListener, SOCKET};
use crate::engine::apply::{self, OnFailure};
use crate::engine::commit_confirmed::CommitConfirmed;
use crate::engine::host::Host;
use crate::engine::journal::{Journal, Lock};
use crate::engine::load::Files;
use crate::kernel::linux::Linux;
use crate::state::words::count;
use crate::system::disk;
use crate::system::logging as log;
use crate::system::notify;
use crate::system::port_mapping::give_back;
use clock::Clock;
use confirm::Confirmation;
use monitor::Monitor;
use pages::Pages;
use pending_moves::PendingMoves;
pub use probe::far_end;
use signals::Signals;
use source::Task;
use sources::Sources;

/// Waits between the first attempts.
const FIRST_WAITS: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1)];

/// Reason of the first changes.
const START: &str = "the agent has started";

/// Agent of this machine.
pub struct Agent {
    file: PathBuf,
    files: Rc<Files>,
    sources: Sources,
    pages: Pages,
    /// Moves of portals that the hook does not know of, because they are not applied yet.
    moves: PendingMoves,
    /// Notes of the last attempt, so that the log has each of them once.
    notes: Vec<String>,
    kernel: Box<dyn Host>,
    journal: Journal,
    /// Errors of the last attempt, so that the log has each of them once.
    complaint: Option<Vec<String>>,
    /// Time of the last repair of rules that keep portals closed, and the repaired things in words.
    put_back: Option<(Instant, String)>,
    _place: Lock,
}

impl Agent {
    /// Takes the agent's place on this machine and makes the host match the network file once.
    pub fn start(file: &Path) -> Result<Self, Errors> {
        Self::start_on(file, Journal::open()?, Path::new(SOCKET), || Ok(Box::new(Linux::open()?)))
    }

    /// Starts as [`Self::start`] does, with this journal and control socket, on the host that `open` returns.
    fn start_on(
        file: &Path,
        journal: Journal,
        socket: &Path,
        open: impl FnOnce() -> Result<Box<dyn Host>>,
    ) -> Result<Self, Errors> {
        let signals = Signals::open()?;
        let place = journal.lock_agent()?.ok_or_else(|| Error::failed(journal.agent_in_the_way()))?;
        // A request that comes from now on gets its answer as soon as the agent is up.
        let control = ControlListener::at(socket)?;
        let file = disk::absolute(file)?;
        let (confirmation, in_force) = CommitConfirmed::open(&file);
        // Before the first handshake.
        let clock = Clock::open(&file);
        let files = Rc::new(Files::read_copy(&file, &in_force)?);
        let mut kernel = open()?;
        // Before the agent first observes the host, so that no change is missed in between.
        let monitor = Monitor::open(&mut *kernel)?;
        let sources = Sources::open(signals, monitor, control, confirmation, clock, &file, journal.folder())?;
        let mut agent = Self {
            file,
            files,
            sources,
            pages: Pages::default(),
            moves: PendingMoves::default(),
            notes: Vec::new(),
            kernel,
            journal,
            complaint: None,
            put_back: None,
            _place: place,
        };
        let names = &mut agent.sources.names;
        names.ask(agent.files.names()?, Instant::now());
        // Names in the host's own file are known at once.
        names.look_up(&mut *agent.kernel, Instant::now())?;
        agent.take_up_exits()?;
        agent.first_attempt()?;
        agent.forget_unused_key();
        log_errors(&agent.take_over());
        agent.say_ready();
        Ok(agent)
    }

    /// Makes the host match, with a few attempts: at boot, other programs change the same kernel, and an
    /// attempt that fails may succeed a moment later.
    fn first_attempt(&mut self) -> Result<(), Errors> {
        for wait in FIRST_WAITS {
            match self.reconcile(START, OnFailure::Undo) {
                Err(errors) if errors.kind() != ErrorKind::Wrong => {
                    log_all(&errors);
                    sleep(wait);
                }
                result => return result.map(drop),
            }
        }
        self.reconcile(START, OnFailure::Undo).map(drop)
    }

    /// Watches and repairs until SIGTERM or SIGINT.
    pub fn stay(&mut self) -> Result<()> {
        loop {
            for (place, has_input) in self.sources.wait()?.into_iter().enumerate() {
                let task = self.sources.turn(place, &mut *self.kernel, has_input)?;
                if self.carry_out(task)?.is_break() {
                    return Ok(());
                }
            }
        }
    }

    /// Carries out the work that a source leaves to the agent. Breaks if the agent must end.
    fn carry_out(&mut self, task: Task) -> Result<ControlFlow<()>> {
        match task {
            Task::Nothing => {}
            Task::Reload => log_errors(&self.reload(Confirmation::AsTheFileSays)),
            Task::End => {
                self.hand_over();
                self.sources.clock.keep();
                self.sources.helper_ports.keep();
                self.sources.door.keep_or_log(Instant::now());
                return Ok(ControlFlow::Break(()));
            }
            Task::MeetBurst => {
                self.sources.monitor.calm_down(&self.sources.signals)?;
                self.sources.names.try_all(Instant::now());
                self.repair();
            }
            Task::Repair => self.repair(),
            Task::Reconcile(reason) => drop(self.attempt(reason)),
            Task::ReconcileUnlessPaused(reason) => {
                if self.sources.may_repair() {
                    drop(self.attempt(reason));
                }
            }
            Task::MovePortals { lost, moves } => {
                let now = Instant::now();
                for interface in &lost {
                    self.sources.names.doubt(interface, now);
                    self.sources.link_paths.doubt(interface, now);
                }
                drop(self.move_portals(moves));
            }
            Task::UndoChange => self.undo_change(),
            Task::TakeFile(file) => self.take_file(&file),
            Task::KeepFile => self.keep_file(),
            Task::ChangeKey => self.change_key(),
            Task::Answer(request, client) => self.answer(request, client),
            Task::AnswerPage(request) => self.answer_page(request),
            Task::HearRequests(packets) => self.hear_requests(&packets),
            Task::Deliver => self.deliver(),
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Removes everything that portals has made on this machine.
    pub fn remove_all(&mut self) -> Result<()> {
        let _lock = self.lock()?;
        give_back(self.journal.folder());
        let cleared = self.sources.services.clear();
        let steps = apply::remove_all(&mut *self.kernel, &self.journal)?;
        cleared?;
        log::info!("removed everything: {}", count(steps.len(), "change"));
        Ok(())
    }

    fn lock(&self) -> Result<Lock> {
        let waiting = "another portals process is changing this machine; waiting for it to finish";
        self.journal.lock(&mut || log::warn!("{waiting}"))
    }

    fn say_ready(&self) {
        notify::tell(notify::READY);
        if self.kernel.runs_tunnels() {
            log::info!(
                "ready, with the built-in WireGuard: portals are closed while this agent does not run"
            );
        } else {
            log::info!("ready");
        }
    }
}

fn log_errors<T>(result: &Result<T, Errors>) {
    if let Err(errors) = result {
        log_all(errors);
    }
}

fn log_all(errors: &Errors) {
    for error in errors {
        log::error!("{error}");
    }
}
