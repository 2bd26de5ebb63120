//! Requests of browsers: the little of HTTP (RFC 9112) that two pages need. Everything else is refused.

use httparse::{EMPTY_HEADER, Error, Header, Status};

/// Largest request line with its header lines, in bytes. Browsers send less than one kilobyte.
pub(super) const LONGEST_HEAD: usize = 4096;

/// Largest body in bytes: a form with the name of an exit.
pub(super) const LONGEST_BODY: usize = 512;

/// Most header lines. Browsers send about fifteen.
const MOST_HEADERS: usize = 40;

/// Longest path in bytes.
const LONGEST_PATH: usize = 128;

/// Request of a browser.
#[derive(Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Set if the browser sends a form; otherwise it asks for a page.
    pub is_form: bool,
    /// Path, without a query.
    pub path: &'a str,
    /// Host and port that the browser believes to talk to.
    pub host: &'a str,
    /// Origin of the page that has sent the form.
    pub origin: Option<&'a str>,
    /// Relation of that page to this one, in the browser's words (Fetch Metadata Request Headers, § 2.3).
    pub site: Option<&'a str>,
    /// Fields of the form.
    pub body: &'a str,
}

/// Bytes of a connection so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// Part of a request.
    Part,
    /// Whole request.
    Whole(Request<'a>),
    /// Bytes that are refused with this status (RFC 9110 § 15).
    Refused(u16),
}

/// Parses the bytes of a connection so far.
pub fn parse(bytes: &[u8]) -> Received<'_> {
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(Status::Complete(length)) if length <= LONGEST_HEAD => length,
        Ok(Status::Partial) if bytes.len() < LONGEST_HEAD => return Received::Part,
        Ok(_) | Err(Error::TooManyHeaders) => return Received::Refused(431),
        Err(Error::Version) => return Received::Refused(505),
        Err(_) => return Received::Refused(400),
    };
    let (Some(method), Some(path)) = (head.method, head.path) else { return Received::Refused(400) };
    match whole(method, path, head.headers, &bytes[length..]) {
        Ok(Some(request)) => Received::Whole(request),
        Ok(None) => Received::Part,
        Err(status) => Received::Refused(status),
    }
}

/// Reports whether a browser asks for the head of an answer alone, with a request that may be wrong. Empty
/// lines before it are skipped (RFC 9112 § 2.2).
pub(super) fn is_for_head(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"HEAD ")
}

/// Returns the request, once its body is complete; otherwise the status that refuses it.
fn whole<'a>(
    method: &str,
    path: &'a str,
    headers: &[Header<'a>],
    body: &'a [u8],
) -> Result<Option<Request<'a>>, u16> {
    let is_form = match method {
        "GET" | "HEAD" => false,
        "POST" => true,
        _ => return Err(405),
    };
    // A query means nothing here; an absolute URL is for a proxy.
    let path = path.split('?').next().unwrap_or_default();
    if !path.starts_with('/')
        || path.len() > LONGEST_PATH
        || !path.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(404);
    }
    let host = one(headers, "host")?.ok_or(400_u16)?;
    let length = match one(headers, "content-length")? {
        None => 0,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| 413_u16)?
        }
        Some(_) => return Err(400),
    };
    // A body in chunks could be read in two ways (RFC 9112 § 6.3), and no browser sends one here.
    if one(headers, "transfer-encoding")?.is_some() || (length > 0 && !is_form) {
        return Err(400);
    }
    if length > LONGEST_BODY {
        return Err(413);
    }
    let type_of_form = "application/x-www-form-urlencoded";
    if is_form && one(headers, "content-type")?.is_none_or(|given| !given.eq_ignore_ascii_case(type_of_form))
    {
        return Err(415);
    }
    let Some(body) = body.get(..length) else { return Ok(None) };
    let body = str::from_utf8(body).map_err(|_| 400_u16)?;
    let (origin, site) = (one(headers, "origin")?, one(headers, "sec-fetch-site")?);
    Ok(Some(Request { is_form, path, host, origin, site, body }))
}

/// Returns the value of a header line. Two lines of a name are refused: another program could have read the
/// other one.
fn one<'a>(headers: &[Header<'a>], name: &str) -> Result<Option<&'a str>, u16> {
    let mut lines = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(400);
    }
    str::from_utf8(line.value).map(|value| Some(value.trim())).map_err(|_| 400)
}

