//! Packets with forged source addresses, with and without the kernel's own check (`rp_filter`): they open no
//! path into a home, and none reaches a connection of another host.

use std::net::Ipv4Addr;

use wg_portals::base::error::{Context as _, Result};
use wg_portals::base::net::{Cidr, InterfaceAddress};
use wg_portals::demo::{Capture, HOME, HOME_ROUTER, NYC, OSLO, PARIS, Plot, SERVER, World};

use crate::Scenario;
use crate::filters::has_nftables;
use crate::forgery::{CLOSED, PORT, Talk, forge};
use crate::words::{plots, portal, same, seconds, seen_as, seen_going_to, shell, start, unreachable};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "no forged source goes through a portal", plots: &[NYC, PARIS], run: sources },
    Scenario {
        name: "no answer comes through another tunnel than its question",
        plots: &[NYC, PARIS, OSLO],
        run: answers,
    },
    Scenario {
        name: "no neighbour of the uplink gets through to guests and tunnels",
        plots: &[NYC, PARIS],
        run: neighbours,
    },
    Scenario {
        name: "no guest gets through an exit to special-purpose addresses",
        plots: &[NYC, PARIS],
        run: no_internet,
    },
];

/// Portal that leaves at one of the two exits of its site.
const ONE_OF_TWO_EXITS: &str = r#"exits = ["paris", "oslo"]

[site.nyc.portal.way]
exit = "paris"
interface = "portal0"
dhcp = false
"#;

/// Network in which each site is an exit of both others, so that WireGuard accepts every source from every
/// tunnel. The portal has only one exit: with a second one it would move while the first is silent on a busy
/// machine, and end the connections of the scenario.
pub(crate) fn mesh(plot: Plot) -> String {
    match plot {
        NYC => ONE_OF_TWO_EXITS.to_owned(),
        PARIS => "exits = [\"nyc\", \"oslo\"]\n".to_owned(),
        _ => "exits = [\"nyc\", \"paris\"]\n".to_owned(),
    }
}

