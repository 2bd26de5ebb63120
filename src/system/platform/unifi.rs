//! UniFi OS (Dream Machines and related devices). A firmware upgrade keeps `/data` (`/mnt/data` in 1.x) and
//! may wipe everything else, including systemd units. The service udm-boot, which many users install, runs
//! the scripts in `on_boot.d` there; our own unit needs only systemd.

use super::{Layout, on_firmware, script};

/// Paths that only UniFi OS has, and the folder for portals next to each path.
const SIGNS: [(&str, &str); 4] = [
    ("/data/unifi", "/data/portals"),
    ("/data/udapi-config", "/data/portals"),
    ("/mnt/data/unifi-os", "/mnt/data/portals"),
    ("/mnt/data/udapi-config", "/mnt/data/portals"),
];

/// Returns the folder for portals, if this machine runs UniFi OS.
pub(super) fn folder(has: &dyn Fn(&str) -> bool) -> Option<&'static str> {
    SIGNS.iter().find(|(sign, _)| has(sign)).map(|(_, folder)| *folder)
}

pub(super) fn layout(folder: &'static str, has_systemd: bool) -> Layout {
    let data = folder.strip_suffix("/portals").unwrap_or(folder);
    let hook =
        script(format!("{data}/on_boot.d/20-portals.sh"), include_str!("../../../targets/unifi/on-boot.sh"));
    on_firmware("UniFi OS", folder, hook, has_systemd)
}
