//! Paths of links in `status`, and the links that this site relays for others.

use std::fmt::Write as _;

use crate::base::json::JsonText;
use crate::config::model::Name;
use crate::control::{HelperStatus, LinkPathStatus};
use crate::engine::status::{LinkReport, Report};

/// Returns the agent's view of the path of a link.
pub(in crate::commands) fn known<'a>(report: &'a Report, link: &LinkReport) -> Option<&'a LinkPathStatus> {
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

/// Adds the members of a link that only the agent can fill.
pub(super) fn members(json: &mut JsonText, known: &LinkPathStatus, is_up: bool) {
    if let Some(path) = known.path.as_ref().filter(|_| is_up) {
        json.text("path", &path.kind.as_str());
        if !path.by.is_empty() {
            json.text("by", &path.by);
        }
    }
    if !is_up {
        json.texts("tried", &known.tried);
    }
    if !known.port_mapping.is_empty() {
        json.text("port_mapping", &known.port_mapping);
    }
}

/// Adds what this site does for others.
pub(super) fn helper_json(json: &mut JsonText, helper: &HelperStatus) {
    json.begin("helper", '{');
    json.put("questions", &helper.questions);
    json.begin("relayed", '[');
    for ends in &helper.relayed {
        json.texts("", ends);
    }
    json.end(']');
    json.end('}');
}
