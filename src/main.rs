//! The `portals` program: reads the command line, runs the command, turns errors into an exit status.

use std::process::ExitCode;

use argh::FromArgs as _;
use dlmalloc::GlobalDlmalloc;
use log::LevelFilter;
use nix::sys::prctl::set_dumpable;
use wg_portals::base::error::Kind;
use wg_portals::cli::output;
use wg_portals::cli::{self, Cli, Command};
use wg_portals::commands::{self, Status};
use wg_portals::system::logging;

/// That of musl gives every few pages back to the kernel at once, which cost a quarter of the time of a call about 64 exits.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> ExitCode {
    let arguments = cli::globals_first(std::env::args().skip(1).collect());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let cli = match Cli::from_args(&["portals"], &arguments) {
        Ok(cli) => cli,
        Err(exit) if exit.status.is_ok() => {
            output::print(format_args!("{}", exit.output));
            return finish(Status::Done);
        }
        Err(exit) => {
            output::print_error(format_args!("{}", exit.output));
            return Status::Wrong.into();
        }
    };
    start_log(&cli);
    keep_memory_private(&cli);
    match commands::run(&cli) {
        Ok(status) => finish(status),
        Err(errors) => {
            for error in &errors {
                if cli.is_service() {
                    log::error!("{error}");
                }
                if !cli.is_service() || cli.log_file().is_some() {
                    output::print_error(format_args!("portals: {error}\n"));
                }
            }
            match errors.kind() {
                Kind::Failed => Status::Failed.into(),
                Kind::Wrong => Status::Wrong.into(),
            }
        }
    }
}

/// Ends the printing; the status tells if not all of it has arrived.
fn finish(status: Status) -> ExitCode {
    match output::finish() {
        Ok(()) => status.into(),
        Err(error) => {
            output::print_error(format_args!("portals: {error}\n"));
            Status::Failed.into()
        }
    }
}

/// Memory holds keys: no core dump of it, and no look into it by another program of the same user. The demo has no keys of anybody's, and
/// an ordinary user's namespaces need files in /proc that then are root's.
fn keep_memory_private(cli: &Cli) {
    if matches!(cli.command, Some(Command::Demo(_))) {
        return;
    }
    if let Err(errno) = set_dumpable(false) {
        log::warn!("cannot keep this program's memory out of core dumps: {}", errno.desc());
    }
}

/// Results go to standard output; the log, like errors, elsewhere.
fn start_log(cli: &Cli) {
    let level = if cli.verbose || cli.is_service() { LevelFilter::Info } else { LevelFilter::Warn };
    logging::start(level, cli.log_file(), cli.is_service());
}
