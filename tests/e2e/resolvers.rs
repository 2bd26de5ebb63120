//! Resolvers that devices of portals ask.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use wg_portals::base::error::{Context as _, Result};
use wg_portals::demo::{HOME, HOME_ROUTER, NYC, PARIS, SERVER, World};

use crate::Scenario;
use crate::filters::everywhere_legacy;
use crate::leaks::{give_ipv6, v6};
use crate::ways::only_nyc;
use crate::words::{Who, eventually, portal_of, reloaded, same, seconds, seen_as, settled, shell, start};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "devices that ask the router for names get answers from beyond their exit",
        plots: &[NYC, PARIS],
        run: devices,
    },
    Scenario {
        name: "devices that ask the router for names over IPv6 are refused",
        plots: &[NYC, PARIS],
        run: by_ipv6,
    },
];

const HOME_OF: Who = |site| site.home.as_ref().expect("nyc has a home");

fn devices(world: &mut World) -> Result<()> {
    shell(HOME_OF(world.site(NYC)), "ip link set eth0 address 02:00:00:00:00:01")?;
    let asks =
        |entrance: &str| portal_of(NYC, r#""paris""#, &format!("{entrance}\ndns = [\"192.175.48.101\"]"));
    let network = |world: &World, entrance: &str| {
        world.network(|plot| if plot == NYC { asks(entrance) } else { "exits = [\"nyc\"]".to_owned() })
    };
    let by_address = "from = [\"192.168.1.50\"]";
    let by_mac = "mac = [\"02:00:00:00:00:01\"]";
    let file = network(world, by_address);
    start(world, &file)?;
    let resolvers = Resolvers::start(world)?;
    for entrance in [by_address, by_mac, &format!("{by_address}\nports = [\"udp/1-1023\"]")] {
        let file = network(world, entrance);
        reloaded(world, &[NYC], &file)?;
        eventually("the resolver beyond the exit answers", || {
            same(entrance, resolvers.asked(world)?, Some(PARIS.address.into()))
        })?;
        world.site(NYC).kill_agent();
        shell(&world.site(NYC).router, flushed_names())?;
        same("who is asked without a translation", resolvers.asked(world)?, None)?;
        world.site(NYC).start_agent()?;
        settled(world.site(NYC))?;
        same(
            "questions that the router's resolver got",
            resolvers.router.recv_from(&mut [0; 16]).ok(),
            None,
        )?;
    }
    // A device that does not enter the portal asks its usual resolver.
    for entrance in
        [format!("{by_address}\nports = [\"tcp/80\"]"), format!("{by_address}\nto = [\"192.175.48.0/24\"]")]
    {
        let file = network(world, &entrance);
        reloaded(world, &[NYC], &file)?;
        same(&entrance, resolvers.asked(world)?, None)?;
        let (_, from) = resolvers.router.recv_from(&mut [0; 16]).context(|| entrance.clone())?;
        same("who asks the router", from.ip(), HOME.into())?;
    }
    Ok(())
}

/// Makes the device speak IPv4 with the router, so that its hardware address is known.
fn by_ipv6(world: &mut World) -> Result<()> {
    let doing = || "cannot ask for a name by IPv6".to_owned();
    let home = HOME_OF(world.site(NYC)).clone();
    shell(&home, "ip link set eth0 address 02:00:00:00:00:01")?;
    give_ipv6(world, "lan0", &home)?;
    let router = &world.site(NYC).router;
    let resolver = router.run(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 53)).context(doing))?;
    resolver.set_read_timeout(Some(seconds(0.5))).context(doing)?;
    let is_asked = || {
        let ask =
            || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?.send_to(b"question", (v6("2001:db8:2::1"), 53));
        home.run(|| ask().context(doing))?;
        Ok(resolver.recv_from(&mut [0; 16]).is_ok())
    };
    eventually("the router is asked without portals", || same("it is", is_asked()?, true))?;
    for (entrance, begin) in [
        ("mac = [\"02:00:00:00:00:01\"]", start as fn(&mut World, &str) -> Result<()>),
        ("from = [\"192.168.1.50\"]", |world, network| reloaded(world, &[NYC], network)),
    ] {
        let network = world.network(only_nyc(entrance));
        begin(world, &network)?;
        seen_as(world.site(NYC).home(seconds(3.0)), SERVER, PARIS.address)?;
        eventually("the router is not asked any more", || same(entrance, is_asked()?, false))?;
    }
    Ok(())
}

/// Removes portals' translations, as another program does.
fn flushed_names() -> &'static str {
    if everywhere_legacy() {
        "iptables-legacy -t nat -F PREROUTING"
    } else {
        "nft flush chain inet portals prerouting"
    }
}

/// Resolvers that a device may ask.
struct Resolvers {
    /// Resolver of nyc's router.
    router: UdpSocket,
    /// Resolver on the internet.
    beyond: UdpSocket,
}

impl Resolvers {
    fn start(world: &mut World) -> Result<Self> {
        let open = |address: Ipv4Addr| {
            let opened = UdpSocket::bind((address, 53)).and_then(|socket| {
                socket.set_read_timeout(Some(seconds(0.5)))?;
                Ok(socket)
            });
            opened.context(|| format!("cannot be a resolver at {address}"))
        };
        let router = world.site(NYC).router.run(|| open(Ipv4Addr::UNSPECIFIED))?;
        Ok(Self { router, beyond: world.server.run(|| open(NYC.own_server()))? })
    }

    /// Source address of the device's query as the resolver beyond the exit sees it, or `None` if that
    /// resolver is not asked. The device asks the router, and takes the answer for the router's.
    fn asked(&self, world: &mut World) -> Result<Option<IpAddr>> {
        let doing = || "cannot ask for a name".to_owned();
        let ask = || {
            let device = UdpSocket::bind((HOME, 0))?;
            device.set_read_timeout(Some(seconds(3.0)))?;
            device.connect((HOME_ROUTER, 53))?;
            let question = device.local_addr()?.port().to_ne_bytes();
            device.send(&question).map(|_| (device, question))
        };
        let (device, question) = HOME_OF(world.site(NYC)).run(|| ask().context(doing))?;
        let from = loop {
            let mut asked = [0; 2];
            match self.beyond.recv_from(&mut asked) {
                Ok((_, from)) if asked == question => break from,
                // The query is late: it comes from an earlier call that did not wait for it.
                Ok(_) => {}
                Err(_) => return Ok(None),
            }
        };
        self.beyond.send_to(b"answer", from).and_then(|_| device.recv(&mut [0; 16])).context(doing)?;
        Ok(Some(from.ip()))
    }
}
