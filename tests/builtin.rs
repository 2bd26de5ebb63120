//! The built-in WireGuard and the open files of its process. No other test runs in this process: these tests
//! close files, and a child of another test would keep interfaces alive until it runs its program. Needs
//! root, or `unshare -Urnm`.

#[path = "support/concurrently.rs"]
mod concurrently;
mod namespace;
#[path = "support/tunnels.rs"]
mod tunnels;

use std::fs::{File, read_dir, read_link};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use concurrently::concurrently;
use namespace::inside;
use nix::sys::socket::{Shutdown, shutdown};
use tunnels::{MIDDLE, OTHERS, apply, site, steps};
use wg_portals::base::net::IfName;
use wg_portals::kernel::linux::Linux;
use wg_portals::kernel::{Kernel as _, Outcome};
use wg_portals::state::step::{NamedLink, Step};
use wg_portals::state::{Link, LinkKind, Scope, WireGuardBackend};

/// Lock of the running test.
static ALONE: Mutex<()> = Mutex::new(());

/// Number of rounds that suffices to find a fault of one in a hundred.
const ROUNDS: usize = 400;

/// The library must not close files of other threads whose numbers were free a moment ago.
#[test]
fn interfaces_are_made_while_other_threads_open_and_close_files() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
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

#[test]
fn an_interface_whose_wireguard_no_longer_answers_is_made_again() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    inside(|| {
        let name: IfName = "to-paris".parse().unwrap();
        let kind = LinkKind::WireGuard(WireGuardBackend::BuiltIn);
        let link = Link { kind, mtu: 1280, alias: "portals:test".to_owned() };
        let making = [Step::AddLink(NamedLink { name: name.clone(), link: link.clone() })];
        let mut kernel = Linux::open().unwrap();
        let make = |kernel: &mut Linux| {
            let outcomes = kernel.apply(&making);
            assert!(matches!(outcomes[..], [Outcome::Done]), "{outcomes:?}");
            assert_eq!(
                kernel.observe(&Scope::default()).unwrap().links,
                [(name.clone(), link.clone())].into()
            );
            assert!(kernel.read_tunnel(&name, &link, SystemTime::now()).is_ok());
        };
        make(&mut kernel);
        take_away_connections();
        assert!(kernel.read_tunnel(&name, &link, SystemTime::now()).is_err());
        assert!(kernel.observe(&Scope::default()).unwrap().links.is_empty());
        make(&mut kernel);
    });
}

/// Ends all connections of this process to the library.
fn take_away_connections() {
    for entry in read_dir("/proc/self/fd").unwrap().flatten() {
        let is_socket =
            read_link(entry.path()).is_ok_and(|what| what.to_string_lossy().starts_with("socket:"));
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(socket) = number.filter(|_| is_socket) {
            // The connections to the kernel cannot be shut down.
            let _ = shutdown(socket, Shutdown::Both);
        }
    }
}
