//! Checks of `portals demo`: each printed line is the result of a probe that was just sent.

use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::capture::Capture;
use super::plot::{Addresses, NYC, PARIS, Plot};
use super::world::World;
use crate::base::error::{Error, Result};
use crate::base::net::Family;
use crate::cli::amounts::seconds;
use crate::cli::output::say;
use crate::cli::style::Style;

/// Time limit until both portals are open; an idle machine needs a second.
pub(super) const OPENING_TIMEOUT: Duration = Duration::from_mins(1);

/// Time limit of one probe; an idle machine needs milliseconds.
pub(super) const PROBE_TIMEOUT: Duration = Duration::from_secs(15);

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

/// Picture of the world with IPv6.
const PICTURE6: &str = "
            nyc                                             paris
   ┌───────────────────┐                            ┌───────────────────┐
   │ home 192.168.1.50 │                            │ 192.168.1.50 home │
   │  2001:db8:1:1::50 │                            │ 2001:db8:2:1::50  │
   │                   │                            │                   │
   │ guest 10.77.1.70  │                            │  10.77.2.70 guest │
   │ fd77:1:2:101::70  │         WireGuard          │  fd77:1:2:201::70 │
   │       └─▶ (portal ═════════════════════════════ portal) ◀─┘        │
   └─────────┬─────────┘                            └─────────┬─────────┘
       198.51.100.2 ──────────── internet ──────────────── 203.0.113.9
       2001:db8:1::2                │                    2001:db8:2::2
                                    │
              192.175.48.10 and 2620:4f:8000::10 tell clients their address
";

/// Returns the lines of the network file that make the other site the exit of one of the two.
pub(super) fn other_is_exit(Plot { name, .. }: Plot) -> String {
    let exit = if name == NYC.name { PARIS.name } else { NYC.name };
    format!(
        "exits = [\"{exit}\"]\n\n\
         [site.{name}.portal.guest]\nexit = \"{exit}\"\ninterface = \"portal0\"\ndhcp = false\n"
    )
}

/// Runs all checks in the world of [`NYC`] and [`PARIS`], in every address family that it has, and prints
/// their results.
///
/// # Errors
/// If a check failed, after all checks have run.
pub fn run_checks(world: &mut World, style: Style) -> Result<()> {
    let families = world.families();
    let has_ipv6 = families.contains(&Family::V6);
    let mut checks = Checks::begin(style, if has_ipv6 { 23 } else { 17 });
    say!("{}", if has_ipv6 { PICTURE6 } else { PICTURE });
    checks.check("both agents", open(world));
    for (entry, exit) in WAYS {
        checks.heading(&format!("A guest at {} goes through the portal", entry.name));
        for family in families {
            checks.check(&label("the route", *family), route(world, *family, entry, exit));
            checks.check(&label("the internet saw", *family), seen_through(world, *family, entry, exit));
        }
    }
    checks.heading("Computers at home leave at their own site");
    checks.at_each_site(families, &mut |plot, family| seen_at_home(world, family, plot));
    checks.heading("The link between the sites is cut");
    world.set_cut(NYC, PARIS, true)?;
    checks.at_each_site(families, &mut |plot, family| leaks(world, family, plot));
    checks.heading("The link is restored");
    world.set_cut(NYC, PARIS, false)?;
    for (entry, exit) in WAYS {
        for family in families {
            checks.check(&label(entry.name, *family), seen_through(world, *family, entry, exit));
        }
    }
    checks.finish()
}

/// Entry and exit of each portal.
const WAYS: [(Plot, Plot); 2] = [(NYC, PARIS), (PARIS, NYC)];

/// Returns the name of a check in one address family.
fn label(what: &str, family: Family) -> String {
    match family {
        Family::V4 => what.to_owned(),
        Family::V6 => format!("{what}, IPv6"),
    }
}

/// Results of the checks so far: printed one by one, and counted if they failed.
pub(super) struct Checks {
    style: Style,
    /// Width of the column with the names of checks.
    width: usize,
    failures: usize,
}

impl Checks {
    pub(super) fn begin(style: Style, width: usize) -> Self {
        Self { style, width, failures: 0 }
    }

