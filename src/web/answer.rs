//! Answers to browsers, as bytes.

use crate::base::text::push_all;

/// Style of all pages.
const STYLE: &str = include_str!("style.css");

/// Media types.
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
pub(super) const SVG: &str = "image/svg+xml";

/// Header lines of each answer. Nothing comes from elsewhere, no script runs, forms go to this page alone,
/// and no other page shows this one in a frame or reads it. `same-origin` makes browsers name the origin of a
/// form; `no-referrer` would hide it (Fetch, § 3.2.5).
const SAFETY: &str = "Connection: close\r\nCache-Control: no-store\r\nContent-Security-Policy: default-src \
    'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors \
    'none'\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: same-origin\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n";

/// Header lines of a drawing, which has its style in itself.
const OF_DRAWING: &str = "Connection: close\r\nCache-Control: no-store\r\nContent-Security-Policy: \
    default-src 'none'; style-src 'unsafe-inline'\r\nX-Content-Type-Options: nosniff\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n";

/// End of the header lines.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Returns an answer with a page.
pub(super) fn page(status: u16, page: &str) -> Vec<u8> {
    answer(status, SAFETY, HTML, page)
}

/// Returns an answer with the style.
pub(super) fn style() -> Vec<u8> {
    answer(200, SAFETY, CSS, STYLE)
}

/// Returns an answer with a part of the page of this router.
pub(super) fn part(media_type: &str, text: &str) -> Vec<u8> {
    let is_drawing = media_type == SVG;
    answer(200, if is_drawing { OF_DRAWING } else { SAFETY }, media_type, text)
}

/// Returns an answer that sends the browser to a path after a form.
pub(super) fn go_to(path: &str) -> Vec<u8> {
    let lines = ["Location: ", path, "\r\n", SAFETY].concat();
    answer(303, &lines, HTML, "")
}

/// Returns an answer without a page: only the words of its status.
pub(super) fn refuse(status: u16) -> Vec<u8> {
    let allowed = if status == 405 { "Allow: GET, HEAD, POST\r\n" } else { "" };
    answer(status, &[allowed, SAFETY].concat(), "text/plain", words_of(status))
}

/// Leaves an answer without its body, for a browser that asks for the head alone (RFC 9110 § 9.3.2).
pub(super) fn head_of(answer: &mut Vec<u8>) {
    let end = answer.windows(HEAD_END.len()).position(|bytes| bytes == HEAD_END);
    answer.truncate(end.map_or(0, |end| end + HEAD_END.len()));
}

fn answer(status: u16, lines: &str, media_type: &str, body: &str) -> Vec<u8> {
    let (number, length) = (status.to_string(), body.len().to_string());
    let mut text = String::with_capacity(lines.len() + body.len() + 256);
    push_all(&mut text, &["HTTP/1.1 ", &number, " ", words_of(status), "\r\nContent-Type: ", media_type]);
    push_all(&mut text, &["\r\nContent-Length: ", &length, "\r\n", lines, "\r\n", body]);
    text.into_bytes()
}

/// Returns the words of a status (RFC 9110 § 15; RFC 6585).
fn words_of(status: u16) -> &'static str {
    match status {
        200 => "OK",
        303 => "See Other",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Bad Request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(answer: Vec<u8>) -> (String, String) {
        let text = String::from_utf8(answer).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    #[test]
    fn answers_have_their_length_and_let_nothing_in() {
        let text = "<p>ö</p>";
        for (answer, expected, status) in [
            (page(200, text), text, "200 OK"),
            (style(), STYLE, "200 OK"),
            (part(HTML, text), text, "200 OK"),
            (part(SVG, "<svg/>"), "<svg/>", "200 OK"),
            (go_to("/"), "", "303 See Other"),
            (refuse(421), "Misdirected Request", "421 Misdirected Request"),
        ] {
            let (head, body) = parts(answer);
            assert_eq!(body, expected);
            let mut lines = head.lines();
            assert_eq!(lines.next(), Some(&*["HTTP/1.1 ", status].concat()));
            let has = |line: &str| head.lines().any(|other| other == line);
            assert!(has(&["Content-Length: ", &body.len().to_string()].concat()), "{head}");
            assert!(has("Connection: close") && has("Cache-Control: no-store"), "{head}");
            assert!(head.contains("Content-Security-Policy: default-src 'none'"), "{head}");
            assert!(!head.contains("script-src"), "{head}");
            assert!(head.is_ascii() && head.lines().all(|line| !line.is_empty()), "{head}");
        }
    }

    #[test]
    fn the_head_of_an_answer_is_the_same_without_the_body() {
        let whole = page(200, "<p>\r\n\r\n</p>");
        let mut head = whole.clone();
        head_of(&mut head);
        assert!(whole.starts_with(&head) && head.ends_with(HEAD_END));
        assert_eq!(whole.len() - head.len(), "<p>\r\n\r\n</p>".len());
    }
}
