//! Entrances of portals, in both address families.

use wg_portals::base::error::Result;
use wg_portals::base::net::{Family, InterfaceAddress};
use wg_portals::demo::{Capture, NYC, Namespace, PARIS, Packet, Plot, ProbeClient, SERVER6, World};

use super::{BOTH, GUEST, HOME_OF, leaves_at, leaves_at_home};
use crate::Scenario;
use crate::devices::{BY_MAC, move_in};
use crate::phones::{Phone, add_phones, nyc_to_paris};
use crate::ways::only_nyc;
use crate::words::{
    Who, eventually, no_leak_in, portal_of, same, seconds, seen_as, seen_going_to, settled, start,
    unreachable,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "an IPv6 network of sources goes through a portal, another one does not",
        plots: &[NYC, PARIS],
        run: networks,
    },
    Scenario {
        name: "a device is recognised by its hardware address in both address families",
        plots: &[NYC, PARIS],
        run: device,
    },
    Scenario {
        name: "IPv6 of the router itself goes through a portal, and is reached from outside",
        plots: &[NYC, PARIS],
        run: own,
    },
    Scenario {
        name: "only some ports of a device enter the portal in both address families",
        plots: &[NYC, PARIS],
        run: ports_of_device,
    },
    Scenario {
        name: "only some ports of the router itself enter the portal in both address families",
        plots: &[NYC, PARIS],
        run: ports_of_router,
    },
    Scenario {
        name: "only some ports of an interface enter the portal in both address families",
        plots: &[NYC, PARIS],
        run: ports_of_interface,
    },
    Scenario {
        name: "to and except count in both address families",
        plots: &[NYC, PARIS],
        run: to_and_except,
    },
    Scenario {
        name: "a phone leaves at its exit in both address families",
        plots: &[NYC, PARIS],
        run: phone,
    },
];

/// Address of the computer next to the one at home.
fn neighbour_of(plot: Plot) -> InterfaceAddress {
    let mut segments = plot.home6().segments();
    segments[7] = 0x61;
    InterfaceAddress { address: std::net::Ipv6Addr::from(segments).into(), length: 64 }
}

/// Gives the computer at home a neighbour with both address families.
fn with_neighbour(world: &mut World) -> Result<Namespace> {
    world.add_ipv6()?;
    let neighbour = move_in(world)?;
    neighbour.add_address("eth0", neighbour_of(NYC))?;
    neighbour.add_route(Family::V6.everything(), NYC.home_router6().into())?;
    Ok(neighbour)
}

