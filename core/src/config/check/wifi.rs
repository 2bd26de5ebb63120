//! Checks of several Wi-Fi networks on one card.

use super::super::draft::NetworkDraft;
use super::super::fault::{FaultWords, Findings};
use super::super::model::{EntranceConfig, Wifi};

/// Refuses Wi-Fi networks on one card that differ in country or channel, or share a name.
pub(super) fn cards(draft: &NetworkDraft, found: &mut Findings) {
    for site in &draft.sites {
        let mut seen: Vec<(&str, &Wifi)> = Vec::new();
        for portal in &site.portals {
            let Some(entrance) = &portal.entrance else { continue };
            let EntranceConfig::Wifi(wifi) = &entrance.value else { continue };
            let fault = seen.iter().find_map(|(first, other)| clash(other, wifi, first));
            if let Some(words) = fault {
                found.record(&entrance.span, words);
            }
            seen.push((&portal.name.value, wifi));
        }
    }
}

/// Returns words if `b` cannot share a card with `a`, the Wi-Fi network of portal `first`.
fn clash(a: &Wifi, b: &Wifi, first: &str) -> Option<FaultWords> {
    let card = &a.interface;
    if *card != b.interface {
        return None;
    }
    if (&a.country, a.channel) != (&b.country, b.channel) {
        let (country, channel) = (&a.country, a.channel);
        let message =
            format_args!("`{card}` is already on channel {channel} in {country} for portal {first}");
        let help = "one card has one country and one channel: write the same `country` and `channel`";
        return Some(FaultWords::new(message, help));
    }
    if a.ssid != b.ssid {
        return None;
    }
    let message = format_args!("`{card}` already offers this `ssid` for portal {first}");
    Some(FaultWords::new(message, "write another `ssid`"))
}
