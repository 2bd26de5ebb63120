//! Access points of a site, decided from the network file and the abilities of the host's cards. Pure.

use std::ffi::OsString;
use std::fmt::Write as _;

use crate::base::net::{IfName, Mac};
use crate::base::package_manager::PackageManager;
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::{EntranceConfig, PortalConfig, Security, Wifi};
use crate::wifi::card::{Card, Channel, ChannelRules, is_two_ghz};
use crate::wifi::further_interface;
use crate::wifi::passphrase::Passphrase;

/// Passphrases by the name of their file as the network file has it; or the fault of that file.
pub type Passphrases = SortedMap<OsString, Result<Passphrase, String>>;

/// Wi-Fi abilities of a host, as far as its site needs them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Radios {
    /// Cards that the network file names, by interface.
    pub cards: SortedMap<IfName, Card>,
    /// Set if the kernel can look up the rules of a country.
    pub knows_countries: bool,
}

/// Returns the cards that the portals of a site name.
pub fn cards(portals: &[PortalConfig]) -> SortedSet<IfName> {
    all(portals).map(|(_, wifi)| wifi.interface.clone()).collect()
}

/// Returns the interface of a portal's Wi-Fi network: the card's own interface for the first network of a
/// card.
pub fn interface(portals: &[PortalConfig], portal: &PortalConfig, wifi: &Wifi) -> IfName {
    match all(portals).find(|(_, other)| other.interface == wifi.interface) {
        Some((first, _)) if first.name == portal.name => wifi.interface.clone(),
        _ => further_interface(&portal.name),
    }
}

/// Returns the portals with a Wi-Fi network, in the order of the network file.
pub fn all(portals: &[PortalConfig]) -> impl Iterator<Item = (&PortalConfig, &Wifi)> {
    portals.iter().filter_map(|portal| match &portal.entrance {
        EntranceConfig::Wifi(wifi) => Some((portal, wifi)),
        _ => None,
    })
}

/// Access point of one card: one hostapd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessPoint {
    /// Interface of the card.
    pub interface: IfName,
    /// Country in ISO 3166-1 alpha-2.
    pub country: String,
    /// Number of the channel.
    pub channel: u16,
    /// Set if the access point must watch for radar.
    pub watches_radar: bool,
    /// Set if the card has 802.11n in the band of the channel.
    pub n: bool,
    /// Set if the card has 802.11ac in the band of the channel.
    pub ac: bool,
    /// Networks of the access point; the first is on the card's own interface. Never empty.
    pub networks: Vec<Offer>,
}

/// Wi-Fi network that an access point offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Interface of the network.
    pub interface: IfName,
    /// Hardware address of the network (BSSID).
    pub address: Mac,
    /// Name of the network: 1 to 32 bytes.
    pub ssid: Vec<u8>,
    /// Set if the access point does not announce the name.
    pub hidden: bool,
    /// Protocol by which clients prove that they know the passphrase.
    pub security: Security,
    /// Passphrase of the network.
    pub passphrase: Passphrase,
}

/// Access points of a site, and the faults that keep others off.
#[derive(Debug, Clone, Default)]
pub struct AccessPointPlan {
    /// Access points in the order of their interfaces.
    pub access_points: Vec<AccessPoint>,
    /// Faults that keep networks off: in the files of passphrases, or in the abilities of the host's cards.
    /// Portals without a fault work all the same.
    pub notes: Vec<String>,
}

impl AccessPointPlan {
    /// Reports whether a network is offered on this interface.
    pub fn offers(&self, interface: &IfName) -> bool {
        self.access_points.iter().flat_map(|card| &card.networks).any(|offer| offer.interface == *interface)
    }
}

/// Portal with its Wi-Fi network.
type WifiPortal<'a> = (&'a PortalConfig, &'a Wifi);

