//! What the commands answer: their exit status is a promise.

use std::process::Command;

use wg_portals::demo::{NYC, PARIS, Site, World};
use wg_portals::error::{Context as _, Error, Result};

use crate::ways::each_other;
use crate::words::{same, start};
use crate::{Scenario, program};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "plan --check tells a difference by status 3", plots: &[NYC, PARIS], run: check },
    Scenario { name: "a broken file is status 2 and changes nothing", plots: &[NYC, PARIS], run: broken },
    Scenario { name: "the demo", plots: &[], run: demo },
];

fn check(world: &mut World) -> Result<()> {
    let network = world.network(each_other);
    world.install(&network)?;
    same("status before", status(world.site(NYC), &["plan", "--check"])?, Some(3))?;
    same("status before", status(world.site(NYC), &["plan"])?, Some(0))?;
    start(world, &network)?;
    same("status after", status(world.site(NYC), &["plan", "--check"])?, Some(0))?;
    same("status of down while the agent runs", status(world.site(NYC), &["down"])?, Some(1))
}

fn broken(world: &mut World) -> Result<()> {
    world.install(&world.network(|_| "colour = 1\n".to_owned()))?;
    for command in ["plan", "apply", "run", "status"] {
        same(&format!("status of {command}"), status(world.site(NYC), &[command])?, Some(2))?;
    }
    Ok(())
}

fn demo(_: &mut World) -> Result<()> {
    let output = Command::new(program()).arg("demo").output().doing(|| "cannot run the demo".to_owned())?;
    let [told, complaints] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    if output.status.success() {
        return Ok(());
    }
    Err(Error::failed(format!("{}\n{told}{complaints}", output.status)))
}

fn status(site: &Site, arguments: &[&str]) -> Result<Option<i32>> {
    Ok(site.portals(arguments)?.status.code())
}
