//! UniFi OS (Dream Machines and their kin). A firmware upgrade keeps `/data` (`/mnt/data` in 1.x) and may wipe all else, units
//! too. udm-boot, which many have, runs the scripts in `on_boot.d` there; our unit needs nothing but systemd.

use super::{Layout, on_firmware, script};

/// What tells it from others, and the folder of ours beside it.
const SIGNS: [(&str, &str); 4] = [
    ("/data/unifi", "/data/portals"),
    ("/data/udapi-config", "/data/portals"),
    ("/mnt/data/unifi-os", "/mnt/data/portals"),
    ("/mnt/data/udapi-config", "/mnt/data/portals"),
];

pub(super) fn folder(has: &dyn Fn(&str) -> bool) -> Option<&'static str> {
    SIGNS.iter().find(|(sign, _)| has(sign)).map(|(_, folder)| *folder)
}

pub(super) fn layout(folder: &'static str, has_systemd: bool) -> Layout {
    let data = folder.trim_end_matches("/portals");
    let hook =
        script(format!("{data}/on_boot.d/20-portals.sh"), include_str!("../../../targets/unifi/on-boot.sh"));
    on_firmware("UniFi OS", folder, hook, has_systemd)
}
