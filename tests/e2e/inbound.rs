//! Forwarded ports of the uplink for a device behind a portal: only the device's replies return there.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};
use std::os::fd::AsRawFd as _;
use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::{Capture, DemoSite, HOME, NYC, Namespace, PARIS, ProbeClient, SERVER, World};

use crate::Scenario;
use crate::filters::everywhere_legacy;
use crate::ways::only_nyc;
use crate::words::{
    Who, eventually, filter_reverse_paths, no_leak, reloaded, same, seconds, seen_as, settled, shell, start,
    succeeds,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a forwarded port leads to a guest behind a portal, and nothing leaks",
        plots: &[NYC, PARIS],
        run: guests,
    },
    Scenario {
        name: "a forwarded port leads to a device at home that a portal takes in",
        plots: &[NYC, PARIS],
        run: devices,
    },
];

/// Forwarded port, TCP and UDP.
const PORT: u16 = 8080;

const HOME_OF: Who = |site| site.home.as_ref().expect("nyc has a home");

fn guests(world: &mut World) -> Result<()> {
    let guest = world.site(NYC).guest.clone();
    serve(&guest)?;
    lead_to(world.site(NYC), NYC.guest())?;
    start(world, &world.network(only_nyc("interface = \"portal0\"\ndhcp = false")))?;
    same("without `inbound`", ask(world, NYC.address).is_err(), true)?;
    reloaded(
        world,
        &[NYC],
        &world.network(only_nyc("interface = \"portal0\"\ndhcp = false\ninbound = true")),
    )?;
    reached(world)?;
    seen_as(ProbeClient::new(&guest, seconds(3.0)), SERVER, PARIS.address)?;
    seen_as(world.outsider(seconds(3.0)), NYC.address, SERVER)?;
    // A neighbour on the uplink's link needs no forwarded port to reach a device, and gets no reply.
    let [network, router] = [format!("{}/26", Ipv4Addr::new(10, 77, 1, 64)), NYC.address.to_string()];
    shell(&world.internet, &format!("ip route add {network} via {router}"))?;
    same("by routing alone", world.internet.run(|| asking(NYC.guest())).is_err(), true)?;
    for strict in [false, true] {
        filter_reverse_paths(&world.site(NYC).router, strict)?;
        abused(world, &guest)?;
    }
    no_leak(
        world,
        NYC,
        |site| &site.guest,
        |world| {
            world.site(NYC).kill_agent();
            reached(world)?;
            world.site(NYC).start_agent()?;
            settled(world.site(NYC))?;
            shell(&world.site(NYC).router, "ip rule flush; ip rule add priority 32766 lookup main")?;
            settled(world.site(NYC))?;
            reached(world)
        },
    )?;
    for (uplink, state) in [("1", "while it is up"), ("0", "once it is down")] {
        for (interface, wanted) in [("uplink", uplink), ("portal0", "0"), ("all", "0")] {
            let setting = format!("net/ipv4/conf/{interface}/src_valid_mark");
            same(&format!("{setting} {state}"), world.site(NYC).router.sysctl(&setting)?, wanted.to_owned())?;
        }
        world.site(NYC).kill_agent();
        succeeds(world.site(NYC), &["down"])?;
    }
    Ok(())
}

/// Checks that a client and the guest talk by UDP, and that the guest can send neither this client nor others
/// packets that are not replies.
fn abused(world: &mut World, guest: &Namespace) -> Result<()> {
    let doing = || "cannot talk by UDP".to_owned();
    let service = guest.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).context(doing))?;
    let outsider = world.server.run(|| UdpSocket::bind((SERVER, 0)).context(doing))?;
    let outside = outsider.local_addr().context(doing)?;
    for socket in [&service, &outsider] {
        socket.set_read_timeout(Some(seconds(3.0))).context(doing)?;
    }
    outsider.send_to(b"question", (NYC.address, PORT)).context(doing)?;
    let (_, asking) = service.recv_from(&mut [0; 16]).context(doing)?;
    same("who asks", asking, outside)?;

    let capture = Capture::start(&world.site(NYC).router, "uplink")?;
    let elsewhere = SocketAddr::from((SERVER, 5300));
    for there in [(NYC.own_server(), outside.port()).into(), (NYC.own_server(), PORT).into(), elsewhere] {
        service.send_to(b"no answer", there).context(doing)?;
    }
    for there in [NYC.own_server(), SERVER] {
        guest.run(|| send_error(there, asking).context(doing))?;
    }
    let other = guest.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context(doing))?;
    other.send_to(b"from another port", outside).context(doing)?;
    let (_, from) = outsider.recv_from(&mut [0; 32]).context(doing)?;
    same("who sent what is no answer", from.ip(), PARIS.address.into())?;
    // A reply leaves, and does not overtake the other packets.
    service.send_to(b"answer", asking).context(doing)?;
    let (_, from) = outsider.recv_from(&mut [0; 32]).context(doing)?;
    same("who answers", from, (NYC.address, PORT).into())?;
    let packets = capture.stop()?;
    let left: Vec<_> = packets
        .into_iter()
        .filter(|packet| packet.destination == SERVER || packet.destination == NYC.own_server())
        .collect();
    same(&format!("packets that left via the uplink, {left:?}"), left.len(), 1)
}

