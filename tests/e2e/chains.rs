//! Chains of exits: traffic that goes through Paris, and leaves in Oslo.

use std::net::{IpAddr, Ipv4Addr};

use wg_portals::base::error::Result;
use wg_portals::base::sorted::SortedSet;
use wg_portals::demo::{Capture, HOME, NYC, OSLO, OTHER_HOME, PARIS, Plot, SERVER, World};

use crate::Scenario;
use crate::phones::{Phone, add_phones};
use crate::words::{
    Who, eventually, no_leak, reloaded, same, seconds, seen_as, seen_going_to, settled, shell, start,
    succeeds, unreachable, within,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a chain of three sites carries guests, devices, the router and a phone",
        plots: &[NYC, PARIS, OSLO],
        run: carries,
    },
    Scenario {
        name: "traffic with marks takes a chain, and a LAN takes each chain of its list",
        plots: &[NYC, PARIS, OSLO],
        run: marked,
    },
    Scenario {
        name: "a chain of four sites carries traffic, and the third one lets none of it out",
        plots: &[NYC, PARIS, OSLO, ROME],
        run: four,
    },
    Scenario {
        name: "no leak while the hops of a chain are cut in turn",
        plots: &[NYC, PARIS, OSLO],
        run: cut_in_turn,
    },
];

/// Scenarios that wait for timers.
pub(crate) const THAT_WAIT: &[Scenario] = &[
    Scenario {
        name: "a portal leaves a chain whose end is down, and returns to it",
        plots: &[NYC, PARIS, OSLO],
        run: there_and_back,
    },
    Scenario {
        name: "a chain whose end has lost the internet is left",
        plots: &[NYC, PARIS, OSLO],
        run: beyond,
    },
];

/// A fourth site, with an address of a network for tests (RFC 2544).
const ROME: Plot = Plot { name: "rome", id: 4, address: Ipv4Addr::new(198, 18, 4, 2), home: false };

const GUEST: Who = |site| &site.guest;

const HOME_OF: Who = |site| site.home.as_ref().expect("nyc has a home");

/// Network in which nyc leads to Paris, Paris to Oslo and nyc, and Oslo to nyc. All three are linked, so Oslo
/// must tell the traffic of the chain from the traffic on its own link to nyc.
fn network(world: &World, nyc: &str) -> String {
    world.network(|plot| match plot {
        NYC => format!("exits = [\"paris\", \"oslo\"]\n\n{nyc}"),
        PARIS => "exits = [\"oslo\", \"nyc\"]\n".to_owned(),
        _ => "exits = [\"nyc\", \"paris\"]\n".to_owned(),
    })
}

fn guests(exits: &str) -> String {
    format!("[site.nyc.portal.way]\nexit = [{exits}]\ninterface = \"portal0\"\ndhcp = false\n")
}

