//! Journal: files that last from one call to the next. They hold the lock, and the claims on objects that the
//! kernel does not show to be ours.
//!
//! Interfaces, routes, rules and the firewall table carry our mark. So a call that was cut short needs no log
//! to be completed or undone: the next call looks at the machine. Objects without a mark are written here
//! *before* they are touched: the former values of kernel settings, and addresses and "up" on interfaces of
//! the host. The journal is in `/run`: a reboot clears both the kernel and the journal.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::unistd::getpid;

use crate::base::error::{Context as _, Error, Result};
use crate::base::moment::{after, has_come};
use crate::base::net::{IfName, InterfaceAddress, PublicKey};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::state::step::{RoutingStep, Step, SysctlChange};
use crate::state::{Scope, State};
use crate::system::disk::{self, FileOrigin, cannot_write};
use crate::system::logging as log;
use crate::system::platform;

/// Folder of run-time files.
pub(crate) const FOLDER: &str = "/run/portals";

/// Longest wait of a second call for the first one.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Most characters of an unknown line in a warning.
const MOST_SHOWN: usize = 80;

/// Longest wait for the agent's lock while another call only looks at it.
const GLANCE: Duration = Duration::from_millis(200);

/// Journal in a folder of run-time files.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
}

/// Claims on objects that the kernel does not show to be ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Values of kernel settings before we changed them.
    pub sysctls: SortedMap<String, String>,
    /// Addresses that we gave to interfaces of the host.
    pub addresses: SortedSet<(IfName, InterfaceAddress)>,
    /// Interfaces of the host that we set up.
    pub raised: SortedSet<IfName>,
    /// Set while changes are begun and not finished.
    pub begun: bool,
}

/// Lock that is held during a change of the machine, or by the agent as long as it runs. The kernel releases
/// it with the process.
#[derive(Debug)]
pub struct Lock {
    file: Flock<File>,
}

impl Journal {
    /// Opens the journal of this machine, or rather of this mount namespace.
    pub fn open() -> Result<Self> {
        Self::in_folder(Path::new(FOLDER))
    }

    /// Opens the journal in a folder, and makes the folder if it does not exist.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        disk::make_folder(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Returns the folder of run-time files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes the lock for changes of the machine. If another call holds it, calls `waiting`, then waits for
    /// up to ten seconds.
    pub fn lock(&self, waiting: &mut dyn FnMut()) -> Result<Lock> {
        let path = self.folder.join("lock");
        if let Some(lock) = try_lock(&path, FlockArg::LockExclusiveNonblock)? {
            return Ok(lock);
        }
        waiting();
        lock_within(&path, LOCK_TIMEOUT)?.ok_or_else(|| {
            Error::failed(format!(
                "another portals process has been changing this machine for more than {} seconds (it holds \
                 {}); find it with: pgrep -a portals",
                LOCK_TIMEOUT.as_secs(),
                path.display()
            ))
        })
    }

    /// Takes the agent's place; `None` if an agent runs already.
    pub fn lock_agent(&self) -> Result<Option<Lock>> {
        // A call that only asks for an agent holds the lock for a moment as well.
        let mut lock = lock_within(&self.agent_path(), GLANCE)?;
        if let Some(lock) = &mut lock {
            let path = self.agent_path();
            let number = getpid().to_string();
            let written = lock.file.set_len(0).and_then(|()| lock.file.write_all(number.as_bytes()));
            written.context(|| cannot_write(&path))?;
        }
        Ok(lock)
    }

    /// Returns the words about an agent that is in the way: its process, and the command that ends it.
    pub fn agent_in_the_way(&self) -> String {
        let process = disk::text_or_empty(&self.agent_path(), FileOrigin::Ours);
        let stop = platform::stop_command(&process);
        [
            "an agent (`portals run`, process ",
            &process,
            ") is at work on this machine: end it first, with `",
            &stop,
            "`",
        ]
        .concat()
    }

    /// Reports whether an agent runs on this machine.
    pub fn has_agent(&self) -> Result<bool> {
        // Shared, so that two calls that ask do not take each other for an agent.
        Ok(try_lock(&self.agent_path(), FlockArg::LockSharedNonblock)?.is_none())
    }

