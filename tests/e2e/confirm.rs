//! Changes that must be confirmed: people who cut off their own access get it back.

use std::fs;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::{DemoSite, NETWORK_FILE, NYC, PARIS, SERVER, World};

use crate::filters::forget_rules;
use crate::ways::each_other;
use crate::words::{
    eventually, portal, same, seconds, seen_as, settled, shell, spawn_at, start, succeeds, unreachable,
    within,
};
use crate::{Scenario, program};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "a change that cuts off its author is undone", plots: &[NYC, PARIS], run: cut_off },
    Scenario { name: "a change is undone even if its command is killed", plots: &[NYC, PARIS], run: killed },
    Scenario {
        name: "after a power cut, the next start undoes a change",
        plots: &[NYC, PARIS],
        run: power_cut,
    },
    Scenario { name: "a change that is confirmed stays", plots: &[NYC, PARIS], run: confirmed },
    Scenario { name: "a change that fails leaves nothing to confirm", plots: &[NYC, PARIS], run: failed },
    Scenario {
        name: "a file that SIGHUP makes the agent read waits to be confirmed",
        plots: &[NYC, PARIS],
        run: signalled,
    },
    Scenario { name: "without an agent, a change is undone as well", plots: &[NYC], run: without_agent },
    Scenario {
        name: "without an agent, a change is undone after a power cut",
        plots: &[NYC],
        run: power_cut_without_agent,
    },
];

/// Seconds within which a change must be confirmed.
const TIME: &str = "6";

/// Network of the outsider, declared as a LAN of Paris: nyc's replies to the outsider then go to Paris.
fn locks_out(world: &World) -> String {
    world.network(|plot| {
        let lan = if plot == PARIS { "lan = [\"192.175.48.0/24\"]\n" } else { "" };
        format!("{lan}{}", each_other(plot))
    })
}

/// Opens a session from far away to nyc's router.
fn reaches(world: &World) -> Result<()> {
    let who = world.outsider(seconds(1.0)).who_am_i(NYC.address)?;
    same("who is seen at nyc", who, SERVER.into())
}

fn begin(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    reaches(world)?;
    let text = locks_out(world);
    world.site(NYC).install(&text)
}

/// Checks that the session works again within the time and one more second, and that the file is the old one.
fn is_back(world: &mut World, begun: Instant) -> Result<()> {
    within(seconds(8.0), "nyc is reached again", || reaches(world))?;
    println!("       reached again after {:.1} s", begun.elapsed().as_secs_f32());
    let (old, new) = (world.network(each_other), locks_out(world));
    let site = world.site(NYC);
    let files = format!("cat {NETWORK_FILE} {NETWORK_FILE}.undone; ls {NETWORK_FILE}.unconfirmed || true");
    same("the files", shell(&site.router, &files)?, format!("{old}{new}"))?;
    settled(site)
}

