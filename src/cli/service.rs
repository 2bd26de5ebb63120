//! Command lines of `portals install`, `uninstall`, `start`, `stop`, `restart` and `logs`.

use std::path::PathBuf;

use super::fields::command;

command! {
    /// Start the agent at every boot: copies this program to a place that firmware upgrades keep, writes the
    /// boot hook of this platform (systemd, OpenRC, OpenWrt, EdgeOS, UniFi OS), and starts the agent. To
    /// upgrade, run `install` of a newer portals.
    pub struct InstallCommand = "install" {
        /// install into this folder, such as the root of an image, and start nothing
        pub root: Option<PathBuf> = "--root <root>";

        /// leave the agent stopped for now
        pub no_start: bool = "--no-start";
    }
}

command! {
    /// End the agent, remove everything as `down` does, and delete the files that `install` wrote. Network
    /// file and keys stay.
    pub struct UninstallCommand = "uninstall" {
        /// uninstall from this folder, such as the root of an image
        pub root: Option<PathBuf> = "--root <root>";
    }
}

command! {
    /// Start the agent that `install` has set up.
    pub struct StartCommand = "start" {}
}

command! {
    /// End the agent until `portals start` or the next boot. The portals stay as they are, without repair;
    /// those of the built-in WireGuard are closed.
    pub struct StopCommand = "stop" {}
}

command! {
    /// End the agent and start it again. The kernel keeps the portals meanwhile.
    pub struct RestartCommand = "restart" {}
}

command! {
    /// Show the log of the agent that `install` has set up, or its last 1000 lines.
    pub struct LogsCommand = "logs" {
        /// show its end, and new lines as they come, until Ctrl-C; on firmware without systemd, the lines of
        /// other programs, too
        pub follow: bool = "--follow";
    }
}
