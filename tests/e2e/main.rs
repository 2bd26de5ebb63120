//! End-to-end scenarios: the real program on the routers of a small world, real packets, the real kernel.
//!
//! `cargo test --test e2e [-- PART OF A NAME…] [--skip PART…] [--core]`; `--core` omits the scenarios that
//! are the same with every kernel, or slow. Environment:
//! - `PORTALS_BIN`: the program under test (default: the one that cargo built)
//! - `PORTALS_TEST_SLOWNESS`: a factor for all time limits (default: 1)
//! - `PORTALS_TEST_LIMIT`: seconds after which a scenario is ended and has failed (default: 600 times the
//!   factor)
//! - `PORTALS_TEST_JOBS`: number of scenarios that run side by side (default: two for each processor)
//! - `PORTALS_TEST_FIREWALL`: `legacy` makes the routers filter with legacy iptables, so that portals does as
//!   well
//! - `PORTALS_TEST_FASTPATH`: turns the fast path on in all scenarios, where the kernel has flowtables
//! - `PORTALS_TEST_FIREWALLS`, `PORTALS_TEST_OPENRC`: folders with the unpacked packages of foreign
//!   firewalls, and of OpenRC

mod access;
mod advertisements;
mod asked;
mod bridged;
mod bulk;
mod chains;
mod clock;
mod commands;
#[path = "../support/concurrently.rs"]
mod concurrently;
mod confirm;
mod containers;
mod devices;
mod doctor;
mod dyndns;
mod entrances;
mod exchange;
mod failover;
mod fastpath;
mod faults;
mod files;
mod filters;
#[path = "../support/firmware.rs"]
mod firmware;
mod forged;
mod forgery;
mod imported;
mod inbound;
mod install;
mod ipv6;
mod join;
mod killed;
mod lans;
mod leaks;
mod many;
mod names;
mod nat;
mod oracle;
mod pages;
mod peers;
mod phones;
mod port_mapping;
mod power_cuts;
mod providers;
mod questions;
mod radio;
#[path = "../support/recording.rs"]
mod recording;
mod resolvers;
mod restore;
mod rotate;
mod router;
mod same_lan;
mod same_lan_flushes;
#[path = "../support/shells.rs"]
mod shells;
mod side_by_side;
mod snapshot;
mod starts;
mod status;
mod systemd;
mod tested;
mod time;
mod trace;
mod traced_both;
#[allow(dead_code, reason = "scenarios take single tables")]
#[path = "../support/troubles/mod.rs"]
mod troubles;
mod upgrade;
mod uplink;
mod ways;
mod widths;
mod wifi;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use wg_portals::base::error::Result;
use wg_portals::demo::{Plot, World, isolate};
use wg_portals::engine::host::rules_know_ports;
use wg_portals::kernel::wireguard::WireGuard;

/// A property that must hold, with its own world.
#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    plots: &'static [Plot],
    run: fn(&mut World) -> Result<()>,
}

/// Scenarios about the abilities of a kernel: they run on every kernel, also where it is emulated.
const CORE: &[&[Scenario]] = &[
    ways::SCENARIOS,
    bulk::SCENARIOS,
    devices::SCENARIOS,
    access::SCENARIOS,
    same_lan::SCENARIOS,
    leaks::SCENARIOS,
    entrances::SCENARIOS,
    uplink::SCENARIOS,
    router::SCENARIOS,
    pages::SCENARIOS,
    inbound::SCENARIOS,
    forged::SCENARIOS,
    lans::SCENARIOS,
    advertisements::SCENARIOS,
    resolvers::SCENARIOS,
    restore::SCENARIOS,
    time::SCENARIOS,
    commands::SCENARIOS,
    phones::SCENARIOS,
    ipv6::SCENARIOS,
    ipv6::leaks::SCENARIOS,
    ipv6::forged::SCENARIOS,
    ipv6::host::SCENARIOS,
    asked::SCENARIOS,
    chains::SCENARIOS,
    nat::IN_THE_LAB,
    join::IN_THE_LAB,
    trace::IN_THE_LAB,
];

