//! Wi-Fi as an entrance: what cards can do, the access points that are made of them, and what hostapd is told.

pub mod access_point;
pub mod card;
pub mod passphrase;

use crate::base::net::IfName;
use crate::base::sorted::SortedSet;
use crate::config::model::{Entrance, Portal, Wifi};

/// The cards that portals of a site name.
pub fn cards(portals: &[Portal]) -> SortedSet<IfName> {
    all(portals).map(|(_, wifi)| wifi.interface.clone()).collect()
}

/// The interface of a portal's Wi-Fi: the first of a card is on the card's own.
pub fn interface(portals: &[Portal], portal: &Portal, wifi: &Wifi) -> IfName {
    match all(portals).find(|(_, other)| other.interface == wifi.interface) {
        Some((first, _)) if first.name == portal.name => wifi.interface.clone(),
        _ => further_interface(&portal.name),
    }
}

/// The interface of a portal whose Wi-Fi is not the first of its card: hostapd makes it.
pub fn further_interface(portal: &str) -> IfName {
    // A name that is too long for it, or has other letters, is a fault of the file already.
    format!("ap-{portal}").parse().expect("names of portals have up to 12 letters")
}

/// The portals that are Wi-Fis, in the order of the file.
pub fn all(portals: &[Portal]) -> impl Iterator<Item = (&Portal, &Wifi)> {
    portals.iter().filter_map(|portal| match &portal.entrance {
        Entrance::Wifi(wifi) => Some((portal, wifi)),
        _ => None,
    })
}
