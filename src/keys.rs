//! This site's key pair, the network's secret, and what is derived from the two.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use blake2::Digest as _;
use blake2::digest::consts::U32;
use defguard_wireguard_rs::key::Key;
use zeroize::Zeroizing;

use crate::disk::{self, Source, unreadable};
use crate::error::{Context as _, Error, Result};
use crate::net::{PublicKey, Secret};

/// File name of the site's private key, beside the network file.
pub const PRIVATE_KEY_FILE: &str = "private.key";

/// File name of the network's secret, beside the network file; optional.
pub const NETWORK_SECRET_FILE: &str = "network.secret";

/// A new private key from the kernel's random numbers.
pub fn generate() -> Secret {
    clamped(&Secret::new(Key::generate().as_array()))
}

/// The same private key as the kernel keeps it, with the five bits set that Curve25519 does not look at (RFC 7748 § 5): what is
/// read back from the kernel must equal what was wanted.
pub(crate) fn clamped(key: &Secret) -> Secret {
    let mut bytes = Zeroizing::new(*key.bytes());
    bytes[0] &= 0b1111_1000;
    bytes[31] = bytes[31] & 0b0111_1111 | 0b0100_0000;
    Secret::new(*bytes)
}

/// The public half of a private key.
pub fn public_key(private: &Secret) -> PublicKey {
    PublicKey(Key::new(*private.bytes()).public_key().as_array())
}

/// The pre-shared key of a link: BLAKE2b-256 over four lines: `portals psk 1`, the network's secret and the public keys of both
/// ends in base64, the lesser text first. Both ends get the same, and `b2sum -l 256` can make it by hand.
pub fn preshared_key(secret: &Secret, one: PublicKey, other: PublicKey) -> Secret {
    let mut ends = [one.to_string(), other.to_string()];
    ends.sort();
    let mut hash = blake2::Blake2b::<U32>::new();
    for line in ["portals psk 1", secret.to_base64().as_str(), &ends[0], &ends[1]] {
        hash.update(line);
        hash.update("\n");
    }
    Secret::new(hash.finalize().into())
}

/// Reads the file of a private key, which must exist.
pub fn load(path: &Path) -> Result<Secret> {
    load_if_there(path)?.as_ref().map(clamped).ok_or_else(|| {
        Error::wrong(format!(
            "{}: there is no such file; `portals init` makes this site's key",
            path.display()
        ))
    })
}

/// The public half of the key in a file, also of one that may not be used since others can read it; `None` if it cannot be read.
pub fn owner(path: &Path) -> Option<PublicKey> {
    let (bytes, _) = read_bytes(path, Source::Ours).ok()??;
    let key: Secret = str::from_utf8(&bytes).ok()?.trim().parse().ok()?;
    Some(public_key(&key))
}

/// Reads a key file, if there is one.
pub fn load_if_there(path: &Path) -> Result<Option<Secret>> {
    let Some(text) = read_secret(path)? else { return Ok(None) };
    let secret =
        text.trim().parse().map_err(|reason| Error::wrong(format!("{}: {reason}", path.display())))?;
    Ok(Some(secret))
}

/// Reads the file of a secret that is text, if there is one. Others than its owner must not be able to read it.
pub fn read_secret(path: &Path) -> Result<Option<Zeroizing<String>>> {
    let Some(bytes) = read_secret_bytes(path, Source::Ours)? else { return Ok(None) };
    let text = str::from_utf8(&bytes).doing(|| format!("cannot read {}", path.display()))?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

/// Reads a secret of any kind and any origin.
pub fn read_secret_bytes(path: &Path, source: Source) -> Result<Option<Zeroizing<Vec<u8>>>> {
    match read_bytes(path, source)? {
        Some((_, true)) => {
            let path = path.display();
            Err(Error::wrong(format!("{path}: others can read this secret; run: chmod 600 {path}")))
        }
        read => Ok(read.map(|(bytes, _)| bytes)),
    }
}

/// Reads a file that holds a secret, if there is one; and whether others than its owner can.
pub fn read_bytes(path: &Path, source: Source) -> Result<Option<(Zeroizing<Vec<u8>>, bool)>> {
    let file = match disk::open(path, source) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, error)),
    };
    let metadata = file.metadata().doing(|| format!("cannot look at {}", path.display()))?;
    let bytes = disk::all_of(file).map_err(|error| unreadable(path, error))?;
    Ok(Some((Zeroizing::new(bytes), metadata.mode() & 0o077 != 0)))
}

/// Writes a new key file of mode 0600; an existing one is never overwritten.
pub fn save(path: &Path, secret: &Secret) -> Result<()> {
    let doing = || format!("cannot write {}", path.display());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).doing(doing)?;
    file.write_all(secret.to_base64().as_bytes()).doing(doing)?;
    file.write_all(b"\n").doing(doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_derive_the_same_preshared_key() {
        let (a, b) = (public_key(&generate()), public_key(&generate()));
        let secret = generate();
        assert!(preshared_key(&secret, a, b) == preshared_key(&secret, b, a));
        assert!(preshared_key(&secret, a, b) != preshared_key(&generate(), a, b));
    }

    /// `wg set` with a key of ones, and `wg show … private-key` on Linux 6.1.
    #[test]
    fn keys_are_clamped_as_the_kernel_does() {
        let kept: Secret = "+P///////////////////////////////////////38=".parse().unwrap();
        assert!(clamped(&Secret::new([0xff; 32])) == kept);
        assert!(public_key(&Secret::new([0xff; 32])) == public_key(&kept));
    }

    /// printf 'portals psk 1\n%s\n%s\n%s\n' SECRET LESSER GREATER | b2sum -l 256 | xxd -r -p | base64
    #[test]
    fn coreutils_derive_it_too() {
        let key = |byte| PublicKey([byte; 32]);
        let derived = preshared_key(&Secret::new([7; 32]), key(1), key(2));
        assert_eq!(derived.to_base64().as_str(), "kk4O0ikjAdmafDo8kaFk6fmyyYParv2MTsDKeAKjwHs=");
    }
}
