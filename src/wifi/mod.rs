//! Wi-Fi as an entrance: what cards can do, the access points that are made of them, and what hostapd is told.

pub mod access_point;
pub mod card;
pub mod hostapd;
pub mod passphrase;

use std::path::Path;

use access_point::Passphrases;
use passphrase::Passphrase;

use crate::config::model::{Entrance, Portal, Wifi};
use crate::net::IfName;
use crate::sorted::SortedSet;

/// The cards that portals of a site name.
pub fn cards(portals: &[Portal]) -> SortedSet<IfName> {
    all(portals).map(|(_, wifi)| wifi.interface.clone()).collect()
}

/// The secrets of a site's Wi-Fis, from the folder of the network file.
pub fn passphrases(portals: &[Portal], folder: &Path) -> Passphrases {
    let read = |(_, wifi): (_, &Wifi)| {
        let read = Passphrase::read(&folder.join(&wifi.passphrase_file));
        (wifi.passphrase_file.clone(), read.map_err(|error| error.to_string()))
    };
    all(portals).map(read).collect()
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
fn all(portals: &[Portal]) -> impl Iterator<Item = (&Portal, &Wifi)> {
    portals.iter().filter_map(|portal| match &portal.entrance {
        Entrance::Wifi(wifi) => Some((portal, wifi)),
        _ => None,
    })
}
