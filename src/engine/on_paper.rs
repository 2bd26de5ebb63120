//! A site of a network file without its host and its key, such as on a laptop.

use std::path::Path;

use crate::base::error::{Error, Errors};
use crate::base::net::{IfName, Secret};
use crate::base::path::folder_of;
use crate::base::sorted::SortedMap;
use crate::config::model::{EntranceConfig, Name, Network, SiteConfig};
use crate::engine::wgquick_file;
use crate::firewall::xtables::IptablesProgram;
use crate::site::facts::{Facts, Uplink};
use crate::site::{self, Inputs, Site};
use crate::state::WireGuardBackend;
use crate::system::disk::FileOrigin;
use crate::wgquick::Parsed;

/// Interface to the internet of a host of which nothing is known.
const UPLINK: &str = "uplink";

/// Files of a site's providers that are next to the network file, by the name of the exit.
pub type ProviderFiles = SortedMap<Name, Parsed>;

/// Reads the files of a site's providers. Their modes do not matter: nothing uses their keys. The names of
/// exits whose file is not there are returned, too.
pub fn providers<'a>(file: &Path, entry: &'a SiteConfig) -> Result<(ProviderFiles, Vec<&'a Name>), Errors> {
    let (mut found, mut missing, mut errors) = (SortedMap::new(), Vec::new(), Vec::new());
    for (name, provider) in &entry.providers {
        let path = folder_of(file).join(&provider.config);
        if !path.exists() {
            missing.push(name);
            continue;
        }
        match wgquick_file::look_at(&path, FileOrigin::Named) {
            Ok((parsed, _)) => found.insert(name.clone(), parsed),
            Err(faults) => errors.extend(faults),
        }
    }
    Errors::check(errors, (found, missing))
}

/// Returns the site `own` on a host that has all that the network file names, and the newest kernel. No host
/// name is resolved, which the site's notes tell.
/// `providers` has all files of the site's providers.
///
/// # Errors
/// All reasons at once why no host can be that site.
pub fn site(file: &Path, network: &Network, own: &Name, providers: &ProviderFiles) -> Result<Site, Errors> {
    let entry = &network.sites[own];
    site::view(
        network,
        &Inputs {
            file,
            private_key: &Secret::new([0; 32]),
            public_key: entry.public_key,
            network_secret: None,
            phone_keys: &SortedMap::new(),
            passphrases: &SortedMap::new(),
            facts: &facts(entry),
            providers,
            resolved: &SortedMap::new(),
        },
    )
}

/// Returns the site `own` as [`site()`] does, with the files of its providers.
///
/// # Errors
/// If the file of a provider is missing, too.
pub fn whole_site(file: &Path, network: &Network, own: &Name) -> Result<Site, Errors> {
    let entry = &network.sites[own];
    let (providers, missing) = providers(file, entry)?;
    if let Some(name) = missing.first() {
        let path = folder_of(file).join(&entry.providers[*name].config);
        let message = format!("{} is missing: copy the provider's file to that place", path.display());
        return Err(Error::wrong(message).into());
    }
    site(file, network, own, &providers)
}

fn facts(entry: &SiteConfig) -> Facts {
    let mut facts = Facts::default();
    for portal in &entry.portals {
        if let EntranceConfig::Interface(name) | EntranceConfig::Vlan { parent: name, .. } = &portal.entrance
        {
            facts.interfaces.insert(name.clone(), 1500);
        }
    }
    facts.uplink = Some(Uplink { interface: uplink(entry), gateway: None, addresses: [].into() });
    facts.uplink6 = Some(uplink(entry));
    facts.wireguard = Some(WireGuardBackend::Kernel);
    (facts.ipv6, facts.rules_know_ports, facts.closes_ports) = (true, true, true);
    (facts.filters.nftables, facts.filters.legacy) = (true, Some(IptablesProgram::Plain));
    facts
}

fn uplink(entry: &SiteConfig) -> IfName {
    entry.uplink.clone().unwrap_or_else(|| UPLINK.parse().expect("a valid name"))
}
