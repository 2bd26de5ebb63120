//! Settings of the agent that watches a site.

use std::path::PathBuf;
use std::time::Duration;

use super::{ExitProbe, Inputs};
use crate::base::net::Cidr;
use crate::config::model::{self, FailoverDelays, Network};

/// Settings of the agent that watches a site.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// Times after which portals leave an exit, and return to it.
    pub failover: FailoverDelays,
    /// Probes of exits that are one of several; empty if the file asks for none.
    pub probes: Vec<ExitProbe>,
    /// Time without a handshake after which the name of a link's endpoint is resolved again.
    pub resolve_after: Duration,
    /// Path of the program to run when a portal moves to another exit, relative to the network file's folder.
    pub hook: Option<PathBuf>,
    /// Full path of the configuration for inadyn, which keeps this site's name up to date.
    pub dyndns: Option<PathBuf>,
    /// IPv4 sources of portals. The agent watches the devices there, to recognise their IPv6.
    pub sources_with_ipv6: Vec<Cidr>,
}

impl AgentSettings {
    /// Collects the settings from the entries of the network and of this site.
    pub(super) fn new(
        network: &Network,
        entry: &model::SiteConfig,
        inputs: &Inputs,
        probes: Vec<ExitProbe>,
    ) -> Self {
        Self {
            failover: network.failover,
            probes,
            resolve_after: network.resolve_after,
            hook: entry.hook.clone(),
            dyndns: entry.dyndns.as_ref().map(|path| inputs.file.with_file_name(path)),
            sources_with_ipv6: if inputs.facts.ipv6 { super::sources_with_ipv6(entry) } else { Vec::new() },
        }
    }
}
