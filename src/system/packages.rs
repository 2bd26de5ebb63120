//! How a missing program is installed on this machine, and whether this one came as a package.

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

/// Where package managers note that a package named like ours is installed, and what removes it.
const OWNERS: [(&str, &str); 3] = [
    ("usr/lib/opkg/info/portals.list", "opkg remove portals"),
    ("lib/apk/packages/portals.list", "apk del portals"),
    ("var/lib/dpkg/info/portals.list", "apt-get remove portals"),
];

/// The command that removes the package of portals from the machine whose files are below `root`, if there is one.
pub fn remover(root: &Path) -> Option<&'static str> {
    OWNERS.iter().find(|(path, _)| root.join(path).exists()).map(|(_, command)| *command)
}

/// Looks for the package manager of this machine.
pub fn manager() -> PackageManager {
    // OpenWrt has its apk elsewhere.
    let found = |path: &str| Path::new(path).exists() || Path::new("/usr").join(&path[1..]).exists();
    PackageManager { install: MANAGERS.iter().find(|(path, _)| found(path)).map(|(_, command)| *command) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_package_of_ours_is_known() {
        let root = std::env::temp_dir().join(format!("portals-packages-{}", std::process::id()));
        assert_eq!(remover(&root), None);
        fs::create_dir_all(root.join("usr/lib/opkg/info")).unwrap();
        fs::write(root.join("usr/lib/opkg/info/portals.list"), "/usr/sbin/portals\n").unwrap();
        assert_eq!(remover(&root), Some("opkg remove portals"));
        fs::remove_dir_all(&root).unwrap();
    }
}
