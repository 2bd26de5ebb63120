//! `portals trace --both`: the agent of the other site watches the same packet.

use wg_portals::base::error::{Error, Result};
use wg_portals::demo::{DemoSite, NYC, PARIS, SERVER, SERVER6, World};

use crate::Scenario;
use crate::filters::has_nftables;
use crate::snapshot::Snapshot;
use crate::trace::{DEVICE, TABLE, each, spawned, traced};
use crate::troubles::trace::both::{OF_BOTH, OF_BOTH_IPTABLES, OF_SILENT};
use crate::ways::{each_other, only_nyc};
use crate::words::{eventually, seconds, seen_as, settled, shell, start};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "a trace at both sites shows a flow that works", plots: &[NYC, PARIS], run: works },
    Scenario { name: "a trace at both sites names each fault", plots: &[NYC, PARIS], run: faults },
    Scenario {
        name: "a trace at both sites knows the address in the tunnel",
        plots: &[NYC, PARIS],
        run: translated,
    },
    Scenario { name: "nothing of a killed trace stays at both sites", plots: &[NYC, PARIS], run: killed },
];

const WORKS: &str = "It works at both sites: an answer came back.";

fn works(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    start(world, &world.network(each_other))?;
    let site = world.site(NYC);
    seen_as(site.guest(seconds(3.0)), SERVER, PARIS.address)?;
    seen_as(site.guest(seconds(3.0)), SERVER6, PARIS.address6())?;
    let (v4, v6) = (SERVER.to_string(), SERVER6.to_string());
    let here = ["tunnel       paris at", "\nat paris:\n", "to-nyc, a tunnel", "leaves as 203.0.113.9", WORKS];
    traced(site, &["way", "→", &v4, "--both"], 0, &here)?;
    traced(site, &["way", &format!("{v4}:80"), "--both"], 0, &["on to-nyc → 192.175.48.10 tcp/80", WORKS])?;
    traced(site, &["way", &v6, "--both"], 0, &["on to-nyc → 2620:4f:8000::10 icmp", WORKS])?;
    let parts = [
        "at the other site:\nnot asked: the packet goes into no tunnel",
        "It works: the packet left by uplink",
    ];
    traced(site, &["192.168.1.50", &v4, "--both"], 0, &parts)?;
    traced(site, &["way", &v4, "--both", "--live"], 2, &["give one of the two"])
}

fn faults(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, PARIS.address)?;
    each(world, if has_nftables() { OF_BOTH } else { OF_BOTH_IPTABLES })?;
    world.site(PARIS).kill_agent();
    each(world, OF_SILENT)
}

fn translated(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc(DEVICE)))?;
    let site = world.site(NYC);
    seen_as(site.home(seconds(3.0)), SERVER, PARIS.address)?;
    let seen = format!("{} on to-nyc", NYC.tunnel());
    traced(site, &["192.168.1.50", &SERVER.to_string(), "--both"], 0, &[&seen, WORKS])
}

/// Kills a trace while both sites watch.
fn killed(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, PARIS.address)?;
    let snapshot = |site: &DemoSite| Ok::<_, Error>(Snapshot::of(&site.router)?.unnumbered());
    let before = [NYC, PARIS].map(|plot| snapshot(world.site(plot)));
    // An address from which no answer comes.
    let nowhere = "192.175.48.77";
    let mut child = spawned(world.site(NYC), &["way", nowhere, "--both"])?;
    let sign = if has_nftables() { TABLE } else { "pgrep -f '[p]ortals --config .* trace --live'" };
    eventually("the other site watches", || shell(&world.site(PARIS).router, sign).map(drop))?;
    child.kill().and_then(|()| child.wait()).map_err(|error| Error::failed("cannot kill").because(error))?;
    for (plot, before) in [NYC, PARIS].into_iter().zip(before) {
        let (site, before) = (world.site(plot), before?);
        eventually("nothing of the trace stays", || {
            settled(site)?;
            before.same_as(&snapshot(site)?)
        })?;
    }
    traced(world.site(NYC), &["way", &SERVER.to_string(), "--both"], 0, &[WORKS])
}
