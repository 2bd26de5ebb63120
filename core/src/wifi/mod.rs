//! Wi-Fi: the abilities of cards, passphrases, and the names of further interfaces.

pub mod card;
pub mod passphrase;

use crate::base::net::IfName;

/// Returns the interface of a portal whose Wi-Fi network is not the first of its card: hostapd creates it.
pub fn further_interface(portal: &str) -> IfName {
    // Validation has already refused a name that is longer or has other characters.
    format!("ap-{portal}").parse().expect("names of portals have up to 12 letters")
}
