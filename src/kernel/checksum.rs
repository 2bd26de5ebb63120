//! The checksum of IP, ICMP, TCP and UDP (RFC 1071).

/// Returns the ones' complement of the ones' complement sum of all 16-bit words.
pub(super) fn checksum(bytes: &[u8]) -> u16 {
    !sum(bytes)
}

/// Piece that is added at once: half a register, so that no carry is lost.
#[cfg(target_pointer_width = "64")]
type Half = u32;
#[cfg(not(target_pointer_width = "64"))]
type Half = u16;

/// Length of a piece in bytes.
const HALF: usize = size_of::<Half>();

/// Returns the ones' complement sum of all 16-bit words, of at most 64 kB. A last byte without a partner
/// counts as the first byte of a word.
///
/// The order of bytes does not matter for such a sum: it is turned once, at the end. Four pieces in a row
/// spare most rounds of the loop.
pub(super) fn sum(bytes: &[u8]) -> u16 {
    let (fours, rest) = bytes.as_chunks::<{ 4 * HALF }>();
    let mut last = [0; _];
    last[..rest.len()].copy_from_slice(rest);
    let mut sum = 0;
    for at in 0..=fours.len() {
        if let [a, b, c, d] = *fours.get(at).unwrap_or(&last).as_chunks::<HALF>().0 {
            sum += number(a) + number(b) + number(c) + number(d);
        }
    }
    u16::from_be_bytes(fold(sum).to_ne_bytes())
}

fn number(half: [u8; HALF]) -> usize {
    Half::from_ne_bytes(half) as usize
}

/// Returns a sum of words as one word.
pub(super) fn fold(mut sum: usize) -> u16 {
    loop {
        match u16::try_from(sum) {
            Ok(word) => return word,
            Err(_) => sum = (sum & 0xffff) + (sum >> 16),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_sum_is_that_of_all_words(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut padded = bytes.clone();
            padded.push(0);
            let mut expected = 0_u64;
            for word in padded.as_chunks::<2>().0 {
                expected += u64::from(u16::from_be_bytes(*word));
                if expected > 0xffff {
                    expected -= 0xffff;
                }
            }
            prop_assert_eq!(u64::from(sum(&bytes)), expected);
        }
    }

    #[test]
    fn the_largest_sum_is_right() {
        assert_eq!(sum(&vec![0xff; 1 << 16]), 0xffff);
        assert_eq!(fold(usize::MAX), 0xffff);
    }
}
