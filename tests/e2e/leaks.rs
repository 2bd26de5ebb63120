//! Faults and changes after which nothing that entered a portal leaves via the site's own uplink.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use wg_portals::base::error::{Context as _, Result};
use wg_portals::base::net::{Family, InterfaceAddress};
use wg_portals::demo::{Capture, HOME, NYC, Namespace, OSLO, PARIS, ProbeClient, World};
use wg_portals::kernel::netlink::{Socket, protocols};
use wg_portals::kernel::rule;
use wg_portals::state::Rule;

use crate::Scenario;
use crate::ways::{each_other, only_nyc};
use crate::words::{
    Who, eventually, filter_reverse_paths, no_leak, portal, reloaded, same, seconds, seen_as, seen_going_to,
    settled, shell, start, succeeds, unreachable,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "no leak while the link is cut", plots: &[NYC, PARIS], run: cut },
    Scenario {
        name: "no leak while the agent is killed and started again",
        plots: &[NYC, PARIS],
        run: killed,
    },
    Scenario { name: "no leak while the exit changes", plots: &[NYC, PARIS, OSLO], run: other_exit },
    Scenario {
        name: "no leak while the peer is gone, has another key, or the network comes after the agent",
        plots: &[NYC, PARIS],
        run: hard_times,
    },
    Scenario { name: "no leak of a device at home", plots: &[NYC, PARIS], run: device },
    Scenario { name: "no leak of the router itself", plots: &[NYC, PARIS], run: own },
    Scenario {
        name: "no leak while others flush rules, and the rules come back",
        plots: &[NYC, PARIS],
        run: flushed,
    },
    Scenario { name: "IPv6 that enters an IPv4 portal goes nowhere", plots: &[NYC, PARIS], run: ipv6 },
    Scenario {
        name: "no ICMP error tells a server that its client has gone",
        plots: &[NYC, PARIS],
        run: gone,
    },
    Scenario {
        name: "no answer leaves when a portal's NIC is unplugged",
        plots: &[NYC, PARIS],
        run: unplugged,
    },
    Scenario {
        name: "no answer to a device leaves while its LAN is down",
        plots: &[NYC, PARIS],
        run: lan_down,
    },
    Scenario { name: "packets for a LAN that is down do not leave", plots: &[NYC, PARIS], run: other_lan },
];

fn cut(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    no_leak(
        world,
        NYC,
        |site| &site.guest,
        |world| {
            world.set_cut(NYC, PARIS, true)?;
            unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;
            world.set_cut(NYC, PARIS, false)?;
            seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)
        },
    )
}

fn killed(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let guest: Who = |site| &site.guest;
    no_leak(world, NYC, guest, |world| {
        kill_and_start(world, guest)?;
        seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
        world.site(NYC).stop_agent()?;
        knock(world, guest)?;
        world.site(NYC).start_agent()?;
        seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)
    })
}

fn other_exit(world: &mut World) -> Result<()> {
    let exits = |nyc: &'static str| {
        move |plot| match plot {
            NYC => portal(NYC, nyc),
            _ => "exits = [\"nyc\"]\n".to_owned(),
        }
    };
    let (paris, oslo) = (world.network(exits(r#""paris""#)), world.network(exits(r#""oslo""#)));
    start(world, &paris)?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    no_leak(
        world,
        NYC,
        |site| &site.guest,
        |world| {
            reloaded(world, &[OSLO], &oslo)?;
            reloaded(world, &[NYC, PARIS], &oslo)?;
            seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), OSLO.address)?;
            reloaded(world, &[PARIS], &paris)?;
            reloaded(world, &[NYC, OSLO], &paris)?;
            seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)
        },
    )
}

