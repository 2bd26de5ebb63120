//! Paths of links in `status`, and the links that this site relays for others.

use std::fmt::Write as _;

use crate::base::json::Json;
use crate::config::model::Name;
use crate::control::{HelperStatus, LinkPathStatus};
use crate::engine::status::{LinkReport, Report};

/// Returns the agent's view of the path of a link.
pub(super) fn known<'a>(report: &'a Report, link: &LinkReport) -> Option<&'a LinkPathStatus> {
    report.agent_status.as_ref()?.link(&link.peer, &link.interface)
}

/// Appends the path of a link to its line, and ends the line. Under a link that is down, the ways that have
/// been tried follow.
pub(super) fn line_end(text: &mut String, report: &Report, link: &LinkReport) {
    let known = known(report, link);
    if let Some(path) = known.and_then(|known| known.path.as_ref()).filter(|_| link.up) {
        let _ = write!(text, "  {}", path.words(&report.site));
    }
    text.push('\n');
    if let Some(known) = known.filter(|_| !link.up) {
        let mapping = (!known.port_mapping.is_empty()).then_some(&known.port_mapping);
        for sentence in known.tried.iter().chain(mapping) {
            let _ = writeln!(text, "    {sentence}");
        }
    }
}

/// Appends the line of a link that this site relays.
pub(super) fn relayed_line(text: &mut String, [one, other]: &[Name; 2]) {
    let _ = writeln!(text, "  relays {one}–{other}");
}

/// Returns the members of a link that only the agent can fill.
pub(super) fn members(known: &LinkPathStatus, is_up: bool) -> Vec<(&'static str, Json)> {
    let mut members = Vec::new();
    if let Some(path) = known.path.as_ref().filter(|_| is_up) {
        members.push(("path", Json::text(path.kind.as_str())));
        members.extend((!path.by.is_empty()).then(|| ("by", Json::text(&path.by))));
    }
    if !is_up {
        members.push(("tried", Json::List(known.tried.iter().map(|way| Json::text(way)).collect())));
    }
    let mapping = (!known.port_mapping.is_empty()).then(|| ("port_mapping", Json::text(&known.port_mapping)));
    members.extend(mapping);
    members
}

/// Returns what this site does for others.
pub(super) fn helper_json(helper: &HelperStatus) -> Json {
    let pair = |ends: &[Name; 2]| Json::List(ends.iter().map(|end| Json::text(end)).collect());
    let relayed = Json::List(helper.relayed.iter().map(pair).collect());
    Json::Object(vec![("questions", Json::Number(helper.questions)), ("relayed", relayed)])
}
