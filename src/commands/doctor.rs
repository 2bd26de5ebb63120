//! `portals doctor`: says what is wrong, and what to do.

use std::path::Path;

use super::ExitStatus;
use crate::base::json::JsonText;
use crate::cli::DoctorCommand;
use crate::cli::output::say;
use crate::diagnose::examine;
use crate::diagnose::finding::{self, Findings};
use crate::state::words::count;

/// Prints each finding as it comes, or all as JSON. The exit status tells whether something is wrong.
pub(super) fn run(file: &Path, options: &DoctorCommand) -> ExitStatus {
    let file_alone = options.file.as_deref();
    let mut findings = Findings::about(file, options.json);
    examine(file_alone.unwrap_or(file), file_alone.is_some(), &mut findings);
    let faults = findings.faults();
    if options.json {
        let mut json = JsonText::default();
        json.begin("", '{');
        json.put("wrong", &faults);
        finding::json(&mut json, &findings.all);
        json.end('}');
        say!("{}", json.finish());
    } else {
        match faults {
            0 => say!("nothing is wrong, as far as this command can tell"),
            faults => say!("{}", count(faults, "fault")),
        }
    }
    if faults == 0 { ExitStatus::Done } else { ExitStatus::Failed }
}
