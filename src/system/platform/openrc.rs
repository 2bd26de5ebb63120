//! Linux with OpenRC, such as Alpine.

use super::{Keeper, Layout, Link, Machine, filled, script};

/// The init script.
const INIT: &str = "/etc/init.d/portals";

/// The one that closes before the network is up.
const GUARD: &str = "/etc/init.d/portals-guard";

/// Where it runs it has the folder; elsewhere its program tells.
pub(super) fn is_here(machine: &Machine) -> bool {
    let signs: &[&str] =
        if machine.is_live { &["/run/openrc"] } else { &["/sbin/openrc-run", "/usr/sbin/openrc-run"] };
    signs.iter().any(|sign| (machine.has)(sign))
}

pub(super) fn layout() -> Layout {
    let (folder, program) = ("/etc/portals", "/usr/local/bin/portals");
    Layout {
        platform: "OpenRC",
        folder,
        program: program.into(),
        files: vec![
            script(INIT, &filled(include_str!("../../../targets/linux/portals.openrc"), program, folder)),
            script(
                GUARD,
                &filled(include_str!("../../../targets/linux/portals-guard.openrc"), program, folder),
            ),
        ],
        // What `rc-update add portals default` and `rc-update add portals-guard boot` make.
        links: vec![
            Link { path: "/etc/runlevels/default/portals".into(), target: INIT.into() },
            Link { path: "/etc/runlevels/boot/portals-guard".into(), target: GUARD.into() },
        ],
        keeper: Keeper::OpenRc,
        log: "tail /var/log/portals.log",
    }
}
