//! Checks of the host: clock, random numbers, disk, and the abilities of its kernel.

use std::time::SystemTime;

use nix::sys::statvfs::{FsFlags, statvfs};

use super::case::{Case, Live};
use super::finding::Finding;
use crate::engine::host::WIREGUARD;
use crate::kernel::sysctl;
use crate::site::facts::Firmware;
use crate::state::WireGuardBackend;
use crate::system::clock::LastKnown;
use crate::system::disk;
use crate::system::entropy;
use crate::system::packages;

/// Free space in bytes below which files may not fit: a network file with its copies, and a log.
const LITTLE: u64 = 256 << 10;

/// Checks the time of day.
pub(super) fn clock(case: &Case, findings: &mut Vec<Finding>) {
    const CHECK: &str = "clock";
    let now = SystemTime::now();
    findings.push(match LastKnown::next_to(&case.file).judge(now).complaint(now) {
        None => Finding::ok(CHECK, "The clock shows a time that can be right."),
        Some(complaint) => Finding::wrong(
            CHECK,
            complaint,
            "A peer takes a handshake that is older than the last one for a replay.",
            match case.firmware {
                Some(Firmware::EdgeOs) => "configure; set system ntp server pool.ntp.org; commit; save; exit",
                Some(Firmware::OpenWrt) => "/etc/init.d/sysntpd restart",
                Some(Firmware::UniFi) => "systemctl restart systemd-timesyncd",
                None => "timedatectl set-ntp true",
            },
        ),
    });
}

/// Checks that keys can be made.
pub(super) fn entropy(_: &Case, findings: &mut Vec<Finding>) {
    if !entropy::is_ready() {
        findings.push(Finding::note(
            "random numbers",
            "The kernel is still collecting random numbers.",
            "New keys and handshakes wait for them, for up to some minutes after a device starts.",
            "Wait, and use the network in the meantime.",
        ));
    }
}

/// Checks that files can be written next to the network file.
pub(super) fn disk(case: &Case, findings: &mut Vec<Finding>) {
    const CHECK: &str = "disk";
    const WHY: &str = "Portals keeps a changed network file, a new key and the time of day there.";
    let Ok(state) = statvfs(&case.folder) else { return };
    let folder = case.folder.display().to_string();
    // The types differ between C libraries.
    #[allow(clippy::useless_conversion)]
    let free = u64::from(state.blocks_available()).saturating_mul(u64::from(state.fragment_size()));
    let full = match case.firmware {
        Some(Firmware::EdgeOs) => "Remove the old firmware image: delete system image",
        Some(Firmware::OpenWrt) => "Find large files and packages: df -h; du -sh /overlay/upper/*",
        _ => "Find large files: df -h; du -xh / | sort -h | tail",
    };
    findings.push(if state.flags().contains(FsFlags::ST_RDONLY) {
        Finding::wrong(
            CHECK,
            [&folder, " is read-only."].concat(),
            WHY,
            "Look for errors of the disk: dmesg | tail. If there are none: mount -o remount,rw /",
        )
    } else if free < LITTLE {
        let left = (free >> 10).to_string();
        Finding::wrong(CHECK, ["Only ", &left, " kB are free in ", &folder, "."].concat(), WHY, full)
    } else {
        Finding::ok(CHECK, [&folder, " has free space."].concat())
    });
}

/// Checks how packets are judged by the way of their answers.
pub(super) fn reverse_paths(_: &Case, findings: &mut Vec<Finding>) {
    const CHECK: &str = "rp_filter";
    let strict = sysctl::read("net/ipv4/conf/all/rp_filter").ok().flatten().as_deref() == Some("1");
    let mode =
        if strict { "Reverse-path filtering is strict" } else { "Reverse-path filtering is not strict" };
    let dropped = counter("TcpExt:", "IPReversePathFilter");
    findings.push(match dropped.as_deref() {
        None | Some("0") => Finding::ok(CHECK, [mode, "; it has dropped no packet."].concat()),
        Some(number) => Finding::note(
            CHECK,
            [mode, ", and has dropped packets (", number, " since the start)."].concat(),
            "A packet is dropped if its answer would leave by another interface, such as a forged one.",
            "If something does not work, see the packets: sysctl -w net.ipv4.conf.all.log_martians=1; \
             then: dmesg | grep martian",
        ),
    });
}

