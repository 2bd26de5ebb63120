//! Where a portal's traffic leaves.

use std::fmt;
use std::net::IpAddr;

use super::Tunnel;
use crate::base::net::{IfName, Table};
use crate::base::sorted::SortedMap;
use crate::config::model::{Name, RESOLVERS};

/// Where a portal's traffic leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// At another site, or at a provider.
    Tunnel {
        /// Its name.
        name: Name,
        /// The tunnel to it.
        interface: IfName,
        /// The table that leads into the tunnel.
        table: Table,
    },
    /// By this site's own uplink.
    Direct,
    /// Not at all: no exit of the list is up.
    Nowhere,
}

impl Exit {
    /// The table that leads there, where it is not the host's own that do.
    pub fn table(&self) -> Option<Table> {
        match self {
            Self::Tunnel { table, .. } => Some(*table),
            Self::Direct | Self::Nowhere => None,
        }
    }

    /// The tunnel to it, if there is one.
    pub fn interface(&self) -> Option<&IfName> {
        match self {
            Self::Tunnel { interface, .. } => Some(interface),
            Self::Direct | Self::Nowhere => None,
        }
    }
}

/// Whom a portal's resolver asks there, where the file does not say: the provider's, which answer nobody who comes from elsewhere.
pub(super) fn resolvers_at(exit: &Exit, tunnels: &SortedMap<IfName, Tunnel>) -> Vec<IpAddr> {
    let tunnel = exit.interface().and_then(|interface| tunnels.get(interface));
    let of_provider = tunnel.and_then(|tunnel| tunnel.provider.as_ref()).map(|provider| &provider.dns);
    of_provider.filter(|dns| !dns.is_empty()).cloned().unwrap_or_else(|| RESOLVERS.into())
}

impl fmt::Display for Exit {
    /// The word that the network file has for it; `nowhere` is in no file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tunnel { name, .. } => name,
            Self::Direct => "direct",
            Self::Nowhere => "nowhere",
        })
    }
}
