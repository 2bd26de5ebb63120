//! Linux with systemd.

use super::{File, Keeper, Layout, Link, Machine, filled};

pub(super) const UNIT: &str = "portals.service";

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
        files: vec![unit(program, folder)],
        links: vec![enabling()],
        keeper: Keeper::Systemd,
        log: LOG,
    }
}

/// A regular file: a link into a file system that is mounted late is not there yet when units are read.
pub(super) fn unit(program: &str, folder: &str) -> File {
    let text = filled(include_str!("../../targets/linux/portals.service"), program, folder);
    File { path: format!("/etc/systemd/system/{UNIT}"), text, mode: 0o644 }
}

/// What `systemctl enable` makes of `WantedBy=multi-user.target`.
pub(super) fn enabling() -> Link {
    Link {
        path: format!("/etc/systemd/system/multi-user.target.wants/{UNIT}"),
        target: format!("/etc/systemd/system/{UNIT}"),
    }
}
