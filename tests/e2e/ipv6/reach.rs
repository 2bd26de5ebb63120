//! Hosts that IPv6 reaches, and hosts that it does not: the router, shared LANs; and messages that TCP does
//! not need.

use std::net::{IpAddr, Ipv6Addr, SocketAddrV6, TcpStream, UdpSocket};

use nix::net::if_::if_nametoindex;
use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::{NYC, Namespace, OSLO, PARIS, ProbeClient, SERVER6, World};

use super::{GUEST, leaves_at, leaves_at_home};
use crate::Scenario;
use crate::ways::{each_other, only_nyc};
use crate::words::{eventually, portal, reloaded, same, seconds, seen_as, shell, start, unreachable};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "guests reach none of the router's services by IPv6",
        plots: &[NYC, PARIS],
        run: router,
    },
    Scenario { name: "a shared IPv6 LAN is reached by linked sites", plots: &[NYC, OSLO], run: shared },
    Scenario { name: "large datagrams and pings pass by IPv6", plots: &[NYC, PARIS], run: datagrams },
];

/// Port of the service that tells the client's address.
const WHO: u16 = 80;

fn router(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    let closed = world.network(only_nyc("interface = \"portal0\"\ndhcp = false"));
    let open = world.network(only_nyc("interface = \"portal0\"\ndhcp = false\nrouter = true"));
    let guest = world.site(NYC).guest.clone();
    let client = ProbeClient::new(&guest, seconds(3.0));
    start(world, &open)?;
    let link_local = link_local(&world.site(NYC).router)?;
    let addresses = [NYC.portal6(), NYC.home_router6(), NYC.address6(), NYC.tunnel6()];
    for address in addresses {
        seen_as(client, address, NYC.guest6())?;
    }
    eventually("the link-local address answers", || connects(&guest, link_local))?;
    reloaded(world, &[NYC], &closed)?;
    for address in addresses {
        unreachable(client, address)?;
    }
    same("the link-local address answers", connects(&guest, link_local).is_ok(), false)?;
    seen_as(client, SERVER6, PARIS.address6())?;
    shell(&guest, &format!("ping -6 -c 1 -W 5 {}", NYC.portal6())).map(drop)
}

/// Link-local address of the router on the guests' LAN.
fn link_local(router: &Namespace) -> Result<Ipv6Addr> {
    let told = shell(router, "ip -6 -o address show dev portal0 scope link")?;
    let address = told.split_whitespace().skip_while(|word| *word != "inet6").nth(1);
    let address = address.and_then(|text| text.split('/').next()?.parse().ok());
    address.ok_or_else(|| Error::failed(format!("no address in {told:?}")))
}

fn connects(guest: &Namespace, link_local: Ipv6Addr) -> Result<()> {
    guest.run(|| {
        let doing = || "cannot connect".to_owned();
        let device = if_nametoindex("eth0").context(doing)?;
        let there = SocketAddrV6::new(link_local, WHO, 0, device).into();
        TcpStream::connect_timeout(&there, seconds(1.0)).map(drop).context(doing)
    })
}

fn shared(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    let with = |lan: &str| {
        let lan = lan.to_owned();
        move |plot| {
            if plot == NYC { format!("{lan}{}", portal(NYC, r#""oslo""#)) } else { portal(OSLO, r#""nyc""#) }
        }
    };
    let shared = world.network(with("lan = [\"2001:db8:1:1::/64\"]\n"));
    start(world, &shared)?;
    seen_as(world.site(OSLO).router(seconds(3.0)), NYC.home6(), OSLO.tunnel6())?;
    seen_as(world.site(OSLO).guest(seconds(3.0)), NYC.home6(), OSLO.guest6())?;
    leaves_at(world, GUEST, OSLO, NYC)?;
    leaves_at_home(world, NYC)?;
    let own = world.network(with(""));
    reloaded(world, &[NYC, OSLO], &own)?;
    // Its internet address is reached, as it is from everywhere, but not through the tunnel.
    unreachable(world.site(OSLO).guest(seconds(1.0)), NYC.home6())?;
    seen_as(world.site(OSLO).router(seconds(3.0)), NYC.home6(), OSLO.address6())
}

/// Checks packets that are larger than the tunnel's MTU, in both directions: routers say so by ICMPv6, and
/// the hosts then send fragments.
fn datagrams(world: &mut World) -> Result<()> {
    const LARGE: usize = 1400;
    world.add_ipv6()?;
    start(world, &world.network(each_other))?;
    leaves_at(world, GUEST, NYC, PARIS)?;
    let doing = || "cannot use UDP".to_owned();
    let there = (NYC.own_server6(), 5300);
    let server = world.server.run(|| UdpSocket::bind(there).context(doing))?;
    let client = world.site(NYC).guest.run(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).context(doing))?;
    for socket in [&server, &client] {
        socket.set_read_timeout(Some(seconds(0.5))).context(doing)?;
    }
    eventually("large datagrams pass in both directions", || {
        let mut space = [0; 2 * LARGE];
        client.send_to(&[1; LARGE], there).context(doing)?;
        let (length, from) = server.recv_from(&mut space).context(|| "no question".to_owned())?;
        same("the question", (length, from.ip()), (LARGE, IpAddr::from(PARIS.address6())))?;
        server.send_to(&[2; LARGE], from).context(doing)?;
        let length = client.recv(&mut space).context(|| "no answer".to_owned())?;
        same("the answer", length, LARGE)
    })?;
    // The guest knows by now how large packets to this server may be.
    shell(&world.site(NYC).guest, &format!("ping -6 -c 1 -W 5 -s 1300 {}", there.0)).map(drop)
}