fn cut_off(world: &mut World) -> Result<()> {
    begin(world)?;
    let begun = Instant::now();
    succeeds(world.site(NYC), &["apply", "--confirm", TIME])?;
    unreachable(world.outsider(seconds(1.0)), NYC.address)?;
    let report = succeeds(world.site(NYC), &["status", "--json"])?;
    same(&format!("time is running, in {report}"), report.contains(r#""unconfirmed_s":null"#), false)?;
    is_back(world, begun)?;
    let late = world.site(NYC).portals(&["confirm"])?;
    same("status of confirm, too late", late.status.code(), Some(1))?;
    let log = world.site(NYC).log();
    same("times that the log tells it", log.matches("the change was not confirmed").count(), 1)
}

fn killed(world: &mut World) -> Result<()> {
    begin(world)?;
    let begun = Instant::now();
    let shell = ask_from_a_shell(world.site(NYC), TIME)?;
    eventually("it is in force", || unreachable(world.outsider(seconds(0.3)), NYC.address))?;
    kill_all_of(shell)?;
    is_back(world, begun)
}

fn power_cut(world: &mut World) -> Result<()> {
    begin(world)?;
    let begun = Instant::now();
    succeeds(world.site(NYC), &["apply", "--confirm", "600"])?;
    unreachable(world.outsider(seconds(0.3)), NYC.address)?;
    world.site(NYC).kill_agent();
    forget_all(world.site(NYC))?;
    world.site(NYC).start_agent()?;
    is_back(world, begun)
}

fn confirmed(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    let text = world.network(each_other).replace("[network]", "[network]\nmtu = 1300");
    let site = world.site(NYC);
    site.install(&text)?;
    same("status of confirm, too early", site.portals(&["confirm"])?.status.code(), Some(1))?;
    succeeds(site, &["apply", "--confirm", "3"])?;
    succeeds(site, &["confirm"])?;
    sleep(seconds(3.5));
    let stays = |site: &DemoSite| {
        settled(site)?;
        same("the file", shell(&site.router, &format!("cat {NETWORK_FILE}"))?, text.clone())?;
        let link = shell(&site.router, "ip link show to-paris")?;
        same(&format!("the change, in {link}"), link.contains("mtu 1300"), true)
    };
    stays(site)?;
    site.start_agent()?;
    stays(site)?;
    // An apply without `--confirm` confirms as well.
    site.install(&text.replace("1300", "1310"))?;
    succeeds(site, &["apply", "--confirm", "1"])?;
    site.install(&text)?;
    succeeds(site, &["apply"])?;
    sleep(seconds(3.5));
    stays(site)
}

fn failed(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    // Port of the tunnel to Paris with the other base port.
    let taken = world
        .site(NYC)
        .router
        .run(|| UdpSocket::bind(("0.0.0.0", 52_002)).context(|| "it is taken".to_owned()))?;
    let text = world.network(each_other).replace("[site.nyc]", "[site.nyc]\nport = 52000");
    let site = world.site(NYC);
    site.install(&text)?;
    same("status", site.portals(&["apply", "--confirm", "1"])?.status.code(), Some(1))?;
    same("status of confirm", site.portals(&["confirm"])?.status.code(), Some(1))?;
    sleep(seconds(3.5));
    let files =
        shell(&site.router, "cd /run/demo; ls network.toml* | grep -v -e clock -e site; cat network.toml")?;
    same("the files", files, format!("network.toml\nnetwork.toml.confirmed\n{text}"))?;
    seen_as(site.guest(seconds(3.0)), SERVER, PARIS.address)?;
    drop(taken);
    succeeds(site, &["apply", "--confirm", "60"])?;
    succeeds(site, &["confirm"]).map(drop)
}

fn signalled(world: &mut World) -> Result<()> {
    let careful = |text: String| text.replace("[site.nyc]", "[site.nyc]\nconfirm_reload = 6");
    let (old, new) = (careful(world.network(each_other)), careful(locks_out(world)));
    start(world, &old)?;
    world.site(NYC).install(&new)?;
    world.site(NYC).agent()?.reload()?;
    eventually("it is in force", || unreachable(world.outsider(seconds(0.3)), NYC.address))?;
    within(seconds(8.0), "nyc is reached again", || reaches(world))?;
    let site = world.site(NYC);
    same("the file", shell(&site.router, &format!("cat {NETWORK_FILE}"))?, old)?;
    site.install(&new.replace("192.175.48.0/24", "192.168.7.0/24"))?;
    succeeds(site, &["reload"])?;
    succeeds(site, &["confirm"])?;
    sleep(seconds(6.5));
    settled(site)
}

fn without_agent(world: &mut World) -> Result<()> {
    let open = world.network(|plot| portal(plot, r#""direct""#));
    let closed = open.replace("interface = \"portal0\"", "interface = \"lan0\"");
    let site = world.site(NYC);
    let works =
        |site: &DemoSite| same("the guest", site.guest(seconds(1.0)).who_am_i(SERVER)?, NYC.address.into());
    site.install(&open)?;
    let shell = ask_from_a_shell(site, TIME)?;
    seen_as(site.guest(seconds(1.0)), SERVER, NYC.address)?;
    kill_all_of(shell)?;
    eventually("nothing is there, as before", || unreachable(site.guest(seconds(0.3)), SERVER))?;
    same("status without a file", site.portals(&["plan"])?.status.code(), Some(2))?;

    site.install(&open)?;
    succeeds(site, &["apply"])?;
    seen_as(site.guest(seconds(1.0)), SERVER, NYC.address)?;
    site.install(&closed)?;
    succeeds(site, &["apply", "--confirm", TIME])?;
    unreachable(site.guest(seconds(0.3)), SERVER)?;
    within(seconds(8.0), "the guest is back", || works(site))?;
    succeeds(site, &["plan", "--check"])?;

    site.install(&closed)?;
    succeeds(site, &["apply", "--confirm", "3"])?;
    succeeds(site, &["confirm"])?;
    sleep(seconds(3.5));
    succeeds(site, &["plan", "--check"])?;
    same("status of confirm once more", site.portals(&["confirm"])?.status.code(), Some(1))
}

fn power_cut_without_agent(world: &mut World) -> Result<()> {
    let open = world.network(|plot| portal(plot, r#""direct""#));
    let site = world.site(NYC);
    site.install(&open)?;
    succeeds(site, &["apply"])?;
    site.install(&open.replace("interface = \"portal0\"", "interface = \"lan0\""))?;
    // A time that distinguishes this process from all others.
    succeeds(site, &["apply", "--confirm", "8640"])?;
    kill_watcher("8640")?;
    forget_all(site)?;
    let said = site.portals(&["apply"])?.stderr;
    let said = String::from_utf8_lossy(&said);
    same(&format!("a word about it, in {said}"), said.contains("was not confirmed"), true)?;
    same("the file", shell(&site.router, &format!("cat {NETWORK_FILE}"))?, open)?;
    seen_as(site.guest(seconds(1.0)), SERVER, NYC.address)
}

/// Removes everything that a reboot forgets: portals' objects in the kernel, and the files in /run.
fn forget_all(site: &DemoSite) -> Result<()> {
    let rules =
        "for p in 110 111 112 113 118 119; do while ip rule delete priority $p 2>/dev/null; do :; done; done";
    let rest = "ip link delete to-paris 2>/dev/null || true;
                ip address delete 10.77.1.65/26 dev lan0 2>/dev/null || true; rm -r /run/portals*";
    shell(&site.router, &format!("{}; {rules}; {rest}", forget_rules())).map(drop)
}

/// Types `apply --confirm` in a shell that stays, as SSH does.
fn ask_from_a_shell(site: &DemoSite, time: &str) -> Result<Child> {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new("sh");
    let script =
        format!("'{}' apply --config {NETWORK_FILE} --confirm {time}; sleep 60", program().display());
    command.args(["-c", &script]).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    spawn_at(&site.router, &mut command).context(|| "cannot start a shell".to_owned())
}

/// Kills a shell and all processes that it has started, at once.
fn kill_all_of(mut shell: Child) -> Result<()> {
    killpg(Pid::from_raw(shell.id().cast_signed()), Signal::SIGKILL)
        .context(|| "cannot kill the shell".to_owned())?;
    shell.wait().map(drop).context(|| "cannot wait for the shell".to_owned())
}

/// Kills the process that waits for this many seconds.
fn kill_watcher(time: &str) -> Result<()> {
    let entries = fs::read_dir("/proc").context(|| "cannot list processes".to_owned())?;
    let wanted = format!("confirm\0--wait\0{time}\0");
    let waits = |path: &std::path::Path| {
        fs::read(path.join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&wanted))
    };
    let process = entries.flatten().map(|entry| entry.path()).find(|path| waits(path));
    let number = process.and_then(|path| path.file_name()?.to_str()?.parse().ok());
    let number = number.ok_or_else(|| Error::failed("no process waits for a confirmation"))?;
    kill(Pid::from_raw(number), Signal::SIGKILL).context(|| "cannot kill it".to_owned())?;
    // Until the process is gone, it holds the lock.
    sleep(Duration::from_millis(200));
    Ok(())
}
