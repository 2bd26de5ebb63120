//! An uplink that gets another address, and what is on its wire.

use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::Pid;
use wg_portals::demo::{Capture, NYC, PARIS, SERVER, Site, World};
use wg_portals::error::{Context as _, Result};
use wg_portals::net::InterfaceAddress;

use crate::Scenario;
use crate::ways::only_nyc;
use crate::words::{
    Who, filter_reverse_paths, no_leak, same, seconds, seen_as, seen_going_to, settled, shell, start,
};

pub(crate) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "no leak of the router itself as its uplink gets a gateway of another subnet",
    plots: &[NYC, PARIS],
    run: other_subnet,
}];

/// Other subnets of the internet's, by their third number: the gateway is `.1`, and the site gets `.2`.
const SUBNETS: [u8; 2] = [101, 102];

fn other_subnet(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc("self = true")))?;
    seen_as(world.site(NYC).router(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let router: Who = |site| &site.router;
    no_leak(world, NYC, router, |world| {
        let mut old = NYC.address;
        // A client of DHCP names the interface, who types a route may not; and `rp_filter` is strict, or it is off.
        for (subnet, (interface, strict)) in SUBNETS.into_iter().zip([("dev uplink", true), ("", false)]) {
            filter_reverse_paths(&world.site(NYC).router, strict)?;
            let new = Ipv4Addr::new(198, 51, subnet, 2);
            let gateway = Ipv4Addr::new(198, 51, subnet, 1);
            world.internet.add_address("nyc", InterfaceAddress { address: gateway.into(), length: 24 })?;
            // Address and route come at once, and the agent hears of them later.
            stopped(world.site(NYC), |site| {
                shell(
                    &site.router,
                    &format!("ip address del {old}/24 dev uplink; ip address add {new}/24 dev uplink"),
                )?;
                shell(&site.router, &format!("ip route add default via {gateway} {interface}"))?;
                let route = shell(&site.router, "ip route show default")?;
                same("the route", route.trim().to_owned(), format!("default via {gateway} dev uplink"))
            })?;
            settled(world.site(NYC))?;
            seen_as(world.site(NYC).router(seconds(3.0)), NYC.own_server(), PARIS.address)?;
            seen_as(world.outsider(seconds(3.0)), new, SERVER)?;
            old = new;
        }
        shell(&world.site(NYC).router, "ip route flush table 7699; ip route flush table 7702")?;
        settled(world.site(NYC))
    })?;
    neighbours(world)
}

/// Does something while the site's agent is stopped.
fn stopped(site: &mut Site, events: impl FnOnce(&Site) -> Result<()>) -> Result<()> {
    let agent = Pid::from_raw(site.agent()?.pid().cast_signed());
    let send = |signal| kill(agent, signal).doing(|| format!("cannot send {signal} to the agent"));
    send(Signal::SIGSTOP)?;
    let result = events(site);
    send(Signal::SIGCONT)?;
    result
}

/// Sockets that are bound to the uplink, or take no gateway, find what is on its wire; the firewall lets nothing pass.
fn neighbours(world: &mut World) -> Result<()> {
    let neighbour = Ipv4Addr::new(198, 51, SUBNETS[1], 9);
    shell(&world.internet, &format!("ip address add {neighbour}/32 dev nyc"))?;
    let router = &world.site(NYC).router;
    for there in [neighbour, NYC.own_server()] {
        let capture = Capture::start(router, "uplink")?;
        router.run(|| ask_in_all_ways(there).doing(|| "cannot ask by UDP".to_owned()))?;
        same("packets that left by the uplink", seen_going_to(capture, IpAddr::from(there))?, Vec::new())?;
    }
    Ok(())
}

fn ask_in_all_ways(there: Ipv4Addr) -> io::Result<()> {
    let socket = || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
    let (free, bound, without_gateway) = (socket()?, socket()?, socket()?);
    setsockopt(&bound, sockopt::BindToDevice, &"uplink".into())?;
    setsockopt(&without_gateway, sockopt::DontRoute, &true)?;
    for socket in [free, bound, without_gateway] {
        // Whether it is refused does not matter.
        let _ = socket.send_to(b"question", (there, 5300));
    }
    Ok(())
}
