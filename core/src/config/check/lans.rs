//! Checks of the portals' LANs: inside the network's subnet, and separate from everything else in it.

use super::super::draft::{NetworkDraft, PortalDraft, SiteDraft};
use super::super::fault::{At, FaultWords, Findings};
use super::super::lan::{free_lans, own_part, site_network};
use crate::base::net::{Cidr, Family, InterfaceAddress};

/// Refuses settings of a LAN at portals without their own LAN.
pub(super) fn without(draft: &NetworkDraft, found: &mut Findings) {
    for portal in draft.portals() {
        let Some(entrance) = portal.entrance.as_ref().map(|entrance| &entrance.value) else { continue };
        if entrance.has_lan() {
            continue;
        }
        let help = "remove it, or use `interface`, `vlan` or `wifi` as the entrance";
        let address = portal.address.as_ref().map(|address| &address.span);
        let dhcp = portal.dhcp.as_ref().filter(|dhcp| dhcp.value).map(|dhcp| &dhcp.span);
        let dns = portal.dns.first().filter(|_| !entrance.has_devices()).map(|dns| &dns.span);
        let page = portal.page.as_ref().filter(|page| page.value).map(|page| &page.span);
        for (key, span) in [("address", address), ("dhcp", dhcp), ("dns", dns), ("page", page)] {
            let Some(span) = span else { continue };
            let message = format_args!("a `{}` portal has no LAN, and so no `{key}`", entrance.key());
            found.add(span, message, help);
        }
        if let Some(router) = portal.router.as_ref().filter(|_| !entrance.has_devices()) {
            let message =
                format_args!("a `{}` portal has no devices that could reach the `router`", entrance.key());
            found.add(&router.span, message, help);
        }
        if let Some(inbound) = portal.inbound.as_ref().filter(|_| !entrance.has_devices()) {
            let message =
                format_args!("a `{}` portal has no devices that could be reached `inbound`", entrance.key());
            let help = "remove it: this router's own answers already leave where the question came in";
            found.add(&inbound.span, message, help);
        }
    }
}

/// Returns the portals that have a LAN, with their sites.
fn lans(draft: &NetworkDraft) -> Vec<(&SiteDraft, &PortalDraft)> {
    let mut lans = Vec::new();
    for site in &draft.sites {
        lans.extend(lans_at(site).map(|portal| (site, portal)));
    }
    lans
}

fn lans_at(site: &SiteDraft) -> impl Iterator<Item = &PortalDraft> {
    site.portals
        .iter()
        .filter(|portal| portal.entrance.as_ref().is_some_and(|At { value, .. }| value.has_lan()))
}

/// Returns the site's own /24, if the draft has both the subnet and the id.
fn network_of(draft: &NetworkDraft, site: &SiteDraft) -> Option<Cidr> {
    site_network(draft.subnet.as_ref()?.value, site.id.as_ref()?.value)
}

/// Returns each site with its /24, if that is known.
fn networks(draft: &NetworkDraft) -> Vec<(&SiteDraft, Cidr)> {
    let mut networks = Vec::new();
    for site in &draft.sites {
        networks.extend(network_of(draft, site).map(|network| (site, network)));
    }
    networks
}

/// Refuses an `address` that a router cannot have, or that is not in a free part of the subnet.
pub(super) fn addresses(draft: &NetworkDraft, found: &mut Findings) {
    let networks = networks(draft);
    for (site, portal) in lans(draft) {
        let Some(At { value: address, span }) = &portal.address else { continue };
        let lan = address.network();
        if let Some(words) = shape(*address).or_else(|| place(draft, &networks, site, lan)) {
            found.record(span, words);
        }
    }
}

/// Returns words if an address is wrong by itself.
fn shape(address: InterfaceAddress) -> Option<FaultWords> {
    let InterfaceAddress { address: ip, length } = address;
    let network = address.network();
    if network.family() == Family::V6 {
        let help = "write an IPv4 address such as `\"10.77.1.65/26\"`: IPv6 follows from `subnet6`";
        return Some(FaultWords::new("`address` must be IPv4", help));
    }
    if length > 30 {
        let help = format_args!("write `\"{ip}/26\"`");
        let message = format_args!("`address` is in a /{length}, which has no room for devices");
        return Some(FaultWords::new(message, help));
    }
    let what = if ip == network.address() {
        "network address"
    } else if ip == network.last() {
        "broadcast address"
    } else {
        return None;
    };
    let first = InterfaceAddress { address: network.nth(1)?, length };
    let message = format_args!("`address` {ip} is the {what} of {network}");
    Some(FaultWords::new(message, format_args!("write `\"{first}\"`")))
}

