//! Commands of `portals`, one file each: they connect the parts of the program and print words for people.

mod apply;
pub mod as_commands;
mod check;
mod completions;
mod confirm;
mod demo;
mod doctor;
mod down;
mod export;
mod guard;
mod import;
mod init;
mod install;
mod interfaces;
mod invite;
mod join;
mod leases;
mod map;
mod phone;
pub mod plan;
mod prometheus;
mod push;
mod reload;
mod rotate;
mod run;
mod service;
mod sign;
mod site;
mod ssh;
mod status;
mod test;
mod trace;
mod uninstall;
mod web;
mod wifi;

use std::path::Path;
use std::process::ExitCode;

use crate::base::error::{Context as _, Error, ErrorKind, Errors, Result};
use crate::cli::output::{complain, say};
use crate::cli::shell::{command_for, default_file, is_of_platform, shell_word, start_command};
use crate::cli::{Cli, Command};
use crate::control::ChangeReport;
use crate::engine::journal::{Journal, Lock};
use crate::engine::locked_file::Signing;
use crate::state::words::count;
use crate::system::child::{THIS_PROGRAM, this_program};
use crate::system::entropy;
use crate::system::platform::{self, ServiceAction};

/// Exit status of this program. Scripts of its users rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// 0: the command did its work.
    Done,
    /// 1: the command failed, and its changes were undone.
    Failed,
    /// 2: the network file or the command line is wrong.
    Wrong,
    /// 3: `plan --check` found a difference.
    Differs,
}

impl From<ErrorKind> for ExitStatus {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Failed => Self::Failed,
            ErrorKind::Wrong => Self::Wrong,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Done => Self::SUCCESS,
            ExitStatus::Failed => Self::from(1),
            ExitStatus::Wrong => Self::from(2),
            ExitStatus::Differs => Self::from(3),
        }
    }
}

/// Runs the command that was typed.
pub fn run(cli: &Cli) -> Result<ExitStatus, Errors> {
    if cli.version || matches!(cli.command, Some(Command::Version(_))) {
        say!("portals {}", env!("CARGO_PKG_VERSION"));
        return Ok(ExitStatus::Done);
    }
    let Some(command) = &cli.command else {
        return Err(Error::wrong(
            "no command given; `portals --help` lists them, and `portals demo` shows what they are for",
        )
        .into());
    };
    if let (Some(file), Command::Install(_) | Command::Uninstall(_)) = (&cli.config, command) {
        let folder = platform::folder();
        return Err(Error::wrong(format_args!(
            "the agent that starts at boot uses the network file of this platform, in {}: put {} there",
            folder.display(),
            file.display()
        ))
        .into());
    }
    let file = cli.config.clone().unwrap_or_else(default_file);
    run_command(command, &file, cli.verbose)
}

fn run_command(command: &Command, file: &Path, is_verbose: bool) -> Result<ExitStatus, Errors> {
    match command {
        Command::Demo(options) => demo::run(options),
        Command::Init(options) => init::run(file, options),
        Command::Invite(options) => invite::run(file, options),
        Command::Invites(options) => invite::invites(options),
        Command::Join(options) => join::run(file, options),
        Command::Accept(options) => invite::accept(options),
        Command::Plan(options) => plan::run(file, options),
        Command::Check(options) => check::run(options.file.as_deref().unwrap_or(file), options.json),
        Command::Interfaces(options) => interfaces::run(file, options.json),
        Command::Apply(options) => apply::run(file, options),
        Command::Confirm(options) => confirm::run(file, options),
        Command::Run(options) => run::run(file, options),
        Command::Guard(_) => guard::run(file),
        Command::Reload(_) => reload::reload(file),
        Command::Exit(options) => reload::exit(options),
        Command::Phone(options) => phone::run(file, options),
        Command::Site(options) => site::run(file, options),
        Command::Sign(options) => sign::run(file, options),
        Command::Push(options) => push::push(file, options),
        Command::Pull(_) => push::pull(file),
        Command::Rotate(options) => rotate::run(file, options),
        Command::Import(options) => import::run(options),
        Command::Export(options) => export::run(file, options),
        Command::Down(_) => down::run(file),
        Command::Status(options) => status::run(file, options, is_verbose),
        Command::Map(options) => map::run(file, options),
        Command::Test(options) => test::run(file, options),
        Command::Doctor(options) => Ok(doctor::run(file, options)),
        Command::Trace(options) => trace::run(file, options),
        Command::Web(options) => web::run(file, options),
        Command::Install(options) => service::install(options),
        Command::Uninstall(options) => uninstall::run(options),
        Command::Start(_) => service::order(ServiceAction::Start),
        Command::Stop(_) => service::order(ServiceAction::Stop),
        Command::Restart(_) => service::order(ServiceAction::Restart),
        Command::Logs(options) => service::logs(options),
        Command::Completions(options) => completions::run(options),
        Command::Version(_) => unreachable!("the version needs no file"),
    }
}

