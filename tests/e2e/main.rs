//! End-to-end scenarios: the real program on the routers of a small world, real packets, the real kernel.
//!
//! `cargo test --test e2e [-- PART OF A NAME…] [--skip PART…] [--core]`; `--core` leaves out what is the same with every kernel. Environment: `PORTALS_BIN`, the program to test (default: the one cargo
//! built); `PORTALS_TEST_SLOWNESS`, a factor for all time limits (default 1); `PORTALS_TEST_FIREWALL`, `legacy` to have
//! the routers filter with legacy iptables, so that portals does as well; `PORTALS_TEST_FIREWALLS`, a folder with the unpacked packages
//! of other firewalls; `PORTALS_TEST_OPENRC`, one with OpenRC.

mod access;
mod commands;
mod confirm;
mod containers;
mod devices;
mod dyndns;
mod failover;
mod faults;
mod filters;
mod firmware;
mod install;
mod killed;
mod lans;
mod leaks;
mod many;
mod names;
mod oracle;
mod peers;
mod phones;
mod providers;
mod questions;
mod radio;
mod restore;
mod snapshot;
mod upgrade;
mod ways;
mod wifi;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use wg_portals::demo::{Plot, World, isolate};
use wg_portals::error::Result;
use wg_portals::kernel::wireguard::WireGuard;

/// One thing that must hold, in a world of its own.
#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    plots: &'static [Plot],
    run: fn(&mut World) -> Result<()>,
}

/// What a kernel must be able to do for portals: run on each of them, also where it is emulated.
const CORE: &[&[Scenario]] = &[
    ways::SCENARIOS,
    devices::SCENARIOS,
    access::SCENARIOS,
    leaks::SCENARIOS,
    lans::SCENARIOS,
    restore::SCENARIOS,
    commands::SCENARIOS,
    filters::SCENARIOS,
    phones::SCENARIOS,
];

/// What is the same with every kernel, and takes its time: waits of timers, firmware that boots.
const AT_LENGTH: [&[Scenario]; 11] = [
    dyndns::SCENARIOS,
    failover::SCENARIOS,
    providers::SCENARIOS,
    names::SCENARIOS,
    confirm::SCENARIOS,
    questions::SCENARIOS,
    upgrade::SCENARIOS,
    faults::SCENARIOS,
    install::SCENARIOS,
    containers::SCENARIOS,
    wifi::WITHOUT_CARDS,
];

/// What needs a kernel with WireGuard: without an agent, or at a peer that is not ours, there is no built-in one.
const WITH_KERNEL_WIREGUARD: [&[Scenario]; 6] = [
    peers::SCENARIOS,
    many::SCENARIOS,
    oracle::SCENARIOS,
    killed::SCENARIOS,
    upgrade::WITHOUT_A_GAP,
    phones::WITH_WG_QUICK,
];

fn main() -> ExitCode {
    if let Err(error) = isolate() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let (core, arguments): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument == "--core");
    let is_chosen = chosen(arguments);
    let of = |lists: &[&'static [Scenario]]| -> Vec<Scenario> {
        lists.concat().into_iter().filter(|scenario| is_chosen(scenario.name)).collect()
    };
    let mut scenarios = of(CORE);
    if core.is_empty() {
        scenarios.extend(of(&AT_LENGTH));
    }
    let mut skipped = 0;
    let has_wireguard = WireGuard::find().is_ok_and(|found| found.is_some());
    let is_given = |variable: &str| std::env::var_os(variable).is_some();
    for (lists, possible, lacking) in [
        (&WITH_KERNEL_WIREGUARD[..], has_wireguard, "no WireGuard in this kernel"),
        (&[filters::WITH_PROGRAMS], is_given("PORTALS_TEST_FIREWALLS"), "no firewall programs"),
        (&[install::WITH_OPENRC], is_given("PORTALS_TEST_OPENRC"), "no OpenRC"),
        (&[lans::WITH_VLANS], lans::has_vlans(), "no VLANs in this kernel"),
        (&[wifi::WITH_CARDS], radio::can_be_made(), "no Wi-Fi cards can be made here"),
    ] {
        if possible {
            scenarios.extend(of(lists));
            continue;
        }
        for scenario in of(lists) {
            println!("skip   {lacking}: {}", scenario.name);
            skipped += 1;
        }
    }
    let failed = scenarios.iter().filter(|scenario| !passes(scenario)).count();
    println!("{} passed, {failed} failed, {skipped} skipped", scenarios.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether a name is asked for: it holds one of the parts given, if any, and none of those behind `--skip`.
fn chosen(arguments: Vec<String>) -> impl Fn(&str) -> bool {
    let (mut parts, mut skipped) = (Vec::new(), Vec::new());
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--skip" => skipped.extend(arguments.next()),
            _ => parts.push(argument),
        }
    }
    let holds = |name: &str, parts: &[String]| parts.iter().any(|part| name.contains(part.as_str()));
    move |name| (parts.is_empty() || holds(name, &parts)) && !holds(name, &skipped)
}

/// Runs a scenario and tells how it went.
fn passes(scenario: &Scenario) -> bool {
    let start = Instant::now();
    let result = World::build(scenario.plots, &program()).and_then(|mut world| {
        world.sites().iter().try_for_each(|site| filters::prepare(&site.router))?;
        let result = (scenario.run)(&mut world);
        if result.is_err() {
            print_logs(&world);
        }
        result
    });
    let took = start.elapsed().as_secs_f32();
    match &result {
        Ok(()) => println!("ok    {took:5.1} s  {}", scenario.name),
        Err(error) => println!("FAIL  {took:5.1} s  {}: {error}", scenario.name),
    }
    result.is_ok()
}

/// The program under test.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("PORTALS_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_portals").into()).into()
}

fn print_logs(world: &World) {
    for site in world.sites() {
        println!("--- what {}'s agent said:\n{}", site.plot.name, site.log());
    }
}
