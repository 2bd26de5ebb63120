//! Network namespaces: small machines that vanish with the last process or open file that holds them.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getegid, geteuid, getpid, getppid};

use crate::base::error::{Context as _, Error, Result};
use crate::system::command::Command;
use crate::system::disk::{FileOrigin, kernel_text, open};

/// Folders of which each namespace has its own, empty at first: programs keep sockets, locks and journals
/// there.
const PRIVATE_FOLDERS: [&str; 3] = ["/run", "/var/run", "/var/lib"];

/// Isolates this process from the host: its mounts and its changes to interfaces stay invisible outside.
///
/// The process must have a single thread: the kernel lets no other process enter a user namespace.
///
/// # Errors
/// If the process is not root and user namespaces are not allowed; the message names the setting that allows
/// them.
pub fn isolate() -> Result<()> {
    let own = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET;
    let entered = if geteuid().is_root() { unshare(own) } else { Err(Errno::EPERM) };
    entered
        .or_else(|_| enter_user_namespace(own))
        .and_then(|()| keep_mounts_private())
        .map_err(|errno| forbidden(errno, |path| kernel_text(path).ok()))
}

/// Enters a user namespace in which this user is root, together with the namespaces of `own`.
fn enter_user_namespace(own: CloneFlags) -> nix::Result<()> {
    let (user, group) = (geteuid(), getegid());
    unshare(own | CloneFlags::CLONE_NEWUSER)?;
    // Otherwise, the kernel accepts no gid_map from a process without CAP_SETGID outside
    // (user_namespaces(7)).
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

/// Returns the error for forbidden namespaces, with the setting that forbids them and the command that allows
/// them. `read` returns the contents of a file, if the file exists.
fn forbidden(errno: Errno, read: impl Fn(&str) -> Option<String>) -> Error {
    let is = |path: &str, value: &str| read(path).is_some_and(|text| text.trim() == value);
    let remedy = if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "Ubuntu's AppArmor forbids user namespaces; \
         `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0` allows them until the next boot"
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "`sudo sysctl kernel.unprivileged_userns_clone=1` allows them until the next boot"
    } else if is("/proc/sys/user/max_user_namespaces", "0") {
        "`sudo sysctl user.max_user_namespaces=10000` allows them until the next boot"
    } else if errno == Errno::EINVAL {
        "this kernel was built without user namespaces (CONFIG_USER_NS)"
    } else {
        "a container or a security module forbids them"
    };
    Error::failed(format!("this user may not create namespaces: {remedy}; or run the demo with sudo"))
        .because(errno)
}

/// Reason why work in a thread has a result.
const ENDED: &str = "the thread has ended without a panic";

/// Network namespace, with a mount namespace that has its own `/run` and similar folders. Clones refer to the
/// same namespace.
#[derive(Debug, Clone)]
pub struct Namespace {
    name: String,
    net: Arc<File>,
    mount: Arc<File>,
}

impl Namespace {
    /// Creates a namespace that holds only a loopback interface, which is down.
    pub fn new(name: &str) -> Result<Self> {
        let mut opened = None;
        in_thread(Box::new(|| opened = Some(unshare_and_open())));
        let (net, mount) = opened.expect(ENDED).context(|| format!("cannot make the namespace of {name}"))?;
        Ok(Self { name: name.to_owned(), net: net.into(), mount: mount.into() })
    }

    /// Returns the name of the host that this namespace plays, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the open file that keeps the network namespace alive.
    pub(super) fn network(&self) -> &File {
        &self.net
    }

    /// Returns a path to the network namespace that other programs of this user can open.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", getpid(), self.net.as_raw_fd())
    }

    /// Runs `work` inside the namespace, in its own thread.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let mut done = None;
        in_thread(Box::new(|| done = Some(self.enter().and_then(|()| work()))));
        done.expect(ENDED)
    }

    /// Makes a program start inside the namespace. The kernel kills the program when the calling thread ends
    /// for any reason.
    pub(super) fn confine(&self, command: &mut Command) {
        // SAFETY: the step makes system calls only: no allocation, no lock.
        unsafe { command.before(Box::new(self.entry())) };
    }

    /// Returns the step of a new process, before it becomes another program, that moves it into the
    /// namespace, and makes it die with the calling thread. The step makes system calls only.
    pub fn entry(&self) -> impl Fn() -> nix::Result<()> + Send + Sync + 'static {
        let (net, mount, parent) = (self.net.clone(), self.mount.clone(), getpid());
        move || enter_as_child(parent, &net, &mount)
    }

    fn enter(&self) -> Result<()> {
        // A thread that shares its root and working directory may not change its mount namespace (setns(2)).
        unshare(CloneFlags::CLONE_FS)
            .and_then(|()| setns(&self.net, CloneFlags::CLONE_NEWNET))
            .and_then(|()| setns(&self.mount, CloneFlags::CLONE_NEWNS))
            .context(|| format!("cannot enter the namespace of {}", self.name))
    }
}

/// Moves the calling process into the namespaces, and makes it die with `parent`.
fn enter_as_child(parent: Pid, net: &File, mount: &File) -> nix::Result<()> {
    setns(net, CloneFlags::CLONE_NEWNET)?;
    setns(mount, CloneFlags::CLONE_NEWNS)?;
    set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have died before the signal was requested.
    if getppid() == parent { Ok(()) } else { Err(Errno::ESRCH) }
}

/// Moves the calling thread into new namespaces, and returns the open files that keep them alive.
fn unshare_and_open() -> io::Result<(File, File)> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
    for folder in PRIVATE_FOLDERS.iter().filter(|folder| Path::new(folder).is_dir()) {
        mount(Some("tmpfs"), *folder, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
    }
    Ok((
        open("/proc/thread-self/ns/net".as_ref(), FileOrigin::Kernel)?,
        open("/proc/thread-self/ns/mnt".as_ref(), FileOrigin::Kernel)?,
    ))
}

/// Runs `work` in its own thread, so that it changes no other thread's namespaces. The code that starts a
/// thread takes a kilobyte for each type of work, so there is only one type.
fn in_thread(work: Box<dyn FnOnce() + Send + '_>) {
    thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(setting: &str, value: &str) -> String {
        forbidden(Errno::EPERM, |path| path.ends_with(setting).then(|| format!("{value}\n"))).to_string()
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
