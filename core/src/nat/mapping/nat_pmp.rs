//! Messages of NAT-PMP (RFC 6886): the question for the router's address (§ 3.2), the request for a mapping
//! (§ 3.3), and their answers.

use std::net::Ipv4Addr;

/// Opcode of the question for the router's address.
const ADDRESS: u8 = 0;

/// Opcode of the request to map a UDP port.
const MAP_UDP: u8 = 1;

/// Flag of an answer in the byte of the opcode.
const ANSWER: u8 = 0x80;

/// Question for the router's address.
pub(super) const ADDRESS_QUESTION: [u8; 2] = [0, ADDRESS];

/// Encodes the request for a mapping; a lifetime of 0 s deletes it.
pub(super) fn request(port: u16, suggested: u16, lifetime: u32) -> Vec<u8> {
    let mut bytes = vec![0, MAP_UDP, 0, 0];
    bytes.extend(port.to_be_bytes());
    bytes.extend(suggested.to_be_bytes());
    bytes.extend(lifetime.to_be_bytes());
    bytes
}

/// Decodes the router's address, or a result code; `None` if the message is no such answer.
pub(super) fn address(bytes: &[u8]) -> Option<Result<Ipv4Addr, u16>> {
    Some(match result(bytes, ADDRESS)? {
        Ok(body) => Ok(Ipv4Addr::from(*body.first_chunk::<4>()?)),
        Err(code) => Err(code),
    })
}

/// Decodes the answer to a request to map `port`: the port outside of the router and the lifetime in seconds,
/// or a result code. Returns `None` if the message does not answer it.
pub(super) fn mapping(bytes: &[u8], port: u16) -> Option<Result<(u16, u32), u16>> {
    Some(match result(bytes, MAP_UDP)? {
        Ok(body) => {
            let [a, b, c, d, lifetime @ ..] = *body.first_chunk::<8>()?;
            if u16::from_be_bytes([a, b]) != port {
                return None;
            }
            Ok((u16::from_be_bytes([c, d]), u32::from_be_bytes(lifetime)))
        }
        Err(code) => Err(code),
    })
}

/// Returns the fields behind the time in an answer, or the result code.
fn result(bytes: &[u8], opcode: u8) -> Option<Result<&[u8], u16>> {
    let ([version, its_opcode, high, low, _, _, _, _], body) = bytes.split_first_chunk()?;
    // A server of PCP alone answers with its own version, which is not 0.
    let code = if *version == 0 { u16::from_be_bytes([*high, *low]) } else { 1 };
    (*its_opcode == opcode | ANSWER).then_some(if code == 0 { Ok(body) } else { Err(code) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPED: [u8; 16] = [0, 129, 0, 0, 0, 0, 0, 9, 0xca, 0x6d, 0x9c, 0x40, 0, 0, 0x0e, 0x10];

    #[test]
    fn requests_are_as_the_standard_says() {
        let bytes = request(51821, 40000, 7200);
        assert_eq!(bytes, [0, 1, 0, 0, 0xca, 0x6d, 0x9c, 0x40, 0, 0, 0x1c, 0x20]);
    }

    #[test]
    fn answers_tell_the_address_and_the_mapping_or_the_refusal() {
        let own = [0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 9];
        assert_eq!(address(&own), Some(Ok(Ipv4Addr::new(203, 0, 113, 9))));
        assert_eq!(address(&[0, 128, 0, 3, 0, 0, 0, 9]), Some(Err(3)));
        assert_eq!(address(&[2, 128, 0, 0, 0, 0, 0, 9]), Some(Err(1)), "PCP only");
        assert_eq!(mapping(&MAPPED, 51821), Some(Ok((40000, 3600))));
        assert_eq!(mapping(&[0, 129, 0, 2, 0, 0, 0, 9], 51821), Some(Err(2)));
    }

    #[test]
    fn other_messages_are_no_answers() {
        assert_eq!(mapping(&MAPPED, 51822), None, "another port's");
        assert_eq!(address(&MAPPED), None, "another question's");
        assert_eq!(mapping(&request(51821, 1, 2), 51821), None, "a request");
        for length in 0..MAPPED.len() {
            assert_eq!(mapping(&MAPPED[..length], 51821), None, "{length} bytes");
        }
    }
}