fn networks(world: &mut World) -> Result<()> {
    let neighbour = with_neighbour(world)?;
    // The neighbour has an address of the second network, but not of the first.
    start(world, &world.network(only_nyc(r#"from = ["192.168.1.50", "2001:db8:1:1::50/124"]"#)))?;
    chosen(world, &neighbour)
}

fn device(world: &mut World) -> Result<()> {
    let neighbour = with_neighbour(world)?;
    start(world, &world.network(only_nyc(BY_MAC)))?;
    chosen(world, &neighbour)?;
    // Only the tunnel's own setting lets the answers through.
    let strict = world.site(NYC).router.sysctl("net/ipv4/conf/lan0/rp_filter")?;
    same("rp_filter of lan0", strict.as_str(), "1")
}

/// Checks that the computer at home goes through the portal, its neighbour does not, and that both reach
/// their own router.
fn chosen(world: &mut World, neighbour: &Namespace) -> Result<()> {
    leaves_at(world, HOME_OF, NYC, PARIS)?;
    let way = world.site(NYC).home(seconds(3.0)).traceroute6(SERVER6)?;
    let wanted = [NYC.home_router6(), PARIS.tunnel6(), PARIS.gateway6(), SERVER6].map(Some);
    same("the way from home", way, wanted.to_vec())?;
    seen_as(ProbeClient::new(neighbour, seconds(3.0)), SERVER6, neighbour_of(NYC).address)?;
    seen_as(world.site(NYC).home(seconds(3.0)), NYC.home_router6(), NYC.home6())?;
    let home = world.site(NYC).home(seconds(30.0));
    same("bytes fetched", home.download(SERVER6)?, 200_000)?;
    same("bytes sent", home.upload(SERVER6)?, 200_000)?;
    no_leak_in(BOTH, world, NYC, HOME_OF, |world| {
        world.set_cut(NYC, PARIS, true)?;
        unreachable(world.site(NYC).home(seconds(1.0)), NYC.own_server6())?;
        seen_as(ProbeClient::new(neighbour, seconds(3.0)), SERVER6, neighbour_of(NYC).address)?;
        world.site(NYC).kill_agent();
        unreachable(world.site(NYC).home(seconds(1.0)), NYC.own_server6())?;
        world.site(NYC).start_agent()?;
        world.set_cut(NYC, PARIS, false)?;
        settled(world.site(NYC))?;
        leaves_at(world, HOME_OF, NYC, PARIS)
    })
}

fn own(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    start(world, &world.network(only_nyc("self = true")))?;
    leaves_at(world, |site| &site.router, NYC, PARIS)?;
    leaves_at_home(world, NYC)?;
    seen_as(world.outsider(seconds(3.0)), NYC.address6(), SERVER6)?;
    seen_as(world.site(NYC).home(seconds(3.0)), NYC.home_router6(), NYC.home6())?;
    seen_as(world.site(NYC).router(seconds(3.0)), NYC.home6(), NYC.home_router6())
}

fn ports_of_device(world: &mut World) -> Result<()> {
    let entrance = "from = [\"192.168.1.50\", \"2001:db8:1:1::50\"]\nports = [\"tcp/80\"]";
    only_web_enters(world, entrance, HOME_OF)
}

fn ports_of_router(world: &mut World) -> Result<()> {
    only_web_enters(world, "self = true\nports = [\"tcp/80\"]", |site| &site.router)
}

fn ports_of_interface(world: &mut World) -> Result<()> {
    only_web_enters(world, "interface = \"portal0\"\ndhcp = false\nports = [\"tcp/80\"]", GUEST)
}

/// Checks an entrance that takes in the port of the server that tells the client's address, and not the echo
/// port.
fn only_web_enters(world: &mut World, entrance: &'static str, who: Who) -> Result<()> {
    world.add_ipv6()?;
    start(world, &world.network(only_nyc(entrance)))?;
    leaves_at(world, who, NYC, PARIS)?;
    for family in BOTH {
        let server = NYC.addresses(*family).own_server;
        let client = who(world.site(NYC)).clone();
        let client = ProbeClient::new(&client, seconds(3.0));
        let capture = Capture::start(&world.site(NYC).router, "uplink")?;
        eventually("the echo answers", || client.connect(server).map(drop))?;
        world.set_cut(NYC, PARIS, true)?;
        unreachable(client, server)?;
        world.set_cut(NYC, PARIS, false)?;
        let left = seen_going_to(capture, server)?;
        let (web, others): (Vec<Packet>, _) =
            left.into_iter().partition(|packet| packet.ports.is_some_and(|(_, to)| to == 80));
        same("packets for the web that left via the uplink", web, Vec::new())?;
        same("packets for the echo left via the uplink", others.is_empty(), false)?;
    }
    leaves_at(world, who, NYC, PARIS)
}

fn to_and_except(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    let sources = "from = [\"192.168.1.50\", \"2001:db8:1:1::50\"]";
    let to = (format!("to = [\"{}/128\"]", NYC.own_server6()), NYC.own_server6(), SERVER6);
    let except = (format!("except = [\"{}/128\"]", NYC.own_server6()), SERVER6, NYC.own_server6());
    for (lists, through, past) in [&to, &except, &to] {
        let entrance = format!("{sources}\n{lists}");
        let network = world.network(|plot| {
            if plot == NYC {
                portal_of(NYC, r#""paris""#, &entrance)
            } else {
                "exits = [\"nyc\"]\n".to_owned()
            }
        });
        start(world, &network)?;
        seen_as(world.site(NYC).home(seconds(3.0)), *through, PARIS.address6())?;
        seen_as(world.site(NYC).home(seconds(3.0)), *past, NYC.home6())?;
    }
    Ok(())
}

fn phone(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    let network = nyc_to_paris(world);
    let [mike, anna] = add_phones(world, &network, [&["mike", "--exit", "paris"], &["anna"]])?;
    let (mike, anna) = (Phone::switch_on(world, 1, &mike)?, Phone::switch_on(world, 2, &anna)?);
    for (phone, exit) in [(&mike, PARIS), (&anna, NYC)] {
        for family in BOTH {
            seen_as(phone.client(), exit.addresses(*family).server, exit.addresses(*family).uplink)?;
        }
        same("bytes fetched", phone.client().waiting(seconds(30.0)).download(SERVER6)?, 200_000)?;
        same("bytes sent", phone.client().waiting(seconds(30.0)).upload(SERVER6)?, 200_000)?;
    }
    let way = mike.client().traceroute6(SERVER6)?;
    same("the way", way, [NYC.tunnel6(), PARIS.tunnel6(), PARIS.gateway6(), SERVER6].map(Some).to_vec())?;
    for forbidden in [NYC.home6(), PARIS.home6(), NYC.tunnel6(), PARIS.tunnel6(), NYC.guest6()] {
        unreachable(mike.client(), forbidden)?;
    }
    let capture = Capture::start(&world.site(NYC).router, "uplink")?;
    world.set_cut(NYC, PARIS, true)?;
    for family in BOTH {
        let server = NYC.addresses(*family).own_server;
        mike.client().knock(server, 20)?;
        unreachable(mike.client(), server)?;
    }
    let mut left = capture.stop()?;
    left.retain(|packet| BOTH.iter().any(|family| packet.destination == NYC.addresses(*family).own_server));
    same("packets that left via the uplink", left, Vec::new())?;
    seen_as(anna.client(), SERVER6, NYC.address6())
}
