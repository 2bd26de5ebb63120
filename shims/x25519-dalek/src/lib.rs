//! The part of x25519-dalek that this workspace and its dependencies use, without precomputed tables: a
//! public key takes as long as a shared secret.
#![no_std]

use curve25519_dalek::montgomery::MontgomeryPoint;
use zeroize::Zeroizing;

/// The base point of RFC 7748, as bytes.
pub const X25519_BASEPOINT_BYTES: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 9;
    bytes
};

/// The function X25519 of RFC 7748: the point `point`, `scalar` times.
pub fn x25519(scalar: [u8; 32], point: [u8; 32]) -> [u8; 32] {
    MontgomeryPoint(point).mul_clamped(scalar).to_bytes()
}

/// A public key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PublicKey(MontgomeryPoint);

impl PublicKey {
    /// Returns the key as bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Returns the key as bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }
}

impl From<[u8; 32]> for PublicKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(MontgomeryPoint(bytes))
    }
}

impl From<&StaticSecret> for PublicKey {
    fn from(secret: &StaticSecret) -> Self {
        Self(MontgomeryPoint(X25519_BASEPOINT_BYTES).mul_clamped(*secret.0))
    }
}

/// A private key, zeroized on drop.
#[derive(Clone)]
pub struct StaticSecret(Zeroizing<[u8; 32]>);

/// A private key for one handshake.
pub type ReusableSecret = StaticSecret;

/// A private key for one shared secret.
pub type EphemeralSecret = StaticSecret;

impl StaticSecret {
    /// Makes a private key of the kernel's random bytes.
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).expect("the kernel has random bytes");
        Self(bytes)
    }

    /// Returns the secret that only the owners of the two private keys can compute.
    pub fn diffie_hellman(&self, public: &PublicKey) -> SharedSecret {
        SharedSecret(Zeroizing::new(public.0.mul_clamped(*self.0)))
    }

    /// Returns the key as bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the key as bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        *self.0
    }
}

impl From<[u8; 32]> for StaticSecret {
    fn from(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// The secret of two key pairs, zeroized on drop.
pub struct SharedSecret(Zeroizing<MontgomeryPoint>);

impl SharedSecret {
    /// Returns the secret as bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Returns the secret as bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The iterated test vector of RFC 7748, section 5.2, after one step and after a thousand.
    #[test]
    fn scalar_multiplication_follows_the_rfc() {
        let (mut scalar, mut point) = (X25519_BASEPOINT_BYTES, X25519_BASEPOINT_BYTES);
        for step in 1..=1000 {
            (scalar, point) = (x25519(scalar, point), scalar);
            if step == 1 {
                assert_eq!(scalar[..4], [0x42, 0x2c, 0x8e, 0x7a]);
            }
        }
        assert_eq!(scalar[..4], [0x68, 0x4c, 0xf5, 0x9b]);
        assert_eq!(scalar[28..], [0x99, 0x53, 0x2c, 0x51]);
    }

    #[test]
    fn two_key_pairs_share_a_secret() {
        let (one, other) = (StaticSecret::random(), ReusableSecret::random());
        let (one_public, other_public) = (PublicKey::from(&one), PublicKey::from(&other));
        assert_ne!(one_public, other_public);
        assert_eq!(one_public.to_bytes(), x25519(one.to_bytes(), X25519_BASEPOINT_BYTES));
        let shared = one.diffie_hellman(&other_public);
        assert_eq!(shared.as_bytes(), other.diffie_hellman(&one_public).as_bytes());
        assert_eq!(shared.to_bytes(), x25519(*one.as_bytes(), *other_public.as_bytes()));
    }
}
