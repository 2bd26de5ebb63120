//! `portals plan`: shows what `portals apply` would change.

use std::path::Path;

use super::{Status, show_notes, show_nothing_to_do, ssh};
use crate::base::error::Errors;
use crate::cli::Plan;
use crate::cli::output::{self, say};
use crate::commands::as_commands::Script;
use crate::engine::apply::prepare;
use crate::engine::journal::Journal;
use crate::engine::load::Files;
use crate::engine::status::choose_standing;
use crate::kernel::linux::Linux;
use crate::plan::{closing, plan};
use crate::state::words;

/// Prints the steps, or a shell script that does the same.
pub(super) fn run(file: &Path, options: &Plan) -> Result<Status, Errors> {
    let files = Files::read(file)?;
    let resolved = files.resolved()?;
    let mut kernel = Linux::open()?;
    let links = kernel.links()?;
    let journal = Journal::open()?;
    let mut site = files.site(&mut kernel, &journal, &links, &resolved)?;
    if journal.has_agent()? {
        // The exits that the agent has chosen are the desired state, and no difference.
        choose_standing(&mut site, &mut kernel)?;
    }
    let prepared = prepare(&mut kernel, &journal, &plan(&site), Some(&links))?;
    ssh::warn(&site, &mut kernel, &links);
    show_notes(&site.notes);
    show_notes(&closing(&site, &prepared.steps));
    if options.commands {
        output::print(format_args!("{}", Script::new(&files, &site).write(&prepared.steps)));
    } else if prepared.steps.is_empty() {
        show_nothing_to_do(file);
    } else {
        for step in &prepared.steps {
            say!("{}", words::step(step));
        }
    }
    Ok(if options.check && !prepared.steps.is_empty() { Status::Differs } else { Status::Done })
}
