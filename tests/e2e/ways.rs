//! Paths of packets: where they go in, and where they come out.

use wg_portals::base::error::Result;
use wg_portals::demo::{Capture, HOME, HOME_ROUTER, NYC, OSLO, OTHER_HOME, PARIS, Plot, SERVER, World};

use crate::Scenario;
use crate::words::{portal, portal_of, same, seconds, seen_as, seen_going_to, shell, start, unreachable};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "without portals, homes leave at home and guests nowhere",
        plots: &[NYC, PARIS],
        run: nothing,
    },
    Scenario { name: "a portal each way", plots: &[NYC, PARIS], run: both_ways },
    Scenario {
        name: "three sites in a ring are each an exit and use one",
        plots: &[NYC, PARIS, OSLO],
        run: ring,
    },
    Scenario {
        name: "a device at home goes through a portal, another one does not",
        plots: &[NYC, PARIS],
        run: device,
    },
    Scenario { name: "to: only these destinations enter the portal", plots: &[NYC, PARIS], run: only_to },
    Scenario { name: "except: these destinations never enter the portal", plots: &[NYC, PARIS], run: except },
    Scenario {
        name: "the router itself goes through a portal, and is reached from outside",
        plots: &[NYC, PARIS],
        run: own,
    },
    Scenario {
        name: "a portal of guests works next to a portal of the router itself",
        plots: &[NYC, PARIS],
        run: beside_own,
    },
    Scenario { name: "a portal leaves directly via the uplink", plots: &[NYC], run: direct },
    Scenario { name: "strict reverse-path filtering stays as it is", plots: &[NYC, PARIS], run: strict },
];

/// Scenarios that need policy rules for a protocol (Linux 4.17), to simulate a host without ICMP.
pub(crate) const WITH_RULES_OF_PROTOCOLS: &[Scenario] =
    &[Scenario { name: "large transfers work where ICMP is lost", plots: &[NYC, PARIS], run: large }];

