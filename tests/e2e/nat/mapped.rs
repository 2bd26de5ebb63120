//! Links to a port that a home router maps.

use std::net::Ipv4Addr;

use wg_portals::base::error::Result;
use wg_portals::demo::{NYC, Namespace, OSLO, PARIS, Plot, Translation, World};

use super::homes::Home;
use super::meeting::{MEETING, guests_leave, link_says, meet_in};
use crate::Scenario;
use crate::doctor::names;
use crate::lans::Background;
use crate::port_mapping::map_ports;
use crate::troubles::doctor::SECOND_NAT;
use crate::words::{seconds, within};

pub(crate) const WITH_MINIUPNPD: &[Scenario] = &[
    Scenario { name: "homes meet: symmetric with port mapping, symmetric", plots: &[OSLO], run: mapped },
    Scenario { name: "doctor: a second NAT, told by port mapping", plots: &[OSLO], run: second_nat },
];

/// Lets two homes meet that would be relayed if the router of one did not map the port of its tunnel.
fn mapped(world: &mut World) -> Result<()> {
    // miniupnpd maps no ports at an address for documentation.
    let nyc = Plot { address: Ipv4Addr::new(11, 0, 0, 2), ..NYC };
    let built = [Home::Symmetric.build(world, nyc)?, Home::Symmetric.build(world, PARIS)?];
    let _daemon = maps_ports(&built[0].routers[0], true)?;
    meet_in(world, &built, "")?;
    let plots = [built[0].plot, built[1].plot];
    within(seconds(MEETING), "the link goes to the mapped port", || {
        link_says(world, plots[0], PARIS, "mapped", Some(NYC.name))?;
        link_says(world, plots[1], NYC, "mapped", Some(NYC.name))
    })?;
    guests_leave(world, plots, [nyc, PARIS])
}

/// Makes the router of nyc map ports.
fn maps_ports(router: &Namespace, random_ports: bool) -> Result<Background> {
    // A router that maps ports hears its home.
    router.translate(Translation {
        interface: "uplink",
        home_only: false,
        random_ports,
        drops_input: false,
    })?;
    map_ports(router, ["uplink", NYC.name])
}

/// The router of a home maps ports, but the NAT of a carrier is in front of it.
fn second_nat(world: &mut World) -> Result<()> {
    let built = [Home::Carrier.build(world, NYC)?, Home::Symmetric.build(world, PARIS)?];
    let _daemon = maps_ports(&built[0].routers[0], false)?;
    meet_in(world, &built, "")?;
    names(world.site(built[0].plot), &SECOND_NAT)
}