/// Decides on the access points for the portals of one site, on a host with these interfaces and radios. A
/// card that does not exist is left out without a note.
pub fn decide(
    portals: &[PortalConfig],
    interfaces: &SortedMap<IfName, u32>,
    radios: &Radios,
    passphrases: &Passphrases,
    manager: PackageManager,
) -> AccessPointPlan {
    let mut by_card: SortedMap<&IfName, Vec<WifiPortal>> = SortedMap::new();
    for (portal, wifi) in all(portals) {
        by_card.get_or_default(&wifi.interface).push((portal, wifi));
    }
    let mut decision = AccessPointPlan::default();
    for (name, wanted) in &by_card {
        let notes = &mut decision.notes;
        let fit = with_passphrase(wanted, passphrases, notes);
        if fit.is_empty() || !interfaces.contains_key(*name) {
            continue;
        }
        let Some(card) = radios.cards.get(*name) else {
            let what = format!(
                "{name} is not a Wi-Fi card; its Wi-Fi stays off. `iw dev` lists the cards of this host"
            );
            notes.push(note_on(fit[0], &what));
            continue;
        };
        let (fit, surplus) = fit.split_at(fit.len().min(card.access_points as usize));
        let Some(first) = fit.first() else {
            notes.push(no_access_point(name, card, surplus[0]));
            continue;
        };
        notes.extend(surplus.iter().map(|surplus| too_many(name, card, *surplus)));
        let unfit = no_channel(name, card, *first).or_else(|| forbidden(name, card, *first));
        notes.extend(unknown_country(card, *first, radios.knows_countries, manager));
        if unfit.is_none() {
            decision.access_points.extend(access_point(portals, card, fit, passphrases));
        }
        decision.notes.extend(unfit);
    }
    decision
}

/// Returns the networks of one card that have a usable passphrase, and adds notes about the others.
fn with_passphrase<'a>(
    wanted: &[WifiPortal<'a>],
    passphrases: &Passphrases,
    notes: &mut Vec<String>,
) -> Vec<WifiPortal<'a>> {
    let mut fit = Vec::new();
    for wanted in wanted {
        match unfit_passphrase(*wanted, passphrases) {
            Some(note) => notes.push(note),
            None => fit.push(*wanted),
        }
    }
    // hostapd needs the first network, which is on the card's own interface.
    let (first, card) = (&wanted[0].0.name, &wanted[0].1.interface);
    if fit.first().is_some_and(|(portal, _)| portal.name != *first) {
        let what =
            format!("its Wi-Fi stays off until the Wi-Fi of portal `{first}`, the first on {card}, works");
        for wanted in fit.drain(..) {
            notes.push(note_on(wanted, &what));
        }
    }
    fit
}

/// Returns a note if a network has no usable passphrase. WPA3 makes new keys from the passphrase itself each
/// time, so a key cannot replace it.
fn unfit_passphrase((portal, wifi): WifiPortal, passphrases: &Passphrases) -> Option<String> {
    let file = wifi.passphrase_file.display();
    let what = match passphrases.get(wifi.passphrase_file.as_os_str())? {
        Err(error) => error.clone(),
        Ok(passphrase) if passphrase.is_key() && wifi.security != Security::Wpa2 => format!(
            "{file} contains a key of 64 digits, which WPA3 cannot use: put the passphrase there, or write \
             `wpa = \"wpa2\"`"
        ),
        Ok(_) => return None,
    };
    Some(note_on((portal, wifi), &format!("its Wi-Fi stays off: {what}")))
}

fn note_on((portal, _): WifiPortal, what: &str) -> String {
    format!("portal `{}`: {what}", portal.name)
}

fn no_access_point(name: &IfName, card: &Card, wanted: WifiPortal) -> String {
    let modes: Vec<&str> = card.modes.iter().map(|mode| mode.words()).collect();
    let modes = modes.join(", ");
    let what = format!(
        "{name} cannot be an access point (it can be: {modes}); its Wi-Fi stays off. Use another card"
    );
    note_on(wanted, &what)
}

fn too_many(name: &IfName, card: &Card, surplus: WifiPortal) -> String {
    let most = card.access_points;
    note_on(
        surplus,
        &format!(
            "{name} can offer {most} Wi-Fi networks at once; its Wi-Fi stays off. Use another card for it"
        ),
    )
}

