//! A router whose own traffic enters a portal: it asks time servers via its uplink, in any state of the
//! tunnel.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use wg_portals::base::error::{Context as _, Result};
use wg_portals::demo::{NYC, PARIS, SERVER, World};
use wg_portals::engine::host::rules_know_ports;

use crate::Scenario;
use crate::ways::only_nyc;
use crate::words::{Who, eventually, no_leak, reloaded, same, seconds, seen_as, start};

pub(crate) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "a portal of the router itself lets it ask for the time via the uplink, with no other leak",
    plots: &[NYC, PARIS],
    run: by_the_uplink,
}];

const NTP: u16 = 123;

fn by_the_uplink(world: &mut World) -> Result<()> {
    let [of_time, other] = [NTP, NTP + 1].map(|port| listen(world, SERVER, port));
    let (of_time, other) = (of_time?, other?);
    start(world, &world.network(only_nyc("self = true")))?;
    seen_as(world.site(NYC).router(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let router: Who = |site| &site.router;
    no_leak(world, NYC, router, |world| {
        asks(world, &of_time)?;
        world.set_cut(NYC, PARIS, true)?;
        asks(world, &of_time)?;
        let socket = ask(world, &other)?;
        same("another port is heard", heard(&other), None)?;
        drop(socket);
        world.set_cut(NYC, PARIS, false)
    })?;
    // A tunnel that is up delivers the request with another source address.
    reloaded(world, &[NYC], &world.network(only_nyc("self = true\nntp = false")))?;
    eventually("the time is requested through the tunnel", || {
        let _socket = ask(world, &of_time)?;
        same("source of the request", heard(&of_time).map(|who| who.ip()), Some(PARIS.address.into()))
    })
}

/// Checks that the server sees the router's own address, and that the router gets the answer.
fn asks(world: &mut World, server: &UdpSocket) -> Result<()> {
    eventually("the time is requested via the uplink", || {
        let socket = ask(world, server)?;
        let who = heard(server);
        same("source of the request", who.map(|who| who.ip()), Some(IpAddr::from(NYC.address)))?;
        // Without such rules, strict reverse-path filtering drops the answer.
        if let Some(who) = who.filter(|_| rules_know_ports()) {
            server.send_to(b"late", who).context(|| "cannot answer".to_owned())?;
            same("the answer comes from", heard(&socket), Some((SERVER, NTP).into()))?;
        }
        Ok(())
    })
}

/// Socket of the router that has just asked.
fn ask(world: &mut World, server: &UdpSocket) -> Result<UdpSocket> {
    let there = server.local_addr().context(|| "cannot tell a port".to_owned())?;
    world.site(NYC).router.run(|| {
        let socket = open(Ipv4Addr::UNSPECIFIED, 0)?;
        // The server's side decides whether the request was refused.
        let _ = socket.connect(there).and_then(|()| socket.send(b"what is the time?"));
        Ok(socket)
    })
}

fn listen(world: &World, address: Ipv4Addr, port: u16) -> Result<UdpSocket> {
    world.server.run(|| open(address, port))
}

fn open(address: Ipv4Addr, port: u16) -> Result<UdpSocket> {
    let open = || {
        let socket = UdpSocket::bind((address, port))?;
        socket.set_read_timeout(Some(seconds(1.0)))?;
        std::io::Result::Ok(socket)
    };
    open().context(|| format!("cannot open UDP port {port} of {address}"))
}

/// Source of the next packet, if one arrives in time.
fn heard(socket: &UdpSocket) -> Option<SocketAddr> {
    socket.recv_from(&mut [0; 64]).ok().map(|(_, who)| who)
}
