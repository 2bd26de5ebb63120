//! IPv6 of a site: on if the network file has `subnet6`, and if this host can carry it.

use std::net::IpAddr;

use super::ids::site_address6;
use super::{Guard, Portal, SiteIpv6, SitePeer, SiteTunnel};
use crate::base::net::{Family, IfName};
use crate::base::sorted::SortedMap;
use crate::config::model::{Network, SiteConfig};
use crate::firewall::FirewallBackend;
use crate::site::facts::Facts;

/// Returns the IPv6 of a site; `None` if the file has no IPv6, or the host cannot carry it.
pub(super) fn of_site(network: &Network, entry: &SiteConfig, facts: &Facts) -> Option<SiteIpv6> {
    let subnet = network.subnet6.filter(|_| lack(entry, facts).is_none())?.network;
    Some(SiteIpv6 { address: site_address6(network, entry.id)?, subnet })
}

/// Returns the note on a host that cannot carry the network's IPv6.
pub(super) fn note(network: &Network, entry: &SiteConfig, facts: &Facts) -> Option<String> {
    network.subnet6?;
    let lack = lack(entry, facts)?;
    Some(format!("IPv6 does not go through portals here, and stays blocked: {lack}"))
}

/// Returns in words the feature that the host lacks for IPv6 through portals.
fn lack(entry: &SiteConfig, facts: &Facts) -> Option<String> {
    if !facts.ipv6 {
        return Some("this kernel has no IPv6, or it is switched off (`ipv6.disable=1`)".to_owned());
    }
    if facts.without_ipv6.iter().any(|interface| interface.as_str() == "default") {
        return Some("it is switched off (`net.ipv6.conf.default.disable_ipv6=1`)".to_owned());
    }
    let firewall = Guard::choose(entry, facts).ok()?.firewall;
    let lacks = &facts.filters.legacy_lacks_ipv6;
    (matches!(firewall, FirewallBackend::Iptables(_)) && !lacks.is_empty())
        .then(|| format!("this kernel lacks {}", lacks.join(", ")))
}

/// Adds the notes on portals whose interface has no IPv6, though the tunnels carry it. The kernel gives
/// such an interface no address, and passes on no IPv6 from there.
pub(super) fn notes_on_portals(notes: &mut Vec<String>, portals: &[Portal], facts: &Facts) {
    for portal in portals {
        let Some(interface) = portal.entrance.interface() else { continue };
        if facts.without_ipv6.contains(interface) {
            notes.push(format!(
                "portal `{}`: devices there get no IPv6, because it is switched off on {interface} \
                 (`net.ipv6.conf.{interface}.disable_ipv6=1`)",
                portal.name
            ));
        }
    }
}

/// Removes the IPv6 networks of all peers.
pub(super) fn strip(tunnels: &mut SortedMap<IfName, SiteTunnel>) {
    let strip = |peer: &mut SitePeer| {
        peer.networks.retain(|network| network.family() == Family::V4);
        peer.allowed_ips.retain(|network| network.family() == Family::V4);
    };
    for tunnel in tunnels.values_mut() {
        tunnel.peers.values_mut().for_each(strip);
        tunnel.phones.values_mut().for_each(|phone| strip(&mut phone.peer));
        if let Some(own) = &mut tunnel.provider {
            own.addresses.retain(|own| own.address.is_ipv4());
            own.dns.retain(IpAddr::is_ipv4);
        }
    }
}
