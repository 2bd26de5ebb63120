//! Inputs from which the view of a site is derived, in addition to the network file.

use std::net::IpAddr;
use std::path::Path;

use crate::base::net::{PublicKey, Secret};
use crate::base::sorted::SortedMap;
use crate::config::model::Name;
use crate::site::access_point::Passphrases;
use crate::site::facts::Facts;
use crate::wgquick::Parsed;

/// Inputs from which the view of a site is derived, in addition to the network.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// Path of the network file, for messages.
    pub file: &'a Path,
    /// Private key of this site.
    pub private_key: &'a Secret,
    /// Public key of this site.
    pub public_key: PublicKey,
    /// Secret of the network.
    pub network_secret: Option<&'a Secret>,
    /// Pre-shared keys of those phones that have a key file of their own, by name of the phone.
    pub phone_keys: &'a SortedMap<Name, Secret>,
    /// Secrets of the site's Wi-Fi networks.
    pub passphrases: &'a Passphrases,
    /// Facts about the host.
    pub facts: &'a Facts,
    /// Files of providers, by name of the exit.
    pub providers: &'a SortedMap<Name, Parsed>,
    /// Addresses of the host names in the file; a missing name could not be resolved.
    pub resolved: &'a SortedMap<String, IpAddr>,
}

/// Knowledge about the other ends of links, in addition to the network file.
#[derive(Debug, Clone, Copy)]
pub struct PeerKnowledge<'a> {
    /// Secret of the network.
    pub network_secret: Option<&'a Secret>,
    /// Pre-shared keys of those phones that have a key file of their own, by name of the phone.
    pub phone_keys: &'a SortedMap<Name, Secret>,
    /// Addresses of the host names in the file; a missing name could not be resolved.
    pub resolved: &'a SortedMap<String, IpAddr>,
}

impl Inputs<'_> {
    pub(super) fn known(&self) -> PeerKnowledge<'_> {
        PeerKnowledge {
            network_secret: self.network_secret,
            phone_keys: self.phone_keys,
            resolved: self.resolved,
        }
    }
}
