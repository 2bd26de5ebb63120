//! What a site's machine shall look like. Pure: the same site gives the same state, whatever the clock or the environment.

mod firewall;
mod routing;
mod standing;
mod tunnels;

pub use standing::standing;

use crate::site::Site;
use crate::state::State;

/// The state that makes the site do what the network file says.
pub fn plan(site: &Site) -> State {
    let mut state = tunnels::plan(site);
    state.routes = routing::routes(site);
    state.rules = routing::rules(site);
    state.firewall = firewall::plan(site);
    state.sysctls = tunnels::sysctls(site);
    state
}
