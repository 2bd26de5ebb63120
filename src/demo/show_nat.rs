//! Checks of `portals demo --nat`: two homes behind NAT find each other with the help of a public site.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::capture::Capture;
use super::homes::Nat;
use super::namespace::Namespace;
use super::pings::Pings;
use super::plot::{NYC, OSLO, PARIS, Plot};
use super::show::{Checks, OPENING_TIMEOUT, PROBE_TIMEOUT, expect_seen, other_is_exit};
use super::world::World;
use crate::base::error::{Error, Result};
use crate::cli::amounts::seconds;
use crate::cli::output::say;
use crate::cli::style::Style;

/// Time for which a direct link is watched.
const WATCHED: Duration = Duration::from_secs(3);

const PICTURE: &str = "
         nyc                                                 paris
  ┌────────────────┐                                   ┌────────────────┐
  │ guest ▶ portal ══════════════ WireGuard ═════════════ portal ◀ guest │
  └────────┬───────┘                                   └────────┬───────┘
    192.168.11.2                                          192.168.12.2
    NAT of the home                                      NAT of the home
    198.51.100.2 ──────────────── internet ─────────────── 203.0.113.9
                                     │
                             192.0.2.5: oslo, which helps both
";

/// Acts of the demo: the kind of both NATs, and the path of the link.
const ACTS: [(&str, Nat, &str); 3] = [
    ("Both NATs keep ports, and drop strangers", Nat::PortRestricted, "direct"),
    ("Both NATs give random ports", Nat::Symmetric, "relayed by oslo"),
    ("Both NATs keep ports again", Nat::PortRestricted, "direct"),
];

/// Adds two homes to the world of [`super::OSLO`], runs all checks, and prints their results.
///
/// # Errors
/// If a check failed, after all checks have run.
pub fn run_checks(world: &mut World, style: Style) -> Result<()> {
    let mut checks = Checks::begin(style, 14);
    let routers = [world.add_home(NYC, Nat::PortRestricted)?, world.add_home(PARIS, Nat::PortRestricted)?];
    say!("{PICTURE}");
    checks.check("three agents", start(world));
    for (number, (heading, nat, path)) in ACTS.into_iter().enumerate() {
        checks.heading(heading);
        let ways = [(NYC, PARIS), (PARIS, NYC)];
        if number > 0 {
            routers.iter().try_for_each(|router| nat.install(router))?;
        }
        checks.check("pings", first_pings(world));
        for (home, other) in ways {
            checks.check(home.name, becomes(world, home, other, path));
        }
        for (home, other) in ways {
            checks.check(&format!("{}'s guest", home.name), guest_leaves(world, home, other));
        }
    }
    checks.check("quiet", is_quiet(&world.site(NYC.behind_router()).router));
    checks.finish()
}

/// Starts the agents. Neither home has an endpoint.
fn start(world: &mut World) -> Result<String> {
    let details = |plot: Plot| if plot == OSLO { String::new() } else { other_is_exit(plot) };
    world.install(&world.network(details))?;
    for site in &mut world.sites {
        site.start_agent()?;
    }
    Ok("run; neither home has an endpoint".to_owned())
}

/// Pings in both directions: a site that sends nothing cannot notice that its link is down.
fn first_pings(world: &mut World) -> Result<String> {
    let mut pings = [(NYC, PARIS), (PARIS, NYC)]
        .map(|(home, other)| Pings::begin(world.site(home.behind_router()), other));
    let took = Pings::until_all_answered(&mut pings, OPENING_TIMEOUT)?;
    Ok(format!("are answered in both directions after {}", seconds(took)))
}

/// Waits until a home says that the link has this path.
fn becomes(world: &mut World, home: Plot, other: Plot, wanted: &str) -> Result<String> {
    let start = Instant::now();
    let site = world.site(home.behind_router());
    loop {
        let report = site.portals(&["status"])?.stdout;
        let report = String::from_utf8_lossy(&report);
        let link = report.lines().find(|line| line.contains(&format!("to-{} ", other.name)));
        if let Some(link) = link.filter(|link| link.ends_with(wanted)) {
            return Ok(link.trim().to_owned());
        }
        if start.elapsed() > OPENING_TIMEOUT {
            return Err(Error::failed(format!("{}, not {wanted}", link.unwrap_or("no link").trim())));
        }
        sleep(Duration::from_millis(100));
    }
}

fn guest_leaves(world: &mut World, home: Plot, other: Plot) -> Result<String> {
    let seen = world.site(home.behind_router()).guest(PROBE_TIMEOUT).who_am_i(home.own_server())?;
    expect_seen(seen, other.address.into(), other)
}

/// Counts the packets that leave a site for the internet while its link is direct. Some packets ask its home
/// router for a port mapping.
fn is_quiet(site: &Namespace) -> Result<String> {
    let capture = Capture::start(site, "uplink")?;
    sleep(WATCHED);
    let mut packets = capture.stop()?;
    packets.retain(|packet| packet.destination == PARIS.address || packet.destination == OSLO.address);
    let others = packets.iter().filter(|packet| !packet.is_wireguard()).count();
    let text =
        format!("{} packets in {}, {others} of them not WireGuard's own", packets.len(), seconds(WATCHED));
    if others == 0 { Ok(text) } else { Err(Error::failed(text)) }
}
