//! Faults and changes after which neither IPv4 nor IPv6 of a portal leaves via the site's own uplink.

use std::net::{IpAddr, Ipv6Addr, UdpSocket};

use wg_portals::base::error::{Context as _, Result};
use wg_portals::base::net::Family;
use wg_portals::demo::{Capture, NYC, Namespace, OSLO, PARIS, ProbeClient, World};
use wg_portals::state::PROTOCOL;

use super::{BOTH, GUEST, HOME_OF, leaves_at, without_subnet6};
use crate::Scenario;
use crate::filters::everywhere_legacy;
use crate::ways::{each_other, only_nyc};
use crate::words::{
    Who, no_leak_in, portal, portal_of, reloaded, same, seconds, settled, shell, start, succeeds, unreachable,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "no IPv6 leak while others flush rules, routes and the firewall, and the agent is killed",
        plots: &[NYC, PARIS],
        run: flushed,
    },
    Scenario {
        name: "no IPv6 leak while the exit changes, and IPv6 is switched off and on",
        plots: &[NYC, PARIS, OSLO],
        run: switched,
    },
];

/// Scenarios that are the same with every kernel.
pub(crate) const AT_LENGTH: &[Scenario] = &[
    Scenario { name: "no IPv6 leak of a device at home", plots: &[NYC, PARIS], run: device },
    Scenario { name: "no IPv6 leak of the router itself", plots: &[NYC, PARIS], run: own },
    Scenario { name: "no packet with an address of a tunnel leaks", plots: &[NYC, PARIS], run: ends },
    Scenario { name: "no DNS of a portal leaks in either address family", plots: &[NYC, PARIS], run: names },
];

/// Commands by which other programs take away one layer each; the last one takes the whole firewall.
fn flushes() -> Vec<&'static str> {
    let mut flushes = vec![
        "ip -6 rule flush; ip -6 rule add priority 32766 lookup main",
        "ip rule flush; ip rule add priority 32766 lookup main; \
         ip -6 rule flush; ip -6 rule add priority 32766 lookup main",
        "ip -6 route flush table 7702",
        "ip route flush table 7702; ip -6 route flush table 7702",
        "ip -6 address flush dev to-paris scope global",
        "ip link delete to-paris",
    ];
    flushes.extend(if everywhere_legacy() {
        [
            "ip6tables-legacy -F PORTALS_FORWARD",
            "ip6tables-legacy -t nat -D POSTROUTING -j PORTALS_POSTROUTING; \
             ip6tables-legacy -t nat -F PORTALS_POSTROUTING",
            "for table in filter mangle nat; do ip6tables-legacy -t $table -F; done",
        ]
    } else {
        [
            "nft flush chain inet portals forward",
            "nft delete chain inet portals postrouting",
            "nft delete table inet portals",
        ]
    });
    flushes
}

fn flushed(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    start(world, &world.network(each_other))?;
    survives(world, GUEST, &flushes())
}

fn device(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    let entrance = "from = [\"192.168.1.50\", \"2001:db8:1:1::50\"]";
    start(world, &world.network(only_nyc(entrance)))?;
    // The device has the address of this router in the tunnel. Without any firewall, the router itself would
    // answer a late packet to a connection that it has forgotten, as hosts do, and not through the tunnel.
    let flushes = flushes();
    survives(world, HOME_OF, &flushes[..flushes.len() - 1])
}

fn own(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    start(world, &world.network(only_nyc("self = true")))?;
    survives(world, |site| &site.router, &flushes())
}

/// Checks packets from the router's address in the tunnel to the router at the other end, without a route.
fn ends(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    start(world, &world.network(each_other))?;
    let router = world.site(NYC).router.clone();
    world.site(NYC).kill_agent();
    // The built-in WireGuard ends with the agent, and takes the interface and its addresses along.
    let [ours, ours6] = [Family::V4, Family::V6].map(|family| NYC.addresses(family).tunnel);
    let without_route = format!(
        "for family in -4 -6; do ip $family route flush table all proto {PROTOCOL}; done; \
         ip address add {ours} dev lo; ip -6 address add {ours6} dev lo nodad"
    );
    shell(&router, &without_route)?;
    let capture = Capture::start(&router, "uplink")?;
    for family in BOTH {
        let [ours, theirs] = [NYC, PARIS].map(|plot| plot.addresses(*family));
        for from in [ours.tunnel, ours.uplink] {
            // The firewall refuses one of the two.
            let send = || UdpSocket::bind((from, 0))?.send_to(b"portals", (theirs.tunnel, 9)).or(Ok(0));
            router.run(|| std::io::Result::map(send(), drop).context(|| format!("no packet from {from}")))?;
        }
    }
    let mut left = capture.stop()?;
    left.retain(|packet| packet.ports.is_some_and(|(_, to)| to == 9));
    let sources = left.iter().map(|packet| packet.source).collect::<Vec<_>>();
    same("sources that left", sources, BOTH.iter().map(|family| NYC.addresses(*family).uplink).collect())
}

