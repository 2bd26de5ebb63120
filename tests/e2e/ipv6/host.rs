//! IPv6 of the host itself, and state that stays, or comes back after `down`.

use std::net::Ipv6Addr;

use wg_portals::base::error::{Error, Result};
use wg_portals::demo::{NYC, Namespace, OSLO, PARIS, SERVER, SERVER6, World, echoes};

use super::{BOTH, GUEST, leaves_at, leaves_at_home};
use crate::Scenario;
use crate::entrances::{advertise, advertise_with};
use crate::snapshot::Snapshot;
use crate::ways::{each_other, only_nyc};
use crate::words::{
    Who, eventually, no_leak_in, portal, reloaded, same, seconds, seen_as, settled, shell, start, succeeds,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a host keeps the IPv6 that its provider advertises, also while it forwards",
        plots: &[NYC, OSLO],
        run: advertised,
    },
    Scenario {
        name: "a router with a portal of its own is reached at an IPv6 address that it just got",
        plots: &[NYC, PARIS],
        run: renumbered,
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

/// Checks a provider that advertises another network while the agent runs.
fn renumbered(world: &mut World) -> Result<()> {
    const NETWORK: &str = "2001:db8:1:9::";
    let itself: Who = |site| &site.router;
    world.add_ipv6()?;
    let router = itself(world.site(NYC)).clone();
    shell(
        &router,
        "for setting in autoconf accept_ra; do echo 2 >/proc/sys/net/ipv6/conf/uplink/$setting; done; \
         ip -6 route delete default",
    )?;
    learns(&world.internet, NYC.name, &router)?;
    start(world, &world.network(only_nyc("self = true")))?;
    leaves_at(world, itself, NYC, PARIS)?;
    shell(&world.internet, &format!("ip -6 address add {NETWORK}1/64 dev nyc nodad"))?;
    no_leak_in(BOTH, world, NYC, itself, |world| {
        let mut own = None;
        eventually("the router gets an address", || {
            advertise_with(&world.internet, NYC.name, &prefix(NETWORK.parse().expect("an address")))?;
            let told = shell(&router, "ip -6 -o address show dev uplink scope global -tentative")?;
            let got = told.split_whitespace().find(|word| word.starts_with(NETWORK.trim_end_matches(':')));
            own = got.and_then(|got| got.split('/').next()?.parse::<Ipv6Addr>().ok());
            same(&format!("an address in {told}"), own.is_some(), true)
        })?;
        let own = own.expect("it has one");
        seen_as(world.outsider(seconds(3.0)), own, SERVER6)?;
        seen_as(world.outsider(seconds(3.0)), NYC.address6(), SERVER6)?;
        settled(world.site(NYC))?;
        leaves_at(world, itself, NYC, PARIS)
    })
}

/// Option of a router advertisement by which hosts give themselves addresses (RFC 4861, section 4.6.2): valid
/// for two hours, and preferred for one.
fn prefix(network: Ipv6Addr) -> Vec<u8> {
    let mut option = vec![3, 4, 64, 0xc0, 0, 0, 0x1c, 0x20, 0, 0, 0x0e, 0x10, 0, 0, 0, 0];
    option.extend(network.octets());
    option
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

/// Script that fails while an address lacks its route, which the kernel adds in the background.
const HAVE_ROUTES: &str = "for address in $(ip -6 -o address show scope global | awk '{ print $4 }'); do \
                           ip -6 route show table local | grep -q \"^local ${address%/*} \" || exit 1; done";

fn down(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    // An interface with a setting of its own, which the setting of all interfaces overwrites.
    shell(&world.site(NYC).router, "echo 0 >/proc/sys/net/ipv6/conf/uplink/forwarding")?;
    let network = world.network(|plot| portal(plot, if plot == NYC { r#""oslo""# } else { r#""nyc""# }));
    for plot in [NYC, OSLO] {
        let router = &world.site(plot).router;
        eventually("the addresses have their routes", || shell(router, HAVE_ROUTES).map(drop))?;
    }
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
