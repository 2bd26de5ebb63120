//! Portals with several exits: they move when one goes down, and return once it has worked for a while.

use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::{DemoSite, NYC, OSLO, PARIS, Plot, SERVER, World};

use crate::Scenario;
use crate::words::{
    Who, eventually, no_leak, portal, reloaded, same, seconds, seen_as, shell, start, succeeds, unreachable,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a portal moves to the next exit, and back when the first one has held",
        plots: &[NYC, PARIS, OSLO],
        run: there_and_back,
    },
    Scenario { name: "the portal leaves directly if its list says so", plots: &[NYC, PARIS], run: direct },
    Scenario {
        name: "a move that fails at first is reported once it succeeds",
        plots: &[NYC, PARIS, OSLO],
        run: late,
    },
    Scenario {
        name: "an exit without internet access is left, with strict reverse-path filtering",
        plots: &[NYC, PARIS, OSLO],
        run: beyond,
    },
    Scenario { name: "the portal is blocked when no exit is left", plots: &[NYC, PARIS, OSLO], run: blocked },
    Scenario {
        name: "a new agent keeps the exit of the previous one",
        plots: &[NYC, PARIS, OSLO],
        run: killed,
    },
    Scenario {
        name: "apply with another exit makes connections begin anew",
        plots: &[NYC, PARIS],
        run: reapplied,
    },
];

const GUEST: Who = |site| &site.guest;

/// Seconds after which a portal has moved, even on a busy machine. On an idle machine it takes three seconds
/// of silence and less than one second for the rest, as the scenario prints.
const MOVING: f64 = 30.0;

/// Seconds for which an exit must answer: less than the default, so that scenarios are short.
const HOLDING: Duration = Duration::from_secs(5);

/// File that the hook writes, at its own site.
const TOLD: &str = "/run/demo/told";

/// Network in which nyc has one portal with a list of exits.
fn network(world: &World, exits: &'static str) -> String {
    let of = |plot: Plot| match plot {
        NYC => format!("hook = \"hook.sh\"\n{}", portal(NYC, exits)),
        _ => "exits = [\"nyc\"]\n".to_owned(),
    };
    let times = format!("[network]\nfailover = {{ up_after = {} }}", HOLDING.as_secs());
    world.network(of).replace("[network]", &times)
}

fn begin(world: &mut World, exits: &'static str) -> Result<()> {
    let hook =
        format!("#!/bin/sh\\necho $PORTALS_EVENT $PORTALS_PORTAL $PORTALS_PREVIOUS $PORTALS_EXIT >> {TOLD}");
    shell(
        &world.site(NYC).router,
        &format!("printf '{hook}\\n' > /run/demo/hook.sh; chmod 755 /run/demo/hook.sh"),
    )?;
    start(world, &network(world, exits))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    state_is(world.site(NYC), "paris", "open")
}

