//! Interfaces that portals enter by, and what happens to them: they become ports of others, and get other names.

use std::net::Ipv4Addr;

use wg_portals::demo::{Capture, Client, HOME, NYC, Namespace, PARIS, World, connect};
use wg_portals::error::Result;

use crate::Scenario;
use crate::ways::{each_other, only_nyc};
use crate::words::{
    Who, eventually, no_leak, reloaded, same, seconds, seen_as, seen_going_to, settled, shell, start,
    succeeds, unreachable,
};

/// What needs a kernel that has bridges.
pub(crate) const WITH_BRIDGES: &[Scenario] = &[
    Scenario {
        name: "no leak of a portal whose NIC becomes a port of a bridge",
        plots: &[NYC, PARIS],
        run: port,
    },
    Scenario { name: "a portal of a whole bridge", plots: &[NYC, PARIS], run: bridge },
];

/// Whether this kernel has bridges.
pub(crate) fn has_bridges() -> bool {
    Namespace::new("bridges").is_ok_and(|host| shell(&host, "ip link add br0 type bridge").is_ok())
}

const GUEST: Who = |site| &site.guest;

/// A bridge of the home's, which anybody on it could leave by, were it not for portals.
const BRIDGE: &str = "ip link add br-lan type bridge; ip address add 192.168.77.1/24 dev br-lan; ip link set br-lan up; \
                      for file in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$file; done; ";

fn port(world: &mut World) -> Result<()> {
    let network = world.network(each_other);
    start(world, &network)?;
    let reached =
        |world: &mut World| seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address);
    reached(world)?;
    let router = world.site(NYC).router.clone();
    let neighbour = neighbour(&router)?;
    shell(&router, BRIDGE)?;
    shell(&router, "ip link set br-far up; ip link set br-far master br-lan")?;
    no_leak(world, NYC, GUEST, |world| {
        shell(&router, "ip link set portal0 master br-lan")?;
        is_blocked(world)?;
        unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;
        // Whoever comes in by another port of the bridge is no concern of ours.
        seen_as(Client::new(&neighbour, seconds(3.0)), HOME, Ipv4Addr::new(192, 168, 77, 5))?;
        shell(&router, "ip link set portal0 nomaster")?;
        reached(world)?;

        // An apply finds it so, as the agent does.
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
    is_blocked(world)?;
    let capture = Capture::start(&router, "uplink")?;
    Client::new(GUEST(world.site(NYC)), seconds(1.0)).knock(NYC.own_server(), 10)?;
    same("packets that left by the uplink", seen_going_to(capture, NYC.own_server().into())?, Vec::new())?;
    let site = world.site(NYC);
    site.stop_agent()?;
    succeeds(site, &["down"])?;
    same("tables that are left", shell(&router, "nft list tables netdev 2>/dev/null || true")?.trim(), "")?;
    let left = shell(&router, "ip -br address show dev portal0; ip link show portal0 master br-lan")?;
    same(&format!("an address in {left}"), left.contains("10.77."), false)?;
    same(&format!("a port in {left}"), left.contains("master br-lan"), true)
}

/// A computer on a port that portals has nothing to do with.
fn neighbour(router: &Namespace) -> Result<Namespace> {
    let neighbour = Namespace::new("the neighbour")?;
    connect((router, "br-far"), (&neighbour, "eth0"))?;
    shell(
        &neighbour,
        "ip link set lo up; ip link set eth0 up; ip address add 192.168.77.5/24 dev eth0; ip route add default via 192.168.77.1",
    )?;
    Ok(neighbour)
}

/// NYC's portal is blocked, says so, and nothing is left to do about it.
fn is_blocked(world: &mut World) -> Result<()> {
    settled(world.site(NYC))?;
    let site = world.site(NYC);
    eventually("the portal is blocked", || {
        let told = succeeds(site, &["status", "--json"])?;
        let blocked = told.contains(r#""state":"blocked","reason":"portal0 is a port of br-lan, so that"#);
        same(&format!("blocked, with the reason, in {told}"), blocked, true)
    })?;
    let log = site.log();
    same(
        &format!("the reason in {log}"),
        log.contains("portal `way` is blocked: portal0 is a port of br-lan"),
        true,
    )
}

fn bridge(world: &mut World) -> Result<()> {
    let router = world.site(NYC).router.clone();
    shell(
        &router,
        "ip link add br-guest type bridge; ip link set portal0 master br-guest; ip link set portal0 up",
    )?;
    start(world, &world.network(only_nyc("interface = \"br-guest\"\ndhcp = false")))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    // The other way to write it is the wrong one.
    let port = world.network(only_nyc("interface = \"portal0\"\ndhcp = false"));
    reloaded(world, &[NYC, PARIS], &port)?;
    unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())
}
