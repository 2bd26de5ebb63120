//! The agent: apply, then stay, watch and repair. One loop around `poll`; it wakes up only if something happened or is due.

mod clock;
mod closed;
mod confirm;
mod devices;
mod events;
mod exits;
mod fights;
mod handover;
mod health;
mod hook;
mod measurement;
mod moves;
mod names;
mod questions;
mod retry;
mod tables;
mod widths;

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::base::error::{Context as _, Error, Errors, Kind, Result};
use crate::control::{Done, Reception};
use crate::engine::apply::{self, OnFailure};
use crate::engine::converge::converge;
use crate::engine::journal::{Journal, Lock};
use crate::engine::load::Files;
use crate::kernel::linux::Linux;
use crate::plan::closing;
use crate::services::{self, Supervisor};
use crate::site::Site;
use crate::state::Backend;
use crate::state::diff::Step;
use crate::state::words::count;
use crate::system::notify;
use crate::system::open_files;
use clock::Clock;
use confirm::{Confirmation, Test};
use devices::Devices;
use events::{Events, Ready, signals};
use exits::Exits;
use fights::Fights;
use hook::Hook;
use moves::Moves;
use names::Names;
use retry::Retry;
use tables::Tables;
use widths::Widths;

/// How long the first attempts wait for each other.
const FIRST_WAITS: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1)];

/// Why the first changes are made.
const BEGUN: &str = "this agent began";

/// The agent of this machine.
pub struct Agent {
    file: PathBuf,
    files: Files,
    confirmation: Confirmation,
    names: Names,
    exits: Exits,
    /// Of portals, that the hook has not been told of: none of them stands yet.
    moves: Moves,
    devices: Devices,
    hook: Hook,
    services: Supervisor,
    /// What was said besides, so that it is said once.
    notes: Vec<String>,
    widths: Widths,
    clock: Clock,
    kernel: Linux,
    journal: Journal,
    events: Events,
    reception: Reception,
    retry: Retry,
    fights: Fights,
    tables: Tables,
    /// What went wrong with the last attempt: said once.
    complaint: Option<Vec<String>>,
    _place: Lock,
}

/// What became of an attempt.
#[derive(Default)]
struct Applied {
    steps: Vec<Step>,
    notes: Vec<String>,
}

impl From<Applied> for Done {
    fn from(Applied { steps, notes }: Applied) -> Self {
        Self { changes: steps.len(), notes }
    }
}

impl Agent {
    /// Takes the agent's place on this machine and makes it match the file once.
    pub fn start(file: &Path) -> Result<Self, Errors> {
        // First of all, while there is one thread: those of the built-in WireGuard must not be the ones that a signal
        // ends.
        let signals = signals()?;
        let journal = Journal::open()?;
        let place = journal
            .lock_agent()?
            .ok_or_else(|| Error::failed("an agent (`portals run`) is at work on this machine already"))?;
        // Who asks from now on is answered as soon as this is up.
        let reception = Reception::open()?;
        let file = std::path::absolute(file).doing(|| format!("cannot tell where {} is", file.display()))?;
        let (confirmation, in_force) = Confirmation::open(&file);
        // Before the first handshake.
        let clock = Clock::open(&file);
        let files = Files::read_copy(&file, &in_force)?;
        let mut agent = Self {
            file,
            files,
            confirmation,
            names: Names::default(),
            exits: Exits::default(),
            moves: Moves::default(),
            devices: Devices::default(),
            hook: Hook::default(),
            services: Supervisor::open(journal.folder())?,
            notes: Vec::new(),
            widths: Widths::default(),
            clock,
            kernel: Linux::open()?,
            journal,
            // Listening begins before the first look, so that nothing is missed in between.
            events: Events::open(signals)?,
            reception,
            retry: Retry::default(),
            fights: Fights::default(),
            tables: Tables::default(),
            complaint: None,
            _place: place,
        };
        agent.names.ask(agent.files.names()?, Instant::now());
        // Names of the host's own file are known at once.
        agent.names.turn(&mut agent.kernel, Instant::now())?;
        agent.take_up_exits()?;
        agent.first_attempt()?;
        log_errors(&agent.take_over());
        agent.say_ready();
        Ok(agent)
    }

    /// At boot, others are at work on the same kernel: what fails once may work in a moment.
    fn first_attempt(&mut self) -> Result<(), Errors> {
        for wait in FIRST_WAITS {
            match self.make_it_so(BEGUN, OnFailure::Undo) {
                Err(errors) if errors.kind() != Kind::Wrong => {
                    log_errors::<()>(&Err(errors));
                    sleep(wait);
                }
                result => return result.map(drop),
            }
        }
        self.make_it_so(BEGUN, OnFailure::Undo).map(drop)
    }

    /// Watches and repairs until SIGTERM or SIGINT.
    pub fn stay(&mut self) -> Result<()> {
        loop {
            let ready = self.wait()?;
            if ready.signal {
                match self.events.signal()? {
                    Some(Signal::SIGHUP) => log_errors(&self.reload(Test::AsTheFileSays)),
                    // A call of the hook has ended, or a service.
                    Some(Signal::SIGCHLD) | None => {}
                    Some(_) => {
                        self.leave_word();
                        self.clock.keep();
                        return Ok(());
                    }
                }
            }
            if ready.news {
                self.events.calm_down()?;
                self.names.try_all(Instant::now());
                if self.may_repair() {
                    self.repair();
                }
            }
            self.look_at_clock();
            self.look_at_tables();
            if self.retry.due().is_some_and(|due| due <= Instant::now()) {
                drop(self.attempt("another attempt"));
            }
            self.look_at_confirmation();
            self.look_at_exits();
            self.look_at_names();
            self.look_at_devices();
            self.look_at_widths();
            self.hook.turn(Instant::now());
            self.services.turn(Instant::now());
            if let Some((question, asker)) = self.reception.hear() {
                self.answer(question, asker);
            }
        }
    }

