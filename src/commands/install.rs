//! `portals install`: copies this program to a lasting place, writes the boot hook of this platform, and
//! starts the agent.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::geteuid;

use super::{ExitStatus, THIS_PROGRAM, down, has_agent};
use crate::base::error::{Context as _, Error, Errors, Result};
use crate::base::path::folder_of;
use crate::cli::InstallCommand;
use crate::cli::output::say;
use crate::engine::journal::Journal;
use crate::system::command::Command;
use crate::system::disk::{self, FileOrigin, cannot_write};
use crate::system::packages;
use crate::system::platform::{
    self, InstallStep, InstalledState, Layout, Machine, NETWORK_FILE, ServiceAction,
};

/// Time limit for the agent to start or to end.
const AGENT_TIMEOUT: Duration = Duration::from_secs(15);

/// Installs this program, or upgrades an older installation.
pub(super) fn run(options: &InstallCommand) -> Result<ExitStatus, Errors> {
    let target = InstallTarget::open(options.root.as_deref())?;
    let program = disk::read_up_to(THIS_PROGRAM.as_ref(), FileOrigin::Kernel, u64::MAX - 1)
        .context(|| format!("cannot read this program ({THIS_PROGRAM})"))?;
    let found = target.compare(&program, !options.no_start)?;
    target.carry_out(&platform::install(&target.layout, &found), &program)?;
    if !found.has_network_file && !found.may_start {
        say!(
            "next: create {}/{NETWORK_FILE} and the key next to it; neither exists yet",
            target.layout.folder
        );
    }
    Ok(ExitStatus::Done)
}

/// Machine to install on: this machine, or a folder that holds an image.
pub(super) struct InstallTarget {
    root: Option<PathBuf>,
    pub(super) layout: Layout,
}

impl InstallTarget {
    /// Finds out the platform of a machine on which this program, and no package, manages the boot hook.
    pub(super) fn open(root: Option<&Path>) -> Result<Self> {
        if root.is_none() {
            need_root()?;
        }
        if let Some(command) = packages::removal_command(root.unwrap_or(Path::new("/"))) {
            return Err(Error::failed(format_args!(
                "portals is installed as a package here, and the package manages the boot hook: use \
                 `{command}`, or upgrade the package"
            )));
        }
        Self::find(root)
    }

    /// Finds out the platform of a machine.
    pub(super) fn find(root: Option<&Path>) -> Result<Self> {
        if let Some(root) = root.filter(|root| !root.is_dir()) {
            return Err(Error::wrong(["there is no folder ", &root.to_string_lossy()].concat()));
        }
        let machine = Machine { is_live: root.is_none(), has: &|path| is_there(&inside(root, path)) };
        let layout = platform::layout(&machine).ok_or_else(|| {
            let place = root.map_or("this machine".into(), Path::to_string_lossy);
            Error::failed(format_args!(
                "there is no init on {place} that portals knows: neither EdgeOS, UniFi OS, OpenWrt, systemd \
                 nor OpenRC was found. Your own init, or a container, can run `portals run`; SIGTERM ends it"
            ))
        })?;
        Ok(Self { root: root.map(Path::to_owned), layout })
    }

    /// Compares the machine with the layout. `program` holds the bytes of the desired program.
    pub(super) fn compare(&self, program: &[u8], may_start: bool) -> Result<InstalledState> {
        let Layout { files, links, .. } = &self.layout;
        let mut found = InstalledState {
            may_start: may_start && self.root.is_none(),
            has_agent: self.root.is_none() && has_agent()?,
            has_network_file: self.has_network_file(),
            ..InstalledState::default()
        };
        let mut record = |path: &str, is_right: bool| {
            if is_there(&self.path(path)) {
                found.there.push(path.to_owned());
            }
            if is_right {
                found.right.push(path.to_owned());
            }
        };
        let is_file = |path: &str, bytes: &[u8], mode| is_file_with(&self.path(path), bytes, mode);
        record(&self.layout.program, is_file(&self.layout.program, program, 0o755));
        for file in files {
            record(&file.path, is_file(&file.path, file.text.as_bytes(), file.mode));
        }
        for link in links {
            record(
                &link.path,
                fs::read_link(self.path(&link.path)).is_ok_and(|target| target == *link.target),
            );
        }
        Ok(found)
    }

    /// Reports whether the machine has a network file.
    pub(super) fn has_network_file(&self) -> bool {
        is_there(&self.path(&format!("{}/{NETWORK_FILE}", self.layout.folder)))
    }

    /// Carries out all steps, even after one fails, and prints every step.
    pub(super) fn carry_out(&self, steps: &[InstallStep], program: &[u8]) -> Result<(), Errors> {
        let mut errors = Vec::new();
        for step in steps {
            match self.carry_out_one(step, program) {
                Ok(words) if words.is_empty() => {}
                Ok(words) => say!("{words}"),
                Err(error) => errors.extend(error),
            }
        }
        Errors::check(errors, ())
    }

