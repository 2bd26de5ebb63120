//! Entries of legacy iptables as the kernel hands them out, and a digest of them.
//!
//! The kernel sends no notice when a table changes, and its own answer tells only the table's shape: a rule
//! that another one of the same size has replaced leaves the shape as it was. The digest covers the rules
//! themselves, without what packets change in them. It takes no process, half a microsecond a rule, and one
//! copy of the largest table.

use std::mem::offset_of;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::libc;

use super::question::{NAME, NAMES, Shape, ask_bytes, names, raw};
use crate::base::error::{Context as _, Result};
use crate::base::net::Family;

/// `IPT_SO_GET_ENTRIES` and `IP6T_SO_GET_ENTRIES`.
const GET_ENTRIES: libc::c_int = 65;

/// Largest table in bytes whose rules are read: some 40,000 rules. Of a larger one, the shape must do.
const LARGEST: u32 = 16 << 20;

/// Attempts to read a table that other programs change meanwhile.
const ATTEMPTS: usize = 3;

/// Length of the head of a match or target (`struct xt_entry_match`, `struct xt_entry_target`): the size of
/// the whole, its name, and its revision.
const HEAD: usize = 32;

/// Matches whose data the packets change, and the length of their settings before that. Newer kernels keep
/// such state elsewhere.
const CHANGING: [(&[u8], usize); 3] = [(b"limit\0", 8), (b"quota\0", 16), (b"statistic\0", 12)];

/// Question for entries: `struct ipt_get_entries`. The entries follow, aligned as their counters are.
#[repr(C)]
struct Question {
    name: [u8; NAME],
    size: u32,
    entries: [u64; 0],
}

/// Entry: `struct ipt_entry` or `struct ip6t_entry`, as the ABI of this process has it. The kernel translates
/// for 32-bit processes.
#[repr(C)]
struct Entry<Conditions> {
    conditions: Conditions,
    cache: u32,
    target: u16,
    /// Distance to the next entry.
    next: u16,
    /// Field in which old kernels noted their way while a packet passed.
    came_from: u32,
    /// Packets and bytes.
    counters: [u64; 2],
}

/// `struct ipt_ip` and `struct ip6t_ip6` of linux/netfilter_ipv4/ip_tables.h and ipv6's: addresses, names of
/// interfaces, protocol and flags, aligned as numbers of four bytes.
type Conditions4 = [u32; 21];
type Conditions6 = [u32; 34];

/// Offsets in an entry.
#[derive(Clone, Copy)]
struct Layout {
    next: usize,
    came_from: usize,
    length: usize,
}

impl Layout {
    fn of(family: Family) -> Self {
        const fn of<T>() -> Layout {
            Layout {
                next: offset_of!(Entry<T>, next),
                came_from: offset_of!(Entry<T>, came_from),
                length: size_of::<Entry<T>>(),
            }
        }
        match family {
            Family::V4 => const { of::<Conditions4>() },
            Family::V6 => const { of::<Conditions6>() },
        }
    }
}

/// Returns a digest of all tables in use; `None` if there is none. The digest differs as soon as a program
/// has added, removed, flushed or replaced rules. `buffer` is room for one table, and can be used again.
pub fn digest(buffer: &mut Vec<u8>) -> Result<Option<u64>> {
    let mut all = None;
    for (family, file) in NAMES {
        let names = names(file)?;
        if names.is_empty() {
            continue;
        }
        let socket = raw(family).context(|| "cannot ask the kernel for its iptables".to_owned())?;
        for name in names.split_whitespace() {
            // A table that has disappeared since the list was read has no shape.
            if let Some(digest) = of_table(&socket, family, name, all.unwrap_or(0), buffer) {
                all = Some(digest);
            }
        }
    }
    Ok(all)
}

/// Adds a table to a digest. Without its rules, if they cannot be read.
fn of_table(socket: &OwnedFd, family: Family, name: &str, digest: u64, buffer: &mut Vec<u8>) -> Option<u64> {
    let mut found = None;
    for _ in 0..ATTEMPTS {
        let shape = Shape::read(socket, family, name).ok()?;
        let digest = of_shape(&shape, digest);
        found = Some(digest);
        if shape.bytes > LARGEST {
            break;
        }
        let head = size_of::<Question>();
        // The kernel leaves some bytes of an entry as they are, which would be those of the table before.
        buffer.clear();
        buffer.resize(head + shape.bytes as usize, 0);
        buffer[..NAME].copy_from_slice(&shape.name);
        let size = offset_of!(Question, size);
        buffer[size..][..4].copy_from_slice(&shape.bytes.to_ne_bytes());
        match ask_bytes(socket, family, GET_ENTRIES, buffer) {
            Ok(()) => return Some(of_entries(family, &buffer[head..], digest)),
            // The size has changed meanwhile.
            Err(Errno::EAGAIN) => {}
            Err(_) => break,
        }
    }
    found
}

/// Adds the shape of a table to a digest.
fn of_shape(shape: &Shape, digest: u64) -> u64 {
    let Shape { name, hooks, places, rules, bytes } = shape;
    let mut digest = mixed(digest, name);
    for number in [hooks, rules, bytes].into_iter().chain(places) {
        digest = mixed(digest, &number.to_ne_bytes());
    }
    digest
}

