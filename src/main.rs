//! Entry point of `portals`: reads the command line, runs the command, and turns errors into an exit status.

#[cfg(target_env = "musl")]
mod c_memory;

use std::process::ExitCode;

use dlmalloc::GlobalDlmalloc;
use log::LevelFilter;
use nix::errno::Errno;
use nix::sys::prctl::set_dumpable;
use nix::unistd::geteuid;
use wg_portals::cli::output;
use wg_portals::cli::{Cli, Command, EarlyExit};
use wg_portals::commands::{self, ExitStatus};
use wg_portals::system::logging;

/// Allocator of this program. The allocator of musl returns every few freed pages to the kernel at once; with
/// 64 exits, that cost a quarter of the run time of a command.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> ExitCode {
    let Some(arguments) = words() else { return ExitStatus::Wrong.into() };
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let cli = match Cli::parse(&arguments) {
        Ok(cli) => cli,
        Err(EarlyExit::Help(text)) => {
            output::print(format_args!("{text}"));
            return finish(ExitStatus::Done);
        }
        Err(EarlyExit::Wrong(text)) => {
            output::print_fault(&text);
            return ExitStatus::Wrong.into();
        }
    };
    start_log(cli);
    keep_memory_private(cli);
    match commands::run(cli) {
        Ok(status) => finish(status),
        Err(errors) => {
            let mut needs_root = !geteuid().is_root();
            for error in &errors {
                let mut text = error.to_string();
                if needs_root && is_denial(&text) {
                    needs_root = false;
                    text.push_str("\nRun it as root, as in: sudo ");
                    text.push_str(&cli.path);
                }
                if cli.is_service() {
                    log::error!("{text}");
                }
                if !cli.is_service() || cli.log_file().is_some() {
                    output::print_fault(&text);
                }
            }
            ExitStatus::from(errors.kind()).into()
        }
    }
}

/// Words of the command line. A word that is not UTF-8 is reported: no name that a command writes may differ
/// from the one that was given.
fn words() -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut given = std::env::args_os();
    given.next();
    for word in given {
        match word.into_string() {
            Ok(word) => words.push(word),
            Err(word) => {
                let word = word.to_string_lossy();
                output::print_fault(&format!("the argument `{word}` is not UTF-8: rename the file"));
                return None;
            }
        }
    }
    Some(words)
}

/// Flushes standard output. The exit status is a failure if part of the output could not be written.
fn finish(status: ExitStatus) -> ExitCode {
    match output::finish() {
        Ok(()) => status.into(),
        Err(error) => {
            output::print_fault(&error.to_string());
            ExitStatus::Failed.into()
        }
    }
}

/// Reports whether an error is a refused permission. Errors come from the kernel and from files, and often
/// pass through words of others.
fn is_denial(error: &str) -> bool {
    [Errno::EPERM, Errno::EACCES].iter().any(|errno| {
        let words = errno.desc().as_bytes();
        error.as_bytes().windows(words.len()).any(|part| part == words)
    })
}

/// Protects the keys in this program's memory: the memory appears in no core dump, and other programs of the
/// same user cannot read it. The demo is exempt: its keys are temporary, and the namespaces of an ordinary
/// user need files in /proc that this protection would give to root.
fn keep_memory_private(cli: &Cli) {
    if matches!(cli.command, Some(Command::Demo(_))) {
        return;
    }
    if let Err(errno) = set_dumpable(false) {
        log::warn!("cannot keep this program's memory out of core dumps: {}", errno.desc());
    }
}

/// Starts the log. Results go to standard output; the log, like errors, does not.
fn start_log(cli: &Cli) {
    let level = if cli.verbose || cli.is_service() { LevelFilter::Info } else { LevelFilter::Warn };
    if let Some(error) = logging::start(level, cli.log_file(), cli.is_service()) {
        output::print_fault(&error.to_string());
    }
}
