//! Phones: devices that have only the output of `portals phone add`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::base::net::{Cidr, Family, IfName, InterfaceAddress, Table};
use wg_portals::demo::{
    Capture, HOME, HOME_ROUTER, NETWORK_FILE, NYC, Namespace, OSLO, PARIS, ProbeClient, SERVER, Server,
    World, connect,
};
use wg_portals::kernel::linux::Linux;
use wg_portals::kernel::wireguard::WireGuard;
use wg_portals::kernel::{Kernel as _, Outcome};
use wg_portals::state::diff::diff;
use wg_portals::state::{Link, LinkKind, Peer, Reach, Route, RouteTarget, State, Tunnel, WireGuardBackend};
use wg_portals::wgquick::{self, WgQuickFile};

use crate::Scenario;
use crate::leaks::give_ipv6;
use crate::words::{reloaded, same, seconds, seen_as, seen_going_to, shell, start, succeeds, unreachable};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "phones leave at another site, and at the site that they dial",
        plots: &[NYC, PARIS],
        run: leave,
    },
    Scenario { name: "phones reach only their own networks", plots: &[NYC, PARIS, OSLO], run: stay_out },
    Scenario { name: "no leak of a phone", plots: &[NYC, PARIS], run: no_leak },
];

pub(crate) const WITH_WG_QUICK: &[Scenario] =
    &[Scenario { name: "wg-quick accepts the file of a phone", plots: &[NYC, PARIS], run: by_wg_quick }];

/// Network of the phones' own addresses: `100.64.N.2`, in a /24 whose `.1` is the internet's side.
const MOBILE: [u8; 2] = [100, 64];

fn leave(world: &mut World) -> Result<()> {
    let network = nyc_to_paris(world);
    let [mike, anna] = add_phones(world, &network, [&["mike", "--exit", "paris"], &["anna", "--keep-key"]])?;
    let shown = succeeds(world.site(NYC), &["phone", "show", "anna", "--no-qr"])?;
    same("anna's file, shown again", &shown, &anna)?;
    let (mike, anna) = (Phone::switch_on(world, 1, &mike)?, Phone::switch_on(world, 2, &anna)?);
    for (phone, exit) in [(&mike, PARIS), (&anna, NYC)] {
        seen_as(phone.client(), SERVER, exit.address)?;
        same("bytes fetched", phone.client().waiting(seconds(30.0)).download(SERVER)?, 200_000)?;
        same("bytes sent", phone.client().waiting(seconds(30.0)).upload(SERVER)?, 200_000)?;
    }
    let way = mike.client().traceroute(SERVER)?;
    same("the way", way, [NYC.tunnel(), PARIS.tunnel(), PARIS.gateway(), SERVER].map(Some).to_vec())?;
    let status = succeeds(world.site(NYC), &["status", "--json"])?;
    for words in [
        r#""phones":[{"name":"anna","exit":"nyc","endpoint":"100.64.2.2:"#,
        r#"{"name":"mike","exit":"paris","#,
    ] {
        same(&format!("{words} in {status}"), status.contains(words), true)?;
    }
    same(&format!("links and phones that are up, in {status}"), status.matches("\"up\":true").count(), 3)?;

    // The phone moves from one exit to the other, together with its connections.
    let network = file_of_nyc(world)?;
    reloaded(world, &[NYC], &network.replace("exit       = \"paris\"\n", ""))?;
    seen_as(mike.client(), SERVER, NYC.address)?;
    reloaded(world, &[NYC], &network)?;
    seen_as(mike.client(), SERVER, PARIS.address)
}

fn stay_out(world: &mut World) -> Result<()> {
    let network = world.network(|plot| match plot {
        NYC => "exits = [\"paris\"]\nlinks = [\"oslo\"]\n".to_owned(),
        _ => String::new(),
    });
    let [mike, anna] = add_phones(world, &network, [&["mike", "--exit", "paris"], &["anna"]])?;
    let (mike, anna) = (Phone::switch_on(world, 1, &mike)?, Phone::switch_on(world, 2, &anna)?);
    let _gateway = Server::start(&world.internet)?;
    let nyc = world.site(NYC);
    for (asked, seen) in [(HOME, HOME_ROUTER), (NYC.gateway(), NYC.address)] {
        seen_as(nyc.router(seconds(3.0)), asked, seen)?;
    }
    seen_as(nyc.home(seconds(3.0)), HOME_ROUTER, HOME)?;
    // From outside, Paris is an ordinary host of the internet; from inside, the phone must not reach it.
    for (phone, exit, address, others) in [
        (&mike, PARIS, mike_address(), [anna_address(), PARIS.address]),
        (&anna, NYC, anna_address(), [mike_address(), NYC.gateway()]),
    ] {
        seen_as(phone.client(), SERVER, exit.address)?;
        // The phone does answer the hosts that may reach it.
        seen_as(world.site(NYC).router(seconds(3.0)), address, NYC.tunnel())?;
        let sites = [HOME, HOME_ROUTER, NYC.tunnel(), PARIS.tunnel(), OSLO.tunnel()];
        for forbidden in sites.into_iter().chain(others) {
            unreachable(phone.client(), forbidden)?;
        }
    }
    let shared = file_of_nyc(world)?.replace("links = [", "lan = [\"192.168.1.0/24\"]\nlinks = [");
    // Paris has the same network at home, so it does not get this file.
    reloaded(world, &[NYC], &shared)?;
    seen_as(mike.client(), HOME, mike_address())?;
    seen_as(anna.client(), HOME, anna_address())
}

