//! The kernel's answers about Wi-Fi cards, read in place: linux/nl80211.h. Numbers are in the machine's byte
//! order.

use super::attribute;
use crate::base::net::{IfName, Mac};
use crate::kernel::attributes::{Attributes, native_number, text_before_zero};
use crate::kernel::generic::PlainMessage;
use crate::wifi::card::{Band, Card, Channel, ChannelRules, Mode, Station, channel_number};

/// Attributes of a band (NL80211_BAND_ATTR_*).
mod band {
    pub(super) const FREQS: u16 = 1;
    pub(super) const HT_CAPA: u16 = 4;
    pub(super) const VHT_CAPA: u16 = 8;
    /// Numbers of the bands, which are the kinds of their attributes: NL80211_BAND_2GHZ and
    /// NL80211_BAND_5GHZ.
    pub(super) const TWO_GHZ: u16 = 0;
    pub(super) const FIVE_GHZ: u16 = 1;
}

/// Attributes of a channel (NL80211_FREQUENCY_ATTR_*).
mod frequency {
    pub(super) const FREQ: u16 = 1;
    pub(super) const DISABLED: u16 = 2;
    pub(super) const NO_IR: u16 = 3;
    pub(super) const RADAR: u16 = 5;
}

/// Attributes of a combination of modes (NL80211_IFACE_COMB_* and NL80211_IFACE_LIMIT_*).
mod combination {
    pub(super) const LIMITS: u16 = 1;
    pub(super) const MAXNUM: u16 = 2;
    pub(super) const RADAR_DETECT_WIDTHS: u16 = 5;
    pub(super) const LIMIT_MAX: u16 = 1;
    pub(super) const LIMIT_TYPES: u16 = 2;
}

/// Attributes of a connected device (NL80211_STA_INFO_*).
mod station_info {
    pub(super) const INACTIVE_TIME: u16 = 1;
    pub(super) const RX_BYTES: u16 = 2;
    pub(super) const TX_BYTES: u16 = 3;
    pub(super) const SIGNAL: u16 = 7;
    pub(super) const CONNECTED_TIME: u16 = 16;
    pub(super) const RX_BYTES64: u16 = 23;
    pub(super) const TX_BYTES64: u16 = 24;
}

/// Modes of a card by their numbers (NL80211_IFTYPE_*), which are the kinds of the attributes in a set of
/// modes.
const MODES: [(u16, Mode); 5] = [
    (1, Mode::AdHoc),
    (2, Mode::Station),
    (ACCESS_POINT, Mode::AccessPoint),
    (6, Mode::Monitor),
    (7, Mode::Mesh),
];

const ACCESS_POINT: u16 = 3;

/// Bits of the channel widths of 20 MHz, without and with 802.11n (NL80211_CHAN_WIDTH_20_NOHT and _20), among
/// the widths in which a card detects radar.
const PLAIN_WIDTHS: u32 = 0b11;

/// An interface of a card.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WirelessInterface {
    pub(super) index: u32,
    pub(super) name: IfName,
    /// Number of the card.
    pub(super) card: u32,
    pub(super) address: Mac,
}

/// Reads an interface of a card; `None` if it is not a network interface.
pub(crate) fn interface(part: &PlainMessage) -> Option<WirelessInterface> {
    let attributes = part.attributes();
    Some(WirelessInterface {
        index: number(attributes, attribute::IFINDEX)?,
        name: attributes.text(attribute::IFNAME)?.parse().ok()?,
        card: number(attributes, attribute::WIPHY)?,
        address: mac(attributes)?,
    })
}

/// Adds one part of the description of a card. A band comes with its abilities first, and then channel by
/// channel.
pub(crate) fn take_card(card: &mut Card, part: &PlainMessage) {
    for (kind, value) in part.attributes().iter() {
        match kind {
            attribute::SUPPORTED_IFTYPES => card.modes = modes(Attributes::of(value)),
            attribute::WIPHY_BANDS => {
                let bands = Attributes::of(value);
                take_band(&mut card.two_ghz, bands.nested(band::TWO_GHZ));
                take_band(&mut card.five_ghz, bands.nested(band::FIVE_GHZ));
            }
            attribute::INTERFACE_COMBINATIONS => {
                for combination in Attributes::of(value).elements() {
                    take_combination(card, combination);
                }
            }
            _ => {}
        }
    }
    // A card without combinations has one mode at a time.
    if card.modes.contains(&Mode::AccessPoint) {
        card.access_points = card.access_points.max(1);
    }
}

fn modes(set: Attributes) -> Vec<Mode> {
    let known = |(kind, _)| MODES.into_iter().find(|(number, _)| *number == kind).map(|(_, mode)| mode);
    set.iter().filter_map(known).collect()
}

fn take_band(taken: &mut Band, told: Attributes) {
    taken.n |= told.bytes(band::HT_CAPA).is_some();
    taken.ac |= told.bytes(band::VHT_CAPA).is_some();
    let channel = |channel| {
        let number = channel_number(number(channel, frequency::FREQ)?)?;
        Some(Channel { number, rules: rules(channel) })
    };
    taken.channels.extend(told.nested(band::FREQS).elements().filter_map(channel));
}

fn rules(channel: Attributes) -> ChannelRules {
    let is_marked = |kind| channel.bytes(kind).is_some();
    if is_marked(frequency::DISABLED) {
        ChannelRules::Disabled
    } else if is_marked(frequency::RADAR) {
        // Channels with radar are marked NO_IR as well: a card must listen for radar before it sends.
        ChannelRules::Radar
    } else if is_marked(frequency::NO_IR) {
        ChannelRules::ListenFirst
    } else {
        ChannelRules::Free
    }
}

