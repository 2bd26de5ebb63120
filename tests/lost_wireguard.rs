//! A built-in WireGuard that answers no more. Alone in its process, whose sockets it takes away. Needs root,
//! or `unshare -Urnm`.

mod namespace;

use std::fs::{read_dir, read_link};
use std::time::SystemTime;

use namespace::inside;
use nix::sys::socket::{Shutdown, shutdown};
use wg_portals::diff::Step;
use wg_portals::kernel::linux::Linux;
use wg_portals::kernel::{Kernel as _, Outcome};
use wg_portals::net::IfName;
use wg_portals::state::{Backend, Link, LinkKind, Scope};

#[test]
fn an_interface_whose_wireguard_answers_no_more_is_made_again() {
    inside(|| {
        let name: IfName = "to-paris".parse().unwrap();
        let kind = LinkKind::WireGuard(Backend::BuiltIn);
        let link = Link { kind, mtu: 1280, alias: "portals:test".to_owned() };
        let making = [Step::AddLink(name.clone(), link.clone())];
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

/// Ends all connections of this process: those to the library.
fn take_away_connections() {
    for entry in read_dir("/proc/self/fd").unwrap().flatten() {
        let is_socket =
            read_link(entry.path()).is_ok_and(|what| what.to_string_lossy().starts_with("socket:"));
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(socket) = number.filter(|_| is_socket) {
            // Those to the kernel have no end.
            let _ = shutdown(socket, Shutdown::Both);
        }
    }
}
