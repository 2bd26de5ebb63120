//! Linux with systemd.

use super::{File, Keeper, Layout, Link, Machine, filled};

pub(super) const UNIT: &str = "portals.service";
const GUARD: &str = "portals-guard.service";

/// The command that shows what the agent says.
pub(super) const LOG: &str = "journalctl -u portals";

/// Where it runs it has this folder (sd_booted(3)).
pub(super) fn is_here(machine: &Machine) -> bool {
    let signs: &[&str] = if machine.is_live {
        &["/run/systemd/system"]
    } else {
        &["/usr/lib/systemd/systemd", "/lib/systemd/systemd"]
    };
    signs.iter().any(|sign| (machine.has)(sign))
}

pub(super) fn layout() -> Layout {
    let (folder, program) = ("/etc/portals", "/usr/local/bin/portals");
    Layout {
        platform: "systemd",
        folder,
        program: program.into(),
        files: units(program, folder).into(),
        links: enabling().into(),
        keeper: Keeper::Systemd,
        log: LOG,
    }
}

/// The agent's, and the one that closes before the network is up. Regular files: a link into a file system that is mounted late is not
/// there yet when units are read.
pub(super) fn units(program: &str, folder: &str) -> [File; 2] {
    let texts = [
        (UNIT, include_str!("../../../targets/linux/portals.service")),
        (GUARD, include_str!("../../../targets/linux/portals-guard.service")),
    ];
    texts.map(|(name, text)| File { path: path(name), text: filled(text, program, folder), mode: 0o644 })
}

/// The links that `systemctl enable` makes of their `WantedBy`.
pub(super) fn enabling() -> [Link; 2] {
    [("multi-user", UNIT), ("sysinit", GUARD)].map(|(target, name)| Link {
        path: format!("/etc/systemd/system/{target}.target.wants/{name}"),
        target: path(name),
    })
}

fn path(unit: &str) -> String {
    format!("/etc/systemd/system/{unit}")
}
