//! Scenarios side by side, each in its own process: most of their time they wait.

use std::fs::{self, File};
use std::io::{Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::ONLY;
use crate::words::seconds;

/// Available memory below which no further scenario starts, in kB.
const LITTLE_MEMORY: u64 = 96 << 10;

/// Longest wait for memory.
const PATIENCE: Duration = Duration::from_mins(3);

/// Number of scenarios at the same time: `PORTALS_TEST_JOBS`, or two for each processor.
pub(crate) fn jobs() -> usize {
    let said = std::env::var("PORTALS_TEST_JOBS").ok().and_then(|number| number.parse().ok());
    said.unwrap_or_else(|| 2 * thread::available_parallelism().map_or(1, usize::from))
}

/// Runs the scenarios of these names, `jobs` at a time, and returns the number of failures. The output of a
/// scenario appears when it is done, or at once if `jobs` is 1.
pub(crate) fn run(names: &[&str], jobs: usize) -> usize {
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..jobs.min(names.len()) {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    wait_for_memory();
                    if !passes(name, jobs == 1) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    failed.into_inner()
}

/// Waits while memory is short: the kernel dismantles the namespaces of ended scenarios one after the other,
/// in the background, and may fall behind in a small guest.
fn wait_for_memory() {
    let until = Instant::now() + PATIENCE;
    while available_memory().is_some_and(|left| left < LITTLE_MEMORY) && Instant::now() < until {
        thread::sleep(Duration::from_millis(200));
    }
}

/// Returns the memory that processes can have, in kB.
fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("MemAvailable:")?.trim_end_matches("kB").trim().parse().ok())
}

/// Runs a scenario in its own process, and passes on its output. It does not wait for processes that the
/// scenario leaves behind.
fn passes(name: &str, at_once: bool) -> bool {
    let mut printed = File::from(memfd_create(c"printed", MFdFlags::MFD_CLOEXEC).expect("there is memory"));
    let place = || {
        if at_once {
            Stdio::inherit()
        } else {
            printed.try_clone().expect("a file can be opened again").into()
        }
    };
    let mut command = Command::new("/proc/self/exe");
    command.args([ONLY, name]).stdout(place()).stderr(place()).process_group(0);
    let status = command.status().expect("this program can be started again");
    let mut out = std::io::stdout().lock();
    let handed_on = printed.rewind().and_then(|()| std::io::copy(&mut printed, &mut out));
    handed_on.and_then(|_| out.flush()).expect("standard output can be written");
    // A process that was killed, or that panicked, has not printed its result.
    if !matches!(status.code(), Some(0 | 1)) {
        writeln!(out, "FAIL           {name}: {status}").expect("standard output can be written");
    }
    status.success()
}

/// Ends this process, which runs a scenario, and all its children after the limit: `PORTALS_TEST_LIMIT`, or a
/// time long after the slowest scenario should have ended.
pub(crate) fn end_in_time(name: &str) {
    let said = std::env::var("PORTALS_TEST_LIMIT").ok().and_then(|number| number.parse().ok());
    let (name, limit) = (name.to_owned(), said.map_or_else(|| seconds(600.0), Duration::from_secs));
    thread::spawn(move || {
        thread::sleep(limit);
        println!("{name}: has not ended after {} s", limit.as_secs());
        let own_group = Pid::from_raw(0);
        kill(own_group, Signal::SIGKILL)
    });
}
