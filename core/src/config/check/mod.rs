//! Contradictions: parts of the file that are valid alone, but not together.
//!
//! A check examines only readable values: an unreadable value is a fault already.

mod chains;
mod entrances;
mod exits;
mod helpers;
mod identity;
mod lans;
mod links;
mod shared_networks;
mod subnets;
mod wifi;

use super::draft::NetworkDraft;
use super::fault::Findings;

type Check = fn(&NetworkDraft, &mut Findings);

const CHECKS: &[Check] = &[
    identity::site_ids,
    identity::phone_ids,
    identity::public_keys,
    identity::reserved_names,
    subnets::subnet,
    subnets::subnet6,
    subnets::mtu,
    shared_networks::apart_from_subnets,
    shared_networks::apart_at_one_site,
    shared_networks::apart_between_sites,
    shared_networks::apart_from_homes,
    shared_networks::resolvers,
    subnets::families,
    links::peers,
    links::both_kinds,
    links::neither_can_dial,
    links::endpoints,
    links::ports,
    helpers::asked_in_vain,
    helpers::ports,
    exits::portals,
    exits::phones,
    chains::ways,
    chains::addresses,
    entrances::taken,
    entrances::shared,
    entrances::asking_for_the_time,
    entrances::destinations,
    wifi::cards,
    lans::without,
    lans::addresses,
    lans::overlaps,
    lans::full,
];

/// Records all contradictions.
pub(super) fn everything(draft: &NetworkDraft, found: &mut Findings) {
    for check in CHECKS {
        check(draft, found);
    }
}
