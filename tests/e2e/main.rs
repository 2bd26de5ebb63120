//! End-to-end scenarios: the real program on the routers of a small world, real packets, the real kernel.
//!
//! `cargo test --test e2e [-- PART OF A NAME]`. Environment: `PORTALS_BIN`, the program to test (default: the one cargo
//! built); `PORTALS_TEST_SLOWNESS`, a factor for all time limits (default 1).

mod access;
mod commands;
mod leaks;
mod restore;
mod snapshot;
mod ways;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use wg_portals::demo::{Plot, World, isolate};
use wg_portals::error::Result;

/// One thing that must hold, in a world of its own.
#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    plots: &'static [Plot],
    run: fn(&mut World) -> Result<()>,
}

fn main() -> ExitCode {
    if let Err(error) = isolate() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let all = [ways::SCENARIOS, access::SCENARIOS, leaks::SCENARIOS, restore::SCENARIOS, commands::SCENARIOS]
        .concat();
    let chosen: Vec<Scenario> = all.into_iter().filter(|scenario| scenario.name.contains(&filter)).collect();
    let failed = chosen.iter().filter(|scenario| !passes(scenario)).count();
    println!("{} passed, {failed} failed", chosen.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a scenario and tells how it went.
fn passes(scenario: &Scenario) -> bool {
    let start = Instant::now();
    let result = World::build(scenario.plots, &program()).and_then(|mut world| {
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
