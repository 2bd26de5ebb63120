//! Exits of IPv6: the next one of a list, the site's own uplink, and an uplink apart from that of IPv4.

use std::net::{Ipv6Addr, UdpSocket};

use wg_portals::base::error::{Context as _, Result};
use wg_portals::demo::{Capture, NYC, OSLO, PARIS, Plot, ProbeClient, World, connect};

use super::{BOTH, GUEST, HOME_OF, WAYS, leaves_at, leaves_at_home};
use crate::Scenario;
use crate::ways::each_other;
use crate::words::{
    eventually, no_leak_in, portal, reloaded, same, seconds, seen_as, seen_going_to, settled, shell, start,
    succeeds, unreachable,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "IPv6 moves to the next exit together with IPv4",
        plots: &[NYC, PARIS, OSLO],
        run: next_exit,
    },
    Scenario {
        name: "IPv6 of a portal leaves directly if its list says so",
        plots: &[NYC, PARIS],
        run: direct,
    },
    Scenario { name: "a flow of UDP over IPv6 moves with its portal", plots: &[NYC, PARIS, OSLO], run: flow },
    Scenario {
        name: "IPv6 goes through portals, and does not leak, via an uplink of its own",
        plots: &[NYC, PARIS],
        run: elsewhere,
    },
];

fn next_exit(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    start(world, &world.network(of_nyc(r#""paris", "oslo""#)))?;
    leaves_at(world, GUEST, NYC, PARIS)?;
    no_leak_in(BOTH, world, NYC, GUEST, |world| {
        world.set_cut(NYC, PARIS, true)?;
        leaves_at(world, GUEST, NYC, OSLO)?;
        // A new agent finds the exit of the previous one by itself.
        world.site(NYC).start_agent()?;
        leaves_at(world, GUEST, NYC, OSLO)
    })
}

fn of_nyc(exits: &'static str) -> impl Fn(Plot) -> String {
    move |plot| if plot == NYC { portal(NYC, exits) } else { "exits = [\"nyc\"]\n".to_owned() }
}

fn direct(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    start(world, &world.network(of_nyc(r#""paris", "direct""#)))?;
    leaves_at(world, GUEST, NYC, PARIS)?;
    succeeds(world.site(NYC), &["exit", "way", "direct"])?;
    leaves_at(world, GUEST, NYC, NYC)?;
    let guest = world.site(NYC).guest(seconds(3.0));
    [NYC.home6(), NYC.gateway6()].into_iter().try_for_each(|address| unreachable(guest, address))?;
    succeeds(world.site(NYC), &["exit", "way", "paris"])?;
    leaves_at(world, GUEST, NYC, PARIS)
}

fn flow(world: &mut World) -> Result<()> {
    const PORT: u16 = 5300;
    world.add_ipv6()?;
    let (paris, oslo) = (world.network(of_nyc(r#""paris""#)), world.network(of_nyc(r#""oslo""#)));
    start(world, &paris)?;
    let doing = || "cannot use UDP".to_owned();
    let there = (NYC.own_server6(), PORT);
    let server = world.server.run(|| UdpSocket::bind(there).context(doing))?;
    server.set_read_timeout(Some(seconds(1.0))).context(doing)?;
    let client = world.site(NYC).guest.run(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).context(doing))?;
    let leaves_at = |exit: Plot| {
        eventually(&format!("the flow leaves at {}", exit.name), || {
            // The network may refuse the packet.
            let _ = client.send_to(b"question", there);
            let (_, from) = server.recv_from(&mut [0; 16]).context(doing)?;
            same("the sender", from.ip(), exit.address6().into())
        })
    };
    leaves_at(PARIS)?;
    reloaded(world, &[NYC, PARIS, OSLO], &oslo)?;
    leaves_at(OSLO)?;
    reloaded(world, &[NYC, PARIS, OSLO], &paris)?;
    leaves_at(PARIS)
}

/// Gives both sites an interface for IPv6 only, as a tunnel to an IPv6 broker is.
fn elsewhere(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    for (plot, _) in WAYS {
        let (router, name) = (world.site(plot).router.clone(), format!("{}6", plot.name));
        connect((&router, "six0"), (&world.internet, &name))?;
        let (own, gateway, home) = (plot.address6(), plot.gateway6(), plot.home_router6());
        let far = format!(
            "ip -6 address flush dev {} scope global; ip link set {name} up; \
             ip -6 address add {gateway}/64 dev {name} nodad; \
             ip -6 route replace {home}/128 via {own}; ip -6 route replace {}/128 via {own}",
            plot.name,
            plot.home6()
        );
        shell(&world.internet, &far)?;
        let near = format!(
            "ip -6 route delete default; ip -6 address flush dev uplink scope global; ip link set six0 up; \
             ip -6 address add {own}/64 dev six0 nodad; ip -6 route add default via {gateway}"
        );
        shell(&router, &near)?;
    }
    start(world, &world.network(each_other))?;
    for (entry, exit) in WAYS {
        leaves_at(world, GUEST, entry, exit)?;
        leaves_at_home(world, entry)?;
    }
    let server = NYC.own_server6();
    let capture = Capture::start(&world.site(NYC).router, "six0")?;
    no_leak_in(BOTH, world, NYC, GUEST, |world| {
        let guest = world.site(NYC).guest.clone();
        let guest = ProbeClient::new(&guest, seconds(1.0));
        world.set_cut(NYC, PARIS, true)?;
        unreachable(guest, server)?;
        shell(&world.site(NYC).router, "ip -6 rule flush; ip -6 rule add priority 32766 lookup main")?;
        guest.knock(server, 10)?;
        settled(world.site(NYC))?;
        world.site(NYC).kill_agent();
        guest.knock(server, 10)?;
        world.site(NYC).start_agent()?;
        world.set_cut(NYC, PARIS, false)?;
        settled(world.site(NYC))?;
        leaves_at(world, GUEST, NYC, PARIS)
    })?;
    same("packets that left via the uplink of IPv6", seen_going_to(capture, server.into())?, Vec::new())?;
    seen_as(ProbeClient::new(HOME_OF(world.site(NYC)), seconds(3.0)), server, NYC.home6())
}