/// Adds the entries of a table to a digest, without their counters. Bytes that are no entries count as they
/// are.
pub(crate) fn of_entries(family: Family, entries: &[u8], mut digest: u64) -> u64 {
    let layout = Layout::of(family);
    let mut rest = entries;
    while let Some((entry, behind)) = first(rest, layout.next, layout.length) {
        digest = mixed(digest, &entry[..layout.came_from]);
        let mut extensions = &entry[layout.length..];
        while let Some((extension, behind)) = first(extensions, 0, HEAD) {
            digest = mixed(digest, steady(extension));
            extensions = behind;
        }
        digest = mixed(digest, extensions);
        rest = behind;
    }
    mixed(digest, rest)
}

/// Splits off the first of several parts, each of which has its length at this offset, and at least `least`
/// bytes.
fn first(bytes: &[u8], offset: usize, least: usize) -> Option<(&[u8], &[u8])> {
    let length = usize::from(u16::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?));
    if length < least {
        return None;
    }
    bytes.split_at_checked(length)
}

/// Returns the part of a match or target that packets do not change.
fn steady(extension: &[u8]) -> &[u8] {
    for (name, settings) in CHANGING {
        if extension[2..].starts_with(name) {
            return extension.get(..HEAD + settings).unwrap_or(extension);
        }
    }
    extension
}

/// Adds bytes to a digest, so that a difference in one word always changes it. The digest guards against
/// accidents: a program that may change the tables needs no collision.
fn mixed(mut digest: u64, bytes: &[u8]) -> u64 {
    for word in bytes.chunks(8) {
        let mut whole = [0; 8];
        whole[..word.len()].copy_from_slice(word);
        // An odd number near 2⁶⁴ divided by the golden ratio.
        digest = (digest ^ u64::from_ne_bytes(whole)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries of a kernel on x86_64, which aarch64 and mipsel lay out alike: of the chains of `filter`,
    /// with a
    /// rule `-m limit` in the first one, and one `-m statistic` in a chain of ours.
    const RECORDED: [(Family, &[u8]); 2] = [
        (Family::V4, include_bytes!("../../../fuzz/seeds/iptables/entries4")),
        (Family::V6, include_bytes!("../../../fuzz/seeds/iptables/entries6")),
    ];

    fn of(family: Family, entries: &[u8]) -> u64 {
        of_entries(family, entries, 7)
    }

    /// Offsets whose bytes a digest leaves out.
    fn left_out(family: Family, entries: &[u8]) -> Vec<usize> {
        let before = of(family, entries);
        let mut changed = entries.to_vec();
        let mut left_out = Vec::new();
        for at in 0..changed.len() {
            changed[at] ^= 0x55;
            if of(family, &changed) == before {
                left_out.push(at);
            }
            changed[at] ^= 0x55;
        }
        left_out
    }

    #[test]
    fn every_byte_counts_except_those_that_packets_change() {
        for (family, entries) in RECORDED {
            let layout = Layout::of(family);
            let mut expected = Vec::new();
            let (mut at, mut rest) = (0, entries);
            while let Some((entry, behind)) = first(rest, layout.next, layout.length) {
                expected.extend(at + layout.came_from..at + layout.length);
                // The one match of these rules follows the head of the entry.
                let data = at + layout.length + HEAD;
                let name = &entry[layout.length + 2..];
                if name.starts_with(b"limit\0") {
                    expected.extend(data + 8..data + 40);
                } else if name.starts_with(b"statistic\0") {
                    expected.extend(data + 12..data + 24);
                }
                at += entry.len();
                rest = behind;
            }
            assert!(rest.is_empty() && entries.windows(14).any(|text| text == b"PORTALS_FORWAR"));
            assert_eq!(left_out(family, entries), expected, "{family:?}");
        }
    }

    #[test]
    fn counters_of_the_real_layout_are_left_out() {
        let [v4, v6] = RECORDED.map(|(family, entries)| left_out(family, entries));
        // `offsetof(struct ipt_entry, counters)` is 96, ip6t_entry's is 152.
        assert!((96..112).all(|at| v4.contains(&at)) && !v4.contains(&91) && !v4.contains(&112));
        assert!((152..168).all(|at| v6.contains(&at)) && !v6.contains(&143) && !v6.contains(&168));
    }

    #[test]
    fn mutilated_entries_have_a_digest_too() {
        for (family, entries) in RECORDED {
            let whole = of(family, entries);
            for end in 0..entries.len() {
                assert_ne!(of(family, &entries[..end]), whole, "{family:?} {end}");
            }
            for at in 0..entries.len() - 1 {
                for value in [0_u16, 1, 31, 32, 0x7fff, 0xffff] {
                    let mut broken = entries.to_vec();
                    broken[at..at + 2].copy_from_slice(&value.to_ne_bytes());
                    let _ = of(family, &broken);
                }
            }
        }
        let nothing = of(Family::V4, &[]);
        for length in 1..300 {
            assert_ne!(of(Family::V4, &vec![0xff; length]), nothing);
        }
    }

    #[test]
    fn the_size_of_the_question_is_that_of_the_kernel() {
        assert_eq!(size_of::<Shape>(), 84);
        assert_eq!(size_of::<Question>(), 36_usize.next_multiple_of(align_of::<u64>()));
    }
}
