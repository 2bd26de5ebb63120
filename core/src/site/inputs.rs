//! What a site's view is made from, besides the network file.

use std::net::IpAddr;
use std::path::Path;

use crate::base::net::{PublicKey, Secret};
use crate::base::sorted::SortedMap;
use crate::config::model::Name;
use crate::site::facts::Facts;
use crate::wgquick::Parsed;
use crate::wifi::access_point::Passphrases;

/// What a site view is made from, besides the network.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// Path of the network file, for messages.
    pub file: &'a Path,
    /// This site's key.
    pub private_key: &'a Secret,
    /// The public half of it.
    pub public_key: PublicKey,
    /// The network's secret.
    pub network_secret: Option<&'a Secret>,
    /// The pre-shared keys of those phones that have a file of their own.
    pub phone_keys: &'a SortedMap<Name, Secret>,
    /// The secrets of the site's Wi-Fis.
    pub passphrases: &'a Passphrases,
    /// What the host is like.
    pub facts: &'a Facts,
    /// The files of providers, by name of the exit.
    pub providers: &'a SortedMap<Name, Parsed>,
    /// Addresses of the host names in the file; a name that is missing could not be resolved.
    pub resolved: &'a SortedMap<String, IpAddr>,
}

/// What is known of the other ends besides what the file says.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The network's secret.
    pub network_secret: Option<&'a Secret>,
    /// The pre-shared keys of those phones that have a file of their own.
    pub phone_keys: &'a SortedMap<Name, Secret>,
    /// Addresses of the host names in the file.
    pub resolved: &'a SortedMap<String, IpAddr>,
}

impl Inputs<'_> {
    pub(super) fn known(&self) -> Known<'_> {
        Known { network_secret: self.network_secret, phone_keys: self.phone_keys, resolved: self.resolved }
    }
}
