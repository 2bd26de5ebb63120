//! `portals trace`: follows one flow through this router.

use std::path::Path;

use super::ExitStatus;
use crate::base::error::Errors;
use crate::cli::TraceCommand;
use crate::cli::output;
use crate::cli::style::Style;
use crate::diagnose::trace::{self, Choices};
use crate::engine::journal::Journal;
use crate::engine::load::Files;
use crate::engine::observed::choose_observed;
use crate::kernel::Kernel as _;
use crate::kernel::linux::Linux;

/// Prints the picture of the flow.
pub(super) fn run(file: &Path, options: &TraceCommand) -> Result<ExitStatus, Errors> {
    let files = Files::read(file)?;
    let resolved = files.resolved()?;
    let mut kernel = Linux::open()?;
    let links = kernel.links()?;
    let mut site = files.site(&mut kernel, &Journal::open()?, &links, &resolved)?;
    choose_observed(&mut site, &mut kernel)?;
    let choices =
        Choices { from: &options.from, to: &options.to, is_udp: options.udp, is_live: options.live };
    let trace = trace::run(&site, &mut kernel, &links, choices, Style::for_stdout())?;
    output::print(format_args!("{}", trace.text));
    Ok(if trace.is_good { ExitStatus::Done } else { ExitStatus::Failed })
}
