//! IPv6 packets with forged sources, and packets from where none may come.

use std::net::{IpAddr, Ipv6Addr};

use wg_portals::base::error::Result;
use wg_portals::base::net::InterfaceAddress;
use wg_portals::demo::{Capture, NYC, OSLO, PARIS, Plot, SERVER6, World};

use super::{GUEST, HOME_OF, everywhere};
use crate::Scenario;
use crate::filters::has_nftables;
use crate::forged::{mesh, pair};
use crate::forgery::{CLOSED, PORT, Talk, forge};
use crate::ways::each_other;
use crate::words::{same, seconds, seen_as, seen_going_to, shell, start, unreachable};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "no forged IPv6 source goes through a portal", plots: &[NYC, PARIS], run: sources },
    Scenario {
        name: "no IPv6 answer comes through another tunnel than its question",
        plots: &[NYC, PARIS, OSLO],
        run: answers,
    },
    Scenario {
        name: "no IPv6 neighbour of the uplink gets through to guests and tunnels",
        plots: &[NYC, PARIS],
        run: neighbours,
    },
    Scenario {
        name: "no guest gets through an exit to IPv6 addresses inside it, or to other guests",
        plots: &[NYC, PARIS],
        run: inside,
    },
];

fn sources(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    start(world, &world.network(pair))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server6(), PARIS.address6())?;
    let site = world.site(NYC);
    let tunnel = Capture::start(&site.router, "to-paris")?;
    let uplink = Capture::start(&site.router, "uplink")?;
    let home = Capture::start(&site.router, "lan0")?;
    // The sources are a computer at home, a guest of another portal, a guest of another site, a phone, the
    // site itself, and an unknown host.
    let forged = [
        NYC.home6(),
        Ipv6Addr::new(0xfd77, 1, 2, 0x102, 0, 0, 0, 0x70),
        PARIS.guest6(),
        Ipv6Addr::new(0xfd77, 1, 2, 0x100, 0, 0, 0, 2),
        NYC.tunnel6(),
        SERVER6,
    ];
    for source in forged {
        for destination in [NYC.own_server6(), NYC.portal6(), NYC.home_router6()] {
            forge(&site.guest, "eth0", (source, CLOSED), (destination, CLOSED))?;
        }
    }
    seen_as(site.guest(seconds(3.0)), NYC.own_server6(), PARIS.address6())?;
    let mut through = seen_going_to(tunnel, NYC.own_server6().into())?;
    through.retain(|packet| packet.source != IpAddr::from(NYC.guest6()));
    same("packets that entered the portal", through, Vec::new())?;
    same("packets that left via the uplink", seen_going_to(uplink, NYC.own_server6().into())?, Vec::new())?;
    // The router would send an ICMPv6 error for a port without a listener.
    let mut answers = seen_going_to(home, NYC.home6().into())?;
    answers.retain(|packet| !packet.is_neighbour_discovery());
    same("answers to the home", answers, Vec::new())
}

fn answers(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    start(world, &world.network(mesh))?;
    let_forgeries_out(world)?;
    let (guest, home, own): (IpAddr, IpAddr, IpAddr) =
        (NYC.guest6().into(), NYC.home6().into(), NYC.address6().into());
    Talk::begin(world, GUEST, PARIS.address6())?.hears_nothing_from(world, &[(OSLO, guest)])?;
    Talk::begin(world, HOME_OF, home)?.hears_nothing_from(world, &[(OSLO, home), (PARIS, home)])?;
    let router = Talk::begin(world, |site| &site.router, own)?;
    router.hears_nothing_from(world, &[(OSLO, own), (PARIS, own)])?;

    // The exit receives a question in the name of its guest.
    let talk = Talk::begin(world, GUEST, PARIS.address6())?;
    let site = world.site(OSLO);
    forge(&site.router, "to-paris", (guest, talk.port()?), (NYC.own_server6(), PORT))?;
    let way = site.router(seconds(3.0)).traceroute(PARIS.tunnel())?;
    same("the way to Paris", way, vec![Some(PARIS.tunnel())])?;
    talk.says_nothing_more()?;
    talk.is_answered()
}

