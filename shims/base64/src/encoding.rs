//! Encoding and decoding.

use crate::DecodeError;

/// An alphabet: letters, digits, and two more symbols.
#[derive(Debug, Clone, Copy)]
pub struct GeneralPurpose {
    /// The symbols for 62 and 63.
    last: [u8; 2],
    /// `=` fills the text up to a multiple of four.
    is_padded: bool,
}

/// The alphabet of RFC 4648 § 4, with padding.
pub const STANDARD: GeneralPurpose = GeneralPurpose { last: *b"+/", is_padded: true };

/// The alphabet of RFC 4648 § 5, for URLs, without padding.
pub const URL_SAFE_NO_PAD: GeneralPurpose = GeneralPurpose { last: *b"-_", is_padded: false };

/// Encodes and decodes.
pub trait Engine {
    /// Returns bytes as text.
    fn encode(&self, bytes: impl AsRef<[u8]>) -> String;

    /// Appends bytes to a text.
    fn encode_string(&self, bytes: impl AsRef<[u8]>, text: &mut String);

    /// Returns the bytes of a text.
    fn decode(&self, text: impl AsRef<[u8]>) -> Result<Vec<u8>, DecodeError>;
}

impl Engine for GeneralPurpose {
    fn encode(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut text = String::new();
        self.append(bytes.as_ref(), &mut text);
        text
    }

    fn encode_string(&self, bytes: impl AsRef<[u8]>, text: &mut String) {
        self.append(bytes.as_ref(), text);
    }

    fn decode(&self, text: impl AsRef<[u8]>) -> Result<Vec<u8>, DecodeError> {
        self.bytes_of(text.as_ref())
    }
}

impl GeneralPurpose {
    fn append(self, bytes: &[u8], text: &mut String) {
        // Room for all: a text that grows would leave parts of a secret behind.
        text.reserve(bytes.len().div_ceil(3) * 4);
        for part in bytes.chunks(3) {
            let mut bits = 0;
            for place in 0..3 {
                bits = bits << 8 | u32::from(part.get(place).copied().unwrap_or(0));
            }
            for place in 0..4 {
                if place <= part.len() {
                    text.push(char::from(self.symbol(bits >> (18 - 6 * place) & 63)));
                } else if self.is_padded {
                    text.push('=');
                }
            }
        }
    }

    fn bytes_of(self, text: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut symbols = text;
        if self.is_padded {
            for _ in 0..2 {
                symbols = symbols.strip_suffix(b"=").unwrap_or(symbols);
            }
        }
        let is_whole = !self.is_padded || text.len() == symbols.len().next_multiple_of(4);
        if !is_whole || symbols.len() % 4 == 1 {
            return Err(DecodeError::InvalidLength(text.len()));
        }
        let mut bytes = Vec::with_capacity(symbols.len().div_ceil(4) * 3);
        let (mut bits, mut number) = (0_u32, 0);
        for (place, symbol) in symbols.iter().enumerate() {
            let value = self.value(*symbol).ok_or(DecodeError::InvalidByte(place, *symbol))?;
            bits = bits << 6 | value;
            number += 6;
            if number >= 8 {
                number -= 8;
                bytes.push((bits >> number).to_le_bytes()[0]);
                bits &= (1 << number) - 1;
            }
        }
        match symbols.last() {
            Some(last) if bits != 0 => Err(DecodeError::InvalidLastSymbol(symbols.len() - 1, *last)),
            _ => Ok(bytes),
        }
    }

    /// Returns the symbol for six bits.
    fn symbol(self, value: u32) -> u8 {
        let value = value.to_le_bytes()[0];
        match value {
            0..26 => b'A' + value,
            26..52 => b'a' + value - 26,
            52..62 => b'0' + value - 52,
            62 => self.last[0],
            _ => self.last[1],
        }
    }

    /// Returns the six bits of a symbol.
    fn value(self, symbol: u8) -> Option<u32> {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            _ if symbol == self.last[0] => 62,
            _ if symbol == self.last[1] => 63,
            _ => return None,
        };
        Some(value.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 4648, § 10, and all symbols.
    #[test]
    fn texts_are_those_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(STANDARD.encode(bytes), text);
            assert_eq!(STANDARD.decode(text).unwrap(), bytes.as_bytes());
            assert_eq!(URL_SAFE_NO_PAD.encode(bytes), text.trim_end_matches('='));
        }
        let symbols = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let bytes = STANDARD.decode(symbols).unwrap();
        assert_eq!(bytes[..6], [0x00, 0x10, 0x83, 0x10, 0x51, 0x87]);
        assert_eq!(bytes[45..], [0xf3, 0xdf, 0xbf]);
        assert_eq!(STANDARD.encode(&bytes), symbols);
        assert_eq!(URL_SAFE_NO_PAD.encode(&bytes), symbols.replace('+', "-").replace('/', "_"));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm9v=", "====", "=", "Zm9-", "Zm 9", "Zg==\n"]
        {
            assert!(STANDARD.decode(text).is_err(), "{text}");
        }
        for text in ["Z", "Zg==", "Zh", "Zm9", "Zm9+", "="] {
            assert!(URL_SAFE_NO_PAD.decode(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes: Vec<u8>) {
            for alphabet in [STANDARD, URL_SAFE_NO_PAD] {
                prop_assert_eq!(alphabet.decode(alphabet.encode(&bytes)), Ok(bytes.clone()));
                let mut text = "key ".to_owned();
                alphabet.encode_string(&bytes, &mut text);
                prop_assert_eq!(text, format!("key {}", alphabet.encode(&bytes)));
            }
        }

        #[test]
        fn bytes_have_one_text(text in "[A-D+/_=-]{0,9}") {
            for alphabet in [STANDARD, URL_SAFE_NO_PAD] {
                if let Ok(bytes) = alphabet.decode(&text) {
                    prop_assert_eq!(alphabet.encode(bytes), &*text);
                }
            }
        }
    }
}