    /// Reads the claims of earlier calls. A journal that cannot be read, or not completely, is no error: it
    /// is set aside, and the lines that can be parsed still count.
    pub fn claims(&self) -> Result<Claims> {
        let path = self.claims_path();
        let (claims, fault) = match disk::read(&path, FileOrigin::Ours) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Claims::default()),
            Err(error) => (Claims::default(), Some(error.to_string())),
            Ok(bytes) => {
                let (claims, strange) = Claims::parse(&bytes);
                (claims, strange.map(|line| format!("this version does not know the line `{line}`")))
            }
        };
        if let Some(fault) = fault {
            self.set_aside(&claims, &fault);
        }
        Ok(claims)
    }

    /// Renames the journal, so that a person can look at it, and writes a new one with the readable claims.
    fn set_aside(&self, readable: &Claims, fault: &str) {
        let (path, aside) = (self.claims_path(), self.folder.join("journal.bad"));
        let moved = disk::rename(&path, &aside).context(|| cannot_write(&aside));
        let moved = moved.and_then(|()| self.record(readable));
        let file = path.display();
        match moved {
            Ok(()) => log::warn!(
                "{file}: {fault}; the file is {} now. `portals down` cannot give back what only that file \
                 tells: compare its `sysctl` lines with /proc/sys",
                aside.display()
            ),
            Err(error) => {
                log::warn!("{file}: {fault}; it stays in place, because it cannot be renamed: {error}");
            }
        }
    }

    /// Writes the claims, completely or not at all.
    pub fn record(&self, claims: &Claims) -> Result<()> {
        let path = self.claims_path();
        let context = || cannot_write(&path);
        match claims.to_text().as_str() {
            "" => disk::remove(&path).context(context),
            text => disk::replace(&path, text.as_bytes(), 0o600).context(context),
        }
    }

    /// Writes the endpoints at which peers of tunnels were last heard, for the next agent.
    pub fn hand_over(&self, heard: &[(IfName, PublicKey, SocketAddr)]) -> Result<()> {
        let path = self.endpoints_path();
        let mut text = String::new();
        for (name, key, from) in heard {
            let _ = writeln!(text, "{name} {key} {from}");
        }
        disk::replace(&path, text.as_bytes(), 0o600).context(|| cannot_write(&path))
    }

    /// Reads and removes the endpoints that the last agent has written. A line that cannot be parsed does not
    /// count.
    pub fn take_over(&self) -> Result<Vec<(IfName, PublicKey, SocketAddr)>> {
        let path = self.endpoints_path();
        let context = || format!("cannot read {}", path.display());
        let text = disk::read_if_there(&path, FileOrigin::Ours).context(context)?.unwrap_or_default();
        disk::remove(&path).context(context)?;
        let mut heard = Vec::new();
        for line in text.lines() {
            if let [name, key, from, ..] = line.split(' ').collect::<Vec<_>>()[..]
                && let (Ok(name), Ok(key), Ok(from)) = (name.parse(), key.parse(), from.parse())
            {
                heard.push((name, key, from));
            }
        }
        Ok(heard)
    }

    fn endpoints_path(&self) -> PathBuf {
        self.folder.join("endpoints")
    }

    fn agent_path(&self) -> PathBuf {
        self.folder.join("agent")
    }

    fn claims_path(&self) -> PathBuf {
        self.folder.join("journal")
    }
}

impl Claims {
    /// Returns the scope of the objects that may be ours.
    pub fn scope(&self) -> Scope {
        Scope {
            sysctls: self.sysctls.keys().cloned().collect(),
            interfaces: self.raised.clone(),
            // Our chains have our prefix.
            iptables: SortedSet::new(),
            addresses: self.addresses.clone(),
        }
    }

