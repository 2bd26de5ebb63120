//! Who reaches whose computers.

use std::net::Ipv4Addr;

use wg_portals::demo::{HOME, NYC, OSLO, PARIS, SERVER, World};
use wg_portals::error::Result;
use wg_portals::net::InterfaceAddress;

use crate::Scenario;
use crate::ways::each_other;
use crate::words::{portal, seconds, seen_as, start, unreachable};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "guests do not reach the exit's own computers",
        plots: &[NYC, PARIS],
        run: guests_stay_out,
    },
    Scenario { name: "a shared LAN is reached by linked sites", plots: &[NYC, OSLO], run: shared },
    Scenario { name: "a LAN that is not shared is not reached", plots: &[NYC, OSLO], run: unshared },
];

fn guests_stay_out(world: &mut World) -> Result<()> {
    // nyc's own router has the address that homes' routers have, and may be asked by its guests: this one is in Paris only.
    let router_in_paris = Ipv4Addr::new(192, 168, 1, 2);
    let address = InterfaceAddress { address: router_in_paris.into(), length: 24 };
    world.site(PARIS).router.add_address("lan0", address)?;
    seen_as(world.site(PARIS).home(seconds(3.0)), router_in_paris, HOME)?;
    start(world, &world.network(each_other))?;
    let guest = world.site(NYC).guest(seconds(3.0));
    seen_as(guest, SERVER, PARIS.address)?;
    for forbidden in [HOME, router_in_paris, PARIS.tunnel(), PARIS.address] {
        unreachable(guest, forbidden)?;
    }
    Ok(())
}

fn shared(world: &mut World) -> Result<()> {
    let network = world.network(|plot| match plot.id {
        1 => "lan = [\"192.168.1.0/24\"]\nlinks = [\"oslo\"]\n".to_owned(),
        _ => "links = [\"nyc\"]\n".to_owned(),
    });
    start(world, &network)?;
    seen_as(world.site(OSLO).router(seconds(3.0)), HOME, OSLO.tunnel())?;
    seen_as(world.site(OSLO).router(seconds(3.0)), SERVER, OSLO.address)
}

fn unshared(world: &mut World) -> Result<()> {
    let network = world.network(|plot| portal(plot, if plot == NYC { r#""oslo""# } else { r#""nyc""# }));
    start(world, &network)?;
    seen_as(world.site(OSLO).guest(seconds(3.0)), SERVER, NYC.address)?;
    unreachable(world.site(OSLO).guest(seconds(1.0)), HOME)?;
    unreachable(world.site(OSLO).router(seconds(1.0)), HOME)
}
