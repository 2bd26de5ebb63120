//! Several Wi-Fis on one card: what they have to share, and what not.

use super::super::draft::Draft;
use super::super::fault::Findings;
use super::super::model::{Entrance, Wifi};

/// Those of one card are in one country, on one channel, and have names of their own.
pub(super) fn cards(draft: &Draft, found: &mut Findings) {
    for site in &draft.sites {
        let mut seen: Vec<(&str, &Wifi)> = Vec::new();
        for portal in &site.portals {
            let Some(entrance) = &portal.entrance else { continue };
            let Entrance::Wifi(wifi) = &entrance.value else { continue };
            let fault = seen.iter().find_map(|(first, other)| clash(other, wifi, first));
            if let Some((message, help)) = fault {
                found.add(&entrance.span, message, help);
            }
            seen.push((&portal.name.value, wifi));
        }
    }
}

/// What stands against `b`, where `a` is the Wi-Fi of portal `first`, and what to do about it.
fn clash(a: &Wifi, b: &Wifi, first: &str) -> Option<(String, &'static str)> {
    let card = &a.interface;
    if *card != b.interface {
        return None;
    }
    if (&a.country, a.channel) != (&b.country, b.channel) {
        let (country, channel) = (&a.country, a.channel);
        let message = format!("`{card}` is on channel {channel} in {country} for portal {first} already");
        return Some((message, "a card is in one place at a time: write the same `country` and `channel`"));
    }
    let message = || format!("`{card}` offers this `ssid` for portal {first} already");
    (a.ssid == b.ssid).then(|| (message(), "give it a name of its own"))
}
