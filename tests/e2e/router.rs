//! Services of the router that devices of its portals reach.

use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};

use wg_portals::base::error::{Context as _, Result};
use wg_portals::demo::{
    HOME, HOME_ROUTER, NETWORK_FILE, NYC, OTHER_HOME, PARIS, ProbeClient, SERVER, World, echoes,
};

use crate::leaks::{give_ipv6, v6};
use crate::ways::only_nyc;
use crate::words::{eventually, reloaded, same, seconds, seen_as, shell, start, succeeds, unreachable};
use crate::{Scenario, program};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "guests of a portal reach none of the router's services, and a warning precedes the closing",
        plots: &[NYC, PARIS],
        run: guests,
    },
    Scenario {
        name: "a device of a portal at home reaches none of the router's services",
        plots: &[NYC, PARIS],
        run: device,
    },
];

const GUESTS: &str = "interface = \"portal0\"\ndhcp = false";
const GUESTS_WITH_ROUTER: &str = "interface = \"portal0\"\ndhcp = false\nrouter = true";

/// Addresses of the router at which guests could contact it.
const ROUTER: [Ipv4Addr; 4] =
    [Ipv4Addr::new(10, 77, 1, 65), HOME_ROUTER, NYC.address, Ipv4Addr::new(10, 77, 1, 1)];

fn guests(world: &mut World) -> Result<()> {
    let guest = world.site(NYC).guest.clone();
    give_ipv6(world, "portal0", &guest)?;
    let here = v6("2001:db8:2::1");
    let (open, closed) = (world.network(only_nyc(GUESTS_WITH_ROUTER)), world.network(only_nyc(GUESTS)));
    start(world, &open)?;
    let client = ProbeClient::new(&guest, seconds(3.0));
    for address in ROUTER {
        seen_as(client, address, NYC.guest())?;
    }
    same("seen by IPv6", client.who_am_i(here)?, v6("2001:db8:2::70"))?;
    closed_until_undone(world, client, &closed)?;

    reloaded(world, &[NYC], &closed)?;
    for address in ROUTER.map(IpAddr::from).into_iter().chain([here]) {
        unreachable(client, address)?;
    }
    seen_as(client, SERVER, PARIS.address)?;
    shell(&guest, &format!("ping -c 1 -W 5 {} && ! ping -c 1 -W 1 {HOME_ROUTER}", NYC.portal()))?;
    let way = client.waiting(seconds(1.0)).traceroute(SERVER)?;
    let wanted = [NYC.portal(), PARIS.tunnel(), PARIS.gateway(), SERVER].map(Some);
    same("the way from there", way, wanted.to_vec())?;
    seen_as(world.site(NYC).home(seconds(3.0)), HOME_ROUTER, HOME)?;
    // The router itself reaches the services.
    let doing = || "cannot connect to a guest".to_owned();
    let listener = guest.run(|| TcpListener::bind((NYC.guest(), 80)).context(doing))?;
    let there = (NYC.guest(), 80).into();
    world.site(NYC).router.run(|| TcpStream::connect_timeout(&there, seconds(3.0)).context(doing))?;
    drop(listener);
    Ok(())
}

/// Checks that a change that closes the router is announced, ends open sessions, and is undone in time.
fn closed_until_undone(world: &mut World, client: ProbeClient, closed: &str) -> Result<()> {
    let impatient = client.waiting(seconds(1.0));
    let mut session = impatient.connect(NYC.portal())?;
    same("a session works", echoes(&mut session), true)?;

    world.site(NYC).install(closed)?;
    the_planner_is_warned(world)?;
    // All closed services are checked within this time.
    let time = seconds(10.0).as_secs().to_string();
    succeeds(world.site(NYC), &["apply", "--confirm", &time])?;
    same("the session works still", echoes(&mut session), false)?;
    for address in ROUTER {
        unreachable(impatient, address)?;
    }
    eventually("it is undone, and the router is reached again", || {
        same("who is seen", client.waiting(seconds(1.0)).who_am_i(NYC.portal())?, NYC.guest().into())
    })
}

/// Checks the warning for a user who works by SSH from there, also through `sudo`, which removes the
/// variable.
fn the_planner_is_warned(world: &mut World) -> Result<()> {
    let plan = world.site(NYC).portals(&["plan"])?;
    let words = String::from_utf8_lossy(&plan.stderr).into_owned();
    same(
        &format!("the note, in {words}"),
        words.contains("portal `way`: devices there will no longer"),
        true,
    )?;
    let program = program();
    for before in ["", "env -u SSH_CONNECTION"] {
        let plan = format!("{before} '{}' plan --config {NETWORK_FILE} 2>&1", program.display());
        let session = format!("SSH_CONNECTION='{} 50000 {} 22'", NYC.guest(), NYC.portal());
        // The shell in between has the variable in its environment.
        let words = shell(&world.site(NYC).router, &format!("{session} sh -c \"{plan}; true\""))?;
        let warning = format!("YOUR OWN SESSION COMES FROM {}", NYC.guest());
        same(&format!("{warning}, in {words}"), words.contains(&warning), true)?;
    }
    Ok(())
}

fn device(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc("from = [\"192.168.1.50\"]\nrouter = false")))?;
    let home = world.site(NYC).home(seconds(3.0));
    seen_as(home.from(HOME), SERVER, PARIS.address)?;
    for address in ROUTER {
        unreachable(home.from(HOME), address)?;
    }
    seen_as(home.from(OTHER_HOME), HOME_ROUTER, OTHER_HOME)?;
    shell(world.site(NYC).home.as_ref().expect("nyc has a home"), &format!("ping -c 1 -W 5 {HOME_ROUTER}"))
        .map(drop)
}
