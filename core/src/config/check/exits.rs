//! Checks of the exits that portals and phones name.

use super::super::chain::is_chain;
use super::super::draft::{DIRECT, NetworkDraft, SiteDraft};
use super::super::fault::{At, Findings};
use super::super::suggest::suggest;

/// Refuses names that are not exits of the portal's site, and `direct` before the end of a list.
pub(super) fn portals(draft: &NetworkDraft, found: &mut Findings) {
    for site in &draft.sites {
        let is_unclear = unclear(draft, site);
        for portal in &site.portals {
            let last = portal.exits.len().saturating_sub(1);
            for (index, exit) in portal.exits.iter().enumerate() {
                if exit.value == DIRECT && index < last {
                    let message =
                        format_args!("`{DIRECT}` never fails, so the exits after it are never tried");
                    let help = format_args!("put `\"{DIRECT}\"` last, or remove the exits after it");
                    found.add(&exit.span, message, help);
                }
                if !is_unclear {
                    is_exit(draft, site, exit, found);
                }
            }
        }
    }
}

/// Refuses phones that dial an unknown site, or leave at an exit that this site does not have.
pub(super) fn phones(draft: &NetworkDraft, found: &mut Findings) {
    for phone in &draft.phones {
        let Some(at) = &phone.at else { continue };
        match (draft.site(&at.value), &phone.exit) {
            (None, _) => {
                let message = format_args!("`at` is `{}`, which is not a site in this file", at.value);
                found.add(&at.span, message, suggest(&at.value, &draft.site_names()));
            }
            (Some(site), Some(exit)) if exit.value != site.name.value && !unclear(draft, site) => {
                is_exit(draft, site, exit, found);
            }
            _ => {}
        }
    }
}

/// Reports whether the site's list of exits has a fault already: a missing exit may be a misspelt one.
pub(super) fn unclear(draft: &NetworkDraft, site: &SiteDraft) -> bool {
    let unknown = |exit: &At<String>| draft.site(&exit.value).is_none();
    site.exits.iter().any(unknown) || (site.exits.is_empty() && site.misspelt)
}

fn is_exit(draft: &NetworkDraft, site: &SiteDraft, exit: &At<String>, found: &mut Findings) {
    let (own, name) = (site.name.value.as_str(), exit.value.as_str());
    if name == DIRECT || is_chain(name) {
        return;
    }
    if let Some(help) = lacks(draft, site, name) {
        found.add(
            &exit.span,
            format_args!("`exit` names `{name}`, which is not an exit of site {own}"),
            help,
        );
    }
}

/// Returns what to write if the site has no exit of that name.
pub(super) fn lacks(draft: &NetworkDraft, site: &SiteDraft, name: &str) -> Option<String> {
    let own = site.name.value.as_str();
    let is = |list: &[At<String>]| list.iter().any(|listed| listed.value == name);
    if is(&site.exits) || site.provider_names().contains(name) {
        return None;
    }
    Some(if name == own {
        format!("write `\"{DIRECT}\"` to leave at {own} itself")
    } else if is(&site.links) {
        format!("move it from `links` to `exits` in [site.{own}]")
    } else if draft.site(name).is_some() {
        format!("add `\"{name}\"` to `exits` in [site.{own}]")
    } else if let Some(other) = draft.sites.iter().find(|other| other.provider_names().contains(name)) {
        format!("it is an exit of site {}: add `[site.{own}.exit.{name}]` to use it here", other.name.value)
    } else {
        let providers = site.providers.iter().map(|provider| &provider.name);
        let mut exits: Vec<&str> =
            site.exits.iter().chain(providers).map(|exit| exit.value.as_str()).collect();
        exits.push(DIRECT);
        suggest(name, &exits)
    })
}
