//! The NATs of this world behave as their names say: plain UDP shows it, without portals.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;
use wg_portals::base::error::{Context as _, Result};
use wg_portals::demo::{NYC, Namespace, Nat, OSLO, PARIS, SERVER, World, forget_mappings};

use super::homes::{Built, Home, Rules, build_together};
use crate::Scenario;
use crate::words::{same, seconds};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a NAT behaves as named: full cone",
        plots: &[OSLO],
        run: |world| kind(world, Home::FullCone),
    },
    Scenario {
        name: "a NAT behaves as named: port-restricted",
        plots: &[OSLO],
        run: |world| kind(world, Home::PortRestricted),
    },
    Scenario {
        name: "a NAT behaves as named: answering",
        plots: &[OSLO],
        run: |world| kind(world, Home::Answering),
    },
    Scenario {
        name: "a NAT behaves as named: symmetric",
        plots: &[OSLO],
        run: |world| kind(world, Home::Symmetric),
    },
    Scenario {
        name: "a NAT behaves as named: carrier",
        plots: &[OSLO],
        run: |world| kind(world, Home::Carrier),
    },
    Scenario {
        name: "a NAT behaves as named: symmetric carrier",
        plots: &[OSLO],
        run: |world| kind(world, Home::SymmetricCarrier),
    },
    Scenario { name: "a NAT behaves as named: blocked", plots: &[OSLO], run: blocked },
    Scenario {
        name: "a NAT behaves as named: own",
        plots: &[OSLO],
        run: |world| kind(world, Home::Own(Rules::Usual)),
    },
    Scenario {
        name: "a NAT behaves as named: own, legacy",
        plots: &[OSLO],
        run: |world| kind(world, Home::Own(Rules::Legacy)),
    },
    Scenario {
        name: "a NAT behaves as named: own, symmetric",
        plots: &[OSLO],
        run: |world| kind(world, Home::OwnSymmetric(Rules::Usual)),
    },
    Scenario {
        name: "a NAT behaves as named: own, behind a carrier",
        plots: &[OSLO],
        run: |world| kind(world, Home::OwnBehindCarrier(Rules::Usual)),
    },
    Scenario {
        name: "a NAT behaves as named: public",
        plots: &[OSLO],
        run: |world| kind(world, Home::Public),
    },
];

/// Scenarios that need bridges.
pub(crate) const WITH_BRIDGES: &[Scenario] = &[Scenario {
    name: "a NAT behaves as named: two sites behind one router",
    plots: &[OSLO],
    run: together,
}];

/// Port of a site's socket, which is no port of a mapping of its own.
const PORT: u16 = 51_822;

/// Behaviour of a NAT.
#[derive(Debug, PartialEq, Eq)]
struct Behaviour {
    /// Set if each destination sees the same source, always.
    one_mapping: bool,
    /// Set if the mapped port is the site's own.
    keeps_port: bool,
    /// Set if a host that the site has not sent to reaches it, before and after the site has sent to others.
    lets_in: (bool, bool),
    /// Set if a packet of such a host takes the mapping away that the site would have got towards it.
    takes_mapping: bool,
}

impl Home {
    fn behaviour(self) -> Behaviour {
        let (one_mapping, lets_in, takes_mapping) = match self {
            Self::Public | Self::FullCone => (true, (true, true), false),
            Self::Answering => (true, (false, false), true),
            Self::Symmetric | Self::SymmetricCarrier | Self::OwnSymmetric(_) => {
                (false, (false, false), false)
            }
            _ => (true, (false, false), false),
        };
        Behaviour { one_mapping, keeps_port: one_mapping, lets_in, takes_mapping }
    }
}

fn kind(world: &mut World, home: Home) -> Result<()> {
    let built = home.build(world, NYC)?;
    same(&format!("{home:?}"), observe(world, &built)?, home.behaviour())
}

