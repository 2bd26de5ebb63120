//! The package manager of a machine, as advice for a person.

/// Package manager of a machine; the default is an unknown one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PackageManager {
    /// Command that installs a package whose name follows, such as `apt-get install`.
    pub install: Option<&'static str>,
}

impl PackageManager {
    /// Returns the advice that follows "is missing: ".
    pub fn how_to_install(self, package: &str) -> String {
        match self.install {
            Some(command) => format!("install it with `{command} {}`", name_at(command, package)),
            None => format!("install the package {package}"),
        }
    }
}

/// Returns the name of a package for an install command. Names are the same everywhere, with one exception:
/// Debian's `dnsmasq` also starts a service for the whole host, which takes the ports of all other DNS
/// servers.
fn name_at<'a>(command: &str, package: &'a str) -> &'a str {
    if package == "dnsmasq" && command.starts_with("apt-get") { "dnsmasq-base" } else { package }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_splits_dnsmasq() {
        assert_eq!(name_at("apt-get install", "dnsmasq"), "dnsmasq-base");
        assert_eq!(name_at("opkg install", "dnsmasq"), "dnsmasq");
        assert_eq!(name_at("apt-get install", "hostapd"), "hostapd");
    }
}
