//! Portals in a container: its requirements, and the messages about missing ones.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wg_portals::base::error::{Context as _, Result};
use wg_portals::base::keys;
use wg_portals::demo::{NETWORK_FILE, NYC, OSLO, PARIS, SERVER, World};
use wg_portals::system::key_files;

use crate::snapshot::Snapshot;
use crate::ways::each_other;
use crate::words::{portal, same, seconds, seen_as, shell, spawn_at};
use crate::{Scenario, program};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a container with nothing but the program is a site",
        plots: &[NYC, PARIS],
        run: from_scratch,
    },
    Scenario {
        name: "a container without NET_ADMIN names the missing option",
        plots: &[NYC],
        run: without_permission,
    },
    Scenario {
        name: "a container with a read-only /proc/sys names the missing option",
        plots: &[OSLO],
        run: without_settings,
    },
    Scenario {
        name: "a container without /dev/net/tun names the missing option",
        plots: &[NYC],
        run: without_tun,
    },
    Scenario {
        name: "the init learns that the agent is ready although the network is not",
        plots: &[NYC],
        run: notified,
    },
];

/// Image that targets/linux/Dockerfile makes; a program that is not static brings its libraries.
fn from_scratch(world: &mut World) -> Result<()> {
    world.install(&world.network(each_other))?;
    world.site(PARIS).start_agent()?;
    let script = format!(
        r"
        mkdir -p /run/container && cd /run/container && mkdir -p proc dev/net run etc
        cp '{}' portals && cp -r /run/demo etc/portals
        for library in $(ldd portals 2>/dev/null | grep -o '/[^ ]*'); do
            mkdir -p ./${{library%/*}} && cp -L $library ./$library
        done
        touch dev/net/tun
        mount --bind /dev/net/tun dev/net/tun
        mount -t proc proc proc
        exec chroot . /portals run 2>/run/said",
        program().display()
    );
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--pid", "--fork", "sh", "-ec", &script])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let mut child =
        spawn_at(&world.site(NYC).router, &mut command).context(|| "cannot start a container".to_owned())?;
    let result = seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, PARIS.address);
    let pid = child.id();
    // The kernel ends a container when its first process ends.
    let first = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let _ = first.trim().parse().map(|first| kill(Pid::from_raw(first), Signal::SIGKILL));
    let _ = child.wait();
    result
        .inspect_err(|_| println!("{}", shell(&world.site(NYC).router, "cat /run/said").unwrap_or_default()))
}

fn without_permission(world: &mut World) -> Result<()> {
    let lacks = "setpriv --bounding-set=-net_admin";
    let words = "start it with `--cap-add NET_ADMIN`";
    refused(world, &format!("{lacks} $PORTALS_RUN"), words)?;
    refused(world, "unshare --user --map-root-user $PORTALS_RUN", words)
}

fn without_settings(world: &mut World) -> Result<()> {
    let read_only = "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; $PORTALS_RUN";
    refused(
        world,
        &format!("unshare --mount sh -ec '{read_only}'"),
        "/proc/sys is read-only here, as in a container",
    )?;
    // The setting can be made when the container is started; then portals need not write it.
    let router = &world.site(OSLO).router;
    router.set_sysctl("net/ipv4/ip_forward", "1")?;
    let said = shell(router, &(command(&format!("unshare --mount sh -ec '{read_only}'")) + " || true"))?;
    same(&format!("it is ready, in {said}"), said.contains("\nready"), true)
}

fn without_tun(world: &mut World) -> Result<()> {
    let hidden =
        "mkdir -p /run/empty; mount --bind /run/empty /dev/net; PORTALS_WIREGUARD=built-in $PORTALS_RUN";
    refused(
        world,
        &format!("unshare --mount sh -ec '{hidden}'"),
        "in a container, start it with `--device /dev/net/tun`",
    )
}

/// Runs an init that knows sd_notify, at a boot where the uplink, and with it every name, comes late.
fn notified(world: &mut World) -> Result<()> {
    world.install(&lonely(world))?;
    let router = &world.site(NYC).router;
    shell(router, "ip route del default")?;
    let init = router.run(|| {
        let init = UnixDatagram::bind("/run/notify").context(|| "cannot be an init".to_owned())?;
        init.set_read_timeout(Some(seconds(5.0))).context(|| "cannot be patient".to_owned())?;
        Ok(init)
    })?;
    let mut command = Command::new(program());
    command.args(["run", "--config", NETWORK_FILE]).env("NOTIFY_SOCKET", "/run/notify").stderr(Stdio::null());
    let mut agent = spawn_at(router, &mut command).context(|| "cannot start the agent".to_owned())?;
    let hear = || {
        let mut bytes = [0; 64];
        let heard = init.recv(&mut bytes).context(|| "the agent says nothing".to_owned());
        heard.map(|length| String::from_utf8_lossy(&bytes[..length]).into_owned())
    };
    let heard = hear().and_then(|ready| {
        kill(Pid::from_raw(agent.id().cast_signed()), Signal::SIGTERM)
            .context(|| "cannot end the agent".to_owned())?;
        Ok([ready, hear()?])
    });
    let _ = agent.kill();
    let _ = agent.wait();
    same("what the init hears", heard?, ["READY=1", "STOPPING=1"].map(str::to_owned))
}

/// Checks that the command fails with status 1 and this message, and leaves the host as it was.
fn refused(world: &mut World, line: &str, words: &str) -> Result<()> {
    world.install(&lonely(world))?;
    let router = &world.sites()[0].router;
    let before = Snapshot::of(router)?;
    let said = shell(router, &format!("{} || echo status $?", command(line)))?;
    same(&format!("`{words}`, in {said}"), said.contains(words), true)?;
    same(&format!("status 1, in {said}"), said.ends_with("status 1\n"), true)?;
    before.same_as(&Snapshot::of(router)?)
}

/// Network with a portal whose exit does not answer yet.
fn lonely(world: &World) -> String {
    let key = keys::public_key(&key_files::generate());
    let far = format!("\n[site.far]\nid = 9\npublic_key = \"{key}\"\nendpoint = \"far.example\"\n");
    world.network(|plot| portal(plot, r#""far""#)) + &far
}

fn command(line: &str) -> String {
    // An agent that is not refused keeps running.
    let run = format!("timeout 5 {} --config {NETWORK_FILE} run", program().display());
    format!("{} 2>&1", line.replace("$PORTALS_RUN", &run))
}
