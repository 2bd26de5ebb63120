//! The part of chacha20poly1305 that boringtun and portals use: ring's ChaCha20-Poly1305 (RFC 8439), and
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), which derives a key for it from a long nonce.

pub use aead::{self, AeadCore, AeadInOut, Error, KeyInit, KeySizeUser};

use std::fmt;

use aead::TagPosition;
use aead::array::Array;
use aead::consts::{U12, U16, U24, U32};
use aead::inout::InOutBuf;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, UnboundKey};

/// Key of both ciphers.
pub type Key = Array<u8, U32>;

/// Nonce of [`ChaCha20Poly1305`].
pub type Nonce = Array<u8, U12>;

/// Nonce of [`XChaCha20Poly1305`].
pub type XNonce = Array<u8, U24>;

/// Tag of both ciphers, which proves that a text is authentic.
pub type Tag = Array<u8, U16>;

/// ChaCha20-Poly1305.
pub struct ChaCha20Poly1305(Key);

/// XChaCha20-Poly1305.
pub struct XChaCha20Poly1305(Key);

/// Implements the interface for a cipher, with the function that returns ring's key and nonce for its own.
macro_rules! cipher {
    ($name:ident, $nonce:ty, $prepare:expr) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }

        impl KeySizeUser for $name {
            type KeySize = U32;
        }

        impl KeyInit for $name {
            fn new(key: &Key) -> Self {
                Self(*key)
            }
        }

        impl AeadCore for $name {
            type NonceSize = $nonce;
            type TagSize = U16;
            const TAG_POSITION: TagPosition = TagPosition::Postfix;
        }

        impl AeadInOut for $name {
            fn encrypt_inout_detached(
                &self,
                nonce: &aead::Nonce<Self>,
                open: &[u8],
                text: InOutBuf<'_, '_, u8>,
            ) -> Result<Tag, Error> {
                let (key, nonce) = $prepare(&self.0.0, &nonce.0);
                seal(&key, nonce, open, in_place(text))
            }

            fn decrypt_inout_detached(
                &self,
                nonce: &aead::Nonce<Self>,
                open: &[u8],
                text: InOutBuf<'_, '_, u8>,
                tag: &Tag,
            ) -> Result<(), Error> {
                let (key, nonce) = $prepare(&self.0.0, &nonce.0);
                unseal(&key, nonce, open, in_place(text), tag)
            }
        }
    };
}

cipher!(ChaCha20Poly1305, U12, |key: &[u8; 32], nonce: &[u8; 12]| (*key, *nonce));
cipher!(XChaCha20Poly1305, U24, derived);

fn in_place<'a>(mut text: InOutBuf<'_, 'a, u8>) -> &'a mut [u8] {
    for mut byte in text.reborrow() {
        *byte.get_out() = *byte.get_in();
    }
    text.into_out()
}

fn seal(key: &[u8; 32], nonce: [u8; 12], open: &[u8], text: &mut [u8]) -> Result<Tag, Error> {
    let nonce = ring::aead::Nonce::assume_unique_for_key(nonce);
    let tag = cipher(key)?.seal_in_place_separate_tag(nonce, Aad::from(open), text).map_err(|_| Error)?;
    Tag::try_from(tag.as_ref()).map_err(|_| Error)
}