    pub(super) fn heading(&self, text: &str) {
        say!("\n{}", self.style.strong(text));
    }

    pub(super) fn check(&mut self, what: &str, result: Result<String>) {
        let width = self.width;
        match result {
            Ok(text) => say!("  {} {what:<width$} {text}", self.style.good("✓")),
            Err(error) => {
                self.failures += 1;
                say!("  {} {what:<width$} {error}", self.style.bad("✗"));
            }
        }
    }

    fn at_each_site(&mut self, families: &[Family], check: &mut dyn FnMut(Plot, Family) -> Result<String>) {
        for plot in [NYC, PARIS] {
            for family in families {
                self.check(&label(plot.name, *family), check(plot, *family));
            }
        }
    }

    pub(super) fn finish(self) -> Result<()> {
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
    world.install(&world.network(other_is_exit))?;
    for plot in [NYC, PARIS] {
        world.site(plot).start_agent()?;
    }
    for plot in [NYC, PARIS] {
        for family in world.families() {
            wait_until_open(world, plot, *family, start)?;
        }
    }
    Ok(format!("are running; both portals opened after {}", seconds(start.elapsed())))
}

fn wait_until_open(world: &mut World, plot: Plot, family: Family, start: Instant) -> Result<()> {
    let Addresses { server, .. } = plot.addresses(family);
    while let Err(error) = world.site(plot).guest(Duration::from_secs(1)).who_am_i(server) {
        if !world.site(plot).agent()?.is_running() {
            return Err(Error::failed(format!("the agent of {} has ended", plot.name)));
        }
        if start.elapsed() > OPENING_TIMEOUT {
            return Err(error);
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn route(world: &mut World, family: Family, entry: Plot, exit: Plot) -> Result<String> {
    let (near, far) = (entry.addresses(family), exit.addresses(family));
    let hops = world.site(entry).guest(PROBE_TIMEOUT).route(near.server)?;
    let mut words = Vec::new();
    for hop in &hops {
        words.push(match hop {
            None => "?".to_owned(),
            Some(address) if *address == near.portal => format!("{address} ({})", entry.name),
            Some(address) if *address == far.tunnel => format!("{address} ({})", exit.name),
            Some(address) => address.to_string(),
        });
    }
    let text = words.join(" → ");
    if hops == [near.portal, far.tunnel, far.gateway, near.server].map(Some) {
        Ok(text)
    } else {
        Err(Error::failed(format!("unexpected route: {text}")))
    }
}

fn seen_through(world: &mut World, family: Family, entry: Plot, exit: Plot) -> Result<String> {
    let seen = world.site(entry).guest(PROBE_TIMEOUT).who_am_i(entry.addresses(family).server)?;
    expect_seen(seen, exit.addresses(family).uplink, exit)
}

/// Checks the computer at home, whose IPv6 address is not translated.
fn seen_at_home(world: &mut World, family: Family, plot: Plot) -> Result<String> {
    let Addresses { server, uplink, home, .. } = plot.addresses(family);
    let seen = world.site(plot).home(PROBE_TIMEOUT).who_am_i(server)?;
    expect_seen(seen, if family == Family::V4 { uplink } else { home }, plot)
}

pub(super) fn expect_seen(seen: IpAddr, wanted: IpAddr, plot: Plot) -> Result<String> {
    if seen == wanted {
        Ok(format!("{seen}, which is {}", plot.name))
    } else {
        Err(Error::failed(format!("{seen}, instead of {wanted} of {}", plot.name)))
    }
}

/// Makes the guest send packets to the server, and counts the packets that leave via the uplink instead of
/// the tunnel.
fn leaks(world: &mut World, family: Family, plot: Plot) -> Result<String> {
    let Addresses { own_server, .. } = plot.addresses(family);
    let site = world.site(plot);
    let capture = Capture::start(&site.router, "uplink")?;
    let tried = site.guest(PROBE_TIMEOUT).knock(own_server, ATTEMPTS)?;
    let leaked = capture.stop()?.iter().filter(|packet| packet.destination == own_server).count();
    let text = format!("{tried} packets sent, {leaked} left via the site's own uplink");
    if leaked == 0 { Ok(format!("{text}: closed, not leaking")) } else { Err(Error::failed(text)) }
}
