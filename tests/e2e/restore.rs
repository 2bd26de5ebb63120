//! State that stays as it is when nothing changes, and state that comes back after `down`.

use std::net::Ipv4Addr;

use wg_portals::base::error::{Error, Result};
use wg_portals::demo::{DemoSite, NYC, OSLO, PARIS, Plot, SERVER, World, echoes};

use crate::Scenario;
use crate::snapshot::Snapshot;
use crate::ways::each_other;
use crate::words::{eventually, portal, reloaded, same, seconds, seen_as, start, succeeds};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a second apply changes nothing and drops no session",
        plots: &[NYC, PARIS],
        run: again,
    },
    Scenario { name: "a roamed endpoint is kept", plots: &[NYC, PARIS], run: roamed },
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
    reloaded(world, &[NYC], &network)?;
    let site = world.site(NYC);
    before.same_as(&Snapshot::of(&site.router)?)?;
    same("the session lives", echoes(&mut session), true)?;
    match sent_bytes(site)? {
        now if now > sent => Ok(()),
        now => Err(Error::failed(format!("the tunnel had sent {sent} bytes, and now {now}"))),
    }
}

/// nyc's provider gives it another address than the one in the network file.
fn roamed(world: &mut World) -> Result<()> {
    let moved = Ipv4Addr::new(198, 51, 100, 77);
    let network = world.network(each_other);
    start(world, &network)?;
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, PARIS.address)?;
    let mut session = world.site(NYC).guest(seconds(10.0)).connect(SERVER)?;
    world.site(NYC).move_to(moved)?;
    seen_as(world.site(NYC).home(seconds(3.0)), SERVER, moved)?;
    same("the session survives the move", echoes(&mut session), true)?;
    let heard_of = format!("\"endpoint\":\"{moved}:51822\"");
    let followed = |site: &DemoSite| -> Result<()> {
        let status = succeeds(site, &["status", "--json"])?;
        same(&format!("{heard_of} in {status}"), status.contains(&heard_of), true)
    };
    eventually("paris follows", || followed(world.site(PARIS)))?;
    reloaded(world, &[PARIS], &network)?;
    succeeds(world.site(PARIS), &["apply"])?;
    followed(world.site(PARIS))?;
    same("the session survives it", echoes(&mut session), true)?;
    seen_as(world.site(PARIS).guest(seconds(3.0)), SERVER, moved)
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

/// Bytes that the site has sent into its first tunnel, by `status`.
fn sent_bytes(site: &DemoSite) -> Result<u64> {
    let status = succeeds(site, &["status", "--json"])?;
    let number = status.split_once("\"tx_bytes\":").map(|(_, rest)| rest);
    let digits = number.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| Error::failed(format!("status --json says no tx_bytes: {status}")))
}
