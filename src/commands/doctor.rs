//! `portals doctor`: says what is wrong, and what to do.

use std::path::Path;

use super::ExitStatus;
use crate::base::json::JsonText;
use crate::cli::DoctorCommand;
use crate::cli::output::{self, say};
use crate::cli::style::Style;
use crate::diagnose::{examine, finding};
use crate::state::words::count;

/// Prints the findings. The exit status tells whether something is wrong.
pub(super) fn run(file: &Path, options: &DoctorCommand) -> ExitStatus {
    let findings = examine(options.file.as_deref().unwrap_or(file), options.file.is_some());
    let faults = findings.iter().filter(|finding| finding.verdict == finding::Verdict::Wrong).count();
    if options.json {
        let mut json = JsonText::default();
        json.begin("", '{');
        json.put("wrong", &faults);
        finding::json(&mut json, &findings);
        json.end('}');
        say!("{}", json.finish());
    } else {
        output::print(format_args!("{}", finding::for_people(&findings, Style::for_stdout())));
        match faults {
            0 => say!("nothing is wrong, as far as this command can tell"),
            faults => say!("{}", count(faults, "fault")),
        }
    }
    if faults == 0 { ExitStatus::Done } else { ExitStatus::Failed }
}
