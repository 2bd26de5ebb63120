//! Other people's firewalls on the routers: portals find their way through, and leave them as they were.

use wg_portals::demo::World;
use wg_portals::error::Result;

use crate::words::{plots, shell};

/// A rule that changes nothing, but says that this host filters with legacy iptables.
const LEGACY: &str = "iptables-legacy -A INPUT -i lo -j ACCEPT; ip6tables-legacy -A INPUT -i lo -j ACCEPT";

/// Makes the routers filter with legacy iptables, if `PORTALS_TEST_FIREWALL` is `legacy`.
pub(crate) fn prepare(world: &mut World) -> Result<()> {
    if std::env::var_os("PORTALS_TEST_FIREWALL").is_some_and(|firewall| firewall == "legacy") {
        for plot in plots(world) {
            shell(&world.site(plot).router, LEGACY)?;
        }
    }
    Ok(())
}
