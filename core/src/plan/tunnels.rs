//! Interfaces, WireGuard settings, addresses and sysctls.

use std::num::{NonZeroU16, NonZeroU32};

use crate::base::net::{IfName, InterfaceAddress};
use crate::base::sorted::SortedMap;
use crate::plan::{inbound, marks};
use crate::site::{self, Entrance, Site, Vlan};
use crate::state::{
    ALIAS_PREFIX, FORWARDING6, Link, LinkKind, Peer, State, TUNNEL_MARK, Tunnel, WireGuardBackend,
};

/// Returns the state with links, tunnels and addresses, and with the interfaces that are up.
pub(super) fn plan(site: &Site) -> State {
    let mut state = State::default();
    let alias = format!("{ALIAS_PREFIX}{}", site.network);
    for (interface, tunnel) in &site.tunnels {
        let link = Link {
            kind: LinkKind::WireGuard(site.host.wireguard),
            mtu: site.mtu_of(tunnel),
            alias: alias.clone(),
        };
        state.links.insert(interface.clone(), link);
        state.tunnels.insert(interface.clone(), settings(site, tunnel));
        match &tunnel.provider {
            Some(own) => {
                for own in &own.addresses {
                    state.addresses.insert((interface.clone(), InterfaceAddress::host(own.address)));
                }
            }
            None => {
                for own in site.addresses() {
                    state.addresses.insert((interface.clone(), InterfaceAddress::host(own)));
                }
            }
        }
        state.up.insert(interface.clone());
    }
    for (interface, address) in site.chain_addresses() {
        state.addresses.insert((interface.clone(), InterfaceAddress::host(address)));
    }
    // An entrance that is not there yet does not keep other portals closed.
    for portal in site.portals.iter().filter(|portal| portal.is_here) {
        if let Entrance::Vlan(Vlan { interface, parent, id, mtu: Some(mtu) }) = &portal.entrance {
            let kind = LinkKind::Vlan { parent: parent.clone(), id: *id };
            state.links.insert(interface.clone(), Link { kind, mtu: *mtu, alias: alias.clone() });
            // A VLAN on the uplink does not decide whether the uplink is up.
            if site.uplink_interface() != Some(parent) {
                state.up.insert(parent.clone());
            }
        }
        if let (Some(interface), Some(_)) = (portal.entrance_interface(), portal.address) {
            for address in portal.addresses().filter(|_| portal.has_wire()) {
                state.addresses.insert((interface.clone(), address));
            }
            // A port that was set up as a portal's interface is not set down either: other programs use it.
            state.up.insert(interface.clone());
        }
    }
    state
}

/// Returns the sysctls:
/// - `ip_forward`, and IPv6's `forwarding` where IPv6 goes through portals;
/// - `send_redirects`, which the kernel's WireGuard turns off for all interfaces (`wg_open` in
///   drivers/net/wireguard/device.c): it is listed here so that `down` restores it;
/// - `src_valid_mark` on tunnels of portals that use marks, and on the uplink where connections come in via
///   it: the reverse-path check then includes the mark;
/// - `accept_ra` on entrances: a host that does not forward IPv6 believes every router advertisement, and no
///   device of a portal is a router of this host;
/// - `accept_ra` on other interfaces, where this host listens to router advertisements: 2 makes it listen
///   although it forwards IPv6 (Documentation/networking/ip-sysctl.rst), so that it keeps its own IPv6;
/// - `rp_filter` only on our own tunnels, and only if the file asks for it. The kernel uses the larger of the
///   values of `all` and of the interface, so loose (2) on the interface is enough.
pub(super) fn sysctls(site: &Site) -> SortedMap<String, String> {
    let mut sysctls = SortedMap::new();
    let mut set = |key: String, value: &str| sysctls.insert(key, value.to_owned());
    let relays = site.nat.helper.iter().any(|helper| !helper.relay_ports().is_empty());
    let forwards = relays || !site.tunnels.is_empty() || !site.portals.is_empty();
    if forwards {
        set("net/ipv4/ip_forward".to_owned(), "1");
    }
    if !site.tunnels.is_empty() && site.host.wireguard == WireGuardBackend::Kernel {
        set("net/ipv4/conf/all/send_redirects".to_owned(), "0");
    }
    let mut by_mark = marks::marked_tunnels(site);
    by_mark.extend(inbound::checked(site));
    for interface in &by_mark {
        set(format!("net/ipv4/conf/{interface}/src_valid_mark"), "1");
    }
    let advertisements = |interface: &IfName| format!("net/ipv6/conf/{interface}/accept_ra");
    let entrances = &site.kernel.ignores_advertisements;
    for interface in entrances {
        set(advertisements(interface), "0");
    }
    if site.carries_ipv6() && (forwards || !by_mark.is_empty() || !entrances.is_empty()) {
        set(FORWARDING6.to_owned(), "1");
        for interface in site.kernel.hears_advertisements.difference(entrances) {
            set(advertisements(interface), "2");
        }
    }
    if site.kernel.loose_rp_filter {
        for interface in site.tunnels.keys() {
            set(format!("net/ipv4/conf/{interface}/rp_filter"), "2");
        }
    }
    sysctls
}

fn settings(site: &Site, tunnel: &site::SiteTunnel) -> Tunnel {
    let peer = |peer: &site::SitePeer| Peer {
        preshared_key: peer.preshared_key.clone(),
        endpoint: peer.endpoint.as_ref().and_then(|endpoint| endpoint.address),
        keepalive: peer.keepalive,
        allowed_ips: peer.allowed_ips.clone(),
        alive: false,
    };
    let private_key = tunnel.provider.as_ref().map_or(&site.private_key, |own| &own.private_key);
    Tunnel {
        private_key: Some(private_key.clone()),
        port: NonZeroU16::new(tunnel.port),
        fwmark: NonZeroU32::new(TUNNEL_MARK.value),
        peers: tunnel.ends().map(|(_, entry)| (entry.public_key, peer(entry))).collect(),
    }
}
