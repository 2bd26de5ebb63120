//! Exit of a portal.

use std::fmt;

use crate::base::net::{IfName, Table};
use crate::config::model::Name;

/// Exit of a portal: the place where its traffic leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// Tunnel to another site, or to a provider.
    Tunnel {
        /// Name of the site or the provider.
        name: Name,
        /// Interface of the tunnel.
        interface: IfName,
        /// Routing table that leads into the tunnel.
        table: Table,
    },
    /// Uplink of this site.
    Direct,
    /// Absence of an exit: none of the portal's list is up.
    Nowhere,
}

impl Exit {
    /// Returns the routing table that leads to the exit; `None` where the host's own tables do.
    pub fn table(&self) -> Option<Table> {
        match self {
            Self::Tunnel { table, .. } => Some(*table),
            Self::Direct | Self::Nowhere => None,
        }
    }

    /// Reports whether both are the same exit of the file. The table of a chain can change with the file.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tunnel { name, .. }, Self::Tunnel { name: other, .. }) => name == other,
            (one, other) => one == other,
        }
    }

    /// Returns the interface of the tunnel to the exit, if there is one.
    pub fn interface(&self) -> Option<&IfName> {
        match self {
            Self::Tunnel { interface, .. } => Some(interface),
            Self::Direct | Self::Nowhere => None,
        }
    }
}

impl fmt::Display for Exit {
    /// Writes the word of the network file for the exit; `nowhere` is in no file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tunnel { name, .. } => name,
            Self::Direct => "direct",
            Self::Nowhere => "nowhere",
        })
    }
}
