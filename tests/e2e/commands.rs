//! Results of commands: their exit status is a promise.

use std::process::Command;

use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::{DemoSite, NETWORK_FILE, NYC, PARIS, World};

use wg_portals::state::WireGuardBackend;

use crate::ways::each_other;
use crate::words::{eventually, portal_of, same, shell, start, succeeds};
use crate::{Scenario, program, recording};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "plan --check reports a difference with exit status 3",
        plots: &[NYC, PARIS],
        run: check,
    },
    Scenario { name: "plan names a program that is missing", plots: &[NYC, PARIS], run: missing },
    Scenario { name: "the map shows the state of links and portals", plots: &[NYC, PARIS], run: map },
    Scenario {
        name: "a broken file gives exit status 2 and changes nothing",
        plots: &[NYC, PARIS],
        run: broken,
    },
    Scenario { name: "apply asks the agent and reports the result", plots: &[NYC, PARIS], run: asked },
    Scenario { name: "apply names the functions that need an agent", plots: &[NYC], run: alone },
    Scenario { name: "an agent that refuses a file still repairs", plots: &[NYC, PARIS], run: refused },
    Scenario {
        name: "too many tunnels for the limit of open files are an error",
        plots: &[NYC, PARIS],
        run: no_room,
    },
    Scenario { name: "the demo", plots: &[], run: demo },
];

fn check(world: &mut World) -> Result<()> {
    let network = world.network(each_other);
    world.install(&network)?;
    same("status before", status(world.site(NYC), &["plan", "--check"])?, Some(3))?;
    let output = world.site(NYC).portals(&["plan", "--check"])?;
    let changes = String::from_utf8_lossy(&output.stdout).into_owned();
    let plan = succeeds(world.site(NYC), &["plan"])?;
    same("plan", plan, format!("way: portal0 → paris\nexit for paris\n\n{changes}"))?;
    start(world, &network)?;
    same("status after", status(world.site(NYC), &["plan", "--check"])?, Some(0))?;
    let output = world.site(NYC).portals(&["down"])?;
    same("status of down while the agent runs", output.status.code(), Some(1))?;
    // The agent was started by hand: the error names the command that ends it.
    let words = String::from_utf8_lossy(&output.stderr);
    let command = words.split('`').nth(3).unwrap_or_default();
    same(&words, command.starts_with("kill ") && words.contains("end it first"), true)?;
    shell(&world.site(NYC).router, command)?;
    eventually("the agent has ended", || succeeds(world.site(NYC), &["down"]).map(drop))
}

/// A program under which a device is mounted is no file, and does not count as installed.
fn missing(world: &mut World) -> Result<()> {
    world.install(&world.network(|plot| each_other(plot).replace("dhcp = false", "dhcp = true")))?;
    let site = world.site(NYC);
    let plan = format!("'{}' plan --config {NETWORK_FILE} 2>&1 >/dev/null", program().display());
    let there = shell(&site.router, &plan)?;
    same(&format!("no program missing, in {there}"), there.contains("missing"), false)?;
    let hide = "mount --bind /dev/null \"$(command -v dnsmasq)\"";
    let gone = shell(&site.router, &format!("unshare -m sh -c '{hide}; {}'", plan.replace('\'', "")))?;
    let said = "note: dnsmasq-way does not run: the program dnsmasq is missing: ";
    same(&format!("dnsmasq missing, in {gone}"), gone.contains(said), true)
}

fn map(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    let site = world.site(NYC);
    let has = |words: &[&str]| {
        let map = succeeds(site, &["map"])?;
        let lacks = words.iter().find(|words| !map.contains(**words));
        same(&format!("part that is missing in\n{map}"), lacks, None)
    };
    eventually("the link is up", || {
        has(&["┌─ nyc (this site) ─", "└◀━▶  paris  up", "━▶ paris ━▶ internet (open)", "┌─ paris ─"])
    })?;
    shell(
        &site.router,
        &format!("'{}' map --config {NETWORK_FILE} --svg /run/map.svg", program().display()),
    )?;
    let drawing = shell(&site.router, "cat /run/map.svg")?;
    same("drawing", drawing.starts_with("<svg ") && drawing.contains("class=\"link up\""), true)?;
    // As root on the site, with its uplink.
    let way = succeeds(site, &["map", "--packet-path", "nyc/way"])?;
    let has_all =
        ["enters        interface portal0", "\nleaves        uplink"].iter().all(|part| way.contains(part));
    same(&format!("way of a packet in\n{way}"), has_all, true)?;
    same("status for no portal", status(site, &["map", "--packet-path", "dog"])?, Some(2))?;
    same(
        "status for two portals",
        status(site, &["map", "--file", NETWORK_FILE, "--packet-path", "way"])?,
        Some(2),
    )?;
    let by_file = succeeds(site, &["map", "--file", NETWORK_FILE])?;
    same("state by the file alone", by_file.contains("up") || by_file.contains("this site"), false)
}

