//! Links and phones in `status`: their sessions, and the ports at which they come in.

use std::fmt::Write as _;

use super::fault_line;
use crate::base::json::JsonText;
use crate::cli::amounts::{bytes, duration};
use crate::cli::style::Style;
use crate::engine::status::{LinkEnd, LinkReport, PhoneReport};

/// Returns the width of the states of links in characters.
pub(super) fn width(links: &[LinkReport]) -> usize {
    let mut width = "down".len();
    for link in links {
        width = width.max(link.state().len());
    }
    width
}

/// Appends the line of a link, without its path and its end.
pub(super) fn line(text: &mut String, link: &LinkReport, style: Style, width: usize) {
    let state = format!("{:<width$}", link.state());
    let state = if link.up && !link.is_silent() { style.good(&state) } else { style.bad(&state) };
    let role = if link.exit { "exit" } else { "link" };
    let _ = write!(text, "  {:<12} {state}  {role}  {:<15}  ", link.peer, link.interface.as_str());
    session(text, link);
}

/// Appends the line of a phone. A silent phone is no fault: it may be switched off, or asleep.
pub(super) fn phone_line(text: &mut String, PhoneReport { link, exit }: &PhoneReport, style: Style) {
    let state = if link.up && !link.is_silent() { style.good("up  ") } else { style.faint("away") };
    let _ = write!(text, "  {:<12} {state}  → {exit:<12}  ", link.peer);
    session(text, link);
    text.push('\n');
}

/// Appends the endpoint, the last sign of life and the bytes.
fn session(text: &mut String, link: &LinkReport) {
    let endpoint = match link.endpoint {
        Some(endpoint) => endpoint.to_string(),
        None => match link.end {
            LinkEnd::Missing => "no tunnel",
            LinkEnd::Unresolved => "name has no address",
            _ => "waiting to be dialled",
        }
        .to_owned(),
    };
    let (received, sent) = (bytes(link.received), bytes(link.sent));
    let _ = write!(text, "{endpoint:<24} {:<22} in {received}, out {sent}", sign_of_life(link));
}

fn sign_of_life(link: &LinkReport) -> String {
    match (link.handshake_age, link.seen) {
        (Some(age), _) if !link.is_silent() => format!("handshake {} ago", duration(age)),
        (_, Some(age)) => format!("last seen {} ago", duration(age)),
        (Some(age), None) => format!("handshake {} ago", duration(age)),
        (None, None) => "no handshake yet".to_owned(),
    }
}

/// Appends the way out for a link whose endpoint cannot be right.
pub(super) fn way_out(text: &mut String, link: &LinkReport, style: Style) {
    if let (LinkEnd::Itself, Some(endpoint)) = (link.end, link.endpoint) {
        let words = format!(
            "{} is an address of this machine: correct the `endpoint` of {}",
            endpoint.ip(),
            link.peer
        );
        fault_line(text, "    ", &words, style);
    }
}

/// Adds the members that links and phones share.
pub(super) fn session_members(json: &mut JsonText, link: &LinkReport) {
    json.text_or_null("endpoint", link.endpoint.as_ref().map(|endpoint| endpoint as _));
    json.put_or_null("handshake_age_s", link.handshake_age);
    json.put("rx_bytes", &link.received);
    json.put("tx_bytes", &link.sent);
    json.put("up", &link.up);
    for (member, seconds) in
        [("last_seen_s", link.seen), ("not_answering_s", link.unanswered.filter(|_| link.up))]
    {
        if let Some(seconds) = seconds {
            json.put(member, &seconds);
        }
    }
    if link.end == LinkEnd::Itself {
        json.put("is_itself", &true);
    }
}
