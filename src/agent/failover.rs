//! Failover: the move of a portal to another exit of its list.

use std::fmt;

use crate::config::model::Name;
use crate::engine::status::PortalState;
use crate::site::Exit;

/// Move of a portal to another exit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PortalMove {
    /// Name of the portal.
    pub(super) portal: Name,
    /// Exit before the move.
    pub(super) from: Exit,
    /// Exit after the move.
    pub(super) to: Exit,
    /// State of the portal after the move, as in `portals status`.
    pub(super) state: PortalState,
    /// Reason in words.
    pub(super) why: String,
}

impl fmt::Display for PortalMove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { portal, to, why, .. } = self;
        write!(f, "portal {portal}: {why}; ")?;
        match to {
            Exit::Tunnel { .. } => write!(f, "now through {to}"),
            Exit::Direct => f.write_str("now via this site's own uplink"),
            Exit::Nowhere => f.write_str("no other exit is left: blocked"),
        }
    }
}
