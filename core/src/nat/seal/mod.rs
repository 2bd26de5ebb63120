//! Encryption of packets between two sites, by the keys of their tunnels.
//!
//! Each pair of sites has one key: BLAKE2s-256 over `portals nat 1`, with the result of X25519 (RFC 7748) of
//! one's own private key and the other's public key as its key. Each packet has a key of its own: BLAKE2s-256
//! over its header, whose salt is random, with the pair's key. The body is encrypted by ChaCha20-Poly1305
//! (RFC 8439) with nonce 0. Therefore neither a clock nor a counter on disk is needed.

#[cfg(test)]
mod tests;

use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, Tag};
use x25519_dalek::x25519;
use zeroize::Zeroizing;

use super::packet::{HEADER, Header, Message, TAG};
pub(crate) use crate::base::keys::keyed_hash;
use crate::base::net::{PublicKey, Secret};

/// Text that the key of a pair is derived from.
const PURPOSE: &[u8] = b"portals nat 1";

/// Key of a pair of sites.
#[derive(Debug, Clone)]
pub struct PairKey {
    key: Secret,
    other: PublicKey,
}

impl PairKey {
    /// Derives the key of the pair of this site and another; `None` if the other key is one of the few with
    /// which X25519 gives no secret.
    pub fn derive(own: &Secret, other: PublicKey) -> Option<Self> {
        let shared = Zeroizing::new(x25519(*own.bytes(), other.0));
        (*shared != [0; 32]).then(|| Self { key: Secret::new(*mac(&shared, PURPOSE)), other })
    }

    /// Returns the public key of the other site.
    pub fn other(&self) -> PublicKey {
        self.other
    }

    /// Encodes and encrypts a packet. `salt` must be random.
    pub fn seal(&self, from: u8, to: u8, salt: [u8; 16], message: &Message) -> Vec<u8> {
        let header = Header { kind: message.kind(), from, to, salt }.encode();
        let mut body = message.encode();
        let tag = encrypt(&mac(self.key.bytes(), &header), &header, &mut body);
        [&header[..], &body, &tag].concat()
    }

    /// Decrypts and decodes a packet with this header; `None` if it is not authentic.
    pub fn open(&self, header: &Header, packet: &[u8]) -> Option<Message> {
        let packet = packet.get(..header.kind.sealed(packet.len()))?;
        let (bytes, sealed) = packet.split_first_chunk::<HEADER>()?;
        let (body, tag) = sealed.split_last_chunk::<TAG>()?;
        let mut body = body.to_vec();
        decrypt(&mac(self.key.bytes(), bytes), bytes, &mut body, tag)?;
        Message::decode(header.kind, &body)
    }
}

/// Encrypts a body with the key of one packet, and returns its tag. The tag covers `open` as well, which is
/// not encrypted.
pub(crate) fn encrypt(key: &[u8; 32], open: &[u8], body: &mut [u8]) -> [u8; TAG] {
    let cipher = ChaCha20Poly1305::new(key.into());
    cipher.encrypt_inout_detached(&Nonce::default(), open, body.into()).expect("a body is short").into()
}

/// Decrypts what [`encrypt`] has encrypted; `None` if it is not authentic.
pub(crate) fn decrypt(key: &[u8; 32], open: &[u8], body: &mut [u8], tag: &[u8; TAG]) -> Option<()> {
    let cipher = ChaCha20Poly1305::new(key.into());
    cipher.decrypt_inout_detached(&Nonce::default(), open, body.into(), &Tag::from(*tag)).ok()
}

/// Returns BLAKE2s-256 over a text, with a key.
pub(super) fn mac(key: &[u8; 32], text: &[u8]) -> Zeroizing<[u8; 32]> {
    keyed_hash(key, &[text])
}
