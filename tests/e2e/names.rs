//! Sites that are dialled by name, with a name server that answers or stays silent.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use wg_portals::base::error::{Context as _, Result};
use wg_portals::demo::{NYC, PARIS, SERVER, World};

use crate::Scenario;
use crate::ways::only_nyc;
use crate::words::{same, seconds, seen_as, start, succeeds, unreachable, within};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "a name that does not resolve at first works later", plots: &[NYC, PARIS], run: late },
    Scenario { name: "a name that resolves a second later is no warning", plots: &[NYC, PARIS], run: soon },
    Scenario {
        name: "a name is asked for via the uplink although the router itself enters a portal",
        plots: &[NYC, PARIS],
        run: of_router,
    },
    Scenario {
        name: "a site that works at another address than its name's is left alone",
        plots: &[NYC, PARIS],
        run: roamed,
    },
    Scenario { name: "a name that gets another address is followed", plots: &[NYC, PARIS], run: changed },
];

/// File in which the host configures its name server.
const SETTINGS: &str = "/etc/resolv.conf";

/// A name server that answers all queries for IPv4 addresses with one address, and queries for others with
/// none; silent while it has no address.
#[derive(Clone, Default)]
struct NameServer {
    address: Arc<Mutex<Option<Ipv4Addr>>>,
    questions: Arc<AtomicUsize>,
}

impl NameServer {
    /// Starts the name server at the server of the world, for nyc's router. It ends with this program.
    fn start(world: &mut World) -> Result<Self> {
        Self::start_as(world, 1)
    }

    /// Starts the name server, which the router's settings list several times.
    fn start_as(world: &mut World, servers: usize) -> Result<Self> {
        let server = Self::default();
        let bind = || UdpSocket::bind((SERVER, 53)).context(|| "cannot be a name server".to_owned());
        let (socket, answering) = (world.server.run(bind)?, server.clone());
        thread::spawn(move || answering.answer(&socket));
        world.site(NYC).router.run(|| {
            let doing = || format!("cannot have {SETTINGS} name another server");
            let ours = "/run/demo/resolv.conf";
            fs::write(ours, format!("nameserver {SERVER}\n").repeat(servers)).context(doing)?;
            if !fs::exists(SETTINGS).context(doing)? {
                fs::write(SETTINGS, "").context(doing)?;
            }
            mount(Some(ours), SETTINGS, None::<&str>, MsFlags::MS_BIND, None::<&str>).context(doing)
        })?;
        Ok(server)
    }

    fn set(&self, address: Ipv4Addr) {
        *self.address.lock().expect("no thread panics with the lock") = Some(address);
    }

    /// Number of queries that it has answered.
    fn asked(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }

    fn answer(&self, socket: &UdpSocket) {
        let mut message = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut message) {
            let Some(address) = *self.address.lock().expect("no thread panics with the lock") else {
                continue;
            };
            let mut answer = message[..length].to_vec();
            // The response has the recursion bits; its one answer record is for the name in the query, if the
            // query is of type A.
            answer[2..4].copy_from_slice(&[0x81, 0x80]);
            if answer[length - 3] == 1 {
                answer[7] = 1;
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                answer.extend(address.octets());
            }
            self.questions.fetch_add(1, Ordering::Relaxed);
            // The client may be gone.
            let _ = socket.send_to(&answer, client);
        }
    }
}

const GUEST: &str = "interface = \"portal0\"\ndhcp = false";

/// Network in which nyc dials Paris by its name.
fn network(world: &World, entrance: &'static str) -> String {
    let network = world.network(only_nyc(entrance));
    let network = network.replace("[network]", "[network]\nresolve_after = 5");
    network.replace(&format!("endpoint = \"{}\"", PARIS.address), "endpoint = \"paris.test\"")
}

/// Network in which, in addition, no site dials nyc.
fn one_way(world: &World, entrance: &'static str) -> String {
    network(world, entrance).replace(&format!("endpoint = \"{}\"\n", NYC.address), "")
}

fn late(world: &mut World) -> Result<()> {
    let names = NameServer::start_as(world, 3)?;
    start(world, &one_way(world, GUEST))?;
    unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;
    let begun = Instant::now();
    succeeds(world.site(NYC), &["apply"])?;
    // A resolver that waits takes twelve seconds: four for each server.
    let waited = begun.elapsed() >= Duration::from_secs(10);
    same("the agent waits for names that do not resolve", waited, false)?;
    names.set(PARIS.address);
    within(seconds(20.0), "the link is there", || {
        seen_as(world.site(NYC).guest(seconds(1.0)), NYC.own_server(), PARIS.address)
    })
}

fn soon(world: &mut World) -> Result<()> {
    let names = NameServer::start(world)?;
    start(world, &one_way(world, GUEST))?;
    names.set(PARIS.address);
    within(seconds(20.0), "the link is there", || {
        seen_as(world.site(NYC).guest(seconds(1.0)), NYC.own_server(), PARIS.address)
    })?;
    let log = world.site(NYC).log();
    same(&format!("complaints in {log}"), log.contains("resolve"), false)
}

fn of_router(world: &mut World) -> Result<()> {
    let names = NameServer::start(world)?;
    start(world, &one_way(world, "self = true"))?;
    names.set(PARIS.address);
    within(seconds(20.0), "the link is there", || {
        seen_as(world.site(NYC).router(seconds(1.0)), NYC.own_server(), PARIS.address)
    })
}

fn roamed(world: &mut World) -> Result<()> {
    let names = NameServer::start(world)?;
    names.set(PARIS.address);
    start(world, &network(world, GUEST))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let other = Ipv4Addr::new(203, 0, 113, 77);
    world.site(PARIS).move_to(other)?;
    within(seconds(20.0), "nyc hears of Paris elsewhere", || {
        // Any answer is right: a packet from Paris shows its address.
        let _ = world.site(PARIS).router(seconds(0.2)).who_am_i(NYC.tunnel());
        seen_as(world.site(NYC).guest(seconds(1.0)), NYC.own_server(), other)
    })?;
    let asked = names.asked();
    within(seconds(20.0), "the name is asked for again", || same("it is", names.asked() > asked, true))?;
    let report = succeeds(world.site(NYC), &["status", "--json"])?;
    same(&format!("{other} in {report}"), report.contains(&format!("\"endpoint\":\"{other}:")), true)?;
    seen_as(world.site(NYC).guest(seconds(1.0)), NYC.own_server(), other)
}

fn changed(world: &mut World) -> Result<()> {
    let names = NameServer::start(world)?;
    names.set(PARIS.address);
    start(world, &one_way(world, GUEST))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let other = Ipv4Addr::new(203, 0, 113, 77);
    world.site(PARIS).move_to(other)?;
    names.set(other);
    let begun = Instant::now();
    within(seconds(25.0), "the link is back", || {
        seen_as(world.site(NYC).guest(seconds(1.0)), NYC.own_server(), other)
    })?;
    println!("       back after {:.1} s", begun.elapsed().as_secs_f32());
    Ok(())
}
