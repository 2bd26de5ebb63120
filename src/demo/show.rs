//! Checks of `portals demo`: each printed line is the result of a probe that was just sent.

use std::net::{IpAddr, Ipv4Addr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::capture::Capture;
use super::world::{NYC, PARIS, Plot, SERVER, World};
use crate::base::error::{Error, Result};
use crate::cli::amounts::seconds;
use crate::cli::output::say;
use crate::cli::style::Style;

/// Time limit until both portals are open; an idle machine needs a second.
const OPENING_TIMEOUT: Duration = Duration::from_mins(1);

/// Time limit of one probe; an idle machine needs milliseconds.
const PROBE_TIMEOUT: Duration = Duration::from_secs(15);

/// Number of attempts of each guest while the link is cut; each attempt is two packets.
const ATTEMPTS: usize = 20;

const PICTURE: &str = "
            nyc                                             paris
   ┌───────────────────┐                            ┌───────────────────┐
   │ home 192.168.1.50 │                            │ 192.168.1.50 home │
   │                   │                            │                   │
   │ guest 10.77.1.70  │          WireGuard         │  10.77.2.70 guest │
   │       └─▶ (portal ═════════════════════════════ portal) ◀─┘        │
   └─────────┬─────────┘                            └─────────┬─────────┘
       198.51.100.2 ──────────── internet ──────────────── 203.0.113.9
                                    │
                       192.175.48.10 tells clients their address
";

/// Returns the network file of the demo: each site is the other's exit.
pub fn network(world: &World) -> String {
    world.network(|Plot { name, .. }| {
        let exit = if name == NYC.name { PARIS.name } else { NYC.name };
        format!(
            "exits = [\"{exit}\"]\n\n\
             [site.{name}.portal.guest]\nexit = \"{exit}\"\ninterface = \"portal0\"\ndhcp = false\n"
        )
    })
}

/// Runs all checks in the world of [`NYC`] and [`PARIS`], and prints their results.
///
/// # Errors
/// If a check failed, after all checks have run.
pub fn run_checks(world: &mut World, style: Style) -> Result<()> {
    let mut checks = Checks { style, failures: 0 };
    say!("{PICTURE}");
    checks.check("both agents", open(world));
    for (entry, exit) in [(NYC, PARIS), (PARIS, NYC)] {
        checks.heading(&format!("A guest at {} goes through the portal", entry.name));
        checks.check("the route", route(world, entry, exit));
        checks.check("the internet saw", seen_through(world, entry, exit));
    }
    checks.heading("Computers at home leave at their own site");
    for plot in [NYC, PARIS] {
        checks.check(plot.name, seen_at_home(world, plot));
    }
    checks.heading("The link between the sites is cut");
    world.set_cut(NYC, PARIS, true)?;
    for plot in [NYC, PARIS] {
        checks.check(plot.name, leaks(world, plot));
    }
    checks.heading("The link is restored");
    world.set_cut(NYC, PARIS, false)?;
    for (entry, exit) in [(NYC, PARIS), (PARIS, NYC)] {
        checks.check(entry.name, seen_through(world, entry, exit));
    }
    checks.finish()
}

/// Results of the checks so far: printed one by one, and counted if they failed.
struct Checks {
    style: Style,
    failures: usize,
}

impl Checks {
    fn heading(&self, text: &str) {
        say!("\n{}", self.style.strong(text));
    }

    fn check(&mut self, what: &str, result: Result<String>) {
        match result {
            Ok(text) => say!("  {} {what:<17} {text}", self.style.good("✓")),
            Err(error) => {
                self.failures += 1;
                say!("  {} {what:<17} {error}", self.style.bad("✗"));
            }
        }
    }

    fn finish(self) -> Result<()> {
        match self.failures {
            0 => Ok(()),
            1 => Err(Error::failed("1 check failed")),
            failures => Err(Error::failed(format!("{failures} checks failed"))),
        }
    }
}

/// Starts the agents, and waits until both portals work.
fn open(world: &mut World) -> Result<String> {
    let start = Instant::now();
    world.install(&network(world))?;
    for plot in [NYC, PARIS] {
        world.site(plot).start_agent()?;
    }
    for plot in [NYC, PARIS] {
        while let Err(error) = world.site(plot).guest(Duration::from_secs(1)).who_am_i(SERVER) {
            if !world.site(plot).agent()?.is_running() {
                return Err(Error::failed(format!("the agent of {} has ended", plot.name)));
            }
            if start.elapsed() > OPENING_TIMEOUT {
                return Err(error);
            }
            sleep(Duration::from_millis(50));
        }
    }
    Ok(format!("are running; both portals opened after {}", seconds(start.elapsed())))
}

fn route(world: &mut World, entry: Plot, exit: Plot) -> Result<String> {
    let hops = world.site(entry).guest(PROBE_TIMEOUT).traceroute(SERVER)?;
    let text: Vec<String> = hops.iter().map(|hop| describe_hop(*hop, entry, exit)).collect();
    let text = text.join(" → ");
    if hops == [entry.portal(), exit.tunnel(), exit.gateway(), SERVER].map(Some) {
        Ok(text)
    } else {
        Err(Error::failed(format!("unexpected route: {text}")))
    }
}

fn describe_hop(hop: Option<Ipv4Addr>, entry: Plot, exit: Plot) -> String {
    match hop {
        None => "?".to_owned(),
        Some(address) if address == entry.portal() => format!("{address} ({})", entry.name),
        Some(address) if address == exit.tunnel() => format!("{address} ({})", exit.name),
        Some(address) => address.to_string(),
    }
}

fn seen_through(world: &mut World, entry: Plot, exit: Plot) -> Result<String> {
    expect_seen(world.site(entry).guest(PROBE_TIMEOUT).who_am_i(SERVER)?, exit)
}

fn seen_at_home(world: &mut World, plot: Plot) -> Result<String> {
    expect_seen(world.site(plot).home(PROBE_TIMEOUT).who_am_i(SERVER)?, plot)
}

fn expect_seen(seen: IpAddr, plot: Plot) -> Result<String> {
    if seen == plot.address {
        Ok(format!("{seen}, which is {}", plot.name))
    } else {
        Err(Error::failed(format!("{seen}, instead of {} of {}", plot.address, plot.name)))
    }
}

/// Makes the guest send packets to the server, and counts the packets that leave via the uplink instead of
/// the tunnel.
fn leaks(world: &mut World, plot: Plot) -> Result<String> {
    let site = world.site(plot);
    let capture = Capture::start(&site.router, "uplink")?;
    let tried = site.guest(PROBE_TIMEOUT).knock(plot.own_server(), ATTEMPTS)?;
    let leaked = capture.stop()?.iter().filter(|packet| packet.destination == plot.own_server()).count();
    let text = format!("{tried} packets sent, {leaked} left via the site's own uplink");
    if leaked == 0 { Ok(format!("{text}: closed, not leaking")) } else { Err(Error::failed(text)) }
}
