//! Findings of checks: the observation, its reason, and the way out, for people and as JSON.

use crate::base::json::JsonText;
use crate::cli::style::Style;

/// Name of the check of this site's key.
pub const KEY: &str = "key";

/// Judgement of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is as it must be.
    Ok,
    /// A fact that somebody should know; nothing is broken by it.
    Note,
    /// A fault.
    Wrong,
    /// The check could not look, for example because it needs root.
    NotChecked,
}

impl Verdict {
    /// Returns the word for JSON.
    pub fn as_str(self) -> &'static str {
        ["ok", "note", "wrong", "not checked"][self as usize]
    }
}

/// Result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the check: a word or two, such as `clock`.
    pub check: &'static str,
    /// Judgement.
    pub verdict: Verdict,
    /// Observation, as a sentence.
    pub seen: String,
    /// Reason why it matters, as a sentence; empty if the observation says it.
    pub why: &'static str,
    /// Way out: sentences and commands, one a line; empty if there is nothing to do.
    pub way_out: String,
}

impl Finding {
    /// Returns the finding that all is well.
    pub fn ok(check: &'static str, seen: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, seen.into(), "", String::new())
    }

    /// Returns a fact that somebody should know.
    pub fn note(
        check: &'static str,
        seen: impl Into<String>,
        why: &'static str,
        way_out: impl Into<String>,
    ) -> Self {
        Self::new(check, Verdict::Note, seen.into(), why, way_out.into())
    }

    /// Returns a fault.
    pub fn wrong(
        check: &'static str,
        seen: impl Into<String>,
        why: &'static str,
        way_out: impl Into<String>,
    ) -> Self {
        Self::new(check, Verdict::Wrong, seen.into(), why, way_out.into())
    }

    /// Returns the finding that a check could not look, and the reason.
    pub fn not_checked(check: &'static str, seen: impl Into<String>) -> Self {
        Self::new(check, Verdict::NotChecked, seen.into(), "", String::new())
    }

    fn new(check: &'static str, verdict: Verdict, seen: String, why: &'static str, way_out: String) -> Self {
        Self { check, verdict, seen, why, way_out }
    }

    /// Reports whether this is a fault of the key, without which no other check can look at the live state.
    pub fn is_about_key(&self) -> bool {
        self.check == KEY && self.verdict == Verdict::Wrong
    }

    /// Appends the lines for people: mark, check and observation, then the reason and the way out.
    pub fn line(&self, text: &mut String, style: Style) {
        let mark = match self.verdict {
            Verdict::Ok => style.good("✓"),
            Verdict::Note => style.notable("!"),
            Verdict::Wrong => style.bad("✗"),
            Verdict::NotChecked => style.faint("-"),
        };
        for part in [mark.as_str(), " ", &style.strong(self.check), ": ", &self.seen, "\n"] {
            text.push_str(part);
        }
        if !self.why.is_empty() {
            for part in ["    ", self.why, "\n"] {
                text.push_str(part);
            }
        }
        for (index, line) in self.way_out.lines().enumerate() {
            for part in [if index == 0 { "  → " } else { "    " }, line, "\n"] {
                text.push_str(part);
            }
        }
    }

    /// Adds the finding as an object of a list.
    pub fn json(&self, json: &mut JsonText) {
        json.begin("", '{');
        json.text("check", &self.check);
        json.text("verdict", &self.verdict.as_str());
        json.text("seen", &self.seen);
        json.text("why", &self.why);
        json.text("way_out", &self.way_out);
        json.end('}');
    }
}

/// Returns the lines of all findings for people.
pub fn for_people(findings: &[Finding], style: Style) -> String {
    let mut text = String::new();
    for finding in findings {
        finding.line(&mut text, style);
    }
    text
}

/// Adds the member `findings`, the list of all findings.
pub fn json(json: &mut JsonText, findings: &[Finding]) {
    json.begin("findings", '[');
    for finding in findings {
        finding.json(json);
    }
    json.end(']');
}

/// Reports whether a finding is a fault.
pub fn has_fault(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.verdict == Verdict::Wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::ok("clock", "The clock is right."),
            Finding::note("DNS", "Seen.", "It matters.", "Do this:\nuci commit"),
            Finding::wrong("key", "Broken.", "", "chmod 600 \"a\""),
            Finding::not_checked("links", "This check needs root."),
        ]
    }

    #[test]
    fn findings_have_marks_reasons_and_ways_out() {
        let expected = "✓ clock: The clock is right.\n\
                        ! DNS: Seen.\n    It matters.\n  → Do this:\n    uci commit\n\
                        ✗ key: Broken.\n  → chmod 600 \"a\"\n\
                        - links: This check needs root.\n";
        assert_eq!(for_people(&findings(), Style::PLAIN), expected);
        assert!(has_fault(&findings()) && !has_fault(&findings()[..2]));
    }

    #[test]
    fn findings_are_objects_of_a_list() {
        let mut text = JsonText::default();
        text.begin("", '{');
        json(&mut text, &findings()[2..]);
        text.end('}');
        let expected = concat!(
            r#"{"findings":[{"check":"key","verdict":"wrong","seen":"Broken.","why":"","#,
            r#""way_out":"chmod 600 \"a\""},{"check":"links","verdict":"not checked","#,
            r#""seen":"This check needs root.","why":"","way_out":""}]}"#
        );
        assert_eq!(text.finish(), expected);
    }
}
