//! `portals completions`: completions of commands and options for shells.

use super::ExitStatus;
use crate::base::error::{Error, Errors};
use crate::cli::{CompletionsCommand, completions, output};

pub(super) fn run(options: &CompletionsCommand) -> Result<ExitStatus, Errors> {
    if options.shell == "words" {
        output::print(format_args!("{}", completions::words(&options.words)));
        return Ok(ExitStatus::Done);
    }
    let Some(script) = completions::script(&options.shell) else {
        return Err(Error::wrong(format_args!(
            "no completions for `{}`: name a shell: bash, zsh or fish",
            options.shell
        ))
        .into());
    };
    output::print(format_args!("{script}"));
    Ok(ExitStatus::Done)
}
