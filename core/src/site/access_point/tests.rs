use std::fmt::Write as _;

use super::*;

use crate::wifi::card::{Band, Mode};

const NETWORK: &str = r#"
[network]
name = "home"
subnet = "10.77.0.0/16"

[site.nyc]
id = 1
public_key = "nycnycnycnycnycnycnycnycnycnycnycnycnycnycA="
endpoint = "192.0.2.1"
exits = ["paris"]

[site.paris]
id = 2
public_key = "parisparisparisparisparisparisparisparispaA="
"#;

/// Returns the portals `a`, `b` and so on, one for each list of keys.
fn portals(wifis: &[&str]) -> Vec<PortalConfig> {
    let mut text = NETWORK.to_owned();
    for (name, keys) in ('a'..).zip(wifis) {
        let _ = writeln!(
            text,
            "[site.nyc.portal.{name}]\nexit = \"paris\"\nwifi = {{ interface = \"wlan0\", \
             passphrase_file = \"{name}.key\", country = \"US\", {keys} }}"
        );
    }
    crate::config::parse(&text).unwrap().sites["nyc"].portals.clone()
}

fn band(channels: impl IntoIterator<Item = (u16, ChannelRules)>) -> Band {
    let channels = channels.into_iter().map(|(number, rules)| Channel { number, rules });
    Band { n: true, ac: true, channels: channels.collect() }
}

fn radios() -> Radios {
    let two = (1..=11)
        .map(|number| (number, ChannelRules::Free))
        .chain([(12, ChannelRules::ListenFirst), (14, ChannelRules::Disabled)]);
    let five = [
        (36, ChannelRules::Free),
        (40, ChannelRules::Free),
        (44, ChannelRules::ListenFirst),
        (52, ChannelRules::Radar),
    ];
    let card = Card {
        number: 0,
        address: Mac([2, 0, 0, 0, 0, 9]),
        modes: vec![Mode::Station, Mode::AccessPoint],
        two_ghz: band(two),
        five_ghz: band(five),
        access_points: 2,
        detects_radar: false,
        country: "US".to_owned(),
        keeps_its_country: false,
        is_switched_off: false,
    };
    Radios { cards: [("wlan0".parse().unwrap(), card)].into(), knows_countries: true }
}

fn card(radios: &mut Radios) -> &mut Card {
    radios.cards.get_mut(&"wlan0".parse::<IfName>().unwrap()).unwrap()
}

fn decided(wifis: &[&str], radios: &Radios) -> AccessPointPlan {
    let passphrases = ["a", "b", "c"]
        .map(|name| (OsString::from(format!("{name}.key")), Ok(Passphrase::of("correct horse").unwrap())));
    decide(
        &portals(wifis),
        &[("wlan0".parse().unwrap(), 1500)].into(),
        radios,
        &passphrases.into(),
        PackageManager::default(),
    )
}

#[test]
fn one_card_offers_several_networks() {
    let decision =
        decided(&["ssid = \"A\", channel = 36", "ssid = \"B\", channel = 36, hidden = true"], &radios());
    assert!(decision.notes.is_empty(), "{decision:?}");
    let [access_point] = decision.access_points.as_slice() else { panic!("{decision:?}") };
    assert!(access_point.n && access_point.ac && !access_point.watches_radar);
    let [a, b] = access_point.networks.as_slice() else { panic!("{access_point:?}") };
    assert_eq!((a.interface.as_str(), a.address.to_string().as_str()), ("wlan0", "02:00:00:00:00:09"));
    assert_eq!((b.interface.as_str(), b.address.to_string().as_str()), ("ap-b", "06:00:00:00:00:09"));
    assert!(b.hidden && !a.hidden);
}

#[test]
fn a_note_names_the_missing_ability_of_a_card_and_its_other_abilities() {
    let off = |wifis: &[&str], radios: &Radios| {
        let decision = decided(wifis, radios);
        assert!(decision.access_points.is_empty(), "{decision:?}");
        decision.notes
    };
    let wifi = "ssid = \"A\", channel = 6";
    let mut client = radios();
    card(&mut client).access_points = 0;
    card(&mut client).modes = vec![Mode::Station, Mode::Monitor];
    let no_point = "portal `a`: wlan0 cannot be an access point (it can be: station, monitor); its Wi-Fi \
                    stays off. Use another card";
    assert_eq!(off(&[wifi], &client), [no_point]);
    let no_channel =
        "portal `a`: wlan0 has no channel 149; its Wi-Fi stays off. Choose one of 1-12, 14, 36-44, 52";
    assert_eq!(off(&["ssid = \"A\", channel = 149"], &radios()), [no_channel]);
    assert_eq!(
        off(&[wifi], &Radios::default()),
        ["portal `a`: wlan0 is not a Wi-Fi card; its Wi-Fi stays off. `iw dev` lists the cards of this host"]
    );
}

