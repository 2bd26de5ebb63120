//! Package manager of this machine: the command that installs a missing program, and the package that this
//! program came in.

use std::path::Path;

use crate::base::package_manager::PackageManager;

/// Package managers, and the command that installs with each.
const MANAGERS: [(&str, &str); 5] = [
    ("/usr/bin/apt-get", "apt-get install"),
    ("/sbin/apk", "apk add"),
    ("/bin/opkg", "opkg install"),
    ("/usr/bin/dnf", "dnf install"),
    ("/usr/bin/pacman", "pacman -S"),
];

/// Files in which package managers record that a package of our name is installed, and the commands that
/// remove it.
const PACKAGE_RECORDS: [(&str, &str); 3] = [
    ("usr/lib/opkg/info/portals.list", "opkg remove portals"),
    ("lib/apk/packages/portals.list", "apk del portals"),
    // The list of files stays until a removed package is purged.
    ("var/lib/dpkg/info/portals.prerm", "apt-get remove portals"),
];

/// Paths of the program in packages.
const PROGRAMS: [&str; 2] = ["/usr/bin/portals", "/usr/sbin/portals"];

/// Returns the command that removes the package of portals from the machine whose files are below `root`, if
/// portals is installed as a package there.
pub fn removal_command(root: &Path) -> Option<&'static str> {
    PACKAGE_RECORDS.iter().find(|(path, _)| root.join(path).exists()).map(|(_, command)| *command)
}

/// Reports whether a package of portals has brought the program at this path.
pub fn has_brought(program: &Path) -> bool {
    PROGRAMS.iter().any(|path| program == Path::new(path)) && removal_command(Path::new("/")).is_some()
}

/// Returns the path of the program that a package has brought, if one of the paths has a program.
pub fn program() -> Option<&'static str> {
    PROGRAMS.into_iter().find(|path| Path::new(path).exists())
}

/// Looks for the package manager of this machine.
pub fn manager() -> PackageManager {
    // On OpenWrt, apk is in another folder.
    let found = |path: &str| Path::new(path).exists() || Path::new("/usr").join(&path[1..]).exists();
    PackageManager { install: MANAGERS.iter().find(|(path, _)| found(path)).map(|(_, command)| *command) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_installed_package_is_recognised() {
        let root = std::env::temp_dir().join(format!("portals-packages-{}", std::process::id()));
        assert_eq!(removal_command(&root), None);
        fs::create_dir_all(root.join("usr/lib/opkg/info")).unwrap();
        fs::write(root.join("usr/lib/opkg/info/portals.list"), "/usr/sbin/portals\n").unwrap();
        assert_eq!(removal_command(&root), Some("opkg remove portals"));
        fs::remove_dir_all(&root).unwrap();
    }
}
