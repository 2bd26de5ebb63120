//! The `portals` program: reads the command line, runs the command, turns errors into an exit status.

use std::process::ExitCode;

use argh::FromArgs as _;
use dlmalloc::GlobalDlmalloc;
use log::LevelFilter;
use simplelog::{ConfigBuilder, WriteLogger};
use wg_portals::cli::{self, Cli};
use wg_portals::commands::{self, Status};
use wg_portals::error::Kind;

/// That of musl gives every few pages back to the kernel at once, which cost a quarter of the time of a call about 64 exits.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> ExitCode {
    let arguments = cli::globals_first(std::env::args().skip(1).collect());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let cli = match Cli::from_args(&["portals"], &arguments) {
        Ok(cli) => cli,
        Err(exit) if exit.status.is_ok() => {
            print!("{}", exit.output);
            return ExitCode::SUCCESS;
        }
        Err(exit) => {
            eprint!("{}", exit.output);
            return Status::Wrong.into();
        }
    };
    start_log(&cli);
    match commands::run(cli) {
        Ok(status) => status.into(),
        Err(errors) => {
            for error in &errors {
                eprintln!("portals: {error}");
            }
            match errors.kind() {
                Kind::Failed => Status::Failed.into(),
                Kind::Wrong => Status::Wrong.into(),
            }
        }
    }
}

/// Results go to standard output; the log, like errors, to standard error. Libraries speak only when they warn: what they
/// say below that may hold keys.
fn start_log(cli: &Cli) {
    let level = if cli.verbose || cli.is_agent() { LevelFilter::Info } else { LevelFilter::Warn };
    let config = ConfigBuilder::new()
        .add_filter_allow_str("wg_portals")
        .set_time_level(LevelFilter::Off)
        .set_target_level(LevelFilter::Off)
        .set_thread_level(LevelFilter::Off)
        .set_location_level(LevelFilter::Off)
        .build();
    // It fails only if a logger was set before, and none was.
    let _ = WriteLogger::init(level, config, std::io::stderr());
}
