//! The real program at a site: started, stopped, killed, and what it had to say.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::namespace::Namespace;
use crate::base::error::{Context as _, Error, Result};
use crate::base::net::Secret;
use crate::system::disk::{self, Source};
use crate::system::key_files;

/// Where a site keeps its network file and its key: in a folder of its own namespace, that vanishes with it.
const FOLDER: &str = "/run/demo";

/// The network file of a site, as a path in its namespace.
pub const NETWORK_FILE: &str = "/run/demo/network.toml";

/// What the agent says on standard error, as a path in its site's namespace.
pub const LOG_FILE: &str = "/run/demo/agent.log";

/// The time that an agent may take to end when asked to. It may be in the midst of a change of iptables, which takes long
/// on an emulated processor that does much else.
const FAREWELL: Duration = Duration::from_mins(1);

/// `portals` as a site runs it.
#[derive(Debug)]
pub(super) struct Program {
    /// Where it lies.
    pub(super) path: PathBuf,
    /// Variables of its environment; the last of a name counts.
    pub(super) environment: Vec<(&'static str, String)>,
}

impl Program {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command.args(arguments).args(["--config", NETWORK_FILE]).stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// `portals run`, until dropped.
#[derive(Debug)]
pub struct Agent {
    child: Child,
}

impl Agent {
    /// Starts it with the network file that is there.
    pub(super) fn start(router: &Namespace, program: &Program) -> Result<Self> {
        let log = router.run(|| {
            File::options()
                .create(true)
                .append(true)
                .open(LOG_FILE)
                .doing(|| format!("cannot write {LOG_FILE}"))
        })?;
        let mut command = program.command(&["run"]);
        command.arg0("portals").stdout(Stdio::null()).stderr(log);
        let child =
            router.spawn(&mut command).doing(|| format!("cannot start the agent of {}", router.name()))?;
        Ok(Self { child })
    }

    /// Number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is still there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Tells it to read its file again.
    pub fn reload(&self) -> Result<()> {
        self.signal(Signal::SIGHUP)
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        let deadline = Instant::now() + FAREWELL;
        while Instant::now() < deadline {
            if !self.is_running() {
                return Ok(());
            }
            sleep(Duration::from_millis(10));
        }
        Err(Error::failed("the agent does not end when asked to"))
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal)
            .doing(|| format!("cannot send {signal} to the agent"))
    }
}

impl Drop for Agent {
    /// Kills it, as a crash would.
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the agents of a site have said so far.
pub(super) fn log(router: &Namespace) -> String {
    router
        .run(|| disk::read(LOG_FILE.as_ref(), Source::Host).doing(|| format!("cannot read {LOG_FILE}")))
        .map_or_else(|error| error.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Runs the program at a site and waits for its end.
pub(super) fn output(router: &Namespace, program: &Program, arguments: &[&str]) -> Result<Output> {
    let mut command = program.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    router
        .spawn(&mut command)
        .and_then(Child::wait_with_output)
        .doing(|| format!("cannot run portals {} at {}", arguments.join(" "), router.name()))
}

/// Gives a site its folder and its key.
pub(super) fn install_key(router: &Namespace, key: &Secret) -> Result<()> {
    router.run(|| {
        fs::create_dir_all(FOLDER).doing(|| format!("cannot make {FOLDER} of {}", router.name()))?;
        key_files::save(&Path::new(FOLDER).join(key_files::PRIVATE_KEY_FILE), key)
    })
}

/// Puts a network file where the agent looks.
pub(super) fn install(router: &Namespace, network: &str) -> Result<()> {
    router.run(|| {
        fs::write(NETWORK_FILE, network).doing(|| format!("cannot write {NETWORK_FILE} of {}", router.name()))
    })
}