/// Waits until the kernel can give random numbers for a key, and tells the user about the wait.
fn wait_for_random_numbers() {
    if !entropy::is_ready() {
        complain!(
            "waiting for random numbers for a key: this device started a short time ago, and its kernel is \
             still collecting them; this can take minutes, and less if its network is used in the meantime"
        );
        entropy::wait();
    }
}

/// Prints the result of an operation that made this machine match a network file.
fn show_done(done: &ChangeReport, file: &Path) {
    show_notes(&done.notes);
    match done.changes {
        0 => show_nothing_to_do(file),
        number => say!("made {}: this machine now matches {}", count(number, "change"), file.display()),
    }
}

fn show_nothing_to_do(file: &Path) {
    say!("nothing to do: this machine matches {}", file.display());
}

/// Reports whether an agent runs on this machine.
fn has_agent() -> Result<bool> {
    Journal::open()?.has_agent()
}

/// Checks that an agent runs on this machine.
fn need_agent() -> Result<()> {
    if has_agent()? {
        return Ok(());
    }
    Err(Error::failed(no_agent()))
}

/// Returns the words about an agent that is missing: how to start one.
fn no_agent() -> &'static str {
    if platform::layout_here().is_some_and(|layout| platform::is_installed(&layout)) {
        "no agent is at work on this machine: start it with `portals start`"
    } else {
        "no agent is at work on this machine: start it with `portals run`, or at every boot with `portals \
         install`"
    }
}

fn lock(journal: &Journal) -> Result<Lock> {
    journal.lock(&mut || {
        complain!("another portals process is changing this machine; waiting for it to finish");
    })
}

/// Names the next steps after a change of the network file.
fn after_change(file: &Path, signing: Signing) {
    match signing {
        Signing::Signed => {
            complain!("Next, bring the file to all sites:\n  {}", command_for("portals push", file));
        }
        Signing::NoAdmins => complain!(
            "Next, copy {} to the other sites, and put it in force at each site:\n  {}",
            file.display(),
            command_for("portals reload", file)
        ),
        Signing::KeyElsewhere => complain!(
            "The file is not signed, because the admin key is not here. Next, sign a copy of {} where the \
             key is, with `portals sign FILE`, bring it back, and run:\n  {}",
            file.display(),
            command_for("portals push", file)
        ),
    }
}

fn show_notes(notes: &[String]) {
    for note in notes {
        complain!("note: {note}");
    }
}

/// Returns this host's name, reduced to the characters and the length that the name of a site can have.
fn host_name() -> Result<String> {
    let name = nix::unistd::gethostname().context(|| "cannot read this host's name".to_owned())?;
    let mut usable = String::new();
    for letter in name.to_string_lossy().chars() {
        if letter == '.' || usable.len() == 12 {
            break;
        }
        if letter.is_ascii_alphanumeric() || letter == '-' {
            usable.push(letter.to_ascii_lowercase());
        }
    }
    if usable.is_empty() {
        return Err(Error::wrong(
            "this host's name cannot be the name of a site: name the site with --site, such as --site nyc",
        ));
    }
    Ok(usable)
}
