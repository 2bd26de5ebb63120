//! Scenarios side by side, each in a process of its own: most of their time they wait.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::ONLY;

/// How many at once: what `PORTALS_TEST_JOBS` says, else two for each processor.
pub(crate) fn jobs() -> usize {
    let said = std::env::var("PORTALS_TEST_JOBS").ok().and_then(|number| number.parse().ok());
    said.unwrap_or_else(|| 2 * thread::available_parallelism().map_or(1, usize::from))
}

/// Runs the scenarios of these names, so many at once; how many have failed. What one prints comes when it is done, or at once where
/// there is one at a time.
pub(crate) fn run(names: &[&str], jobs: usize) -> usize {
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..jobs.min(names.len()) {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !passes(name, jobs == 1) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    failed.into_inner()
}

/// Runs one in a process of its own, and hands on what it prints.
fn passes(name: &str, at_once: bool) -> bool {
    let place = || if at_once { Stdio::inherit() } else { Stdio::piped() };
    let mut command = Command::new("/proc/self/exe");
    let output = command.args([ONLY, name]).stdout(place()).stderr(place()).output();
    let output = output.expect("this program can be started again");
    let mut out = std::io::stdout().lock();
    let printed = out.write_all(&output.stdout).and_then(|()| out.write_all(&output.stderr));
    printed.and_then(|()| out.flush()).expect("there is somebody to tell");
    output.status.success()
}
