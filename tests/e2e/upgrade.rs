//! A newer program takes the place of the one that runs: nobody notices.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use wg_portals::demo::{NYC, PARIS, Plot, World, echoes};
use wg_portals::error::{Error, Result};

use crate::Scenario;
use crate::ways::each_other;
use crate::words::{Who, no_leak, same, seconds, seen_as, settled, shell, start};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "a connection outlives the agent's restart", plots: &[NYC, PARIS], run: restarted },
    Scenario {
        name: "a connection outlives the restart of the exit's agent",
        plots: &[NYC, PARIS],
        run: exit_restarted,
    },
];

/// What needs a kernel with WireGuard: tunnels that stand without an agent.
pub(crate) const WITHOUT_A_GAP: &[Scenario] =
    &[Scenario { name: "the kernel's sessions do not notice a restart", plots: &[NYC, PARIS], run: kept }];

const GUEST: Who = |site| &site.guest;

/// How long nothing may come through, in seconds.
const GAP: f64 = 1.0;

fn restarted(world: &mut World) -> Result<()> {
    restart(world, NYC, GAP)
}

fn exit_restarted(world: &mut World) -> Result<()> {
    restart(world, PARIS, GAP)
}

fn kept(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let peers = "wg show to-paris dump | tail -n +2 | cut -f 1,4,5";
    let before = shell(&world.site(NYC).router, peers)?;
    restart(world, NYC, 0.1)?;
    same("keys, addresses and handshakes", shell(&world.site(NYC).router, peers)?, before)
}

/// Restarts the agent of a site while nyc's guest talks to somebody, as a service manager does.
fn restart(world: &mut World, plot: Plot, limit: f64) -> Result<()> {
    start(world, &world.network(each_other))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
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

/// How long the longest of all questions waited for its answer while `events` happened, and once more after them.
fn longest_gap(mut peer: TcpStream, events: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            loop {
                let (is_last, begun) = (over.load(Ordering::Relaxed), Instant::now());
                if !echoes(&mut peer) {
                    return Err(Error::failed("the connection has not outlived it"));
                }
                longest = longest.max(begun.elapsed());
                if is_last {
                    return Ok(longest);
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
        let result = events();
        over.store(true, Ordering::Relaxed);
        let longest = asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        result.and(longest)
    })
}
