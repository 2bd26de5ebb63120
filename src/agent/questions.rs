//! What others ask the agent at its control socket, and what it answers.

use std::path::Path;
use std::time::{Duration, Instant};

use super::confirm::Test;
use super::{Agent, Applied, log_errors};
use crate::base::error::{Error, Errors};
use crate::config::model::Name;
use crate::control::{Asker, Done, Knowledge, Question};

impl Agent {
    /// Does what is asked, and tells what came of it.
    pub(super) fn answer(&mut self, question: Question, asker: Asker) {
        let done = match question {
            Question::Status => return self.reception.tell(asker, &Ok(self.knowledge().into_fields())),
            Question::Apply { file, confirm } => self.apply_file(&file, confirm),
            Question::Confirm => self.confirm(),
            Question::Reload => self.reload(Test::AsTheFileSays),
            Question::Exit { portal, exit } => self.choose_exit(&portal, exit.as_ref()),
        };
        log_errors(&done);
        self.reception.tell(asker, &done.map(|applied| Done::from(applied).into_fields()));
    }

    fn apply_file(&mut self, file: &Path, confirm: Option<Duration>) -> Result<Applied, Errors> {
        if same_file(file, &self.file) {
            return self.reload(confirm.map_or(Test::Passed, Test::For));
        }
        let (own, other) = (self.file.display(), file.display());
        Err(Error::wrong(format!(
            "the agent that runs here uses {own}, not {other}: end it, then `portals apply` again or `portals run --config {other}`"
        ))
        .into())
    }

    fn choose_exit(&mut self, portal: &str, exit: Option<&Name>) -> Result<Applied, Errors> {
        self.exits.choose_by_hand(portal, exit.map(String::as_str))?;
        match exit {
            Some(exit) => log::info!("portal {portal}: {exit} was chosen by hand"),
            None => log::info!("portal {portal}: chosen by the agent again"),
        }
        self.move_portals()
    }

    fn knowledge(&self) -> Knowledge {
        let now = Instant::now();
        let left = self.confirmation.deadline().map(|until| until.saturating_duration_since(now).as_secs());
        let (portals, exits) = self.exits.tell(now);
        let failures = self.clock.complaint().into_iter().chain(self.widths.complaints());
        let failures = failures.chain(self.services.failures()).collect();
        Knowledge { unconfirmed: left, portals, exits, failures }
    }
}

/// Whether two paths lead to one file, also by way of links.
fn same_file(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
