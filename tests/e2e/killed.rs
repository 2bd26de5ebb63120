//! `apply` is killed at any moment, and the next call makes it whole.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wg_portals::demo::{NETWORK_FILE, NYC, PARIS, Site, World};
use wg_portals::error::{Context as _, Error, Result};

use crate::snapshot::Snapshot;
use crate::ways::each_other;
use crate::words::succeeds;
use crate::{Scenario, program};

pub(crate) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "apply is killed at any moment, and the next one completes it",
    plots: &[NYC, PARIS],
    run: killed,
}];

/// How long a machine goes on, of whatever speed: a minute, or as many as PORTALS_TEST_KILLING says …
fn budget() -> Duration {
    let minutes = std::env::var("PORTALS_TEST_KILLING").ok().and_then(|minutes| minutes.parse().ok());
    Duration::from_mins(minutes.unwrap_or(1))
}

/// … and how often at least, and at most.
const TIMES: std::ops::RangeInclusive<u32> = 20..=200;

fn killed(world: &mut World) -> Result<()> {
    world.install(&world.network(each_other))?;
    let site = world.site(NYC);
    let untouched = Snapshot::of(&site.router)?;
    let start = Instant::now();
    succeeds(site, &["apply"])?;
    let whole = start.elapsed();
    let applied = Snapshot::of(&site.router)?.unnumbered();
    succeeds(site, &["down"])?;
    untouched.same_as(&Snapshot::of(&site.router)?)?;

    let end = Instant::now() + budget();
    let mut rounds = 0;
    while rounds < *TIMES.start() || (rounds < *TIMES.end() && Instant::now() < end) {
        // Spread evenly over the whole time of an apply, in an order that looks random: 0.618… is the golden ratio's fraction.
        let moment = whole.mul_f64((f64::from(rounds) * 0.618_034).fract());
        kill_after(site, moment)?;
        succeeds(site, &["apply"])?;
        applied
            .same_as(&Snapshot::of(&site.router)?.unnumbered())
            .doing(|| format!("applied again after a kill at {moment:?}"))?;
        kill_after(site, moment)?;
        succeeds(site, &["down"])?;
        untouched
            .same_as(&Snapshot::of(&site.router)?)
            .doing(|| format!("down after a kill at {moment:?}"))?;
        rounds += 1;
    }
    println!("       killed {rounds} times");
    Ok(())
}

/// Starts an apply and kills it after so long; it may be done by then.
fn kill_after(site: &Site, moment: Duration) -> Result<()> {
    let mut command = Command::new(program());
    command.args(["apply", "--config", NETWORK_FILE]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = site.router.spawn(&mut command).doing(|| "cannot start portals".to_owned())?;
    std::thread::sleep(moment);
    child
        .kill()
        .and_then(|()| child.wait())
        .map(drop)
        .map_err(|error| Error::failed("cannot kill it").because(error))
}
