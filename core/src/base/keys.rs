//! Keys that are derived from others: public halves, the pre-shared keys of links, and keyed hashes.

use blake2::digest::consts::U32;
use blake2::digest::{KeyInit as _, Mac as _};
use blake2::{Blake2sMac256, Digest as _};
use zeroize::Zeroizing;

use crate::base::net::{PublicKey, Secret};

/// Returns the private key as the kernel keeps it, with the five bits fixed that Curve25519 ignores (RFC 7748
/// § 5). The key read back from the kernel must equal the desired key.
pub fn clamped(key: &Secret) -> Secret {
    let mut bytes = Zeroizing::new(*key.bytes());
    bytes[0] &= 0b1111_1000;
    bytes[31] = bytes[31] & 0b0111_1111 | 0b0100_0000;
    Secret::new(*bytes)
}

/// Returns the public key of a private key.
pub fn public_key(private: &Secret) -> PublicKey {
    PublicKey(x25519_dalek::x25519(*private.bytes(), x25519_dalek::X25519_BASEPOINT_BYTES))
}

/// Derives the pre-shared key of a link: BLAKE2b-256 over four lines: `portals psk 1`, the network's secret,
/// and the public keys of both ends in base64, the lesser text first. Both ends derive the same key; `b2sum
/// -l 256` derives it by hand.
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

/// Returns BLAKE2s-256 over a text in several parts, with a key of up to 32 bytes.
pub fn keyed_hash(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut mac = Blake2sMac256::new_from_slice(key).expect("a key of up to 32 bytes");
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generate(byte: u8) -> Secret {
        clamped(&Secret::new([byte; 32]))
    }

    #[test]
    fn both_ends_derive_the_same_preshared_key() {
        let (a, b) = (public_key(&generate(1)), public_key(&generate(2)));
        let secret = generate(3);
        assert!(preshared_key(&secret, a, b) == preshared_key(&secret, b, a));
        assert!(preshared_key(&secret, a, b) != preshared_key(&generate(4), a, b));
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
