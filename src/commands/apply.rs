//! `portals apply`: make the kernel match the network file, once.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Status, show_notes};
use crate::apply::{apply, prepare};
use crate::describe::count;
use crate::error::{Context as _, Error, Errors, Result};
use crate::journal::Journal;
use crate::kernel::linux::Linux;
use crate::load::{Files, resolve};
use crate::plan::plan;
use crate::state::{Backend, State};

/// How long the agent may take for a change.
const PATIENCE: Duration = Duration::from_secs(10);

/// Applies all of it, or nothing. Where an agent runs it does that: it would otherwise put back what it knows.
pub(super) fn run(file: &Path) -> Result<Status, Errors> {
    let files = Files::read(file)?;
    let resolved = resolve(files.names()?);
    let journal = Journal::open()?;
    let mut kernel = Linux::open()?;
    let site = files.site(&mut kernel, &resolved)?;
    let want = plan(&site);
    let changes = match journal.agent()? {
        Some(agent) => apply_by_agent(agent, &mut kernel, &journal, &want)?,
        None if site.backend == Backend::BuiltIn && !site.tunnels.is_empty() => {
            return Err(needs_agent().into());
        }
        None => {
            let _lock =
                journal.lock(|| eprintln!("another portals is changing this machine; waiting for it"))?;
            apply(&mut kernel, &journal, &want)?.len()
        }
    };
    if changes == 0 {
        println!("nothing to do: this machine is as {} says", file.display());
    } else {
        show_notes(&site.notes);
        println!("done: {}", count(changes, "change"));
    }
    Ok(Status::Done)
}

/// Has the agent read the file again, and waits until nothing is left to change. Returns how much there was.
fn apply_by_agent(agent: Pid, kernel: &mut Linux, journal: &Journal, want: &State) -> Result<usize> {
    let changes = prepare(kernel, journal, want)?.steps.len();
    // Also where nothing is to be done: the agent must know the file as it is now.
    kill(agent, Signal::SIGHUP).doing(|| format!("cannot signal the agent (process {agent})"))?;
    let give_up = Instant::now() + PATIENCE;
    while changes > 0 && !prepare(kernel, journal, want)?.steps.is_empty() {
        if Instant::now() > give_up {
            return Err(Error::failed(format!(
                "the agent (process {agent}) did not make this machine as the file says within {} seconds: does it use another \
                 file? Its log tells what went wrong; `portals plan` what is missing",
                PATIENCE.as_secs()
            )));
        }
        sleep(Duration::from_millis(50));
    }
    Ok(changes)
}

fn needs_agent() -> Error {
    Error::failed(
        "the built-in WireGuard, which this site uses, lives only as long as the agent: use `portals run` (or load the kernel's \
         module: modprobe wireguard)",
    )
}
