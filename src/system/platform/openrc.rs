//! Linux with OpenRC, such as Alpine.

use super::{FOLDER, InstalledLink, Layout, LogReader, Machine, PROGRAM, ServiceManager, filled, script};

/// Init script of the agent.
const INIT: &str = "/etc/init.d/portals";

/// Init script that closes the portals before the network is up.
const GUARD: &str = "/etc/init.d/portals-guard";

/// Reports whether the machine has OpenRC. A running OpenRC has the folder /run/openrc; an image has only its
/// program.
pub(super) fn is_here(machine: &Machine) -> bool {
    machine.has_any(if machine.is_live {
        &["/run/openrc"]
    } else {
        &["/sbin/openrc-run", "/usr/sbin/openrc-run"]
    })
}

pub(super) fn layout() -> Layout {
    Layout {
        platform: "OpenRC",
        folder: FOLDER,
        program: PROGRAM.into(),
        files: vec![
            script(INIT, &filled(include_str!("../../../targets/linux/portals.openrc"), PROGRAM, FOLDER)),
            script(
                GUARD,
                &filled(include_str!("../../../targets/linux/portals-guard.openrc"), PROGRAM, FOLDER),
            ),
        ],
        // The links that `rc-update add portals default` and `rc-update add portals-guard boot` create.
        links: vec![
            InstalledLink { path: "/etc/runlevels/default/portals".into(), target: INIT.into() },
            InstalledLink { path: "/etc/runlevels/boot/portals-guard".into(), target: GUARD.into() },
        ],
        keeper: ServiceManager::OpenRc,
        log: &LogReader {
            show: &["tail", "-n", "1000", "/var/log/portals.log"],
            follow: &["tail", "-F", "/var/log/portals.log"],
        },
    }
}
