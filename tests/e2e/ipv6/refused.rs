//! Exits that take no IPv6: they refuse it at once, so that devices use IPv4.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::Ipv6RecvErr;
use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::{NYC, Namespace, PARIS, World};

use super::{BOTH, GUEST, HOME_OF, leaves_at};
use crate::Scenario;
use crate::providers::{begin, hired, the_way};
use crate::ways::{each_other, only_nyc};
use crate::words::{
    eventually, no_leak_in, reloaded, same, seconds, seen_as, settled, shell, start, unreachable,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "an exit without IPv6 of its own refuses IPv6 at once",
        plots: &[NYC, PARIS],
        run: without_uplink,
    },
    Scenario {
        name: "IPv6 for a provider without IPv6 is refused at once",
        plots: &[NYC, PARIS],
        run: provider,
    },
    Scenario {
        name: "a site whose IPv6 is switched off carries IPv4, and leaks no IPv6",
        plots: &[NYC, PARIS],
        run: switched_off,
    },
    Scenario { name: "IPv6 of a blocked portal is refused at once", plots: &[NYC, PARIS], run: blocked },
];

/// Time in which an idle machine refuses, as people notice no delay. A busy one may take longer: a scenario
/// fails only if no refusal comes.
const AT_ONCE: Duration = Duration::from_millis(300);

fn without_uplink(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    let lose = "ip -6 route delete default; ip -6 address flush dev uplink scope global";
    shell(&world.site(PARIS).router, lose)?;
    start(world, &world.network(each_other))?;
    no_leak_in(BOTH, world, NYC, GUEST, |world| {
        seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
        is_refused(&world.site(NYC).guest, NYC.own_server6().into())
    })?;
    // The other direction is not affected, though Paris has no IPv6 but that of the network.
    leaves_at(world, GUEST, PARIS, NYC)?;

    // A device of the exit's own network gets IPv6 as soon as the exit has it.
    let router = world.site(PARIS).router.clone();
    let get = format!(
        "ip -6 address add {}/64 dev uplink nodad; ip -6 route add default via {}",
        PARIS.address6(),
        PARIS.gateway6()
    );
    shell(&router, &get)?;
    settled(world.site(PARIS))?;
    leaves_at(world, GUEST, NYC, PARIS)?;
    shell(&router, lose)?;
    settled(world.site(PARIS))?;
    is_refused(&world.site(NYC).guest, NYC.own_server6().into())
}

/// Checks a guest and a device at home, whose exit is a provider with IPv4 only.
fn provider(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    let file = hired(world, PARIS)?;
    let portals = format!(
        "{}\n[site.nyc.portal.home]\nexit = \"paris\"\nfrom = [\"192.168.1.50\", \"2001:db8:1:1::50\"]\n",
        the_way("\"paris\"")
    );
    begin(world, &[file], &portals)?;
    no_leak_in(BOTH, world, NYC, GUEST, |world| {
        no_leak_in(BOTH, world, NYC, HOME_OF, |world| {
            let site = world.site(NYC);
            seen_as(site.guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
            seen_as(site.home(seconds(3.0)), NYC.own_server(), PARIS.address)?;
            is_refused(&site.guest, NYC.own_server6().into())?;
            is_refused(HOME_OF(site), NYC.own_server6().into())
        })
    })
}

fn blocked(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    start(world, &world.network(only_nyc("interface = \"portal0\"\ndhcp = false")))?;
    leaves_at(world, GUEST, NYC, PARIS)?;
    let router = world.site(NYC).router.clone();
    no_leak_in(BOTH, world, NYC, GUEST, |world| {
        shell(
            &router,
            "ip link set to-paris down; ip link delete to-paris; ip rule add priority 50 lookup main",
        )?;
        settled(world.site(NYC))?;
        is_refused(&world.site(NYC).guest, NYC.own_server6().into())?;
        is_refused(&world.site(NYC).guest, NYC.own_server().into())?;
        shell(&router, "ip rule delete priority 50")?;
        settled(world.site(NYC))?;
        leaves_at(world, GUEST, NYC, PARIS)
    })
}

/// Checks that a packet and a connection fail by an ICMP error, not by silence, and prints the time that the
/// error took.
fn is_refused(client: &Namespace, server: IpAddr) -> Result<()> {
    eventually(&format!("{server} is refused to {}", client.name()), || {
        client.run(|| {
            let took = refusal_of_datagram(server).context(|| "no refusal of a datagram".to_owned())?;
            let late = if took > AT_ONCE { ", which is late" } else { "" };
            println!("       refused after {:.1} ms{late}", took.as_secs_f64() * 1e3);
            // In this world, the error comes before the kernel has finished to send the packet, and TCP
            // ignores it. The packet that is repeated after a second gets the error as well.
            match TcpStream::connect_timeout(&(server, 80).into(), seconds(10.0)) {
                Ok(_) => Err(Error::failed(format!("{server} answered"))),
                Err(error) if is_silence(&error) => Err(error).context(|| "no refusal".to_owned()),
                Err(_) => Ok(()),
            }
        })
    })
}

/// Returns the time until a datagram was refused.
fn refusal_of_datagram(server: IpAddr) -> io::Result<Duration> {
    let anywhere = if server.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
    let socket = UdpSocket::bind((anywhere, 0))?;
    socket.set_read_timeout(Some(seconds(5.0)))?;
    // Otherwise, UDP over IPv6 ignores errors that may go away, such as a missing route.
    if server.is_ipv6() {
        setsockopt(&socket, Ipv6RecvErr, &true)?;
    }
    socket.connect((server, 53))?;
    let begun = Instant::now();
    socket.send(b"question")?;
    match socket.recv(&mut [0; 16]) {
        Err(error) if is_silence(&error) => Err(error),
        // A closed port would refuse as well, but no answer from there may come.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Err(error),
        Err(_) => Ok(begun.elapsed()),
        Ok(_) => Err(ErrorKind::InvalidData.into()),
    }
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

/// Checks a site whose owner has switched IPv6 off, as many guides advise, and then on again.
fn switched_off(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    let switch = |off: u8, interfaces: &str| {
        format!("for which in {interfaces}; do echo {off} >/proc/sys/net/ipv6/conf/$which/disable_ipv6; done")
    };
    let router = world.site(NYC).router.clone();
    shell(&router, &switch(1, "all default"))?;
    let network = world.network(each_other).replacen("dhcp = false", "dns = [\"192.175.48.10\"]", 1);
    start(world, &network)?;
    no_leak_in(BOTH, world, NYC, GUEST, |world| {
        only_ipv4(world)?;
        is_told(world, "IPv6 does not go through portals here, and stays blocked: it is switched off")?;
        // The guests' own interface stays off, as NetworkManager can make it.
        shell(&router, &format!("{}; {}", switch(0, "all default"), switch(1, "portal0")))?;
        reloaded(world, &[NYC], &network)?;
        only_ipv4(world)?;
        is_told(world, "portal `way`: devices there get no IPv6, because it is switched off on portal0")?;
        shell(&router, &switch(0, "portal0"))?;
        reloaded(world, &[NYC], &network)?;
        leaves_at(world, GUEST, NYC, PARIS)
    })
}

fn only_ipv4(world: &mut World) -> Result<()> {
    for (plot, exit) in [(NYC, PARIS), (PARIS, NYC)] {
        seen_as(world.site(plot).guest(seconds(3.0)), plot.own_server(), exit.address)?;
    }
    unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server6())
}

fn is_told(world: &mut World, words: &str) -> Result<()> {
    let log = world.site(NYC).log();
    same(&format!("{words} in {log}"), log.contains(words), true)
}