pub(crate) fn pair(plot: Plot) -> String {
    if plot == NYC { portal(NYC, r#""paris""#) } else { "exits = [\"nyc\"]\n".to_owned() }
}

/// Runs `attempt` with every value of `rp_filter`, on all routers.
fn with_each_check(world: &mut World, mut attempt: impl FnMut(&mut World) -> Result<()>) -> Result<()> {
    for plot in plots(world) {
        // The kernel forgets an unanswered question after 30 s; on a slow machine the answer may come later.
        shell(&world.site(plot).router, "echo 600 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout")?;
    }
    for value in ["1", "2", "0"] {
        for plot in plots(world) {
            let script =
                format!("for file in /proc/sys/net/ipv4/conf/*/rp_filter; do echo {value} >$file; done");
            shell(&world.site(plot).router, &script)?;
        }
        attempt(world).context(|| format!("with rp_filter = {value}"))?;
    }
    Ok(())
}

fn sources(world: &mut World) -> Result<()> {
    start(world, &world.network(pair))?;
    let reached =
        |world: &mut World| seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address);
    reached(world)?;
    with_each_check(world, |world| {
        let site = world.site(NYC);
        let tunnel = Capture::start(&site.router, "to-paris")?;
        let home = Capture::start(&site.router, "lan0")?;
        // The sources are a computer at home, a guest of another portal, a guest of another site, a phone,
        // and an unknown host.
        let forged =
            [HOME, Ipv4Addr::new(10, 77, 1, 130), PARIS.guest(), Ipv4Addr::new(10, 77, 1, 2), SERVER];
        for source in forged {
            for destination in [NYC.own_server(), NYC.portal(), HOME_ROUTER] {
                forge(&site.guest, "eth0", (source, CLOSED), (destination, CLOSED))?;
            }
        }
        reached(world)?;
        let mut through = seen_going_to(tunnel, NYC.own_server().into())?;
        through.retain(|packet| packet.source != NYC.guest());
        same("packets that entered the portal", through, Vec::new())?;
        // The router would send an ICMP error for a port without a listener.
        same("answers to the home", seen_going_to(home, HOME.into())?, Vec::new())
    })
}

fn answers(world: &mut World) -> Result<()> {
    start(world, &world.network(mesh))?;
    for plot in [PARIS, OSLO] {
        // Forged packets must leave these sites untracked and untranslated.
        let script = if has_nftables() {
            format!(
                "nft add table ip evil
                 nft add chain ip evil output '{{ type filter hook output priority -300; }}'
                 nft add rule ip evil output udp sport {PORT} notrack
                 nft add rule ip evil output udp dport {PORT} notrack"
            )
        } else {
            format!(
                "iptables-legacy -t raw -A OUTPUT -p udp --sport {PORT} -j CT --notrack
                 iptables-legacy -t raw -A OUTPUT -p udp --dport {PORT} -j CT --notrack"
            )
        };
        shell(&world.site(plot).router, &script)?;
    }
    with_each_check(world, |world| {
        let guest = Talk::begin(world, |site| &site.guest, PARIS.address)?;
        guest.hears_nothing_from(world, &[(OSLO, NYC.guest().into())])?;
        let home = Talk::begin(world, |site| site.home.as_ref().expect("a home"), NYC.address)?;
        home.hears_nothing_from(world, &[(OSLO, NYC.address.into()), (PARIS, NYC.address.into())])?;
        let router = Talk::begin(world, |site| &site.router, NYC.address)?;
        router.hears_nothing_from(world, &[(OSLO, NYC.address.into()), (PARIS, NYC.address.into())])?;

        // The exit receives a question in the name of its guest.
        let guest = Talk::begin(world, |site| &site.guest, PARIS.address)?;
        let site = world.site(OSLO);
        forge(&site.router, "to-paris", (NYC.guest(), guest.port()?), (NYC.own_server(), PORT))?;
        same(
            "the way to Paris",
            site.router(seconds(3.0)).traceroute(PARIS.tunnel())?,
            vec![Some(PARIS.tunnel())],
        )?;
        guest.says_nothing_more()?;
        guest.is_answered()
    })
}

fn neighbours(world: &mut World) -> Result<()> {
    start(world, &world.network(pair))?;
    let behind: Cidr = "10.77.1.0/24".parse().expect("a network");
    world.internet.add_route(behind, NYC.address.into())?;
    with_each_check(world, |world| {
        let talk = Talk::begin(world, |site| &site.guest, PARIS.address)?;
        let uplink = Capture::start(&world.site(NYC).router, "uplink")?;
        let portal = Capture::start(&world.site(NYC).router, "portal0")?;
        let port = talk.port()?;
        forge(&world.internet, "nyc", (NYC.own_server(), PORT), (NYC.guest(), port))?;
        for there in [NYC.guest(), NYC.portal(), NYC.tunnel()] {
            forge(&world.internet, "nyc", (NYC.gateway(), CLOSED), (there, CLOSED))?;
        }
        let home = world.site(NYC).home.clone().expect("nyc has a home");
        for there in [NYC.guest(), NYC.tunnel()] {
            forge(&home, "eth0", (HOME, CLOSED), (there, CLOSED))?;
        }
        seen_as(world.outsider(seconds(3.0)), NYC.address, SERVER)?;
        seen_as(world.site(NYC).home(seconds(3.0)), SERVER, NYC.address)?;
        talk.has_heard_nothing()?;
        same("answers to the neighbour", seen_going_to(uplink, NYC.gateway().into())?, Vec::new())?;
        let mut through = seen_going_to(portal, NYC.guest().into())?;
        through.retain(|packet| packet.ports.is_some_and(|(_, to)| to == CLOSED || to == port));
        same("packets to the guest", through, Vec::new())?;
        talk.is_answered()
    })
}

/// Checks one of the special-purpose networks: the network that providers share among their customers (RFC
/// 6598).
fn no_internet(world: &mut World) -> Result<()> {
    let shared = Ipv4Addr::new(100, 64, 0, 10);
    let address = |last| InterfaceAddress { address: Ipv4Addr::new(100, 64, 0, last).into(), length: 24 };
    world.server.add_address("eth0", address(10))?;
    world.internet.add_address("server", address(1))?;
    start(world, &world.network(pair))?;
    seen_as(world.site(PARIS).home(seconds(3.0)), shared, PARIS.address)?;
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, PARIS.address)?;
    unreachable(world.site(NYC).guest(seconds(1.0)), shared)
}
