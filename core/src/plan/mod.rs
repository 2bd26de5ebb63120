//! Desired state of a site's machine. Pure: the same site gives the same state, independent of the clock and
//! the environment.

mod chains;
mod classifier;
mod connection_marks;
mod devices;
mod dns;
mod exempt;
mod fastpath;
mod firewall;
mod home_names;
mod inbound;
mod ingress;
mod lockout;
mod marks;
mod mss;
mod nat;
mod ntp;
mod observed;
mod pages;
mod phones;
mod pinholes;
mod priorities;
mod relayed_links;
mod relays;
mod router_access;
mod routing;
mod sets;
mod strays;
mod translation;
mod tunnels;

use crate::base::net::{Family, IfName};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::xtables::{IptablesProgram, compile};
use crate::firewall::{
    Condition, FirewallBackend, FirewallRule, ForeignChain, PinholeChain, Pinholes, RestrictiveRules,
    TableFamily,
};
use crate::site::{Obstacle, Site, families};
use crate::state::State;
pub use dns::kept_out_by;
pub use firewall::bridged;
pub use lockout::lockout_warnings;
pub use observed::{LEAST, take_up_exits, widths};
pub use relayed_links::relayed_links;

/// Returns the state of the machine that the network file asks for.
pub fn plan(site: &Site) -> State {
    let mut state = tunnels::plan(site);
    state.routes = routing::routes(site);
    state.rules = routing::rules(site);
    state.closed_ports = closed_ports(site);
    state.sysctls = tunnels::sysctls(site);
    guard(site, &mut state);
    state
}

/// Returns the bridge and bond ports whose ingress is closed, because they are the interfaces of portals;
/// `None` if there are none.
fn closed_ports(site: &Site) -> Option<SortedSet<IfName>> {
    let obstacles = site.portals.iter().filter_map(|portal| portal.obstacle.as_ref());
    let ports: SortedSet<IfName> = obstacles.filter_map(Obstacle::closed_port).cloned().collect();
    (!ports.is_empty()).then_some(ports)
}

/// Adds our own rules, in the firewall of this host, and pinholes in the rules of other programs.
fn guard(site: &Site, state: &mut State) {
    let firewall = firewall::plan(site);
    // Hosts whose own firewall refuses nothing need no pinholes.
    let pinholes = if site.guard.barriers.is_empty() { SortedMap::new() } else { pinholes::plan(site) };
    let families: Vec<Family> = families(site).collect();
    let mut by_program = SortedMap::<IptablesProgram, SortedMap<Family, Pinholes>>::new();
    if let FirewallBackend::Iptables(program) = site.guard.firewall {
        by_program.insert(program, SortedMap::new());
    }
    for (barrier, chain) in &site.guard.barriers {
        let Some(rules) = pinholes.get(chain) else { continue };
        match barrier {
            RestrictiveRules::Nftables(foreign) => {
                let rules = rules_for(foreign, rules);
                state.pinholes.insert(foreign.clone(), PinholeChain { rules, at_top: true });
            }
            RestrictiveRules::Iptables(program, family) => {
                let of_program = by_program.get_or_default(*program);
                of_program.get_or_default(*family).insert(*chain, rules.clone());
            }
        }
    }
    for (program, pinholes) in by_program {
        let guards = site.guard.firewall == FirewallBackend::Iptables(program);
        let ruleset = compile(firewall.as_ref().filter(|_| guards), &pinholes, &families);
        if !ruleset.is_empty() {
            state.iptables.insert(program, ruleset);
        }
    }
    state.firewall = firewall.filter(|_| site.guard.firewall == FirewallBackend::Nftables);
}

/// Returns the rules that a table of this family can hold.
fn rules_for(chain: &ForeignChain, rules: &[FirewallRule]) -> Vec<Option<FirewallRule>> {
    let family = match chain.family {
        TableFamily::Ip => Some(Family::V4),
        TableFamily::Ip6 => Some(Family::V6),
        TableFamily::Inet => None,
    };
    let mut fitting = Vec::new();
    for rule in rules {
        let mut families = rule.conditions.iter().filter_map(Condition::family);
        if family.is_none_or(|family| families.all(|of| of == family)) {
            fitting.push(Some(rule.clone()));
        }
    }
    fitting
}
