//! A machine with a file system of its own, in a folder: busybox, and what a firmware has in its places. It boots, runs commands,
//! loses its power, and is upgraded.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::{NETWORK_FILE, Namespace, Site};

use crate::program;
use crate::words::{eventually, shell};

/// Where it lies in its site's namespace: a file system that goes with it.
const ROOT: &str = "/run/machine";

/// The programs of every firmware are busybox, and `/root/portals` is ours, copied there by its owner. If it needs libraries they
/// come along.
const FURNISH: &str = r#"
    mkdir -p $ROOT && cd $ROOT
    mkdir -p bin dev/net etc proc root run sbin sys tmp usr/bin usr/sbin var/log
    ln -s ../run var/run
    cp "$(command -v busybox)" bin/busybox
    for applet in $(bin/busybox --list); do ln -s busybox bin/$applet 2>/dev/null || true; done
    cp "$PROGRAM" root/portals
    for library in $(ldd "$PROGRAM" bin/busybox 2>/dev/null | grep -o '[[:space:]]/[^ ]*'); do
        mkdir -p ./${library%/*} && cp -L $library ./$library
    done
    touch dev/null dev/random dev/urandom dev/net/tun
"#;

/// What every boot does before the firmware's own part: devices, processes, a log. Then its init waits for whatever ends, but not
/// for ever: no test takes so long.
const BOOT: &str = r#"
    cd $ROOT
    mount -t proc proc proc
    mount --bind run run
    for device in null random urandom net/tun; do mount --bind /dev/$device dev/$device; done
    exec chroot . /bin/sh -c 'rm -rf /run/* && syslogd -O /var/log/messages && eval "$1" </dev/null && touch /run/booted
        for second in $(seq 900); do sleep 1 & wait; done' init "$HOOKS"
"#;

/// A machine in the place of a site's router.
pub(crate) struct Machine {
    router: Namespace,
    init: Option<Child>,
}

impl Machine {
    /// A new one, as its maker sells it: `skeleton` is a shell script that makes what the firmware has, in the machine's root.
    pub(crate) fn new(site: &Site, skeleton: &str) -> Result<Self> {
        let machine = Self { router: site.router.clone(), init: None };
        machine.furnish(skeleton)?;
        Ok(machine)
    }

    fn furnish(&self, skeleton: &str) -> Result<()> {
        let program = program();
        self.outside(&format!("ROOT={ROOT} PROGRAM='{}'\n{FURNISH}\n{skeleton}", program.display())).map(drop)
    }

    /// Gives it the network file and the key that its site would use, in this folder.
    pub(crate) fn configure(&self, folder: &str) -> Result<()> {
        let from = NETWORK_FILE.trim_end_matches("/network.toml");
        self.outside(&format!(
            "mkdir -p {ROOT}{folder} && cp {from}/network.toml {from}/private.key {ROOT}{folder}"
        ))
        .map(drop)
    }

    /// Switches it on; `hooks` is what the firmware's init does in the end. It must not take long.
    pub(crate) fn boot(&mut self, hooks: &str) -> Result<()> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "sh", "-ec", BOOT]).env("ROOT", ROOT).env("HOOKS", hooks);
        // Of signals it says things that mean nothing here.
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let child = self.router.spawn(&mut command).doing(|| "cannot boot".to_owned())?;
        self.init = Some(child);
        eventually("the machine has booted", || self.outside(&format!("test -e {ROOT}/run/booted")).map(drop))
    }

    /// What a shell on the machine prints; it must succeed.
    pub(crate) fn run(&self, script: &str) -> Result<String> {
        let init = self.init_pid()?;
        let quoted = script.replace('\'', r"'\''");
        self.outside(&format!("nsenter -t {init} -m -p chroot {ROOT} /bin/sh -ec '{quoted}'"))
    }

    /// What a shell of the test prints, in the place where the machine stands.
    pub(crate) fn outside(&self, script: &str) -> Result<String> {
        shell(&self.router, script)
    }

    /// Pulls the plug: all processes end at once, and the kernel forgets what was ours.
    pub(crate) fn power_off(&mut self) -> Result<()> {
        self.kill_all();
        self.outside(&format!("chroot {ROOT} /root/portals down")).map(drop)
    }

    /// Installs a firmware: all is new, but for what lies at the paths that it keeps, in words relative to the root.
    pub(crate) fn upgrade(&mut self, kept: &str, skeleton: &str) -> Result<()> {
        self.power_off()?;
        let (kept, old) = (kept.replace('\n', " "), "/run/old");
        self.outside(&format!("mv {ROOT} {old}"))?;
        self.furnish(skeleton)?;
        self.outside(&format!(
            "cd {old} && tar -c {kept} | tar -x -C {ROOT} && rm -rf {old} {ROOT}/root/portals"
        ))
        .map(drop)
    }

    /// The machine's log.
    pub(crate) fn log(&self) -> String {
        self.outside(&format!("cat {ROOT}/var/log/* {ROOT}/run/said {ROOT}/run/*/said 2>/dev/null || true"))
            .unwrap_or_else(|error| error.to_string())
    }

    /// The first process of the machine, as it is known outside.
    fn init_pid(&self) -> Result<i32> {
        let none = || Error::failed("the machine is off");
        let unshare = self.init.as_ref().ok_or_else(none)?.id();
        let children = PathBuf::from(format!("/proc/{unshare}/task/{unshare}/children"));
        let children = fs::read_to_string(children).doing(|| "cannot find the machine's init".to_owned())?;
        children.trim().parse().map_err(|_| none())
    }

    fn kill_all(&mut self) {
        // Without its first process the kernel ends all others of the machine, too.
        let _ = self.init_pid().map(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL));
        if let Some(mut child) = self.init.take() {
            let _ = child.wait();
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill_all();
    }
}