/// Scenarios that are the same with every kernel, and slow: they wait for timers, or boot firmware.
const AT_LENGTH: &[&[Scenario]] = &[
    filters::SCENARIOS,
    dyndns::SCENARIOS,
    failover::SCENARIOS,
    chains::THAT_WAIT,
    providers::SCENARIOS,
    names::SCENARIOS,
    confirm::SCENARIOS,
    join::SCENARIOS,
    exchange::SCENARIOS,
    power_cuts::SCENARIOS,
    rotate::SCENARIOS,
    questions::SCENARIOS,
    widths::SCENARIOS,
    files::SCENARIOS,
    imported::SCENARIOS,
    upgrade::SCENARIOS,
    faults::SCENARIOS,
    same_lan_flushes::SCENARIOS,
    starts::SCENARIOS,
    status::SCENARIOS,
    tested::SCENARIOS,
    faults::TIMED,
    install::SCENARIOS,
    containers::SCENARIOS,
    wifi::WITHOUT_CARDS,
    doctor::SCENARIOS,
    doctor::ABOUT_LINKS,
    doctor::ON_FIRMWARE,
    ipv6::leaks::AT_LENGTH,
    ipv6::entrances::SCENARIOS,
    ipv6::filtered::SCENARIOS,
    ipv6::exits::SCENARIOS,
    ipv6::reach::SCENARIOS,
    ipv6::refused::SCENARIOS,
    ipv6::probed::SCENARIOS,
    ipv6::advertised::SCENARIOS,
    nat::KINDS,
    nat::PAIRS,
    nat::WITH_LEGACY_RELAY,
    nat::CHANGES,
    nat::HABITS,
    trace::SCENARIOS,
    traced_both::SCENARIOS,
];

/// Scenarios that need a kernel with WireGuard: the built-in one needs an agent, and a foreign peer has none.
const WITH_KERNEL_WIREGUARD: &[&[Scenario]] =
    &[peers::SCENARIOS, upgrade::WITHOUT_A_GAP, phones::WITH_WG_QUICK];

/// Slow scenarios that need a kernel with WireGuard.
const WITH_KERNEL_WIREGUARD_AT_LENGTH: &[&[Scenario]] =
    &[many::SCENARIOS, oracle::SCENARIOS, killed::SCENARIOS];

/// Scenarios that not every machine can run.
struct Needy {
    lists: &'static [&'static [Scenario]],
    /// Requirement of the scenarios, as a noun phrase.
    need: &'static str,
    is_met: fn() -> bool,
    /// Set if the scenarios are about the abilities of a kernel.
    core: bool,
}

const NEEDY: &[Needy] = &[
    Needy { lists: WITH_KERNEL_WIREGUARD, need: WIREGUARD, is_met: has_wireguard, core: true },
    Needy { lists: WITH_KERNEL_WIREGUARD_AT_LENGTH, need: WIREGUARD, is_met: has_wireguard, core: false },
    Needy {
        lists: &[ways::WITH_RULES_OF_PROTOCOLS],
        need: "policy rules for protocols in this kernel",
        is_met: rules_know_ports,
        core: true,
    },
    Needy {
        lists: &[filters::WITH_NFTABLES, ipv6::filtered::WITH_NFTABLES],
        need: "nftables that can guard portals in this kernel",
        is_met: filters::has_nftables,
        core: false,
    },
    Needy {
        lists: &[filters::WITH_PROGRAMS],
        need: "firewall programs",
        is_met: || is_given("PORTALS_TEST_FIREWALLS"),
        core: false,
    },
    Needy {
        lists: &[install::WITH_OPENRC],
        need: "OpenRC",
        is_met: || is_given("PORTALS_TEST_OPENRC"),
        core: false,
    },
    Needy {
        lists: &[systemd::WITH_SYSTEMD],
        need: "systemd that root of this machine can boot",
        is_met: systemd::is_here,
        core: false,
    },
    Needy {
        lists: &[
            entrances::WITH_BRIDGES,
            bridged::SCENARIOS,
            nat::KINDS_WITH_BRIDGES,
            nat::PAIRS_WITH_BRIDGES,
        ],
        need: "bridges in this kernel",
        is_met: entrances::has_bridges,
        core: true,
    },
    Needy {
        lists: &[clock::WITH_CC],
        need: "C compiler for the C library of this program",
        is_met: clock::can_be_made,
        core: false,
    },
    Needy {
        lists: &[port_mapping::WITH_MINIUPNPD, nat::WITH_MINIUPNPD],
        need: "miniupnpd for nftables",
        is_met: port_mapping::can_be_run,
        core: false,
    },
    Needy {
        lists: &[fastpath::WITH_FLOWTABLES],
        need: "flowtables of nftables in this kernel",
        is_met: fastpath::is_possible,
        core: true,
    },
    Needy { lists: &[lans::WITH_VLANS], need: "VLANs in this kernel", is_met: lans::has_vlans, core: true },
    Needy {
        lists: &[wifi::WITH_CARDS, wifi::WITH_WPA3],
        need: "Wi-Fi cards that could be made here",
        is_met: radio::can_be_made,
        core: true,
    },
];

