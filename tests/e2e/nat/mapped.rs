//! Links to a port that a home router maps.

use std::net::Ipv4Addr;

use wg_portals::base::error::Result;
use wg_portals::demo::{NYC, OSLO, PARIS, Plot, Translation, World};

use super::homes::Home;
use super::meeting::{MEETING, guests_leave, link_says, meet_in};
use crate::Scenario;
use crate::port_mapping::map_ports;
use crate::words::{seconds, within};

pub(crate) const WITH_MINIUPNPD: &[Scenario] =
    &[Scenario { name: "homes meet: symmetric with port mapping, symmetric", plots: &[OSLO], run: mapped }];

/// Lets two homes meet that would be relayed if the router of one did not map the port of its tunnel.
fn mapped(world: &mut World) -> Result<()> {
    // miniupnpd maps no ports at an address for documentation.
    let nyc = Plot { address: Ipv4Addr::new(11, 0, 0, 2), ..NYC };
    let built = [Home::Symmetric.build(world, nyc)?, Home::Symmetric.build(world, PARIS)?];
    // A router that maps ports hears its home.
    built[0].routers[0].translate(Translation {
        interface: "uplink",
        home_only: false,
        random_ports: true,
        drops_input: false,
    })?;
    let _daemon = map_ports(&built[0].routers[0], ["uplink", NYC.name])?;
    meet_in(world, &built, "")?;
    let plots = [built[0].plot, built[1].plot];
    within(seconds(MEETING), "the link goes to the mapped port", || {
        link_says(world, plots[0], PARIS, "mapped", Some(NYC.name))?;
        link_says(world, plots[1], NYC, "mapped", Some(NYC.name))
    })?;
    guests_leave(world, plots, [nyc, PARIS])
}
