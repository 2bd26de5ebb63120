//! Messages of PCP (RFC 6887): the request for a mapping (MAP, § 11.1), and its answer.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::Nonce;

const VERSION: u8 = 2;

/// Opcode MAP.
const MAP: u8 = 1;

/// Flag of an answer in the byte of the opcode.
const ANSWER: u8 = 0x80;

const UDP: u8 = 17;

/// Length of a header in bytes.
const HEADER: usize = 24;

/// Length of a request and of an answer without options in bytes.
const LENGTH: usize = 60;

/// Largest message in bytes (§ 7).
const LONGEST: usize = 1100;

/// Result code of a server that speaks another version.
pub(super) const OTHER_VERSION: u16 = 1;

/// Request for a mapping.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) client: Ipv4Addr,
    pub(super) nonce: Nonce,
    pub(super) port: u16,
    /// Suggested address and port outside of the router; zeros leave the choice to it.
    pub(super) suggested: SocketAddrV4,
    /// Lifetime in seconds; 0 deletes the mapping.
    pub(super) lifetime: u32,
}

impl Request {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, MAP, 0, 0];
        bytes.extend(self.lifetime.to_be_bytes());
        bytes.extend(self.client.to_ipv6_mapped().octets());
        bytes.extend(self.nonce);
        bytes.extend([UDP, 0, 0, 0]);
        bytes.extend(self.port.to_be_bytes());
        bytes.extend(self.suggested.port().to_be_bytes());
        bytes.extend(self.suggested.ip().to_ipv6_mapped().octets());
        bytes
    }

    /// Decodes the answer to this request: an address and port outside of the router and the lifetime in
    /// seconds, or a result code. Returns `None` if the message does not answer it.
    pub(super) fn answer(&self, bytes: &[u8]) -> Option<Result<(SocketAddrV4, u32), u16>> {
        let [version, opcode, _, code, ..] = *bytes else { return None };
        if bytes.len() > LONGEST || opcode & ANSWER == 0 {
            return None;
        }
        // A server of another version has its own way to say so (§ 9, and RFC 6886 § 3.5).
        if version != VERSION || u16::from(code) == OTHER_VERSION {
            return Some(Err(OTHER_VERSION));
        }
        let answer: &[u8; LENGTH] = bytes.first_chunk()?;
        let has_our_fields = answer[HEADER..HEADER + 13] == self.encode()[HEADER..HEADER + 13]
            && answer[40..42] == self.port.to_be_bytes();
        if opcode != MAP | ANSWER || !has_our_fields {
            return None;
        }
        if code != 0 {
            return Some(Err(code.into()));
        }
        let [lifetime, _] = *answer[4..12].as_chunks().0 else { return None };
        let port = u16::from_be_bytes([answer[42], answer[43]]);
        let [.., a, b, c, d] = *answer;
        let external = SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port);
        let is_v4 = answer[44..56] == Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets()[..12];
        is_v4.then_some(Ok((external, u32::from_be_bytes(lifetime))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: Request = Request {
        client: Ipv4Addr::new(192, 168, 1, 2),
        nonce: [7; 12],
        port: 51821,
        suggested: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 51821),
        lifetime: 7200,
    };

    /// Answer of a server that grants another port for an hour.
    fn answer() -> Vec<u8> {
        let mut bytes = REQUEST.encode();
        bytes[1] |= ANSWER;
        bytes[4..8].copy_from_slice(&3600_u32.to_be_bytes());
        bytes[8..24].fill(0);
        bytes[42..44].copy_from_slice(&40000_u16.to_be_bytes());
        bytes[56..60].copy_from_slice(&[203, 0, 113, 9]);
        bytes
    }

    #[test]
    fn requests_are_as_the_standard_says() {
        let bytes = REQUEST.encode();
        assert_eq!(bytes.len(), LENGTH);
        assert_eq!(bytes[..8], [2, 1, 0, 0, 0, 0, 0x1c, 0x20]);
        assert_eq!(bytes[18..24], [0xff, 0xff, 192, 168, 1, 2]);
        assert_eq!(bytes[36..44], [17, 0, 0, 0, 0xca, 0x6d, 0xca, 0x6d]);
        assert_eq!(bytes[54..60], [0xff, 0xff, 0, 0, 0, 0]);
    }

    #[test]
    fn answers_tell_the_mapping_or_the_refusal() {
        let granted = Some(Ok(("203.0.113.9:40000".parse().unwrap(), 3600)));
        assert_eq!(REQUEST.answer(&answer()), granted);
        assert_eq!(REQUEST.answer(&[answer(), vec![0; 8]].concat()), granted, "options have no meaning");
        let with = |at: usize, byte: u8| {
            let mut bytes = answer();
            bytes[at] = byte;
            REQUEST.answer(&bytes)
        };
        assert_eq!(with(3, 2), Some(Err(2)));
        assert_eq!(with(0, 0), Some(Err(OTHER_VERSION)));
        assert_eq!(REQUEST.answer(&[0, 0x81, 0, 1, 0, 0, 0, 9]), Some(Err(OTHER_VERSION)), "NAT-PMP only");
    }

    #[test]
    fn other_messages_are_no_answers() {
        for (at, byte) in [(1, 1), (1, 0x82), (24, 8), (36, 6), (41, 0), (44, 0x20)] {
            let mut bytes = answer();
            bytes[at] = byte;
            assert_eq!(REQUEST.answer(&bytes), None, "byte {at} is {byte}");
        }
        for length in 0..LENGTH {
            assert_eq!(REQUEST.answer(&answer()[..length]), None, "{length} bytes");
        }
        let mut long = answer();
        long.resize(LONGEST + 1, 0);
        assert_eq!(REQUEST.answer(&long), None);
    }
}
