//! What is already so stays as it is, and what was there before comes back.

use wg_portals::demo::{NYC, OSLO, PARIS, Plot, SERVER, Site, World, echoes};
use wg_portals::error::{Error, Result};

use crate::Scenario;
use crate::snapshot::Snapshot;
use crate::ways::each_other;
use crate::words::{portal, reloaded, same, seconds, seen_as, start, succeeds};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a second apply changes nothing and drops no session",
        plots: &[NYC, PARIS],
        run: again,
    },
    Scenario { name: "down leaves the host as it was", plots: &[NYC, OSLO], run: down },
];

fn again(world: &mut World) -> Result<()> {
    let network = world.network(each_other);
    start(world, &network)?;
    let site = world.site(NYC);
    seen_as(site.guest(seconds(3.0)), SERVER, PARIS.address)?;
    let mut session = site.guest(seconds(3.0)).connect(SERVER)?;
    let before = Snapshot::of(&site.router)?;
    let sent = sent_bytes(site)?;
    reloaded(site, &network)?;
    before.same_as(&Snapshot::of(&site.router)?)?;
    same("the session lives", echoes(&mut session), true)?;
    match sent_bytes(site)? {
        now if now > sent => Ok(()),
        now => Err(Error::failed(format!("the tunnel had sent {sent} bytes, and now {now}"))),
    }
}

fn down(world: &mut World) -> Result<()> {
    let network =
        world.network(|plot: Plot| portal(plot, if plot == NYC { r#""oslo""# } else { r#""nyc""# }));
    let before = [NYC, OSLO].map(|plot| Snapshot::of(&world.site(plot).router));
    start(world, &network)?;
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, OSLO.address)?;
    for (plot, before) in [NYC, OSLO].into_iter().zip(before) {
        let site = world.site(plot);
        site.stop_agent()?;
        succeeds(site, &["down"])?;
        before?.same_as(&Snapshot::of(&site.router)?)?;
        succeeds(site, &["down"])?;
    }
    Ok(())
}

/// What `status` says that the site has sent into its first tunnel.
fn sent_bytes(site: &Site) -> Result<u64> {
    let status = succeeds(site, &["status", "--json"])?;
    let number = status.split_once("\"tx_bytes\":").map(|(_, rest)| rest);
    let digits = number.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| Error::failed(format!("status --json says no tx_bytes: {status}")))
}