/// Returns words if a LAN is in the wrong part of the subnet.
fn place(
    draft: &NetworkDraft,
    networks: &[(&SiteDraft, Cidr)],
    site: &SiteDraft,
    lan: Cidr,
) -> Option<FaultWords> {
    let subnet = draft.subnet.as_ref()?.value;
    let own = network_of(draft, site);
    let where_it_is = if !subnet.covers(lan) {
        format!("outside `subnet` {subnet}")
    } else if own.and_then(own_part).is_some_and(|part| part.overlaps(lan)) {
        format!("which overlaps the network of site {} itself and its phones", site.name.value)
    } else {
        let is_there = |(other, theirs): &&(&SiteDraft, Cidr)| {
            theirs.overlaps(lan) && other.name.value != site.name.value
        };
        let (other, _) = networks.iter().find(is_there)?;
        format!("which overlaps the network of site {}", other.name.value)
    };
    let help = match own.and_then(|own| free_lans(own, &explicit(draft)).first().copied()) {
        Some(free) => format!("write an address such as `\"{free}\"`, or {TAKE_NEXT}"),
        None => TAKE_NEXT.to_owned(),
    };
    Some(FaultWords::new(format_args!("`address` is in {lan}, {where_it_is}"), help))
}

const TAKE_NEXT: &str = "remove the line to get the next free network";

/// Refuses LANs that overlap.
pub(super) fn overlaps(draft: &NetworkDraft, found: &mut Findings) {
    let mut earlier: Vec<(&SiteDraft, &PortalDraft, Cidr)> = Vec::new();
    for (site, portal) in lans(draft) {
        let Some(address) = &portal.address else { continue };
        let lan = address.value.network();
        if let Some((at, first, other)) = earlier.iter().find(|(.., other)| other.overlaps(lan)) {
            let message = format_args!(
                "`address` is in {lan}, which overlaps {other} of portal {} at {}",
                first.name.value, at.name.value
            );
            found.add(&address.span, message, format_args!("write another address, or {TAKE_NEXT}"));
        }
        earlier.push((site, portal, lan));
    }
}

/// Refuses more LANs without an `address` than the site has free /26s: three at most.
pub(super) fn full(draft: &NetworkDraft, found: &mut Findings) {
    let taken = explicit(draft);
    for site in &draft.sites {
        let Some(own) = network_of(draft, site) else { continue };
        let waiting: Vec<_> = lans_at(site).filter(|lan| !lan.addressed).collect();
        if waiting.is_empty() {
            continue;
        }
        for portal in waiting.iter().skip(free_lans(own, &taken).len()) {
            let message = format_args!("no /26 of {own} is left for portal {}", portal.name.value);
            let help = format_args!("add `address` with a free part of `subnet`{}", example(draft, &taken));
            found.add(&portal.span, message, help);
        }
    }
}

/// Returns the LANs whose address is in the file.
pub(super) fn explicit(draft: &NetworkDraft) -> Vec<Cidr> {
    lans(draft)
        .iter()
        .filter_map(|(_, portal)| portal.address.as_ref())
        .map(|address| address.value.network())
        .collect()
}

/// Returns an example of an address in a /24 that no site and no portal uses, as the end of a sentence.
fn example(draft: &NetworkDraft, taken: &[Cidr]) -> String {
    let Some(subnet) = &draft.subnet else { return String::new() };
    // Ids end at 250, so no site will ever use the last /24s.
    for id in (1..=u8::MAX).rev() {
        let is_taken = draft.sites.iter().any(|site| site.id.as_ref().is_some_and(|taken| taken.value == id));
        if let Some(place) = site_network(subnet.value, id)
            && !is_taken
            && !taken.iter().any(|lan| lan.overlaps(place))
            && let Some(address) = place.nth(1)
        {
            return format!(", such as `\"{address}/26\"`");
        }
    }
    String::new()
}
