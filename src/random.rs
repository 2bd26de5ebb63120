//! Numbers that nobody can guess, for what only has to be told apart.

use std::hash::{BuildHasher as _, RandomState};

/// Sixteen random bits: a hash whose key comes from the kernel's random numbers, and is another one each time.
pub fn bits() -> u16 {
    let [first, second, ..] = RandomState::new().hash_one(()).to_ne_bytes();
    u16::from_ne_bytes([first, second])
}
