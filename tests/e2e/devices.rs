//! Portals whose traffic is marked: devices by their hardware addresses, and ports.

use std::net::{IpAddr, Ipv4Addr};

use wg_portals::base::error::Result;
use wg_portals::base::net::InterfaceAddress;
use wg_portals::demo::{
    Capture, HOME, HOME_ROUTER, NYC, Namespace, OSLO, PARIS, Packet, ProbeClient, SERVER, World,
};

use crate::Scenario;
use crate::filters::everywhere_legacy;
use crate::leaks::{give_ipv6, v6};
use crate::ways::only_nyc;
use crate::words::{
    Who, eventually, no_leak, portal_of, reloaded, same, seconds, seen_as, seen_going_to, settled, shell,
    start, succeeds, unreachable,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "a device is recognised by its hardware address", plots: &[NYC, PARIS], run: device },
    Scenario {
        name: "a device is recognised by its hardware address, with `to` and `except`",
        plots: &[NYC, PARIS],
        run: to_and_except,
    },
    Scenario {
        name: "no leak of a device that is recognised by its hardware address",
        plots: &[NYC, PARIS],
        run: no_leaks,
    },
    Scenario {
        name: "IPv6 of a device that is recognised by its hardware address goes nowhere",
        plots: &[NYC, PARIS],
        run: ipv6,
    },
    Scenario {
        name: "IPv6 of a device that is recognised by its IPv4 address goes nowhere",
        plots: &[NYC, PARIS],
        run: ipv6_by_address,
    },
    Scenario {
        name: "a device that is recognised by its hardware address moves to the next exit",
        plots: &[NYC, PARIS, OSLO],
        run: next_exit,
    },
    Scenario {
        name: "a device behind the interface of a portal enters a portal of its own",
        plots: &[NYC, PARIS, OSLO],
        run: behind_an_interface,
    },
    Scenario {
        name: "no leak of a device that is in two portals",
        plots: &[NYC, PARIS, OSLO],
        run: in_two_portals,
    },
    Scenario {
        name: "only some ports of an interface enter the portal",
        plots: &[NYC, PARIS],
        run: ports_of_interface,
    },
    Scenario {
        name: "only some ports of a device enter the portal",
        plots: &[NYC, PARIS],
        run: ports_of_device,
    },
    Scenario {
        name: "only some ports of the router itself enter the portal",
        plots: &[NYC, PARIS],
        run: ports_of_router,
    },
];

/// Computer at home that portals take in.
const TV: &str = "02:00:00:00:00:01";

/// Second computer on the same link.
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 61);

const HOME_OF: Who = |site| site.home.as_ref().expect("nyc has a home");

/// Portal of nyc that takes in the computer at home by its hardware address.
pub(crate) const BY_MAC: &str = "mac = [\"02:00:00:00:00:01\"]";

/// Gives the computer at home its hardware address, and a neighbour.
pub(crate) fn move_in(world: &mut World) -> Result<Namespace> {
    let home = HOME_OF(world.site(NYC)).clone();
    shell(&home, &format!("ip link set eth0 address {TV}"))?;
    let neighbour = Namespace::new("nyc's neighbour")?;
    let place = neighbour.path();
    shell(
        &home,
        &format!(
            "ip link add tv0 link eth0 type macvlan mode bridge; ip link set tv0 netns {place} name eth0"
        ),
    )?;
    for interface in ["lo", "eth0"] {
        neighbour.set_up(interface, true)?;
    }
    neighbour.add_address("eth0", InterfaceAddress { address: NEIGHBOUR.into(), length: 24 })?;
    neighbour.add_route("0.0.0.0/0".parse().expect("a network"), HOME_ROUTER.into())?;
    Ok(neighbour)
}

