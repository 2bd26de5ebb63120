//! Portals' unit under systemd itself, as the first process of a machine that uses this host's programs.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use wg_portals::base::error::{Context as _, Result};
use wg_portals::demo::{DemoSite, NETWORK_FILE, NYC, Namespace, PARIS, SERVER, World};

use crate::ways::only_nyc;
use crate::words::{eventually, same, seconds, seen_as, shell, spawn_at, unreachable};
use crate::{Scenario, program};

pub(crate) const WITH_SYSTEMD: &[Scenario] = &[Scenario {
    name: "under systemd, changes are confirmed or undone, and no undo blocks a start",
    plots: &[NYC, PARIS],
    run: confirms,
}];

/// Reports whether real root runs this: root of a user namespace cannot make control groups.
pub(crate) fn is_here() -> bool {
    let is_whole = |map: String| map.split_whitespace().eq(["0", "0", "4294967295"]);
    let has_groups = |list: String| list.contains("\tcgroup2\n");
    Path::new(SYSTEMD).exists()
        && std::fs::read_to_string("/proc/self/uid_map").is_ok_and(is_whole)
        && std::fs::read_to_string("/proc/filesystems").is_ok_and(has_groups)
}

const SYSTEMD: &str = "/lib/systemd/systemd";

/// Folder of its files, in its site's namespace.
const ROOT: &str = "/run/machine";

/// Script that gives the machine this host's programs, read-only, and nothing else of this host. The only
/// target wants only portals' unit.
const FURNISH: &str = r#"
    mkdir -p $ROOT && cd $ROOT
    mkdir -p dev/net etc/systemd/system proc root run sys tmp var/log
    for folder in usr bin sbin lib lib32 lib64 libx32; do
        if [ -L /$folder ]; then cp -d /$folder $folder
        elif [ -d /$folder ]; then mkdir $folder && mount --rbind -o ro /$folder $folder
        fi
    done
    mount -t tmpfs tmpfs usr/local && mkdir usr/local/bin
    for device in null zero full random urandom net/tun; do
        touch dev/$device && mount --bind /dev/$device dev/$device
    done
    printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >etc/passwd
    printf 'root:x:0:\nnogroup:x:65534:\n' >etc/group
    echo 0123456789abcdef0123456789abcdef >etc/machine-id
    printf '[Unit]\nDescription=All that runs\nAllowIsolate=yes\n' >etc/systemd/system/multi-user.target
    mkdir etc/systemd/system/portals.service.d
    printf '[Service]\nStandardOutput=append:/run/said\nStandardError=append:/run/said\n' \
        >etc/systemd/system/portals.service.d/said.conf
    cp "$PROGRAM" root/portals
"#;

/// Script that starts systemd. The root is a separate mount, not a folder of another one: systemd makes the
/// namespaces of units from it.
const BOOT: &str = r"
    mount --rbind $ROOT /mnt && cd /mnt
    mount -t proc proc proc
    mount -t sysfs sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mkdir -p old && pivot_root . old && umount -l old
    container=portals exec $SYSTEMD --unit=multi-user.target --log-target=console --show-status=no
";

/// A machine in place of a site's router, run by systemd.
struct Machine {
    router: Namespace,
    systemd: Child,
}

impl Machine {
    fn boot(site: &DemoSite) -> Result<Self> {
        let router = site.router.clone();
        let program = program();
        shell(&router, &format!("ROOT={ROOT} PROGRAM='{}'\n{FURNISH}", program.display()))?;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--cgroup", "--ipc", "--uts", "--fork", "--kill-child"]);
        command.args(["sh", "-ec", BOOT]).env("ROOT", ROOT).env("SYSTEMD", SYSTEMD);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let systemd = spawn_at(&router, &mut command).context(|| "cannot boot systemd".to_owned())?;
        let machine = Self { router, systemd };
        eventually("systemd has booted", || machine.run("systemctl is-active multi-user.target").map(drop))?;
        Ok(machine)
    }

    /// Output of a shell on the machine, which must succeed.
    fn run(&self, script: &str) -> Result<String> {
        let unshare = self.systemd.id();
        let quoted = script.replace('\'', r"'\''");
        shell(
            &self.router,
            &format!(
                "init=$(cat /proc/{unshare}/task/{unshare}/children)
                 nsenter -t $init -m -p -C -i -u /bin/sh -ec '{quoted}'"
            ),
        )
    }

    /// Gives the machine its site's network file and key.
    fn configure(&self, network: &str) -> Result<()> {
        let (from, to) = (NETWORK_FILE.trim_end_matches("/network.toml"), format!("{ROOT}/etc/portals"));
        shell(
            &self.router,
            &format!(
                "mkdir -p {to} && cp {from}/private.key {to} && \
                 cat >{to}/network.toml <<'END'\n{network}\nEND"
            ),
        )
        .map(drop)
    }

    fn files(&self) -> Result<String> {
        self.run("cd /etc/portals && ls network.toml* | grep -v -e clock -e site")
            .map(|names| names.replace('\n', " "))
    }

