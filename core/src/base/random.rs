//! Unpredictable numbers, for identifiers that only have to differ.

use std::hash::{BuildHasher as _, RandomState};

/// Returns 16 random bits.
pub fn bits() -> u16 {
    let [first, second, ..] = hash(&RandomState::new(), 0).to_ne_bytes();
    u16::from_ne_bytes([first, second])
}

/// Returns the hash of a number under the key of `state`.
fn hash(state: &RandomState, number: u64) -> u64 {
    state.hash_one(number)
}

/// Returns an endless sequence of random bits: hashes with a key from the kernel's random numbers, which
/// differs each time.
pub fn flips() -> impl Iterator<Item = bool> {
    let state = RandomState::new();
    (0_u64..).flat_map(move |number| {
        let hash = hash(&state, number);
        (0..u64::BITS).map(move |bit| hash >> bit & 1 == 1)
    })
}
