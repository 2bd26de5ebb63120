//! `portals plan`: what `apply` would change.

use std::path::Path;

use super::{Status, show_notes, ssh};
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

/// Shows the steps, or the script.
pub(super) fn run(file: &Path, options: &Plan) -> Result<Status, Errors> {
    let files = Files::read(file)?;
    let resolved = files.resolved()?;
    let mut kernel = Linux::open_for_one_look()?;
    let mut site = files.site(&mut kernel, &resolved)?;
    let journal = Journal::open()?;
    if journal.has_agent()? {
        // What the agent has chosen is as it should be.
        choose_standing(&mut site, &mut kernel)?;
    }
    let prepared = prepare(&mut kernel, &journal, &plan(&site))?;
    ssh::warn(&site, &mut kernel);
    show_notes(&site.notes);
    show_notes(&closing(&site, &prepared.steps));
    if options.commands {
        output::print(format_args!("{}", Script::new(&files, &site).write(&prepared.steps)));
    } else if prepared.steps.is_empty() {
        say!("nothing to do: this machine is as {} says", file.display());
    } else {
        for step in &prepared.steps {
            say!("{}", words::step(step));
        }
    }
    Ok(if options.check && !prepared.steps.is_empty() { Status::Differs } else { Status::Done })
}
