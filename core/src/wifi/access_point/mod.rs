//! From what the file wants and what the cards can do to the access points that are run. Pure.

use std::path::PathBuf;

use super::card::{Card, Channel, Rules, is_two_ghz};
use super::passphrase::Passphrase;
use super::{all, interface};
use crate::base::net::{IfName, Mac};
use crate::base::package_manager::PackageManager;
use crate::base::sorted::SortedMap;
use crate::config::model::{Portal, Security, Wifi};

/// Secrets of Wi-Fis, by the name of their file in the network file; or what is wrong with that file.
pub type Passphrases = SortedMap<PathBuf, Result<Passphrase, String>>;

/// What a host has of Wi-Fi, as far as its site asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Radios {
    /// The cards that the file names, by interface.
    pub cards: SortedMap<IfName, Card>,
    /// Whether the kernel can look up what a country allows.
    pub knows_countries: bool,
    /// The package manager, for advice.
    pub packages: PackageManager,
}

/// A card at work: one hostapd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessPoint {
    /// The card's interface.
    pub interface: IfName,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// Its number.
    pub channel: u16,
    /// Whether it is to watch out for radar.
    pub watches_radar: bool,
    /// Whether it has 802.11n in its band.
    pub n: bool,
    /// Whether it has 802.11ac in its band.
    pub ac: bool,
    /// What it offers; the first is on the card's own interface. Never empty.
    pub networks: Vec<Offer>,
}

/// A Wi-Fi that an access point offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its interface.
    pub interface: IfName,
    /// The hardware address that is sent as its own.
    pub address: Mac,
    /// 1 to 32 bytes.
    pub ssid: Vec<u8>,
    /// Whether it keeps that name to itself.
    pub hidden: bool,
    /// How clients prove that they know the passphrase.
    pub security: Security,
    /// Which is this.
    pub passphrase: Passphrase,
}

/// The access points of a site, and what stands against others.
#[derive(Debug, Default)]
pub struct Decision {
    /// By interface.
    pub access_points: Vec<AccessPoint>,
    /// What keeps others off, in the files of passphrases and in what this host's cards can do: no reason to leave other portals alone.
    pub notes: Vec<String>,
}

impl Decision {
    /// Whether a Wi-Fi is offered on that interface.
    pub fn offers(&self, interface: &IfName) -> bool {
        self.access_points.iter().flat_map(|card| &card.networks).any(|offer| offer.interface == *interface)
    }
}

/// A portal with its Wi-Fi.
type Wanted<'a> = (&'a Portal, &'a Wifi);

/// Decides for the portals of one site, on a host with these interfaces and radios. A card that is not there is none of its matters.
pub fn decide(
    portals: &[Portal],
    interfaces: &SortedMap<IfName, u32>,
    radios: &Radios,
    passphrases: &Passphrases,
) -> Decision {
    let mut by_card: SortedMap<&IfName, Vec<Wanted>> = SortedMap::new();
    for (portal, wifi) in all(portals) {
        by_card.get_or_default(&wifi.interface).push((portal, wifi));
    }
    let mut decision = Decision::default();
    for (name, wanted) in &by_card {
        let notes = &mut decision.notes;
        let fit = with_passphrase(wanted, passphrases, notes);
        if fit.is_empty() || !interfaces.contains_key(*name) {
            continue;
        }
        let Some(card) = radios.cards.get(*name) else {
            let what =
                format!("{name} is no Wi-Fi card; its Wi-Fi stays off. `iw dev` lists those there are");
            notes.push(told(fit[0], &what));
            continue;
        };
        let (fit, surplus) = fit.split_at(fit.len().min(card.access_points as usize));
        let Some(first) = fit.first() else {
            notes.push(no_access_point(name, card, surplus[0]));
            continue;
        };
        notes.extend(surplus.iter().map(|surplus| too_many(name, card, *surplus)));
        let unfit = no_channel(name, card, *first).or_else(|| forbidden(name, card, *first));
        notes.extend(unknown_country(card, *first, radios));
        if unfit.is_none() {
            decision.access_points.extend(access_point(portals, card, fit, passphrases));
        }
        decision.notes.extend(unfit);
    }
    decision
}

/// Those of one card that have a passphrase for it to work with; notes on the others.
fn with_passphrase<'a>(
    wanted: &[Wanted<'a>],
    passphrases: &Passphrases,
    notes: &mut Vec<String>,
) -> Vec<Wanted<'a>> {
    let lacks = |wanted: &Wanted| unfit_passphrase(*wanted, passphrases);
    notes.extend(wanted.iter().filter_map(lacks));
    let fit: Vec<Wanted> = wanted.iter().filter(|wanted| lacks(wanted).is_none()).copied().collect();
    if lacks(&wanted[0]).is_none() {
        return fit;
    }
    // hostapd begins with the first, on the card's own interface.
    let (first, card) = (&wanted[0].0.name, &wanted[0].1.interface);
    let what = format!("its Wi-Fi stays off as long as that of portal `{first}`, the first on {card}, does");
    notes.extend(fit.iter().map(|wanted| told(*wanted, &what)));
    Vec::new()
}

