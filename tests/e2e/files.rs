//! Files of other users, or writable by others, and files that two commands write at once.

use wg_portals::base::error::Result;
use wg_portals::demo::{DemoSite, NETWORK_FILE, NYC, PARIS, World};

use crate::ways::each_other;
use crate::words::{same, shell};
use crate::{Scenario, program};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "pipes in /tmp and in the place of files delay no command",
        plots: &[NYC, PARIS],
        run: pipes,
    },
    Scenario { name: "a network file that others can write is refused", plots: &[NYC, PARIS], run: writable },
];

fn pipes(world: &mut World) -> Result<()> {
    let address = format!("endpoint = \"{}\"", PARIS.address);
    world.install(&world.network(each_other).replace(&address, "endpoint = \"paris.test\""))?;
    let site = world.site(NYC);
    // On platforms other than OpenWrt, these paths may belong to any user.
    shell(
        &site.router,
        "mount -t tmpfs -o mode=1777 none /tmp; mkdir /tmp/resolv.conf.d; \
         mkfifo /tmp/resolv.conf.auto /tmp/resolv.conf.d/resolv.conf.auto",
    )?;
    same("status of plan", status(site, "plan")?, 0)?;
    let key = NETWORK_FILE.replace("network.toml", "private.key");
    shell(&site.router, &format!("mv {key} /tmp/key; mkfifo -m 600 {key}"))?;
    same("status of plan with a pipe for a key", status(site, "plan")?, 2)?;
    shell(&site.router, &format!("mv /tmp/key {key}; mkdir -p /run/portals; mkfifo /run/portals/journal"))?;
    same("status of plan, which sets a pipe for a journal aside", status(site, "plan")?, 0)
}

fn writable(world: &mut World) -> Result<()> {
    world.install(&world.network(each_other))?;
    let site = world.site(NYC);
    for (mode, expected) in [("666", 2), ("644", 0)] {
        shell(&site.router, &format!("chmod {mode} {NETWORK_FILE}"))?;
        same(&format!("status with mode {mode}"), status(site, "plan")?, expected)?;
    }
    let folder = NETWORK_FILE.trim_end_matches("/network.toml");
    shell(&site.router, &format!("chmod 777 {folder}"))?;
    let said =
        shell(&site.router, &format!("'{}' plan --config {NETWORK_FILE} 2>&1 || true", program().display()))?;
    same(&format!("the way out in: {said}"), said.contains(&format!("run: chmod o-w {folder}")), true)
}

/// Exit status of a command that must end by itself.
fn status(site: &DemoSite, command: &str) -> Result<i32> {
    let call = format!(
        "timeout 60 '{}' {command} --config {NETWORK_FILE} >/dev/null || echo $?",
        program().display()
    );
    Ok(shell(&site.router, &call)?.trim().parse().unwrap_or(0))
}
