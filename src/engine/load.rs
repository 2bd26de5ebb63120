//! Loading of a site's view from the files on disk and the facts about the host.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::error::{Error, Errors, Result};
use crate::base::net::{PublicKey, Secret};
use crate::base::path::folder_of;
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::{self, Name, Network};
use crate::engine::former_site;
use crate::engine::host::{self, Host, HostQuery};
use crate::engine::journal::Journal;
use crate::engine::network_file;
use crate::engine::own_key::{self, OwnKey};
use crate::engine::passphrases;
use crate::engine::wgquick_file;
use crate::interop::phone::preshared_keys;
use crate::kernel::link::Links;
use crate::signed::{FileStanding, standing};
use crate::site::access_point::{self, Passphrases};
use crate::site::facts::Facts;
use crate::site::{self, Inputs, Obstacle, Portal, Site};
use crate::system::disk::FileOrigin;
use crate::system::key_files;
use crate::system::resolver::resolve;
use crate::wgquick::Parsed;

/// Time limit for the lookup of all host names: a command must not hang while the network is not up yet.
const RESOLVING: Duration = Duration::from_secs(3);

/// Network file, and the secrets next to it.
#[derive(Debug)]
pub struct Files {
    /// Path of the network file.
    pub file: PathBuf,
    /// Text of the network file.
    pub text: String,
    /// Content of the network file.
    pub network: Box<Network>,
    /// Folder of the network file.
    pub folder: PathBuf,
    /// Private key of this site.
    pub private_key: Secret,
    /// Public key of this site.
    pub public_key: PublicKey,
    /// Set if the private key is a new one, which waits beside the old one to come into force for good.
    pub has_next_key: bool,
    /// Secret of the network, if there is one.
    pub network_secret: Option<Secret>,
    /// Pre-shared keys of this site's phones that have key files.
    pub phone_keys: SortedMap<Name, Secret>,
    /// Passphrases of this site's Wi-Fi networks.
    pub passphrases: Passphrases,
    /// Files of this site's providers, by the name of the exit.
    pub providers: SortedMap<Name, Parsed>,
}

impl Files {
    /// Reads and validates the network file and the secrets.
    pub fn read(file: &Path) -> Result<Self, Errors> {
        Self::read_copy(file, file)
    }

    /// Reads `copy` in place of the network file, and the secrets next to the network file.
    pub fn read_copy(file: &Path, copy: &Path) -> Result<Self, Errors> {
        let (text, network) = network_file::load(copy)?;
        Self::with_text(file, text, network)
    }

    /// Reads the secrets next to the network file, for a network with this text.
    pub fn with_text(file: &Path, text: String, network: Box<Network>) -> Result<Self, Errors> {
        let folder = folder_of(file);
        let OwnKey { private: private_key, public: public_key, is_next: has_next_key } =
            own_key::load(&folder, &network)?;
        let network_secret = key_files::load_if_there(&folder.join(key_files::NETWORK_SECRET_FILE))?;
        // A key of no site is reported by the functions that need the site.
        let own = site::own_name(&network, public_key).ok();
        let passphrases =
            own.map(|own| passphrases::of_site(&network.sites[own].portals, &folder)).unwrap_or_default();
        let phone_keys =
            own.map_or_else(|| Ok(SortedMap::new()), |own| preshared_keys(&network, own, &folder))?;
        let providers = providers(&network, public_key, &folder)?;
        Ok(Self {
            file: file.to_owned(),
            text,
            network,
            folder,
            private_key,
            public_key,
            has_next_key,
            network_secret,
            phone_keys,
            passphrases,
            providers,
        })
    }

    /// Returns a sentence if this machine was another site of the same network until now.
    pub fn former_site(&self) -> Option<String> {
        former_site::complaint(&self.file, &self.network, self.public_key)
    }

    /// Keeps the site of this machine for the next look, unless it was another one until now.
    pub fn keep_site(&self) -> Result<()> {
        former_site::remember(&self.file, &self.network, self.public_key)
    }

    /// Checks that the text on disk is in force, and signed.
    pub fn is_finished(&self, on_disk: &str) -> Result<()> {
        let signature = standing(&self.text, &self.network.admins);
        if on_disk == self.text && matches!(signature, FileStanding::Signed(_)) {
            return Ok(());
        }
        Err(Error::failed(format!(
            "{} has changes that are not in force or not signed: finish them with `portals push`",
            self.file.display()
        )))
    }

