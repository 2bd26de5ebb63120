//! Faults of firmware.

use super::super::Trouble;
use super::FAULT;

/// Faults of firmware.
pub(crate) const OF_FIRMWARE: &[Trouble] = &[
    HWNAT,
    FLOW_OFFLOADING,
    WITHOUT_UDM_BOOT,
    CHANGED_HOOK,
    HOOK_OF_EDGEOS,
    HOOK_OF_UNIFI,
    KEPT_BY_OPENWRT,
    PACKAGE_OFF,
    WITHOUT_TUN,
];

pub(crate) const HWNAT: Trouble = Trouble {
    fault: "EdgeOS: hardware NAT is on",
    words: "✗ offload: Hardware NAT (hwnat) is on.
    Offloaded packets pass the rules of portals by, and can leave by the wrong way.
  → configure
    set system offload hwnat disable
    commit; save; exit
",
    breaks: "printf 'system {\n    offload {\n        hwnat enable\n    }\n}\n' >/config/config.boot",
    ..FAULT
};

pub(crate) const CHANGED_HOOK: Trouble = Trouble {
    fault: "EdgeOS: the boot hook was changed",
    words: "! boot: Not what this version would install: /config/scripts/post-config.d/portals.sh.
    An older version or a person has written it.
  → portals install
",
    breaks: "echo '# mine' >>/config/scripts/post-config.d/portals.sh",
    ..FAULT
};

pub(crate) const HOOK_OF_EDGEOS: Trouble = Trouble {
    fault: "EdgeOS: the boot hook is gone",
    words: "✗ boot: Missing, of what starts the agent at boot: \
            /config/scripts/post-config.d/portals.sh.
    After the next start of this machine, the portals do not open.
  → portals install
",
    breaks: "rm /config/scripts/post-config.d/portals.sh",
    ..FAULT
};

pub(crate) const FLOW_OFFLOADING: Trouble = Trouble {
    fault: "OpenWrt: flow offloading is on",
    words: "✗ offload: Flow offloading is on.
    Offloaded packets pass the rules of portals by, and can leave by the wrong way.
  → uci set firewall.@defaults[0].flow_offloading=0
    uci commit firewall; /etc/init.d/firewall restart
",
    breaks: "printf \"config defaults\\n\\toption flow_offloading '1'\\n\" >/etc/config/firewall",
    ..FAULT
};

pub(crate) const KEPT_BY_OPENWRT: Trouble = Trouble {
    fault: "OpenWrt: an upgrade would remove portals",
    words: "✗ boot: Missing, of what starts the agent at boot: /lib/upgrade/keep.d/portals.
    After the next start of this machine, the portals do not open.
  → portals install
",
    breaks: "rm /lib/upgrade/keep.d/portals",
    ..FAULT
};

pub(crate) const PACKAGE_OFF: Trouble = Trouble {
    fault: "OpenWrt: the package is installed, and does not start at boot",
    words: "✗ boot: Missing, of what starts the agent at boot: /etc/rc.d/S95portals.
    After the next start of this machine, the portals do not open.
  → /usr/sbin/portals install
",
    breaks: "mkdir -p /usr/lib/opkg/info; touch /usr/lib/opkg/info/portals.list; rm /etc/rc.d/S95portals",
    ..FAULT
};

pub(crate) const WITHOUT_TUN: Trouble = Trouble {
    fault: "OpenWrt: the module for tun devices is not installed",
    words:
        "✗ WireGuard: the built-in WireGuard needs /dev/net/tun: load the module with `modprobe tun`; in a \
            container, start it with `--device /dev/net/tun`: ⟨error⟩
  → install it with `opkg install kmod-tun`
",
    breaks: "umount /dev/net/tun; rm /dev/net/tun; touch /bin/opkg",
    ..FAULT
};

pub(crate) const WITHOUT_UDM_BOOT: Trouble = Trouble {
    fault: "UniFi: an upgrade may remove the unit of portals",
    words: "! boot: An upgrade of the firmware may remove what starts the agent.
    UniFi OS keeps /data, and on-boot-script (udm-boot), which would put it back, is not here.
  → /data/portals/portals install    (after each upgrade)
",
    ..FAULT
};

pub(crate) const HOOK_OF_UNIFI: Trouble = Trouble {
    fault: "UniFi: an upgrade has removed the unit of portals",
    words: "✗ boot: Missing, of what starts the agent at boot: /etc/systemd/system/portals.service, \
            /etc/systemd/system/multi-user.target.wants/portals.service.
    After the next start of this machine, the portals do not open.
  → portals install
",
    breaks: "rm /etc/systemd/system/portals.service
        rm /etc/systemd/system/multi-user.target.wants/portals.service",
    ..FAULT
};
