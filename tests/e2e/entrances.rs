//! Entrance interfaces and their changes: they become ports of bridges, and get other names.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd as _;

use nix::net::if_::if_nametoindex;
use nix::sys::socket::sockopt::Ipv6MulticastHops;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn6, sendto, setsockopt, socket,
};

use wg_portals::base::error::{Context as _, Result};
use wg_portals::demo::{Capture, HOME, NYC, Namespace, PARIS, ProbeClient, World, connect};

use crate::Scenario;
use crate::leaks::give_ipv6;
use crate::ways::{each_other, only_nyc};
use crate::words::{
    Who, eventually, filter_reverse_paths, no_leak, reloaded, same, seconds, seen_as, seen_going_to, settled,
    shell, start, succeeds, unreachable,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "no leak of a portal whose NIC gets another name", plots: &[NYC, PARIS], run: renamed },
    Scenario {
        name: "a portal's guest does not become the IPv6 router of this host",
        plots: &[NYC, PARIS],
        run: advertised,
    },
    Scenario {
        name: "a portal is blocked while a foreign rule precedes its own",
        plots: &[NYC, PARIS],
        run: rule_in_front,
    },
];

/// Scenarios that need a kernel with bridges.
pub(crate) const WITH_BRIDGES: &[Scenario] = &[
    Scenario {
        name: "no leak of a portal whose NIC becomes a port of a bridge",
        plots: &[NYC, PARIS],
        run: port,
    },
    Scenario { name: "a portal takes in a whole bridge", plots: &[NYC, PARIS], run: bridge },
];

/// Reports whether this kernel has bridges.
pub(crate) fn has_bridges() -> bool {
    Namespace::new("bridges").is_ok_and(|host| shell(&host, "ip link add br0 type bridge").is_ok())
}

/// Begins the reason of a portal whose interface is a port.
const PORT: &str = "portal0 is a port of br-lan, so its packets";

const GUEST: Who = |site| &site.guest;

/// Bridge of the home, via which every computer on it could leave without portals.
const BRIDGE: &str = "ip link add br-lan type bridge; ip address add 192.168.77.1/24 dev br-lan; \
                      ip link set br-lan up; \
                      for file in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$file; done; ";

fn port(world: &mut World) -> Result<()> {
    let network = world.network(each_other);
    start(world, &network)?;
    reached(world)?;
    let router = world.site(NYC).router.clone();
    let neighbour = neighbour(&router)?;
    shell(&router, BRIDGE)?;
    shell(&router, "ip link set br-far up; ip link set br-far master br-lan")?;
    no_leak(world, NYC, GUEST, |world| {
        shell(&router, "ip link set portal0 master br-lan")?;
        is_blocked(world, PORT)?;
        unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;
        // Traffic that comes in via another port of the bridge does not concern portals.
        seen_as(ProbeClient::new(&neighbour, seconds(3.0)), HOME, Ipv4Addr::new(192, 168, 77, 5))?;
        shell(&router, "ip link set portal0 nomaster")?;
        reached(world)?;

        // An apply finds the port as well, as the agent does.
        world.site(NYC).stop_agent()?;
        shell(&router, "ip link set portal0 master br-lan")?;
        Ok(())
    })?;
    let site = world.site(NYC);
    let differs = site.portals(&["plan", "--check"])?;
    same("the status of plan --check", differs.status.code(), Some(3))?;
    let told = String::from_utf8_lossy(&differs.stderr).into_owned();
    same(&format!("the reason in {told}"), told.contains("portal0 is a port of br-lan"), true)?;
    site.start_agent()?;
    is_blocked(world, PORT)?;
    let capture = Capture::start(&router, "uplink")?;
    ProbeClient::new(GUEST(world.site(NYC)), seconds(1.0)).knock(NYC.own_server(), 10)?;
    same("packets that left via the uplink", seen_going_to(capture, NYC.own_server().into())?, Vec::new())?;
    let site = world.site(NYC);
    site.stop_agent()?;
    succeeds(site, &["down"])?;
    same("tables that are left", shell(&router, "nft list tables netdev 2>/dev/null || true")?.trim(), "")?;
    let left = shell(&router, "ip -br address show dev portal0; ip link show portal0 master br-lan")?;
    same(&format!("an address in {left}"), left.contains("10.77."), false)?;
    same(&format!("a port in {left}"), left.contains("master br-lan"), true)
}