fn device(world: &mut World) -> Result<()> {
    let neighbour = move_in(world)?;
    start(world, &world.network(only_nyc(BY_MAC)))?;
    seen_as(world.site(NYC).home(seconds(3.0)), SERVER, PARIS.address)?;
    seen_as(ProbeClient::new(&neighbour, seconds(3.0)), SERVER, NYC.address)?;
    seen_as(world.site(NYC).home(seconds(3.0)), HOME_ROUTER, HOME)?;
    let way = world.site(NYC).home(seconds(1.0)).traceroute(SERVER)?;
    let wanted = [HOME_ROUTER, PARIS.tunnel(), PARIS.gateway(), SERVER].map(Some);
    same("the way from home", way, wanted.to_vec())?;
    let home = world.site(NYC).home(seconds(5.0));
    same("bytes fetched", home.waiting(seconds(30.0)).download(SERVER)?, 200_000)?;
    same("bytes sent", home.waiting(seconds(30.0)).upload(SERVER)?, 200_000)?;
    for (setting, interface, wanted) in [
        ("rp_filter", "all", "1"),
        ("rp_filter", "lan0", "1"),
        ("rp_filter", "to-paris", "1"),
        ("src_valid_mark", "all", "0"),
        ("src_valid_mark", "lan0", "0"),
        ("src_valid_mark", "uplink", "0"),
        ("src_valid_mark", "to-paris", "1"),
    ] {
        let found = world.site(NYC).router.sysctl(&format!("net/ipv4/conf/{interface}/{setting}"))?;
        same(&format!("{setting} of {interface}"), found.as_str(), wanted)?;
    }
    // wg-quick sets this for all interfaces.
    shell(&world.site(NYC).router, "echo 1 >/proc/sys/net/ipv4/conf/all/src_valid_mark")?;
    seen_as(world.site(NYC).home(seconds(3.0)), SERVER, PARIS.address)?;
    seen_as(world.site(NYC).home(seconds(3.0)), NYC.address, HOME)?;
    let status = succeeds(world.site(NYC), &["status"])?;
    let entrance = format!("mac {TV} → paris");
    same(&format!("{entrance} in {status}"), status.contains(&entrance), true)
}