/// WPA3 makes its keys anew each time, from the passphrase itself.
fn unfit_passphrase((portal, wifi): Wanted, passphrases: &Passphrases) -> Option<String> {
    let file = wifi.passphrase_file.display();
    let what = match passphrases.get(&wifi.passphrase_file)? {
        Err(error) => error.clone(),
        Ok(passphrase) if passphrase.is_key() && wifi.security != Security::Wpa2 => format!(
            "{file} is a key of 64 digits, which WPA3 has no use for: put the passphrase there, or write `wpa = \"wpa2\"`"
        ),
        Ok(_) => return None,
    };
    Some(told((portal, wifi), &format!("its Wi-Fi stays off: {what}")))
}

fn told((portal, _): Wanted, what: &str) -> String {
    format!("portal `{}`: {what}", portal.name)
}

fn no_access_point(name: &IfName, card: &Card, wanted: Wanted) -> String {
    let modes: Vec<&str> = card.modes.iter().map(|mode| mode.words()).collect();
    let modes = modes.join(", ");
    let what = format!(
        "{name} cannot be an access point (it can be: {modes}); its Wi-Fi stays off. Use another card"
    );
    told(wanted, &what)
}

fn too_many(name: &IfName, card: &Card, surplus: Wanted) -> String {
    let most = card.access_points;
    told(
        surplus,
        &format!("{name} can offer {most} Wi-Fi at once; its Wi-Fi stays off. Use another card for it"),
    )
}

fn no_channel(name: &IfName, card: &Card, wanted: Wanted) -> Option<String> {
    let channel = wanted.1.channel;
    let what = || {
        format!(
            "{name} has no channel {channel}; its Wi-Fi stays off. Choose one of {}",
            ranges(card.channels())
        )
    };
    card.channel(channel).is_none().then(|| told(wanted, &what()))
}

/// That an access point may not be on the channel here and now. That can change while it runs.
fn forbidden(name: &IfName, card: &Card, (portal, wifi): Wanted) -> Option<String> {
    // Before hostapd tells the kernel the country, the rules of another one hold.
    let rules_hold = card.keeps_its_country || card.country == wifi.country;
    let channel = card.channel(wifi.channel).filter(|channel| rules_hold && !card.allows(*channel))?;
    let (number, country) = (channel.number, &card.country);
    let why = match channel.rules {
        Rules::Radar => "needs a card that notices radar, which cannot be said of",
        _ => "is not allowed on",
    };
    let allowed = ranges(card.channels().filter(|channel| card.allows(*channel)));
    Some(format!(
        "portal `{}`: channel {number} {why} {name} in {country}; its Wi-Fi stays off. Choose one of {allowed}",
        portal.name
    ))
}

fn unknown_country(card: &Card, (portal, wifi): Wanted, radios: &Radios) -> Option<String> {
    let lacks = !radios.knows_countries && !card.keeps_its_country && card.country != wifi.country;
    lacks.then(|| {
        format!(
            "portal `{}`: the kernel may not find out what {} allows, as there is no /lib/firmware/regulatory.db; {}",
            portal.name,
            wifi.country,
            radios.packages.how_to_install("wireless-regdb")
        )
    })
}

fn access_point(
    portals: &[Portal],
    card: &Card,
    wanted: &[Wanted],
    passphrases: &Passphrases,
) -> Option<AccessPoint> {
    let (_, wifi) = wanted[0];
    let channel = card.channel(wifi.channel)?;
    let band = card.band(channel.number);
    let offer = |(index, (portal, wifi)): (usize, &Wanted)| {
        Some(Offer {
            interface: interface(portals, portal, wifi),
            address: address(card.address, index),
            ssid: wifi.ssid.clone().into_bytes(),
            hidden: wifi.hidden,
            security: wifi.security,
            passphrase: passphrases.get(&wifi.passphrase_file)?.clone().ok()?,
        })
    };
    Some(AccessPoint {
        interface: wifi.interface.clone(),
        country: wifi.country.clone(),
        channel: channel.number,
        watches_radar: channel.rules == Rules::Radar,
        n: band.n,
        ac: band.ac && !is_two_ghz(channel.number),
        networks: wanted.iter().enumerate().map(offer).collect::<Option<_>>()?,
    })
}

/// The address of a card's Wi-Fi number `index`. Those beyond the card's own are marked as given locally (IEEE 802, § 8.4), and told
/// apart by the bits above that mark.
fn address(Mac(card): Mac, index: usize) -> Mac {
    let mut bytes = card;
    if index > 0 {
        bytes[0] = (bytes[0] | 0b10) ^ (u8::try_from(index).unwrap_or(u8::MAX) << 2);
    }
    Mac(bytes)
}

/// Channels for people: `1-11, 36-48`.
fn ranges(channels: impl Iterator<Item = Channel>) -> String {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for Channel { number, .. } in channels {
        let step = if is_two_ghz(number) { 1 } else { 4 };
        match ranges.last_mut() {
            Some((_, last)) if *last + step == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let range = |(first, last): (u16, u16)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.into_iter().map(range).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
