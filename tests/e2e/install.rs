//! `portals install` on each platform: installed, upgraded by its firmware, booted, and the portal is open
//! again.
//!
//! The firmware is simulated: its file system by a folder, its boot by the way in which it runs hooks. For an
//! init that cannot run in here (systemd, procd), a few lines of shell run the commands of portals' unit or
//! script.

use wg_portals::base::error::{Error, Result};
use wg_portals::demo::{NYC, PARIS, SERVER, World};

use crate::Scenario;
use crate::firmware::{Machine, PROCD, SYSTEMCTL, UNITS};
use crate::ways::each_other;
use crate::words::{eventually, same, seconds, seen_as, unreachable};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "EdgeOS: the portal is open again after an upgrade",
        plots: &[NYC, PARIS],
        run: |world| outlives(world, &EDGEOS),
    },
    Scenario {
        name: "EdgeOS with systemd: the portal is open again after an upgrade",
        plots: &[NYC, PARIS],
        run: |world| outlives(world, &EDGEOS_SYSTEMD),
    },
    Scenario {
        name: "UniFi OS 1: the portal is open again after an upgrade",
        plots: &[NYC, PARIS],
        run: |world| outlives(world, &UNIFI_1),
    },
    Scenario {
        name: "UniFi OS: the portal is open again after an upgrade",
        plots: &[NYC, PARIS],
        run: |world| outlives(world, &UNIFI),
    },
    Scenario {
        name: "UniFi OS without udm-boot: the unit is enough until an upgrade removes it",
        plots: &[NYC, PARIS],
        run: |world| outlives(world, &UNIFI_UNIT),
    },
    Scenario {
        name: "OpenWrt: the portal is open again after an upgrade",
        plots: &[NYC, PARIS],
        run: |world| outlives(world, &OPENWRT),
    },
    Scenario {
        name: "systemd: the portal is open again after a boot",
        plots: &[NYC, PARIS],
        run: |world| outlives(world, &SYSTEMD),
    },
    Scenario { name: "install starts the agent of a package", plots: &[NYC, PARIS], run: packaged },
    Scenario { name: "install --root puts the program into an image", plots: &[NYC], run: image },
];

/// Scenarios with the real OpenRC, which scripts/test.d/unpack puts into the folder that
/// `PORTALS_TEST_OPENRC` names.
pub(crate) const WITH_OPENRC: &[Scenario] = &[Scenario {
    name: "OpenRC: the portal is open again after a boot",
    plots: &[NYC, PARIS],
    run: |world| outlives(world, &OPENRC),
}];

/// A kind of machine: how it is made, boots and is upgraded.
struct Firmware {
    /// Shell scripts that make the files of a new machine, in its root folder.
    skeleton: &'static [&'static str],
    /// Commands of its init at boot.
    boot: &'static [&'static str],
    /// Script that prints the paths that an upgrade keeps.
    kept: &'static str,
    folder: &'static str,
    program: &'static str,
    /// Further files and links that exist after an installation, and not after its removal.
    others: &'static [&'static str],
}

const POST_CONFIG: &str =
    "for hook in /config/scripts/post-config.d/*; do if [ -x $hook ]; then $hook; fi; done";

/// Script of udm-boot's unit, version 2, without its messages.
const UDM_BOOT: &str =
    "find -L $data/on_boot.d -mindepth 1 -maxdepth 1 -type f | sort | while read -r hook; do
    if test -x $hook; then $hook; fi; done";

/// Event of netifd: procd runs the commands of the triggers.
const INTERFACE_UP: &str = r#"[ ! -e /run/trigger ] || sh -c "$(cut -d ' ' -f 3- /run/trigger)""#;

const UNIT: [&str; 4] = [
    "/etc/systemd/system/portals.service",
    "/etc/systemd/system/multi-user.target.wants/portals.service",
    "/etc/systemd/system/portals-guard.service",
    "/etc/systemd/system/sysinit.target.wants/portals-guard.service",
];

const EDGEOS: Firmware = Firmware {
    skeleton: &["mkdir -p config/scripts/post-config.d"],
    boot: &[POST_CONFIG],
    kept: "echo config",
    folder: "/config/portals",
    program: "/config/portals/portals",
    others: &[
        "/config/portals/service",
        "/config/scripts/post-config.d/portals.sh",
        "/config/scripts/pre-config.d/portals.sh",
        "/usr/local/bin/portals",
    ],
};

