//! Checks of ids, keys and names, which must belong to only one site or phone.

use super::super::draft::{DIRECT, NetworkDraft};
use super::super::fault::{At, Findings};
use super::super::model::MOST_PHONES;
use crate::base::sorted::{SortedMap, order};

/// Refuses an id that two sites share.
pub(super) fn site_ids(draft: &NetworkDraft, found: &mut Findings) {
    let ids = draft.sites.iter().filter_map(|site| Some((site.name.value.as_str(), site.id.as_ref()?)));
    unique_ids("site", 250, &ids.collect::<Vec<_>>(), found);
}

/// Refuses an id that two phones share.
pub(super) fn phone_ids(draft: &NetworkDraft, found: &mut Findings) {
    let ids = draft.phones.iter().filter_map(|phone| Some((phone.name.value.as_str(), phone.id.as_ref()?)));
    unique_ids("phone", MOST_PHONES, &ids.collect::<Vec<_>>(), found);
}

fn unique_ids(what: &str, most: u8, ids: &[(&str, &At<u8>)], found: &mut Findings) {
    let mut owners: SortedMap<u8, &str> = SortedMap::new();
    for (name, id) in ids {
        if let Some(owner) = owners.get(&id.value) {
            let free = (1..=most).find(|free| ids.iter().all(|(_, id)| id.value != *free));
            let help = match free {
                Some(free) => format!("write an id that no {what} has, such as {free}"),
                None => format!("all {most} ids are taken: remove a {what}"),
            };
            found.add(&id.span, format_args!("`id` {} already belongs to {what} {owner}", id.value), help);
        } else {
            owners.insert(id.value, name);
        }
    }
}

/// Refuses a public key that appears twice: WireGuard identifies a peer only by its key.
pub(super) fn public_keys(draft: &NetworkDraft, found: &mut Findings) {
    let mut keys = Vec::new();
    for site in &draft.sites {
        keys.extend(site.public_key.as_ref().map(|key| (format!("site {}", site.name.value), key)));
    }
    for phone in &draft.phones {
        keys.extend(phone.public_key.as_ref().map(|key| (format!("phone {}", phone.name.value), key)));
    }
    let places: Vec<_> = keys.iter().map(|(_, key)| (key.span.start, 0)).collect();
    let mut owners = SortedMap::new();
    for at in order(&places) {
        let (owner, key) = &keys[at];
        if let Some(earlier) = owners.get(&key.value) {
            let help = format_args!("write the key of {owner} here");
            found.add(&key.span, format_args!("`public_key` already belongs to {earlier}"), help);
        } else {
            owners.insert(key.value, owner);
        }
    }
}

/// Refuses names of sites and exits that would make a name in `exit` ambiguous.
pub(super) fn reserved_names(draft: &NetworkDraft, found: &mut Findings) {
    for site in &draft.sites {
        if site.name.value == DIRECT {
            let message = format_args!(
                "a site cannot be named `{DIRECT}`: in `exit`, this means the site's own uplink"
            );
            found.add(&site.name.span, message, "choose another name");
        }
        for name in site.providers.iter().map(|provider| &provider.name) {
            if name.value == DIRECT {
                let message =
                    format_args!("an exit cannot be named `{DIRECT}`: this means the site's own uplink");
                found.add(&name.span, message, "choose another name");
            } else if draft.site(&name.value).is_some() {
                let message =
                    format_args!("an exit cannot be named `{}`: a site has this name already", name.value);
                found.add(&name.span, message, "choose another name");
            }
        }
    }
}
