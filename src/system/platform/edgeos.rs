//! EdgeOS (EdgeRouter). A firmware upgrade keeps `/config` and nothing else. After EdgeOS has loaded its
//! configuration, it runs the scripts in `/config/scripts/post-config.d`. EdgeOS 2.0 and later have systemd,
//! earlier versions System V's init.

use super::{InstalledFile, Layout, on_firmware, script};

pub(super) const FOLDER: &str = "/config/portals";

pub(super) fn is_here(has: &dyn Fn(&str) -> bool) -> bool {
    has("/config/scripts/post-config.d")
}

/// Returns the hook that closes the portals before the interfaces are up.
fn guard() -> InstalledFile {
    script(
        "/config/scripts/pre-config.d/portals.sh",
        include_str!("../../../targets/edgerouter/pre-config.sh"),
    )
}

pub(super) fn layout(has_systemd: bool) -> Layout {
    let hook = script(
        "/config/scripts/post-config.d/portals.sh",
        include_str!("../../../targets/edgerouter/post-config.sh"),
    );
    let mut layout = on_firmware("EdgeOS", FOLDER, hook, has_systemd);
    layout.files.push(guard());
    layout
}
