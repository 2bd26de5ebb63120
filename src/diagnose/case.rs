//! Subject of the checks: the network file, and the live state of this machine.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::unistd::geteuid;

use super::finding::Finding;
use crate::base::error::{Errors, Result};
use crate::base::path::folder_of;
use crate::config::model::{Network, SiteConfig};
use crate::control::{AgentStatus, ask_status};
use crate::engine::apply::prepare;
use crate::engine::journal::Journal;
use crate::engine::load::Files;
use crate::engine::network_file;
use crate::engine::observed::choose_observed;
use crate::engine::status::{Report, report};
use crate::kernel::Kernel as _;
use crate::kernel::link::Links;
use crate::kernel::linux::Linux;
use crate::plan::plan;
use crate::site::Site;
use crate::site::facts::Firmware;
use crate::state::step::Step;
use crate::state::words::count;
use crate::system::platform;

/// Network file, and what this machine is.
pub(super) struct Case {
    /// Path of the network file.
    pub(super) file: PathBuf,
    /// Folder of the network file and the keys.
    pub(super) folder: PathBuf,
    /// Set if only the file is looked at.
    pub(super) file_only: bool,
    /// Text and content of the file; `None` if it has faults.
    pub(super) network: Option<(String, Network)>,
    /// Firmware of this machine, if it is a known one.
    pub(super) firmware: Option<Firmware>,
}

/// Live state of this machine.
pub(super) struct Live {
    pub(super) kernel: Linux,
    pub(super) journal: Journal,
    pub(super) links: Links,
    pub(super) files: Files,
    pub(super) site: Site,
    pub(super) report: Report,
    /// Steps from the live state to the one that the file describes.
    pub(super) steps: Vec<Step>,
    pub(super) firmware: Option<Firmware>,
}

impl Case {
    /// Reads the network file, and adds a finding about it.
    pub(super) fn open(file: &Path, file_only: bool, findings: &mut Vec<Finding>) -> Self {
        let network = match network_file::load(file) {
            Ok((text, network)) => {
                let sites = count(network.sites.len(), "site");
                let words = ["The network file ", &file.display().to_string(), " is valid: ", &sites, "."];
                findings.push(Finding::ok("file", words.concat()));
                Some((text, network))
            }
            Err(errors) => {
                faults("file", &errors, findings);
                None
            }
        };
        let folder = folder_of(file);
        Self { file: file.to_owned(), folder, file_only, network, firmware: platform::firmware() }
    }
}

impl Live {
    /// Looks at this machine; adds findings and returns `None` if that is not possible.
    pub(super) fn look(case: &Case, findings: &mut Vec<Finding>) -> Option<Self> {
        const CHECK: &str = "live state";
        if !geteuid().is_root() {
            findings.push(Finding::not_checked(
                CHECK,
                "Tunnels, routes, firewall and links need root: run `sudo portals doctor`.",
            ));
            return None;
        }
        if case.network.is_none() || findings.iter().any(Finding::is_about_key) {
            findings.push(Finding::not_checked(
                CHECK,
                "Tunnels, routes, firewall and links are checked once the file and the key are right.",
            ));
            return None;
        }
        match Self::read(case) {
            Ok(live) => Some(live),
            Err(errors) => {
                faults("site", &errors, findings);
                None
            }
        }
    }

    fn read(case: &Case) -> Result<Self, Errors> {
        let files = Files::read(&case.file)?;
        let resolved = files.resolved()?;
        let mut kernel = Linux::open()?;
        let links = kernel.links()?;
        let journal = Journal::open()?;
        let mut site = files.site(&mut kernel, &journal, &links, &resolved)?;
        choose_observed(&mut site, &mut kernel)?;
        let agent = journal.has_agent()?;
        let mut report = report(&site, agent, &mut kernel, SystemTime::now())?;
        report.agent_status = if agent { ask_status() } else { None };
        let firmware = case.firmware;
        let mut live = Self { kernel, journal, links, files, site, report, steps: Vec::new(), firmware };
        live.compare()?;
        Ok(live)
    }

    /// Compares the live state with the one that the file describes.
    pub(super) fn compare(&mut self) -> Result<()> {
        self.steps = prepare(&mut self.kernel, &self.journal, &plan(&self.site), None)?.steps;
        Ok(())
    }

    /// Returns this site's entry in the file.
    pub(super) fn entry(&self) -> &SiteConfig {
        &self.files.network.sites[&self.site.name]
    }

    /// Returns the state that only the agent knows, if it runs and answers.
    pub(super) fn agent(&self) -> Option<&AgentStatus> {
        self.report.agent_status.as_ref()
    }
}

/// Adds a fault for each error, which names the way out itself.
pub(super) fn faults(check: &'static str, errors: &Errors, findings: &mut Vec<Finding>) {
    for error in errors {
        findings.push(Finding::wrong(check, error.to_string(), "", ""));
    }
}