fn broken(world: &mut World) -> Result<()> {
    world.install(&world.network(|_| "colour = 1\n".to_owned()))?;
    for command in ["plan", "apply", "run", "status"] {
        same(&format!("status of {command}"), status(world.site(NYC), &[command])?, Some(2))?;
    }
    Ok(())
}

fn asked(world: &mut World) -> Result<()> {
    let (network, broken) = (world.network(each_other), world.network(|_| "colour = 1\n".to_owned()));
    start(world, &network)?;
    let site = world.site(NYC);
    same("nothing to do", succeeds(site, &["apply"])?.starts_with("nothing to do"), true)?;
    site.install(&network.replace("portal0", "lan0"))?;
    same("something to do", succeeds(site, &["apply"])?.starts_with("made "), true)?;
    same("status after", status(site, &["plan", "--check"])?, Some(0))?;

    let other = NETWORK_FILE.replace("network", "other");
    shell(&site.router, &format!("cp {NETWORK_FILE} {other}"))?;
    let program = program();
    let status_of_other = format!("'{}' apply --config {other} || echo $?", program.display());
    same("status with another file", shell(&site.router, &status_of_other)?.trim(), "2")?;

    site.install(&broken)?;
    let output = site.portals(&["apply"])?;
    same("status with a broken file", output.status.code(), Some(2))?;
    let words = String::from_utf8_lossy(&output.stderr);
    same(&format!("the fault with its place, in {words}"), words.contains("network.toml:9:1: "), true)
}

fn alone(world: &mut World) -> Result<()> {
    world.install(&world.network(|_| portal_of(NYC, "\"direct\"", "interface = \"portal0\"")))?;
    let site = world.site(NYC);
    let output = site.portals(&["apply"])?;
    let words = String::from_utf8_lossy(&output.stderr);
    let note = "note: no agent runs, and without it there is no DHCP and DNS (1 dnsmasq): start it with \
                `portals run`";
    same(&words, (output.status.code(), words.contains(note)), (Some(0), true))?;
    succeeds(site, &["down"]).map(drop)
}

/// Checks the hard limit of open files: the agent raises the soft limit itself.
fn no_room(world: &mut World) -> Result<()> {
    world.install(&world.network(each_other))?;
    let run = format!("PORTALS_WIREGUARD=built-in '{}' run --config {NETWORK_FILE}", program().display());
    let words =
        shell(&world.site(NYC).router, &format!("ulimit -n 70; {run} 2>&1 && exit 1 || echo status $?"))?;
    same(&words, words.contains("no room for 1 tunnel") && words.contains("status 1"), true)?;
    world.site(NYC).demand_wireguard(WireGuardBackend::BuiltIn);
    start(world, &world.network(each_other))
}

fn refused(world: &mut World) -> Result<()> {
    let network = world.network(each_other);
    start(world, &network)?;
    let site = world.site(NYC);
    // The file is valid, but this host cannot use it.
    site.install(&network.replace("interface = \"portal0\"", "interface = \"uplink\""))?;
    same("status of a refused file", status(site, &["apply"])?, Some(2))?;
    let ours = "ip rule | grep 7702; ip route show table 7702";
    let before = shell(&site.router, ours)?;
    shell(
        &site.router,
        "ip route flush table 7702; ip rule flush; ip rule add lookup main; ip rule add lookup default",
    )?;
    eventually("what was flushed is back", || {
        same("it", shell(&site.router, &format!("{ours} || true"))?, before.clone())
    })
}

fn demo(_: &mut World) -> Result<()> {
    let output = Command::new(program()).arg("demo").output().context(|| "cannot run the demo".to_owned())?;
    let [told, complaints] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    if !output.status.success() {
        return Err(Error::failed(format!("{}\n{told}{complaints}", output.status)));
    }
    // The first line of the recording is the command.
    let recorded: Vec<String> = recording::lines().iter().skip(1).map(|line| without_times(line)).collect();
    let told: Vec<String> = told.lines().map(without_times).collect();
    for (told, recorded) in told.iter().zip(&recorded) {
        same("a line of the demo, which scripts/record records anew", told, recorded)?;
    }
    same("the number of lines of the demo, which scripts/record records anew", told.len(), recorded.len())
}

/// Returns the line with `…` in the place of times such as `1.0 s`.
fn without_times(line: &str) -> String {
    let is_number = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
    let mut words: Vec<&str> = line.split(' ').collect();
    for at in 1..words.len() {
        if matches!(words[at], "s" | "s.") && is_number(words[at - 1]) {
            words[at - 1] = "…";
        }
    }
    words.join(" ")
}

fn status(site: &DemoSite, arguments: &[&str]) -> Result<Option<i32>> {
    Ok(site.portals(arguments)?.status.code())
}
