//! The part of ed25519-dalek that this workspace uses: signatures of RFC 8032, checked strictly.
//!
//! The multiplication and the reduction of scalars in curve25519-dalek are 28 kB of code on a processor of 32
//! bits, because each multiplication of limbs is written out. This crate adds scalars only, bit by bit. A
//! signature then takes a few thousand additions more, a small part of the time of its two points.
#![no_std]

#[cfg(test)]
mod tests;

use core::fmt;

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use sha2::{Digest as _, Sha512};
use zeroize::Zeroizing;

/// Error for bytes that are no key, no signature, or not the signature of this text by this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureError;

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature is wrong")
    }
}

impl core::error::Error for SignatureError {}

/// A signature: a compressed point, and a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    point: [u8; 32],
    scalar: [u8; 32],
}

impl Signature {
    /// Takes the bytes of a signature, which [`VerifyingKey::verify_strict`] checks.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, SignatureError> {
        let ([point, scalar], []) = bytes.as_chunks() else { return Err(SignatureError) };
        Ok(Self { point: *point, scalar: *scalar })
    }

    /// Returns the signature as bytes.
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.point);
        bytes[32..].copy_from_slice(&self.scalar);
        bytes
    }
}

/// Owner of a private key.
pub trait Signer {
    /// Signs a text.
    fn sign(&self, text: &[u8]) -> Signature;
}

/// A private key, zeroized on drop.
pub struct SigningKey {
    scalar: Zeroizing<Scalar>,
    /// Secret that makes the first number of each signature.
    prefix: Zeroizing<[u8; 32]>,
    public: VerifyingKey,
}

impl SigningKey {
    /// Returns the key that belongs to a seed.
    pub fn from_bytes(seed: &[u8; 32]) -> Self {
        let hash = Zeroizing::new(<[u8; 64]>::from(Sha512::digest(seed)));
        let mut halves = Zeroizing::new([[0; 32]; 2]);
        halves.as_flattened_mut().copy_from_slice(&*hash);
        let scalar = Zeroizing::new(reduced(&*Zeroizing::new(clamp_integer(halves[0]))));
        let point = EdwardsPoint::mul_base(&scalar);
        let public = VerifyingKey { bytes: point.compress().to_bytes(), point };
        Self { scalar, prefix: Zeroizing::new(halves[1]), public }
    }

    /// Returns the public key.
    pub fn verifying_key(&self) -> VerifyingKey {
        self.public
    }
}

impl Signer for SigningKey {
    fn sign(&self, text: &[u8]) -> Signature {
        let nonce = Zeroizing::new(reduced_hash(&[&*self.prefix, text]));
        let point = EdwardsPoint::mul_base(&nonce).compress().to_bytes();
        let challenge = reduced_hash(&[&point, &self.public.bytes, text]);
        let scalar = product(&challenge, &self.scalar) + *nonce;
        Signature { point, scalar: scalar.to_bytes() }
    }
}

/// A public key.
#[derive(Debug, Clone, Copy)]
pub struct VerifyingKey {
    bytes: [u8; 32],
    point: EdwardsPoint,
}

impl VerifyingKey {
    /// Takes the bytes of a key, if they are those of a point.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SignatureError> {
        let point = CompressedEdwardsY(*bytes).decompress().ok_or(SignatureError)?;
        Ok(Self { bytes: *bytes, point })
    }

    /// Returns the key as bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.bytes
    }

    /// Checks a signature. A text has one signature of a key only: another scalar or another form of the
    /// point is refused, and so are points of small order, for which a signature fits many texts.
    pub fn verify_strict(&self, text: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        let scalar = reduced(&signature.scalar);
        let point = CompressedEdwardsY(signature.point).decompress().ok_or(SignatureError)?;
        if scalar.as_bytes() != &signature.scalar || point.is_small_order() || self.point.is_small_order() {
            return Err(SignatureError);
        }
        let challenge = reduced_hash(&[&signature.point, &self.bytes, text]);
        let expected =
            EdwardsPoint::vartime_double_scalar_mul_basepoint(&challenge, &-self.point, &scalar).compress();
        if expected.as_bytes() == &signature.point { Ok(()) } else { Err(SignatureError) }
    }
}

/// Returns the hash of all the parts, as a scalar.
fn reduced_hash(parts: &[&[u8]]) -> Scalar {
    let mut hash = Sha512::new();
    for part in parts {
        hash.update(part);
    }
    reduced(&*Zeroizing::new(<[u8; 64]>::from(hash.finalize())))
}

/// Returns a number, its lowest byte first, modulo the order of the base point. Takes the same time for all
/// numbers of a length.
fn reduced(number: &[u8]) -> Scalar {
    let mut sum = Scalar::ZERO;
    for byte in number.iter().rev() {
        for _ in 0..8 {
            sum += sum;
        }
        sum += Scalar::from(*byte);
    }
    sum
}

/// Returns a product. The time depends on `public`, and not on `secret`.
fn product(public: &Scalar, secret: &Scalar) -> Scalar {
    let mut sum = Scalar::ZERO;
    for byte in public.as_bytes().iter().rev() {
        for bit in (0..8).rev() {
            sum += sum;
            if byte >> bit & 1 == 1 {
                sum += secret;
            }
        }
    }
    sum
}