    /// Returns the claims to write before the first of `steps`: they hold whether all steps are done or none.
    #[must_use]
    pub fn before(&self, steps: &[Step], want: &State, have: &State) -> Self {
        let mut claims = self.clone();
        claims.begun = true;
        let is_hosts = |name: &IfName| !want.links.contains_key(name) && !have.links.contains_key(name);
        for step in steps {
            match step {
                Step::SetSysctl(SysctlChange { key, from, .. }) if !belongs_to_link(key, want) => {
                    claims.sysctls.get_or_insert_with(key.clone(), || from.clone());
                }
                Step::Routing(RoutingStep::AddAddress(name, address)) if is_hosts(name) => {
                    claims.addresses.insert((name.clone(), *address));
                }
                Step::Routing(RoutingStep::BringUp(name)) if is_hosts(name) => {
                    claims.raised.insert(name.clone());
                }
                _ => {}
            }
        }
        claims
    }

    /// Returns the claims after all steps are done. Objects that were given back are no longer claimed.
    #[must_use]
    pub fn after(mut self, steps: &[Step]) -> Self {
        self.begun = false;
        for step in steps {
            match step {
                Step::SetSysctl(SysctlChange { key, to, .. }) if self.sysctls.get(key) == Some(to) => {
                    self.sysctls.remove(key);
                }
                Step::Routing(RoutingStep::RemoveAddress(name, address)) => {
                    self.addresses.remove(&(name.clone(), *address));
                }
                Step::Routing(RoutingStep::BringDown(name)) => {
                    self.raised.remove(name);
                }
                _ => {}
            }
        }
        self
    }

    /// Returns the text of the journal: one claim in each line, and a space between words.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        if self.begun {
            text.push_str("begun\n");
        }
        for (key, value) in &self.sysctls {
            let _ = writeln!(text, "sysctl {key} {value}");
        }
        for (interface, address) in &self.addresses {
            let _ = writeln!(text, "address {interface} {address}");
        }
        for interface in &self.raised {
            let _ = writeln!(text, "raised {interface}");
        }
        text
    }

    /// Parses the text of a journal. Returns the claims, and the first line that is no claim: it is damaged
    /// or of another version.
    pub(crate) fn parse(bytes: &[u8]) -> (Self, Option<String>) {
        let mut claims = Self::default();
        let mut strange = None;
        // Not `lines`: a value may end with a carriage return. A last line without a newline was cut short.
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n").and_then(|line| str::from_utf8(line).ok());
            if text.and_then(|line| claims.parse_line(line)).is_none() && strange.is_none() {
                let mut shown = line.trim_ascii_end().escape_ascii().to_string();
                shown.truncate(MOST_SHOWN);
                strange = Some(shown);
            }
        }
        (claims, strange)
    }

    fn parse_line(&mut self, line: &str) -> Option<()> {
        let mut words = line.splitn(3, ' ');
        match (words.next()?, words.next(), words.next()) {
            ("begun", None, None) => self.begun = true,
            ("sysctl", Some(key), Some(value)) => {
                self.sysctls.insert(key.to_owned(), value.to_owned());
            }
            ("address", Some(interface), Some(address)) => {
                self.addresses.insert((interface.parse().ok()?, address.parse().ok()?));
            }
            ("raised", Some(interface), None) => {
                self.raised.insert(interface.parse().ok()?);
            }
            _ => return None,
        }
        Some(())
    }
}

/// Takes a lock as soon as it is free; `None` if it is not free within the time.
pub(crate) fn lock_within(path: &Path, time: Duration) -> Result<Option<Lock>> {
    let give_up = after(Instant::now(), time);
    loop {
        match try_lock(path, FlockArg::LockExclusiveNonblock)? {
            None if !has_come(give_up) => std::thread::sleep(Duration::from_millis(20)),
            result => return Ok(result),
        }
    }
}

/// Takes a lock if it is free.
fn try_lock(path: &Path, how: FlockArg) -> Result<Option<Lock>> {
    let context = || format!("cannot lock {}", path.display());
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    // A pipe in its place would otherwise block this call until another process reads from it.
    let file = options.custom_flags(O_NONBLOCK | O_NOFOLLOW).open(path).context(context)?;
    match Flock::lock(file, how) {
        Ok(file) => Ok(Some(Lock { file })),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno).context(context),
    }
}

/// Reports whether a kernel setting is of an interface of ours, and vanishes with it.
fn belongs_to_link(key: &str, want: &State) -> bool {
    key.split('/').any(|part| want.links.keys().any(|link| link.as_str() == part))
}
