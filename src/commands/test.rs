//! `portals test`: tests what a device behind a portal gets.

use std::path::Path;

use super::{ExitStatus, need_agent};
use crate::base::error::{Error, Errors};
use crate::base::json::JsonText;
use crate::base::text::append;
use crate::cli;
use crate::cli::output;
use crate::diagnose::finding::{self, Findings};
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
    let mut findings = Findings::about(file, options.json);
    test::run(&Subject { site, portal }, kernel, options.cut, &mut findings);
    if options.json {
        let mut json = JsonText::default();
        json.begin("", '{');
        json.text("portal", &portal.name);
        json.text("exit", &portal.exit);
        finding::json(&mut json, &findings.all);
        json.end('}');
        output::print(format_args!("{}\n", json.finish()));
    }
    Ok(if findings.faults() == 0 { ExitStatus::Done } else { ExitStatus::Failed })
}

fn unknown(site: &Site, portal: &str) -> Error {
    let mut known = String::new();
    for portal in &site.portals {
        append(&mut known, &portal.name);
    }
    let has = if known.is_empty() { "" } else { "; it has: " };
    Error::wrong(["this site has no portal `", portal, "`", has, &known].concat())
}
