//! OpenWrt. sysupgrade keeps the files that the lists in `/lib/upgrade/keep.d` name, links too, and nothing else (add_uci_conffiles
//! in package/base-files/files/sbin/sysupgrade): the list names all of ours, itself included.

use super::{File, Keeper, Layout, Link, script};

/// The init script.
pub(super) const INIT: &str = "/etc/init.d/portals";

/// The script that closes before the network is up.
const GUARD: &str = "/etc/init.d/portals-guard";

/// Where its dnsmasq is told whom to ask, by newer and older ones. On any other machine everybody may make files there.
pub(super) const BEHIND_FORWARDER: [&str; 2] =
    ["/tmp/resolv.conf.d/resolv.conf.auto", "/tmp/resolv.conf.auto"];

pub(super) fn is_here(has: &dyn Fn(&str) -> bool) -> bool {
    has("/lib/functions/procd.sh")
}

pub(super) fn layout() -> Layout {
    let keep = include_str!("../../../targets/openwrt/installed.keep");
    Layout {
        platform: "OpenWrt",
        folder: "/etc/portals",
        program: "/usr/sbin/portals".into(),
        files: vec![
            script(INIT, include_str!("../../../targets/openwrt/portals.init")),
            script(GUARD, include_str!("../../../targets/openwrt/portals-guard.init")),
            File { path: "/lib/upgrade/keep.d/portals".into(), text: keep.into(), mode: 0o644 },
        ],
        // What `/etc/init.d/portals enable` makes of its START.
        links: vec![
            Link { path: "/etc/rc.d/S19portals-guard".into(), target: "../init.d/portals-guard".into() },
            Link { path: "/etc/rc.d/S95portals".into(), target: "../init.d/portals".into() },
        ],
        keeper: Keeper::Procd,
        log: "logread -e portals",
    }
}
