//! A path between sites that is narrower than their tunnels' packets, and silent about it.

use wg_portals::base::error::Result;
use wg_portals::demo::{NYC, PARIS, Plot, SERVER, World};

use crate::Scenario;
use crate::filters::has_nftables;
use crate::words::{portal, same, seconds, seen_as, settled, shell, start, succeeds, within};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a path that swallows large packets is told of, at both ends",
        plots: &[NYC, PARIS],
        run: told,
    },
    Scenario {
        name: "tunnels whose mtu is measured fit through a path that swallows large packets",
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

/// The internet takes packets of so many bytes, and says nothing to who sends larger ones.
fn narrow(world: &World, bytes: u32) -> Result<()> {
    let rules = if has_nftables() {
        format!(
            "nft add table ip narrow; nft add chain ip narrow forward '{{ type filter hook forward priority 0; }}'; \
             nft add rule ip narrow forward ip length gt {bytes} drop"
        )
    } else {
        format!("iptables-legacy -A FORWARD -m length --length {}:65535 -j DROP", bytes + 1)
    };
    shell(&world.internet, &rules).map(drop)
}

fn told(world: &mut World) -> Result<()> {
    narrow(world, 1280)?;
    start(world, &network(world))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, PARIS.address)?;
    same("a large transfer hangs", world.site(NYC).guest(seconds(2.0)).download(SERVER).is_err(), true)?;
    for (plot, words) in [
        (NYC, "the way to paris swallows packets of 1280 bytes in to-paris and takes those of 1216"),
        (PARIS, "the way to nyc swallows packets of 1280 bytes in portals0 and takes those of 1216"),
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
    narrow(world, 1280)?;
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
    within(seconds(90.0), "status tells of it", || {
        let status = succeeds(site, &["status"])?;
        same(&format!("`{words}` in {status}"), status.contains(words), true)
    })?;
    same("the log tells of it", site.log().matches(words).count(), 1)
}
