//! Request of a new site as a text, for inviting sites that nobody can dial: `a1.`, then the request and a
//! check byte in the alphabet of URLs.

use zeroize::Zeroizing;

use super::packet::{self, LENGTH};
use super::token::{PASTED, decode, encode};
use crate::base::net::Invalid;

/// Returns a request as a text.
pub fn to_text(request: &[u8; LENGTH]) -> Zeroizing<String> {
    encode(PASTED, &mut request.to_vec())
}

/// Returns the request in a text. White space is left out.
pub fn from_text(text: &str) -> Result<[u8; LENGTH], Invalid> {
    if text.trim_start().starts_with("p1.") {
        return Err(Invalid(
            "is a token, not the answer of a new site: give it to `portals join` at the new site".to_owned(),
        ));
    }
    let bytes = decode(PASTED, "answer", LENGTH + 1, text)?;
    let request: Result<[u8; LENGTH], _> = bytes.as_slice().try_into();
    request
        .ok()
        .filter(|request| packet::requested(request).is_some())
        .ok_or_else(|| Invalid("is not the answer of a new site of this version of portals".to_owned()))
}
