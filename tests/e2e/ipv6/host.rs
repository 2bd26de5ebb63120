//! IPv6 of the host itself, and state that stays, or comes back after `down`.

use wg_portals::base::error::{Error, Result};
use wg_portals::demo::{NYC, Namespace, OSLO, PARIS, SERVER, SERVER6, World, echoes};

use super::{BOTH, GUEST, leaves_at, leaves_at_home};
use crate::Scenario;
use crate::entrances::advertise;
use crate::snapshot::Snapshot;
use crate::ways::each_other;
use crate::words::{eventually, portal, reloaded, same, seconds, seen_as, shell, start, succeeds};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a host keeps the IPv6 that its provider advertises, also while it forwards",
        plots: &[NYC, OSLO],
        run: advertised,
    },
    Scenario {
        name: "a second apply changes nothing and drops no session of IPv6",
        plots: &[NYC, PARIS],
        run: again,
    },
    Scenario { name: "down leaves the host's IPv6 as it was", plots: &[NYC, OSLO], run: down },
];

/// Checks a rented box, which did not forward before, and a home, which did.
fn advertised(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    let routers = [NYC, OSLO].map(|plot| (plot, world.site(plot).router.clone()));
    for (plot, router) in &routers {
        let accept = if plot.home { 2 } else { 1 };
        shell(
            router,
            &format!("ip -6 route delete default; echo {accept} >/proc/sys/net/ipv6/conf/uplink/accept_ra"),
        )?;
        learns(&world.internet, plot.name, router)?;
    }
    let before = [Snapshot::of(&routers[0].1)?, Snapshot::of(&routers[1].1)?];
    let mut session = world.site(OSLO).router(seconds(10.0)).connect(SERVER6)?;
    let network = world.network(|plot| portal(plot, if plot == NYC { r#""oslo""# } else { r#""nyc""# }));
    start(world, &network)?;
    // No further advertisement has come.
    for (plot, router) in &routers {
        same(&format!("{} still knows its way", plot.name), learned(router)?.is_empty(), false)?;
    }
    same("the session lives", echoes(&mut session), true)?;
    leaves_at(world, GUEST, NYC, OSLO)?;
    leaves_at(world, GUEST, OSLO, NYC)?;
    leaves_at_home(world, NYC)?;
    for (plot, router) in &routers {
        shell(router, "ip -6 route flush proto ra")?;
        learns(&world.internet, plot.name, router)?;
        seen_as(world.site(*plot).router(seconds(3.0)), SERVER6, plot.address6())?;
    }
    for ((plot, router), before) in routers.iter().zip(before) {
        let site = world.site(*plot);
        site.stop_agent()?;
        succeeds(site, &["down"])?;
        same(&format!("{} still knows its way", plot.name), learned(router)?.is_empty(), false)?;
        before.same_as(&Snapshot::of(router)?)?;
    }
    same("the session lives", echoes(&mut session), true)
}

/// Advertises the internet on an uplink until the router knows the way.
fn learns(internet: &Namespace, interface: &str, router: &Namespace) -> Result<()> {
    eventually("the router learns the way to the internet", || {
        advertise(internet, interface)?;
        same("it does", learned(router)?.is_empty(), false)
    })
}

/// Routes to the internet that a router learnt from advertisements.
fn learned(router: &Namespace) -> Result<String> {
    shell(router, "ip -6 route show default dev uplink proto ra").map(|routes| routes.trim().to_owned())
}

fn again(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    let network = world.network(each_other);
    start(world, &network)?;
    leaves_at(world, GUEST, NYC, PARIS)?;
    let site = world.site(NYC);
    let guest = site.guest(seconds(3.0));
    let mut sessions = [guest.connect(SERVER)?, guest.connect(SERVER6)?];
    let before = Snapshot::of(&site.router)?;
    reloaded(world, &[NYC], &network)?;
    let site = world.site(NYC);
    let told = succeeds(site, &["apply"])?;
    same(&format!("nothing to do, in {told}"), told.starts_with("nothing to do"), true)?;
    before.same_as(&Snapshot::of(&site.router)?)?;
    for (session, family) in sessions.iter_mut().zip(BOTH) {
        if !echoes(session) {
            return Err(Error::failed(format!("the session of {family:?} has ended")));
        }
    }
    Ok(())
}

fn down(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    // An interface with a setting of its own, which the setting of all interfaces overwrites.
    shell(&world.site(NYC).router, "echo 0 >/proc/sys/net/ipv6/conf/uplink/forwarding")?;
    let network = world.network(|plot| portal(plot, if plot == NYC { r#""oslo""# } else { r#""nyc""# }));
    let before = [NYC, OSLO].map(|plot| Snapshot::of(&world.site(plot).router));
    start(world, &network)?;
    leaves_at(world, GUEST, NYC, OSLO)?;
    leaves_at(world, GUEST, OSLO, NYC)?;
    for (plot, before) in [NYC, OSLO].into_iter().zip(before) {
        let site = world.site(plot);
        site.stop_agent()?;
        succeeds(site, &["down"])?;
        before?.same_as(&Snapshot::of(&site.router)?)?;
    }
    Ok(())
}