const EDGEOS_SYSTEMD: Firmware = Firmware {
    skeleton: &["mkdir -p config/scripts/post-config.d", SYSTEMCTL],
    boot: &[UNITS, POST_CONFIG],
    others: &[
        "/config/scripts/post-config.d/portals.sh",
        "/config/scripts/pre-config.d/portals.sh",
        "/usr/local/bin/portals",
        UNIT[0],
        UNIT[1],
        UNIT[2],
        UNIT[3],
    ],
    ..EDGEOS
};

const UNIFI_1: Firmware = Firmware {
    skeleton: &["mkdir -p mnt/data/unifi-os mnt/data/on_boot.d"],
    boot: &["data=/mnt/data", UDM_BOOT],
    kept: "echo mnt/data",
    folder: "/mnt/data/portals",
    program: "/mnt/data/portals/portals",
    others: &["/mnt/data/portals/service", "/mnt/data/on_boot.d/20-portals.sh", "/usr/local/bin/portals"],
};

const UNIFI: Firmware = Firmware {
    skeleton: &["mkdir -p data/unifi", SYSTEMCTL],
    boot: &[UNITS, "data=/data", UDM_BOOT],
    kept: "echo data",
    folder: "/data/portals",
    program: "/data/portals/portals",
    others: &["/data/on_boot.d/20-portals.sh", "/usr/local/bin/portals", UNIT[0], UNIT[1], UNIT[2], UNIT[3]],
};

const UNIFI_UNIT: Firmware = Firmware { boot: &[UNITS], kept: "echo data etc/systemd", ..UNIFI };

/// Paths that sysupgrade keeps, by the lists that `add_uci_conffiles` in its source reads.
const OPENWRT: Firmware = Firmware {
    skeleton: &[PROCD],
    boot: &["for script in /etc/rc.d/S*; do if [ -e $script ]; then $script boot; fi; done"],
    kept: "find $(cat /lib/upgrade/keep.d/*) -type f -o -type l | sed s,^/,,",
    folder: "/etc/portals",
    program: "/usr/sbin/portals",
    others: &[
        "/etc/init.d/portals",
        "/etc/rc.d/S95portals",
        "/etc/init.d/portals-guard",
        "/etc/rc.d/S19portals-guard",
        "/lib/upgrade/keep.d/portals",
    ],
};

/// Firmware whose upgrades of packages leave files of other origin.
const SYSTEMD: Firmware = Firmware {
    skeleton: &[SYSTEMCTL],
    boot: &[UNITS],
    kept: "echo etc usr/local",
    folder: "/etc/portals",
    program: "/usr/local/bin/portals",
    others: &UNIT,
};