    /// Takes everything of ours away again.
    pub fn remove_all(&mut self) -> Result<()> {
        let _lock = self.lock()?;
        let cleared = self.services.clear();
        let steps = apply::remove_all(&mut self.kernel, &self.journal)?;
        cleared?;
        log::info!("removed everything: {}", count(steps.len(), "change"));
        Ok(())
    }

    /// Puts back what others have taken away.
    fn repair(&mut self) {
        let applied = self.attempt("others had changed something").unwrap_or_default();
        let fought_over = self.fights.repaired(&applied.steps, Instant::now());
        let who = self.events.take_culprit().unwrap_or_else(|| "another program".to_owned());
        if let Some(repair) = fought_over {
            log::warn!("{who} undoes it again and again: {repair}; from now on it is repaired once a second");
        }
    }

    /// Tables of legacy iptables that somebody may have changed are repaired; so is what was left alone in a fight.
    fn look_at_tables(&mut self) {
        let now = Instant::now();
        let changed = self.tables.turn(now).unwrap_or_else(|error| {
            log::error!("{error}");
            false
        });
        let ended = self.fights.ends(now);
        if (changed || ended) && self.may_repair() {
            self.repair();
        }
    }

    /// Not in a fight, and not before another attempt is due: one that fails makes news itself.
    fn may_repair(&self) -> bool {
        self.retry.due().is_none() && !self.fights.is_pausing()
    }

    /// Names that have got an address let their links be dialled.
    fn look_at_names(&mut self) {
        match self.names.turn(&mut self.kernel, Instant::now()) {
            Ok(false) => {}
            Ok(true) => drop(self.attempt("a name has got an address")),
            Err(error) => log::error!("{error}"),
        }
    }

    /// Makes the machine match, because of `why`, and sees to it that a failure is said, once, and tried again.
    fn attempt(&mut self, why: &str) -> Result<Applied, Errors> {
        let result = self.make_it_so(why, OnFailure::StayClosed);
        let complaint =
            result.as_ref().err().map(|errors| errors.iter().map(Error::to_string).collect::<Vec<_>>());
        if self.complaint != complaint {
            log_errors(&result);
            self.complaint = complaint;
        }
        self.or_retry(result)
    }

    /// Has a failure tried again later.
    fn or_retry(&mut self, result: Result<Applied, Errors>) -> Result<Applied, Errors> {
        self.retry.attempted(result.is_err(), Instant::now());
        result
    }

    /// Makes the machine match the file as the host is now.
    fn make_it_so(&mut self, why: &str, on_failure: OnFailure) -> Result<Applied, Errors> {
        // Forgotten before looking, not after: what others change meanwhile wakes us again. So does what we change
        // ourselves; then a second look finds nothing to do.
        self.events.forget_news();
        self.tables.begin()?;
        let site = self.files.site(&mut self.kernel, &self.names.addresses())?;
        self.apply(site, why, on_failure)
    }

    fn apply(&mut self, mut site: Site, why: &str, on_failure: OnFailure) -> Result<Applied, Errors> {
        self.names.follow(&site);
        // Without it everything else is as it should be.
        if let Err(error) = self.devices.follow(&site) {
            log::error!("{error}");
        }
        let moves = self.exits.follow(&mut site);
        self.widths.follow(&mut site, Instant::now());
        self.take_note(moves);
        if site.backend == Backend::BuiltIn {
            open_files::check_room(site.tunnels.len())?;
        }
        let _lock = self.lock()?;
        let steps = converge(&mut self.kernel, &self.journal, &site, on_failure);
        // Also if something else has failed: what stands can be used.
        let services = services::plan(&site, self.journal.folder());
        site.notes.extend(services::missing(&services));
        self.services.follow(services, Instant::now());
        let steps = steps?;
        if on_failure == OnFailure::Undo {
            // A repair closes what was closed before.
            site.notes.extend(closing(&site, &steps));
        }
        self.confirmation.is_in_force(&self.files);
        self.tell_hook();
        self.tables.follow(steps.is_empty(), Instant::now())?;
        for note in site.notes.iter().filter(|note| !self.notes.contains(note)) {
            log::warn!("{note}");
        }
        self.notes.clone_from(&site.notes);
        if !steps.is_empty() {
            log::info!("done: {}: {why}", count(steps.len(), "change"));
        }
        Ok(Applied { steps, notes: site.notes })
    }

    fn lock(&self) -> Result<Lock> {
        self.journal.lock(|| log::warn!("another portals is changing this machine; waiting for it"))
    }

    /// Waits until there is something to do.
    fn wait(&self) -> Result<Ready> {
        let due = [
            self.retry.due(),
            self.reception.deadline(),
            self.exits.deadline(),
            self.names.deadline(),
            self.hook.deadline(),
            self.services.deadline(),
            self.confirmation.deadline(),
            self.tables.deadline(),
            self.fights.deadline(),
            Some(self.clock.deadline()),
            self.widths.deadline(),
        ];
        let mut others: Vec<BorrowedFd> = self.reception.descriptors().collect();
        others.extend(self.exits.descriptors());
        others.extend(self.names.descriptors());
        others.extend(self.devices.descriptor());
        others.extend(self.clock.descriptor());
        others.extend(self.widths.descriptors());
        others.extend(self.services.descriptors());
        self.events.wait(others, due.into_iter().flatten().min())
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
    for error in result.as_ref().err().into_iter().flatten() {
        log::error!("{error}");
    }
}
