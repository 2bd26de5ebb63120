//! Checks of programs that manage the network, and may remove what portals has set up.

use std::path::Path;

use super::case::{Case, Live};
use super::finding::{Findings, Words};
use crate::base::text::{append, push_all};
use crate::engine::here::Here;
use crate::system::disk::{self, FileOrigin};

/// Folders of the settings of systemd-networkd (networkd.conf(5)).
const FOLDERS: [&str; 4] = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"];

/// Settings by which networkd leaves foreign routes and rules alone.
const SETTINGS: [&str; 2] = ["ManageForeignRoutes", "ManageForeignRoutingPolicyRules"];

/// Checks that systemd-networkd leaves our routes and rules alone.
pub(super) fn networkd(_: &Case, findings: &mut Findings) {
    const CHECK: &str = "networkd";
    // The folder alone is there even where networkd never ran.
    if !Path::new("/run/systemd/netif/state").exists() {
        return;
    }
    let mut text = "\n".to_owned();
    for folder in FOLDERS {
        let file = Path::new(folder).join("networkd.conf");
        let mut files = disk::entries(&file.with_added_extension("d")).unwrap_or_default();
        files.push(file);
        for file in files {
            text.push_str(&disk::text_or_empty(&file, FileOrigin::Host));
            text.push('\n');
        }
    }
    let text = text.replace(' ', "");
    let has = |setting: &str, value: &str| text.contains(&format!("\n{setting}={value}"));
    let is_off = |setting: &&str| ["no", "false", "off", "0"].iter().any(|value| has(setting, value));
    if SETTINGS.iter().all(is_off) {
        findings.ok(CHECK, "", &[]);
    } else {
        findings.note(
            &Words {
                check: CHECK,
                seen: "systemd-networkd may remove routes and rules of others.",
                why: "After each of its restarts, portals are closed until the agent has put its rules \
                      back.",
                way_out: "mkdir -p /etc/systemd/networkd.conf.d\nprintf \
                          '[Network]\\nManageForeignRoutes=no\\nManageForeignRoutingPolicyRules=no\\n' \
                          >/etc/systemd/networkd.conf.d/portals.conf\nsystemctl try-restart systemd-networkd",
            },
            &[],
        );
    }
}

/// Checks that NetworkManager does not manage interfaces to which portals gives addresses. Its settings are
/// given in a section of their own, because a second `unmanaged-devices` would replace the first.
pub(super) fn network_manager(live: &mut Live, findings: &mut Findings) {
    let Here { site, links, .. } = &*live.here;
    let (mut names, mut devices, mut orders) = (String::new(), String::new(), String::new());
    for portal in site.portals.iter().filter(|portal| portal.has_wire()) {
        let Some(name) = portal.entrance_interface() else { continue };
        let Some(link) = links.get(name) else { continue };
        let path = format!("/run/NetworkManager/devices/{}", link.index);
        let state = disk::text_or_empty(Path::new(&path), FileOrigin::Host);
        if state.lines().any(|line| line == "managed=true" || line == "managed=1") {
            append(&mut names, name);
            push_all(&mut devices, &["interface-name:", name.as_str(), ";"]);
            push_all(&mut orders, &["\nnmcli device set ", name.as_str(), " managed no"]);
        }
    }
    if !names.is_empty() {
        findings.wrong(
            &Words {
                check: "NetworkManager",
                seen: "NetworkManager manages {0}, to which portals gives its address.",
                why: "It removes addresses that it did not give, and the portal's devices lose their router.",
                way_out: "printf '[device-portals]\\nmatch-device={1}\\nmanaged=0\\n' \
                          >/etc/NetworkManager/conf.d/portals.conf{2}",
            },
            &[&names, &devices, &orders],
        );
    }
}
