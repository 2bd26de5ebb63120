//! Checks of the networks in the file: room for all sites, and no overlaps.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::draft::{NetworkDraft, PortalDraft, SiteDraft};
use super::super::fault::{At, Findings, Span};
use super::super::model::{EntranceConfig, Mtu};
use crate::base::net::{Cidr, Family};

/// Returns the site with the largest id, and that id.
fn largest(draft: &NetworkDraft) -> Option<(&SiteDraft, u8)> {
    draft.sites.iter().filter_map(|site| Some((site, site.id.as_ref()?.value))).max_by_key(|(_, id)| *id)
}

/// Refuses a `subnet` that is not private IPv4 (RFC 1918), or lacks room for a /24 per site.
pub(super) fn subnet(draft: &NetworkDraft, found: &mut Findings) {
    let Some(subnet) = &draft.subnet else { return };
    let private = [
        (Ipv4Addr::new(10, 0, 0, 0), 8),
        (Ipv4Addr::new(172, 16, 0, 0), 12),
        (Ipv4Addr::new(192, 168, 0, 0), 16),
    ];
    let is_private = |network: Cidr| {
        private
            .iter()
            .filter_map(|(address, length)| Cidr::new((*address).into(), *length))
            .any(|all| all.covers(network))
    };
    let help =
        "write a network inside 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16, such as `\"10.77.0.0/16\"`";
    if subnet.value.family() == Family::V6 {
        found.add(&subnet.span, "`subnet` must be IPv4", format_args!("{help}; IPv6 goes in `subnet6`"));
    } else if !is_private(subnet.value) {
        found.add(&subnet.span, "`subnet` is not a private network", help);
    } else {
        holds("subnet", subnet, 24, draft, found);
    }
}

/// Refuses a `subnet6` that is not unique local (RFC 4193), or lacks room for a /56 per site.
pub(super) fn subnet6(draft: &NetworkDraft, found: &mut Findings) {
    let Some(subnet) = &draft.subnet6 else { return };
    let local = Cidr::new(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0).into(), 7);
    if local.is_some_and(|local| local.covers(subnet.value)) {
        holds("subnet6", subnet, 56, draft, found);
    } else {
        let message = "`subnet6` is not inside the unique local addresses, fc00::/7";
        found.add(&subnet.span, message, "write a network such as `\"fd77:1:2::/48\"`");
    }
}

/// Refuses a subnet that does not hold the largest id: site N has the N-th network of `each` bits; no site
/// has number 0.
fn holds(key: &str, subnet: &At<Cidr>, each: u8, draft: &NetworkDraft, found: &mut Findings) {
    let Some((site, id)) = largest(draft) else { return };
    let bits = each.saturating_sub(subnet.value.length());
    if bits >= 8 || u32::from(id) < 1 << bits {
        return;
    }
    let room = match (1_u32 << bits) - 1 {
        0 => "has no room for a site".to_owned(),
        most => format!("has room for ids up to {most}, but site {} has id {id}", site.name.value),
    };
    // An id has 8 bits, so this network has room for every future site.
    let enough = Cidr::new(subnet.value.address(), each - 8);
    let help = enough.map_or_else(String::new, |enough| format!("write `\"{enough}\"`"));
    found.add(&subnet.span, format_args!("`{key}` {room}: each site takes a /{each}"), help);
}

/// Refuses an MTU below 1280 bytes where IPv6 is on: every IPv6 link must carry 1280 bytes (RFC 8200, section
/// 5).
pub(super) fn mtu(draft: &NetworkDraft, found: &mut Findings) {
    let Some(mtu) = draft.mtu.as_ref().filter(|_| draft.ipv6) else { return };
    let message = match mtu.value {
        Mtu::Fixed(1280..) => return,
        Mtu::Fixed(bytes) => format!("`mtu` {bytes} is too small for IPv6"),
        Mtu::Measured => "`mtu = \"auto\"` may become too small for IPv6".to_owned(),
    };
    found.add(&mtu.span, message, "write `mtu = 1280`, or remove `subnet6`");
}

/// Refuses IPv6 addresses where IPv6 is off: without `subnet6`, the tunnels carry no IPv6.
pub(super) fn families(draft: &NetworkDraft, found: &mut Findings) {
    if draft.ipv6 {
        return;
    }
    let mut places = Vec::new();
    if let Some(probe) = draft.probe.as_ref().filter(|probe| probe.value.is_ipv6()) {
        places.push(("probe", &probe.span));
    }
    for site in &draft.sites {
        // Both networks of an entry have the same family.
        for lan in &site.lan {
            if lan.value.network.family() == Family::V6 {
                places.push(("lan", &lan.span));
            }
        }
        for portal in &site.portals {
            ipv6_of_portal(&mut places, portal);
        }
    }
    for phone in &draft.phones {
        ipv6_resolvers(&mut places, &phone.dns);
    }
    for (key, span) in places {
        let help = "remove it, or turn on IPv6 with `subnet6 = \"fd77:1:2::/48\"` in [network]";
        found.add(span, format_args!("`{key}` contains IPv6, which is off"), help);
    }
}

/// Keys with their places in the file.
type Places<'a> = Vec<(&'static str, &'a Span)>;

/// Adds key and place of all IPv6 addresses in a portal's section.
fn ipv6_of_portal<'a>(places: &mut Places<'a>, portal: &'a PortalDraft) {
    ipv6(places, "to", &portal.to);
    ipv6(places, "except", &portal.except);
    if let Some(At { value: EntranceConfig::From(sources), span }) = &portal.entrance
        && sources.iter().any(|source| source.family() == Family::V6)
    {
        places.push(("from", span));
    }
    ipv6_resolvers(places, &portal.dns);
}

fn ipv6_resolvers<'a>(places: &mut Places<'a>, resolvers: &'a [At<IpAddr>]) {
    for resolver in resolvers {
        if resolver.value.is_ipv6() {
            places.push(("dns", &resolver.span));
        }
    }
}

fn ipv6<'a>(places: &mut Places<'a>, key: &'static str, networks: &'a [At<Cidr>]) {
    for network in networks {
        if network.value.family() == Family::V6 {
            places.push((key, &network.span));
        }
    }
}
