//! rtnetlink: the headers of its messages, and requests. A message about an interface, an address, a route, a
//! rule or a neighbour begins with the header of that kind of object; attributes follow. All numbers are in
//! the machine's byte order.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use nix::libc;

use super::attributes::{AttributeWriter, Attributes, address, native_number};
use super::constant::of_8_bits;
use super::message::Message;
use crate::base::net::{Family, Table};

/// Flag of an interface that is administratively up (IFF_UP of linux/if.h).
pub const UP: u32 = libc::IFF_UP.cast_unsigned();

/// Flag of an interface that can carry packets (netdevice(7)).
pub const RUNNING: u32 = libc::IFF_RUNNING.cast_unsigned();

const ANY_FAMILY: u8 = of_8_bits(libc::AF_UNSPEC);
const IPV4: u8 = of_8_bits(libc::AF_INET);
const IPV6: u8 = of_8_bits(libc::AF_INET6);

/// Header of an interface: `struct ifinfomsg` of linux/rtnetlink.h, without family and hardware type.
#[derive(Debug, Clone, Copy, Default)]
pub struct LinkHeader {
    /// Number of the interface; 0 in a request that names the interface.
    pub index: u32,
    /// Flags of the interface, such as [`UP`].
    pub flags: u32,
    /// Mask of the flags that count in a request.
    pub change: u32,
}

impl LinkHeader {
    const BYTES: usize = 16;

    /// Returns a request with this header, and without attributes.
    pub fn request(self) -> Request {
        let numbers = [0, self.index, self.flags, self.change].map(u32::to_ne_bytes);
        Request(AttributeWriter::behind(numbers.as_flattened()))
    }

    /// Returns the header of a message, and the attributes behind it.
    pub(super) fn split(payload: &[u8]) -> Option<(Self, Attributes<'_>)> {
        let (header, attributes) = payload.split_at_checked(Self::BYTES)?;
        let number = |offset: usize| native_number(&header[offset..]);
        let header = Self { index: number(4)?, flags: number(8)?, change: number(12)? };
        Some((header, Attributes::of(attributes)))
    }
}

/// Header of an address: `struct ifaddrmsg` of linux/if_addr.h, without the scope.
#[derive(Debug, Clone, Copy, Default)]
pub struct AddressHeader {
    /// Address family; `None` for all families in a request, and for an unknown family in an answer.
    pub family: Option<Family>,
    /// Prefix length in bits.
    pub length: u8,
    /// Flags (libc's `IFA_F_*`), as far as they fit.
    pub flags: u8,
    /// Number of the interface; 0 for all interfaces in a request.
    pub index: u32,
}

impl AddressHeader {
    /// Returns a request with this header, and without attributes.
    pub fn request(self) -> Request {
        let [a, b, c, d] = self.index.to_ne_bytes();
        let header = [number_of(self.family), self.length, self.flags, 0, a, b, c, d];
        Request(AttributeWriter::behind(&header))
    }

    /// Returns the header of a message, and the attributes behind it.
    pub(super) fn split(payload: &[u8]) -> Option<(Self, Attributes<'_>)> {
        let (&[family, length, flags, _, ref index @ ..], attributes) = payload.split_first_chunk::<8>()?;
        let header = Self { family: family_of(family), length, flags, index: u32::from_ne_bytes(*index) };
        Some((header, Attributes::of(attributes)))
    }
}

/// Header of a route or a rule. `struct rtmsg` of linux/rtnetlink.h and `struct fib_rule_hdr` of
/// linux/fib_rules.h have the same layout; the kernel ignores protocol and scope in the header of a rule.
#[derive(Debug, Clone, Copy, Default)]
pub struct RoutingHeader {
    /// Address family; `None` for all families in a request, and for an unknown family in an answer.
    pub family: Option<Family>,
    /// Prefix length of the destination in bits.
    pub destination_length: u8,
    /// Prefix length of the source in bits.
    pub source_length: u8,
    /// Type of service.
    pub tos: u8,
    /// Number of the routing table; 0 if it does not fit.
    pub table: u8,
    /// Number of the program that made the route (RTPROT_*).
    pub protocol: u8,
    /// Scope of the route (libc's `RT_SCOPE_*`).
    pub scope: u8,
    /// Type of a route (libc's `RTN_*`), or action of a rule (FR_ACT_*).
    pub kind: u8,
    /// Flags of a route (libc's `RTM_F_*` and `RTNH_F_*`), or of a rule (FIB_RULE_*).
    pub flags: u32,
}

impl RoutingHeader {
    /// Returns a request with this header, and without attributes.
    pub fn request(self) -> Request {
        let Self { family, destination_length, source_length, tos, table, protocol, scope, kind, flags } =
            self;
        let family = number_of(family);
        let [a, b, c, d] = flags.to_ne_bytes();
        let header =
            [family, destination_length, source_length, tos, table, protocol, scope, kind, a, b, c, d];
        Request(AttributeWriter::behind(&header))
    }

    /// Returns the header of a message, and the attributes behind it.
    pub(super) fn split(payload: &[u8]) -> Option<(Self, Attributes<'_>)> {
        let (header, attributes) = payload.split_first_chunk::<12>()?;
        let [family, destination_length, source_length, tos, table, protocol, scope, kind, flags @ ..] =
            *header;
        let (family, flags) = (family_of(family), u32::from_ne_bytes(flags));
        let header =
            Self { family, destination_length, source_length, tos, table, protocol, scope, kind, flags };
        Some((header, Attributes::of(attributes)))
    }
}