#[test]
fn a_card_offers_as_many_networks_as_it_can() {
    let three = ["A", "B", "C"].map(|ssid| format!("ssid = \"{ssid}\", channel = 6"));
    let decision = decided(&three.each_ref().map(String::as_str), &radios());
    let too_many =
        "portal `c`: wlan0 can offer 2 Wi-Fi networks at once; its Wi-Fi stays off. Use another card for it";
    assert_eq!(decision.notes, [too_many]);
    assert_eq!(decision.access_points[0].networks.len(), 2);
}

#[test]
fn a_card_that_does_not_exist_is_no_fault() {
    let decision = decide(
        &portals(&["ssid = \"A\", channel = 6"]),
        &SortedMap::new(),
        &Radios::default(),
        &Passphrases::new(),
        PackageManager::default(),
    );
    assert!(decision.notes.is_empty() && decision.access_points.is_empty());
}

#[test]
fn a_channel_that_the_country_forbids_keeps_the_network_off() {
    for (channel, why) in [
        (12, "channel 12 is not allowed on wlan0 in US"),
        (44, "channel 44 is not allowed on wlan0 in US"),
        (52, "channel 52 needs detection of radar, which is not available on wlan0 in US"),
    ] {
        let decision = decided(&[&format!("ssid = \"A\", channel = {channel}")], &radios());
        let note = format!("portal `a`: {why}; its Wi-Fi stays off. Choose one of 1-11, 36-40");
        assert_eq!((decision.notes, decision.access_points.len()), (vec![note], 0));
    }
}

#[test]
fn the_rules_of_another_country_do_not_count() {
    let mut abroad = radios();
    card(&mut abroad).country = "00".to_owned();
    let wifi = ["ssid = \"A\", channel = 44"];
    assert_eq!(decided(&wifi, &abroad).access_points.len(), 1);
    card(&mut abroad).keeps_its_country = true;
    assert_eq!(decided(&wifi, &abroad).access_points.len(), 0);
}

#[test]
fn a_kernel_without_rules_leads_to_a_note() {
    let mut lost = radios();
    lost.knows_countries = false;
    assert!(
        decided(&["ssid = \"A\", channel = 6"], &lost).notes.is_empty(),
        "the card has the rules already"
    );
    card(&mut lost).country = "00".to_owned();
    let decision = decided(&["ssid = \"A\", channel = 6"], &lost);
    assert!(decision.notes[0].contains("wireless-regdb"), "{decision:?}");
    assert_eq!(decision.access_points.len(), 1);
}

/// Returns the interfaces of the offered networks and the notes, for two networks on one card with these
/// results of reading their passphrase files.
fn with_passphrases(a: Result<&str, &str>, b: Result<&str, &str>, wpa: &str) -> (Vec<String>, Vec<String>) {
    let wifis = ["A", "B"].map(|ssid| format!("ssid = \"{ssid}\", channel = 6, wpa = \"{wpa}\""));
    let read = |text: Result<&str, &str>| match text {
        Ok(text) => Ok(Passphrase::of(text).unwrap()),
        Err(fault) => Err(fault.to_owned()),
    };
    let passphrases = [(OsString::from("a.key"), read(a)), (OsString::from("b.key"), read(b))];
    let interfaces = [("wlan0".parse().unwrap(), 1500)].into();
    let portals = portals(&wifis.each_ref().map(String::as_str));
    let decision = decide(&portals, &interfaces, &radios(), &passphrases.into(), PackageManager::default());
    let offers = decision.access_points.iter().flat_map(|card| &card.networks);
    (offers.map(|offer| offer.interface.to_string()).collect(), decision.notes)
}

#[test]
fn a_passphrase_that_cannot_be_read_keeps_its_network_off() {
    let good = Ok("correct horse");
    let bad = Err("/etc/portals/x.key: there is no such file");
    let note =
        |portal| format!("portal `{portal}`: its Wi-Fi stays off: /etc/portals/x.key: there is no such file");
    assert_eq!(with_passphrases(good, bad, "wpa2"), (vec!["wlan0".to_owned()], vec![note("b")]));
    let with_it = "portal `b`: its Wi-Fi stays off until the Wi-Fi of portal `a`, the first on wlan0, works";
    assert_eq!(with_passphrases(bad, good, "wpa2"), (vec![], vec![note("a"), with_it.to_owned()]));
    assert_eq!(with_passphrases(bad, bad, "wpa2"), (vec![], vec![note("a"), note("b")]));
}

#[test]
fn a_key_cannot_be_used_with_wpa3() {
    let key = "5".repeat(64);
    let offered = |wpa| with_passphrases(Ok("correct horse"), Ok(&key), wpa);
    let note = "portal `b`: its Wi-Fi stays off: b.key contains a key of 64 digits, which WPA3 cannot use: \
                put the passphrase there, or write `wpa = \"wpa2\"`";
    for wpa in ["wpa3", "wpa2+wpa3"] {
        assert_eq!(offered(wpa), (vec!["wlan0".to_owned()], vec![note.to_owned()]));
    }
    assert_eq!(offered("wpa2"), (vec!["wlan0".to_owned(), "ap-b".to_owned()], vec![]));
}
