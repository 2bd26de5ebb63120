//! The story that `portals demo` tells: each line is something tried just now.

use std::net::{IpAddr, Ipv4Addr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::capture::Capture;
use super::world::{NYC, PARIS, Plot, SERVER, World};
use crate::base::error::{Error, Result};
use crate::cli::output::say;
use crate::cli::style::{Style, seconds};

/// The time that the agents may take until both portals are open; a second does on an idle machine.
const OPENING: Duration = Duration::from_mins(1);

/// The time that one question may take; milliseconds do on an idle machine.
const LIMIT: Duration = Duration::from_secs(15);

/// How often the guests knock while the link is cut; two packets each time.
const KNOCKS: usize = 20;

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
                       192.175.48.10 tells who asks
";

/// The network that the story plays in: each site is the other's exit.
pub fn network(world: &World) -> String {
    world.network(|Plot { name, .. }| {
        let exit = if name == NYC.name { PARIS.name } else { NYC.name };
        format!(
            "exits = [\"{exit}\"]\n\n\
             [site.{name}.portal.guest]\nexit = \"{exit}\"\ninterface = \"portal0\"\ndhcp = false\n"
        )
    })
}

/// Tells it, in the world of [`NYC`] and [`PARIS`].
///
/// # Errors
/// If something did not hold, after all of it was tried.
pub fn tell(world: &mut World, style: Style) -> Result<()> {
    let mut teller = Teller { style, faults: 0 };
    say!("{PICTURE}");
    teller.line("both agents", open(world));
    for (entry, exit) in [(NYC, PARIS), (PARIS, NYC)] {
        teller.heading(&format!("A guest at {} goes through the portal", entry.name));
        teller.line("the way", way(world, entry, exit));
        teller.line("the internet saw", seen_through(world, entry, exit));
    }
    teller.heading("The homes leave where they are");
    for plot in [NYC, PARIS] {
        teller.line(plot.name, seen_at_home(world, plot));
    }
    teller.heading("The link between the two is cut");
    world.set_cut(NYC, PARIS, true)?;
    for plot in [NYC, PARIS] {
        teller.line(plot.name, leaks(world, plot));
    }
    teller.heading("The link is mended");
    world.set_cut(NYC, PARIS, false)?;
    for (entry, exit) in [(NYC, PARIS), (PARIS, NYC)] {
        teller.line(entry.name, seen_through(world, entry, exit));
    }
    teller.end()
}

struct Teller {
    style: Style,
    faults: usize,
}

impl Teller {
    fn heading(&self, text: &str) {
        say!("\n{}", self.style.strong(text));
    }

    fn line(&mut self, what: &str, result: Result<String>) {
        match result {
            Ok(text) => say!("  {} {what:<17} {text}", self.style.good("✓")),
            Err(error) => {
                self.faults += 1;
                say!("  {} {what:<17} {error}", self.style.bad("✗"));
            }
        }
    }

    fn end(self) -> Result<()> {
        match self.faults {
            0 => Ok(()),
            1 => Err(Error::failed("one thing did not hold")),
            faults => Err(Error::failed(format!("{faults} things did not hold"))),
        }
    }
}

/// Starts the agents and waits until both portals work.
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
            if start.elapsed() > OPENING {
                return Err(error);
            }
            sleep(Duration::from_millis(50));
        }
    }
    Ok(format!("are at work, and the portals open, after {}", seconds(start.elapsed())))
}

fn way(world: &mut World, entry: Plot, exit: Plot) -> Result<String> {
    let hops = world.site(entry).guest(LIMIT).traceroute(SERVER)?;
    let text: Vec<String> = hops.iter().map(|hop| hop_in_words(*hop, entry, exit)).collect();
    let text = text.join(" → ");
    if hops == [entry.portal(), exit.tunnel(), exit.gateway(), SERVER].map(Some) {
        Ok(text)
    } else {
        Err(Error::failed(format!("it is another one: {text}")))
    }
}

fn hop_in_words(hop: Option<Ipv4Addr>, entry: Plot, exit: Plot) -> String {
    match hop {
        None => "?".to_owned(),
        Some(address) if address == entry.portal() => format!("{address} ({})", entry.name),
        Some(address) if address == exit.tunnel() => format!("{address} ({})", exit.name),
        Some(address) => address.to_string(),
    }
}

fn seen_through(world: &mut World, entry: Plot, exit: Plot) -> Result<String> {
    expect_seen(world.site(entry).guest(LIMIT).who_am_i(SERVER)?, exit)
}

fn seen_at_home(world: &mut World, plot: Plot) -> Result<String> {
    expect_seen(world.site(plot).home(LIMIT).who_am_i(SERVER)?, plot)
}

fn expect_seen(seen: IpAddr, plot: Plot) -> Result<String> {
    if seen == plot.address {
        Ok(format!("{seen}, which is {}", plot.name))
    } else {
        Err(Error::failed(format!("{seen}, and not {} of {}", plot.address, plot.name)))
    }
}

/// Lets the guest knock at the server, and counts what leaves by the uplink instead of the tunnel.
fn leaks(world: &mut World, plot: Plot) -> Result<String> {
    let site = world.site(plot);
    let capture = Capture::start(&site.router, "uplink")?;
    let tried = site.guest(LIMIT).knock(plot.own_server(), KNOCKS)?;
    let leaked = capture.stop()?.iter().filter(|packet| packet.destination == plot.own_server()).count();
    let text = format!("{tried} packets tried, {leaked} left by the own uplink");
    if leaked == 0 { Ok(format!("{text}: closed, not leaking")) } else { Err(Error::failed(text)) }
}
