//! Keys of WireGuard.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::{Zeroize as _, Zeroizing};

use super::Invalid;

/// WireGuard public key (Curve25519), written in base64 as by `wg`. Aligned for the same reason as
/// [`IfName`](super::IfName).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(align(4))]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        decode_key(text).map(Self)
    }
}

/// Private or pre-shared key: compared, passed to the kernel, wiped when dropped, never printed. Aligned for
/// the same reason as [`IfName`](super::IfName).
#[derive(Clone, PartialEq, Eq)]
#[repr(align(4))]
pub struct Secret([u8; 32]);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Secret {
    /// Returns the key with these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for the kernel and for key derivation.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the key in base64, for a file of mode 0600.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl FromStr for Secret {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        decode_key(text).map(Self)
    }
}

fn decode_key(text: &str) -> Result<[u8; 32], Invalid> {
    let bytes = Zeroizing::new(BASE64.decode(text).map_err(|_| {
        Invalid("is not a key: a key has 44 characters of base64 and ends in `=`".to_owned())
    })?);
    bytes.as_slice().try_into().map_err(|_| {
        Invalid(format!("is {} bytes long; a key is 32 bytes, 44 characters of base64", bytes.len()))
    })
}
