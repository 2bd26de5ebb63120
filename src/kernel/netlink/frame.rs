//! Messages as received: `struct nlmsghdr` of linux/netlink.h, and a payload.

use netlink_packet_core::{NLMSG_DONE, NLMSG_ERROR};

use super::ALIGNMENT;

/// Bytes of `struct nlmsghdr`: length, kind, flags, sequence number and port.
pub(super) const HEADER: usize = 16;

/// Message of an answer or a notification.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// Kind: `RTM_*`, the number of a family of generic netlink, or a subsystem and a message of nfnetlink.
    pub(crate) kind: u16,
    /// Flags: `NLM_F_*`.
    pub(crate) flags: u16,
    /// Number of the request that the message answers.
    pub(crate) sequence: u32,
    /// Port of the socket whose request caused the message.
    pub(crate) port: u32,
    /// Bytes behind the header.
    pub(crate) payload: &'a [u8],
    /// The whole message, header included.
    pub(crate) bytes: &'a [u8],
}

impl Frame<'_> {
    /// Reports whether the message ends an answer: an error, an acknowledgement or the end of a dump.
    pub(super) fn is_end(&self) -> bool {
        matches!(self.kind, NLMSG_DONE | NLMSG_ERROR)
    }
}

/// Returns the messages in `bytes`, up to the first that is cut short.
pub(crate) fn frames(mut bytes: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
        let message = bytes.get(..length)?;
        let (header, payload) = message.split_at_checked(HEADER)?;
        bytes = bytes.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        Some(Frame {
            kind: u16::from_ne_bytes(*header[4..].first_chunk()?),
            flags: u16::from_ne_bytes(*header[6..].first_chunk()?),
            sequence: u32::from_ne_bytes(*header[8..].first_chunk()?),
            port: u32::from_ne_bytes(*header[12..].first_chunk()?),
            payload,
            bytes: message,
        })
    })
}
