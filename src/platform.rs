//! Where things live on this kind of machine.

use std::path::{Path, PathBuf};

/// Name of the network file in the platform's folder.
pub const NETWORK_FILE: &str = "network.toml";

/// The folder of the network file and the keys: where this platform keeps files across firmware upgrades.
pub fn folder() -> PathBuf {
    let (edgeos, unifi) = (Path::new("/config/scripts"), Path::new("/data/unifi"));
    if edgeos.is_dir() {
        PathBuf::from("/config/portals")
    } else if unifi.is_dir() {
        PathBuf::from("/data/portals")
    } else {
        PathBuf::from("/etc/portals")
    }
}
