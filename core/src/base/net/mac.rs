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
        let pair = |pair: &str| {
            let hex = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
            u8::from_str_radix(pair, 16).ok().filter(|_| hex)
        };
        let pairs: Option<Vec<u8>> = text.split(':').map(pair).collect();
        let bytes = pairs.and_then(|pairs| pairs.try_into().ok());
        bytes.map(Self).ok_or_else(|| Invalid("is not a hardware address".to_owned()))
    }
}
