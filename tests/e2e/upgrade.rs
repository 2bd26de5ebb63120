//! A newer program in place of the running one: connections survive.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use wg_portals::base::error::{Error, Result};
use wg_portals::demo::{NYC, PARIS, Plot, World, echoes};

use crate::Scenario;
use crate::concurrently::concurrently;
use crate::ways::each_other;
use crate::words::{Who, no_leak, same, seconds, seen_as, settled, shell, start};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "a connection outlives the agent's restart", plots: &[NYC, PARIS], run: restarted },
    Scenario {
        name: "a connection outlives the restart of an exit that cannot dial this site",
        plots: &[NYC, PARIS],
        run: undialled,
    },
    Scenario {
        name: "a connection outlives the restart of the exit's agent",
        plots: &[NYC, PARIS],
        run: exit_restarted,
    },
];

/// Part of the file that lets the site be dialled.
const BEHIND_NAT: &str = "endpoint = \"198.51.100.2\"\n";

/// Scenarios that need a kernel with WireGuard: tunnels that work without an agent.
pub(crate) const WITHOUT_A_GAP: &[Scenario] =
    &[Scenario { name: "a restart does not touch the kernel's sessions", plots: &[NYC, PARIS], run: kept }];

const GUEST: Who = |site| &site.guest;

/// Seconds for which no packet may pass, even on a busy machine. On an idle machine it is a fifth of a
/// second, as the scenario prints.
const GAP: f64 = 5.0;

fn restarted(world: &mut World) -> Result<()> {
    begin(world, "")?;
    restart(world, NYC, GAP)
}

fn exit_restarted(world: &mut World) -> Result<()> {
    begin(world, "")?;
    restart(world, PARIS, GAP)
}

fn undialled(world: &mut World) -> Result<()> {
    begin(world, BEHIND_NAT)?;
    restart(world, PARIS, GAP)
}

fn kept(world: &mut World) -> Result<()> {
    begin(world, "")?;
    let peers = "wg show to-paris dump | tail -n +2 | cut -f 1,4,5";
    let before = shell(&world.site(NYC).router, peers)?;
    restart(world, NYC, 1.0)?;
    same("keys, addresses and handshakes", shell(&world.site(NYC).router, peers)?, before)
}

/// Starts a portal in each direction, with `left_out` removed from the file.
fn begin(world: &mut World, left_out: &str) -> Result<()> {
    let network = world.network(each_other);
    start(world, &if left_out.is_empty() { network } else { network.replace(left_out, "") })?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)
}

/// Restarts the agent of a site as a service manager does, while nyc's guest holds a connection.
fn restart(world: &mut World, plot: Plot, limit: f64) -> Result<()> {
    let peer = world.site(NYC).guest(seconds(10.0)).connect(NYC.own_server())?;
    let mut gap = Duration::ZERO;
    no_leak(world, NYC, GUEST, |world| {
        gap = longest_gap(peer, || {
            world.site(plot).stop_agent()?;
            world.site(plot).start_agent()?;
            settled(world.site(plot))
        })?;
        Ok(())
    })?;
    println!("       nothing came through for {} ms", gap.as_millis());
    same(&format!("a gap of {gap:?} is short"), gap <= seconds(limit), true)
}

/// Longest time that a request waited for its answer, while `events` happened and once more after them.
fn longest_gap(mut peer: TcpStream, events: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let ask = |is_over: &dyn Fn() -> bool| {
        let mut longest = Duration::ZERO;
        loop {
            let (is_last, begun) = (is_over(), Instant::now());
            if !echoes(&mut peer) {
                return Err(Error::failed("the connection has not outlived it"));
            }
            longest = longest.max(begun.elapsed());
            if is_last {
                return Ok(longest);
            }
            thread::sleep(Duration::from_millis(5));
        }
    };
    let (result, longest) = concurrently(events, ask);
    result.and(longest)
}
