//! `portals demo`: see it work, on a machine that stays as it is.

use std::path::Path;
use std::process::id;
use std::time::{Duration, Instant};

use nix::unistd::geteuid;

use super::{Status, wait_for_random_numbers};
use crate::base::error::{Errors, Result};
use crate::cli::Demo;
use crate::cli::output::{complain, say};
use crate::cli::style::{Style, seconds};
use crate::demo::{NETWORK_FILE, NYC, PARIS, SERVER, World, isolate, show};
use crate::kernel::builtin::check_tun;
use crate::kernel::linux::Linux;

/// This program, wherever it lies: its path may be hidden inside a namespace.
const OURSELVES: &str = "/proc/self/exe";

/// Builds the world and tells the story; fails if something in it did not hold.
pub(super) fn run(options: &Demo) -> Result<Status, Errors> {
    let start = Instant::now();
    let was_root = geteuid().is_root();
    isolate()?;
    if !Linux::open()?.has_wireguard() {
        check_tun()?;
    }
    wait_for_random_numbers();
    let style = Style::for_stdout();
    let mut world = World::build(&[NYC, PARIS], Path::new(OURSELVES))?;
    let result = show::tell(&mut world, style);
    if result.is_err() {
        print_logs(&world);
    } else {
        let took = seconds(start.elapsed());
        let took = format!("All of it held. {took}, and nothing on this machine was touched.");
        say!("\n{}", style.good(&took));
    }
    if options.keep {
        keep(&mut world, was_root)?;
    }
    Ok(result.map(|()| Status::Done)?)
}

fn print_logs(world: &World) {
    for site in world.sites() {
        complain!("\nwhat the agent of {} said:\n{}", site.plot.name, site.log());
    }
}

/// Stays until Ctrl-C ends this process, and the kernel takes all of the world with it.
fn keep(world: &mut World, was_root: bool) -> Result<()> {
    say!("\nIt stays until Ctrl-C. To look around, from another terminal:");
    let ask = format!("bash -c 'cat < /dev/tcp/{SERVER}/80'");
    for plot in [NYC, PARIS] {
        let site = world.site(plot);
        let router = enter(site.agent()?.pid(), was_root);
        say!("\n  # {}: its network file is {NETWORK_FILE}", site.router.name());
        say!("  {router} --net --mount ip rule");
        for host in [Some(&site.guest), site.home.as_ref()].into_iter().flatten() {
            say!("  # {}", host.name());
            say!("  {} --net={} {ask}", enter(id(), was_root), host.path());
        }
    }
    loop {
        std::thread::sleep(Duration::MAX);
    }
}

/// The beginning of a command line that enters the namespaces of a process.
fn enter(pid: u32, was_root: bool) -> String {
    let user = if was_root { "" } else { " --user --preserve-credentials" };
    format!("nsenter -t {pid}{user}")
}