/// Firmware whose upgrades of packages leave files of other origin; its own services do not concern portals.
const OPENRC: Firmware = Firmware {
    skeleton: &[r"
openrc=$PORTALS_TEST_OPENRC
mkdir -p etc/init.d etc/conf.d etc/runlevels/sysinit etc/runlevels/boot etc/runlevels/default lib usr/lib
cp -r $openrc/lib/rc $openrc/lib/*-linux-gnu* lib && cp $openrc/sbin/* sbin && ln -s /lib/rc usr/lib
libraries=$(echo $openrc/lib/*-linux-gnu*)
for program in sbin/*; do
    for library in $(LD_LIBRARY_PATH=$libraries ldd $program 2>/dev/null | grep -o '/[^ ]*'); do
        case $library in $openrc/*) ;; *) mkdir -p ./${library%/*} && cp -L $library ./$library ;; esac
    done
done
printf '#!/sbin/openrc-run\nstart() { :; }\n' >etc/init.d/localmount && chmod 755 etc/init.d/localmount
touch etc/fstab etc/insserv.conf
"],
    boot: &["openrc sysinit; openrc boot; openrc default"],
    kept: "echo etc usr/local",
    folder: "/etc/portals",
    program: "/usr/local/bin/portals",
    others: &[
        "/etc/init.d/portals",
        "/etc/runlevels/default/portals",
        "/etc/init.d/portals-guard",
        "/etc/runlevels/boot/portals-guard",
    ],
};

fn outlives(world: &mut World, firmware: &Firmware) -> Result<()> {
    world.install(&world.network(each_other))?;
    world.site(PARIS).start_agent()?;
    let skeleton = firmware.skeleton.join("\n");
    let mut machine = Machine::new(world.site(NYC), &skeleton)?;
    let result = tell(world, firmware, &skeleton, &mut machine);
    if result.is_err() {
        println!("--- the machine's log:\n{}", machine.log());
    }
    result
}

fn tell(world: &mut World, firmware: &Firmware, skeleton: &str, machine: &mut Machine) -> Result<()> {
    let Firmware { folder, program, .. } = firmware;
    let boot = firmware.boot.join("\n");
    machine.boot(&boot)?;
    let early = machine.run("/root/portals stop 2>&1 || true")?;
    has(&early, "portals: portals is not installed here: `portals install` makes")?;
    has(&machine.run("/root/portals install")?, &format!("next: {folder}/network.toml does not exist yet"))?;
    machine.configure(folder)?;
    let said = machine.run("/root/portals install")?;
    has(&said, &format!("unchanged: {program}"))?;
    has(&said, "started the agent")?;
    open(world)?;
    has(&machine.run("/root/portals install")?, "unchanged: the agent runs")?;
    obeys(world, machine, program)?;
    // An interface that comes up takes no file into force that someone is editing.
    machine.run(INTERFACE_UP)?;
    machine.run(&format!("{program} reload"))?;
    eventually("one reload is logged", || {
        same("reloads", machine.run(&format!("{program} logs | grep -c reloading || true"))?.trim(), "1")
    })?;
    // To portals, other bytes are another version.
    machine.run(&format!("cp {program} /tmp/other && echo >>/tmp/other && mv /tmp/other {program}"))?;
    let said = machine.run("/root/portals install")?;
    has(&said, &format!("copied this program to {program}"))?;
    has(&said, "restarted the agent")?;
    open(world)?;

    let kept = machine.run(firmware.kept)?;
    machine.upgrade(&kept, skeleton)?;
    closed(world)?;
    machine.boot(&boot)?;
    open(world)?;
    machine.run(&boot)?;
    one_agent(machine)?;
    if machine.run(&format!("ls {folder}"))?.contains("service") {
        machine.run("kill -9 $(pidof portals)")?;
        open(world)?;
        one_agent(machine)?;
    }

    has(&machine.run(&format!("{program} uninstall"))?, &format!("kept {folder}"))?;
    for path in firmware.others.iter().chain([program]) {
        machine.run(&format!("test ! -e {path} && test ! -L {path}"))?;
    }
    machine.run(&format!("test -e {folder}/private.key && test -e {folder}/network.toml"))?;
    same("agents that are left", machine.run("pidof portals || true")?.as_str(), "")?;
    closed(world)
}

/// Checks `start`, `stop`, `restart` and `logs`.
fn obeys(world: &mut World, machine: &Machine, program: &str) -> Result<()> {
    let agent = || machine.run("pidof portals").map(|process| process.trim().to_owned());
    let first = agent()?;
    let in_the_way =
        format!("process {first}) is at work on this machine: end it first, with `portals stop`");
    for command in ["run", "down"] {
        has(&machine.run(&format!("{program} {command} 2>&1 || true"))?, &in_the_way)?;
    }
    has(&machine.run(&format!("{program} start"))?, "nothing to do: the agent runs")?;
    let said = machine.run(&format!("{program} stop"))?;
    has(&said, "ended the agent\nthe kernel keeps the portals as they are")?;
    same("agents that are left", machine.run("pidof portals || true")?.as_str(), "")?;
    has(&machine.run(&format!("{program} start"))?, "started the agent; to see its log: portals logs")?;
    open(world)?;
    let second = agent()?;
    has(&machine.run(&format!("{program} restart"))?, "restarted the agent")?;
    open(world)?;
    let third = agent()?;
    if first == second || second == third {
        return Err(Error::failed(format!("the agents are {first}, {second} and {third}")));
    }
    eventually("the log ends with the start", || has(&machine.run(&format!("{program} logs"))?, "ready"))?;
    machine.run(&format!(
        "setsid {program} logs --follow </dev/null >/run/followed 2>&1 & \
         echo $! >/run/follower"
    ))?;
    eventually("the log is shown", || has(&machine.run("cat /run/followed")?, "ready"))?;
    machine.run("kill -- -$(cat /run/follower)").map(drop)
}

fn image(world: &mut World) -> Result<()> {
    let machine = Machine::new(world.site(NYC), OPENWRT.skeleton[0])?;
    let install = "/run/machine/root/portals install --root /run/machine";
    let said = machine.outside(install)?;
    for path in OPENWRT.others.iter().chain([&OPENWRT.program]) {
        has(&said, path)?;
        machine.outside(&format!("ls -d /run/machine{path}"))?;
    }
    let again = machine.outside(install)?;
    same("lines that say `unchanged`", again.matches("unchanged").count(), OPENWRT.others.len() + 1)?;
    machine.outside(&format!("echo old >/run/machine{}", OPENWRT.program))?;
    has(&machine.outside(install)?, "copied this program to /usr/sbin/portals")?;
    machine.outside("/run/machine/root/portals uninstall --root /run/machine")?;
    let left = machine.outside("find /run/machine -name '*portals*' ! -path '*/root/portals'")?;
    same("what is left", left.trim(), "")?;
    // An absolute link in an image would lead to this machine's own files.
    machine.outside("mkdir /run/host; rm -r /run/machine/usr/sbin; ln -s /run/host /run/machine/usr/sbin")?;
    has(&machine.outside(&format!("{install} 2>&1 || true"))?, "/run/host, which is outside /run/machine")?;
    same("what is in there", machine.outside("ls /run/host")?.as_str(), "")?;
    machine.outside(
        "mkdir /run/packaged; cp -r /run/machine/lib /run/packaged; mkdir -p /run/packaged/usr/lib/opkg/info",
    )?;
    machine.outside("touch /run/packaged/usr/lib/opkg/info/portals.list")?;
    let packaged = "/run/machine/root/portals uninstall --root /run/packaged 2>&1 || true";
    has(&machine.outside(packaged)?, "use `opkg remove portals`")
}

fn packaged(world: &mut World) -> Result<()> {
    world.install(&world.network(each_other))?;
    world.site(PARIS).start_agent()?;
    let mut machine = Machine::new(world.site(NYC), OPENWRT.skeleton[0])?;
    machine.boot(OPENWRT.boot[0])?;
    let program = OPENWRT.program;
    machine.configure(OPENWRT.folder)?;
    // Before the installation, no path leads to the program.
    has(
        &machine.run("/root/portals init")?,
        "another site:\n  /root/portals install\n  portals invite NAME\n",
    )?;
    // The package has these files at the same places, and no others.
    machine.run("rm /etc/portals/network.toml && /root/portals install && mkdir -p /usr/lib/opkg/info")?;
    machine.run("touch /usr/lib/opkg/info/portals.list")?;
    for command in ["install", "start"] {
        let said = machine.run(&format!("{program} {command} 2>&1 || true"))?;
        has(&said, &format!("network.toml does not exist yet: `{program} init` begins a network"))?;
    }
    machine.configure(OPENWRT.folder)?;
    has(
        &machine.run(&format!("{program} init"))?,
        "another site:\n  portals start\n  portals invite NAME\n",
    )?;
    // Another program than that of the package would be an upgrade without the package manager.
    has(&machine.run("/root/portals install 2>&1 || true")?, "use `opkg remove portals`")?;
    machine.run("for script in portals portals-guard; do /etc/init.d/$script disable; done")?;
    let said = machine.run(&format!("{program} install"))?;
    has(&said, "started the agent")?;
    has(&said, "\nenabled: the agent starts at each boot\n")?;
    open(world)?;
    machine.power_off()?;
    closed(world)?;
    machine.boot(OPENWRT.boot[0])?;
    open(world)?;
    machine.run("test -e /etc/rc.d/S19portals-guard")?;
    // The shell keeps the program that an upgrade replaces.
    let said = machine.run(&format!(
        "exec 3<{program}; cp {program} /tmp/newer; mv /tmp/newer {program}; /proc/self/fd/3 install"
    ))?;
    has(&said, "nothing to do: the agent runs")
}

fn open(world: &mut World) -> Result<()> {
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, PARIS.address)
}

fn closed(world: &mut World) -> Result<()> {
    unreachable(world.site(NYC).guest(seconds(1.0)), SERVER)
}

/// Checks that a second call of the hook, which runs for a moment, starts no second agent.
fn one_agent(machine: &Machine) -> Result<()> {
    std::thread::sleep(seconds(1.0));
    eventually("one agent runs", || same("agents", machine.run("pidof portals | wc -w")?.trim(), "1"))
}

fn has(said: &str, words: &str) -> Result<()> {
    if said.contains(words) {
        return Ok(());
    }
    Err(Error::failed(format!("`{words}` is not in:\n{said}")))
}