fn no_channel(name: &IfName, card: &Card, wanted: WifiPortal) -> Option<String> {
    let channel = wanted.1.channel;
    let what = || {
        format!(
            "{name} has no channel {channel}; its Wi-Fi stays off. Choose one of {}",
            ranges(&mut card.channels())
        )
    };
    card.channel(channel).is_none().then(|| note_on(wanted, &what()))
}

/// Returns a note if the rules that hold now forbid the channel to access points. The rules can change while
/// an access point runs.
fn forbidden(name: &IfName, card: &Card, (portal, wifi): WifiPortal) -> Option<String> {
    // Until hostapd tells the country to the kernel, the rules of another country hold.
    let rules_hold = card.keeps_its_country || card.country == wifi.country;
    let channel = card.channel(wifi.channel).filter(|channel| rules_hold && !card.allows(*channel))?;
    let (number, country) = (channel.number, &card.country);
    let why = match channel.rules {
        ChannelRules::Radar => "needs detection of radar, which is not available on",
        _ => "is not allowed on",
    };
    let allowed = ranges(&mut card.channels().filter(|channel| card.allows(*channel)));
    Some(format!(
        "portal `{}`: channel {number} {why} {name} in {country}; its Wi-Fi stays off. Choose one of \
         {allowed}",
        portal.name
    ))
}

fn unknown_country(
    card: &Card,
    (portal, wifi): WifiPortal,
    knows_countries: bool,
    manager: PackageManager,
) -> Option<String> {
    let lacks = !knows_countries && !card.keeps_its_country && card.country != wifi.country;
    lacks.then(|| {
        format!(
            "portal `{}`: the kernel cannot look up the rules of {}, because there is no \
             /lib/firmware/regulatory.db; {}",
            portal.name,
            wifi.country,
            manager.how_to_install("wireless-regdb")
        )
    })
}

fn access_point(
    portals: &[PortalConfig],
    card: &Card,
    wanted: &[WifiPortal],
    passphrases: &Passphrases,
) -> Option<AccessPoint> {
    let (_, wifi) = wanted[0];
    let channel = card.channel(wifi.channel)?;
    let band = card.band(channel.number);
    let mut networks = Vec::new();
    for (portal, wifi) in wanted {
        networks.push(Offer {
            interface: interface(portals, portal, wifi),
            address: address(card.address, networks.len()),
            ssid: wifi.ssid.clone().into_bytes(),
            hidden: wifi.hidden,
            security: wifi.security,
            passphrase: passphrases.get(wifi.passphrase_file.as_os_str())?.clone().ok()?,
        });
    }
    Some(AccessPoint {
        interface: wifi.interface.clone(),
        country: wifi.country.clone(),
        channel: channel.number,
        watches_radar: channel.rules == ChannelRules::Radar,
        n: band.n,
        ac: band.ac && !is_two_ghz(channel.number),
        networks,
    })
}

/// Returns the hardware address of the network number `index` of a card. The first has the card's address.
/// The others are marked as locally administered (IEEE 802, § 8.4), and differ in the bits above that mark.
fn address(Mac(card): Mac, index: usize) -> Mac {
    let mut bytes = card;
    if index > 0 {
        bytes[0] = (bytes[0] | 0b10) ^ (u8::try_from(index).unwrap_or(u8::MAX) << 2);
    }
    Mac(bytes)
}

/// Returns channels for people: `1-11, 36-48`.
fn ranges(channels: &mut dyn Iterator<Item = Channel>) -> String {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for Channel { number, .. } in channels {
        let step = if is_two_ghz(number) { 1 } else { 4 };
        match ranges.last_mut() {
            Some((_, last)) if *last + step == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let mut text = String::new();
    for (first, last) in ranges {
        let _ = if text.is_empty() { write!(text, "{first}") } else { write!(text, ", {first}") };
        if first != last {
            let _ = write!(text, "-{last}");
        }
    }
    text
}

#[cfg(test)]
mod tests;
