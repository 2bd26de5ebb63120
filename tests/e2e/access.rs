//! Access to computers of other sites.

use std::net::Ipv4Addr;

use wg_portals::base::error::Result;
use wg_portals::base::net::InterfaceAddress;
use wg_portals::demo::{Capture, HOME, NYC, OSLO, PARIS, SERVER, World};

use crate::Scenario;
use crate::ways::each_other;
use crate::words::{portal, portal_of, same, seconds, seen_as, seen_going_to, shell, start, unreachable};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "guests do not reach the exit's own computers",
        plots: &[NYC, PARIS],
        run: guests_stay_out,
    },
    Scenario { name: "a shared LAN is reached by linked sites", plots: &[NYC, OSLO], run: shared },
    Scenario {
        name: "a device of a shared LAN is reached although a portal takes it in",
        plots: &[NYC, PARIS, OSLO],
        run: shared_address,
    },
    Scenario {
        name: "a device of a shared LAN is reached although a portal takes in its hardware address",
        plots: &[NYC, PARIS, OSLO],
        run: shared_device,
    },
    Scenario { name: "a LAN that is not shared is not reached", plots: &[NYC, OSLO], run: unshared },
];

fn guests_stay_out(world: &mut World) -> Result<()> {
    // nyc's own router has the usual address of home routers, and its guests may ask it: this computer is
    // only in Paris.
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

fn shared_address(world: &mut World) -> Result<()> {
    shared_with(world, "from = [\"192.168.1.50\"]")
}

fn shared_device(world: &mut World) -> Result<()> {
    let home = world.site(NYC).home.clone().expect("nyc has a home");
    shell(&home, "ip link set eth0 address 02:00:00:00:00:01")?;
    shared_with(world, "mac = [\"02:00:00:00:00:01\"]")
}

fn shared_with(world: &mut World, entrance: &str) -> Result<()> {
    let network = world.network(|plot| match plot {
        NYC => {
            let portal = portal_of(NYC, r#""paris""#, entrance);
            format!("lan = [\"192.168.1.0/24\"]\nlinks = [\"oslo\"]\n{portal}")
        }
        PARIS => "exits = [\"nyc\"]\n".to_owned(),
        _ => "links = [\"nyc\"]\n".to_owned(),
    });
    // Paris learns of that network, and must not have the same network itself.
    shell(&world.site(PARIS).router, "ip address flush dev lan0")?;
    start(world, &network)?;
    seen_as(world.site(NYC).home(seconds(3.0)), SERVER, PARIS.address)?;
    seen_as(world.site(OSLO).router(seconds(3.0)), HOME, OSLO.tunnel())?;
    // No packet to an address of the network that belongs to no site leaves via the uplink, either.
    let unused = Ipv4Addr::new(10, 77, 200, 1);
    let capture = Capture::start(&world.site(NYC).router, "uplink")?;
    world.site(NYC).home(seconds(1.0)).knock(unused, 5)?;
    same("packets to an unused address", seen_going_to(capture, unused.into())?.len(), 0)
}

fn unshared(world: &mut World) -> Result<()> {
    let network = world.network(|plot| portal(plot, if plot == NYC { r#""oslo""# } else { r#""nyc""# }));
    start(world, &network)?;
    seen_as(world.site(OSLO).guest(seconds(3.0)), SERVER, NYC.address)?;
    unreachable(world.site(OSLO).guest(seconds(1.0)), HOME)?;
    unreachable(world.site(OSLO).router(seconds(1.0)), HOME)
}
