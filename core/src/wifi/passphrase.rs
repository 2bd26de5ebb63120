//! Passphrase of a Wi-Fi network, from its file to the configuration of hostapd. It is never printed.

use std::fmt;

use zeroize::Zeroizing;

/// Number of characters of a passphrase (IEEE 802.11, annex J.4).
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=63;

/// Number of hexadecimal digits of a key.
const KEY_LENGTH: usize = 64;

/// Secret of a Wi-Fi network: a passphrase, or the key that is made of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase {
    text: Zeroizing<String>,
    is_key: bool,
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

impl Passphrase {
    /// Parses the text of a file. The error names the fault without repeating any of the text.
    pub fn of(text: &str) -> Result<Self, &'static str> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.contains('\n') {
            return Err("has several lines; leave only the line with the passphrase");
        }
        let is_key = line.len() == KEY_LENGTH && line.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_readable = line.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if is_key || is_readable && LENGTHS.contains(&line.len()) {
            return Ok(Self { text: Zeroizing::new(line.to_owned()), is_key });
        }
        Err(if is_readable {
            "a passphrase has 8 to 63 characters, or is a key of 64 hexadecimal digits"
        } else {
            "a passphrase has only printable ASCII characters"
        })
    }

    /// Reports whether the secret is a key, which WPA3 cannot use.
    pub fn is_key(&self) -> bool {
        self.is_key
    }

    /// Returns the secret, for a file that only root can read.
    pub fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_signs_belong_to_the_passphrase() {
        for line in [" leading", "trailing ", "#comment", "a\"b'c|id=\\x", "~!@$%^&*"] {
            for end in ["", "\n", "\r\n"] {
                let passphrase = Passphrase::of(&format!("{line}{end}")).unwrap();
                assert_eq!(passphrase.text(), line);
                assert!(!passphrase.is_key());
            }
        }
        assert!(Passphrase::of(&"0a".repeat(32)).unwrap().is_key());
    }

    #[test]
    fn a_text_that_could_be_another_line_is_refused() {
        let long = "x".repeat(64);
        let refused = [
            "",
            "seven77",
            &long,
            "one\ntwo\nthree",
            "one line\n\n",
            "carriage\rreturn",
            "tab\ttab\ttab",
            "schön genug",
            "nul\0nul\0nul",
        ];
        for text in refused {
            assert!(Passphrase::of(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_passphrase_is_never_printed() {
        assert_eq!(format!("{:?}", Passphrase::of("hunter22").unwrap()), "Passphrase(…)");
    }
}
