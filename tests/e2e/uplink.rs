//! An uplink that gets another address, and the hosts on its link.

use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::Pid;
use wg_portals::base::error::{Context as _, Result};
use wg_portals::base::net::InterfaceAddress;
use wg_portals::demo::{Capture, DemoSite, NYC, Namespace, PARIS, Packet, ProbeClient, SERVER, World};

use crate::Scenario;
use crate::leaks::give_ipv6;
use crate::ways::only_nyc;
use crate::words::{
    Who, filter_reverse_paths, no_leak, reloaded, same, seconds, seen_as, seen_going_to, settled, shell,
    start,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "no leak of the router itself when its uplink gets a gateway in another subnet",
        plots: &[NYC, PARIS],
        run: other_subnet,
    },
    Scenario {
        name: "no leak of the router itself via an uplink that the agent does not know yet",
        plots: &[NYC, PARIS],
        run: unheard_of,
    },
    Scenario {
        name: "a tunnel takes none of its own packets while the uplink is gone",
        plots: &[NYC, PARIS],
        run: gone,
    },
];

/// Further subnets of the internet, by their third number: the gateway is `.1`, and the site gets `.2`.
const SUBNETS: [u8; 2] = [101, 102];

fn other_subnet(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc("self = true")))?;
    seen_as(world.site(NYC).router(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let router: Who = |site| &site.router;
    no_leak(world, NYC, router, |world| {
        let mut old = NYC.address;
        // A DHCP client names the interface, a person who types a route may not; `rp_filter` is strict,
        // or off.
        for (subnet, (interface, strict)) in SUBNETS.into_iter().zip([("dev uplink", true), ("", false)]) {
            filter_reverse_paths(&world.site(NYC).router, strict)?;
            let new = Ipv4Addr::new(198, 51, subnet, 2);
            let gateway = Ipv4Addr::new(198, 51, subnet, 1);
            world.internet.add_address("nyc", InterfaceAddress { address: gateway.into(), length: 24 })?;
            // Address and route come at once, and the agent learns of them later.
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

/// Takes the router's uplink away, so that the firewall is made without one. The uplink comes back while the
/// agent is stopped, together with rules that lead nothing into a tunnel: only the firewall holds back the
/// traffic of the portal.
fn unheard_of(world: &mut World) -> Result<()> {
    const FLUSH: &str = "ip rule flush; ip -6 rule flush";
    const LEAD_OUT: &str =
        "ip rule add priority 32766 lookup main; ip -6 rule add priority 32766 lookup main";
    start(world, &world.network(only_nyc("self = true")))?;
    let guest = world.site(NYC).guest.clone();
    let ipv6 = give_ipv6(world, "portal0", &guest)?;
    for (entrance, source, port) in [
        ("self = true", None, None),
        ("self = true\nports = [\"tcp/80\"]", None, Some(80)),
        ("interface = \"portal0\"", Some(NYC.portal()), None),
    ] {
        reloaded(world, &[NYC, PARIS], &world.network(only_nyc(entrance)))?;
        shell(&world.site(NYC).router, FLUSH)?;
        settled(world.site(NYC))?;
        let mut left = stopped(world.site(NYC), |site| {
            shell(&site.router, &format!("{FLUSH}; {LEAD_OUT}"))?;
            let capture = Capture::start(&site.router, "uplink")?;
            knock(&site.router, source, NYC.own_server().into())?;
            if source.is_none() {
                knock(&site.router, source, ipv6)?;
            }
            capture.stop()
        })?;
        let servers = [NYC.own_server().into(), ipv6];
        left.retain(|packet| servers.contains(&packet.destination));
        left.retain(|packet| port.is_none() || packet.ports.map(|(_, to)| to) == port);
        same(&format!("packets that left via the uplink, though {entrance}"), left, Vec::new())?;
        settled(world.site(NYC))?;
    }
    Ok(())
}

/// Takes the link of the uplink away, and lets the router send through its own portal: the only route that is
/// left leads into the tunnel. A packet of WireGuard that took this route would cause another, larger one,
/// and so on.
fn gone(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc("self = true")))?;
    seen_as(world.site(NYC).router(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let site = world.site(NYC);
    shell(&site.router, "ip link set uplink down")?;
    nothing_loops(site)?;
    // Now the agent knows that the uplink has gone, and has taken away the rules for its address.
    settled(site)?;
    nothing_loops(site)?;
    shell(&site.router, &format!("ip link set uplink up; ip route add default via {}", NYC.gateway()))?;
    seen_as(site.router(seconds(3.0)), NYC.own_server(), PARIS.address)
}

/// Checks that the tunnel takes the router's packets, and none of WireGuard's.
fn nothing_loops(site: &DemoSite) -> Result<()> {
    let tunnel = Capture::start(&site.router, "to-paris")?;
    site.router(seconds(1.0)).knock(NYC.own_server(), 20)?;
    let (loops, taken): (Vec<_>, Vec<_>) = tunnel.stop()?.into_iter().partition(Packet::is_wireguard);
    same("the first of WireGuard's packets in the tunnel", loops.first(), None)?;
    let of_router = taken.iter().filter(|packet| packet.destination == IpAddr::from(NYC.own_server()));
    same("the tunnel takes the router's packets", of_router.count() >= 20, true)
}

/// Sends traffic that the portal takes: a web client's first packet and a datagram, or a resolver's query
/// from `source`.
fn knock(router: &Namespace, source: Option<Ipv4Addr>, server: IpAddr) -> Result<()> {
    let Some(source) = source else {
        return ProbeClient::new(router, seconds(1.0)).knock(server, 3).map(drop);
    };
    router.run(|| {
        let question = UdpSocket::bind((source, 0)).context(|| "cannot ask by UDP".to_owned())?;
        let _ = question.send_to(b"question", (server, 53));
        Ok(())
    })
}

/// Runs `events` while the site's agent is stopped.
fn stopped<T>(site: &mut DemoSite, events: impl FnOnce(&DemoSite) -> Result<T>) -> Result<T> {
    let agent = Pid::from_raw(site.agent()?.pid().cast_signed());
    let send = |signal| kill(agent, signal).context(|| format!("cannot send {signal} to the agent"));
    send(Signal::SIGSTOP)?;
    let result = events(site);
    send(Signal::SIGCONT)?;
    result
}

/// Checks that sockets that are bound to the uplink, or use no gateway, find the hosts on its link, but the
/// firewall lets nothing pass.
fn neighbours(world: &mut World) -> Result<()> {
    let neighbour = Ipv4Addr::new(198, 51, SUBNETS[1], 9);
    shell(&world.internet, &format!("ip address add {neighbour}/32 dev nyc"))?;
    let router = &world.site(NYC).router;
    for there in [neighbour, NYC.own_server()] {
        let capture = Capture::start(router, "uplink")?;
        router.run(|| ask_in_all_ways(there).context(|| "cannot ask by UDP".to_owned()))?;
        same("packets that left via the uplink", seen_going_to(capture, IpAddr::from(there))?, Vec::new())?;
    }
    Ok(())
}

fn ask_in_all_ways(there: Ipv4Addr) -> io::Result<()> {
    let socket = || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
    let (free, bound, without_gateway) = (socket()?, socket()?, socket()?);
    setsockopt(&bound, sockopt::BindToDevice, &"uplink".into())?;
    setsockopt(&without_gateway, sockopt::DontRoute, &true)?;
    for socket in [free, bound, without_gateway] {
        // It does not matter if the request is refused.
        let _ = socket.send_to(b"question", (there, 5300));
    }
    Ok(())
}