fn to_and_except(world: &mut World) -> Result<()> {
    move_in(world)?;
    let entrance = format!("{BY_MAC}\nto = [\"192.175.48.0/24\"]\nexcept = [\"192.175.48.10/32\"]");
    start(
        world,
        &world.network(|plot| {
            if plot == NYC { portal_of(NYC, r#""paris""#, &entrance) } else { "exits = [\"nyc\"]".to_owned() }
        }),
    )?;
    seen_as(world.site(NYC).home(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    seen_as(world.site(NYC).home(seconds(3.0)), SERVER, NYC.address)?;
    // The other end of the uplink is a destination outside `to`.
    let capture = Capture::start(&world.site(NYC).router, "uplink")?;
    world.site(NYC).home(seconds(1.0)).knock(NYC.gateway(), 5)?;
    let left = seen_going_to(capture, NYC.gateway().into())?.len();
    same("traffic to other destinations leaves via the uplink", left > 0, true)
}

/// Removes one layer after the other.
fn no_leaks(world: &mut World) -> Result<()> {
    move_in(world)?;
    start(world, &world.network(only_nyc(BY_MAC)))?;
    let seen =
        |world: &mut World| seen_as(world.site(NYC).home(seconds(3.0)), NYC.own_server(), PARIS.address);
    seen(world)?;
    no_leak(world, NYC, HOME_OF, |world| {
        world.set_cut(NYC, PARIS, true)?;
        unreachable(world.site(NYC).home(seconds(1.0)), NYC.own_server())?;
        world.set_cut(NYC, PARIS, false)?;
        seen(world)?;
        for script in flushes() {
            shell(&world.site(NYC).router, script)?;
            settled(world.site(NYC))?;
            seen(world)?;
        }
        world.site(NYC).kill_agent();
        let home = HOME_OF(world.site(NYC)).clone();
        ProbeClient::new(&home, seconds(1.0)).knock(NYC.own_server(), 20)?;
        world.site(NYC).start_agent()?;
        settled(world.site(NYC))?;
        seen(world)
    })
}

/// Commands by which other programs take away one layer each.
fn flushes() -> [&'static str; 6] {
    let of_firewall = if everywhere_legacy() {
        // The home of this world may depend on a rule in the table nat.
        [
            "iptables-legacy -t mangle -F",
            "iptables-legacy -F PORTALS_FORWARD",
            "iptables-legacy -t nat -D POSTROUTING -j PORTALS_POSTROUTING; \
             iptables-legacy -t nat -F PORTALS_POSTROUTING",
        ]
    } else {
        [
            "nft flush chain inet portals marks",
            "nft flush chain inet portals forward",
            "nft delete chain inet portals postrouting",
        ]
    };
    let [marks, forward, nat] = of_firewall;
    [
        "ip rule flush; ip rule add priority 32766 lookup main",
        "ip route flush table 7702",
        "ip link delete to-paris",
        marks,
        forward,
        nat,
    ]
}

/// Checks that the device's IPv6 is closed on a host that forwards IPv6, and that the neighbour's is not.
fn ipv6(world: &mut World) -> Result<()> {
    let neighbour = move_in(world)?;
    let home = HOME_OF(world.site(NYC)).clone();
    let server = give_ipv6(world, "lan0", &home)?;
    give_neighbour_ipv6(&neighbour)?;
    let neighbour = ProbeClient::new(&neighbour, seconds(3.0));
    let home = ProbeClient::new(&home, seconds(3.0));
    same("the device's IPv6 without portals", home.who_am_i(server)?, v6("2001:db8:2::70"))?;
    start(world, &world.network(only_nyc(BY_MAC)))?;
    seen_as(home, SERVER, PARIS.address)?;
    let capture = Capture::start(&world.site(NYC).router, "uplink")?;
    unreachable(home, server)?;
    home.knock(server, 10)?;
    for script in flushes() {
        shell(&world.site(NYC).router, script)?;
        home.knock(server, 2)?;
        settled(world.site(NYC))?;
    }
    let mut left = seen_going_to(capture, server)?;
    left.retain(|packet| packet.source == v6("2001:db8:2::70"));
    same("packets that left via the uplink", left, Vec::new())?;
    eventually("the neighbour's IPv6 goes its way", || {
        same("it", neighbour.who_am_i(server)?, v6("2001:db8:2::71"))
    })
}

/// Checks that the agent learns the device's hardware address on first use, and that the address stays known.
fn ipv6_by_address(world: &mut World) -> Result<()> {
    let neighbour = move_in(world)?;
    let home = HOME_OF(world.site(NYC)).clone();
    let server = give_ipv6(world, "lan0", &home)?;
    give_neighbour_ipv6(&neighbour)?;
    let home = ProbeClient::new(&home, seconds(3.0));
    start(world, &world.network(only_nyc("from = [\"192.168.1.50\"]")))?;
    same("the device's IPv6 before its address is known", home.who_am_i(server)?, v6("2001:db8:2::70"))?;
    seen_as(home, SERVER, PARIS.address)?;
    eventually("the device is known", || unreachable(home, server))?;
    settled(world.site(NYC))?;
    let capture = Capture::start(&world.site(NYC).router, "uplink")?;
    home.knock(server, 10)?;
    world.site(NYC).kill_agent();
    shell(&world.site(NYC).router, "ip neigh flush all")?;
    home.knock(server, 10)?;
    world.site(NYC).start_agent()?;
    settled(world.site(NYC))?;
    home.knock(server, 10)?;
    let mut left = seen_going_to(capture, server)?;
    left.retain(|packet| packet.source == v6("2001:db8:2::70"));
    same("packets that left via the uplink", left, Vec::new())?;
    same(
        "the neighbour's",
        ProbeClient::new(&neighbour, seconds(3.0)).who_am_i(server)?,
        v6("2001:db8:2::71"),
    )
}

fn give_neighbour_ipv6(neighbour: &Namespace) -> Result<()> {
    neighbour.add_address("eth0", InterfaceAddress { address: v6("2001:db8:2::71"), length: 64 })?;
    neighbour.add_route("::/0".parse().expect("a network"), v6("2001:db8:2::1"))
}

fn next_exit(world: &mut World) -> Result<()> {
    move_in(world)?;
    let network = world.network(|plot| match plot {
        NYC => portal_of(NYC, r#""paris", "oslo""#, BY_MAC),
        _ => "exits = [\"nyc\"]\n".to_owned(),
    });
    start(world, &network)?;
    seen_as(world.site(NYC).home(seconds(3.0)), SERVER, PARIS.address)?;
    no_leak(world, NYC, HOME_OF, |world| {
        world.set_cut(NYC, PARIS, true)?;
        seen_as(world.site(NYC).home(seconds(3.0)), SERVER, OSLO.address)?;
        // A new agent finds the exit of the previous one by itself.
        world.site(NYC).start_agent()?;
        seen_as(world.site(NYC).home(seconds(3.0)), SERVER, OSLO.address)
    })
}

/// Network with these portals at nyc.
fn with_portals(world: &World, portals: &str) -> String {
    world.network(|plot| match plot {
        NYC => format!("exits = [\"paris\", \"oslo\"]\n\n{portals}"),
        _ => "exits = [\"nyc\"]\n".to_owned(),
    })
}

fn behind_an_interface(world: &mut World) -> Result<()> {
    let guest: Who = |site| &site.guest;
    shell(guest(world.site(NYC)), &format!("ip link set eth0 address {TV}"))?;
    let network = |world: &World, exit: &str, entrance: &str| {
        let way = "[site.nyc.portal.way]\nexit = \"paris\"\ninterface = \"portal0\"\ndhcp = false\n";
        with_portals(world, &format!("{way}\n[site.nyc.portal.single]\nexit = \"{exit}\"\n{entrance}\n"))
    };
    let by_address = format!("from = [\"{}\"]", NYC.guest());
    let file = network(world, "oslo", &by_address);
    start(world, &file)?;
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, OSLO.address)?;
    no_leak(world, NYC, guest, |world| {
        let file = network(world, "oslo", BY_MAC);
        reloaded(world, &[NYC], &file)?;
        seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), OSLO.address)?;
        for entrance in [by_address.as_str(), BY_MAC] {
            let file = network(world, "direct", entrance);
            reloaded(world, &[NYC], &file)?;
            unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;
        }
        Ok(())
    })
}

/// Adds and removes the second portal, before and behind the first one in the file.
fn in_two_portals(world: &mut World) -> Result<()> {
    move_in(world)?;
    let house = "[site.nyc.portal.house]\nexit = \"paris\"\nfrom = [\"192.168.1.0/24\"]\n";
    let tv = format!("[site.nyc.portal.tv]\nexit = \"oslo\"\n{BY_MAC}\n");
    let network = with_portals(world, house);
    start(world, &network)?;
    seen_as(world.site(NYC).home(seconds(3.0)), SERVER, PARIS.address)?;
    no_leak(world, NYC, HOME_OF, |world| {
        for portals in [format!("{house}\n{tv}"), house.to_owned(), format!("{tv}\n{house}")] {
            let network = with_portals(world, &portals);
            reloaded(world, &[NYC], &network)?;
            let seen = world.site(NYC).home(seconds(3.0)).who_am_i(SERVER).ok();
            let is_elsewhere = seen.is_none_or(|seen| seen == PARIS.address || seen == OSLO.address);
            same(&format!("the device is seen at an exit, or not at all: {seen:?}"), is_elsewhere, true)?;
        }
        Ok(())
    })
}

/// Network in which the port of the server that tells the client's address enters, and the echo port does
/// not.
const WEB: &str = "ports = [\"tcp/80\"]";

fn ports_of_interface(world: &mut World) -> Result<()> {
    start(
        world,
        &world.network(|plot| {
            if plot == NYC {
                portal_of(NYC, r#""paris""#, &format!("interface = \"portal0\"\ndhcp = false\n{WEB}"))
            } else {
                "exits = [\"nyc\"]".to_owned()
            }
        }),
    )?;
    let guest = world.site(NYC).guest.clone();
    only_web_enters(world, &guest)
}

fn ports_of_device(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc("from = [\"192.168.1.50\"]\nports = [\"tcp/80\"]")))?;
    let home = HOME_OF(world.site(NYC)).clone();
    only_web_enters(world, &home)
}

fn ports_of_router(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc("self = true\nports = [\"tcp/80\"]")))?;
    let router = world.site(NYC).router.clone();
    only_web_enters(world, &router)?;
    seen_as(world.site(NYC).home(seconds(3.0)), SERVER, NYC.address)?;
    seen_as(world.outsider(seconds(3.0)), NYC.address, SERVER)
}

