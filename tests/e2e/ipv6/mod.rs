//! IPv6 through portals, next to IPv4.

pub(crate) mod advertised;
pub(crate) mod entrances;
pub(crate) mod exits;
pub(crate) mod filtered;
pub(crate) mod forged;
pub(crate) mod host;
pub(crate) mod leaks;
pub(crate) mod probed;
pub(crate) mod reach;
pub(crate) mod refused;

use std::net::IpAddr;

use wg_portals::base::error::Result;
use wg_portals::base::net::Family;
use wg_portals::demo::{DemoSite, NYC, Namespace, PARIS, Plot, ProbeClient, World, echoes};

use crate::Scenario;
use crate::filters::has_nftables;
use crate::ways::each_other;
use crate::words::{Who, no_leak_in, plots, same, seconds, seen_as, shell, start, unreachable};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "IPv6 and IPv4 go both ways at once, and nothing leaks while the link is cut",
        plots: &[NYC, PARIS],
        run: both_ways,
    },
    Scenario {
        name: "large transfers over IPv6 work where ICMPv6 is lost",
        plots: &[NYC, PARIS],
        run: large,
    },
];

pub(crate) const BOTH: &[Family] = &[Family::V4, Family::V6];

pub(crate) const GUEST: Who = |site| &site.guest;

pub(crate) const HOME_OF: Who = |site| site.home.as_ref().expect("a site with a home");

/// Entry and exit of the portals of [`each_other`].
const WAYS: [(Plot, Plot); 2] = [(NYC, PARIS), (PARIS, NYC)];

fn both_ways(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    start(world, &world.network(each_other))?;
    let mut sessions = Vec::new();
    for (entry, exit) in WAYS {
        leaves_at(world, GUEST, entry, exit)?;
        for family in BOTH {
            let (near, far) = (entry.addresses(*family), exit.addresses(*family));
            let site = world.site(entry);
            let way = site.guest(seconds(3.0)).route(near.server)?;
            let wanted = [near.portal, far.tunnel, far.gateway, near.server].map(Some);
            same(&format!("the way from {}", entry.name), way, wanted.to_vec())?;
            seen_as(site.home(seconds(3.0)), near.server, from_home(entry, *family))?;
            sessions.push(site.guest(seconds(10.0)).connect(near.server)?);
        }
    }
    same(
        "sessions at once",
        sessions.iter_mut().filter_map(|session| echoes(session).then_some(())).count(),
        4,
    )?;
    no_leak_in(BOTH, world, NYC, GUEST, |world| {
        no_leak_in(BOTH, world, PARIS, GUEST, |world| {
            world.set_cut(NYC, PARIS, true)?;
            for plot in [NYC, PARIS] {
                for family in BOTH {
                    unreachable(world.site(plot).guest(seconds(1.0)), plot.addresses(*family).own_server)?;
                }
            }
            world.set_cut(NYC, PARIS, false)?;
            WAYS.into_iter().try_for_each(|(entry, exit)| leaves_at(world, GUEST, entry, exit))
        })
    })
}

/// Makes both ends of a transfer ignore the routers that tell them of a smaller MTU.
fn large(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    start(world, &world.network(each_other))?;
    for host in [&world.server.clone(), &world.site(NYC).guest.clone(), &world.site(PARIS).guest.clone()] {
        ignore_packet_too_big(host)?;
    }
    for (entry, exit) in WAYS {
        let server = entry.addresses(Family::V6).server;
        let guest = world.site(entry).guest(seconds(30.0));
        seen_as(guest, server, exit.address6())?;
        same("bytes fetched", guest.download(server)?, 200_000)?;
        same("bytes sent", guest.upload(server)?, 200_000)?;
    }
    Ok(())
}

fn ignore_packet_too_big(host: &Namespace) -> Result<()> {
    let script = if has_nftables() {
        "nft add table ip6 deaf
         nft add chain ip6 deaf input '{ type filter hook input priority 0; }'
         nft add rule ip6 deaf input icmpv6 type packet-too-big drop"
    } else {
        "ip6tables-legacy -A INPUT -p icmpv6 --icmpv6-type packet-too-big -j DROP"
    };
    shell(host, script).map(drop)
}

/// Checks that the server sees a computer of one site at the other site, in both families.
pub(crate) fn leaves_at(world: &mut World, who: Who, entry: Plot, exit: Plot) -> Result<()> {
    for family in BOTH {
        let client = ProbeClient::new(who(world.site(entry)), seconds(3.0));
        seen_as(client, entry.addresses(*family).own_server, exit.addresses(*family).uplink)?;
    }
    Ok(())
}

/// Checks that the server sees the computer at home as it sees it without portals.
pub(crate) fn leaves_at_home(world: &mut World, plot: Plot) -> Result<()> {
    for family in BOTH {
        let client = world.site(plot).home(seconds(3.0));
        seen_as(client, plot.addresses(*family).own_server, from_home(plot, *family))?;
    }
    Ok(())
}

/// Address of the computer at home as the server sees it: only IPv4 is translated.
fn from_home(plot: Plot, family: Family) -> IpAddr {
    let addresses = plot.addresses(family);
    if family == Family::V4 { addresses.uplink } else { addresses.home }
}

/// Text of the network file without its IPv6.
pub(crate) fn without_subnet6(network: &str) -> String {
    let lines = network.lines().filter(|line| !line.starts_with("subnet6"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Runs a script at all sites.
pub(crate) fn everywhere(world: &mut World, script: impl Fn(Plot) -> String) -> Result<()> {
    plots(world).into_iter().try_for_each(|plot| {
        let site: &DemoSite = world.site(plot);
        shell(&site.router, &script(plot)).map(drop)
    })
}
