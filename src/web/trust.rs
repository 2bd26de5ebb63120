//! The two questions about a request that a page in another window could have caused: does the browser know
//! that it talks to this router, and has the form come from a page of ours?

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::request::Request;
use crate::base::keys::keyed_hash;
use crate::system::key_files;

/// Time after which new forms get another token. The token before is still taken.
const PERIOD: Duration = Duration::from_hours(1);

/// Number of hexadecimal digits of a token.
const DIGITS: usize = 32;

/// Reports whether a browser asks for this router by its address. A name in place of the address may belong
/// to a stranger, who lets it lead here to read our page from a page of his own (DNS rebinding). Any port is
/// right: port 80 is redirected, and SSH forwards other ones.
pub(super) fn names_us(host: &str, own: Ipv4Addr) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.parse() == Ok(own) || own.is_loopback() && name.eq_ignore_ascii_case("localhost")
}

/// Reports whether the browser says that another site has sent a form. Not every browser says so, and none
/// says `Sec-Fetch-Site` without TLS, except to its own machine.
pub(super) fn is_foreign(request: &Request) -> bool {
    let is_other = |origin: &str| origin.strip_prefix("http://") != Some(request.host);
    request.origin.is_some_and(is_other) || request.site.is_some_and(|site| site != "same-origin")
}

/// Tokens of forms. A page of another site cannot read the form, and so does not know the token. Nothing is
/// kept for a browser: a token is a keyed hash of the browser's address.
pub(super) struct Tokens {
    key: [u8; 16],
    begun: Instant,
}

impl Tokens {
    /// Begins with a new key.
    pub(super) fn new(now: Instant) -> Self {
        Self { key: key_files::random(), begun: now }
    }

    /// Returns the token for a form of this page in the browser at an address.
    pub(super) fn token(&self, page: &str, browser: Ipv4Addr, now: Instant) -> String {
        self.of_period(page, browser, self.period(now))
    }

    /// Reports whether a token is the one for this page and this browser, of this period or the one before.
    pub(super) fn is_right(&self, token: &str, page: &str, browser: Ipv4Addr, now: Instant) -> bool {
        let period = self.period(now);
        let is_of = |period| are_same(token, &self.of_period(page, browser, period));
        is_of(period) || period > 0 && is_of(period - 1)
    }

    fn period(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.begun).as_secs() / PERIOD.as_secs()
    }

    fn of_period(&self, page: &str, browser: Ipv4Addr, period: u64) -> String {
        let (address, number) = (browser.octets(), period.to_be_bytes());
        digits(&keyed_hash(&self.key, &[&address, &number, page.as_bytes()])[..DIGITS / 2])
    }
}

/// Returns bytes as hexadecimal digits.
pub(super) fn digits(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    text
}

/// Reports whether two texts are the same, in a time that does not tell where they differ.
pub(super) fn are_same(one: &str, other: &str) -> bool {
    let differences = one.bytes().zip(other.bytes()).fold(0, |all, (one, other)| all | (one ^ other));
    one.len() == other.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 65);
    const TV: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 70);

    #[test]
    fn the_host_is_this_routers_own_address() {
        for host in ["10.77.1.65", "10.77.1.65:80", "10.77.1.65:10077"] {
            assert!(names_us(host, OWN), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "10.77.1.65.evil.example",
            "10.77.1.66",
            "10.77.1.65:evil",
            "010.77.1.65",
            "[::1]",
            "localhost",
            "10.77.1.65:80:80",
        ] {
            assert!(!names_us(host, OWN), "{host}");
        }
        for host in ["localhost:8080", "LOCALHOST", "127.0.0.1:10077"] {
            assert!(names_us(host, Ipv4Addr::LOCALHOST), "{host}");
        }
    }

    #[test]
    fn forms_of_other_sites_are_foreign() {
        let request = |origin, site| Request {
            is_form: true,
            path: "/exit",
            host: "10.77.1.65",
            origin,
            site,
            body: "",
        };
        for (origin, site) in [
            (None, None),
            (Some("http://10.77.1.65"), None),
            (Some("http://10.77.1.65"), Some("same-origin")),
        ] {
            assert!(!is_foreign(&request(origin, site)), "{origin:?} {site:?}");
        }
        for (origin, site) in [
            (Some("null"), None),
            (Some("http://evil.example"), None),
            (Some("https://10.77.1.65"), None),
            (Some("http://10.77.1.65:8080"), None),
            (None, Some("cross-site")),
            (None, Some("none")),
        ] {
            assert!(is_foreign(&request(origin, site)), "{origin:?} {site:?}");
        }
    }

    #[test]
    fn a_token_is_for_one_page_one_browser_and_two_hours_at_most() {
        let now = Instant::now();
        let tokens = Tokens::new(now);
        let token = tokens.token("guest", TV, now);
        assert_eq!(token.len(), DIGITS);
        assert!(tokens.is_right(&token, "guest", TV, now));
        assert!(tokens.is_right(&token, "guest", TV, now + PERIOD));
        assert!(!tokens.is_right(&token, "guest", TV, now + 2 * PERIOD));
        assert!(!tokens.is_right(&token, "tv", TV, now));
        assert!(!tokens.is_right(&token, "guest", OWN, now));
        assert!(!Tokens::new(now).is_right(&token, "guest", TV, now), "another process");
        for other in ["", &token[1..], &[token.as_str(), "0"].concat(), &token.to_uppercase()] {
            assert!(!tokens.is_right(other, "guest", TV, now), "{other}");
        }
    }

    #[test]
    fn bytes_have_two_digits_each() {
        assert_eq!(digits(&[0, 0x0f, 0xf0, 0x9a]), "000ff09a");
    }
}