fn no_leak(world: &mut World) -> Result<()> {
    let guest = world.site(NYC).guest.clone();
    let v6 = give_ipv6(world, "portal0", &guest)?;
    let network = nyc_to_paris(world);
    let [mike, anna] = add_phones(world, &network, [&["mike", "--exit", "paris"], &["anna"]])?;
    let (mike, anna) = (Phone::switch_on(world, 1, &mike)?, Phone::switch_on(world, 2, &anna)?);
    seen_as(anna.client(), SERVER, NYC.address)?;
    seen_as(mike.client(), NYC.own_server(), PARIS.address)?;
    let capture = Capture::start(&world.site(NYC).router, "uplink")?;
    let by_itself = Capture::start(&mike.namespace, "eth0")?;
    let knock = || mike.client().knock(NYC.own_server(), 20);
    world.set_cut(NYC, PARIS, true)?;
    unreachable(mike.client(), NYC.own_server())?;
    knock()?;
    shell(
        &world.site(NYC).router,
        "ip rule flush; ip rule add priority 32766 lookup main; ip rule add priority 32767 lookup default",
    )?;
    knock()?;
    world.site(NYC).stop_agent()?;
    knock()?;
    world.site(NYC).start_agent()?;
    world.set_cut(NYC, PARIS, false)?;
    seen_as(mike.client(), NYC.own_server(), PARIS.address)?;
    // Its IPv6 goes into the tunnel, and no further.
    mike.client().knock(v6, 10)?;
    unreachable(mike.client(), v6)?;
    same("IPv6 that left outside the tunnel", seen_going_to(by_itself, v6)?, Vec::new())?;
    let mut packets = capture.stop()?;
    packets.retain(|packet| [IpAddr::from(NYC.own_server()), v6].contains(&packet.destination));
    same("packets that left via the uplink", packets, Vec::new())?;
    seen_as(anna.client(), SERVER, NYC.address)
}

/// Checks a phone's file with wg-quick, as on a laptop, including its resolvers.
fn by_wg_quick(world: &mut World) -> Result<()> {
    const FILE: &str = "/run/demo/mike.conf";
    let network = nyc_to_paris(world);
    let [mike] = add_phones(world, &network, [&["mike", "--exit", "paris"]])?;
    let laptop = on_the_road(world, 1, false)?;
    laptop.run(|| {
        fs::create_dir_all("/run/demo/bin")
            .and_then(|()| fs::write(FILE, &mike))
            .context(|| format!("cannot write {FILE}"))
    })?;
    // wg-quick passes the resolvers to the program `resolvconf`.
    let keeper = "printf '#!/bin/sh\\ncat > /run/demo/resolvers\\n' > /run/demo/bin/resolvconf; \
                  chmod 755 /run/demo/bin/resolvconf";
    shell(&laptop, &format!("{keeper}; PATH=/run/demo/bin:$PATH wg-quick up {FILE}"))?;
    seen_as(ProbeClient::new(&laptop, seconds(3.0)), SERVER, PARIS.address)?;
    let resolvers = shell(&laptop, "cat /run/demo/resolvers")?;
    same("its resolvers", resolvers.as_str(), "nameserver 9.9.9.9\nnameserver 149.112.112.112\n")
}

pub(crate) fn nyc_to_paris(world: &World) -> String {
    world.network(|plot| if plot == NYC { "exits = [\"paris\"]\n".to_owned() } else { String::new() })
}

/// Address of the first phone of the network.
pub(crate) fn mike_address() -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 1, 2)
}

/// Address of the second phone of the network.
pub(crate) fn anna_address() -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 1, 3)
}

/// Adds phones at nyc, gives the resulting file to all sites, and returns the output for each phone.
pub(crate) fn add_phones<const N: usize>(
    world: &mut World,
    network: &str,
    phones: [&[&str]; N],
) -> Result<[String; N]> {
    world.install(network)?;
    let mut files = [const { String::new() }; N];
    for (file, arguments) in files.iter_mut().zip(phones) {
        *file = succeeds(world.site(NYC), &[&["phone", "add", "--no-qr"], arguments].concat())?;
    }
    let network = file_of_nyc(world)?;
    start(world, &network)?;
    Ok(files)
}

fn file_of_nyc(world: &mut World) -> Result<String> {
    let read = || fs::read_to_string(NETWORK_FILE).context(|| format!("cannot read {NETWORK_FILE}"));
    world.site(NYC).router.run(read)
}

