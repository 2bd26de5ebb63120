//! Hardware addresses of devices.

use std::fmt;
use std::str::FromStr;

use super::Invalid;

/// Hardware address of a network card for Ethernet or Wi-Fi (EUI-48).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    /// Writes the address as `ip` does: `aa:bb:cc:dd:ee:ff`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Mac {
    type Err = Invalid;

    /// Parses six pairs of hexadecimal digits in upper or lower case.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid("is not a hardware address".to_owned());
        let mut bytes = Vec::new();
        for pair in text.split(':') {
            let is_hex = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
            let byte = u8::from_str_radix(pair, 16).ok().filter(|_| is_hex);
            bytes.push(byte.ok_or_else(invalid)?);
        }
        bytes.try_into().map(Self).map_err(|_| invalid())
    }
}
