//! Network namespaces: small machines of their own, that vanish with the last process or file that holds them.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getegid, geteuid, getpid, getppid};

use crate::base::error::{Context as _, Error, Result};
use crate::system::disk::{Source, kernel_text, open};

/// Folders that each namespace has for itself, empty at first: where programs keep sockets, locks and journals.
const PRIVATE: [&str; 3] = ["/run", "/var/run", "/var/lib"];

/// Cuts this process off from the host: whatever it mounts and whatever it does to interfaces stays with it.
///
/// Needs a process of one thread, since a user namespace may be entered only by such.
///
/// # Errors
/// If neither root nor user namespaces are to be had; the message says which setting allows them.
pub fn isolate() -> Result<()> {
    let own = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET;
    let entered = if geteuid().is_root() { unshare(own) } else { Err(Errno::EPERM) };
    entered
        .or_else(|_| become_root_of_own(own))
        .and_then(|()| keep_mounts_private())
        .map_err(|errno| refusal(errno, |path| kernel_text(path).ok()))
}

/// Enters a user namespace in which this user is root, and the namespaces of `own` with it.
fn become_root_of_own(own: CloneFlags) -> nix::Result<()> {
    let (user, group) = (geteuid(), getegid());
    unshare(own | CloneFlags::CLONE_NEWUSER)?;
    // Without this, the kernel takes no gid_map from a process without CAP_SETGID outside (user_namespaces(7)).
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("0 {user} 1"))?;
    write("/proc/self/gid_map", &format!("0 {group} 1"))
}

fn write(path: &str, text: &str) -> nix::Result<()> {
    fs::write(path, text).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
}

fn keep_mounts_private() -> nix::Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
}

/// What forbids namespaces here, and the command that allows them. `read` gives the content of a file, if there is one.
fn refusal(errno: Errno, read: impl Fn(&str) -> Option<String>) -> Error {
    let is = |path: &str, value: &str| read(path).is_some_and(|text| text.trim() == value);
    let remedy = if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "Ubuntu's AppArmor forbids user namespaces; \
         `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0` allows them until the next boot"
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "`sudo sysctl kernel.unprivileged_userns_clone=1` allows them until the next boot"
    } else if is("/proc/sys/user/max_user_namespaces", "0") {
        "`sudo sysctl user.max_user_namespaces=10000` allows them until the next boot"
    } else if errno == Errno::EINVAL {
        "this kernel has none (CONFIG_USER_NS)"
    } else {
        "a container or a security module forbids them"
    };
    Error::failed(format!("namespaces of one's own are not allowed here: {remedy}; or run it with sudo"))
        .because(errno)
}

/// A network namespace, with a mount namespace in which `/run` and its like are its own; clones are the same namespace.
#[derive(Debug, Clone)]
pub struct Namespace {
    name: String,
    net: Arc<File>,
    mount: Arc<File>,
}

impl Namespace {
    /// A new one, with nothing in it but a loopback interface that is down.
    pub fn new(name: &str) -> Result<Self> {
        let (net, mount) =
            in_thread(unshare_and_open).doing(|| format!("cannot make the namespace of {name}"))?;
        Ok(Self { name: name.to_owned(), net: net.into(), mount: mount.into() })
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The open file that holds the network.
    pub(super) fn network(&self) -> &File {
        &self.net
    }

    /// The open file that holds the network, as a path that other programs of this user can open.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", getpid(), self.net.as_raw_fd())
    }

    /// Does something inside, in a thread of its own.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        in_thread(|| {
            self.enter()?;
            work()
        })
    }

    /// Starts a program inside. It is killed when the calling thread ends, whichever way.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let (net, mount) = (self.net.clone(), self.mount.clone());
        let parent = getpid();
        let enter = move || enter_as_child(parent, &net, &mount).map_err(io::Error::from);
        // SAFETY: between fork and exec the closure makes system calls only: no allocation, no lock.
        unsafe { command.pre_exec(enter) }.spawn()
    }

    fn enter(&self) -> Result<()> {
        // Threads share their root and working directory, and whoever does may not change mount namespaces (setns(2)).
        unshare(CloneFlags::CLONE_FS)
            .and_then(|()| setns(&self.net, CloneFlags::CLONE_NEWNET))
            .and_then(|()| setns(&self.mount, CloneFlags::CLONE_NEWNS))
            .doing(|| format!("cannot enter the namespace of {}", self.name))
    }
}

/// Makes the calling process of the namespaces, to die with `parent`.
fn enter_as_child(parent: Pid, net: &File, mount: &File) -> nix::Result<()> {
    setns(net, CloneFlags::CLONE_NEWNET)?;
    setns(mount, CloneFlags::CLONE_NEWNS)?;
    set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have died before the signal was asked for.
    if getppid() == parent { Ok(()) } else { Err(Errno::ESRCH) }
}

/// Gives the calling thread namespaces of its own, and the open files that hold them.
fn unshare_and_open() -> io::Result<(File, File)> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
    for folder in PRIVATE.iter().filter(|folder| Path::new(folder).is_dir()) {
        mount(Some("tmpfs"), *folder, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
    }
    Ok((
        open("/proc/thread-self/ns/net".as_ref(), Source::Kernel)?,
        open("/proc/thread-self/ns/mnt".as_ref(), Source::Kernel)?,
    ))
}

/// Runs `work` in a thread, so that the namespaces it enters are those of nobody else.
fn in_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let mut value = None;
    run_in_thread(Box::new(|| value = Some(work())));
    value.expect("work that did not panic has a value")
}

/// Starting a thread is a kilobyte of code for each kind of work, so all work is of one kind.
fn run_in_thread(work: Box<dyn FnOnce() + Send + '_>) {
    if let Err(panic) = thread::scope(|scope| scope.spawn(work).join()) {
        std::panic::resume_unwind(panic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(setting: &str, value: &str) -> String {
        refusal(Errno::EPERM, |path| path.ends_with(setting).then(|| format!("{value}\n"))).to_string()
    }

    #[test]
    fn the_setting_that_forbids_namespaces_is_named() {
        for (setting, forbids, command) in [
            ("apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
            ("unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
            ("max_user_namespaces", "0", "user.max_user_namespaces=10000"),
        ] {
            assert!(refused(setting, forbids).contains(&format!("`sudo sysctl {command}`")));
            assert!(refused(setting, "7").contains("a container or a security module"));
        }
    }
}
