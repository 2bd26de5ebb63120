//! `portals plan`: shows what `portals apply` would change.

use std::path::Path;

use super::{ExitStatus, show_notes, show_nothing_to_do, ssh};
use crate::base::error::Errors;
use crate::cli::PlanCommand;
use crate::cli::output::{self, say};
use crate::commands::as_commands::Script;
use crate::engine::apply::prepare;
use crate::engine::journal::Journal;
use crate::engine::load::Files;
use crate::engine::observed::choose_observed;
use crate::kernel::Kernel as _;
use crate::kernel::linux::Linux;
use crate::plan::{lockout_warnings, plan};
use crate::state::step::Step;
use crate::state::words;

/// Prints the steps, or a shell script that does the same.
pub(super) fn run(file: &Path, options: &PlanCommand) -> Result<ExitStatus, Errors> {
    let files = Files::read(file)?;
    let resolved = files.resolved()?;
    let mut kernel = Linux::open()?;
    let links = kernel.links()?;
    let journal = Journal::open()?;
    let mut site = files.site(&mut kernel, &journal, &links, &resolved)?;
    if journal.has_agent()? {
        // The exits that the agent has chosen are the desired state, and no difference.
        choose_observed(&mut site, &mut kernel)?;
    }
    let prepared = prepare(&mut kernel, &journal, &plan(&site), Some(&links))?;
    ssh::warn(&site, &mut kernel, &links);
    show_notes(&site.notes);
    show_notes(&lockout_warnings(&site, &prepared.steps));
    if options.commands {
        output::print(format_args!("{}", Script::new(&files, &site).write(&prepared.steps)));
    } else if prepared.steps.is_empty() {
        show_nothing_to_do(file);
    } else {
        for step in &prepared.steps {
            say!("{}", words::step(step));
        }
        // The words of these steps do not tell which networks others will see.
        if prepared.steps.iter().any(|step| matches!(step, Step::Firewall(_))) {
            for (here, seen_as) in site.translations() {
                say!("linked sites and phones see {here} as {seen_as}");
            }
        }
    }
    Ok(if options.check && !prepared.steps.is_empty() { ExitStatus::Differs } else { ExitStatus::Done })
}
