//! Network file in `status`: the own one, and the files of linked sites.

use std::fmt::Write as _;

use super::fault_line;
use crate::base::json::JsonText;
use crate::cli::style::Style;
use crate::commands::push::site_line;
use crate::control::{AgentStatus, SiteFile};
use crate::engine::file_report::{FileReport, FileSignature};
use crate::exchange::Relation;

/// Appends the own file, the problem with it, and a line for each linked site with another file.
pub(super) fn lines(text: &mut String, file: &FileReport, agent: Option<&AgentStatus>, style: Style) {
    let problem = agent.and_then(|agent| agent.file_problem.as_ref());
    let mut line = format!("network file: serial {}, ", file.serial);
    match &file.signature {
        FileSignature::By(admin) => {
            let _ = write!(line, "signed by {admin}");
        }
        FileSignature::Awaited => line.push_str("which waits for the first signed file"),
        FileSignature::Outdated => line.push_str("edited by hand since it was signed"),
        FileSignature::Missing => line.push_str("not signed"),
    }
    let is_open = matches!(file.signature, FileSignature::Outdated | FileSignature::Missing);
    if is_open && problem.is_none() {
        line.push_str(": run `portals push`");
    }
    line.push_str(&elsewhere(agent.map_or(&[][..], |agent| &agent.files)));
    if is_open {
        fault_line(text, "", &line, style);
    } else {
        text.push_str(&line);
        text.push('\n');
    }
    if let Some(problem) = problem {
        fault_line(text, "  ", problem, style);
    }
    if agent.is_some_and(|agent| agent.is_rotating) {
        text.push_str("  a new key of this site is on its way to the linked sites\n");
    }
    for file in agent.map_or(&[][..], |agent| &agent.files) {
        if file.is_other() {
            fault_line(text, "", &site_line(file), style);
        }
    }
}

/// Returns the standing of the linked sites that have no line of their own, with a semicolon before it.
fn elsewhere(files: &[SiteFile]) -> String {
    let mut unknown = String::new();
    for file in files.iter().filter(|file| file.relation == Relation::Unknown) {
        unknown.push_str(if unknown.is_empty() { "; not heard from " } else { ", " });
        unknown.push_str(&file.site);
    }
    if !files.is_empty() && files.iter().all(|file| file.relation == Relation::Same) {
        unknown.push_str("; all linked sites have it");
    }
    unknown
}

/// Adds the members of the file to a JSON object.
pub(super) fn json(json: &mut JsonText, file: &FileReport, agent: Option<&AgentStatus>) {
    json.begin("file", '{');
    json.put("serial", &file.serial);
    json.text("signature", &file.signature.as_str());
    if let FileSignature::By(admin) = &file.signature {
        json.text("signed_by", admin);
    }
    if let Some(agent) = agent {
        json.begin("sites", '[');
        for SiteFile { site, serial, relation } in &agent.files {
            json.begin("", '{');
            json.text("site", site);
            json.put_or_null("serial", *serial);
            json.text("relation", &relation.as_str());
            json.end('}');
        }
        json.end(']');
        if agent.is_rotating {
            json.put("rotating", &true);
        }
        if let Some(problem) = &agent.file_problem {
            json.text("problem", problem);
        }
    }
    json.end('}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::net::PublicKey;

    fn agent(files: &[(&str, Option<u64>, Relation)], problem: Option<&str>) -> AgentStatus {
        let file = |(site, serial, relation): &(&str, Option<u64>, Relation)| SiteFile {
            site: (*site).to_owned(),
            serial: *serial,
            relation: *relation,
        };
        AgentStatus {
            files: files.iter().map(file).collect(),
            file_problem: problem.map(str::to_owned),
            ..AgentStatus::default()
        }
    }

    fn shown(signature: FileSignature, agent: Option<&AgentStatus>) -> String {
        let mut text = String::new();
        lines(&mut text, &FileReport { serial: 7, signature }, agent, Style::PLAIN);
        text
    }

    #[test]
    fn the_own_file_has_one_line() {
        let key = PublicKey([1; 32]);
        let is_same = agent(&[("paris", Some(7), Relation::Same)], None);
        for (signature, words) in [
            (FileSignature::By(key), "signed by AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="),
            (FileSignature::Outdated, "edited by hand since it was signed: run `portals push`"),
            (FileSignature::Missing, "not signed: run `portals push`"),
            (FileSignature::Awaited, "which waits for the first signed file"),
        ] {
            let line = format!("network file: serial 7, {words}; all linked sites have it\n");
            assert_eq!(shown(signature, Some(&is_same)), line);
        }
        let unknown = agent(
            &[
                ("paris", Some(7), Relation::Same),
                ("oslo", None, Relation::Unknown),
                ("rome", None, Relation::Unknown),
            ],
            None,
        );
        let line = shown(FileSignature::Awaited, Some(&unknown));
        assert!(line.ends_with("the first signed file; not heard from oslo, rome\n"), "{line}");
        assert!(shown(FileSignature::Missing, None).ends_with("push`\n"), "no agent runs");
    }

    #[test]
    fn sites_with_another_file_have_a_line_each() {
        let agent = agent(
            &[
                ("oslo", Some(7), Relation::Same),
                ("paris", Some(6), Relation::Older),
                ("rome", Some(8), Relation::Newer),
                ("bonn", Some(7), Relation::Conflict),
                ("lima", Some(7), Relation::Edited),
            ],
            None,
        );
        let expected = "\
            network file: serial 7, not signed: run `portals push`\n  \
              paris         serial 6      has an older file\n  \
              rome          serial 8      has a newer file\n  \
              bonn          serial 7      two admins changed the file: decide at one site, and run \
            `portals push` there\n  \
              lima          serial 7      edited by hand and not signed: run `portals push` or \
            `portals pull` there\n";
        assert_eq!(shown(FileSignature::Missing, Some(&agent)), expected);
    }

    #[test]
    fn the_problem_of_the_agent_names_the_way_out() {
        let problem = "the network file was changed here: run `portals pull`";
        let text = shown(FileSignature::Outdated, Some(&agent(&[], Some(problem))));
        let own = "network file: serial 7, edited by hand since it was signed\n";
        assert_eq!(text, format!("{own}  {problem}\n"));
    }

    #[test]
    fn json_lists_all_linked_sites() {
        let agent = agent(
            &[("oslo", Some(7), Relation::Same), ("paris", None, Relation::Unknown)],
            Some("it is \"odd\""),
        );
        let file = FileReport { serial: 7, signature: FileSignature::By(PublicKey([1; 32])) };
        let expected = concat!(
            r#""file":{"serial":7,"signature":"signed","#,
            r#""signed_by":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=","#,
            r#""sites":[{"site":"oslo","serial":7,"relation":"same"},"#,
            r#"{"site":"paris","serial":null,"relation":"unknown"}],"problem":"it is \"odd\""}"#
        );
        let shown = |file, agent| {
            let mut shown = JsonText::default();
            json(&mut shown, file, agent);
            shown.finish()
        };
        assert_eq!(shown(&file, Some(&agent)), expected);
        let file = FileReport { serial: 0, signature: FileSignature::Awaited };
        assert_eq!(shown(&file, None), r#""file":{"serial":0,"signature":"provisional"}"#);
    }
}
