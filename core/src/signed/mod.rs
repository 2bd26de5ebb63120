//! Signature of the network file: its last line, made with an Ed25519 key (RFC 8032) of the person who
//! administers the network.
//!
//! ```text
//! # signature: <64 bytes in base64>
//! ```
//!
//! The signature covers the line `portals network file 1`, and every byte of the file before the signature.
//! Nothing may follow the line of the signature, and it has the line end of the file: a signed text has one
//! form only, and thus one hash.

#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blake2::Digest as _;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::base::net::{PublicKey, Secret};

/// Beginning of the line with the signature.
const LINE: &str = "# signature: ";

/// First line of each signed text: no signature of a network file is a signature of anything else.
const PURPOSE: &[u8] = b"portals network file 1\n";

/// Hash of a network file, by which sites tell files apart: the first 16 bytes of BLAKE2s-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileHash(pub [u8; 16]);

impl fmt::Display for FileHash {
    /// Writes the first four bytes: enough for a person to tell two files apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0[..4] {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// Origin of a network file, as its signature shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileStanding {
    /// The network has no admin key.
    Unsigned,
    /// The network has admin keys, and none of them has signed this text.
    Edited,
    /// The admin key with this public half has signed the text.
    Signed(PublicKey),
}

/// Returns the hash of a network file, with its signature.
pub fn hash(text: &str) -> FileHash {
    FileHash(*blake2::Blake2s256::digest(text).first_chunk().expect("a longer hash"))
}

/// Returns the public half of an admin key.
pub fn admin_public(seed: &Secret) -> PublicKey {
    PublicKey(SigningKey::from_bytes(seed.bytes()).verifying_key().to_bytes())
}

/// Returns a network file without its signature.
pub fn unsigned(text: &str) -> &str {
    split(text).map_or(text, |(body, _)| body)
}

/// Reports whether a network file has a signature, which may be an outdated one that other lines follow.
pub fn was_signed(text: &str) -> bool {
    unsigned(text).len() < text.len() || text.split_inclusive('\n').any(is_signature)
}

/// Reports whether a line is a whole signature: other comments that begin alike are none.
pub fn is_signature(line: &str) -> bool {
    split(line).is_some_and(|(_, bytes)| Signature::from_slice(&bytes).is_ok())
}

/// Signs a network file. The signature takes the place of earlier ones, also of those above other lines.
pub fn sign(text: &str, seed: &Secret) -> String {
    let mut text = without_signatures(unsigned(text));
    if !text.ends_with('\n') {
        text.push_str(newline(&text));
    }
    let signature = SigningKey::from_bytes(seed.bytes()).sign(&covered(&text));
    let line = line(&text, &signature);
    text + &line
}

/// Tells who has signed a network file that lists these admin keys.
pub fn standing(text: &str, admins: &[PublicKey]) -> FileStanding {
    if admins.is_empty() {
        return FileStanding::Unsigned;
    }
    let Some((body, Ok(signature))) = split(text).map(|(body, line)| (body, Signature::from_slice(&line)))
    else {
        return FileStanding::Edited;
    };
    if text[body.len()..] != line(body, &signature) {
        return FileStanding::Edited;
    }
    let covered = covered(body);
    for admin in admins {
        let key = VerifyingKey::from_bytes(&admin.0);
        if key.is_ok_and(|key| key.verify_strict(&covered, &signature).is_ok()) {
            return FileStanding::Signed(*admin);
        }
    }
    FileStanding::Edited
}

/// Returns the line end of a text, which is that of its first line.
pub(crate) fn newline(text: &str) -> &'static str {
    let end = text.find('\n').unwrap_or_default();
    if text[..end].ends_with('\r') { "\r\n" } else { "\n" }
}

/// Returns the line with the signature of the lines before it.
fn line(body: &str, signature: &Signature) -> String {
    LINE.to_owned() + &BASE64.encode(signature.to_bytes()) + newline(body)
}

/// Returns a text without its lines that are signatures.
fn without_signatures(text: &str) -> String {
    let mut rest = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if !is_signature(line) {
            rest.push_str(line);
        }
    }
    rest
}

fn covered(body: &str) -> Vec<u8> {
    [PURPOSE, body.as_bytes()].concat()
}

/// Splits a text into the lines before the signature, and the bytes of the signature, which are not checked;
/// `None` if the last line with text is no signature.
fn split(text: &str) -> Option<(&str, Vec<u8>)> {
    let line = text.trim_end().rsplit('\n').next()?;
    let start = line.as_ptr() as usize - text.as_ptr() as usize;
    let signature = line.strip_prefix(LINE)?;
    Some((&text[..start], BASE64.decode(signature.trim()).unwrap_or_default()))
}