impl Request<'_> {
    /// Returns the value of a field of the form; `None` if it has no such field, or if the value has
    /// characters that no value here has: only `+` is decoded, a blank.
    pub fn field(&self, name: &str) -> Option<String> {
        let mut fields = self.body.split('&').filter_map(|field| field.split_once('='));
        let (_, value) = fields.find(|(its_name, _)| *its_name == name)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+');
        value.bytes().all(is_plain).then(|| value.replace('+', " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "GET / HTTP/1.1\r\nHost: 10.77.1.65\r\nUser-Agent: a browser\r\n\r\n";

    fn form(more: &str, body: &str) -> String {
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        let length = body.len();
        format!("POST /exit HTTP/1.1\r\nHost: a\r\n{kind}Content-Length: {length}\r\n{more}\r\n{body}")
    }

    fn status(text: &str) -> u16 {
        match parse(text.as_bytes()) {
            Received::Refused(status) => status,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_request_is_whole_when_its_last_byte_has_come() {
        let text =
            form("Origin: http://a\r\nSec-Fetch-Site: same-origin\r\n", "exit=oslo+via+paris&token=0f");
        for length in 0..text.len() {
            assert_eq!(parse(&text.as_bytes()[..length]), Received::Part, "{length}");
        }
        let Received::Whole(request) = parse(text.as_bytes()) else { panic!("it is not whole") };
        assert!(request.is_form);
        assert_eq!((request.path, request.host), ("/exit", "a"));
        assert_eq!((request.origin, request.site), (Some("http://a"), Some("same-origin")));
        assert_eq!(request.field("exit").as_deref(), Some("oslo via paris"));
        assert_eq!(request.field("token").as_deref(), Some("0f"));
        assert_eq!(request.field("exi"), None);
    }

    #[test]
    fn the_query_is_left_out() {
        let text = HEAD.replace("GET /", "GET /style.css?1");
        let Received::Whole(request) = parse(text.as_bytes()) else { panic!("it is not whole") };
        assert_eq!((request.path, request.is_form, request.body), ("/style.css", false, ""));
    }

    #[test]
    fn a_request_for_the_head_is_one_for_a_page() {
        for (text, expected) in [
            (HEAD.replace("GET", "HEAD"), true),
            (["\r\n", &HEAD.replace("GET", "HEAD")].concat(), true),
            (HEAD.to_owned(), false),
            (HEAD.replace("GET /", "GET /HEAD"), false),
        ] {
            let Received::Whole(request) = parse(text.as_bytes()) else { panic!("{text} is not whole") };
            assert!(!request.is_form);
            assert_eq!(is_for_head(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let with = |line: &str| HEAD.replace("User-Agent: a browser", line);
        for (text, expected) in [
            (HEAD.replace("GET", "PUT"), 405),
            (HEAD.replace("GET", "CONNECT"), 405),
            (HEAD.replace("GET /", "GET http://10.77.1.65/"), 404),
            (HEAD.replace("GET /", "GET *"), 404),
            (HEAD.replace("GET /", &["GET /", &"a".repeat(LONGEST_PATH)].concat()), 404),
            (HEAD.replace("Host", "Most"), 400),
            (with("Host: other"), 400),
            (with("Content-Length: 4"), 400),
            (with("Content-Length: -1"), 400),
            (with("Content-Length: 1\r\nContent-Length: 1"), 400),
            (with("Content-Length: 99999999999999999999999"), 413),
            (with("Transfer-Encoding: chunked"), 400),
            (with(&"A: b\r\n".repeat(MOST_HEADERS)), 431),
            (with(&["A: ", &"b".repeat(LONGEST_HEAD)].concat()), 431),
            (HEAD.replace("HTTP/1.1", "HTTP/2.0"), 505),
            ("\x16\x03\x01\x02\r\n".to_owned(), 400),
            (form("", &"a".repeat(LONGEST_BODY + 1)), 413),
            (form("", "").replace("x-www-form-urlencoded", "json"), 415),
        ] {
            assert_eq!(status(&text), expected, "{text:?}");
        }
        let endless = vec![b'a'; LONGEST_HEAD];
        assert!(matches!(parse(&endless), Received::Refused(_)));
    }

    #[test]
    fn values_with_other_characters_are_none() {
        for value in ["%3Cscript%3E", "a%20b", "a\"b", "a<b", "ö"] {
            let text = form("", &["exit=", value].concat());
            let Received::Whole(request) = parse(text.as_bytes()) else { panic!("it is not whole") };
            assert_eq!(request.field("exit"), None, "{value}");
        }
    }
}