fn unseal(key: &[u8; 32], nonce: [u8; 12], open: &[u8], text: &mut [u8], tag: &Tag) -> Result<(), Error> {
    let (nonce, tag) = (ring::aead::Nonce::assume_unique_for_key(nonce), ring::aead::Tag::from(tag.0));
    let opened = cipher(key)?.open_in_place_separate_tag(nonce, Aad::from(open), tag, text, 0..);
    opened.map(drop).map_err(|_| Error)
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, Error> {
    UnboundKey::new(&CHACHA20_POLY1305, key).map(LessSafeKey::new).map_err(|_| Error)
}

/// Returns the key that HChaCha20 derives from a key and the first 16 bytes of a nonce, and a nonce with the
/// rest.
fn derived(key: &[u8; 32], nonce: &[u8; 24]) -> ([u8; 32], [u8; 12]) {
    /// Places of the words of each quarter round: the columns, and then the diagonals.
    const QUARTERS: [[usize; 4]; 8] = [
        [0, 4, 8, 12],
        [1, 5, 9, 13],
        [2, 6, 10, 14],
        [3, 7, 11, 15],
        [0, 5, 10, 15],
        [1, 6, 11, 12],
        [2, 7, 8, 13],
        [3, 4, 9, 14],
    ];
    let (first, rest) = nonce.split_at(16);
    let state = [b"expand 32-byte k", &key[..], first].concat();
    let mut words = [0_u32; 16];
    for (word, bytes) in words.iter_mut().zip(state.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    for _ in 0..10 {
        for [a, b, c, d] in QUARTERS {
            for (sum, with, turned, by) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
                words[sum] = words[sum].wrapping_add(words[with]);
                words[turned] = (words[turned] ^ words[sum]).rotate_left(by);
            }
        }
    }
    let (mut derived, mut short) = ([0; 32], [0; 12]);
    for (bytes, word) in derived.as_chunks_mut().0.iter_mut().zip(words[..4].iter().chain(&words[12..])) {
        *bytes = word.to_le_bytes();
    }
    short[4..].copy_from_slice(rest);
    (derived, short)
}

#[cfg(test)]
mod tests {
    use original::aead::{AeadInPlace as _, KeyInit as _};
    use proptest::prelude::*;

    use super::*;

    /// The example of draft-irtf-cfrg-xchacha-03 § 2.2.1.
    #[test]
    fn a_key_is_derived_as_in_the_draft() {
        let key = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let mut nonce = [0; 24];
        nonce[..16].copy_from_slice(&[0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0, 0x31, 0x41, 0x59, 0x27]);
        nonce[16..].copy_from_slice(b"the rest");
        let (derived, short) = derived(&key, &nonce);
        assert_eq!(derived[..8], [0x82, 0x41, 0x3b, 0x42, 0x27, 0xb2, 0x7b, 0xfe]);
        assert_eq!(derived[28..], [0x26, 0xd3, 0xec, 0xdc]);
        assert_eq!(short[..4], [0; 4]);
        assert_eq!(short[4..], *b"the rest");
    }

    proptest! {
        #[test]
        fn both_ciphers_are_those_of_the_original(
            key: [u8; 32],
            nonce: [u8; 12],
            long: [u8; 24],
            open: Vec<u8>,
            text: Vec<u8>,
            changed: prop::sample::Index,
        ) {
            let (mut ours, mut theirs) = (text.clone(), text.clone());
            let cipher = ChaCha20Poly1305::new(&key.into());
            let tag = cipher.encrypt_inout_detached(&nonce.into(), &open, (&mut ours[..]).into()).unwrap();
            let other = original::ChaCha20Poly1305::new(&key.into());
            let expected = other.encrypt_in_place_detached(&nonce.into(), &open, &mut theirs).unwrap();
            prop_assert_eq!((&ours, &tag[..]), (&theirs, &expected[..]));
            cipher.decrypt_inout_detached(&nonce.into(), &open, (&mut ours[..]).into(), &tag).unwrap();
            prop_assert_eq!(&ours, &text);

            let (mut ours, mut theirs) = (text.clone(), text.clone());
            let cipher = XChaCha20Poly1305::new(&key.into());
            let mut tag = cipher.encrypt_inout_detached(&long.into(), &open, (&mut ours[..]).into()).unwrap();
            let other = original::XChaCha20Poly1305::new(&key.into());
            let expected = other.encrypt_in_place_detached(&long.into(), &open, &mut theirs).unwrap();
            prop_assert_eq!((&ours, &tag[..]), (&theirs, &expected[..]));
            cipher.decrypt_inout_detached(&long.into(), &open, (&mut ours[..]).into(), &tag).unwrap();
            prop_assert_eq!(&ours, &text);

            tag[changed.index(16)] ^= 1;
            let opened = cipher.decrypt_inout_detached(&long.into(), &open, (&mut ours[..]).into(), &tag);
            prop_assert!(opened.is_err());
        }
    }
}