/// Computer on a port that no portal uses.
fn neighbour(router: &Namespace) -> Result<Namespace> {
    let neighbour = Namespace::new("the neighbour")?;
    connect((router, "br-far"), (&neighbour, "eth0"))?;
    shell(
        &neighbour,
        "ip link set lo up; ip link set eth0 up; ip address add 192.168.77.5/24 dev eth0; \
         ip route add default via 192.168.77.1",
    )?;
    Ok(neighbour)
}

/// Checks that NYC's portal is blocked and says so, and that the agent has nothing left to do.
fn is_blocked(world: &mut World, reason: &str) -> Result<()> {
    settled(world.site(NYC))?;
    let site = world.site(NYC);
    eventually("the portal is blocked", || {
        let told = succeeds(site, &["status", "--json"])?;
        let blocked = told.contains(&format!(r#""state":"blocked","reason":"{reason}"#));
        same(&format!("blocked, with the reason, in {told}"), blocked, true)
    })?;
    let log = site.log();
    let is_logged = log.contains(&format!("portal `way` is blocked: {reason}"));
    same(&format!("the reason in {log}"), is_logged, true)
}

fn reached(world: &mut World) -> Result<()> {
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)
}

/// Renames an interface as udev and hot-plug do: the interface keeps its addresses. Older kernels rename only
/// interfaces that are down, and meanwhile the agent sets a portal's interface up again.
fn rename(router: &Namespace, from: &str, to: &str) -> Result<()> {
    eventually(&format!("{from} is called {to}"), || {
        shell(router, &format!("ip link set {from} down && ip link set {from} name {to}")).map(drop)
    })?;
    shell(router, &format!("ip link set {to} up")).map(drop)
}

fn renamed(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    reached(world)?;
    let router = world.site(NYC).router.clone();
    filter_reverse_paths(&router, false)?;
    no_leak(world, NYC, GUEST, |world| {
        rename(&router, "portal0", "lan7")?;
        unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;
        is_blocked(world, "portal0 is now called lan7: write the new name into the file")?;
        unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;

        // A card of another kind takes the name: it does not get the address that the portal's own card has
        // kept.
        shell(
            &router,
            "ip link add portal0 type veth peer name far0; ip link set far0 up; ip link set portal0 up",
        )?;
        is_blocked(world, "portal0 is now another interface: the address 10.77.1.65/26 is on lan7;")?;
        unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;
        same("its addresses", shell(&router, "ip -4 -o address show dev portal0")?, String::new())?;
        shell(&router, "ip address delete 10.77.1.65/26 dev lan7")?;
        eventually("the other card is the portal's", || {
            shell(&router, "ip -4 -o address show dev portal0 | grep 10.77.1.65/26").map(drop)
        })?;
        shell(&router, "ip link delete portal0")?;
        rename(&router, "lan7", "portal0")?;
        reached(world)
    })
}

/// A host that does not forward IPv6 accepts any router by default.
fn advertised(world: &mut World) -> Result<()> {
    let router = world.site(NYC).router.clone();
    let guest = GUEST(world.site(NYC)).clone();
    let settings = "for which in all portal0; do echo 0 >/proc/sys/net/ipv6/conf/$which/forwarding; done; \
                    echo 1 >/proc/sys/net/ipv6/conf/portal0/accept_ra; ip link set portal0 up";
    shell(&router, settings)?;
    shell(&guest, "ip address add fe80::bad/64 dev eth0 nodad")?;
    eventually("the router believes its guest", || {
        advertise(&guest, "eth0")?;
        same("it does", learned(&router)?.is_empty(), false)
    })?;
    shell(&router, "ip -6 route flush proto ra")?;
    start(world, &world.network(each_other))?;
    for _ in 0..5 {
        advertise(&guest, "eth0")?;
    }
    // A later packet on the same path cannot overtake the advertisement.
    reached(world)?;
    same("routes by the guest", learned(&router)?, String::new())?;
    let site = world.site(NYC);
    site.stop_agent()?;
    succeeds(site, &["down"])?;
    same("the setting", router.sysctl("net/ipv6/conf/portal0/accept_ra")?, "1".to_owned())?;

    // An interface that went away took its settings along.
    let site = world.site(NYC);
    site.start_agent()?;
    settled(site)?;
    site.stop_agent()?;
    shell(&router, "ip link delete portal0")?;
    succeeds(site, &["down"]).map(drop)
}

/// Sends a router advertisement to all nodes (RFC 4861, section 4.2).
pub(crate) fn advertise(host: &Namespace, interface: &str) -> Result<()> {
    advertise_with(host, interface, &[])
}

/// Sends a router advertisement with options.
pub(crate) fn advertise_with(host: &Namespace, interface: &str, options: &[u8]) -> Result<()> {
    let doing = || "cannot send a router advertisement".to_owned();
    // The lifetime is half an hour; the kernel fills in the checksum.
    let message = [&[134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0], options].concat();
    host.run(|| {
        let device = if_nametoindex(interface).context(doing)?;
        let all =
            SockaddrIn6::from(SocketAddrV6::new(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), 0, 0, device));
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket =
            socket(AddressFamily::Inet6, SockType::Raw, flags, SockProtocol::IcmpV6).context(doing)?;
        setsockopt(&socket, Ipv6MulticastHops, &255).context(doing)?;
        sendto(socket.as_raw_fd(), &message, &all, MsgFlags::empty()).map(drop).context(doing)
    })
}

