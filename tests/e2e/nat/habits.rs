//! Links between homes behind NAT in the long run: quiet if they are direct, and as good as others if they
//! are relayed.

use std::fmt::Write as _;
use std::thread::sleep;
use std::time::Duration;

use wg_portals::base::error::{Error, Result};
use wg_portals::demo::{Capture, NYC, Namespace, OSLO, PARIS, Packet, Pings, Plot, World};

use super::homes::Home;
use super::meeting::{MEETING, Way, goes, meet, network};
use crate::Scenario;
use crate::words::{eventually, portal, reloaded, same, seconds, start, succeeds};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a direct link between homes sends nothing but WireGuard's packets",
        plots: &[OSLO],
        run: quiet,
    },
    Scenario { name: "failover counts a relayed link as up", plots: &[OSLO], run: failover },
    Scenario { name: "a helper that must not relay does not", plots: &[OSLO], run: not_relayed },
];

/// Time for which the packets of a quiet link are watched: two of WireGuard's keepalives.
const WATCHED: Duration = Duration::from_mins(1);

/// Largest number of packets of a quiet link in that time from one site: three keepalives, and two packets of
/// a new handshake and its confirmation.
const FEW: usize = 6;

/// Number of times that a link is watched until it is quiet. On a busy machine, the measurement of the path's
/// MTU and a second handshake, if both ends have begun one, come late. Neither comes a second time.
const TIMES: usize = 3;

fn quiet(world: &mut World) -> Result<()> {
    let built = [Home::PortRestricted.build(world, NYC)?, Home::PortRestricted.build(world, PARIS)?];
    let plots = [built[0].plot, built[1].plot];
    // Port mapping asks the router, and renews what it got.
    start(world, &network(world, "").replace("exits =", "port_mapping = false\nexits ="))?;
    Pings::begin(world.site(plots[0]), PARIS).until_answered(seconds(MEETING))?;
    goes(world, plots, Way::Direct)?;
    // The last pongs of the search have left.
    sleep(seconds(3.0));
    let hosts = plots.map(|plot| world.site(plot).router.clone());
    let mut watched = Ok(());
    for _ in 0..TIMES {
        watched = watch(&hosts);
        if watched.is_ok() {
            break;
        }
    }
    watched?;
    goes(world, plots, Way::Direct)
}

/// Checks that the uplinks of both homes carry few packets for a minute, and only those of WireGuard.
fn watch(hosts: &[Namespace]) -> Result<()> {
    let captures = hosts.iter().map(|host| Capture::start(host, "uplink")).collect::<Result<Vec<_>>>()?;
    sleep(WATCHED);
    let mut noise = Ok(());
    for (capture, host) in captures.into_iter().zip(hosts) {
        let mut packets = capture.stop()?;
        packets.retain(|packet| packet.source.is_ipv4());
        noise = noise.and(are_few(&packets, host));
    }
    noise
}

fn are_few(packets: &[Packet], host: &Namespace) -> Result<()> {
    println!("quiet  {} packets of {} in {WATCHED:?}", packets.len(), host.name());
    if packets.len() <= FEW && packets.iter().all(Packet::is_wireguard) {
        return Ok(());
    }
    let mut list = String::new();
    for packet in packets {
        let (seconds, length) = (packet.at.as_secs_f32(), packet.length);
        let _ = write!(list, "; after {seconds:.2} s {length} bytes: {packet}, {:x?}", packet.payload);
    }
    Err(Error::failed(format!("{} sent {} packets{list}", host.name(), packets.len())))
}

/// Network in which nyc's portal leaves at home if the link to paris is down.
fn with_another_exit(world: &World) -> String {
    let text = world.network(|plot| match plot {
        OSLO => String::new(),
        Plot { name: "nyc", .. } => portal(plot, r#""paris", "direct""#),
        plot => portal(plot, r#""nyc""#),
    });
    text.replace("[network]", "[network]\nfailover = { up_after = 5 }")
}

fn failover(world: &mut World) -> Result<()> {
    let (built, _) = meet(world, [Home::Symmetric; 2])?;
    let plots = [built[0].plot, built[1].plot];
    goes(world, plots, Way::Relayed)?;
    reloaded(world, &[plots[0], plots[1], OSLO], &with_another_exit(world))?;
    leaves(world, plots[0], PARIS, r#""exit":"paris","state":"open""#)?;
    // Longer than the silence after which an exit is down.
    sleep(seconds(8.0));
    leaves(world, plots[0], PARIS, r#""exit":"paris","state":"open""#)?;
    world.site(OSLO).kill_agent();
    world.internet.set_blocked(NYC.address.into(), OSLO.address.into(), true)?;
    leaves(world, plots[0], NYC, r#""exit":"direct","state":"direct""#)?;
    world.internet.set_blocked(NYC.address.into(), OSLO.address.into(), false)?;
    world.site(OSLO).start_agent()?;
    leaves(world, plots[0], PARIS, r#""exit":"paris","state":"open""#)
}

/// Waits until the guest of a home leaves at a site, and the home says so.
fn leaves(world: &mut World, home: Plot, exit: Plot, state: &str) -> Result<()> {
    eventually("the portal leaves at the right site", || {
        let report = succeeds(world.site(home), &["status", "--json"])?;
        same(&format!("{state} in {report}"), report.contains(state), true)?;
        let seen = world.site(home).guest(seconds(3.0)).who_am_i(home.own_server())?;
        same("seen", seen, exit.address.into())
    })
}

fn not_relayed(world: &mut World) -> Result<()> {
    let built = [Home::Symmetric.build(world, NYC)?, Home::Symmetric.build(world, PARIS)?];
    let plots = [built[0].plot, built[1].plot];
    start(world, &network(world, "relay = false\n"))?;
    // Both homes ask oslo, and are told of each other.
    eventually("nyc says why the link is down", || {
        let report = succeeds(world.site(plots[0]), &["status"])?;
        same(&format!("oslo's view of nyc in {report}"), report.contains(&NYC.address.to_string()), true)
    })?;
    let answer = Pings::begin(world.site(plots[0]), PARIS).until_answered(seconds(5.0));
    same("a ping without a relay is answered", answer.is_ok(), false)?;
    reloaded(world, &[OSLO, plots[0], plots[1]], &network(world, ""))?;
    Pings::begin(world.site(plots[0]), PARIS).until_answered(seconds(MEETING)).map(drop)
}
