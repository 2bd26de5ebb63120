//! The part of base64 that this workspace and its dependencies use: the two alphabets of RFC 4648. A text is
//! decoded only if encoding gives it back.

use std::fmt;

pub use engine::Engine;

/// Alphabets.
pub mod engine {
    pub use crate::encoding::Engine;

    /// The alphabets of RFC 4648.
    pub mod general_purpose {
        pub use crate::encoding::{GeneralPurpose, STANDARD, URL_SAFE_NO_PAD};
    }
}

/// Names for import.
pub mod prelude {
    pub use crate::encoding::{Engine, STANDARD as BASE64_STANDARD};
}

mod encoding;

/// Fault of a text that is not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// The byte at this place is not in the alphabet.
    InvalidByte(usize, u8),
    /// No bytes have a text of this length.
    InvalidLength(usize),
    /// The last letter at this place carries bits that belong to no byte.
    InvalidLastSymbol(usize, u8),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text is not base64")
    }
}

impl std::error::Error for DecodeError {}