/// Header of a neighbour: `struct ndmsg` of linux/neighbour.h, without state, flags and type.
#[derive(Debug, Clone, Copy, Default)]
pub struct NeighbourHeader {
    /// Address family; `None` for all families in a request, and for an unknown family in an answer.
    pub family: Option<Family>,
    /// Number of the interface that the neighbour is behind; 0 in a request.
    pub index: u32,
}

impl NeighbourHeader {
    const BYTES: usize = 12;

    /// Returns a request with this header, and without attributes.
    pub fn request(self) -> Request {
        let mut header = [0; Self::BYTES];
        header[0] = number_of(self.family);
        header[4..8].copy_from_slice(&self.index.to_ne_bytes());
        Request(AttributeWriter::behind(&header))
    }

    /// Returns the header of a message, and the attributes behind it.
    pub(super) fn split(payload: &[u8]) -> Option<(Self, Attributes<'_>)> {
        let (header, attributes) = payload.split_at_checked(Self::BYTES)?;
        let index = native_number(&header[4..])?;
        Some((Self { family: family_of(header[0]), index }, Attributes::of(attributes)))
    }
}

/// Returns the number of a routing table for the header of a route or a rule. Larger numbers do not fit
/// there. The attribute (RTA_TABLE, FRA_TABLE) holds any number, and takes precedence.
pub(super) fn short_table(table: Table) -> u8 {
    u8::try_from(table.0).unwrap_or(libc::RT_TABLE_UNSPEC)
}

/// Returns the address in a value, if it is one of that family.
pub(super) fn address_of(family: Family, value: &[u8]) -> Option<IpAddr> {
    address(value).filter(|address| Family::of(*address) == family)
}

fn number_of(family: Option<Family>) -> u8 {
    match family {
        None => ANY_FAMILY,
        Some(Family::V4) => IPV4,
        Some(Family::V6) => IPV6,
    }
}

fn family_of(number: u8) -> Option<Family> {
    match number {
        IPV4 => Some(Family::V4),
        IPV6 => Some(Family::V6),
        _ => None,
    }
}

/// A request: a header and attributes. An attribute whose value is `None` is left out.
#[derive(Debug, Clone)]
pub struct Request(AttributeWriter);

impl Request {
    /// Returns a request about the interface of that name: without its number in the header, the kernel finds
    /// the interface by its name.
    pub fn link(name: &str) -> Self {
        LinkHeader::default().request().with_text(libc::IFLA_IFNAME, name)
    }

    /// Returns a request that sets the interface of that name up or down.
    pub fn link_up(name: &str, up: bool) -> Self {
        let header = LinkHeader { flags: if up { UP } else { 0 }, change: UP, ..LinkHeader::default() };
        header.request().with_text(libc::IFLA_IFNAME, name)
    }

    /// Adds an attribute that is a number.
    #[must_use]
    pub fn with_number(mut self, kind: u16, number: impl Into<Option<u32>>) -> Self {
        if let Some(number) = number.into() {
            self.0.native_number(kind, number);
        }
        self
    }

    /// Adds an attribute that is a number of 8 bits.
    #[must_use]
    pub fn with_byte(mut self, kind: u16, byte: impl Into<Option<u8>>) -> Self {
        if let Some(byte) = byte.into() {
            self.0.bytes(kind, &[byte]);
        }
        self
    }

    /// Adds an attribute as bytes.
    #[must_use]
    pub fn with_bytes(mut self, kind: u16, bytes: &[u8]) -> Self {
        self.0.bytes(kind, bytes);
        self
    }

    /// Adds an attribute that is a range of one port: `struct fib_rule_port_range` of linux/fib_rules.h.
    #[must_use]
    pub fn with_port(mut self, kind: u16, port: impl Into<Option<u16>>) -> Self {
        if let Some(port) = port.into() {
            self.0.bytes(kind, [port.to_ne_bytes(); 2].as_flattened());
        }
        self
    }

    /// Adds an attribute that is a text.
    #[must_use]
    pub fn with_text<'a>(mut self, kind: u16, text: impl Into<Option<&'a str>>) -> Self {
        if let Some(text) = text.into() {
            self.0.text(kind, text);
        }
        self
    }

    /// Adds an attribute that is an address.
    #[must_use]
    pub fn with_address(mut self, kind: u16, address: impl Into<Option<IpAddr>>) -> Self {
        if let Some(address) = address.into() {
            self.0.address(kind, address);
        }
        self
    }

    /// Adds the kind of an interface that is to be made, and the attributes that belong to that kind.
    #[must_use]
    pub fn of_kind(mut self, kind: &str, data: Option<Vec<u8>>) -> Self {
        self.0.nest(libc::IFLA_LINKINFO, |info| {
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
        writer.nest(kind, |content| content.append(self.0.written()));
        writer.finish()
    }

    /// Returns the request as a message of one of libc's `RTM_*`, ready to be sent.
    pub fn message(self, kind: u16) -> Message {
        Message::raw(kind, self.0.finish())
    }
}