    fn is(&self, state: &str) -> Result<()> {
        eventually(&format!("the unit is {state}"), || {
            same(
                "state of the unit",
                self.run("systemctl show -P ActiveState portals || true")?.trim(),
                state,
            )
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.systemd.kill();
        let _ = self.systemd.wait();
    }
}

fn confirms(world: &mut World) -> Result<()> {
    let network = world.network(only_nyc("interface = \"portal0\""));
    world.install(&network)?;
    world.site(PARIS).start_agent()?;
    let machine = Machine::boot(world.site(NYC))?;
    let result = tell(world, &machine, &network);
    if result.is_err() {
        println!(
            "--- {}",
            machine.run("(systemctl status portals || true) 2>&1; cat /run/said 2>&1 || true")?
        );
    }
    result
}

fn open(world: &mut World) -> Result<()> {
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, PARIS.address)
}

fn closed(world: &mut World) -> Result<()> {
    unreachable(world.site(NYC).guest(seconds(1.0)), SERVER)
}

fn tell(world: &mut World, machine: &Machine, network: &str) -> Result<()> {
    installed(world, machine, network)?;
    ordered(world, machine)?;
    confirmed_and_undone(world, machine, network)?;
    started_in_spite_of_a_failed_undo(world, machine, network)?;
    guarded(world, machine)
}

/// Checks an installation: the portal is open, and neither dnsmasq nor the agent has more rights than needed.
fn installed(world: &mut World, machine: &Machine, network: &str) -> Result<()> {
    machine.configure(network)?;
    machine.run("/root/portals install")?;
    machine.is("active")?;
    open(world)?;
    eventually("the resolver of the portal runs, as nobody", || {
        same("who", machine.run("stat -c %U /proc/$(pidof dnsmasq)")?.trim(), "nobody")
    })?;
    same(
        "filter of system calls",
        machine.run("grep -h '^Seccomp:' /proc/$(pidof portals)/status")?.trim(),
        "Seccomp:\t2",
    )
}

/// Checks `start`, `stop` and `restart`.
fn ordered(world: &mut World, machine: &Machine) -> Result<()> {
    machine.run("portals stop")?;
    machine.is("inactive")?;
    let status = machine.run("portals status")?;
    same(&status, status.contains("no agent runs: start it with `portals start`"), true)?;
    machine.run("portals start")?;
    machine.is("active")?;
    let before = machine.run("pidof portals")?;
    machine.run("portals restart")?;
    same("the agent is another one", machine.run("pidof portals")? == before, false)?;
    open(world)
}

/// Checks that a confirmed change stays, and that the next start undoes the change of a killed agent.
fn confirmed_and_undone(world: &mut World, machine: &Machine, network: &str) -> Result<()> {
    let changed = |note: &str| format!("# {note}\n{network}");
    machine.configure(&changed("one"))?;
    machine.run("portals apply --confirm 600")?;
    same("files", machine.files()?.trim(), "network.toml network.toml.confirmed network.toml.unconfirmed")?;
    machine.run("portals confirm")?;
    same("files", machine.files()?.trim(), "network.toml network.toml.confirmed")?;

    machine.configure(&changed("two"))?;
    machine.run("portals apply --confirm 600; systemctl kill -s KILL portals")?;
    eventually("the change is undone by the next start", || {
        same("files", machine.files()?.trim(), "network.toml network.toml.confirmed network.toml.undone")
    })?;
    same("first line", machine.run("head -n 1 /etc/portals/network.toml")?.trim(), "# one")?;
    machine.is("active")?;
    open(world)
}

/// Checks that a change waits to be confirmed, and that the agent starts although it cannot undo the change.
fn started_in_spite_of_a_failed_undo(world: &mut World, machine: &Machine, network: &str) -> Result<()> {
    // With `confirm_reload`, a file that is read again must be confirmed.
    let wants = network.replace("[site.nyc]\n", "[site.nyc]\nconfirm_reload = 600\n");
    machine.configure(&wants)?;
    machine.run("systemctl reload portals")?;
    eventually("the file waits to be confirmed", || {
        machine.run("test -e /etc/portals/network.toml.unconfirmed").map(drop)
    })?;

    // The undo fails: an obstacle is in the way of the copy.
    machine.run(
        "systemctl stop portals; cd /etc/portals; rm network.toml.undone; mkdir -p network.toml.undone/full
         cp network.toml.confirmed network.toml.unconfirmed; systemctl start portals",
    )?;
    machine.is("active")?;
    open(world)?;
    machine.run("systemctl stop portals")?;
    closed(world)
}

/// Checks that the unit that runs before the network closes the portals, and that the agent takes over.
fn guarded(world: &mut World, machine: &Machine) -> Result<()> {
    machine.run("portals down && systemctl restart portals-guard")?;
    let rules = machine.run("ip rule list priority 118; ip -6 rule list priority 118")?;
    same("rules that close", rules.matches("iif portal0 unreachable").count(), 2)?;
    closed(world)?;
    same(
        "what it says to an agent",
        machine.run("systemctl start portals && portals guard")?.trim(),
        "nothing to do: the agent is at work",
    )?;
    open(world)
}
