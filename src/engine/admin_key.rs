//! Admin key, with which the network file is signed. It may be kept apart from the router.

use std::path::Path;

use crate::base::error::Result;
use crate::base::net::Secret;
use crate::system::key_files;

/// File name of the admin key, next to the network file.
pub const ADMIN_KEY_FILE: &str = "admin.key";

/// Reads the admin key in the folder of the network file, if it is there.
pub fn load(folder: &Path) -> Result<Option<Secret>> {
    key_files::load_if_there(&folder.join(ADMIN_KEY_FILE))
}

/// Generates an admin key from the kernel's random numbers. A key of 32 random bytes, as Ed25519 has it, is
/// all that a private key of WireGuard is before its five fixed bits.
pub fn generate() -> Secret {
    key_files::generate()
}