/// Returns a counter of the kernel: in /proc/net/netstat, a line with names precedes the line with values.
fn counter(heading: &str, name: &str) -> Option<String> {
    let text = disk::kernel_text("/proc/net/netstat").ok()?;
    let mut lines = text.lines().filter(|line| line.starts_with(heading));
    let place = lines.next()?.split(' ').position(|word| word == name)?;
    lines.next()?.split(' ').nth(place).map(str::to_owned)
}

/// Tells which WireGuard is at work.
pub(super) fn wireguard(live: &mut Live, findings: &mut Vec<Finding>) {
    const CHECK: &str = "WireGuard";
    if live.report.wireguard == WireGuardBackend::Kernel {
        return findings.push(Finding::ok(CHECK, "The kernel's WireGuard is at work."));
    }
    let way_out = if std::env::var_os(WIREGUARD).is_some() {
        ["Unset ", WIREGUARD, ", which demands it."].concat()
    } else {
        match live.firmware {
            Some(Firmware::OpenWrt) => packages::manager().how_to_install("kmod-wireguard"),
            Some(Firmware::EdgeOs) => {
                "Install the WireGuard package for your model: github.com/WireGuard/wireguard-vyatta-ubnt"
                    .to_owned()
            }
            _ => "modprobe wireguard; if that fails, install a newer kernel".to_owned(),
        }
    };
    findings.push(Finding::note(
        CHECK,
        "The built-in WireGuard is at work, not the kernel's.",
        "It is slower, and its tunnels exist only while the agent runs.",
        way_out,
    ));
}

/// Checks that this machine forwards packets.
pub(super) fn forwarding(live: &mut Live, findings: &mut Vec<Finding>) {
    const CHECK: &str = "forwarding";
    if live.site.portals.is_empty() {
        return;
    }
    let is_off = sysctl::read("net/ipv4/ip_forward").ok().flatten().as_deref() == Some("0");
    findings.push(if is_off {
        Finding::wrong(
            CHECK,
            "This machine does not forward packets (net.ipv4.ip_forward is 0).",
            "Nothing that enters a portal gets any further.",
            "portals apply\nIf it is off again later, find who sets it: grep -r ip_forward /etc/sysctl*",
        )
    } else {
        Finding::ok(CHECK, "This machine forwards packets.")
    });
}

/// Checks that there is a way to the internet.
pub(super) fn uplink(live: &mut Live, findings: &mut Vec<Finding>) {
    const CHECK: &str = "uplink";
    let Some(uplink) = &live.site.host.uplink else {
        return findings.push(Finding::wrong(
            CHECK,
            "This machine has no route to the internet.",
            "Links cannot come up, and nothing leaves here.",
            match live.firmware {
                Some(Firmware::EdgeOs) => "See the state of the WAN interface: show interfaces",
                Some(Firmware::OpenWrt) => "ifup wan; then: ifstatus wan",
                Some(Firmware::UniFi) => "See the state of the WAN in the UniFi app.",
                None => "Check the cable, then: ip route",
            },
        ));
    };
    let interface = uplink.interface.as_str();
    if live.links.get(&uplink.interface).is_some_and(crate::kernel::link::HostLink::is_tunnel) {
        findings.push(Finding::note(
            CHECK,
            ["The way to the internet is ", interface, ", a tunnel of another program."].concat(),
            "The tunnels of portals run inside it: they are slower, and down with it.",
            "If that is not wanted, write `uplink = \"…\"` with the interface of your provider into this site.",
        ));
    } else {
        findings.push(Finding::ok(CHECK, ["The way to the internet is ", interface, "."].concat()));
    }
}
