//! Report of `portals status`: the state of links, portals and exits, from the network file and the live
//! tunnels.

mod report;

use std::net::IpAddr;
use std::time::SystemTime;

use crate::base::error::Result;
use crate::base::net::{IfName, PublicKey};
use crate::base::sorted::SortedMap;
use crate::firewall;
use crate::kernel::Kernel;
use crate::kernel::wireguard::PeerStatistics;
use crate::site::facts::Uplink;
use crate::site::{Entrance, Exit, Portal, Site, SitePeer};
use crate::state::{Link, Scope, State, WireGuardBackend};
pub use report::{LanReport, LinkEnd, LinkReport, PhoneReport, PortalReport, PortalState, Report};

/// Reads the live tunnels of a site. The portals of `site` must have the exits that are in use: see
/// [`choose_observed`](super::observed::choose_observed).
pub fn report(site: &Site, agent: bool, kernel: &mut dyn Kernel, now: SystemTime) -> Result<Report> {
    let live = kernel.own_tunnels()?;
    let (mut links, mut phones) = (Vec::new(), Vec::new());
    for (interface, tunnel) in &site.tunnels {
        let (statistics, end) = match live.get(interface) {
            Some(link) => {
                let reading = kernel.read_tunnel(interface, link, now);
                let end = if tunnel.provider.is_some() { LinkEnd::Provider } else { LinkEnd::Member };
                (reading.map(|reading| reading.peers).unwrap_or_default(), end)
            }
            None => (SortedMap::new(), LinkEnd::Missing),
        };
        let link = |name, peer: &SitePeer| {
            let mut report =
                link_report(name, interface, tunnel.table.is_some(), &statistics, peer.public_key, now);
            report.end = match report.endpoint {
                Some(to) if is_own(site, to.ip()) => LinkEnd::Itself,
                None if end == LinkEnd::Member && peer.endpoint.is_some() => LinkEnd::Unresolved,
                _ => end,
            };
            report
        };
        for (name, peer) in &tunnel.peers {
            links.push(link(name, peer));
        }
        for (name, phone) in &tunnel.phones {
            let exit = match &phone.exit {
                Exit::Direct => site.name.clone(),
                exit => exit.to_string(),
            };
            phones.push(PhoneReport { link: link(name, &phone.peer), exit });
        }
    }
    // The firewall of choice can change with the host. Until the next change of ours, the firewall in place
    // guards the portals.
    let (firewall, firewall_reason) = match guarding(&kernel.observe(&Scope::default())?) {
        Some(former) if former != site.guard.firewall => (former, "until the next change of this machine"),
        _ => (site.guard.firewall, site.guard.reason),
    };
    let portals = portals(site, kernel, &links)?;
    Ok(Report {
        network: site.network.clone(),
        site: site.name.clone(),
        agent,
        agent_status: None,
        file: None,
        wireguard: backend_in_use(&live).unwrap_or(site.host.wireguard),
        firewall,
        firewall_reason,
        links,
        portals,
        missing: Vec::new(),
        phones,
        relays: site.relays.clone(),
        lans: lans(site),
        ports: site.nat.dialled_ports.clone(),
    })
}

fn lans(site: &Site) -> Vec<LanReport> {
    let mut lans = Vec::new();
    for lan in &site.lan {
        lans.push(LanReport { site: site.name.clone(), network: lan.network, seen_as: lan.seen_as });
    }
    for (name, networks) in &site.far_lans {
        for network in networks {
            lans.push(LanReport { site: name.clone(), network: *network, seen_as: None });
        }
    }
    lans
}

/// Returns the firewall that has our own rules.
fn guarding(have: &State) -> Option<firewall::FirewallBackend> {
    match (&have.firewall, have.iptables.keys().next()) {
        (Some(_), _) => Some(firewall::FirewallBackend::Nftables),
        (None, program) => program.map(|program| firewall::FirewallBackend::Iptables(*program)),
    }
}

fn backend_in_use(live: &SortedMap<IfName, Link>) -> Option<WireGuardBackend> {
    live.values().find_map(Link::backend)
}

fn link_report(
    name: &str,
    interface: &IfName,
    exit: bool,
    statistics: &SortedMap<PublicKey, PeerStatistics>,
    key: PublicKey,
    now: SystemTime,
) -> LinkReport {
    let peer = statistics.get(&key).copied().unwrap_or_default();
    LinkReport {
        peer: name.to_owned(),
        interface: interface.clone(),
        exit,
        endpoint: peer.endpoint,
        handshake_age: peer.age(now).map(|age| age.as_secs()),
        received: peer.received,
        sent: peer.sent,
        up: peer.alive(now),
        key,
        end: LinkEnd::Member,
        seen: None,
        unanswered: None,
    }
}

/// Reports whether an address is one of this machine.
fn is_own(site: &Site, address: IpAddr) -> bool {
    let has = |uplink: &Uplink| uplink.addresses.iter().any(|own| own.address == address);
    site.host.own_addresses.contains(&address) || site.host.uplink.as_ref().is_some_and(has)
}

fn portals(site: &Site, kernel: &mut dyn Kernel, links: &[LinkReport]) -> Result<Vec<PortalReport>> {
    let mut wifis = Vec::new();
    for portal in &site.portals {
        wifis.extend(wifi(portal));
    }
    let mut stations = kernel.stations(&wifis)?;
    let mut portals = Vec::new();
    for portal in &site.portals {
        let is_up = |wanted: &IfName| links.iter().any(|link| link.interface == *wanted && link.up);
        let mut exits = Vec::new();
        if portal.can_fail_over() {
            exits.extend(portal.exits.iter().map(Exit::to_string));
        }
        let state = match &portal.exit {
            Exit::Tunnel { interface, .. } if !is_up(interface) => PortalState::Blocked,
            exit => PortalState::of(exit, &portal.exits),
        };
        portals.push(PortalReport {
            name: portal.name.clone(),
            entrance: portal.entrance_words(),
            address: portal.address,
            address6: portal.address6,
            exit: portal.exit.to_string(),
            // The agent may know more than the tunnel.
            exit_address: None,
            hops: site.chain(&portal.exit).map(|chain| chain.hops.clone()).unwrap_or_default(),
            exits,
            state,
            obstacle: portal.obstacle.clone(),
            // The list of a network that is off is empty.
            stations: wifi(portal).map(|interface| stations.remove(interface).unwrap_or_default()),
            // The caller reads them: it knows the folder.
            leases: None,
        });
    }
    Ok(portals)
}

/// Returns the interface of a portal's Wi-Fi network, if it has one.
fn wifi(portal: &Portal) -> Option<&IfName> {
    portal.entrance_interface().filter(|_| matches!(portal.entrance, Entrance::Wifi { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::Firewall;
    use crate::firewall::xtables::{IptablesProgram, IptablesRuleset};

    #[test]
    fn the_firewall_with_our_rules_guards() {
        let mut have = State::default();
        assert_eq!(guarding(&have), None);
        have.iptables.insert(IptablesProgram::Legacy, IptablesRuleset::new());
        assert_eq!(guarding(&have), Some(firewall::FirewallBackend::Iptables(IptablesProgram::Legacy)));
        // Then our rules in iptables only open ways through rules of other programs.
        have.firewall = Some(Firewall::default());
        assert_eq!(guarding(&have), Some(firewall::FirewallBackend::Nftables));
    }
}
