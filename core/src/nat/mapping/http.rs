//! The little of HTTP (RFC 1945) and of URLs that UPnP needs.

use std::net::Ipv4Addr;

/// Largest answer in bytes: a device description is not longer.
pub const LONGEST_ANSWER: usize = 64 * 1024;

/// Largest path of a URL in bytes.
const LONGEST_PATH: usize = 256;

/// URL on the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) port: u16,
    path: String,
}

impl Url {
    /// Parses a URL; `None` if it leads to another host than the router.
    pub(super) fn parse(text: &str, router: Ipv4Addr) -> Option<Self> {
        let (scheme, rest) = text.split_at_checked("http://".len())?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        let (host, port) = host.split_once(':').unwrap_or((host, "80"));
        let port = port.parse().ok().filter(|port| *port != 0)?;
        let is_here = scheme.eq_ignore_ascii_case("http://") && host.parse() == Ok(router);
        Self { port, path: String::new() }
            .with_path(if path.is_empty() { "/" } else { path })
            .filter(|_| is_here)
    }

    /// Parses a URL that may be relative to this one.
    pub(super) fn join(&self, text: &str, router: Ipv4Addr) -> Option<Self> {
        if text.contains("://") {
            return Self::parse(text, router);
        }
        let folder = if text.starts_with('/') { 0 } else { self.path.rfind('/')? + 1 };
        self.with_path(&[&self.path[..folder], text].concat())
    }

    /// Returns a URL on the same port; `None` if the path is too long or would break a request.
    fn with_path(&self, path: &str) -> Option<Self> {
        let is_valid = path.len() <= LONGEST_PATH && path.bytes().all(|byte| byte.is_ascii_graphic());
        is_valid.then(|| Self { port: self.port, path: path.to_owned() })
    }

    /// Encodes a request for this URL: `GET`, or `POST` if there are more header lines and a body.
    pub(super) fn request(&self, router: Ipv4Addr, more: &[&str], body: &str) -> Vec<u8> {
        let host = [router.to_string(), self.port.to_string()].join(":");
        let method = if body.is_empty() { "GET " } else { "POST " };
        let head = [method, &self.path, " HTTP/1.0\r\nHost: ", &host, "\r\nConnection: close\r\n"].concat();
        [&head, &more.concat(), "\r\n", body].concat().into_bytes()
    }
}

/// Returns the status of an answer, and its body as far as it has come.
pub(super) fn answer(bytes: &[u8]) -> Option<(u16, String)> {
    let (head, body) = split(bytes)?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some((status, String::from_utf8_lossy(body).into_owned()))
}

/// Returns the value of a header line.
pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(its_name, _)| its_name.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// Reports whether an answer is complete before the router ends the connection, by its `Content-Length`.
pub fn is_complete(bytes: &[u8]) -> bool {
    let length = |head: &str| header(head, "content-length")?.parse::<usize>().ok();
    split(bytes).is_some_and(|(head, body)| length(&head).is_some_and(|length| body.len() >= length))
}

/// Returns the header lines and the body of an answer, once all header lines have come.
fn split(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((String::from_utf8_lossy(&bytes[..end]).into_owned(), &bytes[end + 4..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

    fn parse(text: &str) -> Option<(u16, String)> {
        Url::parse(text, ROUTER).map(|url| (url.port, url.path))
    }

    #[test]
    fn urls_lead_to_the_router_only() {
        assert_eq!(parse("http://192.168.1.1:5000/root.xml"), Some((5000, "/root.xml".to_owned())));
        assert_eq!(parse("HTTP://192.168.1.1"), Some((80, "/".to_owned())));
        for other in [
            "",
            "http://",
            "http://192.168.1.9/root.xml",
            "http://192.168.1.1@192.168.1.9/",
            "http://router/root.xml",
            "https://192.168.1.1/root.xml",
            "http://192.168.1.1:0/",
            "http://192.168.1.1:80:80/",
            "http://192.168.1.1:65616/",
            "http://192.168.1.1/a b",
            "http://192.168.1.1/a\r\nHost: other",
            "http://192.168.1.1/\u{e9}",
            "http:\u{e9}\u{e9}/",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
        assert_eq!(parse(&["http://192.168.1.1/", &"a".repeat(LONGEST_PATH)].concat()), None);
    }

    #[test]
    fn relative_urls_stay_on_the_port() {
        let base = Url::parse("http://192.168.1.1:5000/igd/root.xml", ROUTER).unwrap();
        let joined = |text| base.join(text, ROUTER).map(|url| (url.port, url.path));
        assert_eq!(joined("/ctl/IPConn"), Some((5000, "/ctl/IPConn".to_owned())));
        assert_eq!(joined("ctl"), Some((5000, "/igd/ctl".to_owned())));
        assert_eq!(joined("http://192.168.1.1:80/ctl"), Some((80, "/ctl".to_owned())));
        assert_eq!(joined("http://192.168.1.9/ctl"), None);
        assert_eq!(joined("ctl\r\n"), None);
    }

    #[test]
    fn requests_are_small() {
        let url = Url::parse("http://192.168.1.1:5000/root.xml", ROUTER).unwrap();
        let get = "GET /root.xml HTTP/1.0\r\nHost: 192.168.1.1:5000\r\nConnection: close\r\n\r\n";
        assert_eq!(String::from_utf8(url.request(ROUTER, &[], "")).unwrap(), get);
        let post =
            "POST /root.xml HTTP/1.0\r\nHost: 192.168.1.1:5000\r\nConnection: close\r\nA: b\r\n\r\nbody";
        assert_eq!(String::from_utf8(url.request(ROUTER, &["A: b\r\n"], "body")).unwrap(), post);
    }

    #[test]
    fn answers_have_a_status_and_a_body() {
        assert_eq!(answer(b"HTTP/1.1 500 Error\r\nA: b\r\n\r\nbody"), Some((500, "body".to_owned())));
        for other in
            [&b"HTTP/1.1 200 OK\r\n"[..], b"HTTP/1.1 2\r\n\r\n", b"\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n"]
        {
            assert_eq!(answer(other), None);
        }
    }

    #[test]
    fn answers_are_complete_by_their_length() {
        let complete = |length: &str, body: &str| {
            is_complete(["HTTP/1.1 200 OK\r\ncontent-LENGTH: ", length, "\r\n\r\n", body].concat().as_bytes())
        };
        assert!(complete("4", "body"));
        assert!(!complete("5", "body"));
        assert!(!complete("-1", "body"));
        assert!(!complete("99999999999999999999999", "body"));
        assert!(
            !is_complete(b"HTTP/1.1 200 OK\r\n\r\nbody"),
            "without a length, the connection's end counts"
        );
    }
}