/// Network in which each of the two is the other's exit.
pub(crate) fn each_other(plot: Plot) -> String {
    portal(plot, if plot == NYC { r#""paris""# } else { r#""nyc""# })
}

/// Network in which one entrance of nyc leaves at Paris.
pub(crate) fn only_nyc(entrance: &'static str) -> impl Fn(Plot) -> String {
    move |plot| {
        if plot == NYC { portal_of(NYC, r#""paris""#, entrance) } else { r#"exits = ["nyc"]"#.to_owned() }
    }
}

fn nothing(world: &mut World) -> Result<()> {
    for plot in [NYC, PARIS] {
        let site = world.site(plot);
        seen_as(site.home(seconds(3.0)), SERVER, plot.address)?;
        seen_as(site.router(seconds(3.0)), SERVER, plot.address)?;
        unreachable(site.guest(seconds(1.0)), SERVER)?;
    }
    let way = world.site(NYC).home(seconds(1.0)).traceroute(SERVER)?;
    same("the way from home", way, vec![Some(HOME_ROUTER), Some(NYC.gateway()), Some(SERVER)])?;
    // This scenario proves that the probes would see the packets whose absence later scenarios check.
    let capture = Capture::start(&world.site(NYC).router, "uplink")?;
    let tried = world.site(NYC).home(seconds(1.0)).knock(NYC.own_server(), 5)?;
    let left = seen_going_to(capture, NYC.own_server().into())?.len();
    same("all packets of the home leave via the uplink", left >= tried, true)
}

fn both_ways(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    for (entry, exit) in [(NYC, PARIS), (PARIS, NYC)] {
        let site = world.site(entry);
        seen_as(site.guest(seconds(3.0)), SERVER, exit.address)?;
        seen_as(site.home(seconds(3.0)), SERVER, entry.address)?;
        let way = site.guest(seconds(1.0)).traceroute(SERVER)?;
        let wanted = [entry.portal(), exit.tunnel(), exit.gateway(), SERVER].map(Some);
        same(&format!("the way from {}", entry.name), way, wanted.to_vec())?;
    }
    Ok(())
}

fn ring(world: &mut World) -> Result<()> {
    let network = world.network(|plot| match plot.id {
        1 => portal(plot, r#""paris""#),
        2 => portal(plot, r#""oslo""#),
        _ => portal(plot, r#""nyc""#),
    });
    start(world, &network)?;
    for (entry, exit) in [(NYC, PARIS), (PARIS, OSLO), (OSLO, NYC)] {
        seen_as(world.site(entry).guest(seconds(3.0)), entry.own_server(), exit.address)?;
    }
    Ok(())
}

fn device(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc(r#"from = ["192.168.1.50"]"#)))?;
    let home = world.site(NYC).home(seconds(3.0));
    seen_as(home.from(HOME), SERVER, PARIS.address)?;
    seen_as(home.from(OTHER_HOME), SERVER, NYC.address)?;
    seen_as(home.from(HOME), HOME_ROUTER, HOME)
}

fn only_to(world: &mut World) -> Result<()> {
    let entrance = "from = [\"192.168.1.50\"]\nto = [\"192.175.48.10/32\"]";
    start(world, &world.network(only_nyc(entrance)))?;
    let home = world.site(NYC).home(seconds(3.0)).from(HOME);
    seen_as(home, SERVER, PARIS.address)?;
    seen_as(home, NYC.own_server(), NYC.address)
}

fn except(world: &mut World) -> Result<()> {
    let entrance = "from = [\"192.168.1.50\"]\nexcept = [\"192.175.48.10/32\"]";
    start(world, &world.network(only_nyc(entrance)))?;
    let home = world.site(NYC).home(seconds(3.0)).from(HOME);
    seen_as(home, NYC.own_server(), PARIS.address)?;
    seen_as(home, SERVER, NYC.address)
}

fn own(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc("self = true")))?;
    seen_as(world.site(NYC).router(seconds(3.0)), SERVER, PARIS.address)?;
    seen_as(world.site(NYC).home(seconds(3.0)), SERVER, NYC.address)?;
    seen_as(world.outsider(seconds(3.0)), NYC.address, SERVER)
}

/// Checks guests next to a portal of the router itself: strict `rp_filter` drops guests' packets to the
/// router unless the route of its own traffic leads back to them.
fn beside_own(world: &mut World) -> Result<()> {
    let network = world.network(|plot| {
        let guests = "\n[site.nyc.portal.guest]\nexit = \"paris\"\ninterface = \"portal0\"\ndhcp = false\n\
                      router = true\n";
        if plot == NYC { only_nyc("self = true")(plot) + guests } else { only_nyc("")(plot) }
    });
    start(world, &network)?;
    let site = world.site(NYC);
    seen_as(site.router(seconds(3.0)), SERVER, PARIS.address)?;
    seen_as(site.guest(seconds(3.0)), SERVER, PARIS.address)?;
    seen_as(site.guest(seconds(3.0)), NYC.portal(), NYC.guest())?;
    seen_as(site.home(seconds(3.0)), SERVER, NYC.address)?;
    // With the guests' interface, the route of the router's packets to them is gone.
    shell(&site.router, "ip link delete portal0")?;
    let capture = Capture::start(&world.site(NYC).router, "uplink")?;
    world.site(NYC).router(seconds(1.0)).knock(NYC.guest(), 5)?;
    same("packets that left via the uplink", seen_going_to(capture, NYC.guest().into())?, Vec::new())
}

fn direct(world: &mut World) -> Result<()> {
    start(world, &world.network(|plot| portal(plot, r#""direct""#)))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, NYC.address)
}

fn large(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    world.server.ignore_icmp()?;
    world.site(NYC).guest.ignore_icmp()?;
    let guest = world.site(NYC).guest(seconds(5.0));
    seen_as(guest, SERVER, PARIS.address)?;
    same("bytes fetched", guest.waiting(seconds(30.0)).download(SERVER)?, 200_000)?;
    same("bytes sent", guest.waiting(seconds(30.0)).upload(SERVER)?, 200_000)
}

fn strict(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, PARIS.address)?;
    for interface in ["all", "default", "uplink", "lan0", "portal0", "to-paris"] {
        let setting = world.site(NYC).router.sysctl(&format!("net/ipv4/conf/{interface}/rp_filter"))?;
        same(&format!("rp_filter of {interface}"), setting.as_str(), "1")?;
    }
    Ok(())
}
