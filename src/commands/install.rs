//! `portals install`: this program where it lasts, the boot hook of this platform, and the agent.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::unistd::geteuid;

use super::{Status, down};
use crate::base::error::{Context as _, Error, Errors, Result};
use crate::base::path::folder_of;
use crate::cli::Install;
use crate::cli::output::say;
use crate::engine::journal::Journal;
use crate::system::disk::{self, Source};
use crate::system::packages;
use crate::system::platform::{self, Found, Layout, Machine, NETWORK_FILE, Order, Step};

/// This program, wherever it lies.
const OURSELVES: &str = "/proc/self/exe";

/// How long the agent may take until it is there, or gone.
const PATIENCE: Duration = Duration::from_secs(15);

/// Puts it in place, or the newer one in the place of the older.
pub(super) fn run(options: &Install) -> Result<Status, Errors> {
    let place = Place::open(options.root.as_deref())?;
    let program = disk::read_up_to(OURSELVES.as_ref(), Source::Kernel, u64::MAX - 1)
        .doing(|| format!("cannot read this program ({OURSELVES})"))?;
    let found = place.look(&program, !options.no_start)?;
    place.carry_out(&platform::install(&place.layout, &found), &program)?;
    if !found.has_network_file && !found.may_start {
        say!("next: {}/{NETWORK_FILE} and the key beside it are not there yet", place.layout.folder);
    }
    Ok(Status::Done)
}

/// The machine to install on, be it this one or a folder.
pub(super) struct Place {
    root: Option<PathBuf>,
    pub(super) layout: Layout,
}

impl Place {
    /// Finds out what kind of machine it is.
    pub(super) fn open(root: Option<&Path>) -> Result<Self> {
        if root.is_none() && !geteuid().is_root() {
            return Err(Error::failed(
                "this changes how the machine starts: run it as root, such as with sudo",
            ));
        }
        if let Some(command) = packages::remover(root.unwrap_or(Path::new("/"))) {
            return Err(Error::failed(format!(
                "portals came as a package here, which brings its hook and takes it away: use `{command}`, or upgrade the package"
            )));
        }
        let machine = Machine { is_live: root.is_none(), has: &|path| is_there(&inside(root, path)) };
        let layout = platform::layout(&machine).ok_or_else(|| {
            Error::failed(
                "nothing here would start it at boot: neither EdgeOS, UniFi OS, OpenWrt, systemd nor OpenRC was found; let what \
                 starts your programs start `portals run` (in a container it is the command)",
            )
        })?;
        Ok(Self { root: root.map(Path::to_owned), layout })
    }

    /// Looks what is there of it. `program` is what shall be.
    pub(super) fn look(&self, program: &[u8], may_start: bool) -> Result<Found> {
        let Layout { files, links, .. } = &self.layout;
        let mut found = Found {
            may_start: may_start && self.root.is_none(),
            has_agent: self.root.is_none() && Journal::open()?.has_agent()?,
            has_network_file: is_there(&self.path(&format!("{}/{NETWORK_FILE}", self.layout.folder))),
            ..Found::default()
        };
        let mut note = |path: &str, is_right: bool| {
            if is_there(&self.path(path)) {
                found.there.push(path.to_owned());
            }
            if is_right {
                found.right.push(path.to_owned());
            }
        };
        let is = |path: &str, bytes: &[u8], mode| is_file_with(&self.path(path), bytes, mode);
        note(&self.layout.program, is(&self.layout.program, program, 0o755));
        for file in files {
            note(&file.path, is(&file.path, file.text.as_bytes(), file.mode));
        }
        for link in links {
            note(&link.path, fs::read_link(self.path(&link.path)).is_ok_and(|target| target == *link.target));
        }
        Ok(found)
    }

