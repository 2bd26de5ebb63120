//! An `apply` that is killed at any moment, and is completed by the next command.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::{DemoSite, NETWORK_FILE, NYC, PARIS, World};

use crate::snapshot::Snapshot;
use crate::ways::each_other;
use crate::words::{seconds, spawn_at, succeeds};
use crate::{Scenario, program};

pub(crate) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "an apply that is killed at any moment is completed by the next one",
    plots: &[NYC, PARIS],
    run: killed,
}];

/// Number of kills; slow machines divide it by their factor.
const TIMES: u128 = 200;

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

    let times = TIMES * 1000 / seconds(1.0).as_millis();
    let mut fraction: f64 = 0.0;
    for _ in 0..times {
        // The moments are spread evenly over the whole time of an apply, in an order that looks random:
        // 0.618… is the fraction of the golden ratio.
        fraction = (fraction + 0.618_034).fract();
        let moment = whole.mul_f64(fraction);
        kill_after(site, moment)?;
        succeeds(site, &["apply"])?;
        applied
            .same_as(&Snapshot::of(&site.router)?.unnumbered())
            .context(|| format!("applied again after a kill at {moment:?}"))?;
        kill_after(site, moment)?;
        succeeds(site, &["down"])?;
        untouched
            .same_as(&Snapshot::of(&site.router)?)
            .context(|| format!("down after a kill at {moment:?}"))?;
    }
    println!("       killed {times} times");
    Ok(())
}

/// Starts an apply and kills it after a time; it may be done by then.
fn kill_after(site: &DemoSite, moment: Duration) -> Result<()> {
    let mut command = Command::new(program());
    command.args(["apply", "--config", NETWORK_FILE]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = spawn_at(&site.router, &mut command).context(|| "cannot start portals".to_owned())?;
    std::thread::sleep(moment);
    child
        .kill()
        .and_then(|()| child.wait())
        .map(drop)
        .map_err(|error| Error::failed("cannot kill it").because(error))
}
