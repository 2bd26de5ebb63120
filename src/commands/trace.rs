//! `portals trace`: follows one flow through this router.

use std::path::Path;

use super::ExitStatus;
use crate::base::error::Errors;
use crate::cli::TraceCommand;
use crate::cli::output;
use crate::cli::style::Style;
use crate::diagnose::trace::{self, Choices};
use crate::engine::here::Here;

/// Prints the picture of the flow.
pub(super) fn run(file: &Path, options: &TraceCommand) -> Result<ExitStatus, Errors> {
    let mut here = Here::open(file)?;
    here.choose_observed()?;
    let Here { kernel, links, site, .. } = &mut *here;
    let choices = Choices {
        from: &options.from,
        to: &options.to,
        is_udp: options.udp,
        live: options.live.then_some(options.wait.unwrap_or(60)),
        is_both: options.both,
    };
    let trace = trace::run(site, kernel, links, choices, Style::for_stdout())?;
    output::print(format_args!("{}", trace.text));
    Ok(if trace.is_good { ExitStatus::Done } else { ExitStatus::Failed })
}
