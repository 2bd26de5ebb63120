//! Vocabulary of the scenarios.

use std::net::IpAddr;
use std::process::Output;
use std::thread;
use std::time::Duration;

use wg_portals::base::error::{Error, Result};
use wg_portals::base::net::Family;
use wg_portals::demo::{Capture, DemoSite, Namespace, Packet, Plot, ProbeClient, World, echoes};

use crate::concurrently::concurrently;
use crate::fastpath;
pub(crate) use crate::shells::{eventually, same, seconds, shell, spawn_at, within};

/// Pause between two packets, which leaves time for other work to a router with one processor.
fn breath() -> Duration {
    seconds(0.005)
}

/// Time that an unexpected success gets.
fn never() -> Duration {
    seconds(1.0)
}

/// Portal on the guests' NIC of a site, with the exits `exits`: quoted names, separated by commas.
pub(crate) fn portal(plot: Plot, exits: &str) -> String {
    portal_of(plot, exits, "interface = \"portal0\"\ndhcp = false")
}

/// Portal with any entrance.
pub(crate) fn portal_of(plot: Plot, exits: &str, entrance: &str) -> String {
    let sites = exits.replace("\"direct\"", "").trim_end_matches([',', ' ']).to_owned();
    let name = plot.name;
    let fastpath = if fastpath::is_on() { "fastpath = true\n" } else { "" };
    format!("{fastpath}exits = [{sites}]\n\n[site.{name}.portal.way]\nexit = [{exits}]\n{entrance}\n")
}

/// Gives all sites the network file, starts their agents, and waits until they have settled.
pub(crate) fn start(world: &mut World, network: &str) -> Result<()> {
    world.install(network)?;
    for plot in plots(world) {
        world.site(plot).start_agent()?;
    }
    plots(world).into_iter().try_for_each(|plot| settled(world.site(plot)))
}

/// Plots of a world.
pub(crate) fn plots(world: &World) -> Vec<Plot> {
    world.sites().iter().map(|site| site.plot).collect()
}

/// Waits until a site's agent has nothing left to change.
pub(crate) fn settled(site: &DemoSite) -> Result<()> {
    eventually(&format!("{} is as its file says", site.plot.name), || {
        let output = site.portals(&["plan", "--check"])?;
        let wants = String::from_utf8_lossy(&output.stdout);
        same(&format!("status of plan --check, which wants to\n{wants}"), output.status.code(), Some(0))
    })
}

/// Gives some sites another file, and waits until it is in force at all of them.
pub(crate) fn reloaded(world: &mut World, plots: &[Plot], network: &str) -> Result<()> {
    for plot in plots {
        let site = world.site(*plot);
        site.install(network)?;
        site.agent()?.reload()?;
    }
    plots.iter().try_for_each(|plot| settled(world.site(*plot)))
}

/// Output of a command that must succeed.
pub(crate) fn succeeds(site: &DemoSite, arguments: &[&str]) -> Result<String> {
    let Output { status, stdout, stderr } = site.portals(arguments)?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&stderr).into_owned();
    Err(Error::failed(format!("portals {} at {}: {status}: {words}", arguments.join(" "), site.plot.name)))
}

/// Sets `rp_filter` of all interfaces to strict, or off.
pub(crate) fn filter_reverse_paths(host: &Namespace, strict: bool) -> Result<()> {
    let value = u8::from(strict);
    shell(host, &format!("for file in /proc/sys/net/ipv4/conf/*/rp_filter; do echo {value} >$file; done"))
        .map(drop)
}

/// Lets the packets of tunnels and of the server leave one by one, as on a wire: on the way between two
/// namespaces, a run of them stays in one piece, which a filter takes for one large packet.
pub(crate) fn send_one_by_one(world: &World) -> Result<()> {
    // A run that came out of a tunnel does not tell the number of its packets, only its length.
    let limits = "gso_max_segs 1 gso_max_size 1500";
    shell(&world.server, &format!("ip link set eth0 {limits}"))?;
    for site in world.sites() {
        shell(&site.router, &format!("ip link set uplink {limits}"))?;
    }
    Ok(())
}

/// Checks that a server sees this client as `address`, within the usual time.
pub(crate) fn seen_as(
    client: ProbeClient,
    server: impl Into<IpAddr>,
    address: impl Into<IpAddr>,
) -> Result<()> {
    let (server, address) = (server.into(), address.into());
    eventually("the right address is seen", || {
        same(
            &format!("{} at {server}, seen", client.namespace.name()),
            client.waiting(seconds(3.0)).who_am_i(server)?,
            address,
        )
    })
}

/// Checks that a server does not answer this client.
pub(crate) fn unreachable(client: ProbeClient, server: impl Into<IpAddr>) -> Result<()> {
    let server = server.into();
    match client.waiting(never()).who_am_i(server) {
        Err(_) => Ok(()),
        Ok(seen) => {
            let name = client.namespace.name();
            Err(Error::failed(format!("{name} reached {server}, which saw it as {seen}")))
        }
    }
}

/// Selects a computer of a site.
pub(crate) type Who = fn(&DemoSite) -> &Namespace;

/// Checks that no packet from `who` to the site's own server leaves via the uplink while `events` happen, and
/// that packets were sent.
pub(crate) fn no_leak(
    world: &mut World,
    plot: Plot,
    who: Who,
    events: impl FnOnce(&mut World) -> Result<()>,
) -> Result<()> {
    no_leak_in(&[Family::V4], world, plot, who, events)
}

/// Checks the same in several address families at once.
pub(crate) fn no_leak_in(
    families: &[Family],
    world: &mut World,
    plot: Plot,
    who: Who,
    events: impl FnOnce(&mut World) -> Result<()>,
) -> Result<()> {
    let servers: Vec<IpAddr> = families.iter().map(|family| plot.addresses(*family).own_server).collect();
    let capture = Capture::start(&world.site(plot).router, "uplink")?;
    let who = who(world.site(plot)).clone();
    let tried = while_knocking(&ProbeClient::new(&who, never()), &servers, || events(world))?;
    let mut leaks = capture.stop()?;
    leaks.retain(|packet| servers.contains(&packet.destination));
    match leaks.first() {
        None if tried > 0 => Ok(()),
        None => Err(Error::failed("no packet was sent")),
        Some(first) => Err(Error::failed(format!(
            "{} of about {tried} packets left via the uplink, the first of them {first}",
            leaks.len()
        ))),
    }
}

/// Ends a capture, and returns the packets to `destination`.
pub(crate) fn seen_going_to(capture: Capture, destination: IpAddr) -> Result<Vec<Packet>> {
    let mut packets = capture.stop()?;
    packets.retain(|packet| packet.destination == destination);
    Ok(packets)
}

/// Sends packets to each server until `events` are over, at least one, and returns their number.
fn while_knocking(
    client: &ProbeClient,
    servers: &[IpAddr],
    events: impl FnOnce() -> Result<()>,
) -> Result<usize> {
    let knock = |is_over: &dyn Fn() -> bool| {
        let (mut tried, mut flows) = (0, Vec::new());
        loop {
            for server in servers {
                tried += client.knock(*server, 1)?;
            }
            if fastpath::is_on() {
                // A flow is at work all the time.
                flows.retain_mut(echoes);
                if flows.is_empty() {
                    flows.extend(client.waiting(seconds(0.1)).connect(servers[0]).ok());
                }
            }
            if is_over() {
                return Ok(tried);
            }
            thread::sleep(breath());
        }
    };
    let (result, tried) = concurrently(events, knock);
    result.and(tried)
}