fn observe(world: &mut World, Built { plot, routers }: &Built) -> Result<Behaviour> {
    stay_on_this_processor()?;
    let mapped = SocketAddr::from((NYC.address, PORT));
    let site = socket(&world.site(*plot).router, PORT)?;
    let stranger = socket(&world.server, 1001)?;
    let friends = [socket(&world.site(OSLO).router, 1002)?, socket(&world.site(OSLO).router, 1003)?];
    send(&stranger, mapped)?;
    let mut sources = Vec::new();
    for (friend, port) in friends.iter().zip([1002, 1003]) {
        send(&site, (OSLO.address, port).into())?;
        sources.push(receive(friend)?);
    }
    same("the address that oslo sees", sources[0].ip(), IpAddr::from(NYC.address))?;
    // The friend's packet comes last.
    let before = waits_before(&site, &friends[0], sources[0])?.contains(&(SERVER, 1001).into());
    send(&stranger, sources[0])?;
    let others = waits_before(&site, &friends[0], sources[0])?;
    let after = others.contains(&(SERVER, 1001).into());
    send(&site, (SERVER, 1001).into())?;
    let to_stranger = receive(&stranger)?;
    // The mapping towards the stranger exists, if the stranger's own packet did not take its place.
    let takes_mapping = sources[0].port() == PORT && to_stranger.port() != PORT;
    // A mapping that has timed out.
    [routers.as_slice(), &[world.site(*plot).router.clone()]]
        .concat()
        .iter()
        .try_for_each(forget_mappings)?;
    send(&site, (OSLO.address, 1002).into())?;
    sources.push(receive(&friends[0])?);
    Ok(Behaviour {
        one_mapping: sources.iter().all(|source| *source == sources[0]),
        keeps_port: sources.iter().all(|source| source.port() == PORT),
        lets_in: (before, after),
        takes_mapping,
    })
}

fn blocked(world: &mut World) -> Result<()> {
    let built = Home::Blocked.build(world, NYC)?;
    let site = socket(&world.site(built.plot).router, PORT)?;
    let oslo = &world.site(OSLO).router;
    let (open, closed) = (socket(oslo, 443)?, socket(oslo, 52_075)?);
    send(&site, (OSLO.address, 52_075).into())?;
    send(&site, (OSLO.address, 443).into())?;
    same("the address that oslo sees", receive(&open)?, (NYC.address, PORT).into())?;
    closed.set_nonblocking(true).context(|| "cannot set up a socket".to_owned())?;
    same(
        "what came to another port",
        closed.recv_from(&mut [0; 4]).map_err(|error| error.kind()).err(),
        Some(ErrorKind::WouldBlock),
    )
}

fn together(world: &mut World) -> Result<()> {
    let [one, other] = build_together(world, [NYC, PARIS], Nat::PortRestricted)?;
    let friend = socket(&world.site(OSLO).router, 1002)?;
    let sites = [socket(&world.site(one.plot).router, PORT)?, socket(&world.site(other.plot).router, PORT)?];
    let mut sources = Vec::new();
    for site in &sites {
        send(site, (OSLO.address, 1002).into())?;
        sources.push(receive(&friend)?);
    }
    same("the addresses that oslo sees", sources[0].ip(), sources[1].ip())?;
    same("one mapping for both", sources[0] == sources[1], false)?;
    send(&sites[0], (other.plot.address, PORT).into())?;
    same("the sender on the LAN", receive(&sites[1])?, (one.plot.address, PORT).into())
}

/// Keeps this thread on its processor. A kernel takes the packets of one processor in order through all
/// virtual links, so that two packets of this thread arrive in order even if their senders are different
/// hosts.
fn stay_on_this_processor() -> Result<()> {
    let stay = || {
        let mut this = CpuSet::new();
        this.set(sched_getcpu()?)?;
        sched_setaffinity(Pid::from_raw(0), &this)
    };
    stay().context(|| "cannot stay on this processor".to_owned())
}

fn socket(host: &Namespace, port: u16) -> Result<UdpSocket> {
    host.run(|| {
        let socket = UdpSocket::bind(("0.0.0.0", port));
        let set_up = socket.and_then(|socket| socket.set_read_timeout(Some(seconds(20.0))).map(|()| socket));
        set_up.context(|| format!("cannot open port {port} of {}", host.name()))
    })
}

fn send(socket: &UdpSocket, to: SocketAddr) -> Result<()> {
    socket.send_to(b"ping", to).context(|| format!("cannot send to {to}")).map(drop)
}

/// Waits for a packet, and returns its sender.
fn receive(socket: &UdpSocket) -> Result<SocketAddr> {
    socket
        .recv_from(&mut [0; 4])
        .context(|| format!("no packet came to {:?}", socket.local_addr().ok()))
        .map(|(_, from)| from)
}

/// Sends a packet from a friend to a site, and returns the senders of all packets that came before it.
fn waits_before(site: &UdpSocket, friend: &UdpSocket, mapped: SocketAddr) -> Result<Vec<SocketAddr>> {
    let own = friend.local_addr().context(|| "a socket without an address".to_owned())?.port();
    send(friend, mapped)?;
    let mut senders = Vec::new();
    loop {
        let from = receive(site)?;
        if from == (OSLO.address, own).into() {
            return Ok(senders);
        }
        senders.push(from);
    }
}
