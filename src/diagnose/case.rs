//! Subject of the checks: the network file, and the live state of this machine.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::unistd::geteuid;

use super::finding::{Finding, Findings};
use crate::base::error::{Errors, Result};
use crate::base::path::folder_of;
use crate::config::model::{Network, SiteConfig};
use crate::control::{AgentStatus, ask_status};
use crate::engine::apply::prepare;
use crate::engine::here::Here;
use crate::engine::network_file;
use crate::engine::status::{Report, report};
use crate::plan::plan;
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
    pub(super) network: Option<(String, Box<Network>)>,
    /// Firmware of this machine, if it is a known one.
    pub(super) firmware: Option<Firmware>,
}

/// Live state of this machine.
pub(super) struct Live {
    pub(super) here: Box<Here>,
    pub(super) report: Report,
    /// Steps from the live state to the one that the file describes.
    pub(super) steps: Vec<Step>,
    pub(super) firmware: Option<Firmware>,
}

impl Case {
    /// Reads the network file, and adds a finding about it.
    pub(super) fn open(file: &Path, file_only: bool, findings: &mut Findings) -> Self {
        let network = match network_file::load(file) {
            Ok((text, network)) => {
                let sites = count(network.sites.len(), "site");
                let shown = file.display();
                findings.ok("file", "The network file {0} is valid: {1}.", &[&shown, &sites]);
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
    pub(super) fn look(case: &Case, findings: &mut Findings) -> Option<Self> {
        const CHECK: &str = "live state";
        if !geteuid().is_root() {
            findings.not_checked(
                CHECK,
                "Tunnels, routes, firewall and links need root: run `sudo portals doctor{config}`.",
                &[],
            );
            return None;
        }
        if case.network.is_none() || findings.all.iter().any(Finding::is_about_key) {
            findings.not_checked(
                CHECK,
                "Tunnels, routes, firewall and links are checked once the file and the key are right.",
                &[],
            );
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
        let mut here = Here::open(&case.file)?;
        here.choose_observed()?;
        let agent = here.journal.has_agent()?;
        let mut report = report(&here.site, agent, &mut here.kernel, SystemTime::now())?;
        report.agent_status = if agent { ask_status() } else { None };
        let mut live = Self { here, report, steps: Vec::new(), firmware: case.firmware };
        live.compare()?;
        Ok(live)
    }

    /// Compares the live state with the one that the file describes.
    pub(super) fn compare(&mut self) -> Result<()> {
        let Here { kernel, journal, site, .. } = &mut *self.here;
        self.steps = prepare(kernel, journal, &plan(site), None)?.steps;
        Ok(())
    }

    /// Returns this site's entry in the file.
    pub(super) fn entry(&self) -> &SiteConfig {
        &self.here.files.network.sites[&self.here.site.name]
    }

    /// Returns the state that only the agent knows, if it runs and answers.
    pub(super) fn agent(&self) -> Option<&AgentStatus> {
        self.report.agent_status.as_ref()
    }
}

/// Adds a fault for each error, which names the way out itself.
pub(super) fn faults(check: &'static str, errors: &Errors, findings: &mut Findings) {
    for error in errors {
        findings.fault(check, &error.to_string());
    }
}
