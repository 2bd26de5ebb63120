//! Phones: their entries in the network file, and the files for their WireGuard apps.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;

use crate::base::error::{Error, Errors, Result};
use crate::base::json::Json;
use crate::base::keys;
use crate::base::net::{Family, InterfaceAddress, PublicKey, Secret};
use crate::base::sorted::SortedMap;
use crate::config::model::{MOST_PHONES, Name, Network, PhoneConfig};
use crate::config::{self, edit, phone_address, phone_address6};
use crate::site::KEEPALIVE;
use crate::system::key_files;
use crate::wgquick::{DialledHost, InterfaceSection, PeerSection, WgQuickFile};

/// Entry of a new phone in the network file.
#[derive(Debug)]
pub struct PhoneEntry<'a> {
    /// Name of the phone.
    pub name: &'a str,
    /// Number of the phone, 1 to 62.
    pub id: u8,
    /// Name of the site that the phone dials.
    pub at: &'a str,
    /// Name of the phone's exit, unless the phone leaves at the site that it dials.
    pub exit: Option<&'a str>,
    /// Resolvers for the entry; none leaves the choice to the default.
    pub dns: &'a [IpAddr],
    /// Public key of the phone.
    pub public_key: PublicKey,
}

/// Returns the lowest number that no phone has, if a number is free.
pub fn free_id(network: &Network) -> Option<u8> {
    (1..=MOST_PHONES).find(|id| network.phones.values().all(|phone| phone.id != *id))
}

/// Returns the text of the network file with another entry at its end, and without a signature; and the
/// network that this text describes. `text` is the present text of the file at `path`.
pub fn add(path: &Path, text: &str, entry: &PhoneEntry) -> Result<(String, Box<Network>), Errors> {
    // Any other text could be more than a name in the header of the section.
    config::check_name("phone", entry.name)?;
    let longer = edit::append(text, &entry.text());
    let heading =
        || Error::wrong("with this phone, the network file would be wrong, so the file was not changed:");
    let new = config::check(path, &longer).map_err(|faults| faults.under(heading()))?;
    Ok((longer, new))
}

/// Returns the pre-shared keys of the phones that dial the site `at` and whose entry names a file for the
/// key, in the folder of the network file.
pub fn preshared_keys(network: &Network, at: &str, folder: &Path) -> Result<SortedMap<Name, Secret>, Errors> {
    let (mut read, mut errors) = (SortedMap::new(), Vec::new());
    for (name, phone) in network.phones.iter().filter(|(_, phone)| phone.at == at) {
        match own_preshared_key(name, phone, folder) {
            Ok(Some(key)) => read.insert(name.clone(), key),
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
    Errors::check(errors, read)
}

fn own_preshared_key(name: &str, phone: &PhoneConfig, folder: &Path) -> Result<Option<Secret>> {
    let Some(file) = phone.preshared_key_file.as_ref().map(|file| folder.join(file)) else { return Ok(None) };
    let key = key_files::load_if_there(&file)?.ok_or_else(|| {
        Error::wrong(format!(
            "{}: this file does not exist; put the pre-shared key of phone `{name}` there, with mode 600",
            file.display()
        ))
    })?;
    Ok(Some(key))
}

/// Returns the pre-shared key between a phone and its site, if the files in `folder` hold or imply one.
pub fn preshared_key(network: &Network, name: &Name, folder: &Path) -> Result<Option<Secret>> {
    let phone = &network.phones[name];
    if let Some(key) = own_preshared_key(name, phone, folder)? {
        return Ok(Some(key));
    }
    let secret = key_files::load_if_there(&folder.join(key_files::NETWORK_SECRET_FILE))?;
    let site = network.sites[&phone.at].public_key;
    Ok(secret.map(|secret| keys::preshared_key(&secret, site, phone.public_key)))
}

/// Returns the addresses of a phone, one of each family that the network has.
pub fn addresses(network: &Network, phone: &PhoneConfig) -> Vec<IpAddr> {
    let mut addresses = vec![phone_address(network, phone)];
    addresses.extend(phone_address6(network, phone));
    addresses
}

/// Returns the file for a phone's WireGuard app, with its `resolvers`. The phone sends all its traffic to its
/// site. That includes IPv6 even if the network has none: IPv6 ends at the site then, and so cannot bypass
/// the tunnel.
pub fn settings(
    network: &Network,
    name: &Name,
    private_key: Secret,
    preshared_key: Option<Secret>,
    resolvers: Vec<IpAddr>,
) -> Result<WgQuickFile> {
    let phone = &network.phones[name];
    let site = &network.sites[&phone.at];
    let host = site.endpoint.clone().ok_or_else(|| {
        Error::wrong(format!(
            "site `{0}` has no `endpoint`, so no phone can dial it: add an endpoint to [site.{0}], or \
             make the phone dial another site",
            phone.at
        ))
    })?;
    let peer = PeerSection {
        public_key: site.public_key,
        preshared_key,
        endpoint: Some(DialledHost { host, port: site.port }),
        allowed_ips: vec![Family::V4.everything(), Family::V6.everything()],
        keepalive: Some(KEEPALIVE),
    };
    let interface = InterfaceSection {
        private_key: Some(private_key),
        addresses: addresses(network, phone).into_iter().map(InterfaceAddress::host).collect(),
        dns: resolvers,
        mtu: Some(network.mtu.most()),
        ..InterfaceSection::default()
    };
    Ok(WgQuickFile { interface, peers: vec![peer] })
}

impl PhoneEntry<'_> {
    /// Returns the section of the network file.
    fn text(&self) -> String {
        let mut text = format!(
            "[phone.{}]\nid         = {}\nat         = {}\n",
            self.name,
            self.id,
            Json::text(self.at)
        );
        if let Some(exit) = self.exit {
            let _ = writeln!(text, "exit       = {}", Json::text(exit));
        }
        if !self.dns.is_empty() {
            let dns = self.dns.iter().map(|resolver| Json::text(&resolver.to_string()));
            let _ = writeln!(text, "dns        = {}", Json::List(dns.collect()));
        }
        let _ = writeln!(text, "public_key = \"{}\"", self.public_key);
        text
    }
}
