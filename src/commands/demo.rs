//! `portals demo`: shows portals at work, on a machine that stays as it is.

use std::path::Path;
use std::process::id;
use std::time::{Duration, Instant};

use nix::unistd::geteuid;

use super::{ExitStatus, THIS_PROGRAM, wait_for_random_numbers};
use crate::base::error::{Error, Errors, Result};
use crate::cli::DemoCommand;
use crate::cli::amounts::seconds;
use crate::cli::output::{complain, say};
use crate::cli::style::Style;
use crate::demo::{NETWORK_FILE, NYC, OSLO, PARIS, SERVER, World, isolate, show, show_nat};
use crate::kernel::builtin::check_tun;
use crate::kernel::linux::Linux;

/// Builds the world and plays the demo in it; fails if a check of the demo fails.
pub(super) fn run(options: &DemoCommand) -> Result<ExitStatus, Errors> {
    if options.nat && options.ipv6 {
        return Err(Error::failed("--nat and --ipv6 are different demos: choose one").into());
    }
    let start = Instant::now();
    let was_root = geteuid().is_root();
    isolate()?;
    if !Linux::open()?.has_wireguard() {
        check_tun()?;
    }
    wait_for_random_numbers();
    let style = Style::for_stdout();
    let plots = if options.nat { &[OSLO][..] } else { &[NYC, PARIS] };
    let mut world = World::build(plots, Path::new(THIS_PROGRAM))?;
    if options.ipv6 {
        world.add_ipv6()?;
    }
    let run_checks = if options.nat { show_nat::run_checks } else { show::run_checks };
    let result = run_checks(&mut world, style);
    if result.is_err() {
        print_logs(&world);
    } else {
        let took = seconds(start.elapsed());
        let took = format!("All checks passed in {took}. Nothing on this machine was changed.");
        say!("\n{}", style.good(&took));
    }
    if options.keep {
        keep(&mut world, was_root)?;
    }
    Ok(result.map(|()| ExitStatus::Done)?)
}

fn print_logs(world: &World) {
    for site in world.sites() {
        complain!("\nlog of the agent of {}:\n{}", site.plot.name, site.log());
    }
}

/// Waits until Ctrl-C ends this process; the kernel then removes the whole world.
fn keep(world: &mut World, was_root: bool) -> Result<()> {
    say!("\nThe demo keeps running until Ctrl-C. To look around, run these commands in another terminal:");
    let request = format!("bash -c 'cat < /dev/tcp/{SERVER}/80'");
    let plots: Vec<_> = world.sites().iter().map(|site| site.plot).collect();
    for plot in plots {
        let site = world.site(plot);
        let router = nsenter(site.agent()?.pid(), was_root);
        say!("\n  # {}, with the network file {NETWORK_FILE}", site.router.name());
        say!("  {router} --net --mount ip rule");
        for host in [Some(&site.guest), site.home.as_ref()].into_iter().flatten() {
            say!("  # {}", host.name());
            say!("  {} --net={} {request}", nsenter(id(), was_root), host.path());
        }
    }
    loop {
        std::thread::sleep(Duration::MAX);
    }
}

/// Returns the beginning of a command line that enters the namespaces of a process.
fn nsenter(pid: u32, was_root: bool) -> String {
    let user = if was_root { "" } else { " --user --preserve-credentials" };
    format!("nsenter -t {pid}{user}")
}