/// Device with an address of a mobile network, and a route to nyc only, or to everywhere.
fn on_the_road(world: &World, number: u8, only_to_nyc: bool) -> Result<Namespace> {
    let device = Namespace::new(&format!("phone {number}"))?;
    let cable = format!("mobile{number}");
    let address = |host| {
        let [a, b] = MOBILE;
        InterfaceAddress { address: Ipv4Addr::new(a, b, number, host).into(), length: 24 }
    };
    connect((&device, "eth0"), (&world.internet, &cable))?;
    world.internet.set_up(&cable, true)?;
    world.internet.add_address(&cable, address(1))?;
    device.set_up("lo", true)?;
    device.set_up("eth0", true)?;
    device.add_address("eth0", address(2))?;
    let all = Family::V4.everything();
    let to = if only_to_nyc { Cidr::host(NYC.address.into()) } else { all };
    device.add_route(to, address(1).address)?;
    Ok(device)
}

/// A phone that is switched on until dropped.
pub(crate) struct Phone {
    namespace: Namespace,
    /// Thread of the app, which ends when its channel closes.
    app: Option<(Sender<()>, JoinHandle<Result<()>>)>,
    _service: Server,
}

impl Phone {
    /// Switches a phone on with the file that its owner got.
    pub(crate) fn switch_on(world: &World, number: u8, file: &str) -> Result<Self> {
        let parsed = wgquick::parse(file.as_bytes());
        let parsed = parsed.map_err(|faults| Error::failed(format!("{faults:?} in {file}")))?;
        let namespace = on_the_road(world, number, true)?;
        let (off, until) = channel();
        let (up, begun) = channel();
        let inside = namespace.clone();
        let app = thread::spawn(move || inside.run(move || run_app(&parsed.config, &up, &until)));
        let service = Server::start(&namespace)?;
        if begun.recv().is_err() {
            let end = app.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            return Err(end.err().unwrap_or_else(|| Error::failed("the app has ended")));
        }
        Ok(Self { namespace, app: Some((off, app)), _service: service })
    }

    pub(crate) fn client(&self) -> ProbeClient<'_> {
        ProbeClient::new(&self.namespace, seconds(3.0))
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        if let Some((off, app)) = self.app.take() {
            drop(off);
            let end = app.join();
            if !matches!(end, Ok(Ok(()))) {
                println!("an app has failed to end its tunnel: {end:?}");
            }
        }
    }
}

/// Applies the file as a WireGuard app does, and undoes it when the channel closes. If the tunnel outlived
/// the cable, all its packets would go into itself: the kernel encrypts them again and again, for ever.
fn run_app(config: &WgQuickFile, up: &Sender<()>, until: &Receiver<()>) -> Result<()> {
    let mut kernel = Linux::open()?;
    let (on, off) = (tunnel(config)?, State::default());
    change(&mut kernel, &on, &off)?;
    let _ = up.send(());
    let _ = until.recv();
    change(&mut kernel, &off, &on)
}

fn change(kernel: &mut Linux, to: &State, from: &State) -> Result<()> {
    for outcome in kernel.apply(&diff(to, from)) {
        if let Outcome::Failed(error) = outcome {
            return Err(error);
        }
    }
    Ok(())
}

fn tunnel(config: &WgQuickFile) -> Result<State> {
    let name: IfName = "wg0".parse().expect("a name");
    let backend =
        if WireGuard::find()?.is_some() { WireGuardBackend::Kernel } else { WireGuardBackend::BuiltIn };
    let mtu = config.interface.mtu.unwrap_or(1420);
    let link = Link { kind: LinkKind::WireGuard(backend), mtu, alias: "portals:phone".to_owned() };
    let peer = |peer: &wgquick::PeerSection| {
        let address = peer.endpoint.as_ref().and_then(|endpoint| endpoint.to_string().parse().ok());
        let entry = Peer {
            preshared_key: peer.preshared_key.clone(),
            endpoint: address,
            keepalive: peer.keepalive,
            allowed_ips: peer.allowed_ips.iter().copied().collect(),
            alive: false,
        };
        (peer.public_key, entry)
    };
    let tunnel = Tunnel {
        private_key: config.interface.private_key.clone(),
        port: NonZeroU16::new(51821),
        fwmark: None,
        peers: config.peers.iter().map(peer).collect(),
    };
    let route = |destination: &Cidr| Route {
        table: Table::MAIN,
        destination: *destination,
        target: RouteTarget::Device { interface: name.clone(), source: None, reach: Reach::Link },
        metric: None,
    };
    Ok(State {
        routes: config.peers.iter().flat_map(|peer| &peer.allowed_ips).map(route).collect(),
        addresses: config.interface.addresses.iter().map(|address| (name.clone(), *address)).collect(),
        up: [name.clone()].into(),
        links: [(name.clone(), link)].into(),
        tunnels: [(name.clone(), tunnel)].into(),
        ..State::default()
    })
}
