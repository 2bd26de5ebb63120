//! Linux with systemd.

use super::{
    FOLDER, InstalledFile, InstalledLink, Layout, LogReader, Machine, PROGRAM, ServiceManager, filled,
};

pub(super) const UNIT: &str = "portals.service";
pub(super) const GUARD: &str = "portals-guard.service";

/// Reader of the journal.
pub(super) static LOG: LogReader = LogReader {
    show: &["journalctl", "--no-pager", "-n", "1000", "-u", UNIT],
    follow: &["journalctl", "-f", "-u", UNIT],
};

/// Reports whether the machine has systemd. A running systemd has the folder /run/systemd/system
/// (sd_booted(3)); an image has only its program.
pub(super) fn is_here(machine: &Machine) -> bool {
    machine.has_any(if machine.is_live {
        &["/run/systemd/system"]
    } else {
        &["/usr/lib/systemd/systemd", "/lib/systemd/systemd"]
    })
}

pub(super) fn layout() -> Layout {
    Layout {
        platform: "systemd",
        folder: FOLDER,
        program: PROGRAM.into(),
        files: units(PROGRAM, FOLDER),
        links: enabling(),
        keeper: ServiceManager::Systemd,
        log: &LOG,
    }
}

/// Returns the unit of the agent, and the unit that closes the portals before the network is up. Both are
/// regular files: a link into a file system that is mounted late would not resolve yet when systemd reads its
/// units.
pub(super) fn units(program: &str, folder: &str) -> Vec<InstalledFile> {
    let mut units = Vec::new();
    for (name, text) in &[
        (UNIT, include_str!("../../../targets/linux/portals.service")),
        (GUARD, include_str!("../../../targets/linux/portals-guard.service")),
    ] {
        units.push(InstalledFile { path: path(name), text: filled(text, program, folder), mode: 0o644 });
    }
    units
}

/// Returns the links that `systemctl enable` creates for the units' `WantedBy`.
pub(super) fn enabling() -> Vec<InstalledLink> {
    let mut links = Vec::new();
    for (wanted_by, unit) in &[
        ("multi-user.target.wants/portals.service", UNIT),
        ("sysinit.target.wants/portals-guard.service", GUARD),
    ] {
        links.push(InstalledLink { path: path(wanted_by), target: path(unit) });
    }
    links
}

fn path(below: &str) -> String {
    ["/etc/systemd/system/", below].concat()
}
