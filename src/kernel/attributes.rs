//! Attributes of netlink messages, read and written: `struct nlattr` of linux/netlink.h. The headers of
//! attributes are in the machine's byte order.

use std::net::IpAddr;

use netlink_packet_core::{NLA_F_NESTED, NLA_TYPE_MASK};

/// Bytes of `struct nlattr`: length and kind.
const HEADER: usize = 4;

/// Multiple of bytes at which every attribute begins (NLA_ALIGNTO).
const ALIGNMENT: usize = 4;

/// Attributes as read, one behind the other.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// Returns the attributes in `bytes`, up to the first that is cut short.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Returns the kind and the value of each attribute.
    pub(super) fn iter(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut bytes = self.0;
        std::iter::from_fn(move || {
            let length = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
            let (header, value) = bytes.get(..length)?.split_at_checked(HEADER)?;
            bytes = bytes.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
            Some((u16::from_ne_bytes(*header[2..].first_chunk()?) & NLA_TYPE_MASK, value))
        })
    }

    /// Returns the attributes inside each attribute: for lists.
    pub(super) fn elements(self) -> impl Iterator<Item = Attributes<'a>> {
        self.iter().map(|(_, value)| Self(value))
    }

    /// Returns the value of the first attribute of that kind.
    pub(super) fn bytes(self, kind: u16) -> Option<&'a [u8]> {
        self.iter().find(|(found, _)| *found == kind).map(|(_, value)| value)
    }

    /// Returns a number in the network's byte order, which nfnetlink uses.
    pub(super) fn number(self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.bytes(kind)?.try_into().ok()?))
    }

    /// Returns a text that ends with a zero.
    pub(super) fn text(self, kind: u16) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(kind)?.strip_suffix(&[0])?).ok()
    }

    /// Returns the attributes inside an attribute; none if it is absent.
    pub(super) fn nested(self, kind: u16) -> Self {
        Self(self.bytes(kind).unwrap_or_default())
    }
}

/// Returns the number in a value, in the machine's byte order, which rtnetlink and generic netlink use.
pub(super) fn native_number(value: &[u8]) -> Option<u32> {
    value.first_chunk().copied().map(u32::from_ne_bytes)
}

/// Returns the address in a value: IPv4 or IPv6, according to its length. Never inlined: each of its uses
/// would take a hundred bytes.
#[inline(never)]
pub(super) fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => value.first_chunk::<4>().copied().map(IpAddr::from),
        16 => value.first_chunk::<16>().copied().map(IpAddr::from),
        _ => None,
    }
}

/// Returns the bytes of an address of either family.
pub(super) fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// Returns the text in a value, up to its closing zero; empty if it is not UTF-8.
pub(super) fn text_before_zero(value: &[u8]) -> &str {
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    std::str::from_utf8(text).unwrap_or_default()
}

/// A writer of attributes, one behind the other.
#[derive(Debug, Clone, Default)]
pub(super) struct AttributeWriter(Vec<u8>);

impl AttributeWriter {
    /// Returns a writer whose attributes follow the header of a protocol.
    pub(super) fn behind(header: &[u8]) -> Self {
        Self(header.to_vec())
    }

    /// Returns the written bytes.
    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// Returns the bytes that were written so far.
    pub(super) fn written(&self) -> &[u8] {
        &self.0
    }

    /// Appends attributes that are written already.
    pub(super) fn append(&mut self, attributes: &[u8]) {
        self.0.extend_from_slice(attributes);
    }

    /// Writes bytes as they are.
    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.attribute(kind, |writer| writer.0.extend(value));
    }

    /// Writes a number in the network's byte order, which nfnetlink uses.
    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// Writes a number in the machine's byte order, which rtnetlink and generic netlink use.
    pub(super) fn native_number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// Writes an address of either family.
    pub(super) fn address(&mut self, kind: u16, address: IpAddr) {
        self.bytes(kind, &address_bytes(address));
    }

    /// Writes a text that ends with a zero.
    pub(super) fn text(&mut self, kind: u16, value: &str) {
        self.attribute(kind, |writer| {
            writer.0.extend(value.as_bytes());
            writer.0.push(0);
        });
    }

    /// Writes an attribute that holds the attributes that `content` writes.
    pub(super) fn nest(&mut self, kind: u16, content: impl FnOnce(&mut Self)) {
        self.attribute(kind | NLA_F_NESTED, content);
    }

    fn attribute(&mut self, kind: u16, content: impl FnOnce(&mut Self)) {
        let start = self.begin(kind);
        content(self);
        self.end(start);
    }

    /// Begins an attribute, and returns its place.
    fn begin(&mut self, kind: u16) -> usize {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        start
    }

    /// Ends the attribute that begins at `start`: writes its length, and fills it up.
    fn end(&mut self, start: usize) {
        let length = u16::try_from(self.0.len() - start).expect("long lists are split before they get here");
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(ALIGNMENT), 0);
    }
}
