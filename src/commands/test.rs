//! `portals test`: tests what a device behind a portal gets.

use std::path::Path;

use super::{ExitStatus, need_agent};
use crate::base::error::{Error, Errors};
use crate::base::json::JsonText;
use crate::base::text::append;
use crate::cli;
use crate::cli::output;
use crate::cli::style::Style;
use crate::diagnose::finding::{self, Verdict};
use crate::diagnose::test::{self, Subject};
use crate::engine::here::Here;
use crate::site::Site;

/// Tests the portal, and prints a line for each test.
pub(super) fn run(file: &Path, options: &cli::TestCommand) -> Result<ExitStatus, Errors> {
    if options.cut {
        // It puts the link back.
        need_agent()?;
    }
    let mut here = Here::open(file)?;
    here.choose_observed()?;
    let Here { kernel, site, .. } = &mut *here;
    let Some(portal) = site.portals.iter().find(|portal| portal.name == options.portal) else {
        return Err(unknown(site, &options.portal).into());
    };
    let findings = test::run(&Subject { site, portal }, kernel, options.cut).all;
    if options.json {
        let mut json = JsonText::default();
        json.begin("", '{');
        json.text("portal", &portal.name);
        json.text("exit", &portal.exit);
        finding::json(&mut json, &findings);
        json.end('}');
        output::print(format_args!("{}\n", json.finish()));
    } else {
        output::print(format_args!("{}", finding::for_people(&findings, Style::for_stdout())));
    }
    let is_wrong = findings.iter().any(|finding| finding.verdict == Verdict::Wrong);
    Ok(if is_wrong { ExitStatus::Failed } else { ExitStatus::Done })
}

fn unknown(site: &Site, portal: &str) -> Error {
    let mut known = String::new();
    for portal in &site.portals {
        append(&mut known, &portal.name);
    }
    let has = if known.is_empty() { "" } else { "; it has: " };
    Error::wrong(["this site has no portal `", portal, "`", has, &known].concat())
}
