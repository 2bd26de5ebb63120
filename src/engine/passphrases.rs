//! Files with Wi-Fi passphrases.

use std::path::Path;

use crate::base::error::{Error, Result};
use crate::config::model::{PortalConfig, Wifi};
use crate::site::access_point;
use crate::site::access_point::Passphrases;
use crate::system::key_files;
use crate::wifi::passphrase::Passphrase;

/// Reads the passphrases of a site's Wi-Fi networks from the folder of the network file. A passphrase that
/// cannot be read is an error in words, by the name of its file.
pub fn of_site(portals: &[PortalConfig], folder: &Path) -> Passphrases {
    let read = |(_, wifi): (_, &Wifi)| {
        let passphrase = read(&folder.join(&wifi.passphrase_file));
        (wifi.passphrase_file.clone().into(), passphrase.map_err(|error| error.to_string()))
    };
    access_point::all(portals).map(read).collect()
}

/// Reads a file of one line. Spaces belong to the passphrase.
fn read(path: &Path) -> Result<Passphrase> {
    let wrong = |reason: &str| Error::wrong(format!("{}: {reason}", path.display()));
    let text = key_files::read_secret(path)?.ok_or_else(|| {
        wrong("there is no such file; write the passphrase of the Wi-Fi into it, and run chmod 600 on it")
    })?;
    Passphrase::of(&text).map_err(wrong)
}
