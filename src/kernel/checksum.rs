//! The checksum of IP, ICMP, TCP and UDP (RFC 1071).

/// Returns the ones' complement of the ones' complement sum of all 16-bit words.
pub(super) fn checksum(bytes: &[u8]) -> u16 {
    !sum(bytes)
}

/// Returns the ones' complement sum of all 16-bit words. A last byte without a partner counts as the first
/// byte of a word. There are at most 4 GB.
///
/// The order of bytes does not matter for such a sum: it is turned once, at the end.
pub(super) fn sum(bytes: &[u8]) -> u16 {
    let (pieces, rest) = bytes.as_chunks::<16>();
    let mut last = [0; 16];
    last[..rest.len()].copy_from_slice(rest);
    let mut sum = of_piece(&last);
    for piece in pieces {
        sum += of_piece(piece);
    }
    u16::from_be_bytes(fold(sum).to_ne_bytes())
}

/// Returns a sum of words as one word.
pub(super) fn fold(mut sum: u64) -> u16 {
    loop {
        match u16::try_from(sum) {
            Ok(word) => return word,
            Err(_) => sum = (sum & 0xffff) + (sum >> 16),
        }
    }
}

fn of_piece(piece: &[u8; 16]) -> u64 {
    let [a, b, c, d] = *piece.as_chunks::<4>().0 else { return 0 };
    let word = |bytes: [u8; 4]| u64::from(u32::from_ne_bytes(bytes));
    word(a) + word(b) + word(c) + word(d)
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
        assert_eq!(sum(&vec![0xff; 1 << 17]), 0xffff);
        assert_eq!(fold(u64::MAX), 0xffff);
    }
}
