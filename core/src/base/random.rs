//! Numbers that nobody can guess, for what only has to be told apart.

use std::hash::{BuildHasher as _, RandomState};

/// Sixteen random bits.
pub fn bits() -> u16 {
    let [first, second, ..] = RandomState::new().hash_one(()).to_ne_bytes();
    u16::from_ne_bytes([first, second])
}

/// Random bits without end: hashes whose key comes from the kernel's random numbers, and is another one each time.
pub fn flips() -> impl Iterator<Item = bool> {
    let state = RandomState::new();
    (0_u64..).flat_map(move |number| {
        let hash = state.hash_one(number);
        (0..u64::BITS).map(move |bit| hash >> bit & 1 == 1)
    })
}
