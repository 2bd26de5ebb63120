//! How a missing program is installed on this machine.

use std::path::Path;

/// Package managers, and the command that installs with each. Names of packages are the same with all of them.
const MANAGERS: [(&str, &str); 5] = [
    ("/usr/bin/apt-get", "apt-get install"),
    ("/sbin/apk", "apk add"),
    ("/bin/opkg", "opkg install"),
    ("/usr/bin/dnf", "dnf install"),
    ("/usr/bin/pacman", "pacman -S"),
];

/// The advice that goes behind "is missing: ".
pub fn how_to_install(package: &str) -> String {
    // OpenWrt has its apk elsewhere.
    let found = |path: &str| Path::new(path).exists() || Path::new("/usr").join(&path[1..]).exists();
    match MANAGERS.iter().find(|(path, _)| found(path)) {
        Some((_, command)) => format!("install it with `{command} {package}`"),
        None => format!("install the package {package}"),
    }
}