fn hard_times(world: &mut World) -> Result<()> {
    let network = world.network(each_other);
    start(world, &network)?;
    let guest: Who = |site| &site.guest;
    let reached =
        |world: &mut World| seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address);
    reached(world)?;
    no_leak(world, NYC, guest, |world| {
        world.site(PARIS).stop_agent()?;
        knock(world, guest)?;
        world.site(PARIS).start_agent()?;
        reached(world)?;

        let right = world.site(PARIS).public_key.to_string();
        let wrong =
            wg_portals::base::keys::public_key(&wg_portals::system::key_files::generate()).to_string();
        reloaded(world, &[NYC], &network.replace(&right, &wrong))?;
        unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;
        reloaded(world, &[NYC], &network)?;
        reached(world)?;

        // The network comes late, as after a reboot with a slow internet provider.
        let site = world.site(NYC);
        shell(&site.router, "ip link set uplink down")?;
        site.stop_agent()?;
        succeeds(site, &["down"])?;
        site.start_agent()?;
        settled(site)?;
        knock(world, guest)?;
        let gateway = NYC.gateway();
        shell(
            &world.site(NYC).router,
            &format!("ip link set uplink up; ip route add default via {gateway}"),
        )?;
        reached(world)
    })
}

fn device(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc(r#"from = ["192.168.1.50"]"#)))?;
    seen_as(world.site(NYC).home(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let home: Who = |site| site.home.as_ref().expect("nyc has a home");
    no_leak(world, NYC, home, |world| kill_and_start(world, home))?;
    seen_as(world.site(NYC).home(seconds(3.0)), NYC.own_server(), PARIS.address)
}

fn own(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc("self = true")))?;
    seen_as(world.site(NYC).router(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let router: Who = |site| &site.router;
    no_leak(world, NYC, router, |world| kill_and_start(world, router))?;
    seen_as(world.site(NYC).router(seconds(3.0)), NYC.own_server(), PARIS.address)
}

fn flushed(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    no_leak(
        world,
        NYC,
        |site| &site.guest,
        |world| {
            let router = &world.site(NYC).router;
            let ours = router.run(delete_rules)?;
            same("rules were there", ours > 0, true)?;
            eventually("the rules come back", || {
                same("rules", world.site(NYC).router.run(|| Ok(rules()?.len()))?, ours)
            })
        },
    )?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)
}

fn kill_and_start(world: &mut World, who: Who) -> Result<()> {
    world.site(NYC).kill_agent();
    knock(world, who)?;
    world.site(NYC).start_agent()?;
    settled(world.site(NYC))
}

/// Sends a few dozen packets, even on a slow machine.
fn knock(world: &mut World, who: Who) -> Result<()> {
    ProbeClient::new(who(world.site(NYC)), seconds(1.0)).knock(NYC.own_server(), 20).map(drop)
}

/// Deletes portals' rules as `ip rule flush` does, and returns their number.
fn delete_rules() -> Result<usize> {
    let ours = rules()?;
    let requests = ours.iter().map(rule::remove).collect();
    let results = Socket::open(protocols::NETLINK_ROUTE)?.batch(requests);
    results.into_iter().collect::<Result<(), _>>().context(|| "cannot delete the rules".to_owned())?;
    Ok(ours.len())
}

fn rules() -> Result<Vec<Rule>> {
    rule::list(&mut Socket::open(protocols::NETLINK_ROUTE)?)
}

/// Checks that IPv6, which this host forwards and the server answers, is closed once the portal exists.
fn ipv6(world: &mut World) -> Result<()> {
    let guest = world.site(NYC).guest.clone();
    let server = give_ipv6(world, "portal0", &guest)?;
    let name = "the guest's IPv6 without portals";
    let guest = ProbeClient::new(&guest, seconds(3.0));
    same(name, guest.who_am_i(server)?, v6("2001:db8:2::70"))?;
    start(world, &world.network(each_other))?;
    let capture = Capture::start(&world.site(NYC).router, "uplink")?;
    unreachable(guest, server)?;
    guest.knock(server, 10)?;
    same("packets that left via the uplink", seen_going_to(capture, server)?, Vec::new())
}

/// Gives a computer of nyc an IPv6 path to the server, by routes only, and returns the server's address.
/// `interface` is the router's side of the path.
pub(crate) fn give_ipv6(world: &mut World, interface: &str, who: &Namespace) -> Result<IpAddr> {
    let address = |text| InterfaceAddress { address: v6(text), length: 64 };
    let everywhere = Family::V6.everything();
    world.server.add_address("eth0", address("2001:db8:f::10"))?;
    world.server.add_route(everywhere, v6("2001:db8:f::1"))?;
    world.internet.set_sysctl("net/ipv6/conf/all/forwarding", "1")?;
    world.internet.add_address("server", address("2001:db8:f::1"))?;
    world.internet.add_address("nyc", address("2001:db8:1::1"))?;
    world.internet.add_route(address("2001:db8:2::").network(), v6("2001:db8:1::2"))?;
    let site = world.site(NYC);
    site.router.set_sysctl("net/ipv6/conf/all/forwarding", "1")?;
    site.router.add_address("uplink", address("2001:db8:1::2"))?;
    site.router.add_route(everywhere, v6("2001:db8:1::1"))?;
    site.router.set_up(interface, true)?;
    site.router.add_address(interface, address("2001:db8:2::1"))?;
    who.add_address("eth0", address("2001:db8:2::70"))?;
    who.add_route(everywhere, v6("2001:db8:2::1"))?;
    Ok(v6("2001:db8:f::10"))
}

pub(crate) fn v6(text: &str) -> IpAddr {
    text.parse::<Ipv6Addr>().expect("an address of this file").into()
}

/// Checks that a server's late answer to a client that has gone causes an ICMP error of the router, but not
/// via the uplink.
const GUEST: Who = |site| &site.guest;
const AT_HOME: Who = |site| site.home.as_ref().expect("nyc has a home");

/// Ways to name the computer at home, which has this hardware address then.
const OF_HOME: [&str; 2] = [r#"from = ["192.168.1.50"]"#, r#"mac = ["02:00:00:00:00:01"]"#];
const SET_ADDRESS: &str = "ip link set eth0 address 02:00:00:00:00:01";

fn gone(world: &mut World) -> Result<()> {
    let router: Who = |site| &site.router;
    shell(AT_HOME(world.site(NYC)), SET_ADDRESS)?;
    start(world, &world.network(each_other))?;
    gone_with(world, GUEST, "ip link set eth0 arp off")?;
    for (entrance, who, leaves) in [
        (OF_HOME[0], AT_HOME, "ip link set eth0 arp off"),
        (OF_HOME[1], AT_HOME, "ip link set eth0 arp off"),
        ("self = true", router, "true"),
        ("self = true\nports = [\"udp/5300\"]", router, "true"),
    ] {
        let network = world.network(only_nyc(entrance));
        reloaded(world, &[NYC, PARIS], &network)?;
        shell(AT_HOME(world.site(NYC)), "ip link set eth0 arp on")?;
        gone_with(world, who, leaves).context(|| entrance.to_owned())?;
    }
    Ok(())
}

fn unplugged(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    answered_late(world, GUEST, [NYC.guest(); 2], "ip link delete portal0")
}

fn lan_down(world: &mut World) -> Result<()> {
    shell(AT_HOME(world.site(NYC)), SET_ADDRESS)?;
    for entrance in OF_HOME {
        start(world, &world.network(only_nyc(entrance)))?;
        answered_late(world, AT_HOME, [NYC.tunnel(), HOME], "ip link set lan0 down")
            .context(|| entrance.to_owned())?;
        shell(&world.site(NYC).router, "ip link set lan0 up")?;
    }
    Ok(())
}

/// Checks an answer to `who` that comes out of the tunnel when only the route to the internet is left for it.
/// Strict `rp_filter`, which not every host has, would drop it. `addresses` are those of `who` in the tunnel
/// and at home.
fn answered_late(world: &mut World, who: Who, addresses: [Ipv4Addr; 2], leaves: &str) -> Result<()> {
    let (server, asking) = asked_by(world, who)?;
    let router = &world.site(NYC).router;
    filter_reverse_paths(router, false)?;
    shell(router, leaves)?;
    let tunnel = Capture::start(&world.site(PARIS).router, "to-nyc")?;
    let uplink = Capture::start(&world.site(NYC).router, "uplink")?;
    server.send_to(b"answer", asking).context(|| "cannot answer by UDP".to_owned())?;
    // A later packet on the same path cannot overtake the answer.
    let way = world.site(NYC).router(seconds(3.0)).traceroute(PARIS.tunnel())?;
    same("the way to Paris", way, vec![Some(PARIS.tunnel())])?;
    let [in_tunnel, at_home] = addresses.map(IpAddr::from);
    let mut answers = seen_going_to(tunnel, in_tunnel)?;
    answers.retain(|packet| packet.source == IpAddr::from(NYC.own_server()));
    same("answers through the tunnel", answers.len(), 1)?;
    same("packets that left via the uplink", seen_going_to(uplink, at_home)?, Vec::new())
}

/// Checks a device that may use another LAN whose route of the host is gone, while no agent changes portals'
/// rules.
fn other_lan(world: &mut World) -> Result<()> {
    let lan = "ip link add lan1 type veth peer lan1-far; ip address add 192.168.77.1/24 dev lan1; \
               ip link set lan1 up";
    shell(&world.site(NYC).router, lan)?;
    start(world, &world.network(only_nyc(r#"from = ["192.168.1.50"]"#)))?;
    world.site(NYC).kill_agent();
    shell(&world.site(NYC).router, "ip link set lan1 down")?;
    let there = Ipv4Addr::new(192, 168, 77, 5);
    let capture = Capture::start(&world.site(NYC).router, "uplink")?;
    world.site(NYC).home(seconds(1.0)).knock(there, 10)?;
    same("packets that left via the uplink", seen_going_to(capture, there.into())?, Vec::new())
}

/// Checks the answer to `who` after `leaves` has disconnected it, for a router that does not remember its
/// neighbours.
fn gone_with(world: &mut World, who: Who, leaves: &str) -> Result<()> {
    let (server, asking) = asked_by(world, who)?;
    shell(who(world.site(NYC)), leaves)?;
    let router = &world.site(NYC).router;
    // The entry of the next router stays: that router would not answer an ARP request for it from an address
    // of this site.
    shell(router, "ip neigh flush dev portal0; ip neigh flush dev lan0")?;
    let before = unreachables(router)?;
    let capture = Capture::start(router, "uplink")?;
    server.send_to(b"answer", asking).context(|| "cannot answer by UDP".to_owned())?;
    eventually("the router reports that the host is unreachable", || {
        same("it does", unreachables(router)? != before, true)
    })?;
    same("packets that left via the uplink", seen_going_to(capture, NYC.own_server().into())?, Vec::new())
}

/// Server of nyc that `who` has asked through Paris, and the address that it must answer.
fn asked_by(world: &mut World, who: Who) -> Result<(UdpSocket, SocketAddr)> {
    let doing = || "cannot ask by UDP".to_owned();
    let there = NYC.own_server();
    let server = world.server.run(|| UdpSocket::bind((there, 5300)).context(doing))?;
    server.set_read_timeout(Some(seconds(1.0))).context(doing)?;
    let ask = || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.send_to(b"question", (there, 5300));
    let mut asking = None;
    eventually("the server is asked through the exit", || {
        who(world.site(NYC)).run(|| ask().context(doing))?;
        let (_, from) = server.recv_from(&mut [0; 16]).context(doing)?;
        asking = Some(from);
        same("by", from.ip(), PARIS.address.into())
    })?;
    Ok((server, asking.expect("it was asked")))
}

/// Number of ICMP errors of the kind "unreachable" that a host has sent.
fn unreachables(host: &Namespace) -> Result<String> {
    let column = "for (at = NF; $at != \"OutDestUnreachs\"; at--);";
    shell(host, &format!("awk '/^Icmp:/ {{ if (n++) print $at; else {column} }}' /proc/net/snmp"))
}