fn carries(world: &mut World) -> Result<()> {
    let portals = guests(r#""oslo via paris""#)
        + "[site.nyc.portal.home]\nexit = \"oslo via paris\"\nfrom = [\"192.168.1.50\"]\n"
        + "[site.nyc.portal.own]\nexit = \"oslo via paris\"\nself = true\n";
    let network = network(world, &portals);
    let [mike] = add_phones(world, &network, [&["mike", "--exit", "oslo via paris"]])?;
    let phone = Phone::switch_on(world, 1, &mike)?;
    let tunnel = Capture::start(&world.site(PARIS).router, "to-oslo")?;
    let nyc = world.site(NYC);
    for client in [nyc.guest(seconds(3.0)), nyc.home(seconds(3.0)).from(HOME), nyc.router(seconds(3.0))] {
        seen_as(client, SERVER, OSLO.address)?;
        same("bytes fetched", client.waiting(seconds(30.0)).download(SERVER)?, 200_000)?;
        same("bytes sent", client.waiting(seconds(30.0)).upload(SERVER)?, 200_000)?;
    }
    seen_as(nyc.home(seconds(3.0)).from(OTHER_HOME), SERVER, NYC.address)?;
    let way = nyc.guest(seconds(1.0)).traceroute(SERVER)?;
    let wanted = [NYC.portal(), PARIS.tunnel(), OSLO.tunnel(), OSLO.gateway(), SERVER].map(Some);
    same("the way of a guest", way, wanted.to_vec())?;
    seen_as(phone.client(), SERVER, OSLO.address)?;
    let sources: SortedSet<IpAddr> =
        seen_going_to(tunnel, SERVER.into())?.into_iter().map(|packet| packet.source).collect();
    let wanted = [Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 1, 2), NYC.guest()].map(IpAddr::from);
    same("sources on the way to Oslo", sources, wanted.into())?;
    let status = succeeds(world.site(NYC), &["status", "--json"])?;
    let shown = r#""exit":"oslo via paris","state":"open","hops":["paris","oslo"]"#;
    same(&format!("portals with {shown} in {status}"), status.matches(shown).count(), 3)?;
    let relays = succeeds(world.site(PARIS), &["status"])?;
    same(&format!("the relay in {relays}"), relays.contains("  nyc → oslo\n"), true)?;
    [NYC, PARIS, OSLO].into_iter().try_for_each(|plot| settled(world.site(plot)))
}

/// Checks the sources of traffic that cannot keep its own.
fn marked(world: &mut World) -> Result<()> {
    let portals = guests(r#""oslo via paris", "paris via oslo", "paris", "oslo""#)
        + "[site.nyc.portal.home]\nexit = \"oslo via paris\"\nmac = [\"02:00:00:00:00:01\"]\n"
        + "[site.nyc.portal.own]\nexit = \"paris via oslo\"\nself = true\nports = [\"tcp/80\"]\n";
    shell(HOME_OF(world.site(NYC)), "ip link set eth0 address 02:00:00:00:00:01")?;
    start(world, &network(world, &portals))?;
    let nyc = world.site(NYC);
    seen_as(nyc.home(seconds(3.0)), SERVER, OSLO.address)?;
    seen_as(nyc.router(seconds(3.0)), SERVER, PARIS.address)?;
    for (exit, second, last) in [("paris via oslo", OSLO, PARIS), ("oslo via paris", PARIS, OSLO)] {
        succeeds(nyc, &["exit", "way", exit])?;
        seen_as(nyc.guest(seconds(3.0)), SERVER, last.address)?;
        let way = nyc.guest(seconds(1.0)).traceroute(SERVER)?;
        let wanted = [NYC.portal(), second.tunnel(), last.tunnel(), last.gateway(), SERVER].map(Some);
        same(exit, way, wanted.to_vec())?;
    }
    // Each of the two is a hop of the chain that the LAN's addresses belong to.
    for exit in [PARIS, OSLO] {
        succeeds(nyc, &["exit", "way", exit.name])?;
        seen_as(nyc.guest(seconds(3.0)), SERVER, exit.address)?;
        let way = nyc.guest(seconds(1.0)).traceroute(SERVER)?;
        let wanted = [NYC.portal(), exit.tunnel(), exit.gateway(), SERVER].map(Some);
        same(exit.name, way, wanted.to_vec())?;
    }
    Ok(())
}

/// Checks a site on the way that traffic reaches from another site on the way.
fn four(world: &mut World) -> Result<()> {
    let portals = guests(r#""rome via paris via oslo""#)
        + "[site.nyc.portal.home]\nexit = \"rome via paris via oslo\"\nfrom = [\"192.168.1.50\"]\n";
    let network = world.network(|plot| match plot {
        NYC => format!("exits = [\"paris\"]\n\n{portals}"),
        PARIS => "exits = [\"oslo\"]\n".to_owned(),
        OSLO => "exits = [\"rome\"]\n".to_owned(),
        _ => String::new(),
    });
    start(world, &network)?;
    let nyc = world.site(NYC);
    for client in [nyc.guest(seconds(3.0)), nyc.home(seconds(3.0)).from(HOME)] {
        seen_as(client, NYC.own_server(), ROME.address)?;
        same("bytes fetched", client.waiting(seconds(30.0)).download(SERVER)?, 200_000)?;
    }
    let way = nyc.guest(seconds(1.0)).traceroute(SERVER)?;
    let wanted = [NYC.portal(), PARIS.tunnel(), OSLO.tunnel(), ROME.tunnel(), ROME.gateway(), SERVER];
    same("the way of a guest", way, wanted.map(Some).to_vec())?;
    let at_oslo = Capture::start(&world.site(OSLO).router, "uplink")?;
    no_leak(world, NYC, GUEST, |world| {
        let flush = "ip rule flush; ip rule add priority 32766 lookup main; \
                     ip rule add priority 32767 lookup default; ip link set to-rome down";
        for _ in 0..3 {
            shell(&world.site(OSLO).router, flush)?;
            let nyc = world.site(NYC);
            nyc.guest(seconds(1.0)).knock(NYC.own_server(), 5)?;
            nyc.home(seconds(1.0)).from(HOME).knock(NYC.own_server(), 5)?;
            settled(world.site(OSLO))?;
        }
        seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), ROME.address)
    })?;
    let packets = seen_going_to(at_oslo, NYC.own_server().into())?;
    same("packets that left via the uplink of Oslo", packets, Vec::new())
}

