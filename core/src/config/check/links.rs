//! Checks of the links between sites.

use super::super::draft::{NetworkDraft, SiteDraft};
use super::super::fault::{At, Findings};
use super::super::model::FIRST_PROVIDER;
use super::super::suggest::suggest;
use super::helpers;

/// Returns all sites that `site` is linked to, no matter which of the two sites lists the link.
pub(super) fn linked<'d>(draft: &'d NetworkDraft, site: &SiteDraft) -> Vec<&'d SiteDraft> {
    let mut linked = Vec::new();
    for other in &draft.sites {
        if other.name.value != site.name.value && (names(site, other) || names(other, site)) {
            linked.push(other);
        }
    }
    linked
}

fn peers_of(site: &SiteDraft) -> impl Iterator<Item = &At<String>> {
    site.exits.iter().chain(&site.links)
}

fn names(site: &SiteDraft, other: &SiteDraft) -> bool {
    peers_of(site).any(|peer| peer.value == other.name.value)
}

/// Refuses entries of `exits` and `links` that are not other sites.
pub(super) fn peers(draft: &NetworkDraft, found: &mut Findings) {
    for site in &draft.sites {
        let own = site.name.value.as_str();
        for (key, list) in [("exits", &site.exits), ("links", &site.links)] {
            for peer in list {
                if peer.value == own {
                    found.add(&peer.span, format_args!("`{key}` of {own} names {own} itself"), "remove it");
                } else if site.provider_names().contains(&peer.value) {
                    let message =
                        format_args!("`{key}` lists sites, but `{}` is a provider's file", peer.value);
                    let help = "remove it: a portal can name it in `exit` without this entry";
                    found.add(&peer.span, message, help);
                } else if draft.site(&peer.value).is_none() {
                    let mut others = draft.site_names();
                    others.retain(|name| *name != own);
                    let message =
                        format_args!("`{key}` names `{}`, which is not a site in this file", peer.value);
                    found.add(&peer.span, message, known(&peer.value, &others));
                }
            }
        }
    }
}

fn known(name: &str, sites: &[&str]) -> String {
    if sites.is_empty() { format!("remove it, or add `[site.{name}]`") } else { suggest(name, sites) }
}

/// Refuses a site in both `exits` and `links`: an exit is linked already.
pub(super) fn both_kinds(draft: &NetworkDraft, found: &mut Findings) {
    for site in &draft.sites {
        for link in site.links.iter().filter(|link| site.exits.iter().any(|exit| exit.value == link.value)) {
            let message = format_args!("`{}` is in both `exits` and `links`", link.value);
            found.add(&link.span, message, "remove it here: the computers of an exit can be reached too");
        }
    }
}

/// Refuses a link between two sites without an `endpoint`, unless a third site helps them to find each other.
pub(super) fn neither_can_dial(draft: &NetworkDraft, found: &mut Findings) {
    let hidden = |site: &SiteDraft| !site.dialled && !site.misspelt;
    if draft.sites.iter().any(helpers::can_help) {
        return;
    }
    for (index, site) in draft.sites.iter().enumerate().filter(|(_, site)| hidden(site)) {
        for peer in peers_of(site) {
            let Some(other) = draft.sites.iter().position(|other| other.name.value == peer.value) else {
                continue;
            };
            let said_already = other <= index && (other == index || names(&draft.sites[other], site));
            if hidden(&draft.sites[other]) && !said_already {
                let message = format_args!(
                    "{} and {} cannot connect: neither has an `endpoint`, and no third site helps",
                    site.name.value, peer.value
                );
                let help = "add `endpoint = \"<host name or address>\"` to one of the two sites, or to a \
                            third site, which then helps all others";
                found.add(&peer.span, message, help);
            }
        }
    }
}

/// Refuses the same endpoint and port at two sites: behind one address, a port leads to one site.
pub(super) fn endpoints(draft: &NetworkDraft, found: &mut Findings) {
    for (index, site) in draft.sites.iter().enumerate() {
        let Some(endpoint) = &site.endpoint else { continue };
        let same = |other: &&SiteDraft| {
            let host = other.endpoint.as_ref().is_some_and(|other| other.value == endpoint.value);
            host && other.base_port() == site.base_port()
        };
        if let Some(other) = draft.sites[..index].iter().find(same) {
            let message = format_args!(
                "`endpoint` {} with `port` {} already belongs to site {}",
                endpoint.value,
                site.base_port(),
                other.name.value
            );
            let help = "write this site's own endpoint, or give one of the two sites another `port`";
            found.add(&endpoint.span, message, help);
        }
    }
}

/// Refuses a base port that is too large: the interface of an exit listens on the base port plus the exit's
/// id (or the provider's number), and a port has 16 bits.
pub(super) fn ports(draft: &NetworkDraft, found: &mut Findings) {
    for site in &draft.sites {
        let exits = site.exits.iter().filter_map(|exit| draft.site(&exit.value));
        let ids =
            exits.filter_map(|exit| Some((u32::from(exit.id.as_ref()?.value), exit.name.value.as_str())));
        let providers = site.provider_names();
        let ids = ids.chain((FIRST_PROVIDER..).zip(providers.iter().map(String::as_str)));
        let Some(((id, exit), port)) = ids.max().zip(site.port.as_ref()) else { continue };
        let port_of_exit = u32::from(site.base_port()) + id;
        if port_of_exit > u32::from(u16::MAX) {
            let what =
                if id < FIRST_PROVIDER { "the id of" } else { "the number that follows from the name" };
            let message = format_args!(
                "`port` {0} is too large: `to-{exit}` would listen on {port_of_exit}, which is {0} plus \
                 {what} {exit}",
                port.value
            );
            let largest = u32::from(u16::MAX) - id.max(FIRST_PROVIDER - 1);
            found.add(&port.span, message, format_args!("write `port = 51820`, or any port up to {largest}"));
        }
    }
}
