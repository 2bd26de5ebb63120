//! Platform of this machine: where a program and its files live, and how the program starts at boot. Detected
//! by the files of the platform, never by version numbers.

mod edgeos;
mod openrc;
mod openwrt;
mod steps;
mod systemd;
mod unifi;

use std::path::{Path, PathBuf};

use super::packages;
use crate::site::facts::Firmware;

pub use steps::{InstallStep, InstalledState, install, uninstall};

/// Name of the network file in the platform's folder.
pub const NETWORK_FILE: &str = "network.toml";

/// Folder of the network file and the keys on a common Linux.
const FOLDER: &str = "/etc/portals";

/// Path of the program on a common Linux.
const PROGRAM: &str = "/usr/local/bin/portals";

/// Returns the folder of the network file and the keys: this platform keeps it across firmware upgrades.
pub fn folder() -> PathBuf {
    folder_on(&exists_here).into()
}

/// Returns the folder of the network file and the keys on a machine where `has` reports which paths exist.
pub fn folder_on(has: &dyn Fn(&str) -> bool) -> &'static str {
    if edgeos::is_here(has) { edgeos::FOLDER } else { unifi::folder(has).unwrap_or(FOLDER) }
}

/// Returns the files in which this platform tells its own DNS forwarder which resolvers to ask, if these
/// files differ from those of a common Linux.
pub fn behind_forwarder() -> &'static [&'static str] {
    behind_forwarder_on(&exists_here)
}

fn behind_forwarder_on(has: &dyn Fn(&str) -> bool) -> &'static [&'static str] {
    if openwrt::is_here(has) { &openwrt::BEHIND_FORWARDER } else { &[] }
}

/// Returns the command that starts the agent by the boot hook of this platform, or that installs the hook and
/// starts the agent; `None` if nothing here starts programs at boot.
pub fn start_command() -> Option<&'static str> {
    let layout = layout_here()?;
    Some(if is_installed(&layout) { "portals start" } else { "portals install" })
}

fn exists_here(path: &str) -> bool {
    Path::new(path).exists()
}

/// Returns the firmware of this machine, if it is a known one.
pub fn firmware() -> Option<Firmware> {
    let has = &exists_here;
    if edgeos::is_here(has) {
        Some(Firmware::EdgeOs)
    } else if unifi::folder(has).is_some() {
        Some(Firmware::UniFi)
    } else {
        openwrt::is_here(has).then_some(Firmware::OpenWrt)
    }
}

/// Machine to install on.
pub struct Machine<'a> {
    /// Set for a running machine; an image or a test's folder does not run.
    pub is_live: bool,
    /// Reports whether a path of the machine exists.
    pub has: &'a dyn Fn(&str) -> bool,
}

impl Machine<'_> {
    /// Reports whether one of these paths exists.
    fn has_any(&self, paths: &[&str]) -> bool {
        paths.iter().any(|path| (self.has)(path))
    }
}

/// Layout of an installation: the files and links that `portals install` puts on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Name of the platform, for people.
    pub platform: &'static str,
    /// Folder of the network file and the keys.
    pub folder: &'static str,
    /// Path of the program, in a place that firmware upgrades keep, where the platform has such a place.
    pub program: String,
    /// Boot hook, and the files that it needs.
    pub files: Vec<InstalledFile>,
    /// Links that enable the boot hook or lead to the program.
    pub links: Vec<InstalledLink>,
    /// Service manager that starts and restarts the agent.
    pub keeper: ServiceManager,
    /// Programs that show the agent's log.
    pub log: &'static LogReader,
}

/// Programs that show the agent's log: each a command line.
#[derive(Debug, PartialEq, Eq)]
pub struct LogReader {
    /// Shows the log.
    pub show: &'static [&'static str],
    /// Shows its end, and new lines as they come; also those of other programs where they share a file.
    pub follow: &'static [&'static str],
}

/// Reader of a system log in a file.
static MESSAGES: LogReader = LogReader {
    show: &["grep", "portals", "/var/log/messages"],
    follow: &["tail", "-n", "1000", "-F", "/var/log/messages"],
};

/// File of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledFile {
    /// Absolute, as the machine sees it.
    pub path: String,
    /// Contents of the file.
    pub text: String,
    /// Permission bits, such as 0o755.
    pub mode: u32,
}

/// Symbolic link of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledLink {
    /// Absolute, as the machine sees it.
    pub path: String,
    /// Target of the link.
    pub target: String,
}

/// Service manager that starts the agent, and restarts it when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceManager {
    /// systemd, with the unit `portals.service`.
    Systemd,
    /// OpenRC, with its supervise-daemon.
    OpenRc,
    /// OpenWrt's procd.
    Procd,
    /// Script of ours, at this path: for firmware whose init restarts no programs.
    Script(String),
}

