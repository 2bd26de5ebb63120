//! What kind of machine this is, and how a program lives there: found out by what is there, never by version numbers.

mod edgeos;
mod openrc;
mod openwrt;
mod steps;
mod systemd;
mod unifi;

use std::path::{Path, PathBuf};

use crate::site::facts::Firmware;

pub use steps::{Found, Step, install, uninstall};

/// Name of the network file in the platform's folder.
pub const NETWORK_FILE: &str = "network.toml";

/// The folder of the network file and the keys: where this platform keeps files across firmware upgrades.
pub fn folder() -> PathBuf {
    folder_on(&|path| Path::new(path).exists()).into()
}

/// The same on a machine of which `has` tells what is there.
pub fn folder_on(has: &dyn Fn(&str) -> bool) -> &'static str {
    if edgeos::is_here(has) { edgeos::FOLDER } else { unifi::folder(has).unwrap_or("/etc/portals") }
}

/// Where this platform tells its own DNS forwarder whom to ask, if that is not where every Linux does.
pub fn behind_forwarder() -> &'static [&'static str] {
    behind_forwarder_on(&|path| Path::new(path).exists())
}

fn behind_forwarder_on(has: &dyn Fn(&str) -> bool) -> &'static [&'static str] {
    if openwrt::is_here(has) { &openwrt::BEHIND_FORWARDER } else { &[] }
}

/// The firmware of this machine, if it is one of those.
pub fn firmware() -> Option<Firmware> {
    let has: &dyn Fn(&str) -> bool = &|path| Path::new(path).exists();
    if edgeos::is_here(has) {
        Some(Firmware::EdgeOs)
    } else if unifi::folder(has).is_some() {
        Some(Firmware::UniFi)
    } else {
        openwrt::is_here(has).then_some(Firmware::OpenWrt)
    }
}

/// A machine to install on.
pub struct Machine<'a> {
    /// Whether it runs: an image or a test's folder does not.
    pub is_live: bool,
    /// Whether there is something at a path.
    pub has: &'a dyn Fn(&str) -> bool,
}

/// All that `portals install` puts on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// What people call the platform.
    pub platform: &'static str,
    /// The folder of the network file and the keys.
    pub folder: &'static str,
    /// Where the program lies: a firmware upgrade leaves it there, or nothing of the platform would be left either.
    pub program: String,
    /// The boot hook, and what it needs.
    pub files: Vec<File>,
    /// Links that enable it, or lead to the program.
    pub links: Vec<Link>,
    /// Who starts the agent, and starts it again.
    pub keeper: Keeper,
    /// The command that shows what the agent says.
    pub log: &'static str,
}

/// A file that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Absolute, as the machine sees it.
    pub path: String,
    /// What is in it.
    pub text: String,
    /// Its permissions.
    pub mode: u32,
}

/// A symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Absolute, as the machine sees it.
    pub path: String,
    /// What it holds.
    pub target: String,
}

/// Who starts the agent, and starts it again when it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeper {
    /// systemd.
    Systemd,
    /// OpenRC, with its supervise-daemon.
    OpenRc,
    /// OpenWrt's procd.
    Procd,
    /// A small script of our own, at this path: for firmware whose init keeps nothing alive.
    Script(String),
}

/// What a keeper can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Start the agent, unless it runs.
    Start,
    /// End it and start it.
    Restart,
    /// End it, and start it no more.
    Stop,
}

impl Keeper {
    /// The program and the arguments that tell it.
    pub fn call(&self, order: Order) -> Vec<String> {
        let order = match order {
            Order::Start => "start",
            Order::Restart => "restart",
            Order::Stop => "stop",
        };
        let words: [&str; 3] = match self {
            Self::Systemd => ["systemctl", order, systemd::UNIT],
            Self::OpenRc => ["rc-service", "portals", order],
            Self::Procd => [openwrt::INIT, order, ""],
            Self::Script(path) => [path, order, ""],
        };
        words.into_iter().filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }
}

/// What there is to install on a machine; none if nothing there would start the agent. Firmware comes first: there, files in
/// the places of a common Linux do not last.
pub fn layout(machine: &Machine) -> Option<Layout> {
    let has = machine.has;
    let has_systemd = systemd::is_here(machine);
    if edgeos::is_here(has) {
        Some(edgeos::layout(has_systemd))
    } else if let Some(folder) = unifi::folder(has) {
        Some(unifi::layout(folder, has_systemd))
    } else if openwrt::is_here(has) {
        Some(openwrt::layout())
    } else if has_systemd {
        Some(systemd::layout())
    } else if openrc::is_here(machine) {
        Some(openrc::layout())
    } else {
        None
    }
}

/// On firmware that keeps one folder: program and hook there. The hook runs `portals install` at each boot, which puts back
/// what an upgrade has wiped, and starts the agent.
fn on_firmware(platform: &'static str, folder: &'static str, hook: File, has_systemd: bool) -> Layout {
    let program = format!("{folder}/portals");
    let mut files = vec![hook];
    let mut links = vec![Link { path: "/usr/local/bin/portals".into(), target: program.clone() }];
    let keeper = if has_systemd {
        files.extend(systemd::units(&program, folder));
        links.extend(systemd::enabling());
        Keeper::Systemd
    } else {
        let path = format!("{folder}/service");
        files.push(script(&path, include_str!("../../../targets/edgerouter/service")));
        Keeper::Script(path)
    };
    let log = if has_systemd { systemd::LOG } else { "grep portals /var/log/messages" };
    Layout { platform, folder, program, files, links, keeper, log }
}

