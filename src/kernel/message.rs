//! Requests to the kernel, and the reading of its answers.
//!
//! `netlink-packet-route` writes and reads addresses, routes, rules and neighbours. Interfaces are written
//! here, by [`LinkRequest`], and read in `link`: that crate knows every kind of interface and traffic filter,
//! which makes a fifth of a megabyte of code, and takes a quarter of a millisecond to decode one interface.

use netlink_packet_core::{Emitable, NLM_F_ACK, NLM_F_REQUEST};
use nix::libc;
use zeroize::Zeroizing;

use super::attributes::AttributeWriter;

/// Bytes in front of an interface's attributes: `struct ifinfomsg` of linux/rtnetlink.h, with the number at 4
/// and the flags at 8.
pub(super) const LINK_HEADER: usize = 16;

/// Flag of an interface that is administratively up (IFF_UP of linux/if.h).
pub const UP: u32 = libc::IFF_UP.cast_unsigned();

/// Bytes in front of the attributes of generic netlink: `struct genlmsghdr` of linux/genetlink.h.
pub(super) const GENERIC_HEADER: usize = 4;

/// Bytes of the header of every message: `struct nlmsghdr` of linux/netlink.h.
const HEADER: usize = 16;

/// A request of any netlink protocol, ready to be sent. It may hold private keys: it is never printed, and is
/// wiped when dropped.
pub struct Message {
    kind: u16,
    flags: u16,
    body: Zeroizing<Vec<u8>>,
}

impl Message {
    /// Returns a request of one of libc's `RTM_*`, with its content.
    pub fn new(kind: u16, content: &dyn Emitable) -> Self {
        Self::behind(&[], kind, content)
    }

    /// Returns a request to a family of generic netlink: a command of the family, and attributes. The kernel
    /// does not look at the version.
    pub fn generic(family: u16, command: u8, attributes: &dyn Emitable) -> Self {
        let header: [u8; GENERIC_HEADER] = [command, 1, 0, 0];
        Self::behind(&header, family, attributes)
    }

    /// Returns a request whose content is written already.
    pub fn raw(kind: u16, body: Vec<u8>) -> Self {
        Self { kind, flags: NLM_F_REQUEST, body: body.into() }
    }

    fn behind(header: &[u8], kind: u16, content: &dyn Emitable) -> Self {
        let mut body = Zeroizing::new(vec![0; header.len() + content.buffer_len()]);
        let (front, rest) = body.split_at_mut(header.len());
        front.copy_from_slice(header);
        content.emit(rest);
        Self { kind, flags: NLM_F_REQUEST, body }
    }

    /// Adds flags to those that every request has, such as NLM_F_CREATE.
    #[must_use]
    pub fn with_flags(mut self, flags: u16) -> Self {
        self.add_flags(flags);
        self
    }

    pub(super) fn add_flags(&mut self, flags: u16) {
        self.flags |= flags;
    }

    /// Reports whether the kernel must acknowledge the request even if it succeeds.
    pub(super) fn wants_acknowledgement(&self) -> bool {
        self.flags & NLM_F_ACK != 0
    }

    /// Returns the length of the request in bytes, header included.
    pub(super) fn length(&self) -> usize {
        HEADER + self.body.len()
    }

    /// Appends the request under a sequence number. The kernel fills in the port.
    pub(super) fn write(&self, sequence: u32, bytes: &mut Vec<u8>) {
        let length = u32::try_from(self.length()).expect("a request is far smaller than 4 GB");
        bytes.extend(length.to_ne_bytes());
        bytes.extend(self.kind.to_ne_bytes());
        bytes.extend(self.flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend_from_slice(&self.body);
    }
}

/// An object that is read from an answer. The kind of the answer follows from the question.
pub trait Decode: Sized {
    /// Reads the object; `None` if we have no use for it.
    fn decode(payload: &[u8]) -> Option<Self>;
}

/// A request about an interface: `struct ifinfomsg` of linux/rtnetlink.h, and attributes.
#[derive(Debug, Clone, Default)]
pub struct LinkRequest {
    flags: u32,
    /// Mask of the flags that count.
    change: u32,
    attributes: AttributeWriter,
}

impl LinkRequest {
    /// Returns a request about the interface of that name.
    pub fn named(name: &str) -> Self {
        Self::default().with_text(libc::IFLA_IFNAME, name)
    }

    /// Sets the interface up or down.
    #[must_use]
    pub fn up(self, up: bool) -> Self {
        Self { flags: if up { UP } else { 0 }, change: UP, ..self }
    }

    /// Adds an attribute (libc's `IFLA_*`) that is a number, in the machine's byte order.
    #[must_use]
    pub fn with_number(mut self, kind: u16, number: u32) -> Self {
        self.attributes.native_number(kind, number);
        self
    }

    /// Adds an attribute (libc's `IFLA_*`) that is a text.
    #[must_use]
    pub fn with_text(mut self, kind: u16, text: &str) -> Self {
        self.attributes.text(kind, text);
        self
    }

    /// Adds the kind of an interface that is to be made, and the attributes that belong to that kind.
    #[must_use]
    pub fn of_kind(mut self, kind: &str, data: Option<Vec<u8>>) -> Self {
        self.attributes.nest(libc::IFLA_LINKINFO, |info| {
            info.bytes(libc::IFLA_INFO_KIND, kind.as_bytes());
            if let Some(data) = data {
                info.nest(libc::IFLA_INFO_DATA, |content| content.append(&data));
            }
        });
        self
    }

    /// Returns the request as an attribute of another one, such as the far end of a pair.
    pub fn nested(&self, kind: u16) -> Vec<u8> {
        let mut writer = AttributeWriter::default();
        writer.nest(kind, |content| {
            content.append(&self.header());
            content.append(self.attributes.written());
        });
        writer.finish()
    }

    /// Returns the header, without family, hardware type and number of the interface: the kernel finds the
    /// interface by its name.
    fn header(&self) -> [u8; LINK_HEADER] {
        let mut header = [0; LINK_HEADER];
        header[8..12].copy_from_slice(&self.flags.to_ne_bytes());
        header[12..].copy_from_slice(&self.change.to_ne_bytes());
        header
    }
}

impl Emitable for LinkRequest {
    fn buffer_len(&self) -> usize {
        LINK_HEADER + self.attributes.written().len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        let (header, attributes) = buffer.split_at_mut(LINK_HEADER);
        header.copy_from_slice(&self.header());
        attributes.copy_from_slice(self.attributes.written());
    }
}
