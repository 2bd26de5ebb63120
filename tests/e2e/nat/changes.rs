//! Links between homes behind NAT that something disturbs: they come back, and nothing leaks meanwhile.
//!
//! `PORTALS_TEST_MAPPINGS` is the number of mappings that change under traffic (default 4).

use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::Instant;

use wg_portals::base::error::{Error, Result};
use wg_portals::demo::{NETWORK_FILE, NYC, OSLO, PARIS, Plot, World, forget_mappings};

use super::homes::{Built, Home};
use super::meeting::{Way, goes, goes_at_once, guests_leave, meet};
use super::traffic::Traffic;
use crate::Scenario;
use crate::words::{Who, no_leak, seconds, shell, succeeds};

/// Event that disturbs a link, and returns the addresses of both homes on the internet.
type Event = fn(&mut World, &[Built; 2]) -> Result<[Plot; 2]>;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a relayed link comes back when the relay has rebooted",
        plots: &[OSLO],
        run: |world| comes_back(world, "reboot of the relay", Way::Relayed, relay_reboots),
    },
    Scenario {
        name: "a relayed link comes back when the relay has been replaced",
        plots: &[OSLO],
        run: |world| comes_back(world, "another machine as the relay", Way::Relayed, relay_is_replaced),
    },
    Scenario {
        name: "a direct link comes back when all mappings are forgotten",
        plots: &[OSLO],
        run: |world| comes_back(world, "all mappings forgotten", Way::Direct, mappings_time_out),
    },
    Scenario {
        name: "a relayed link comes back when all mappings are forgotten",
        plots: &[OSLO],
        run: |world| comes_back(world, "all mappings forgotten", Way::Relayed, mappings_time_out),
    },
    Scenario {
        name: "a direct link comes back when the site has another address",
        plots: &[OSLO],
        run: |world| comes_back(world, "another address of the site", Way::Direct, site_moves),
    },
    Scenario {
        name: "a relayed link comes back when the site has another address",
        plots: &[OSLO],
        run: |world| comes_back(world, "another address of the site", Way::Relayed, site_moves),
    },
    Scenario {
        name: "a direct link comes back when the home router has another address",
        plots: &[OSLO],
        run: |world| comes_back(world, "another address of the router", Way::Direct, router_moves),
    },
    Scenario {
        name: "a relayed link comes back when the home router has another address",
        plots: &[OSLO],
        run: |world| comes_back(world, "another address of the router", Way::Relayed, router_moves),
    },
    Scenario { name: "an idle link comes back once it is used", plots: &[OSLO], run: idle },
    Scenario { name: "a relay learns changed mappings under traffic", plots: &[OSLO], run: relearns },
    Scenario { name: "a relayed link becomes direct under traffic", plots: &[OSLO], run: upgrades },
];

const GUEST: Who = |site| &site.guest;

/// Time limit until a link has come back, on a busy machine.
const COMING_BACK: f64 = 60.0;

/// Lets two homes meet, disturbs their link, and waits until it is back.
fn comes_back(world: &mut World, name: &str, way: Way, event: Event) -> Result<()> {
    let home = if way == Way::Relayed { Home::Symmetric } else { Home::PortRestricted };
    let (built, _) = meet(world, [home; 2])?;
    let plots = [built[0].plot, built[1].plot];
    goes(world, plots, way)?;
    guests_leave(world, plots, [NYC, PARIS])?;
    no_leak(world, plots[0], GUEST, |world| {
        let outside = event(world, &built)?;
        let plots = present(world);
        let start = Instant::now();
        let answers = Traffic::begin(world, plots).until_both_answered(seconds(COMING_BACK));
        answers.or_else(|error| Err(error.because(unanswered(world, plots)?)))?;
        println!("back   {:.2} s  {}  {name}", start.elapsed().as_secs_f64(), way.words());
        goes(world, plots, way)?;
        guests_leave(world, plots, outside)
    })
}

/// Plots of both homes, whose addresses may have changed.
fn present(world: &World) -> [Plot; 2] {
    let plot = |name| world.sites().iter().find(|site| site.plot.name == name).map(|site| site.plot);
    [NYC, PARIS].map(|home| plot(home.name).expect("a home of this world"))
}

/// Disturbs a link that has carried nothing for a while, and uses it again.
fn idle(world: &mut World) -> Result<()> {
    let (built, _) = meet(world, [Home::PortRestricted; 2])?;
    let plots = [built[0].plot, built[1].plot];
    goes(world, plots, Way::Direct)?;
    sleep(seconds(5.0));
    router_moves(world, &built)?;
    let start = Instant::now();
    Traffic::begin(world, plots).until_both_answered(seconds(COMING_BACK))?;
    println!("back   {:.2} s  direct  another address of the router, idle", start.elapsed().as_secs_f64());
    goes(world, plots, Way::Direct)
}

