//! Where portals and phones leave.

use super::super::draft::{DIRECT, Draft, SiteDraft};
use super::super::fault::{At, Findings};
use super::super::suggest::suggest;

/// A portal leaves at exits of its site, and at the own uplink only when nothing else is left.
pub(super) fn portals(draft: &Draft, found: &mut Findings) {
    for site in &draft.sites {
        for portal in &site.portals {
            let last = portal.exits.len().saturating_sub(1);
            for (index, exit) in portal.exits.iter().enumerate() {
                if exit.value == DIRECT && index < last {
                    let help = format!("put `\"{DIRECT}\"` last, or take out what follows it");
                    found.add(
                        &exit.span,
                        format!("`{DIRECT}` never fails: no exit behind it is tried"),
                        help,
                    );
                }
                is_exit(draft, site, exit, found);
            }
        }
    }
}

/// A phone dials a site, and leaves at an exit of that.
pub(super) fn phones(draft: &Draft, found: &mut Findings) {
    for phone in &draft.phones {
        let Some(at) = &phone.at else { continue };
        match (draft.site(&at.value), &phone.exit) {
            (None, _) => {
                let message = format!("`at` is `{}`, which is no site of this file", at.value);
                found.add(&at.span, message, suggest(&at.value, draft.site_names()));
            }
            (Some(site), Some(exit)) if exit.value != site.name.value => is_exit(draft, site, exit, found),
            _ => {}
        }
    }
}

/// Whether the exits of a site are not all known: what is missing may be what is misspelt, and that is a fault already.
fn unclear(draft: &Draft, site: &SiteDraft) -> bool {
    let unknown = |exit: &At<String>| draft.site(&exit.value).is_none();
    site.exits.iter().any(unknown) || (site.exits.is_empty() && site.misspelt)
}

fn is_exit(draft: &Draft, site: &SiteDraft, exit: &At<String>, found: &mut Findings) {
    let (own, name) = (site.name.value.as_str(), exit.value.as_str());
    let is = |list: &[At<String>]| list.iter().any(|listed| listed.value == name);
    if name == DIRECT || is(&site.exits) || site.provider_names().contains(name) || unclear(draft, site) {
        return;
    }
    let message = format!("`exit` names `{name}`, which is no exit of site {own}");
    let help = if name == own {
        format!("write `\"{DIRECT}\"` to leave at {own} itself")
    } else if is(&site.links) {
        format!("move it from `links` to `exits` in [site.{own}]")
    } else if draft.site(name).is_some() {
        format!("add `\"{name}\"` to `exits` in [site.{own}]")
    } else if let Some(other) = draft.sites.iter().find(|other| other.provider_names().contains(name)) {
        format!("it is one of site {}: add `[site.{own}.exit.{name}]`", other.name.value)
    } else {
        let providers = site.providers.iter().map(|provider| &provider.name);
        let exits = site.exits.iter().chain(providers).map(|exit| exit.value.as_str());
        suggest(name, exits.chain([DIRECT]))
    };
    found.add(&exit.span, message, help);
}
