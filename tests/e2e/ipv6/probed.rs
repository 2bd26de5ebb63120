//! Exits that are probed beyond their other end, by IPv6.

use wg_portals::base::error::Result;
use wg_portals::demo::{NYC, OSLO, PARIS, Plot, SERVER6, World};

use super::GUEST;
use crate::Scenario;
use crate::words::{no_leak_in, portal, same, seconds, seen_as, start, succeeds, within};

pub(crate) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "an exit without access to the IPv6 internet is left",
    plots: &[NYC, PARIS, OSLO],
    run: beyond,
}];

/// Seconds after which a portal has moved, even on a busy machine.
const MOVING: f64 = 30.0;

/// Checks that nyc leaves Paris, which answers all the time and reaches the IPv4 internet, but whose provider
/// has lost the server that is probed.
fn beyond(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    let network = world.network(|plot| match plot {
        NYC => portal(NYC, r#""paris", "oslo""#),
        _ => "exits = [\"nyc\"]\n".to_owned(),
    });
    let probing = format!("[network]\nfailover = {{ probe = \"{SERVER6}\", up_after = 5 }}");
    start(world, &network.replace("[network]", &probing))?;
    within(seconds(MOVING), "both exits answer", || {
        let report = succeeds(world.site(NYC), &["status", "--json"])?;
        ["paris", "oslo"].into_iter().try_for_each(|exit| {
            let wanted = format!(r#""name":"{exit}","state":"up""#);
            same(&format!("{wanted} in {report}"), report.contains(&wanted), true)
        })
    })?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server6(), PARIS.address6())?;
    no_leak_in(super::BOTH, world, NYC, GUEST, |world| {
        world.internet.set_blocked(SERVER6.into(), PARIS.address6().into(), true)?;
        leaves_at_last(world, OSLO)?;
        world.internet.set_blocked(SERVER6.into(), PARIS.address6().into(), false)?;
        leaves_at_last(world, PARIS)
    })?;
    let words = format!("portal way: {SERVER6} does not answer through paris for 3 s; now through oslo");
    same(&words, world.site(NYC).log().contains(&words), true)
}

/// Waits until the guest leaves at a site, by both families.
fn leaves_at_last(world: &mut World, plot: Plot) -> Result<()> {
    within(seconds(MOVING), "the portal has moved", || super::leaves_at(world, GUEST, NYC, plot))
}
