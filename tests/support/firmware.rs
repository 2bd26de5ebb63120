//! A machine with its own file system in a folder: busybox, and the files of a firmware in their places. It
//! boots, runs commands, loses its power, and is upgraded.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::{DemoSite, NETWORK_FILE, Namespace};

use crate::program;
use crate::shells::{eventually, shell, spawn_at};

/// Mount point in its site's namespace, whose file system ends with it.
const ROOT: &str = "/run/machine";

/// Programs of every firmware: busybox, and portals as `/root/portals`, where its owner copied it, with the
/// libraries that it needs.
const FURNISH: &str = r#"
    mkdir -p $ROOT && cd $ROOT
    mkdir -p bin dev/net etc proc root run sbin sys tmp usr/bin usr/sbin var/log
    ln -s ../run var/run
    cp "$(command -v busybox)" bin/busybox
    bin/busybox --install bin 2>/dev/null || true
    cp "$PROGRAM" root/portals
    for library in $(ldd "$PROGRAM" bin/busybox 2>/dev/null | grep -o '[[:space:]]/[^ ]*'); do
        mkdir -p ./${library%/*} && cp -L $library ./$library
    done
    touch dev/null dev/random dev/urandom dev/net/tun
"#;

/// Part of every boot before the firmware's own: devices, processes, a log. Its init then reaps children, for
/// at most as long as a test takes.
const BOOT: &str = r#"
    cd $ROOT
    mount -t proc proc proc
    mount --bind run run
    for device in null random urandom net/tun; do mount --bind /dev/$device dev/$device; done
    exec chroot . /bin/sh -c '
        rm -rf /run/* && syslogd -O /var/log/messages && eval "$1" </dev/null && touch /run/booted
        for second in $(seq 900); do sleep 1 & wait; done' init "$HOOKS"
"#;

/// Substitute for systemd: runs the commands of the unit once, and returns when the agent is ready. It uses
/// units as they were when it last read them.
pub(crate) const SYSTEMCTL: &str = r#"
mkdir -p etc/systemd/system lib/systemd && touch lib/systemd/systemd
cat >bin/systemctl <<'END'
#!/bin/sh
read=/run/systemd/read pid=$(cat /run/systemd/pid 2>/dev/null)
case $1 in
daemon-reload) cp /etc/systemd/system/portals.service $read 2>/dev/null || rm -f $read ;;
start | restart)
    if [ $1 = start ] && kill -0 $pid 2>/dev/null; then exit; fi
    kill $pid 2>/dev/null && while kill -0 $pid 2>/dev/null; do sleep 0.1; done
    test -e "$(sed -n 's/^ConditionPathExists=//p' $read)" || exit 0
    setsid $(sed -n 's/^ExecStart=//p' $read) </dev/null >/run/systemd/said 2>&1 &
    echo $! >/run/systemd/pid
    until grep -q ready /run/systemd/said; do kill -0 $! || exit; sleep 0.1; done
    ;;
stop) kill $pid ;;
esac
END
cat >bin/journalctl <<'END'
#!/bin/sh
case $* in
"--no-pager -n 1000 -u portals.service") cat /run/systemd/said ;;
"-f -u portals.service") exec tail -F /run/systemd/said ;;
*) exit 2 ;;
esac
END
chmod 755 bin/systemctl bin/journalctl
"#;

/// Commands of systemd at boot.
pub(crate) const UNITS: &str = "mkdir -p /run/systemd/system; systemctl daemon-reload
    for unit in /etc/systemd/system/multi-user.target.wants/*; do
        if [ -e $unit ]; then systemctl start ${unit##*/}; fi
    done";

