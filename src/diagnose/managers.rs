//! Checks of programs that manage the network, and may remove what portals has set up.

use std::fs;
use std::path::Path;

use super::case::{Case, Live};
use super::finding::Finding;
use crate::system::disk::{self, FileOrigin};

/// Folders of the settings of systemd-networkd (networkd.conf(5)).
const FOLDERS: [&str; 4] = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"];

/// Settings by which networkd leaves foreign routes and rules alone.
const SETTINGS: [&str; 2] = ["ManageForeignRoutes", "ManageForeignRoutingPolicyRules"];

/// Checks that systemd-networkd leaves our routes and rules alone.
pub(super) fn networkd(_: &Case, findings: &mut Vec<Finding>) {
    const CHECK: &str = "networkd";
    if !Path::new("/run/systemd/netif").exists() {
        return;
    }
    let mut text = String::new();
    for folder in FOLDERS {
        let file = Path::new(folder).join("networkd.conf");
        for entry in fs::read_dir(file.with_added_extension("d")).into_iter().flatten().flatten() {
            text.push_str(&disk::text_or_empty(&entry.path(), FileOrigin::Host));
            text.push('\n');
        }
        text.push_str(&disk::text_or_empty(&file, FileOrigin::Host));
        text.push('\n');
    }
    let is_off = |setting: &&str| {
        let value =
            text.lines().find_map(|line| line.trim().strip_prefix(*setting)?.trim().strip_prefix('='));
        value.is_some_and(|value| ["no", "false", "off", "0"].contains(&value.trim()))
    };
    findings.push(if SETTINGS.iter().all(is_off) {
        Finding::ok(CHECK, "systemd-networkd leaves routes and rules of others alone.")
    } else {
        Finding::note(
            CHECK,
            "systemd-networkd may remove routes and rules of others.",
            "After each of its restarts, portals are closed until the agent has put its rules back.",
            "mkdir -p /etc/systemd/networkd.conf.d\nprintf '[Network]\\nManageForeignRoutes=no\\n\
             ManageForeignRoutingPolicyRules=no\\n' >/etc/systemd/networkd.conf.d/portals.conf\n\
             systemctl restart systemd-networkd",
        )
    });
}

/// Checks that NetworkManager does not manage interfaces to which portals gives addresses.
pub(super) fn network_manager(live: &mut Live, findings: &mut Vec<Finding>) {
    let Live { site, links, .. } = live;
    let mut ours: Vec<_> = site.tunnels.keys().collect();
    ours.extend(
        site.portals.iter().filter(|portal| portal.has_wire()).filter_map(|p| p.entrance_interface()),
    );
    for name in ours {
        let Some(link) = links.get(name) else { continue };
        let path = ["/run/NetworkManager/devices/", &link.index.to_string()].concat();
        let state = disk::text_or_empty(Path::new(&path), FileOrigin::Host);
        if state.lines().any(|line| line == "managed=true" || line == "managed=1") {
            let name = name.as_str();
            findings.push(Finding::wrong(
                "NetworkManager",
                ["NetworkManager manages ", name, ", to which portals gives its address."].concat(),
                "It removes addresses that it did not give, and the portal's devices lose their router.",
                [
                    "printf '[keyfile]\\nunmanaged-devices=interface-name:",
                    name,
                    "\\n' >/etc/NetworkManager/conf.d/portals.conf\nsystemctl reload NetworkManager",
                ]
                .concat(),
            ));
        }
    }
}
