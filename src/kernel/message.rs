//! Requests to the kernel, and the reading of its answers.

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST};
use zeroize::Zeroizing;

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
    /// Returns a request to a family of generic netlink: a command of the family, and attributes. The kernel
    /// does not look at the version.
    pub fn generic(family: u16, command: u8, attributes: &[u8]) -> Self {
        let header: [u8; GENERIC_HEADER] = [command, 1, 0, 0];
        Self::raw(family, [&header, attributes].concat())
    }

    /// Returns a request whose content is written already.
    pub fn raw(kind: u16, body: Vec<u8>) -> Self {
        Self { kind, flags: NLM_F_REQUEST, body: body.into() }
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

    /// Returns the request without its header.
    #[cfg(test)]
    pub(super) fn body(&self) -> &[u8] {
        &self.body
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