/// Substitute for procd and its shell library: runs the command of the one instance.
pub(crate) const PROCD: &str = r#"
mkdir -p etc/init.d etc/rc.d lib/functions lib/upgrade/keep.d && touch lib/functions/procd.sh
echo /etc/passwd >lib/upgrade/keep.d/base-files
cat >etc/rc.common <<'END'
service_triggers() { :; }
. "$1"
procd_open_instance() { command=; }
procd_set_param() { if [ $1 = command ]; then shift; command=$*; fi; }
procd_close_instance() {
    kill -0 $(cat /run/instance 2>/dev/null) 2>/dev/null && return
    setsid $command </dev/null >/run/said 2>&1 &
    echo $! >/run/instance
}
procd_open_trigger() { :; }
procd_add_raw_trigger() { echo "$@" >/run/trigger; }
procd_close_trigger() { :; }
procd_send_signal() { kill -$3 $(cat /run/instance); }
case $2 in
boot | start) if [ $USE_PROCD ]; then start_service && service_triggers; else start; fi ;;
stop) kill $(cat /run/instance) ;;
restart) "$1" stop && while kill -0 $(cat /run/instance) 2>/dev/null; do sleep 0.1; done; "$1" start ;;
reload) reload_service ;;
enable) ln -sf ../init.d/${1##*/} /etc/rc.d/S$START${1##*/} ;;
disable) rm -f /etc/rc.d/S??${1##*/} ;;
esac
END
rm -f bin/logread
cat >bin/logread <<'END'
#!/bin/sh
case $* in
"-e portals") cat /run/said ;;
"-f -e portals") exec tail -F /run/said ;;
*) exit 2 ;;
esac
END
chmod 755 bin/logread
"#;

/// A machine in place of a site's router.
pub(crate) struct Machine {
    router: Namespace,
    init: Option<Child>,
}

impl Machine {
    /// Makes a new machine: `skeleton` is a shell script that makes the firmware's files in the machine's
    /// root.
    pub(crate) fn new(site: &DemoSite, skeleton: &str) -> Result<Self> {
        let machine = Self { router: site.router.clone(), init: None };
        machine.furnish(skeleton)?;
        Ok(machine)
    }

    fn furnish(&self, skeleton: &str) -> Result<()> {
        let program = program();
        self.outside(&format!("ROOT={ROOT} PROGRAM='{}'\n{FURNISH}\n{skeleton}", program.display())).map(drop)
    }

    /// Gives the machine its site's network file and key, in this folder.
    pub(crate) fn configure(&self, folder: &str) -> Result<()> {
        let from = NETWORK_FILE.trim_end_matches("/network.toml");
        self.outside(&format!(
            "mkdir -p {ROOT}{folder} && cp {from}/network.toml {from}/private.key {ROOT}{folder}"
        ))
        .map(drop)
    }

    /// Switches the machine on; `hooks` are the last commands of the firmware's init, which must end soon.
    pub(crate) fn boot(&mut self, hooks: &str) -> Result<()> {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", BOOT])
            .env("ROOT", ROOT)
            .env("HOOKS", hooks);
        // Messages of this shell about signals are irrelevant.
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let child = spawn_at(&self.router, &mut command).context(|| "cannot boot".to_owned())?;
        self.init = Some(child);
        eventually("the machine has booted", || self.outside(&format!("test -e {ROOT}/run/booted")).map(drop))
    }

    /// Output of a shell on the machine, which must succeed.
    pub(crate) fn run(&self, script: &str) -> Result<String> {
        let init = self.init_pid()?;
        let quoted = script.replace('\'', r"'\''");
        self.outside(&format!("nsenter -t {init} -m -p chroot {ROOT} /bin/sh -ec '{quoted}'"))
    }

    /// Output of a shell of the test in the machine's network namespace, which must succeed.
    pub(crate) fn outside(&self, script: &str) -> Result<String> {
        shell(&self.router, script)
    }

    /// Cuts the power: all processes end at once, the kernel forgets portals' objects, and /run is empty.
    pub(crate) fn power_off(&mut self) -> Result<()> {
        self.kill_all();
        self.outside(&format!("chroot {ROOT} /root/portals down; rm -rf {ROOT}/run/*")).map(drop)
    }

    /// Installs a firmware: all files are new, except at the paths that the firmware keeps, relative to the
    /// root.
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

    /// Log of the machine.
    pub(crate) fn log(&self) -> String {
        self.outside(&format!("cat {ROOT}/var/log/* {ROOT}/run/said {ROOT}/run/*/said 2>/dev/null || true"))
            .unwrap_or_else(|error| error.to_string())
    }

    /// First process of the machine, by its number outside.
    fn init_pid(&self) -> Result<i32> {
        let none = || Error::failed("the machine is off");
        let unshare = self.init.as_ref().ok_or_else(none)?.id();
        let children = PathBuf::from(format!("/proc/{unshare}/task/{unshare}/children"));
        let children =
            fs::read_to_string(children).context(|| "cannot find the machine's init".to_owned())?;
        children.trim().parse().map_err(|_| none())
    }

    fn kill_all(&mut self) {
        // The kernel ends all other processes of the machine with the first one.
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
