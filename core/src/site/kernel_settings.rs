//! Kernel settings of a site's interfaces.

use super::{Entrance, Portal};
use crate::base::net::IfName;
use crate::base::sorted::SortedSet;
use crate::config::model::{self, RpFilter};
use crate::site::facts::Facts;

/// Kernel settings of a site's interfaces.
#[derive(Debug, Clone)]
pub struct KernelSettings {
    /// Set if tunnels loosen reverse-path filtering.
    pub loose_rp_filter: bool,
    /// Interfaces that have only devices of portals on them: this host ignores IPv6 router advertisements
    /// there.
    pub ignores_advertisements: SortedSet<IfName>,
    /// Interfaces on which this host listens to router advertisements, and does so when it forwards IPv6,
    /// too.
    pub hears_advertisements: SortedSet<IfName>,
}

impl KernelSettings {
    /// Derives the settings for a site with these portals.
    pub(super) fn new(entry: &model::SiteConfig, portals: &[Portal], facts: &Facts) -> Self {
        Self {
            loose_rp_filter: entry.rp_filter == RpFilter::Loose,
            ignores_advertisements: entrances(portals, facts),
            hears_advertisements: facts.hears_advertisements.clone(),
        }
    }
}

/// Returns the entrances that have the setting `accept_ra`; a VLAN's interface has it if its parent has.
fn entrances(portals: &[Portal], facts: &Facts) -> SortedSet<IfName> {
    let has_setting = |portal: &Portal| match &portal.entrance {
        Entrance::Vlan(vlan) => facts.can_be_deaf.contains(&vlan.parent),
        _ => portal.entrance_interface().is_some_and(|interface| facts.can_be_deaf.contains(interface)),
    };
    let entrances = portals.iter().filter(|portal| portal.has_wire() && has_setting(portal));
    entrances.filter_map(Portal::entrance_interface).cloned().collect()
}
