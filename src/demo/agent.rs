//! The real agent at a site: starts, stops and kills it, and reads its log.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use super::namespace::Namespace;
use crate::base::error::{Context as _, Error, Result};
use crate::base::net::Secret;
use crate::system::child::Child;
use crate::system::command::Command;
use crate::system::disk::{self, FileOrigin};
use crate::system::key_files;

/// Folder of a site's network file and key, in the site's own namespace: the folder vanishes with it.
const FOLDER: &str = "/run/demo";

/// Path of a site's network file, in the site's namespace.
pub const NETWORK_FILE: &str = "/run/demo/network.toml";

/// Path of the agent's standard error, in the site's namespace.
pub const LOG_FILE: &str = "/run/demo/agent.log";

/// Time limit for an agent to end when asked to. The agent may be in the middle of a change to iptables,
/// which takes long on a busy emulated processor.
const STOP_TIMEOUT: Duration = Duration::from_mins(1);

/// Program `portals`, as a site runs it.
#[derive(Debug)]
pub(super) struct PortalsProgram {
    /// Path of the program.
    pub(super) path: PathBuf,
    /// Additional environment variables; the last value of a name counts.
    pub(super) environment: Vec<(&'static str, String)>,
}

impl PortalsProgram {
    fn command<'a>(&self, router: &Namespace, arguments: &[&str]) -> Command<'a> {
        let mut command = Command::new(&self.path);
        command.arg0(c"portals").args(arguments).args(&["--config", NETWORK_FILE]);
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        router.confine(&mut command);
        command
    }
}

/// Running `portals run`, killed when dropped.
#[derive(Debug)]
pub struct AgentProcess {
    child: Child,
}

impl AgentProcess {
    /// Starts the agent with the network file that is installed.
    pub(super) fn start(router: &Namespace, program: &PortalsProgram) -> Result<Self> {
        let log = router.run(|| {
            File::options()
                .create(true)
                .append(true)
                .open(LOG_FILE)
                .context(|| format!("cannot write {LOG_FILE}"))
        })?;
        let mut command = program.command(router, &["run"]);
        let child = command
            .stderr(log.as_fd())
            .spawn()
            .context(|| format!("cannot start the agent of {}", router.name()))?;
        Ok(Self { child })
    }

    /// Returns the number of the agent's process.
    pub fn pid(&self) -> u32 {
        self.child.pid().as_raw().cast_unsigned()
    }

    /// Reports whether the agent still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Makes the agent read its network file again.
    pub fn reload(&self) -> Result<()> {
        self.signal(Signal::SIGHUP)
    }

    /// Asks the agent to end, and waits until it has ended.
    pub fn stop(mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            if !self.is_running() {
                return Ok(());
            }
            sleep(Duration::from_millis(10));
        }
        Err(Error::failed("the agent does not end when asked to"))
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.child.pid(), signal).context(|| format!("cannot send {signal} to the agent"))
    }
}

impl Drop for AgentProcess {
    /// Kills the agent, as a crash would.
    fn drop(&mut self) {
        // Both calls fail only for a process that has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the log of a site's agents so far.
pub(super) fn log(router: &Namespace) -> String {
    router
        .run(|| disk::read(LOG_FILE.as_ref(), FileOrigin::Host).context(|| format!("cannot read {LOG_FILE}")))
        .map_or_else(|error| error.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Runs the program at a site, and waits until it ends.
pub(super) fn output(router: &Namespace, program: &PortalsProgram, arguments: &[&str]) -> Result<Output> {
    let command = program.command(router, arguments);
    command.output(&[]).context(|| format!("cannot run portals {} at {}", arguments.join(" "), router.name()))
}

/// Creates a site's folder, with its key.
pub(super) fn install_key(router: &Namespace, key: &Secret) -> Result<()> {
    router.run(|| {
        fs::create_dir_all(FOLDER).context(|| format!("cannot make {FOLDER} of {}", router.name()))?;
        key_files::save(&Path::new(FOLDER).join(key_files::PRIVATE_KEY_FILE), key)
    })
}

/// Installs a network file where the agent reads it.
pub(super) fn install(router: &Namespace, network: &str) -> Result<()> {
    router.run(|| {
        fs::write(NETWORK_FILE, network)
            .context(|| format!("cannot write {NETWORK_FILE} of {}", router.name()))
    })
}
