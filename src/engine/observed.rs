//! Facts about a site that the network file leaves open, and that the machine shows.

use crate::base::error::Result;
use crate::config::model::Mtu;
use crate::kernel::Kernel;
use crate::plan::{take_up_exits, widths};
use crate::site::{Portal, Site};
use crate::state::Scope;

/// Sets the exits of a site's portals, the MTUs of its tunnels and its relayed links to those in use on this
/// machine.
pub fn choose_observed(site: &mut Site, kernel: &mut dyn Kernel) -> Result<()> {
    let relays = site.nat.helper.is_some();
    if relays || site.portals.iter().any(Portal::can_fail_over) || site.mtu == Mtu::Measured {
        let have = kernel.observe(&Scope::default())?;
        take_up_exits(site, &have);
        site.narrow(&widths(site, &have));
    }
    Ok(())
}
