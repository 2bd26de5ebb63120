//! Attributes of netlink messages as read: `struct nlattr` of linux/netlink.h. Their headers are in the machine's byte order.

use std::net::IpAddr;

use netlink_packet_core::NLA_TYPE_MASK;

const HEADER: usize = 4;

/// Attributes, one behind the other.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// Those in `bytes`, up to the first that is cut short.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Kind and value of each.
    pub(super) fn iter(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut bytes = self.0;
        std::iter::from_fn(move || {
            let length = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
            let (header, value) = bytes.get(..length)?.split_at_checked(HEADER)?;
            bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
            Some((u16::from_ne_bytes(*header[2..].first_chunk()?) & NLA_TYPE_MASK, value))
        })
    }

    /// The attributes inside each of them: for lists.
    pub(super) fn elements(self) -> impl Iterator<Item = Attributes<'a>> {
        self.iter().map(|(_, value)| Self(value))
    }

    pub(super) fn bytes(self, kind: u16) -> Option<&'a [u8]> {
        self.iter().find(|(found, _)| *found == kind).map(|(_, value)| value)
    }

    /// A number in the network's byte order: as nfnetlink writes them.
    pub(super) fn number(self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.bytes(kind)?.try_into().ok()?))
    }

    pub(super) fn text(self, kind: u16) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(kind)?.strip_suffix(&[0])?).ok()
    }

    /// The attributes inside one; none if it is absent.
    pub(super) fn nested(self, kind: u16) -> Self {
        Self(self.bytes(kind).unwrap_or_default())
    }
}

/// The number in a value, in the machine's byte order: as rtnetlink writes them.
pub(super) fn native_number(value: &[u8]) -> Option<u32> {
    value.first_chunk().copied().map(u32::from_ne_bytes)
}

/// The address in a value: IPv4 or IPv6, by its length.
pub(super) fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => value.first_chunk::<4>().copied().map(IpAddr::from),
        16 => value.first_chunk::<16>().copied().map(IpAddr::from),
        _ => None,
    }
}

/// The text in a value, up to its closing zero; empty if it is not UTF-8.
pub(super) fn text_before_zero(value: &[u8]) -> &str {
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    std::str::from_utf8(text).unwrap_or_default()
}