/// Says how both homes see their link.
fn unanswered(world: &mut World, plots: [Plot; 2]) -> Result<Error> {
    let reports = plots.map(|plot| succeeds(world.site(plot), &["status"]));
    let [one, other] = reports;
    Ok(Error::failed(format!("{}\n{}", one?, other?)))
}

fn relay_reboots(world: &mut World, _: &[Built; 2]) -> Result<[Plot; 2]> {
    let oslo = world.site(OSLO);
    oslo.kill_agent();
    succeeds(oslo, &["down"])?;
    forget_mappings(&oslo.router)?;
    oslo.start_agent()?;
    Ok([NYC, PARIS])
}

/// Lets another machine take the place of the relay, which knows nothing of the links.
fn relay_is_replaced(world: &mut World, built: &[Built; 2]) -> Result<[Plot; 2]> {
    let oslo = world.site(OSLO);
    oslo.stop_agent()?;
    shell(&oslo.router, &format!("rm -f {NETWORK_FILE}.relays"))?;
    relay_reboots(world, built)
}

fn mappings_time_out(_: &mut World, built: &[Built; 2]) -> Result<[Plot; 2]> {
    let mut routers = built.iter().flat_map(|home| &home.routers);
    routers.try_for_each(forget_mappings)?;
    Ok([NYC, PARIS])
}

fn site_moves(world: &mut World, built: &[Built; 2]) -> Result<[Plot; 2]> {
    let site = world.site(built[0].plot);
    let [a, b, c, _] = built[0].plot.address.octets();
    site.move_to(Ipv4Addr::new(a, b, c, 9))?;
    Ok([NYC, PARIS])
}

fn router_moves(_: &mut World, built: &[Built; 2]) -> Result<[Plot; 2]> {
    let [a, b, c, _] = NYC.address.octets();
    let address = Ipv4Addr::new(a, b, c, 77);
    let script = format!(
        "ip address delete {}/24 dev uplink; ip address add {address}/24 dev uplink
         ip route replace default via {}",
        NYC.address,
        NYC.gateway()
    );
    shell(&built[0].routers[0], &script)?;
    Ok([Plot { address, ..NYC }, PARIS])
}

/// Makes both homes ping each other, and changes the mappings of one home after the other.
fn relearns(world: &mut World) -> Result<()> {
    let number = std::env::var("PORTALS_TEST_MAPPINGS").ok().and_then(|number| number.parse().ok());
    let (built, _) = meet(world, [Home::Symmetric; 2])?;
    let plots = [built[0].plot, built[1].plot];
    goes(world, plots, Way::Relayed)?;
    let mut traffic = Traffic::begin(world, plots);
    traffic.until_both_answered(seconds(COMING_BACK))?;
    for change in 0..number.unwrap_or(4) {
        forget_mappings(&built[change % 2].routers[0])?;
        let lost = traffic.until_both_answered(seconds(COMING_BACK))?;
        println!("lost   {lost}");
        // A relay changes its rules every two seconds on average.
        let rest = Instant::now();
        while rest.elapsed() < seconds(2.5) {
            traffic.turn();
        }
    }
    goes(world, plots, Way::Relayed)
}

/// Opens the direct path of a relayed link while packets flow.
fn upgrades(world: &mut World) -> Result<()> {
    world.set_cut(NYC, PARIS, true)?;
    let (built, _) = meet(world, [Home::PortRestricted; 2])?;
    let plots = [built[0].plot, built[1].plot];
    goes(world, plots, Way::Relayed)?;
    let mut traffic = Traffic::begin(world, plots);
    traffic.until_both_answered(seconds(COMING_BACK))?;
    world.set_cut(NYC, PARIS, false)?;
    let start = Instant::now();
    while goes_at_once(world, plots, Way::Direct).is_err() {
        if start.elapsed() > seconds(COMING_BACK) {
            return Err(Error::failed("the link is still relayed"));
        }
        (0..10).for_each(|_| traffic.turn());
    }
    let took = start.elapsed();
    (0..20).for_each(|_| traffic.turn());
    let (sent, lost) = traffic.finish();
    println!("direct {:.2} s  after the path was opened, {lost} of {sent} packets lost", took.as_secs_f64());
    if lost * 20 > sent { Err(Error::failed(format!("{lost} of {sent} packets were lost"))) } else { Ok(()) }
}
