//! Fields of variable length in bodies: a byte with the length, then as many bytes.

use std::net::IpAddr;

use crate::base::net::Cidr;

/// Body in the making.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    /// Appends a text of up to 255 bytes; a longer one is cut.
    pub(super) fn text(&mut self, text: &str) {
        let length = text.floor_char_boundary(usize::from(u8::MAX));
        self.0.push(u8::try_from(length).expect("a short text"));
        self.0.extend_from_slice(&text.as_bytes()[..length]);
    }

    /// Appends an address: its length in bytes, then its bytes.
    pub(super) fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => {
                self.0.push(4);
                self.0.extend_from_slice(&v4.octets());
            }
            IpAddr::V6(v6) => {
                self.0.push(16);
                self.0.extend_from_slice(&v6.octets());
            }
        }
    }

    pub(super) fn network(&mut self, network: Cidr) {
        self.address(network.address());
        self.0.push(network.length());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Returns the body, filled with zeros; `None` if it is too long.
    pub(super) fn finish<const LENGTH: usize>(self) -> Option<[u8; LENGTH]> {
        let mut body = [0; LENGTH];
        body.get_mut(..self.0.len())?.copy_from_slice(&self.0);
        Some(body)
    }
}

/// Rest of a body.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = usize::from(self.byte()?);
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        str::from_utf8(text).ok()
    }

    pub(super) fn address(&mut self) -> Option<IpAddr> {
        match self.byte()? {
            4 => self.take::<4>().map(IpAddr::from),
            16 => self.take::<16>().map(IpAddr::from),
            _ => None,
        }
    }

    /// Takes a network; refuses one with host bits.
    pub(super) fn network(&mut self) -> Option<Cidr> {
        let (address, length) = (self.address()?, self.byte()?);
        Cidr::new(address, length).filter(|network| network.address() == address)
    }
}