/// Cuts the links of the chain, and takes the second link and the policy rules of Paris away. Nothing of it
/// may leave via the uplink of nyc or of Paris.
fn cut_in_turn(world: &mut World) -> Result<()> {
    let network = network(world, &guests(r#""oslo via paris""#));
    start(world, &network)?;
    let reached =
        |world: &mut World| seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), OSLO.address);
    reached(world)?;
    let at_paris = Capture::start(&world.site(PARIS).router, "uplink")?;
    no_leak(world, NYC, GUEST, |world| {
        for (one, other) in [(NYC, PARIS), (PARIS, OSLO)] {
            world.set_cut(one, other, true)?;
            unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;
            world.set_cut(one, other, false)?;
            within(seconds(40.0), "the chain carries again", || reached(world))?;
        }
        refused_at_paris(world)?;
        reached(world)?;
        shell(
            &world.site(PARIS).router,
            "ip rule flush; ip rule add priority 32766 lookup main; \
             ip rule add priority 32767 lookup default",
        )?;
        reached(world)?;
        world.site(PARIS).kill_agent();
        world.site(NYC).guest(seconds(1.0)).knock(NYC.own_server(), 20)?;
        world.site(PARIS).start_agent()?;
        within(seconds(40.0), "the chain carries again", || reached(world))
    })?;
    let packets = seen_going_to(at_paris, NYC.own_server().into())?;
    same("packets that left via the uplink of Paris", packets, Vec::new())
}

/// Puts a foreign interface in the place of the link from Paris to Oslo, and checks that Paris tells the
/// guest.
fn refused_at_paris(world: &mut World) -> Result<()> {
    // The agent may be faster, and put the link back.
    let usurp = "until ip link add to-oslo type veth peer name usurper0 2>/dev/null; do\n\
                 ip link delete to-oslo || true; done";
    shell(&world.site(PARIS).router, usurp)?;
    // The kernel sends few such messages to the same destination.
    eventually("Paris refuses", || {
        let back = Capture::start(&world.site(PARIS).router, "to-nyc")?;
        unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;
        let refusals = seen_going_to(back, NYC.guest().into())?;
        let icmp = |plot: Plot| (IpAddr::from(plot.tunnel()), 1);
        let refused = refusals.iter().any(|packet| (packet.source, packet.protocol) == icmp(PARIS));
        same(&format!("Paris refuses, in {refusals:?}"), refused, true)
    })?;
    shell(&world.site(PARIS).router, "ip link delete to-oslo")?;
    settled(world.site(PARIS))
}

