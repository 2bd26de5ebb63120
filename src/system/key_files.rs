//! The files of secrets: this site's private key and the network's secret.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::base::error::{Context as _, Error, Result};
use crate::base::keys::{clamped, public_key};
use crate::base::net::{Invalid, PublicKey, Secret};
use crate::system::disk::{self, FileOrigin, cannot_write, unreadable};

/// File name of the site's private key, next to the network file.
pub const PRIVATE_KEY_FILE: &str = "private.key";

/// File name of the network's secret, next to the network file; optional.
pub const NETWORK_SECRET_FILE: &str = "network.secret";

/// Generates a private key from the kernel's random numbers.
pub fn generate() -> Secret {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).expect("the kernel has random bytes");
    clamped(&Secret::new(*bytes))
}

/// Returns random bytes: the middle of a new key, of which only the first and the last byte are not random.
#[inline(never)]
pub fn random() -> [u8; 16] {
    *generate().bytes()[8..].first_chunk().expect("a key is longer")
}

/// Reads the file of a private key, which must exist.
pub fn load(path: &Path) -> Result<Secret> {
    load_if_there(path)?.as_ref().map(clamped).ok_or_else(|| missing(path))
}

/// Returns the error about a private key that does not exist.
pub fn missing(path: &Path) -> Error {
    Error::wrong(format_args!(
        "{}: there is no such file; create this site's key with `portals init`",
        path.display()
    ))
}

/// Returns the public key of the private key in a file, even if the mode of the file is too open for use;
/// `None` if the file cannot be read.
pub fn owner(path: &Path) -> Option<PublicKey> {
    let (bytes, _) = read_bytes(path, FileOrigin::Ours).ok()??;
    let key: Secret = str::from_utf8(&bytes).ok()?.trim().parse().ok()?;
    Some(public_key(&key))
}

/// Reads a key file, if it exists.
pub fn load_if_there(path: &Path) -> Result<Option<Secret>> {
    let Some(text) = read_secret(path)? else { return Ok(None) };
    let secret = text.trim().parse().map_err(|fault: Invalid| {
        // Bytes: parts of a path would cost more code.
        let is_own = path.as_os_str().as_encoded_bytes().ends_with(PRIVATE_KEY_FILE.as_bytes());
        let way_out =
            if is_own { "; move this file away, and make a new key with `portals init`" } else { "" };
        Error::wrong(format_args!("{}: {}{way_out}", path.display(), fault.0))
    })?;
    Ok(Some(secret))
}

/// Reads a file with a secret text, if it exists. Only the owner may be able to read the file.
pub fn read_secret(path: &Path) -> Result<Option<Zeroizing<String>>> {
    let Some(bytes) = read_secret_bytes(path, FileOrigin::Ours)? else { return Ok(None) };
    let text = str::from_utf8(&bytes).context(|| format!("cannot read {}", path.display()))?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

/// Reads a file with a secret of any kind from `source`, if it exists. Only the owner may be able to read the
/// file.
pub fn read_secret_bytes(path: &Path, source: FileOrigin) -> Result<Option<Zeroizing<Vec<u8>>>> {
    match read_bytes(path, source)? {
        Some((_, true)) => {
            let path = path.display();
            Err(Error::wrong(format_args!("{path}: other users can read this secret; run: chmod 600 {path}")))
        }
        read => Ok(read.map(|(bytes, _)| bytes)),
    }
}

/// Reads a file with a secret, if it exists; the flag reports whether other users can read the file too.
pub fn read_bytes(path: &Path, source: FileOrigin) -> Result<Option<(Zeroizing<Vec<u8>>, bool)>> {
    let file = match disk::open(path, source) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, error)),
    };
    let metadata = file.metadata().context(|| format!("cannot look at {}", path.display()))?;
    let bytes = disk::all_of(file).map_err(|error| unreadable(path, error))?;
    Ok(Some((Zeroizing::new(bytes), metadata.mode() & 0o077 != 0)))
}

/// Writes a key file of mode 0600, in place of an existing one.
pub fn replace(path: &Path, secret: &Secret) -> Result<()> {
    write(path, secret, disk::replace)
}

/// Writes a new key file of mode 0600; never overwrites an existing file.
pub fn save(path: &Path, secret: &Secret) -> Result<()> {
    write(path, secret, disk::write_new)
}

fn write(path: &Path, secret: &Secret, how: fn(&Path, &[u8], u32) -> std::io::Result<()>) -> Result<()> {
    let text = Zeroizing::new([secret.to_base64().as_bytes(), b"\n"].concat());
    how(path, &text, 0o600).context(|| cannot_write(path))
}
