//! What is on disk between one call and the next: the lock, and what is ours though nothing in the kernel says so.
//!
//! Interfaces, routes, rules and the firewall table carry our mark, so a call that was cut short needs no log to be completed
//! or taken back: the next one looks. What carries no mark is written here *before* it is touched: the values that kernel settings had,
//! and addresses and "up" on the host's own interfaces. It lives in `/run`: a reboot clears both the kernel and this.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

use crate::base::error::{Context as _, Error, Result};
use crate::base::net::{IfName, InterfaceAddress, PublicKey};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::state::step::{RoutingStep, Step, SysctlChange};
use crate::state::{Scope, State};
use crate::system::disk::{self, Source};

/// Where it lives.
pub(crate) const FOLDER: &str = "/run/portals";

/// How long a second call waits for the first.
const PATIENCE: Duration = Duration::from_secs(10);

/// Characters of a line that means nothing, in a warning.
const MOST_SHOWN: usize = 80;

/// How long a look at the agent's lock may take.
const GLANCE: Duration = Duration::from_millis(200);

/// The folder of run-time files.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
}

/// What is ours though nothing in the kernel says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Values that kernel settings had before we changed them.
    pub sysctls: SortedMap<String, String>,
    /// Addresses that we gave to interfaces of the host.
    pub addresses: SortedSet<(IfName, InterfaceAddress)>,
    /// Interfaces of the host that we set up.
    pub raised: SortedSet<IfName>,
    /// Changes were begun, and not finished.
    pub begun: bool,
}

/// Held while the machine is being changed, or by the agent while it lives. The kernel drops it with the process.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

impl Journal {
    /// The journal of this machine (of this mount namespace).
    pub fn open() -> Result<Self> {
        Self::in_folder(Path::new(FOLDER))
    }

    /// A journal in a folder of its own, which is made if it is not there.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The folder of run-time files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes the lock for changing the machine. If another call holds it, says so through `waiting` and waits up to ten
    /// seconds.
    pub fn lock(&self, waiting: impl FnOnce()) -> Result<Lock> {
        let path = self.folder.join("lock");
        if let Some(lock) = try_lock(&path, FlockArg::LockExclusiveNonblock)? {
            return Ok(lock);
        }
        waiting();
        lock_within(&path, PATIENCE)?.ok_or_else(|| {
            Error::failed(format!(
                "another portals has been changing this machine for more than {} seconds (it holds {}); look for it with: pgrep \
                 -a portals",
                PATIENCE.as_secs(),
                path.display()
            ))
        })
    }

    /// Takes the agent's place; `None` if an agent is there already.
    pub fn lock_agent(&self) -> Result<Option<Lock>> {
        // Who only asks whether there is an agent holds the lock for a moment, too.
        lock_within(&self.agent_path(), GLANCE)
    }

    /// Whether an agent runs on this machine.
    pub fn has_agent(&self) -> Result<bool> {
        // Shared, so that two who ask do not take each other for an agent.
        Ok(try_lock(&self.agent_path(), FlockArg::LockSharedNonblock)?.is_none())
    }

