use proptest::prelude::*;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::*;

extern crate std;

/// Order of the base point, its lowest byte first.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn check(key: &SigningKey, text: &[u8], bytes: &[u8]) -> Result<(), SignatureError> {
    key.verifying_key().verify_strict(text, &Signature::from_slice(bytes)?)
}

proptest! {
    // A signature takes a tenth of a second without optimization.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn signatures_are_those_of_another_library(seed: [u8; 32], text: std::vec::Vec<u8>, bit in 0..512_usize) {
        let ours = SigningKey::from_bytes(&seed);
        let theirs = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let public = ours.verifying_key().to_bytes();
        prop_assert_eq!(public.as_slice(), theirs.public_key().as_ref());
        let mut signature = ours.sign(&text).to_bytes();
        let their_signature = theirs.sign(&text);
        prop_assert_eq!(signature.as_slice(), their_signature.as_ref());
        prop_assert_eq!(check(&ours, &text, &signature), Ok(()));
        let other = [text.as_slice(), b"!"].concat();
        prop_assert_eq!(check(&ours, &other, &signature), Err(SignatureError));
        signature[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(check(&ours, &text, &signature), Err(SignatureError));
    }

    #[test]
    fn products_and_remainders_are_those_of_the_curve(one: [u8; 64], other: [u8; 64]) {
        let [one_scalar, other_scalar] = [one, other].map(|wide| Scalar::from_bytes_mod_order_wide(&wide));
        prop_assert_eq!(reduced(&one), one_scalar);
        prop_assert_eq!(product(&one_scalar, &other_scalar), one_scalar * other_scalar);
    }
}

#[test]
fn numbers_around_the_order_are_reduced() {
    let mut number = ORDER;
    assert_eq!(reduced(&number), Scalar::ZERO);
    number[0] -= 1;
    assert_eq!(reduced(&number).to_bytes(), number);
    number[0] += 2;
    assert_eq!(reduced(&number), Scalar::ONE);
    assert_eq!(reduced(&[0xff; 64]), Scalar::from_bytes_mod_order_wide(&[0xff; 64]));
    assert_eq!(reduced(&[]), Scalar::ZERO);
}

/// RFC 8032, section 5.1.7: a scalar of the order or more is refused, or anybody could make a second
/// signature.
#[test]
fn a_scalar_beyond_the_order_is_refused() {
    let key = SigningKey::from_bytes(&[7; 32]);
    let mut signature = key.sign(b"text").to_bytes();
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    assert_eq!(carry, 0);
    assert_eq!(check(&key, b"text", &signature), Err(SignatureError));
}

#[test]
fn points_of_small_order_are_refused() {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let weak = VerifyingKey::from_bytes(&neutral).unwrap();
    let mut forged = [0; 64];
    forged[0] = 1;
    let forged = Signature::from_slice(&forged).unwrap();
    assert_eq!(weak.verify_strict(b"any text", &forged), Err(SignatureError));
    assert_eq!(forged.to_bytes()[..32], neutral);

    // With a point of order 4 in the signature, ring would say the same, because it compares points only.
    let key = SigningKey::from_bytes(&[7; 32]);
    assert_eq!(check(&key, b"text", &[0; 64]), Err(SignatureError));
    let public = key.verifying_key().to_bytes();
    assert!(UnparsedPublicKey::new(&ED25519, public).verify(b"text", &[0; 64]).is_err());
}

#[test]
fn other_lengths_are_no_signatures() {
    for length in [0, 32, 63, 65, 96] {
        assert_eq!(Signature::from_slice(&std::vec![0; length]), Err(SignatureError), "{length}");
    }
    assert_eq!(VerifyingKey::from_bytes(&[2; 32]).map(|key| key.to_bytes()), Err(SignatureError));
}
