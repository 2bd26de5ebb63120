//! Checks of the host: clock, random numbers, disk, and the abilities of its kernel.

use std::path::Path;
use std::time::SystemTime;

use nix::sys::statvfs::{FsFlags, statvfs};

use super::case::{Case, Live};
use super::finding::{Findings, Words};
use crate::engine::host::WIREGUARD;
use crate::kernel::builtin::check_tun;
use crate::kernel::link::HostLink;
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
pub(super) fn clock(case: &Case, findings: &mut Findings) {
    const CHECK: &str = "clock";
    let now = SystemTime::now();
    let Some(complaint) = LastKnown::next_to(&case.file).judge(now).complaint(now) else {
        return findings.ok(CHECK, "", &[]);
    };
    let way_out = match case.firmware {
        Some(Firmware::EdgeOs) => "configure\nset system ntp server pool.ntp.org\ncommit; save; exit",
        Some(Firmware::OpenWrt) => "/etc/init.d/sysntpd restart",
        Some(Firmware::UniFi) => "systemctl restart systemd-timesyncd",
        None if Path::new("/run/systemd/system").exists() => "timedatectl set-ntp true",
        None => "Start a time service, such as chronyd.",
    };
    findings.wrong(
        &Words {
            check: CHECK,
            seen: "{0}",
            why: "A peer takes a handshake that is older than the last one for a replay.",
            way_out: "{1}",
        },
        &[&complaint, &way_out],
    );
}

/// Checks that keys can be made.
pub(super) fn entropy(_: &Case, findings: &mut Findings) {
    if !entropy::is_ready() {
        findings.note(
            &Words {
                check: "random numbers",
                seen: "The kernel is still collecting random numbers.",
                why: "New keys and handshakes wait for them, for up to some minutes after a device starts.",
                way_out: "Wait, and use the network in the meantime.",
            },
            &[],
        );
    }
}

/// Checks that files can be written next to the network file.
pub(super) fn disk(case: &Case, findings: &mut Findings) {
    const CHECK: &str = "disk";
    const WHY: &str = "Portals keeps a changed network file, a new key and the time of day there.";
    let Ok(state) = statvfs(&case.folder) else { return };
    let folder = case.folder.display();
    // The types differ between C libraries.
    #[allow(clippy::useless_conversion)]
    let free = u64::from(state.blocks_available()).saturating_mul(u64::from(state.fragment_size()));
    let full = match case.firmware {
        Some(Firmware::EdgeOs) => "Remove the old firmware image: delete system image",
        Some(Firmware::OpenWrt) => "Find large files and packages: df -h; du -sh /overlay/upper/*",
        _ => "Find large files: df -h; du -xh / | sort -h | tail",
    };
    if state.flags().contains(FsFlags::ST_RDONLY) {
        findings.wrong(
            &Words {
                check: CHECK,
                seen: "{0} is read-only.",
                why: WHY,
                way_out: "Look for errors of the disk: dmesg | tail. If there are none, make the file \
                          system writable that `df {0}` names: mount -o remount,rw MOUNTPOINT",
            },
            &[&folder],
        );
    } else if free < LITTLE {
        let left = free >> 10;
        let words = Words { check: CHECK, seen: "Only {0} kB are free in {1}.", why: WHY, way_out: "{2}" };
        findings.wrong(&words, &[&left, &folder, &full]);
    } else {
        findings.ok(CHECK, "", &[]);
    }
}

/// Checks how packets are judged by the way of their answers.
pub(super) fn reverse_paths(_: &Case, findings: &mut Findings) {
    const CHECK: &str = "rp_filter";
    let strict = sysctl::read("net/ipv4/conf/all/rp_filter").ok().flatten().as_deref() == Some("1");
    let mode = if strict { "Strict" } else { "Not strict" };
    let dropped = reverse_path_drops();
    match dropped.as_deref() {
        None | Some("0") => findings.ok(CHECK, "{0}.", &[&mode]),
        Some(number) => findings.note(
            &Words {
                check: CHECK,
                seen: "{0}; packets were dropped ({1} since the start).",
                why: "A packet is dropped if its answer would leave by another interface, such as a forged \
                      one.",
                way_out: "If something does not work, see the packets: sysctl -w \
                          net.ipv4.conf.all.log_martians=1; then: dmesg | grep martian",
            },
            &[&mode, &number],
        ),
    }
}

