//! Findings of checks: the observation, its reason, and the way out, for people and as JSON.

use std::fmt::{Display, Write as _};
use std::path::Path;

use super::modules;
use crate::base::json::JsonText;
use crate::base::text::printable;
use crate::cli::output;
use crate::cli::shell::command_for;
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
    /// Observation, as a sentence; empty if all is well and there is nothing to tell.
    pub seen: String,
    /// Reason why it matters, as a sentence; empty if the observation says it.
    pub why: &'static str,
    /// Way out: sentences and commands, one a line; empty if there is nothing to do.
    pub way_out: String,
}

impl Finding {
    /// Reports whether this is a fault of the key, without which no other check can look at the live state.
    pub fn is_about_key(&self) -> bool {
        self.check == KEY && self.verdict == Verdict::Wrong
    }

    /// Appends the lines for people: mark, check and observation, then the reason and the way out.
    fn line(&self, text: &mut String, style: Style) {
        let mark = match self.verdict {
            Verdict::Ok => style.good("✓"),
            Verdict::Note => style.notable("!"),
            Verdict::Wrong => style.bad("✗"),
            Verdict::NotChecked => style.faint("-"),
        };
        let colon = if self.seen.is_empty() { "" } else { ": " };
        let _ = writeln!(text, "{mark} {}{colon}{}", style.strong(self.check), self.seen);
        if !self.why.is_empty() {
            let _ = writeln!(text, "    {}", self.why);
        }
        let mut before = "  → ";
        for line in self.way_out.lines() {
            let _ = writeln!(text, "{before}{line}");
            before = "    ";
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

/// Words of a finding. In the texts, `{0}` stands for the first of the values that the check has found.
#[derive(Debug)]
pub struct Words {
    /// Name of the check.
    pub check: &'static str,
    /// Observation.
    pub seen: &'static str,
    /// Reason why it matters.
    pub why: &'static str,
    /// Way out.
    pub way_out: &'static str,
}

/// Findings so far.
#[derive(Debug, Default)]
pub struct Findings {
    /// All findings.
    pub all: Vec<Finding>,
    /// Option of commands that stands for `{config}` in ways out; empty if they use the same network file
    /// without it.
    config: String,
    /// Style of the lines for people, which are printed at once; none = nothing is printed.
    style: Option<Style>,
}

impl Findings {
    /// Returns findings about a network file, which are printed at once, or as JSON at the end.
    pub fn about(file: &Path, is_json: bool) -> Self {
        let style = if is_json { None } else { Some(Style::for_stdout()) };
        Self { all: Vec::new(), config: command_for("", file), style }
    }

    /// Returns the number of faults.
    pub fn faults(&self) -> usize {
        self.all.iter().filter(|finding| finding.verdict == Verdict::Wrong).count()
    }

    /// Adds the finding that all is well.
    pub fn ok(&mut self, check: &'static str, seen: &'static str, values: &[&dyn Display]) {
        self.add(Verdict::Ok, &Words { check, seen, why: "", way_out: "" }, values);
    }

    /// Adds a fact that somebody should know.
    pub fn note(&mut self, words: &Words, values: &[&dyn Display]) {
        self.add(Verdict::Note, words, values);
    }

    /// Adds a fault.
    pub fn wrong(&mut self, words: &Words, values: &[&dyn Display]) {
        self.add(Verdict::Wrong, words, values);
    }

    /// Adds a fault in the words of an error, which name the way out at their end. The package of a missing
    /// module comes in its place.
    pub fn fault(&mut self, check: &'static str, words: &dyn Display) {
        let text = words.to_string();
        let package = modules::way_out(&text);
        let (seen, way_out) = if package.is_empty() { parted(&text) } else { (&*text, package) };
        self.add(Verdict::Wrong, &Words { check, seen: "{0}", why: "", way_out: "{1}" }, &[&seen, &way_out]);
    }

    /// Adds the finding that a check could not look, and the reason.
    pub fn not_checked(&mut self, check: &'static str, seen: &'static str, values: &[&dyn Display]) {
        self.add(Verdict::NotChecked, &Words { check, seen, why: "", way_out: "" }, values);
    }

    /// Adds a finding.
    #[inline(never)]
    pub fn add(&mut self, verdict: Verdict, words: &Words, values: &[&dyn Display]) {
        // Other users name programs, and other programs name interfaces.
        let text = |text: &str| printable(&filled(text, values, &self.config));
        let (seen, way_out) = (text(words.seen), text(words.way_out));
        let finding = Finding { check: words.check, verdict, seen, why: words.why, way_out };
        if let Some(style) = self.style {
            let mut lines = String::new();
            finding.line(&mut lines, style);
            output::print(format_args!("{lines}"));
        }
        self.all.push(finding);
    }
}

/// Beginnings of ways out at the end of an error. A command comes without its verb.
const VERBS: [&str; 9] =
    ["run: ", "choose ", "correct ", "create ", "give ", "install ", "remove it", "rename ", "write "];

/// Parts the words of an error from the way out behind them, which is empty if they name none.
fn parted(words: &str) -> (&str, String) {
    for (at, letter) in words.bytes().enumerate() {
        if !matches!(letter, b':' | b';') {
            continue;
        }
        let rest = words[at + 1..].trim_start();
        if VERBS.iter().any(|verb| rest.starts_with(verb)) {
            let mut way_out = rest.strip_prefix(VERBS[0]).unwrap_or(rest).to_owned();
            if way_out.len() == rest.len() {
                way_out[..1].make_ascii_uppercase();
            }
            return (&words[..at], way_out);
        }
    }
    (words, String::new())
}

/// Puts values in the places of a text, and the option of commands in place of `{config}`.
fn filled(text: &str, values: &[&dyn Display], config: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let (place, behind) = after.split_once('}').unwrap_or_default();
        if place == "config" {
            filled.push_str(config);
        } else if let Some(value) = place.parse().ok().and_then(|place: usize| values.get(place)) {
            let _ = write!(filled, "{value}");
        }
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

/// Adds the member `findings`, the list of all findings.
pub fn json(json: &mut JsonText, findings: &[Finding]) {
    json.begin("findings", '[');
    for finding in findings {
        finding.json(json);
    }
    json.end(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the lines of all findings for people.
    fn for_people(findings: &[Finding]) -> String {
        let mut text = String::new();
        for finding in findings {
            finding.line(&mut text, Style::PLAIN);
        }
        text
    }

    fn findings() -> Vec<Finding> {
        let mut findings = Findings::default();
        findings.ok("clock", "The clock is {0}.", &[&"right"]);
        let (seen, why) = ("Seen.", "It matters.");
        findings.note(&Words { check: "DNS", seen, why, way_out: "Do this:\n{0} commit" }, &[&"uci"]);
        let words = Words { check: "key", seen: "Broken.", why: "", way_out: "chmod 600 \"a\"" };
        findings.wrong(&words, &[]);
        findings.not_checked("links", "This check needs root.", &[]);
        findings.all
    }

    #[test]
    fn values_have_their_places() {
        assert_eq!(filled("{1} is {0}, and {1}; {7}", &[&1, &"x"], ""), "x is 1, and x; ");
        assert_eq!(filled("nothing", &[], ""), "nothing");
        assert_eq!(filled("portals push{config}", &[], " --config a"), "portals push --config a");
    }

    #[test]
    fn errors_are_parted_from_their_ways_out() {
        for (words, seen, way_out) in [
            (
                "no such file /a:b; create it with `portals init`",
                "no such file /a:b",
                "Create it with `portals init`",
            ),
            (
                "/a is not read: it belongs to user 7; run: chown 0 /a",
                "/a is not read: it belongs to user 7",
                "chown 0 /a",
            ),
            (
                "the program dnsmasq is missing: install dnsmasq",
                "the program dnsmasq is missing",
                "Install dnsmasq",
            ),
            ("a.toml:7: unknown key `run: x`", "a.toml:7: unknown key `run: x`", ""),
            ("cannot write: no space:", "cannot write: no space:", ""),
            ("", "", ""),
        ] {
            assert_eq!(parted(words), (seen, way_out.to_owned()), "{words}");
        }
    }

    #[test]
    fn control_characters_of_others_reach_no_terminal() {
        let mut findings = Findings::default();
        let words = Words { check: "ports", seen: "{0} has it.", why: "", way_out: "End {0}:\nkill 7" };
        findings.wrong(&words, &[&"a\u{1b}[2Jb"]);
        let expected = "✗ ports: a\u{fffd}[2Jb has it.\n  → End a\u{fffd}[2Jb:\n    kill 7\n";
        assert_eq!(for_people(&findings.all), expected);
    }

    #[test]
    fn findings_have_marks_reasons_and_ways_out() {
        let expected = "✓ clock: The clock is right.\n\
                        ! DNS: Seen.\n    It matters.\n  → Do this:\n    uci commit\n\
                        ✗ key: Broken.\n  → chmod 600 \"a\"\n\
                        - links: This check needs root.\n";
        assert_eq!(for_people(&findings()), expected);
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
