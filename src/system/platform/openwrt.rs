//! OpenWrt. sysupgrade keeps the files and links that the lists in `/lib/upgrade/keep.d` name, and nothing
//! else (add_uci_conffiles in package/base-files/files/sbin/sysupgrade). Our list therefore names all our
//! files, itself included.

use super::{FOLDER, InstalledFile, InstalledLink, Layout, LogReader, ServiceManager, script};

/// Init script of the agent.
pub(super) const INIT: &str = "/etc/init.d/portals";

/// Init script that closes the portals before the network is up.
pub(super) const GUARD: &str = "/etc/init.d/portals-guard";

/// Files that name the resolvers for OpenWrt's dnsmasq, in newer and in older versions. Other platforms must
/// not use these files: there, any user may create files in /tmp.
pub(super) const BEHIND_FORWARDER: [&str; 2] =
    ["/tmp/resolv.conf.d/resolv.conf.auto", "/tmp/resolv.conf.auto"];

pub(super) fn is_here(has: &dyn Fn(&str) -> bool) -> bool {
    has("/lib/functions/procd.sh")
}

pub(super) fn layout() -> Layout {
    let keep = include_str!("../../../targets/openwrt/installed.keep");
    Layout {
        platform: "OpenWrt",
        folder: FOLDER,
        program: "/usr/sbin/portals".into(),
        files: vec![
            script(INIT, include_str!("../../../targets/openwrt/portals.init")),
            script(GUARD, include_str!("../../../targets/openwrt/portals-guard.init")),
            InstalledFile { path: "/lib/upgrade/keep.d/portals".into(), text: keep.into(), mode: 0o644 },
        ],
        // The links that `/etc/init.d/portals enable` creates for the script's START.
        links: vec![
            InstalledLink {
                path: "/etc/rc.d/S19portals-guard".into(),
                target: "../init.d/portals-guard".into(),
            },
            InstalledLink { path: "/etc/rc.d/S95portals".into(), target: "../init.d/portals".into() },
        ],
        keeper: ServiceManager::Procd,
        log: &LogReader { show: &["logread", "-e", "portals"], follow: &["logread", "-f", "-e", "portals"] },
    }
}