/// Returns the number of packets that were dropped because of their source: in /proc/net/netstat, a line with
/// names precedes the line with values.
fn reverse_path_drops() -> Option<String> {
    let text = disk::kernel_text("/proc/net/netstat").ok()?;
    let mut place = None;
    for line in text.lines().filter(|line| line.starts_with("TcpExt:")) {
        if let Some(place) = place {
            return line.split_whitespace().nth(place).map(str::to_owned);
        }
        place = line.split_whitespace().position(|word| word == "IPReversePathFilter");
    }
    None
}

/// Tells which WireGuard is at work.
pub(super) fn wireguard(live: &mut Live, findings: &mut Findings) {
    const CHECK: &str = "WireGuard";
    if live.report.wireguard == WireGuardBackend::Kernel {
        return findings.ok(CHECK, "The kernel's WireGuard is at work.", &[]);
    }
    if let Err(error) = check_tun() {
        return findings.fault(CHECK, &error);
    }
    // Without an agent, nothing is at work.
    if !live.report.agent {
        return;
    }
    let way_out = if std::env::var_os(WIREGUARD).is_some() {
        "Unset PORTALS_WIREGUARD, which demands it.".to_owned()
    } else {
        match live.firmware {
            Some(Firmware::OpenWrt) => packages::manager().how_to_install("kmod-wireguard"),
            Some(Firmware::EdgeOs) => {
                "Install the WireGuard package for your model: github.com/WireGuard/wireguard-vyatta-ubnt"
                    .to_owned()
            }
            Some(Firmware::UniFi) => "Update the firmware: UniFi OS has WireGuard since 1.11.".to_owned(),
            None => "modprobe wireguard; if that fails, install a newer kernel".to_owned(),
        }
    };
    findings.note(
        &Words {
            check: CHECK,
            seen: "The built-in WireGuard is at work, not the kernel's.",
            why: "It is slower, and its tunnels exist only while the agent runs.",
            way_out: "{0}",
        },
        &[&way_out],
    );
}

/// Checks that this machine forwards packets.
pub(super) fn forwarding(live: &mut Live, findings: &mut Findings) {
    const CHECK: &str = "forwarding";
    if live.here.site.portals.is_empty() {
        return;
    }
    let is_off = sysctl::read("net/ipv4/ip_forward").ok().flatten().as_deref() == Some("0");
    if is_off {
        findings.wrong(
            &Words {
                check: CHECK,
                seen: "This machine does not forward packets (net.ipv4.ip_forward is 0).",
                why: "Nothing that enters a portal gets any further.",
                way_out: "sysctl -w net.ipv4.ip_forward=1\n\
                          If it is off again later, find who sets it: grep -r ip_forward \
                          /etc/sysctl*",
            },
            &[],
        );
    } else {
        findings.ok(CHECK, "", &[]);
    }
}

/// Checks that there is a way to the internet.
pub(super) fn uplink(live: &mut Live, findings: &mut Findings) {
    const CHECK: &str = "uplink";
    let Some(uplink) = &live.here.site.host.uplink else {
        let way_out = match live.firmware {
            Some(Firmware::EdgeOs) => "See the state of the WAN interface: show interfaces",
            Some(Firmware::OpenWrt) => "ifup wan; then: ifstatus wan",
            Some(Firmware::UniFi) => "See the state of the WAN in the UniFi app.",
            None => "Check the cable, then: ip route",
        };
        let words = Words {
            check: CHECK,
            seen: "This machine has no route to the internet.",
            why: "Links cannot come up, and nothing leaves here.",
            way_out: "{0}",
        };
        return findings.wrong(&words, &[&way_out]);
    };
    let interface = uplink.interface.as_str();
    if live.here.links.get(&uplink.interface).is_some_and(HostLink::is_tunnel) {
        findings.note(
            &Words {
                check: CHECK,
                seen: "The way to the internet is {0}, a tunnel of another program.",
                why: "The tunnels of portals run inside it: they are slower, and down with it.",
                way_out: "If that is not wanted, write `uplink = \"…\"` with the interface of your \
                          provider into this site.",
            },
            &[&interface],
        );
    } else {
        findings.ok(CHECK, "The way to the internet is {0}.", &[&interface]);
    }
}