    /// All that is ours by earlier calls. A journal that cannot be read, or not all of it, stops nobody: it is set aside, and
    /// the lines that mean something go on to count.
    pub fn claims(&self) -> Result<Claims> {
        let path = self.claims_path();
        let (claims, fault) = match disk::read(&path, Source::Ours) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Claims::default()),
            Err(error) => (Claims::default(), Some(error.to_string())),
            Ok(bytes) => {
                let (claims, strange) = Claims::parse(&bytes);
                (claims, strange.map(|line| format!("the line `{line}` means nothing to this version")))
            }
        };
        if let Some(fault) = fault {
            self.set_aside(&claims, &fault);
        }
        Ok(claims)
    }

    /// Moves the journal out of the way, for a person to look at, and leaves what could be read of it.
    fn set_aside(&self, readable: &Claims, fault: &str) {
        let (path, aside) = (self.claims_path(), self.folder.join("journal.bad"));
        let moved = disk::rename(&path, &aside).context(|| format!("cannot write {}", aside.display()));
        let moved = moved.and_then(|()| self.record(readable));
        let file = path.display();
        match moved {
            Ok(()) => log::warn!(
                "{file}: {fault}; it is {} now. `portals down` cannot give back what only that file tells: compare its \
                 `sysctl` lines with /proc/sys",
                aside.display()
            ),
            Err(error) => log::warn!("{file}: {fault}; it stays there, since it cannot be moved: {error}"),
        }
    }

    /// Writes what is ours, whole or not at all.
    pub fn record(&self, claims: &Claims) -> Result<()> {
        let path = self.claims_path();
        let doing = || format!("cannot write {}", path.display());
        if *claims == Claims::default() {
            return disk::remove(&path).context(doing);
        }
        disk::replace(&path, claims.to_text().as_bytes(), 0o600).context(doing)
    }

    /// Notes where peers of tunnels were heard of last, for the next agent.
    pub fn hand_over(&self, heard: &[(IfName, PublicKey, SocketAddr)]) -> Result<()> {
        let path = self.endpoints_path();
        let lines: Vec<String> =
            heard.iter().map(|(name, key, from)| format!("{name} {key} {from}\n")).collect();
        disk::replace(&path, lines.concat().as_bytes(), 0o600)
            .context(|| format!("cannot write {}", path.display()))
    }

    /// Takes what the last agent has noted; a line that means nothing is nothing.
    pub fn take_over(&self) -> Result<Vec<(IfName, PublicKey, SocketAddr)>> {
        let path = self.endpoints_path();
        let doing = || format!("cannot read {}", path.display());
        let text = disk::read_if_there(&path, Source::Ours).context(doing)?.unwrap_or_default();
        disk::remove(&path).context(doing)?;
        let parse = |line: &str| {
            let mut words = line.split(' ');
            Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?))
        };
        Ok(text.lines().filter_map(parse).collect())
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
    /// What has to be looked at because it may be ours.
    pub fn scope(&self) -> Scope {
        Scope {
            sysctls: self.sysctls.keys().cloned().collect(),
            interfaces: self.raised.clone(),
            // Chains of ours show themselves.
            iptables: SortedSet::new(),
            addresses: self.addresses.clone(),
        }
    }

    /// The claims to be written before `steps` are begun: all that will be ours if every step is done, and all that is ours if
    /// none is.
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

    /// The claims once all steps are done: what was given back is not ours any more.
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

    /// One claim a line, blanks between words.
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

    /// The claims of a text, and the first line that is none: of another version, or damaged.
    pub(crate) fn parse(bytes: &[u8]) -> (Self, Option<String>) {
        let mut claims = Self::default();
        let mut strange = None;
        // Not `lines`: a value may end with a carriage return. A last line without its end was cut short.
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n").and_then(|line| str::from_utf8(line).ok());
            if text.and_then(|line| claims.parse_line(line)).is_none() && strange.is_none() {
                strange =
                    Some(line.trim_ascii_end().escape_ascii().take(MOST_SHOWN).map(char::from).collect());
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

/// Takes a lock as soon as nobody holds it; `None` if the time is up before.
pub(crate) fn lock_within(path: &Path, time: Duration) -> Result<Option<Lock>> {
    let give_up = Instant::now() + time;
    loop {
        match try_lock(path, FlockArg::LockExclusiveNonblock)? {
            None if Instant::now() < give_up => std::thread::sleep(Duration::from_millis(20)),
            result => return Ok(result),
        }
    }
}

/// Takes a lock if nobody holds it.
fn try_lock(path: &Path, how: FlockArg) -> Result<Option<Lock>> {
    let doing = || format!("cannot lock {}", path.display());
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    // Of a pipe in its place nobody may come to read.
    let file = options.custom_flags(O_NONBLOCK | O_NOFOLLOW).open(path).context(doing)?;
    match Flock::lock(file, how) {
        Ok(file) => Ok(Some(Lock { _file: file })),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno).context(doing),
    }
}

/// Settings of our own interfaces go away with them.
fn belongs_to_link(key: &str, want: &State) -> bool {
    key.split('/').any(|part| want.links.keys().any(|link| link.as_str() == part))
}
