//! Checks of chains of exits.

use super::super::chain::{hops, is_chain, text};
use super::super::chain_addresses::free_addresses;
use super::super::draft::{DIRECT, NetworkDraft, PhoneDraft, SiteDraft};
use super::super::fault::{At, FaultWords, Findings};
use super::super::suggest::suggest;
use super::exits::{lacks, unclear};
use super::lans::explicit;
use crate::base::sorted::SortedMap;

/// Refuses chains of portals and phones that cannot be used where they begin.
pub(super) fn ways(draft: &NetworkDraft, found: &mut Findings) {
    for site in &draft.sites {
        let at_site = |phone: &&PhoneDraft| phone.at.as_ref().is_some_and(|at| at.value == site.name.value);
        let mut exits: Vec<&At<String>> = Vec::new();
        for portal in &site.portals {
            exits.extend(&portal.exits);
        }
        for phone in draft.phones.iter().filter(at_site) {
            exits.extend(&phone.exit);
        }
        for exit in exits {
            if is_chain(&exit.value) {
                leads_on(draft, site, exit, found);
            }
        }
    }
}

/// Refuses a chain that begins at `site` and does not lead from each of its hops to the next one.
fn leads_on(draft: &NetworkDraft, site: &SiteDraft, exit: &At<String>, found: &mut Findings) {
    let fault = hops(&exit.value).map_or_else(
        || Some(misread(&exit.value)),
        |hops| returns(&site.name.value, &hops).or_else(|| breaks(draft, site, &hops)),
    );
    if let Some(words) = fault {
        found.record(&exit.span, words);
    }
}

/// Returns the words on a chain that is not well written.
fn misread(written: &str) -> FaultWords {
    let words = written.split_whitespace().collect::<Vec<&str>>().join(" ");
    let help = hops(&words).map_or_else(
        || "write the exit at the end first, and then each site on the way: `\"oslo via paris\"`".to_owned(),
        |hops| format!("write `\"{}\"`", text(&hops)),
    );
    FaultWords::new(format_args!("`exit` names `{written}`, which is not a chain of exits"), help)
}

/// Returns words if a chain of the site `own` names a site twice, or a place that no chain leads to.
fn returns(own: &str, hops: &[&str]) -> Option<FaultWords> {
    let instead = |hops: &[&str]| match hops {
        [] => format!("write `\"{DIRECT}\"` to leave at {own} itself"),
        hops => format!("write `\"{}\"`", text(hops)),
    };
    let written = text(hops);
    let without = |name: &str| hops.iter().copied().filter(|hop| *hop != name).collect::<Vec<&str>>();
    if hops.contains(&DIRECT) {
        let message = format_args!("`{DIRECT}` is the uplink of {own} itself, and has no place in a chain");
        return Some(FaultWords::new(message, instead(&without(DIRECT))));
    }
    if hops.contains(&own) {
        let message = format_args!("the chain `{written}` begins at {own}, and does not come back there");
        return Some(FaultWords::new(message, instead(&without(own))));
    }
    let place = |name: &&str| hops.iter().position(|hop| hop == name).unwrap_or_default();
    let (again, first) = hops
        .iter()
        .enumerate()
        .map(|(index, hop)| (index, place(hop)))
        .find(|(index, first)| index != first)?;
    let message = format_args!("the chain `{written}` goes through {} twice", hops[again]);
    Some(FaultWords::new(message, instead(&[&hops[..=first], &hops[again + 1..]].concat())))
}

/// Returns the words on the first hop of a chain that has not the next one among its exits.
fn breaks(draft: &NetworkDraft, site: &SiteDraft, hops: &[&str]) -> Option<FaultWords> {
    let mut from = site;
    for (index, hop) in hops.iter().enumerate() {
        if unclear(draft, from) {
            return None;
        }
        let at = from.name.value.as_str();
        let is_known = draft.sites.iter().any(|site| site.provider_names().contains(*hop));
        if draft.site(hop).is_none() && !is_known {
            let message =
                format_args!("the chain `{}` names `{hop}`, which is not a site in this file", text(hops));
            let mut others = draft.site_names();
            others.retain(|name| *name != site.name.value);
            return Some(FaultWords::new(message, suggest(hop, &others)));
        }
        if let Some(help) = lacks(draft, from, hop) {
            let message = format_args!(
                "the chain `{}` leads from {at} to {hop}, which is not an exit of site {at}",
                text(hops)
            );
            return Some(FaultWords::new(message, help));
        }
        match draft.site(hop) {
            Some(next) => from = next,
            None if index + 1 < hops.len() => {
                let message = format_args!("nothing comes after the provider {hop} in a chain");
                let help = format_args!("write `\"{}\"`", text(&hops[..=index]));
                return Some(FaultWords::new(message, help));
            }
            None => {}
        }
    }
    None
}

/// Refuses more chains than there are addresses for them.
pub(super) fn addresses(draft: &NetworkDraft, found: &mut Findings) {
    let Some(subnet) = draft.subnet.as_ref().map(|subnet| subnet.value) else { return };
    let mut chains = SortedMap::new();
    for site in &draft.sites {
        for portal in &site.portals {
            for exit in portal.exits.iter().filter(|exit| is_chain(&exit.value)) {
                chains.get_or_insert_with((&site.name.value, &exit.value), || &exit.span);
            }
        }
    }
    let most = free_addresses(subnet, &explicit(draft)).len();
    if let Some(span) = chains.values().skip(most).min_by_key(|span| span.start) {
        let message =
            format_args!("there are {} different chains, but only {most} addresses for them", chains.len());
        found.add(span, message, "use the same chain for several portals, or leave chains out");
    }
}
