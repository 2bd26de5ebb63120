//! The built-in WireGuard and the open files of its process. No other test runs in this process: a child of
//! another test would keep interfaces alive until it runs its program. Needs root, or `unshare -Urnm`.

#[path = "support/concurrently.rs"]
mod concurrently;
mod namespace;
#[path = "support/tunnels.rs"]
mod tunnels;

use std::fs::File;

use concurrently::concurrently;
use namespace::inside;
use tunnels::{MIDDLE, OTHERS, apply, site, steps};
use wg_portals::kernel::linux::Linux;
use wg_portals::state::WireGuardBackend;

/// Number of rounds that suffices to find a fault of one in a hundred.
const ROUNDS: usize = 400;

/// The built-in WireGuard must not close files of other threads whose numbers were free a moment ago.
#[test]
fn interfaces_are_made_while_other_threads_open_and_close_files() {
    inside(|| {
        let make = || {
            let wanted = site(MIDDLE, &OTHERS, WireGuardBackend::BuiltIn);
            for _ in 0..ROUNDS {
                let mut kernel = Linux::open().unwrap();
                apply(&mut kernel, &steps(&wanted));
            }
        };
        let open_and_close = |is_over: &dyn Fn() -> bool| {
            while !is_over() {
                let files: Vec<File> = (0..12).map(|_| File::open("/dev/null").unwrap()).collect();
                drop(files);
            }
        };
        concurrently(make, open_and_close);
    });
}
