//! What a Wi-Fi card is and can do, and who is connected to it.

use crate::base::net::Mac;

/// A card, as far as an access point needs to know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Card {
    /// The kernel's number of it: another one when it has gone and come back.
    pub number: u32,
    /// Hardware address of its interface.
    pub address: Mac,
    /// What it can be, of those that have a name here.
    pub modes: Vec<Mode>,
    /// What it can do at 2.4 GHz.
    pub two_ghz: Band,
    /// What it can do at 5 GHz.
    pub five_ghz: Band,
    /// How many access points it can be at once, all on one channel; 0 = it cannot be one.
    pub access_points: u32,
    /// Whether it notices radar, as some channels of 5 GHz demand.
    pub detects_radar: bool,
    /// The two letters of the country whose rules hold for it now: `00` for the rules of no country, `99` for those of its maker.
    pub country: String,
    /// Whether its firmware alone decides about the country.
    pub keeps_its_country: bool,
    /// Whether it is switched off, by a key or a program (rfkill): then it cannot be set up.
    pub is_switched_off: bool,
}

/// What a card can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One of equals, without an access point.
    AdHoc,
    /// A client.
    Station,
    /// What others connect to.
    AccessPoint,
    /// A listener.
    Monitor,
    /// A node of a mesh.
    Mesh,
}

/// What a card can do in a band.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Band {
    /// Whether it has 802.11n there.
    pub n: bool,
    /// Whether it has 802.11ac there.
    pub ac: bool,
    /// Ascending.
    pub channels: Vec<Channel>,
}

/// A channel of 20 MHz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// See [`is_channel`].
    pub number: u16,
    /// Under the rules that hold now.
    pub rules: Rules,
}

/// What a channel may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// Everything.
    Free,
    /// For an access point that watches out for radar.
    Radar,
    /// For nobody who speaks first, as access points do.
    ListenFirst,
    /// Nothing.
    Disabled,
}

/// A device that is connected to an access point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Station {
    /// Its address.
    pub mac: Mac,
    /// How well it is heard, in dBm: -30 is next to the antenna, -80 is far away. Not every driver tells.
    pub signal: Option<i8>,
    /// Seconds since it came.
    pub connected: u32,
    /// Milliseconds since it was last heard.
    pub silent: u32,
    /// Bytes received from it.
    pub received: u64,
    /// Bytes sent to it.
    pub sent: u64,
}

impl Card {
    /// The band of a channel.
    pub fn band(&self, channel: u16) -> &Band {
        if is_two_ghz(channel) { &self.two_ghz } else { &self.five_ghz }
    }

    /// The channel of that number, if it has it at all.
    pub fn channel(&self, number: u16) -> Option<Channel> {
        self.band(number).channels.iter().find(|channel| channel.number == number).copied()
    }

    /// All its channels.
    pub fn channels(&self) -> impl Iterator<Item = Channel> {
        self.two_ghz.channels.iter().chain(&self.five_ghz.channels).copied()
    }

    /// Whether an access point may be on a channel, under the rules that hold now.
    pub fn allows(&self, channel: Channel) -> bool {
        match channel.rules {
            Rules::Free => true,
            Rules::Radar => self.detects_radar,
            Rules::ListenFirst | Rules::Disabled => false,
        }
    }
}

impl Mode {
    /// The words for it behind "it can be".
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

/// Whether a channel is in the band of 2.4 GHz.
pub fn is_two_ghz(channel: u16) -> bool {
    channel <= 14
}

/// Whether this is the number of a channel of 20 MHz in the 2.4 or 5 GHz band (IEEE 802.11, annex E).
pub fn is_channel(number: u16) -> bool {
    match number {
        36..=64 | 100..=144 => number.is_multiple_of(4),
        149..=177 => number % 4 == 1,
        _ => (1..=14).contains(&number),
    }
}

/// The number of the channel whose middle is at `frequency`, in MHz, if it is one of those.
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
