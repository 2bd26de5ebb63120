//! Tokens: the text that a person carries from the inviting site to the new one.
//!
//! `p1.`, then in the alphabet of URLs (base64, RFC 4648 § 5) without padding: the secret (16 bytes), the
//! public key of the inviting site (32 bytes), the port of its door (2 bytes), the host of its door, and a
//! check byte. A token without a door has port 0 and no host.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::{Zeroize as _, Zeroizing};

use crate::base::net::{Invalid, PublicKey};
use crate::config;
use crate::config::model::EndpointHost;
use crate::nat::seal::keyed_hash;

/// Beginning of every token.
const BEGINNING: &str = "p1.";

/// Beginning of every request that is pasted.
pub(super) const PASTED: &str = "a1.";

/// Length of the fields with a fixed length: the secret, the key, the port and the check byte.
const FIXED: usize = 16 + 32 + 2 + 1;

/// Secret of an invitation: wiped when dropped, never printed except in a token.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteSecret([u8; 16]);

/// Public name of an invitation, which follows from its secret.
pub type InviteId = [u8; 8];

impl InviteSecret {
    /// Returns the secret with these bytes, which must be random.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for key derivation and for a file of mode 0600.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Returns the id of the invitation.
    pub fn id(&self) -> InviteId {
        *keyed_hash(&[], &[&self.0]).first_chunk().expect("a longer hash")
    }
}

impl Drop for InviteSecret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for InviteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteSecret(…)")
    }
}

/// Place at which the inviting site answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// Host name or address.
    pub host: EndpointHost,
    /// UDP port.
    pub port: u16,
}

/// Token of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Secret of the invitation.
    pub secret: InviteSecret,
    /// Public key of the inviting site.
    pub inviter: PublicKey,
    /// Place at which the inviting site answers; `None` if nobody can dial it.
    pub door: Option<Door>,
}

impl Token {
    /// Returns the text of the token.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(FIXED + 255));
        bytes.extend_from_slice(self.secret.bytes());
        bytes.extend_from_slice(&self.inviter.0);
        bytes.extend_from_slice(&self.door.as_ref().map_or(0, |door| door.port).to_be_bytes());
        if let Some(door) = &self.door {
            bytes.extend_from_slice(door.host.to_string().as_bytes());
        }
        encode(BEGINNING, &mut bytes)
    }
}

impl FromStr for Token {
    type Err = Invalid;

    /// Parses a token. White space is left out: programs that carry texts break lines.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if without_space(text).starts_with(PASTED) {
            return invalid(
                "is the answer of a new site, not a token: give it to `portals accept` at the site that has \
                 invited",
            );
        }
        let bytes = decode(BEGINNING, "token", FIXED, text)?;
        let cut_off = || Invalid("is cut off: copy all of the token".to_owned());
        let (secret, rest) = bytes.split_first_chunk::<16>().ok_or_else(cut_off)?;
        let (inviter, rest) = rest.split_first_chunk::<32>().ok_or_else(cut_off)?;
        let (port, host) = rest.split_first_chunk::<2>().ok_or_else(cut_off)?;
        let port = u16::from_be_bytes(*port);
        let door = match (port, str::from_utf8(host).ok()) {
            (0, Some("")) => None,
            (1.., Some(host)) => Some(Door {
                host: config::endpoint_host(host)
                    .ok_or_else(|| Invalid("names no host that could be dialled".to_owned()))?,
                port,
            }),
            _ => return invalid("names no host that could be dialled"),
        };
        Ok(Self { secret: InviteSecret::new(*secret), inviter: PublicKey(*inviter), door })
    }
}

fn invalid<T>(fault: &str) -> Result<T, Invalid> {
    Err(Invalid(fault.to_owned()))
}

fn without_space(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.chars().filter(|c| !c.is_whitespace()).collect())
}

/// Returns bytes, to which a check byte is appended, as a text with this beginning.
pub(super) fn encode(beginning: &str, bytes: &mut Vec<u8>) -> Zeroizing<String> {
    bytes.push(check_byte(bytes));
    let mut text = Zeroizing::new(String::with_capacity(beginning.len() + bytes.len().div_ceil(3) * 4));
    text.push_str(beginning);
    URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
    text
}

/// Returns the bytes of a text as [`encode`] makes it, without the check byte. `what` names the text.
pub(super) fn decode(
    beginning: &str,
    what: &str,
    least: usize,
    text: &str,
) -> Result<Zeroizing<Vec<u8>>, Invalid> {
    let text = without_space(text);
    let Some(coded) = text.strip_prefix(beginning) else {
        return Err(Invalid(format!(
            "is no {what} of this version of portals, which begins with `{beginning}`"
        )));
    };
    let strange = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if let Some(strange) = coded.chars().find(strange) {
        return Err(Invalid(format!("contains `{}`, which no {what} contains", strange.escape_default())));
    }
    let cut_off = || {
        let count = text.len();
        Invalid(format!("is cut off or mistyped ({count} characters came): copy all of the {what}"))
    };
    let mut bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(coded).map_err(|_| cut_off())?);
    if bytes.len() < least {
        return Err(cut_off());
    }
    let check = bytes.pop();
    if check == Some(check_byte(&bytes)) { Ok(bytes) } else { Err(cut_off()) }
}

/// Returns the byte by which a mistyped text is recognised.
fn check_byte(bytes: &[u8]) -> u8 {
    keyed_hash(b"portals check byte", &[bytes])[0]
}