/// Order to a service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceAction {
    /// Start the agent, unless it runs.
    Start,
    /// End the agent, and start it again.
    Restart,
    /// End the agent for good.
    Stop,
}

impl ServiceManager {
    /// Returns the command line that gives the order: the program and its arguments.
    pub fn call(&self, order: ServiceAction) -> Vec<&str> {
        let order = match order {
            ServiceAction::Start => "start",
            ServiceAction::Restart => "restart",
            ServiceAction::Stop => "stop",
        };
        match self {
            Self::Systemd => vec!["systemctl", order, systemd::UNIT],
            Self::OpenRc => vec!["rc-service", "portals", order],
            Self::Procd => vec![openwrt::INIT, order],
            Self::Script(path) => vec![path, order],
        }
    }

    /// Returns the command lines that enable the boot hook of a package; none if no package has one.
    pub fn enabling(&self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Systemd => &[&["systemctl", "enable", systemd::UNIT, systemd::GUARD]],
            Self::Procd => &[&[openwrt::INIT, "enable"], &[openwrt::GUARD, "enable"]],
            Self::OpenRc | Self::Script(_) => &[],
        }
    }
}

/// Returns the layout for a machine; `None` if nothing there could start the agent at boot. Firmware is
/// checked first: on firmware, files in the places of a common Linux do not last.
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

/// Returns the layout for this running machine.
pub fn layout_here() -> Option<Layout> {
    layout(&Machine { is_live: true, has: &exists_here })
}

/// Reports whether the boot hook of a layout is on this machine, by `install` or by a package.
pub fn is_installed(layout: &Layout) -> bool {
    packages::removal_command(Path::new("/")).is_some()
        || layout.files.iter().any(|file| exists_here(&file.path))
}

/// Returns the command that ends the agent of this machine, whose process id is `process`.
pub fn stop_command(process: &str) -> String {
    if layout_here().is_some_and(|layout| is_installed(&layout)) {
        "portals stop".to_owned()
    } else {
        ["kill ", process].concat()
    }
}

/// Returns the layout for firmware that keeps one folder across upgrades: program and hook live there. The
/// hook runs `portals install` at each boot, which restores the files that an upgrade has wiped, and starts
/// the agent.
fn on_firmware(
    platform: &'static str,
    folder: &'static str,
    hook: InstalledFile,
    has_systemd: bool,
) -> Layout {
    let program = format!("{folder}/portals");
    let mut files = vec![hook];
    let mut links = vec![InstalledLink { path: PROGRAM.into(), target: program.clone() }];
    let keeper = if has_systemd {
        files.extend(systemd::units(&program, folder));
        links.extend(systemd::enabling());
        ServiceManager::Systemd
    } else {
        let path = format!("{folder}/service");
        files.push(script(&path, include_str!("../../../targets/edgerouter/service")));
        ServiceManager::Script(path)
    };
    let log = if has_systemd { &systemd::LOG } else { &MESSAGES };
    Layout { platform, folder, program, files, links, keeper, log }
}

fn script(path: impl Into<String>, text: &str) -> InstalledFile {
    InstalledFile { path: path.into(), text: text.into(), mode: 0o755 }
}

/// Fills the paths of a platform into a file of `targets/`.
fn filled(text: &str, program: &str, folder: &str) -> String {
    text.replace("@PROGRAM@", program).replace("@FOLDER@", folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the layout for a machine on which only these paths exist.
    fn layout_with(is_live: bool, paths: &[&str]) -> Option<Layout> {
        layout(&Machine { is_live, has: &|path| paths.contains(&path) })
    }

    #[test]
    fn a_platform_is_known_by_its_files() {
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
            assert_eq!(layout.keeper.call(ServiceAction::Start).join(" "), keeper);
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
    fn the_network_file_is_in_a_folder_that_upgrades_keep() {
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
    fn resolvers_are_read_from_tmp_only_on_openwrt() {
        assert_eq!(behind_forwarder_on(&|path| path == "/lib/functions/procd.sh").len(), 2);
        assert!(behind_forwarder_on(&|path| path != "/lib/functions/procd.sh").is_empty());
    }

    /// Program and hook are in the folder that firmware upgrades keep.
    #[test]
    fn program_and_hook_survive_an_upgrade() {
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
    fn openwrt_keeps_every_installed_file() {
        let layout = layout_with(true, &["/lib/functions/procd.sh"]).unwrap();
        let kept = &layout.files.iter().find(|file| file.path.contains("keep.d")).unwrap().text;
        let paths =
            layout.files.iter().map(|file| &file.path).chain(layout.links.iter().map(|link| &link.path));
        for path in paths.chain([&layout.program]) {
            assert!(kept.lines().any(|line| line == path), "{path} in:\n{kept}");
        }
    }

    #[test]
    fn every_placeholder_is_filled_in() {
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