/// Adds a combination of modes that a card can have at once: limits for sets of modes, and for all modes
/// together.
fn take_combination(card: &mut Card, told: Attributes) {
    let limit = |limit: Attributes| {
        let has_access_points = limit.nested(combination::LIMIT_TYPES).bytes(ACCESS_POINT).is_some();
        number(limit, combination::LIMIT_MAX).filter(|_| has_access_points)
    };
    let limits = told.nested(combination::LIMITS).elements().filter_map(limit);
    let together = number(told, combination::MAXNUM).unwrap_or(0);
    card.access_points = card.access_points.max(together.min(limits.fold(0, u32::saturating_add)));
    let widths = number(told, combination::RADAR_DETECT_WIDTHS).unwrap_or(0);
    card.detects_radar |= widths & PLAIN_WIDTHS != 0;
}

/// Adds the country whose rules the card follows.
pub(crate) fn take_domain(card: &mut Card, part: &PlainMessage) {
    let attributes = part.attributes();
    attributes.bytes(attribute::REG_ALPHA2).map_or("", text_before_zero).clone_into(&mut card.country);
    card.keeps_its_country = attributes.bytes(attribute::WIPHY_SELF_MANAGED_REG).is_some();
}

/// Reads a connected device.
pub(crate) fn station(part: &PlainMessage) -> Option<Station> {
    let attributes = part.attributes();
    let told = attributes.nested(attribute::STA_INFO);
    let bytes = |long, short| {
        let long = told.bytes(long).and_then(|value| value.first_chunk().copied()).map(u64::from_ne_bytes);
        long.or_else(|| number(told, short).map(u64::from)).unwrap_or(0)
    };
    Some(Station {
        mac: mac(attributes)?,
        signal: told
            .bytes(station_info::SIGNAL)
            .and_then(|value| value.first())
            .map(|byte| byte.cast_signed()),
        connected: number(told, station_info::CONNECTED_TIME).unwrap_or(0),
        silent: number(told, station_info::INACTIVE_TIME).unwrap_or(0),
        received: bytes(station_info::RX_BYTES64, station_info::RX_BYTES),
        sent: bytes(station_info::TX_BYTES64, station_info::TX_BYTES),
    })
}

fn number(attributes: Attributes, kind: u16) -> Option<u32> {
    attributes.bytes(kind).and_then(native_number)
}

fn mac(attributes: Attributes) -> Option<Mac> {
    attributes.bytes(attribute::MAC)?.first_chunk().copied().map(Mac)
}

/// Tests with answers of Linux 6.1 from `recorded/`: two radios of mac80211_hwsim under the rules of the US,
/// one of them an access point with a client. Channels outside of 2.4 and 5 GHz were left out.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::message::Decode as _;
    use crate::kernel::netlink::frames;
    use ChannelRules::{Disabled, Free, ListenFirst, Radar};

    fn parts(recorded: &[u8]) -> Vec<PlainMessage> {
        frames(recorded).map(|frame| PlainMessage::decode(frame.payload).unwrap()).collect()
    }

    fn recorded_card() -> Card {
        let mut card = Card::default();
        for part in &parts(include_bytes!("recorded/card")) {
            take_card(&mut card, part);
        }
        for part in &parts(include_bytes!("recorded/domain")) {
            take_domain(&mut card, part);
        }
        card
    }

    #[test]
    fn a_card_is_known_by_what_it_tells() {
        let card = recorded_card();
        assert_eq!(card.modes, MODES.map(|(_, mode)| mode));
        assert_eq!((card.access_points, card.detects_radar), (2048, true));
        assert_eq!((card.country.as_str(), card.keeps_its_country), ("US", false));
        assert!(card.two_ghz.n && !card.two_ghz.ac && card.five_ghz.n && card.five_ghz.ac);
        assert_eq!((card.two_ghz.channels.len(), card.five_ghz.channels.len()), (14, 27));
        let rules = [1, 11, 12, 14, 36, 52, 165, 169].map(|number| card.channel(number).unwrap().rules);
        assert_eq!(rules, [Free, Free, Disabled, Disabled, Free, Radar, Free, ListenFirst]);
    }

    #[test]
    fn interfaces_are_those_of_the_network() {
        let interfaces: Vec<WirelessInterface> =
            parts(include_bytes!("recorded/interfaces")).iter().filter_map(interface).collect();
        let told: Vec<(&str, u32, String)> = interfaces
            .iter()
            .map(|interface| (interface.name.as_str(), interface.card, interface.address.to_string()))
            .collect();
        let expected = [
            ("wlan2", 2, "02:00:00:00:02:00"),
            ("wlan1", 1, "02:00:00:00:01:00"),
            ("wlan0-1", 0, "06:00:00:00:00:00"),
            ("wlan0", 0, "02:00:00:00:00:00"),
        ];
        assert_eq!(told, expected.map(|(name, card, address)| (name, card, address.to_owned())));
    }

    #[test]
    fn who_is_connected_is_told() {
        let [part] = parts(include_bytes!("recorded/stations")).try_into().unwrap();
        let expected = Station {
            mac: Mac([2, 0, 0, 0, 1, 0]),
            signal: Some(-20),
            connected: 3,
            silent: 324,
            received: 1079,
            sent: 532,
        };
        assert_eq!(station(&part), Some(expected));
    }

    #[test]
    fn what_is_cut_short_is_left_out() {
        for recorded in [&include_bytes!("recorded/card")[..], include_bytes!("recorded/stations")] {
            for length in 0..recorded.len().min(2000) {
                for frame in frames(&recorded[..length]) {
                    let Some(part) = PlainMessage::decode(frame.payload) else { continue };
                    take_card(&mut Card::default(), &part);
                    take_domain(&mut Card::default(), &part);
                    let _ = (interface(&part), station(&part));
                }
            }
        }
    }
}