fn only_web_enters(world: &mut World, who: &Namespace) -> Result<()> {
    let client = ProbeClient::new(who, seconds(3.0));
    seen_as(client, NYC.own_server(), PARIS.address)?;
    let leaving_to = |world: &mut World, events: &dyn Fn(&mut World) -> Result<()>| {
        let capture = Capture::start(&world.site(NYC).router, "uplink")?;
        events(world)?;
        let left = seen_going_to(capture, IpAddr::from(NYC.own_server()))?;
        let (web, others): (Vec<Packet>, _) =
            left.into_iter().partition(|packet| packet.ports.is_some_and(|(_, to)| to == 80));
        same("packets for the web that left via the uplink", web, Vec::new()).map(|()| others)
    };
    let left = leaving_to(world, &|_| client.connect(NYC.own_server()).map(drop))?;
    let is_to_echo = |packet: &Packet| packet.ports.is_some_and(|(_, to)| to == 7);
    same(&format!("the echo's port is in {left:?}"), left.iter().any(is_to_echo), true)?;
    leaving_to(world, &|world| {
        world.set_cut(NYC, PARIS, true)?;
        unreachable(client, NYC.own_server())?;
        client.connect(NYC.own_server())?;
        for script in flushes() {
            shell(&world.site(NYC).router, script)?;
            client.knock(NYC.own_server(), 2)?;
            settled(world.site(NYC))?;
        }
        world.set_cut(NYC, PARIS, false)
    })?;
    seen_as(client, NYC.own_server(), PARIS.address)
}
