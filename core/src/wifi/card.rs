//! Wi-Fi cards: their abilities, and the devices that are connected to them.

use crate::base::net::Mac;

/// Wi-Fi card, as far as an access point needs to know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Card {
    /// Number of the card in the kernel. A card that is removed and comes back gets another number.
    pub number: u32,
    /// Hardware address of its interface.
    pub address: Mac,
    /// Modes of the card, as far as they have a name here.
    pub modes: Vec<Mode>,
    /// Abilities at 2.4 GHz.
    pub two_ghz: Band,
    /// Abilities at 5 GHz.
    pub five_ghz: Band,
    /// Number of access points that the card can be at once, all on one channel; 0 = it cannot be one.
    pub access_points: u32,
    /// Set if the card detects radar, which some channels of 5 GHz demand.
    pub detects_radar: bool,
    /// Two letters of the country whose rules hold for the card now: `00` for the rules of no country, `99`
    /// for the manufacturer's rules.
    pub country: String,
    /// Set if only the firmware of the card decides about the country.
    pub keeps_its_country: bool,
    /// Set if a key or a program has switched the card off (rfkill): it cannot be set up then.
    pub is_switched_off: bool,
}

/// Mode of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Peer in a network without an access point.
    AdHoc,
    /// Client of an access point.
    Station,
    /// Access point that clients connect to.
    AccessPoint,
    /// Listener that only receives.
    Monitor,
    /// Node of a mesh.
    Mesh,
}

/// Abilities of a card in a band.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Band {
    /// Set if the card has 802.11n in the band.
    pub n: bool,
    /// Set if the card has 802.11ac in the band.
    pub ac: bool,
    /// Channels in ascending order.
    pub channels: Vec<Channel>,
}

/// Channel of 20 MHz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// Number of the channel; see [`is_channel`].
    pub number: u16,
    /// Rules that hold now.
    pub rules: ChannelRules,
}

/// Permitted use of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelRules {
    /// Permits every use.
    Free,
    /// Permits access points that watch for radar.
    Radar,
    /// Forbids devices that transmit first, as access points do.
    ListenFirst,
    /// Forbids every use.
    Disabled,
}

/// Device that is connected to an access point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Station {
    /// Hardware address.
    pub mac: Mac,
    /// Signal strength in dBm: -30 is next to the antenna, -80 is far away. Not every driver reports it.
    pub signal: Option<i8>,
    /// Seconds since the device connected.
    pub connected: u32,
    /// Milliseconds since the last frame from the device.
    pub silent: u32,
    /// Bytes received from the device.
    pub received: u64,
    /// Bytes sent to the device.
    pub sent: u64,
}

impl Card {
    /// Returns the band of a channel.
    pub fn band(&self, channel: u16) -> &Band {
        if is_two_ghz(channel) { &self.two_ghz } else { &self.five_ghz }
    }

    /// Returns the channel of this number, if the card has it.
    pub fn channel(&self, number: u16) -> Option<Channel> {
        self.band(number).channels.iter().find(|channel| channel.number == number).copied()
    }

    /// Returns all channels of the card.
    pub fn channels(&self) -> impl Iterator<Item = Channel> {
        self.two_ghz.channels.iter().chain(&self.five_ghz.channels).copied()
    }

    /// Reports whether an access point may use a channel under the rules that hold now.
    pub fn allows(&self, channel: Channel) -> bool {
        match channel.rules {
            ChannelRules::Free => true,
            ChannelRules::Radar => self.detects_radar,
            ChannelRules::ListenFirst | ChannelRules::Disabled => false,
        }
    }
}

impl Mode {
    /// Returns the words for the mode after "it can be".
    pub fn words(self) -> &'static str {
        match self {
            Self::AdHoc => "ad-hoc",
            Self::Station => "station",
            Self::AccessPoint => "access point",
            Self::Monitor => "monitor",
            Self::Mesh => "mesh point",
        }
    }
}

/// Reports whether a channel is in the band of 2.4 GHz.
pub fn is_two_ghz(channel: u16) -> bool {
    channel <= 14
}

/// Reports whether this is the number of a channel of 20 MHz in the 2.4 or 5 GHz band (IEEE 802.11, annex E).
pub fn is_channel(number: u16) -> bool {
    match number {
        36..=64 | 100..=144 => number.is_multiple_of(4),
        149..=177 => number % 4 == 1,
        _ => (1..=14).contains(&number),
    }
}

/// Returns the number of the channel with this center frequency in MHz, if there is such a channel.
pub fn channel_number(frequency: u32) -> Option<u16> {
    let number = match frequency {
        2484 => 14,
        2412..=2472 => (frequency - 2407) / 5,
        5180..=5885 => (frequency - 5000) / 5,
        _ => return None,
    };
    u16::try_from(number).ok().filter(|number| is_channel(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_have_their_numbers() {
        let numbers = [2412, 2437, 2472, 2484, 5180, 5825, 5855, 5955, 920].map(channel_number);
        let expected = [Some(1), Some(6), Some(13), Some(14), Some(36), Some(165), None, None, None];
        assert_eq!(numbers, expected);
    }
}
