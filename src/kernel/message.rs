//! Requests of rtnetlink and generic netlink, and their answers: only the kinds that we send, and what we need of each answer.
//!
//! `netlink_packet_route::RouteNetlinkMessage` knows every kind of message, interface and traffic filter, which makes a fifth of a
//! megabyte of code; so addresses, routes and rules are written by that crate one by one, and interfaces here. What is read is
//! read here, too: decoding all that is told of an interface takes that crate a quarter of a millisecond.

use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED, NetlinkPayload, NetlinkSerializable};
use nix::libc;
use zeroize::Zeroizing;

/// Bytes in front of an interface's attributes: `struct ifinfomsg` of linux/rtnetlink.h, with the number at 4 and the flags at 8.
pub(super) const LINK_HEADER: usize = 16;

/// The flag of an interface that is administratively up (linux/if.h).
pub const UP: u32 = 1;

/// Bytes in front of the attributes of generic netlink: `struct genlmsghdr` of linux/genetlink.h.
pub(super) const GENERIC_HEADER: usize = 4;

/// A request, ready to be sent. It may hold private keys: never printed, and wiped when dropped.
pub struct Message {
    kind: u16,
    body: Zeroizing<Vec<u8>>,
}

impl Message {
    /// A request of one of libc's `RTM_*`, with its content.
    pub fn new(kind: u16, content: &dyn Emitable) -> Self {
        Self::behind(&[], kind, content)
    }

    /// A request to a family of generic netlink: one of its commands, and attributes. The kernel does not look at the version.
    pub fn generic(family: u16, command: u8, attributes: &dyn Emitable) -> Self {
        let header: [u8; GENERIC_HEADER] = [command, 1, 0, 0];
        Self::behind(&header, family, attributes)
    }

    /// A request whose content is written already.
    pub fn raw(kind: u16, body: Vec<u8>) -> Self {
        Self { kind, body: body.into() }
    }

    fn behind(header: &[u8], kind: u16, content: &dyn Emitable) -> Self {
        let mut body = Zeroizing::new(vec![0; header.len() + content.buffer_len()]);
        let (front, rest) = body.split_at_mut(header.len());
        front.copy_from_slice(header);
        content.emit(rest);
        Self { kind, body }
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.body.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer[..self.body.len()].copy_from_slice(&self.body);
    }
}

impl From<Message> for NetlinkPayload<Message> {
    fn from(message: Message) -> Self {
        Self::InnerMessage(message)
    }
}

/// What is read from an answer, whose kind follows from the question.
pub trait Decode: Sized {
    /// `None` if it is nothing that we ever look at.
    fn decode(payload: &[u8]) -> Option<Self>;
}

/// What there is to say about an interface: `struct ifinfomsg` of linux/rtnetlink.h, and attributes.
#[derive(Debug, Clone, Default)]
pub struct LinkRequest {
    flags: u32,
    /// Those of the flags that count.
    change: u32,
    attributes: Vec<DefaultNla>,
}

impl LinkRequest {
    /// About the interface of that name.
    pub fn named(name: &str) -> Self {
        Self::default().with_text(libc::IFLA_IFNAME, name)
    }

    /// Set up or down.
    #[must_use]
    pub fn up(self, up: bool) -> Self {
        Self { flags: if up { UP } else { 0 }, change: UP, ..self }
    }

    /// With an attribute (libc's `IFLA_*`) that is a number, in the machine's byte order.
    #[must_use]
    pub fn with_number(self, kind: u16, number: u32) -> Self {
        self.with(kind, number.to_ne_bytes().to_vec())
    }

    /// With an attribute that is a text.
    #[must_use]
    pub fn with_text(self, kind: u16, text: &str) -> Self {
        self.with(kind, [text.as_bytes(), b"\0"].concat())
    }

    /// With the kind of an interface that is to be made, and what belongs to that kind.
    #[must_use]
    pub fn of_kind(self, kind: &str, data: Option<Vec<u8>>) -> Self {
        let mut info = vec![DefaultNla::new(libc::IFLA_INFO_KIND, kind.as_bytes().to_vec())];
        info.extend(data.map(|data| DefaultNla::new(libc::IFLA_INFO_DATA | NLA_F_NESTED, data)));
        self.with(libc::IFLA_LINKINFO | NLA_F_NESTED, bytes_of(&info.as_slice()))
    }

    /// As an attribute of another one, such as the far end of a pair.
    pub fn nested(&self, kind: u16) -> Vec<u8> {
        bytes_of(&DefaultNla::new(kind | NLA_F_NESTED, bytes_of(self)))
    }

    fn with(mut self, kind: u16, value: Vec<u8>) -> Self {
        self.attributes.push(DefaultNla::new(kind, value));
        self
    }
}

impl Emitable for LinkRequest {
    fn buffer_len(&self) -> usize {
        LINK_HEADER + self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        // Family, hardware type and number of the interface: the kernel goes by the name.
        buffer[..8].fill(0);
        buffer[8..12].copy_from_slice(&self.flags.to_ne_bytes());
        buffer[12..LINK_HEADER].copy_from_slice(&self.change.to_ne_bytes());
        self.attributes.as_slice().emit(&mut buffer[LINK_HEADER..]);
    }
}

/// Attributes one behind the other, as they stand inside of another one.
pub(super) fn attributes(list: &[(u16, &[u8])]) -> Vec<u8> {
    let list: Vec<DefaultNla> =
        list.iter().map(|(kind, value)| DefaultNla::new(*kind, value.to_vec())).collect();
    bytes_of(&list.as_slice())
}

fn bytes_of(content: &impl Emitable) -> Vec<u8> {
    let mut bytes = vec![0; content.buffer_len()];
    content.emit(&mut bytes);
    bytes
}
