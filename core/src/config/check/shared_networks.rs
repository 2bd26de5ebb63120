//! Checks of the networks that sites share as `lan`: apart from the network's own subnets, and from each
//! other wherever one site or phone could reach both.

use super::super::draft::{NetworkDraft, SiteDraft};
use super::super::fault::{At, Findings};
use super::super::model::{SharedNetwork, free_network};
use super::links::linked;
use crate::base::net::Cidr;

/// Refuses a `lan` that overlaps the network's own subnets.
pub(super) fn apart_from_subnets(draft: &NetworkDraft, found: &mut Findings) {
    let subnets = [("subnet", &draft.subnet), ("subnet6", &draft.subnet6)];
    for (_, lan) in draft.lans() {
        for (key, subnet) in subnets {
            let mut networks = vec![lan.value.network];
            networks.extend(lan.value.seen_as);
            for network in networks {
                if let Some(subnet) = subnet.as_ref().filter(|subnet| subnet.value.overlaps(network)) {
                    let message = format_args!("`lan` {network} overlaps `{key}` {}", subnet.value);
                    found.add(&lan.span, message, format_args!("write another network, or another `{key}`"));
                }
            }
        }
    }
}

/// Refuses networks of one site of which one contains the other, if at least one of them is translated: an
/// address would have two translations, or none.
pub(super) fn apart_at_one_site(draft: &NetworkDraft, found: &mut Findings) {
    for site in &draft.sites {
        for (index, lan) in site.lan.iter().enumerate() {
            if let Some(seen_as) = lan.value.seen_as
                && let Some(other) = site.lan.iter().find(|other| other.value.network.overlaps(seen_as))
            {
                let network = other.value.network;
                let message = format_args!("`lan` {seen_as} overlaps {network}, a network of the same site");
                found.add(
                    &lan.span,
                    message,
                    format_args!("write `{}`", translated(draft, site, lan, &[]).0),
                );
                continue;
            }
            let is_ambiguous = |other: &&At<SharedNetwork>| {
                let (one, other) = (lan.value, other.value);
                (one.seen_as.is_some() || other.seen_as.is_some())
                    && (one.network.overlaps(other.network) || one.visible().overlaps(other.visible()))
            };
            if let Some(other) = site.lan[..index].iter().find(is_ambiguous) {
                let message = format_args!(
                    "`lan` \"{}\" and \"{}\" contain the same addresses",
                    lan.value, other.value
                );
                found.add(&lan.span, message, "remove one of the two, or write networks that do not overlap");
            }
        }
    }
}

/// Refuses a `lan` that other sites see under the same addresses as the `lan` of another site, where one site
/// could reach both.
pub(super) fn apart_between_sites(draft: &NetworkDraft, found: &mut Findings) {
    let lans = draft.lans();
    for (index, (second, lan)) in lans.iter().enumerate() {
        let visible = lan.value.visible();
        for (first, other) in &lans[..index] {
            if first.name.value == second.name.value || !other.value.visible().overlaps(visible) {
                continue;
            }
            let Some((are_linked, meeting)) = meeting(draft, first, second) else { continue };
            let name = &first.name.value;
            let message =
                format_args!("`lan` {visible} overlaps {} of site {name}, {meeting}", other.value.visible());
            let (is_plain, other_is_plain) = (lan.value.seen_as.is_none(), other.value.seen_as.is_none());
            let (there, taken) = translated(draft, first, other, &[]);
            let (here, _) = translated(draft, second, lan, &taken);
            let help = match (other_is_plain, is_plain) {
                (true, true) if are_linked => format!("write `{there}` at site {name}, and `{here}` here"),
                (false, true) => format!("write `{there}` at site {name}"),
                _ => format!("write `{here}`"),
            };
            found.add(&lan.span, message, help);
        }
    }
}

/// Refuses a `lan` that linked sites see under addresses of their own computers. A network that the linked
/// site shares as it is belongs to [`apart_between_sites`].
pub(super) fn apart_from_homes(draft: &NetworkDraft, found: &mut Findings) {
    for site in &draft.sites {
        let around = linked(draft, site);
        for lan in &site.lan {
            let visible = lan.value.visible();
            for other in &around {
                let hidden = other.lan.iter().filter_map(|lan| lan.value.translation());
                let Some((home, _)) = hidden.into_iter().find(|(home, _)| home.overlaps(visible)) else {
                    continue;
                };
                let name = &other.name.value;
                let message = format_args!(
                    "`lan` {visible} overlaps {home}, a network in the home of site {name}, to which this \
                     site is linked"
                );
                found.add(
                    &lan.span,
                    message,
                    format_args!("write `{}`", translated(draft, site, lan, &[]).0),
                );
            }
        }
    }
}

/// Refuses a resolver that linked sites could not reach: one outside the networks that the site shares.
pub(super) fn resolvers(draft: &NetworkDraft, found: &mut Findings) {
    for site in &draft.sites {
        let Some(dns) = &site.dns else { continue };
        if site.lan.iter().any(|lan| lan.value.network.contains(dns.value))
            || site.shares && site.lan.is_empty()
        {
            continue;
        }
        if site.lan.is_empty() {
            let length = if dns.value.is_ipv4() { 24 } else { 64 };
            let around = Cidr::new(dns.value, length).expect("a length of this family");
            let message = "`dns` needs a `lan` in which the resolver is";
            found.add(&dns.span, message, format_args!("add `lan = [\"{around}\"]`"));
        } else {
            let help = "write the address of the resolver in this site's home, or share its network, too";
            found.add(&dns.span, format_args!("`dns` {} is in no network of `lan`", dns.value), help);
        }
    }
}

/// Returns the line `lan = […]` of a site in which other sites see one of its networks elsewhere, at a free
/// network, and all networks that are then taken.
fn translated(
    draft: &NetworkDraft,
    site: &SiteDraft,
    lan: &At<SharedNetwork>,
    also_taken: &[Cidr],
) -> (String, Vec<Cidr>) {
    let mut taken = also_taken.to_vec();
    for subnet in [&draft.subnet, &draft.subnet6] {
        taken.extend(subnet.as_ref().map(|subnet| subnet.value));
    }
    for (_, lan) in draft.lans() {
        taken.extend_from_slice(&[lan.value.network, lan.value.visible()]);
    }
    let id = site.id.as_ref().map_or(0, |id| id.value);
    let seen_as = free_network(lan.value.network, id, &taken);
    taken.extend(seen_as);
    let entry = |entry: &At<SharedNetwork>| {
        let is_meant = entry.value == lan.value && seen_as.is_some();
        let entry = if is_meant { SharedNetwork { seen_as, ..entry.value } } else { entry.value };
        format!("\"{entry}\"")
    };
    let entries: Vec<String> = site.lan.iter().map(entry).collect();
    (format!("lan = [{}]", entries.join(", ")), taken)
}

/// Returns how traffic for both sites can meet at one site, as the end of a sentence, and whether they are
/// linked to each other; `None` if it cannot meet.
fn meeting(draft: &NetworkDraft, first: &SiteDraft, second: &SiteDraft) -> Option<(bool, String)> {
    let around = linked(draft, second);
    if around.iter().any(|site| site.name.value == first.name.value) {
        return Some((true, "to which this site is linked".to_owned()));
    }
    let middle = linked(draft, first)
        .into_iter()
        .find(|site| around.iter().any(|other| other.name.value == site.name.value))?;
    Some((false, format!("and {} is linked to both", middle.name.value)))
}
