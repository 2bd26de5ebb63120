//! Netfilter's netlink, messages written and read: `struct nlmsghdr` of linux/netlink.h, `struct nfgenmsg` of
//! linux/netfilter/nfnetlink.h. Headers are in the machine's byte order, values in the network's.

mod socket;

use netlink_packet_core::{NLA_F_NESTED, NLMSG_DONE, NLMSG_ERROR};
use nix::errno::Errno;

use super::attributes::Attributes;
pub(super) use socket::{Nfnetlink, Refusal};

const MESSAGE_HEADER: usize = 16;
const GENERIC_HEADER: usize = 4;

/// What stands before the attributes of a message.
pub(super) struct Header {
    /// Subsystem in the upper byte, message of that subsystem in the lower.
    pub(super) kind: u16,
    /// NLM_F_*
    pub(super) flags: u16,
    /// Comes back in the answers.
    pub(super) sequence: u32,
    /// NFPROTO_*
    pub(super) family: u8,
    /// Subsystem that a batch is for; 0 in all other messages.
    pub(super) resource: u16,
}

/// Writes messages, one behind the other.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// A message with the attributes that `body` writes.
    pub(super) fn message(&mut self, header: &Header, body: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.0.extend([0; 4]);
        self.0.extend(header.kind.to_ne_bytes());
        self.0.extend(header.flags.to_ne_bytes());
        self.0.extend(header.sequence.to_ne_bytes());
        self.0.extend([0; 4]); // the port, which the kernel fills in
        self.0.extend([header.family, 0]); // of NFNETLINK_V0
        self.0.extend(header.resource.to_be_bytes());
        body(self);
        let length = u32::try_from(self.0.len() - start).expect("a batch is far smaller than 4 GB");
        self.0[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.attribute(kind, |writer| writer.0.extend(value));
    }

    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    pub(super) fn text(&mut self, kind: u16, value: &str) {
        self.attribute(kind, |writer| {
            writer.0.extend(value.as_bytes());
            writer.0.push(0);
        });
    }

    /// An attribute that holds those that `content` writes.
    pub(super) fn nest(&mut self, kind: u16, content: impl FnOnce(&mut Self)) {
        self.attribute(kind | NLA_F_NESTED, content);
    }

    fn attribute(&mut self, kind: u16, content: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        content(self);
        let length = u16::try_from(self.0.len() - start).expect("long lists are split before they get here");
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// A message as read.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    /// Of the socket that asked for what this is about.
    pub(super) port: u32,
    payload: &'a [u8],
}

/// The messages in `bytes`, up to the first that is cut short.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
        let message = bytes.get(..length)?;
        let (header, payload) = message.split_at_checked(MESSAGE_HEADER)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message {
            kind: u16::from_ne_bytes(*header[4..].first_chunk()?),
            flags: u16::from_ne_bytes(*header[6..].first_chunk()?),
            sequence: u32::from_ne_bytes(*header[8..].first_chunk()?),
            port: u32::from_ne_bytes(*header[12..].first_chunk()?),
            payload,
        })
    })
}

impl<'a> Message<'a> {
    /// How a request ended, if this message says so: it closes a dump, or acknowledges or refuses a request.
    pub(super) fn outcome(self) -> Option<Result<(), Errno>> {
        if self.kind != NLMSG_DONE && self.kind != NLMSG_ERROR {
            return None;
        }
        let number = self.payload.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
        Some(if number == 0 { Ok(()) } else { Err(Errno::from_raw(-number)) })
    }

    /// All behind the header of the message.
    pub(super) fn payload(self) -> &'a [u8] {
        self.payload
    }

    /// NFPROTO_* of the object that it is about.
    pub(super) fn family(self) -> Option<u8> {
        self.payload.first().copied()
    }

    /// The lower half of the number that the kernel gives to each state of its ruleset, as it was for this answer.
    pub(super) fn generation(self) -> Option<u16> {
        Some(u16::from_be_bytes(*self.payload.get(2..)?.first_chunk()?))
    }

    pub(super) fn attributes(self) -> Attributes<'a> {
        Attributes::of(self.payload.get(GENERIC_HEADER..).unwrap_or_default())
    }
}