/// Routes to the internet that the router learnt from advertisements.
fn learned(router: &Namespace) -> Result<String> {
    shell(router, "ip -6 route show default dev portal0 proto ra").map(|routes| routes.trim().to_owned())
}

fn rule_in_front(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    let router = world.site(NYC).router.clone();
    // These rules let traffic through to portals' rules.
    shell(
        &router,
        "ip rule add priority 51 fwmark 1 lookup main; \
         ip rule add priority 52 lookup main suppress_prefixlength 0; \
         ip rule add priority 53 lookup 4321; ip rule add priority 54 lookup local; \
         ip rule add priority 55 iif lan0 lookup main",
    )?;
    settled(world.site(NYC))?;
    reached(world)?;
    no_leak(world, NYC, GUEST, |world| {
        shell(&router, "ip rule add priority 50 lookup main")?;
        unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;
        is_blocked(world, "the rule `50: from all lookup main` comes before ours: delete it")?;
        shell(&router, "ip rule delete priority 50")?;
        reached(world)?;
        // Rules of a VPN client for all traffic, behind portals' rules: the portal still works, and no
        // message mentions them.
        shell(
            &router,
            "ip route add default via 198.51.100.1 table 52; \
             ip rule add priority 5210 fwmark 0x80000/0xff0000 lookup main; \
             ip rule add priority 5250 fwmark 0x80000/0xff0000 unreachable; \
             ip rule add priority 5270 lookup 52",
        )?;
        settled(world.site(NYC))?;
        reached(world)
    })?;
    let told = succeeds(world.site(NYC), &["status", "--json"])?;
    same(&format!("open, in {told}"), told.contains(r#""state":"open""#), true)?;
    ipv6_in_front(world)
}

/// Checks that the firewall refuses the IPv6 of a portal's devices, and of this router if it is a portal
/// itself, even if a foreign rule leads it elsewhere.
fn ipv6_in_front(world: &mut World) -> Result<()> {
    let guest = GUEST(world.site(NYC)).clone();
    let server = give_ipv6(world, "portal0", &guest)?;
    let router = world.site(NYC).router.clone();
    shell(&router, "ip -6 rule add priority 50 lookup main")?;
    let itself = world.network(only_nyc("self = true"));
    for (network, who) in [(None, &guest), (Some(&itself), &router)] {
        network.map_or(Ok(()), |network| reloaded(world, &[NYC, PARIS], network))?;
        settled(world.site(NYC))?;
        let capture = Capture::start(&router, "uplink")?;
        ProbeClient::new(who, seconds(1.0)).knock(server, 10)?;
        same("IPv6 that left via the uplink", seen_going_to(capture, server)?, Vec::new())?;
        seen_as(ProbeClient::new(who, seconds(3.0)), NYC.own_server(), PARIS.address)?;
    }
    let told = succeeds(world.site(NYC), &["status", "--json"])?;
    same(&format!("open, in {told}"), told.contains(r#""state":"open""#), true)
}

fn bridge(world: &mut World) -> Result<()> {
    let router = world.site(NYC).router.clone();
    shell(
        &router,
        "ip link add br-guest type bridge; ip link set portal0 master br-guest; ip link set portal0 up",
    )?;
    start(world, &world.network(only_nyc("interface = \"br-guest\"\ndhcp = false")))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    // The bridge's port as the entrance is wrong, and the portal is blocked.
    let port = world.network(only_nyc("interface = \"portal0\"\ndhcp = false"));
    reloaded(world, &[NYC, PARIS], &port)?;
    unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())
}