const WIREGUARD: &str = "WireGuard in this kernel";

fn has_wireguard() -> bool {
    WireGuard::find().is_ok_and(|found| found.is_some())
}

/// Scenarios that run one at a time: they measure time, or their peers have short timeouts.
const ALONE: [&[Scenario]; 2] = [faults::TIMED, wifi::WITH_WPA3];

/// Argument by which a child process of this program gets the name of its scenario.
const ONLY: &str = "--only";

/// Argument that omits the scenarios that are the same with every kernel, or slow.
const CORE_ONLY: &str = "--core";

fn main() -> ExitCode {
    if let Err(error) = isolate() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [only, name] = &arguments[..]
        && only == ONLY
    {
        // The parent process may be killed; then this one must end, too.
        set_pdeathsig(Signal::SIGKILL).expect("a valid signal");
        side_by_side::end_in_time(name);
        let scenario = all().into_iter().find(|scenario| scenario.name == name).expect("a scenario's name");
        return if passes(&scenario) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let core_only = arguments.iter().any(|argument| argument == CORE_ONLY);
    arguments.retain(|argument| argument != CORE_ONLY);
    let is_chosen = chosen(arguments);
    let of = |lists: &[&'static [Scenario]]| -> Vec<&'static str> {
        lists.concat().into_iter().map(|scenario| scenario.name).filter(|name| is_chosen(name)).collect()
    };
    // The slow ones come first, so that none of them runs on its own at the end.
    let (mut names, mut skipped) = (if core_only { Vec::new() } else { of(AT_LENGTH) }, 0);
    for Needy { lists, need, is_met, .. } in NEEDY.iter().filter(|needy| needy.core || !core_only) {
        if is_met() {
            names.extend(of(lists));
            continue;
        }
        for name in of(lists) {
            println!("skip   no {need}: {name}");
            skipped += 1;
        }
    }
    names.extend(of(CORE));
    println!("{} scenarios", names.len());
    let of_alone = of(&ALONE);
    let (alone, names): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| of_alone.contains(name));
    let failed = side_by_side::run(&names, side_by_side::jobs()) + side_by_side::run(&alone, 1);
    let passed = names.len() + alone.len() - failed;
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Reports whether an environment variable names a folder that exists.
fn is_given(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|folder| Path::new(&folder).is_dir())
}

/// Every scenario of the suite.
fn all() -> Vec<Scenario> {
    let mut all = [CORE, AT_LENGTH].concat().concat();
    all.extend(NEEDY.iter().flat_map(|needy| needy.lists.concat()));
    all
}

/// Reports whether a name is chosen: it contains one of the given parts, if there are any, and none of the
/// parts after `--skip`.
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

/// Runs a scenario and prints its result.
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
        println!("--- log of {}'s agent:\n{}", site.plot.name, site.log());
    }
}