/// Lets forged packets leave Paris and Oslo, through their tunnels.
fn let_forgeries_out(world: &mut World) -> Result<()> {
    for plot in [PARIS, OSLO] {
        // Forged packets must leave these sites untracked and untranslated.
        let untracked = if has_nftables() {
            format!(
                "nft add table ip6 evil
                 nft add chain ip6 evil output '{{ type filter hook output priority -300; }}'
                 nft add rule ip6 evil output udp sport {PORT} notrack
                 nft add rule ip6 evil output udp dport {PORT} notrack"
            )
        } else {
            format!(
                "ip6tables-legacy -t raw -A OUTPUT -p udp --sport {PORT} -j CT --notrack
                 ip6tables-legacy -t raw -A OUTPUT -p udp --dport {PORT} -j CT --notrack"
            )
        };
        // IPv6 sends nothing out of an interface that has no route to the destination.
        let ways = format!(
            "ip -6 route add {} dev to-nyc metric 9999; ip -6 route add {} dev to-nyc metric 9999",
            NYC.address6(),
            NYC.home6()
        );
        shell(&world.site(plot).router, &format!("{untracked}\n{ways}"))?;
    }
    let way = format!("ip -6 route add {} dev to-paris metric 9999", NYC.own_server6());
    shell(&world.site(OSLO).router, &way).map(drop)
}

fn neighbours(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    start(world, &world.network(pair))?;
    shell(&world.internet, &format!("ip -6 route add fd77:1:2:100::/56 via {}", NYC.address6()))?;
    let talk = Talk::begin(world, GUEST, PARIS.address6())?;
    let uplink = Capture::start(&world.site(NYC).router, "uplink")?;
    let portal = Capture::start(&world.site(NYC).router, "portal0")?;
    let port = talk.port()?;
    forge(&world.internet, "nyc", (NYC.own_server6(), PORT), (NYC.guest6(), port))?;
    for there in [NYC.guest6(), NYC.portal6(), NYC.tunnel6()] {
        forge(&world.internet, "nyc", (NYC.gateway6(), CLOSED), (there, CLOSED))?;
    }
    let home = HOME_OF(world.site(NYC)).clone();
    for there in [NYC.guest6(), NYC.tunnel6()] {
        forge(&home, "eth0", (NYC.home6(), CLOSED), (there, CLOSED))?;
    }
    seen_as(world.outsider(seconds(3.0)), NYC.address6(), SERVER6)?;
    seen_as(world.site(NYC).home(seconds(3.0)), SERVER6, NYC.home6())?;
    talk.has_heard_nothing()?;
    let mut answers = seen_going_to(uplink, NYC.gateway6().into())?;
    answers.retain(|packet| !packet.is_neighbour_discovery());
    same("answers to the neighbour", answers, Vec::new())?;
    let mut through = seen_going_to(portal, NYC.guest6().into())?;
    through.retain(|packet| packet.ports.is_some_and(|(_, to)| to == CLOSED || to == port));
    same("packets to the guest", through, Vec::new())?;
    talk.is_answered()
}

/// Checks a unique local network that the exit can reach, the exit's own home and addresses, and guests.
fn inside(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    let local = |host| Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, host);
    let address = |host| InterfaceAddress { address: local(host).into(), length: 64 };
    world.server.add_address("eth0", address(0x10))?;
    world.internet.add_address("server", address(1))?;
    everywhere(world, |plot: Plot| format!("ip -6 route add fd00:99::/64 via {}", plot.gateway6()))?;
    start(world, &world.network(each_other))?;
    seen_as(world.site(PARIS).home(seconds(3.0)), local(0x10), PARIS.home6())?;
    let _guest = wg_portals::demo::Server::start(&world.site(PARIS).guest)?;
    // The guests' own router reaches the guest.
    seen_as(world.site(PARIS).router(seconds(3.0)), PARIS.guest6(), PARIS.portal6())?;
    let guest = world.site(NYC).guest(seconds(3.0));
    seen_as(guest, SERVER6, PARIS.address6())?;
    let forbidden = [
        local(0x10),
        PARIS.home6(),
        PARIS.home_router6(),
        PARIS.address6(),
        PARIS.tunnel6(),
        PARIS.portal6(),
        PARIS.guest6(),
        NYC.home6(),
    ];
    forbidden.into_iter().try_for_each(|address| unreachable(guest, address))
}
