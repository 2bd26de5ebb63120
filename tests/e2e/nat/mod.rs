//! Homes behind NAT, which meet with the help of a public site.

mod changes;
mod habits;
mod homes;

mod kinds;
mod mapped;
mod meeting;
mod pairs;
mod traffic;

pub(crate) use changes::SCENARIOS as CHANGES;
pub(crate) use habits::SCENARIOS as HABITS;
pub(crate) use kinds::{SCENARIOS as KINDS, WITH_BRIDGES as KINDS_WITH_BRIDGES};
pub(crate) use mapped::WITH_MINIUPNPD;
pub(crate) use pairs::{
    IN_THE_LAB, SCENARIOS as PAIRS, WITH_BRIDGES as PAIRS_WITH_BRIDGES, WITH_LEGACY_RELAY,
};
