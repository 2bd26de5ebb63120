//! Names of network interfaces.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::Invalid;

/// Name of a network interface: 1 to 15 characters of `A-Z a-z 0-9 . _ - @ +`. The kernel accepts more
/// characters (`dev_valid_name` in net/core/dev.c), but `*`, quotes and the like have a meaning in nft and in
/// shells, and real names do not contain them.
///
/// Stored as in the kernel, padded with zeros, and not on the heap: every address, route and rule contains a
/// name, which is copied and compared often.
///
/// Ordered as the texts are: of two names with the same beginning, the shorter has a zero where the longer
/// continues.
///
/// Aligned, because a processor that reads whole words only from aligned addresses (MIPS) then copies the
/// name in half the instructions.
#[derive(PartialEq, Eq, Hash)]
#[repr(align(4))]
pub struct IfName([u8; IFNAMSIZ]);

/// Size of an interface name in the kernel, in bytes, including the final zero (linux/if.h).
const IFNAMSIZ: usize = 16;

impl IfName {
    /// Longest name that the kernel accepts, in bytes.
    pub const LONGEST: usize = IFNAMSIZ - 1;

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(IFNAMSIZ);
        str::from_utf8(&self.0[..length]).expect("only ASCII gets in")
    }

    /// Returns the name padded with zeros, as the kernel's messages contain it.
    pub fn padded(&self) -> &[u8; IFNAMSIZ] {
        &self.0
    }

    fn words(&self) -> impl Iterator<Item = u32> {
        self.0.as_chunks().0.iter().map(|word| u32::from_be_bytes(*word))
    }
}

/// Never inlined: a call takes half the instructions of a copy.
impl Clone for IfName {
    #[inline(never)]
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

/// Compares names word by word: a command compares tens of thousands of names, and a comparison byte by byte
/// takes ten times as long.
impl Ord for IfName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.words().cmp(other.words())
    }
}

impl PartialOrd for IfName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for IfName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() || text.len() > Self::LONGEST {
            return Err(Invalid(format!("an interface name has 1 to {} characters", Self::LONGEST)));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@' | b'+');
        if text == "." || text == ".." || !text.bytes().all(allowed) {
            return Err(Invalid("an interface name has only letters, digits and . _ - @ +".to_owned()));
        }
        let mut name = [0; IFNAMSIZ];
        name[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self(name))
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_texts() {
        let mut texts = ["to-s2", "to-s10", "to-s1", "lo", "to-s", "eth0.30", "eth0", "a23456789012345", "Z"];
        let mut names: Vec<IfName> = texts.iter().map(|text| text.parse().unwrap()).collect();
        texts.sort_unstable();
        names.sort();
        assert_eq!(names.iter().map(IfName::as_str).collect::<Vec<_>>(), texts);
    }
}