    /// Carries out one step, and returns its description; an empty one is not printed.
    fn carry_out_one(&self, step: &InstallStep, program: &[u8]) -> Result<String, Errors> {
        Ok(match step {
            InstallStep::Copy(path) => {
                self.put(path, &|path| disk::replace(path, program, 0o755))?;
                format!("copied this program to {path}")
            }
            InstallStep::Write(file) => {
                self.put(&file.path, &|path| disk::replace(path, file.text.as_bytes(), file.mode))?;
                format!("wrote {}", file.path)
            }
            InstallStep::Link(link) => {
                self.put(&link.path, &|path| {
                    disk::replace_with(path, &|draft| symlink(&link.target, draft))
                })?;
                format!("linked {} to {}", link.path, link.target)
            }
            InstallStep::Remove(path) => {
                fs::remove_file(self.path_to_change(path)?).context(|| format!("cannot remove {path}"))?;
                format!("removed {path}")
            }
            InstallStep::Keep(path) => format!("unchanged: {path}"),
            InstallStep::ReadUnits => {
                run_program(&["systemctl", "daemon-reload"])?;
                "systemd reloaded its units".to_owned()
            }
            InstallStep::Tell(order) => self.give_order(*order)?,
            InstallStep::TakeDown => {
                down::run(&Path::new(self.layout.folder).join(NETWORK_FILE))?;
                String::new()
            }
            InstallStep::Running => "unchanged: the agent runs".to_owned(),
            InstallStep::Stranger => {
                [&Journal::open()?.agent_in_the_way(), "; then run `portals start`"].concat()
            }
            InstallStep::NoNetwork => ["next: ", &self.no_network()].concat(),
        })
    }

    /// Creates or replaces the object at a path, completely or not at all.
    fn put(&self, path: &str, put: &dyn Fn(&Path) -> io::Result<()>) -> Result<()> {
        let path = self.path_to_change(path)?;
        fs::create_dir_all(folder_of(&path)).and_then(|()| put(&path)).context(|| cannot_write(&path))
    }

    /// Makes the init system start or stop the agent, and waits for the result.
    pub(super) fn give_order(&self, order: ServiceAction) -> Result<String> {
        run_program(&self.layout.keeper.call(order))?;
        let wanted = order != ServiceAction::Stop;
        let until = Instant::now() + AGENT_TIMEOUT;
        while has_agent()? != wanted {
            if Instant::now() > until {
                let missed = if wanted { "has not started" } else { "has not ended" };
                return Err(Error::failed(format_args!("the agent {missed}; to see its log: portals logs")));
            }
            sleep(Duration::from_millis(50));
        }
        let done = match order {
            ServiceAction::Start => "started the agent; to see its log: portals logs",
            ServiceAction::Restart => "restarted the agent; to see its log: portals logs",
            ServiceAction::Stop => "ended the agent",
        };
        Ok(done.to_owned())
    }

    /// Returns the words about a network file that is missing.
    pub(super) fn no_network(&self) -> String {
        let Layout { folder, program, .. } = &self.layout;
        // A package has its program at another place.
        let program = if is_there(&self.path(program)) { program } else { "portals" };
        format!(
            "{folder}/{NETWORK_FILE} does not exist yet: `{program} init` begins a network, and `{program} \
             install` then starts the agent; `{program} join TOKEN` joins a network, and starts the agent"
        )
    }

    /// Returns the same as [`Self::path`], for a path that is about to change. In an image, an absolute link
    /// such as one to `/usr` would lead to a folder of this machine, which is an error.
    fn path_to_change(&self, path: &str) -> Result<PathBuf> {
        let reached = self.path(path);
        let Some(root) = &self.root else { return Ok(reached) };
        let there = reached.ancestors().skip(1).find_map(|folder| folder.canonicalize().ok());
        let root = root.canonicalize().context(|| format!("cannot find {}", root.display()))?;
        match there {
            Some(there) if !there.starts_with(&root) => Err(Error::failed(format_args!(
                "a link leads to {}, which is outside {}: make the link relative",
                there.display(),
                root.display()
            ))),
            _ => Ok(reached),
        }
    }

    /// Returns the path at which this program finds a path of the machine.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        inside(self.root.as_deref(), path)
    }
}

/// Checks that this process may change how the machine starts.
pub(super) fn need_root() -> Result<()> {
    if geteuid().is_root() {
        return Ok(());
    }
    Err(Error::failed("this command changes what this machine runs").because(Errno::EPERM))
}

fn inside(root: Option<&Path>, path: &str) -> PathBuf {
    root.map_or_else(|| path.into(), |root| root.join(path.trim_start_matches('/')))
}

/// Reports whether a path exists. A link exists even if it leads nowhere.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn is_file_with(path: &Path, bytes: &[u8], mode: u32) -> bool {
    let is_one =
        |metadata: fs::Metadata| metadata.is_file() && metadata.permissions().mode() & 0o7777 == mode;
    path.symlink_metadata().is_ok_and(is_one)
        && disk::read_up_to(path, FileOrigin::Kernel, bytes.len() as u64).is_ok_and(|there| there == bytes)
}

/// Runs a program, which shares this program's standard output and standard error.
pub(super) fn run_program(words: &[&str]) -> Result<()> {
    let text = || words.join(" ");
    let mut command = Command::new(words[0]);
    let status = command.args(&words[1..]).status().context(|| format!("cannot run {}", text()))?;
    if status.success() { Ok(()) } else { Err(Error::failed(format_args!("{}: {status}", text()))) }
}
