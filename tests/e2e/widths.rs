//! A path between sites that takes smaller packets than their tunnels send, without any ICMP message.

use wg_portals::base::error::Result;
use wg_portals::demo::{NYC, PARIS, Plot, SERVER, World};

use crate::Scenario;
use crate::filters::swallow_large_packets;
use crate::words::{portal, same, seconds, seen_as, settled, shell, start, succeeds, within};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a path that swallows large packets is reported at both ends",
        plots: &[NYC, PARIS],
        run: told,
    },
    Scenario {
        name: "tunnels with a measured mtu fit through a path that swallows large packets",
        plots: &[NYC, PARIS],
        run: measured,
    },
];

fn network(world: &World) -> String {
    world.network(|plot| match plot {
        NYC => portal(NYC, r#""paris""#),
        _ => String::new(),
    })
}

fn told(world: &mut World) -> Result<()> {
    swallow_large_packets(world)?;
    start(world, &network(world))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, PARIS.address)?;
    same("a large transfer hangs", world.site(NYC).guest(seconds(2.0)).download(SERVER).is_err(), true)?;
    for (plot, words) in [
        (NYC, "the path to paris swallows packets of 1280 bytes in to-paris and takes those of 1216"),
        (PARIS, "the path to nyc swallows packets of 1280 bytes in portals0 and takes those of 1216"),
    ] {
        says(world, plot, words)?;
    }
    let lower = network(world).replace("[network]", "[network]\nmtu = 1216");
    start(world, &lower)?;
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, PARIS.address)?;
    same("bytes fetched", world.site(NYC).guest(seconds(30.0)).download(SERVER)?, 200_000)?;
    same("bytes sent", world.site(NYC).guest(seconds(30.0)).upload(SERVER)?, 200_000)
}

fn measured(world: &mut World) -> Result<()> {
    swallow_large_packets(world)?;
    start(world, &network(world).replace("[network]", "[network]\nmtu = \"auto\""))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, PARIS.address)?;
    for plot in [NYC, PARIS] {
        let site = world.site(plot);
        within(seconds(90.0), "the tunnel is narrowed", || {
            same("ip link", shell(&site.router, "ip link")?.contains("mtu 1216"), true)
        })?;
        settled(site)?;
        same("status complains", succeeds(site, &["status"])?.contains("swallows"), false)?;
    }
    let site = world.site(NYC);
    same("bytes fetched", site.guest(seconds(30.0)).download(SERVER)?, 200_000)?;
    same("bytes sent", site.guest(seconds(30.0)).upload(SERVER)?, 200_000)
}

fn says(world: &mut World, plot: Plot, words: &str) -> Result<()> {
    let site = world.site(plot);
    within(seconds(90.0), "status reports it", || {
        let status = succeeds(site, &["status"])?;
        same(&format!("`{words}` in {status}"), status.contains(words), true)
    })?;
    same("the log reports it", site.log().matches(words).count(), 1)
}