/// Cuts the far link of a chain, which nyc notices only through the chain.
fn there_and_back(world: &mut World) -> Result<()> {
    let portals = guests(r#""oslo via paris", "oslo", "paris""#)
        + "[site.nyc.portal.home]\nexit = [\"paris\", \"oslo via paris\"]\nfrom = [\"192.168.1.50\"]\n";
    let times = "[network]\nfailover = { up_after = 5 }";
    let network = network(world, &portals).replace("[network]", times);
    start(world, &network)?;
    is(world, "oslo via paris", "open", OSLO)?;
    seen_as(world.site(NYC).home(seconds(3.0)).from(HOME), SERVER, PARIS.address)?;
    no_leak(world, NYC, GUEST, |world| {
        world.set_cut(PARIS, OSLO, true)?;
        is(world, "oslo", "failed-over", OSLO)?;
        world.set_cut(NYC, OSLO, true)?;
        is(world, "paris", "failed-over", PARIS)?;
        world.set_cut(PARIS, OSLO, false)?;
        is(world, "oslo via paris", "open", OSLO)?;
        world.set_cut(NYC, OSLO, false)
    })?;
    let words = "portal way: oslo via paris does not answer for 3 s; now through oslo";
    same(words, world.site(NYC).log().contains(words), true)?;
    succeeds(world.site(NYC), &["exit", "home", "oslo via paris"])?;
    seen_as(world.site(NYC).home(seconds(3.0)).from(HOME), SERVER, OSLO.address)?;
    // The chain ends when its file does.
    let plain = network.replace("exit = [\"oslo via paris\", \"oslo\", \"paris\"]", "exit = \"paris\"");
    reloaded(world, &[NYC, PARIS, OSLO], &plain)?;
    eventually("the portal leaves at Paris", || {
        seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, PARIS.address)
    })
}

/// Checks that nyc leaves the chain whose last site answers, but has lost the internet. The probe of Paris
/// goes into the same tunnel as the probe of the chain, next to the traffic of the router itself.
fn beyond(world: &mut World) -> Result<()> {
    let portals = guests(r#""oslo via paris", "paris""#)
        + "[site.nyc.portal.own]\nexit = \"oslo via paris\"\nself = true\n";
    let times = format!("[network]\nfailover = {{ up_after = 5, probe = \"{SERVER}\" }}");
    let network = network(world, &portals).replace("[network]", &times);
    start(world, &network)?;
    is(world, "oslo via paris", "open", OSLO)?;
    eventually("both exits answer", || {
        let report = succeeds(world.site(NYC), &["status", "--json"])?;
        same(&format!("exits that are up in {report}"), report.matches("\"state\":\"up\"").count(), 2)
    })?;
    no_leak(world, NYC, GUEST, |world| {
        world.internet.set_blocked(SERVER.into(), OSLO.address.into(), true)?;
        is(world, "paris", "failed-over", PARIS)?;
        world.internet.set_blocked(SERVER.into(), OSLO.address.into(), false)?;
        is(world, "oslo via paris", "open", OSLO)
    })?;
    let words =
        format!("portal way: {SERVER} does not answer through oslo via paris for 3 s; now through paris");
    same(&words, world.site(NYC).log().contains(&words), true)
}

/// Waits until the guests of nyc leave through an exit, and are seen at a place.
fn is(world: &mut World, exit: &str, state: &str, place: Plot) -> Result<()> {
    let what = format!("the portal is {state} through {exit}");
    within(seconds(60.0), &what, || {
        let report = succeeds(world.site(NYC), &["status", "--json"])?;
        let wanted = format!(r#""exit":"{exit}","state":"{state}""#);
        same(&format!("{wanted} in {report}"), report.contains(&wanted), true)?;
        let guest = world.site(NYC).guest(seconds(3.0));
        same("seen", guest.who_am_i(SERVER)?, IpAddr::from(place.address))
    })
}