/// Sends an ICMP error about a packet that the guest got, to any destination.
fn send_error(there: Ipv4Addr, asking: SocketAddr) -> io::Result<()> {
    let IpAddr::V4(outside) = asking.ip() else { return Ok(()) };
    let mut packet = vec![3, 3, 0, 0, 0, 0, 0, 0];
    packet.extend([0x45, 0, 0, 36, 0, 0, 0x40, 0, 60, 17, 0, 0]);
    packet.extend(outside.octets());
    packet.extend(NYC.guest().octets());
    packet.extend([asking.port().to_be_bytes(), PORT.to_be_bytes(), [0, 16], [0, 0]].concat());
    let checksum = checksum(&packet);
    packet[2..4].copy_from_slice(&checksum.to_be_bytes());
    let raw = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp)?;
    let [a, b, c, d] = there.octets();
    sendto(raw.as_raw_fd(), &packet, &SockaddrIn::new(a, b, c, d, 0), MsgFlags::empty())?;
    Ok(())
}

/// Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded until it fits")
}

fn devices(world: &mut World) -> Result<()> {
    let home = HOME_OF(world.site(NYC)).clone();
    shell(&home, "ip link set eth0 address 02:00:00:00:00:01")?;
    serve(&home)?;
    lead_to(world.site(NYC), HOME)?;
    start(world, &world.network(only_nyc("from = [\"192.168.1.50\"]")))?;
    same("without `inbound`", ask(world, NYC.address).is_err(), true)?;
    for entrance in [
        "from = [\"192.168.1.50\"]\ninbound = true",
        "mac = [\"02:00:00:00:00:01\"]\ninbound = true",
        "interface = \"portal0\"\ninbound = true\ndhcp = false\nports = [\"tcp/1-65535\"]",
    ] {
        let network = world.network(only_nyc(entrance));
        reloaded(world, &[NYC], &network)?;
        reached(world).context(|| entrance.to_owned())?;
        if entrance.starts_with("interface") {
            break;
        }
        let client = ProbeClient::new(&home, seconds(3.0)).from(HOME);
        seen_as(client, SERVER, PARIS.address)?;
        no_leak(world, NYC, HOME_OF, reached)?;
    }
    Ok(())
}

/// Tells each client that connects its own address.
fn serve(host: &Namespace) -> Result<()> {
    let listener =
        host.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).context(|| "cannot listen".to_owned()))?;
    thread::spawn(move || {
        for mut peer in listener.incoming().flatten() {
            // A client that does not wait for the reply gets none.
            let _ = peer.peer_addr().and_then(|address| write!(peer, "{}", address.ip()));
        }
    });
    Ok(())
}

/// Makes the router forward the port to a device, as any firewall could.
fn lead_to(site: &DemoSite, device: Ipv4Addr) -> Result<()> {
    let rule = |protocol: &str| {
        if everywhere_legacy() {
            format!(
                "iptables-legacy -t nat -A PREROUTING -i uplink -p {protocol} --dport {PORT} \
                 -j DNAT --to-destination {device}; "
            )
        } else {
            format!("nft add rule ip forwards in iifname uplink {protocol} dport {PORT} dnat to {device}; ")
        }
    };
    let chain = "nft add table ip forwards; \
                 nft 'add chain ip forwards in { type nat hook prerouting priority -100; }'; ";
    let chain = if everywhere_legacy() { "" } else { chain };
    shell(&site.router, &format!("{chain}{}{}", rule("tcp"), rule("udp"))).map(drop)
}

/// Checks that a client on the internet reaches the device, which sees the client's address.
fn reached(world: &mut World) -> Result<()> {
    eventually("the device is reached", || same("who is seen", ask(world, NYC.address)?, SERVER.to_string()))
}

fn ask(world: &World, there: Ipv4Addr) -> Result<String> {
    world.server.run(|| asking(there))
}

fn asking(there: Ipv4Addr) -> Result<String> {
    let ask = || {
        let mut peer = TcpStream::connect_timeout(&(there, PORT).into(), seconds(2.0))?;
        peer.set_read_timeout(Some(seconds(2.0)))?;
        let mut text = String::new();
        peer.read_to_string(&mut text).map(|_| text)
    };
    ask().map_err(|error| Error::failed(format!("{there} does not answer: {error}")))
}