/// Checks that nothing leaves via nyc's own uplink after any of these commands, and while there is no agent.
fn survives(world: &mut World, who: Who, flushes: &[&str]) -> Result<()> {
    leaves_at(world, who, NYC, PARIS)?;
    no_leak_in(BOTH, world, NYC, who, |world| {
        for script in flushes {
            shell(&world.site(NYC).router, script)?;
            settled(world.site(NYC))?;
            leaves_at(world, who, NYC, PARIS).context(|| format!("after {script}"))?;
        }
        world.site(NYC).kill_agent();
        knock(world, who)?;
        // One layer is enough, whichever it is.
        shell(&world.site(NYC).router, "ip -6 rule flush; ip -6 rule add priority 32766 lookup main")?;
        knock(world, who)?;
        world.site(NYC).start_agent()?;
        settled(world.site(NYC))?;
        leaves_at(world, who, NYC, PARIS)
    })
}

fn knock(world: &mut World, who: Who) -> Result<()> {
    for family in BOTH {
        let client = ProbeClient::new(who(world.site(NYC)), seconds(1.0));
        client.knock(NYC.addresses(*family).own_server, 20)?;
    }
    Ok(())
}

fn switched(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    let through = |world: &World, exit: &'static str| {
        world.network(|plot| if plot == NYC { portal(NYC, exit) } else { "exits = [\"nyc\"]\n".to_owned() })
    };
    let (paris, oslo) = (through(world, r#""paris""#), through(world, r#""oslo""#));
    start(world, &paris)?;
    leaves_at(world, GUEST, NYC, PARIS)?;
    no_leak_in(BOTH, world, NYC, GUEST, |world| {
        reloaded(world, &[NYC, PARIS, OSLO], &oslo)?;
        leaves_at(world, GUEST, NYC, OSLO)?;
        let without = without_subnet6(&oslo);
        reloaded(world, &[NYC, PARIS, OSLO], &without)?;
        // The guest still has its address, and finds its router.
        let again = format!("ip -6 address add {}/64 dev portal0 nodad", NYC.portal6());
        shell(&world.site(NYC).router, &again)?;
        unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server6())?;
        knock(world, GUEST)?;
        shell(&world.site(NYC).router, &again.replace(" add ", " delete ").replace(" nodad", ""))?;
        reloaded(world, &[NYC, PARIS, OSLO], &paris)?;
        leaves_at(world, GUEST, NYC, PARIS)?;
        // An apply next to the agent finds nothing to do, and opens nothing.
        succeeds(world.site(NYC), &["apply"]).map(drop)
    })
}

/// Checks queries to the router and to a server of the internet, in both families, with a resolver of each.
fn names(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    let entrance =
        format!("interface = \"portal0\"\ndns = [\"{}\", \"{}\"]", NYC.own_server(), NYC.own_server6());
    let network = world.network(|plot| {
        if plot == NYC { portal_of(NYC, r#""paris""#, &entrance) } else { "exits = [\"nyc\"]\n".to_owned() }
    });
    start(world, &network)?;
    leaves_at(world, GUEST, NYC, PARIS)?;
    let capture = Capture::start(&world.site(NYC).router, "uplink")?;
    let router = world.site(NYC).router.clone();
    let guest = world.site(NYC).guest.clone();
    ask_everywhere(&guest)?;
    world.set_cut(NYC, PARIS, true)?;
    ask_everywhere(&guest)?;
    world.site(NYC).kill_agent();
    ask_everywhere(&guest)?;
    for script in flushes() {
        // The firewall may have gone with an earlier flush.
        let _ = shell(&router, script);
        if script.contains("rule flush") {
            ask_everywhere(&guest)?;
        }
    }
    let mut left = capture.stop()?;
    left.retain(|packet| packet.ports.is_some_and(|(from, to)| from == 53 || to == 53));
    same("DNS that left via the uplink", left, Vec::new())
}

/// Asks the router and the server for a name, at their addresses of both families.
fn ask_everywhere(guest: &Namespace) -> Result<()> {
    for family in BOTH {
        let addresses = NYC.addresses(*family);
        let anywhere =
            if *family == Family::V4 { IpAddr::from([0; 4]) } else { Ipv6Addr::UNSPECIFIED.into() };
        for there in [addresses.portal, addresses.own_server, addresses.uplink] {
            // Only the attempt matters; the router may refuse the query.
            let ask = || UdpSocket::bind((anywhere, 0))?.send_to(&query(), (there, 53)).or(Ok(0));
            guest.run(|| std::io::Result::map(ask(), drop).context(|| "cannot ask for a name".to_owned()))?;
        }
    }
    Ok(())
}

/// Returns a query for the IPv6 address of `portals.example` (RFC 1035 § 4.1).
fn query() -> Vec<u8> {
    let header = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let question = b"\x07portals\x07example\x00\x00\x1c\x00\x01";
    [&header[..], &question[..]].concat()
}