    /// Does all of it, past what fails, and says what was done.
    pub(super) fn carry_out(&self, steps: &[Step], program: &[u8]) -> Result<(), Errors> {
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

    /// Does one thing; what to say about it.
    fn carry_out_one(&self, step: &Step, program: &[u8]) -> Result<String, Errors> {
        Ok(match step {
            Step::Copy(path) => {
                self.put(path, |path| disk::replace(path, program, 0o755))?;
                format!("copied this program to {path}")
            }
            Step::Write(file) => {
                self.put(&file.path, |path| disk::replace(path, file.text.as_bytes(), file.mode))?;
                format!("wrote {}", file.path)
            }
            Step::Link(link) => {
                self.put(&link.path, |path| disk::replace_with(path, |draft| symlink(&link.target, draft)))?;
                format!("linked {} to {}", link.path, link.target)
            }
            Step::Remove(path) => {
                fs::remove_file(self.reach(path)?).doing(|| format!("cannot remove {path}"))?;
                format!("removed {path}")
            }
            Step::Keep(path) => format!("already so: {path}"),
            Step::ReadUnits => {
                call(&["systemctl".to_owned(), "daemon-reload".to_owned()])?;
                "systemd has read its units again".to_owned()
            }
            Step::Tell(order) => self.tell(*order)?,
            Step::TakeDown => {
                down::run(&Path::new(self.layout.folder).join(NETWORK_FILE))?;
                String::new()
            }
            Step::Running => "already so: the agent runs".to_owned(),
            Step::Stranger => format!(
                "an agent runs that was started by hand: end it, then `{}`",
                self.layout.keeper.call(Order::Start).join(" ")
            ),
            Step::NoNetwork => self.no_network(),
        })
    }

    /// Puts something at a path, whole or not at all.
    fn put(&self, path: &str, put: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
        let path = self.reach(path)?;
        fs::create_dir_all(folder_of(&path))
            .and_then(|()| put(&path))
            .doing(|| format!("cannot write {}", path.display()))
    }

    /// Has the agent started or stopped, and waits until that is so.
    fn tell(&self, order: Order) -> Result<String> {
        call(&self.layout.keeper.call(order))?;
        let wanted = order != Order::Stop;
        let (journal, until) = (Journal::open()?, Instant::now() + PATIENCE);
        while journal.has_agent()? != wanted {
            if Instant::now() > until {
                let missed = if wanted { "has not come up" } else { "has not ended" };
                let log = self.layout.log;
                return Err(Error::failed(format!("the agent {missed}; what it says: {log}")));
            }
            sleep(Duration::from_millis(50));
        }
        let log = self.layout.log;
        Ok(match order {
            Order::Start => format!("started the agent; what it says: {log}"),
            Order::Restart => format!("started the agent anew; what it says: {log}"),
            Order::Stop => "ended the agent".to_owned(),
        })
    }

    fn no_network(&self) -> String {
        let Layout { folder, program, .. } = &self.layout;
        format!(
            "next: there is no {folder}/{NETWORK_FILE} yet; `{program} init --help` tells how to make one; then run `{program} install` again, \
             which starts the agent"
        )
    }

    /// The same of a path that is about to change: in an image, a link of its own to `/usr` would lead to that of this machine.
    fn reach(&self, path: &str) -> Result<PathBuf> {
        let reached = self.path(path);
        let Some(root) = &self.root else { return Ok(reached) };
        let there = reached.ancestors().skip(1).find_map(|folder| folder.canonicalize().ok());
        let root = root.canonicalize().doing(|| format!("cannot find {}", root.display()))?;
        match there {
            Some(there) if !there.starts_with(&root) => Err(Error::failed(format!(
                "{} is outside of {}, where a link leads to: make that link a relative one",
                there.display(),
                root.display()
            ))),
            _ => Ok(reached),
        }
    }

    /// Where a path of the machine lies for this program.
    fn path(&self, path: &str) -> PathBuf {
        inside(self.root.as_deref(), path)
    }
}

fn inside(root: Option<&Path>, path: &str) -> PathBuf {
    root.map_or_else(|| path.into(), |root| root.join(path.trim_start_matches('/')))
}

/// A link is there though it leads nowhere.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn is_file_with(path: &Path, bytes: &[u8], mode: u32) -> bool {
    let is_one =
        |metadata: fs::Metadata| metadata.is_file() && metadata.permissions().mode() & 0o7777 == mode;
    path.symlink_metadata().is_ok_and(is_one)
        && disk::read_up_to(path, Source::Kernel, bytes.len() as u64).is_ok_and(|there| there == bytes)
}

/// Runs a program, whose output goes where ours does.
fn call(words: &[String]) -> Result<()> {
    let text = || words.join(" ");
    let status = Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .status()
        .doing(|| format!("cannot run {}", text()))?;
    if status.success() { Ok(()) } else { Err(Error::failed(format!("{}: {status}", text()))) }
}
