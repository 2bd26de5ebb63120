//! Checks of several Wi-Fi networks on one card.

use super::super::draft::NetworkDraft;
use super::super::fault::Findings;
use super::super::model::{EntranceConfig, Wifi};

/// Refuses Wi-Fi networks on one card that differ in country or channel, or share a name.
pub(super) fn cards(draft: &NetworkDraft, found: &mut Findings) {
    for site in &draft.sites {
        let mut seen: Vec<(&str, &Wifi)> = Vec::new();
        for portal in &site.portals {
            let Some(entrance) = &portal.entrance else { continue };
            let EntranceConfig::Wifi(wifi) = &entrance.value else { continue };
            let fault = seen.iter().find_map(|(first, other)| clash(other, wifi, first));
            if let Some((message, help)) = fault {
                found.add(&entrance.span, message, help);
            }
            seen.push((&portal.name.value, wifi));
        }
    }
}

/// Returns message and help if `b` cannot share a card with `a`, the Wi-Fi network of portal `first`.
fn clash(a: &Wifi, b: &Wifi, first: &str) -> Option<(String, &'static str)> {
    let card = &a.interface;
    if *card != b.interface {
        return None;
    }
    if (&a.country, a.channel) != (&b.country, b.channel) {
        let (country, channel) = (&a.country, a.channel);
        let message = format!("`{card}` is already on channel {channel} in {country} for portal {first}");
        return Some((
            message,
            "one card has one country and one channel: write the same `country` and `channel`",
        ));
    }
    let message = || format!("`{card}` already offers this `ssid` for portal {first}");
    (a.ssid == b.ssid).then(|| (message(), "write another `ssid`"))
}