    /// Returns the host names that this site has to look up.
    pub fn names(&self) -> Result<SortedSet<&str>, Errors> {
        let own = site::own_name(&self.network, self.public_key)?;
        Ok(site::names_to_resolve(&self.network, own, &self.providers))
    }

    /// Looks the host names up. Returns the addresses that are found within a few seconds.
    pub fn resolved(&self) -> Result<SortedMap<String, IpAddr>, Errors> {
        Ok(resolve(&self.names()?, RESOLVING))
    }

    /// Looks one host name up.
    pub fn resolved_name(&self, name: &str) -> Option<IpAddr> {
        let mut names = SortedSet::new();
        names.insert(name);
        resolve(&names, RESOLVING).get(name).copied()
    }

    /// Returns the site's view on this host. `links` is a snapshot of the host's interfaces, and `resolved`
    /// has the addresses of host names.
    pub fn site(
        &self,
        kernel: &mut dyn Host,
        journal: &Journal,
        links: &Links,
        resolved: &SortedMap<String, IpAddr>,
    ) -> Result<Site, Errors> {
        let own = site::own_name(&self.network, self.public_key)?;
        let entry = &self.network.sites[own];
        let sources = site::sources_with_ipv6(entry);
        // IPv6 traffic of a device that is selected by its IPv4 address needs a match that marks need as
        // well.
        let translates = entry.lan.iter().any(|lan| lan.seen_as.is_some());
        let marks = entry.portals.iter().any(model::PortalConfig::goes_by_marks)
            || !sources.is_empty()
            || self.network.probe.is_some()
            || entry.portals.iter().any(model::PortalConfig::has_open_time) && !host::rules_know_ports();
        let mut facts = kernel.facts(&HostQuery {
            links,
            folder: journal.folder(),
            uplink: entry.uplink.as_ref(),
            marks,
            ipv6: self.network.subnet6.is_some(),
            translates,
            fastpath: entry.fastpath,
            cards: &access_point::cards(&entry.portals),
            neighbours: &sources,
        })?;
        let given = journal.claims()?.addresses;
        for (name, address) in given {
            facts.given.insert((name, address.network()));
        }
        let site = self.view(&facts, resolved)?;
        let has_port = |portal: &Portal| matches!(portal.obstacle, Some(Obstacle::Port { .. }));
        // The kernel is asked only if there is a port to close: the answer may load modules.
        if !site.portals.iter().any(has_port) || !kernel.can_close_ports() {
            return Ok(site);
        }
        facts.closes_ports = true;
        self.view(&facts, resolved)
    }

    /// Returns the site's view on a host with these facts.
    pub fn view(&self, facts: &Facts, resolved: &SortedMap<String, IpAddr>) -> Result<Site, Errors> {
        let inputs = Inputs {
            file: &self.file,
            private_key: &self.private_key,
            public_key: self.public_key,
            network_secret: self.network_secret.as_ref(),
            phone_keys: &self.phone_keys,
            passphrases: &self.passphrases,
            facts,
            providers: &self.providers,
            resolved,
        };
        let complaint = self.former_site();
        match (site::view(&self.network, &inputs), complaint) {
            // The addresses of the former site may be in the way.
            (Err(errors), Some(complaint)) => Err(errors.under(Error::wrong(complaint))),
            (viewed, complaint) => {
                let mut site = viewed?;
                site.notes.extend(complaint);
                Ok(site)
            }
        }
    }
}

/// Reads the providers' files of the site with this key, and reports all their faults at once.
fn providers(
    network: &Network,
    public_key: PublicKey,
    folder: &Path,
) -> Result<SortedMap<Name, Parsed>, Errors> {
    let own = network.sites.values().find(|site| site.public_key == public_key);
    let (mut read, mut errors) = (SortedMap::new(), Vec::new());
    for (name, provider) in own.into_iter().flat_map(|site| &site.providers) {
        match wgquick_file::load(&folder.join(&provider.config), FileOrigin::Ours) {
            Ok(parsed) => read.insert(name.clone(), parsed),
            Err(faults) => errors.extend(faults),
        }
    }
    Errors::check(errors, read)
}