fn script(path: impl Into<String>, text: &str) -> File {
    File { path: path.into(), text: text.into(), mode: 0o755 }
}

/// A text of `targets/` with the paths of this platform.
fn filled(text: &str, program: &str, folder: &str) -> String {
    text.replace("@PROGRAM@", program).replace("@FOLDER@", folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a machine where just these paths are.
    fn layout_with(is_live: bool, paths: &[&str]) -> Option<Layout> {
        layout(&Machine { is_live, has: &|path| paths.contains(&path) })
    }

    #[test]
    fn a_platform_is_known_by_what_is_there() {
        let systemd = "/run/systemd/system";
        for (paths, platform, program, keeper) in [
            (
                vec!["/config/scripts/post-config.d"],
                "EdgeOS",
                "/config/portals/portals",
                "/config/portals/service start",
            ),
            (
                vec!["/config/scripts/post-config.d", systemd],
                "EdgeOS",
                "/config/portals/portals",
                "systemctl start portals.service",
            ),
            (
                vec!["/data/unifi", systemd],
                "UniFi OS",
                "/data/portals/portals",
                "systemctl start portals.service",
            ),
            (
                vec!["/mnt/data/unifi-os"],
                "UniFi OS",
                "/mnt/data/portals/portals",
                "/mnt/data/portals/service start",
            ),
            (vec!["/lib/functions/procd.sh"], "OpenWrt", "/usr/sbin/portals", "/etc/init.d/portals start"),
            (vec![systemd], "systemd", "/usr/local/bin/portals", "systemctl start portals.service"),
            (vec!["/run/openrc"], "OpenRC", "/usr/local/bin/portals", "rc-service portals start"),
        ] {
            let layout = layout_with(true, &paths).unwrap();
            assert_eq!(layout.platform, platform);
            assert_eq!(layout.program, program);
            assert_eq!(layout.keeper.call(Order::Start).join(" "), keeper);
        }
        assert_eq!(layout_with(true, &["/usr/lib/systemd/systemd", "/sbin/openrc-run"]), None);
    }

    #[test]
    fn in_an_image_nothing_runs_yet() {
        let platform = |path| layout_with(false, &[path]).map(|layout| layout.platform);
        assert_eq!(platform("/usr/lib/systemd/systemd"), Some("systemd"));
        assert_eq!(platform("/lib/systemd/systemd"), Some("systemd"));
        assert_eq!(platform("/sbin/openrc-run"), Some("OpenRC"));
        assert_eq!(platform("/run/openrc"), None);
    }

    #[test]
    fn the_network_file_lies_where_upgrades_leave_it() {
        for (path, folder) in [
            ("/config/scripts/post-config.d", "/config/portals"),
            ("/data/unifi", "/data/portals"),
            ("/mnt/data/unifi-os", "/mnt/data/portals"),
            ("/run/systemd/system", "/etc/portals"),
        ] {
            assert_eq!(folder_on(&|asked| asked == path), folder);
        }
    }

    #[test]
    fn whom_to_ask_is_looked_for_in_tmp_on_openwrt_alone() {
        assert_eq!(behind_forwarder_on(&|path| path == "/lib/functions/procd.sh").len(), 2);
        assert!(behind_forwarder_on(&|path| path != "/lib/functions/procd.sh").is_empty());
    }

    /// What an upgrade of the firmware must not take away lies in the folder that it leaves.
    #[test]
    fn program_and_hook_outlive_an_upgrade() {
        for (paths, kept) in [
            (["/config/scripts/post-config.d", "/run/systemd/system"], "/config/"),
            (["/data/unifi", "/run/systemd/system"], "/data/"),
        ] {
            let layout = layout_with(true, &paths).unwrap();
            assert!(layout.program.starts_with(kept));
            assert!(layout.files[0].path.starts_with(kept), "the hook: {}", layout.files[0].path);
            let unit = layout.files.iter().find(|file| file.path.ends_with(".service")).unwrap();
            assert!(unit.text.contains(&format!("\nRequiresMountsFor={kept}portals\n")), "{}", unit.text);
        }
    }

    #[test]
    fn openwrt_keeps_every_file_of_it() {
        let layout = layout_with(true, &["/lib/functions/procd.sh"]).unwrap();
        let kept = &layout.files.iter().find(|file| file.path.contains("keep.d")).unwrap().text;
        let paths =
            layout.files.iter().map(|file| &file.path).chain(layout.links.iter().map(|link| &link.path));
        for path in paths.chain([&layout.program]) {
            assert!(kept.lines().any(|line| line == path), "{path} in:\n{kept}");
        }
    }

    #[test]
    fn no_place_is_left_to_be_filled_in() {
        for path in
            ["/config/scripts/post-config.d", "/data/unifi", "/lib/functions/procd.sh", "/sbin/openrc-run"]
        {
            for with_systemd in ["", "/lib/systemd/systemd"] {
                for file in layout_with(false, &[path, with_systemd]).unwrap().files {
                    for place in ["@PROGRAM@", "@FOLDER@"] {
                        assert!(!file.text.contains(place), "{}:\n{}", file.path, file.text);
                    }
                }
            }
        }
    }
}