fn there_and_back(world: &mut World) -> Result<()> {
    begin(world, r#""paris", "oslo""#)?;
    let kept = world.site(NYC).guest(seconds(3.0)).connect(NYC.own_server())?;
    same("the connection is tracked", is_tracked(world.site(NYC), &kept)?, true)?;
    no_leak(world, NYC, GUEST, |world| {
        world.set_cut(NYC, PARIS, true)?;
        let took = until_seen_as(world, OSLO, MOVING)?;
        println!("       moved after {:.1} s", took.as_secs_f32());
        forgotten(world.site(NYC), &kept)?;
        state_is(world.site(NYC), "oslo", "failed-over")?;
        world.set_cut(NYC, PARIS, false)?;
        // The exit answers at WireGuard's next handshake attempt, and then must keep answering.
        let took = until_seen_as(world, PARIS, HOLDING.as_secs_f64() + 15.0)?;
        same(&format!("it came back after {took:?}, too soon"), took < HOLDING, false)?;
        state_is(world.site(NYC), "paris", "open")
    })?;
    let told = "failed-over way paris oslo\nopen way oslo paris\n";
    eventually("the hook is told of both", || {
        same("it", shell(&world.site(NYC).router, &format!("cat {TOLD} || true"))?.as_str(), told)
    })?;
    let log = world.site(NYC).log();
    for words in [
        "portal way: paris does not answer for 3 s; now through oslo",
        "portal way: paris has answered for 5 s; now through paris",
    ] {
        same(&format!("times that the log says `{words}`"), log.matches(words).count(), 1)?;
    }
    Ok(())
}

fn direct(world: &mut World) -> Result<()> {
    begin(world, r#""paris", "direct""#)?;
    world.set_cut(NYC, PARIS, true)?;
    until_seen_as(world, NYC, MOVING)?;
    state_is(world.site(NYC), "direct", "direct")?;
    world.set_cut(NYC, PARIS, false)?;
    until_seen_as(world, PARIS, HOLDING.as_secs_f64() + 15.0)?;
    // From now on it is not an exit, and no packet may leave there.
    reloaded(world, &[NYC, PARIS], &network(world, r#""paris""#))?;
    no_leak(world, NYC, GUEST, |world| {
        world.set_cut(NYC, PARIS, true)?;
        unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())
    })
}

/// A foreign interface takes the place of one of portals' own, so that apply fails; then it is removed.
fn late(world: &mut World) -> Result<()> {
    begin(world, r#""paris", "direct""#)?;
    let linked = network(world, r#""paris", "direct""#).replacen(
        "exits = [\"paris\"]",
        "exits = [\"paris\"]\nlinks = [\"oslo\"]",
        1,
    );
    reloaded(world, &[NYC, OSLO], &linked)?;
    // The agent may make its interface again before the foreign one comes.
    let usurp = "for try in $(seq 100); do \
                     ip link delete portals0 || true; \
                     if ip link add portals0 type veth peer name usurper0; then exit; fi; \
                 done; exit 1";
    shell(&world.site(NYC).router, usurp)?;
    world.set_cut(NYC, PARIS, true)?;
    eventually("the agent has decided", || {
        let decided = world.site(NYC).log().contains("now via this site's own uplink");
        same("it says so", decided, true)
    })?;
    std::thread::sleep(seconds(1.0));
    let told = |world: &mut World| shell(&world.site(NYC).router, &format!("cat {TOLD} || true"));
    same("what the hook is told while the move does not stand", told(world)?.as_str(), "")?;
    shell(&world.site(NYC).router, "ip link delete portals0")?;
    eventually("the hook is told", || same("it", told(world)?.as_str(), "direct way paris direct\n"))?;
    until_seen_as(world, NYC, MOVING).map(drop)
}

/// Checks that nyc leaves Paris, which answers all the time, but whose provider has lost the internet. The
/// same address is probed through both exits at once.
fn beyond(world: &mut World) -> Result<()> {
    begin(world, r#""paris", "oslo""#)?;
    let probing = network(world, r#""paris", "oslo""#)
        .replace("failover = {", &format!("failover = {{ probe = \"{SERVER}\","));
    reloaded(world, &[NYC, PARIS, OSLO], &probing)?;
    for interface in ["all", "to-paris", "to-oslo"] {
        let setting = world.site(NYC).router.sysctl(&format!("net/ipv4/conf/{interface}/rp_filter"))?;
        same(&format!("rp_filter of {interface}"), setting.as_str(), "1")?;
    }
    let trouble = |world: &mut World, is_there| {
        world.internet.set_blocked(SERVER.into(), PARIS.address.into(), is_there)
    };
    // This is longer than the silence that marks an exit as down: both exits answer.
    std::thread::sleep(seconds(MOVING));
    let report = succeeds(world.site(NYC), &["status", "--json"])?;
    for exit in ["paris", "oslo"] {
        let wanted = format!(r#""name":"{exit}","state":"up""#);
        same(&format!("{wanted} in {report}"), report.contains(&wanted), true)?;
    }
    no_leak(world, NYC, GUEST, |world| {
        trouble(world, true)?;
        until_seen_as(world, OSLO, MOVING)?;
        state_is(world.site(NYC), "oslo", "failed-over")?;
        trouble(world, false)?;
        until_seen_as(world, PARIS, HOLDING.as_secs_f64() + 5.0).map(drop)
    })?;
    let words = format!("portal way: {SERVER} does not answer through paris for 3 s; now through oslo");
    same(&words, world.site(NYC).log().contains(&words), true)
}

fn blocked(world: &mut World) -> Result<()> {
    begin(world, r#""paris", "oslo""#)?;
    no_leak(world, NYC, GUEST, |world| {
        world.set_cut(NYC, PARIS, true)?;
        world.set_cut(NYC, OSLO, true)?;
        eventually("the portal is blocked", || state_is(world.site(NYC), "nowhere", "blocked"))?;
        unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;
        succeeds(world.site(NYC), &["plan", "--check"])?;
        world.set_cut(NYC, OSLO, false)?;
        until_seen_as(world, OSLO, HOLDING.as_secs_f64() + 15.0).map(drop)
    })
}

fn killed(world: &mut World) -> Result<()> {
    begin(world, r#""paris", "oslo""#)?;
    no_leak(world, NYC, GUEST, |world| {
        world.set_cut(NYC, PARIS, true)?;
        until_seen_as(world, OSLO, MOVING)?;
        world.site(NYC).kill_agent();
        world.set_cut(NYC, PARIS, false)?;
        world.site(NYC).start_agent()?;
        let begun = Instant::now();
        eventually("the portal leaves in Oslo", || {
            state_is(world.site(NYC), "oslo", "failed-over")?;
            seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), OSLO.address)
        })?;
        until_seen_as(world, PARIS, HOLDING.as_secs_f64() + 15.0)?;
        let took = begun.elapsed();
        same(&format!("it came back after {took:?}, too soon"), took < HOLDING, false)
    })
}

/// Checks that a connection does not keep the uplink's address to which it was once translated.
fn reapplied(world: &mut World) -> Result<()> {
    start(world, &world.network(|plot| portal(plot, r#""direct""#)))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), NYC.address)?;
    let kept = world.site(NYC).guest(seconds(3.0)).connect(NYC.own_server())?;
    same("the connection is tracked", is_tracked(world.site(NYC), &kept)?, true)?;
    reloaded(world, &[NYC, PARIS], &network(world, r#""paris""#))?;
    forgotten(world.site(NYC), &kept)?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)
}

/// Waits until the guest of nyc is seen at the address of a site, and returns the time that this took. It
/// asks the server of all sites: the router itself refuses the last packets of the other server to a deleted
/// connection, which is not a leak.
fn until_seen_as(world: &mut World, plot: Plot, limit: f64) -> Result<Duration> {
    let (begun, limit) = (Instant::now(), seconds(limit));
    loop {
        let answer = world.site(NYC).guest(seconds(0.3)).who_am_i(SERVER);
        match answer {
            Ok(seen) if seen == plot.address => return Ok(begun.elapsed()),
            _ if begun.elapsed() < limit => {}
            answer => {
                let name = plot.name;
                let words = format!("the guest is not seen in {name} after {limit:?}, but: {answer:?}");
                return Err(Error::failed(words));
            }
        }
    }
}

/// Entry of nyc's portal in `portals status`.
fn state_is(site: &DemoSite, exit: &str, state: &str) -> Result<()> {
    let report = succeeds(site, &["status", "--json"])?;
    let wanted = format!(r#""exit":"{exit}","state":"{state}""#);
    same(&format!("{wanted} in {report}"), report.contains(&wanted), true)
}

fn forgotten(site: &DemoSite, connection: &TcpStream) -> Result<()> {
    eventually("the connection is forgotten", || same("it is tracked", is_tracked(site, connection)?, false))
}

/// Reports whether a site's router tracks a connection of its guest.
fn is_tracked(site: &DemoSite, connection: &TcpStream) -> Result<bool> {
    let port = connection.local_addr().context(|| "cannot tell a port".to_owned())?.port();
    let entry = format!("src={} dst={} sport={port} ", site.plot.guest(), site.plot.own_server());
    site.router.run(|| {
        let tracked = fs::read_to_string("/proc/thread-self/net/nf_conntrack");
        Ok(tracked.context(|| "cannot list the tracked connections".to_owned())?.contains(&entry))
    })
}
