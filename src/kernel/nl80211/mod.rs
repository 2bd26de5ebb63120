//! The kernel's Wi-Fi: its generic netlink family (linux/nl80211.h). Reads, and changes nothing.

pub(crate) mod decode;

use super::attributes::AttributeWriter;
use super::generic::{self, PlainMessage};
use super::message::Message;
use super::netlink::{Refusal, Socket, protocols};
use crate::base::error::{Context as _, Result};
use crate::base::net::IfName;
use crate::base::sorted::SortedMap;
use crate::wifi::card::{Card, Station};
use decode::WirelessInterface;

/// Commands (NL80211_CMD_*).
mod command {
    pub(super) const GET_WIPHY: u8 = 1;
    pub(super) const GET_INTERFACE: u8 = 5;
    pub(super) const GET_STATION: u8 = 17;
    pub(super) const GET_REG: u8 = 31;
}

/// Attributes of every message (NL80211_ATTR_*).
mod attribute {
    pub(super) const WIPHY: u16 = 1;
    pub(super) const IFINDEX: u16 = 3;
    pub(super) const IFNAME: u16 = 4;
    pub(super) const MAC: u16 = 6;
    pub(super) const STA_INFO: u16 = 21;
    pub(super) const WIPHY_BANDS: u16 = 22;
    pub(super) const SUPPORTED_IFTYPES: u16 = 32;
    pub(super) const REG_ALPHA2: u16 = 33;
    pub(super) const INTERFACE_COMBINATIONS: u16 = 120;
    pub(super) const SPLIT_WIPHY_DUMP: u16 = 174;
    pub(super) const WIPHY_SELF_MANAGED_REG: u16 = 216;
}

/// A socket to the kernel's Wi-Fi.
pub struct Wireless {
    socket: Socket,
    family: u16,
}

impl Wireless {
    /// Opens a socket to the kernel's Wi-Fi; `None` if this kernel has no Wi-Fi.
    pub fn find() -> Result<Option<Self>> {
        let mut socket = Socket::open(protocols::NETLINK_GENERIC)?;
        let family = generic::find_family(&mut socket, "nl80211")
            .context(|| "cannot look for the kernel's Wi-Fi".to_owned())?;
        Ok(family.map(|family| Self { socket, family }))
    }

    /// Returns the names of all Wi-Fi interfaces.
    pub fn names(&mut self) -> Result<Vec<IfName>> {
        Ok(self.interfaces()?.into_iter().map(|interface| interface.name).collect())
    }

    /// Returns the Wi-Fi cards behind `names`, without the names that are not interfaces of a card.
    pub fn cards<'a>(&mut self, names: impl Iterator<Item = &'a IfName>) -> Result<SortedMap<IfName, Card>> {
        let interfaces = self.interfaces()?;
        let mut cards = SortedMap::new();
        for name in names {
            if let Some(interface) = interfaces.iter().find(|interface| interface.name == *name) {
                let card =
                    self.card(interface).context(|| format!("cannot read the Wi-Fi card of {name}"))?;
                cards.insert(name.clone(), card);
            }
        }
        Ok(cards)
    }

    /// Returns the devices that are connected to each of `names`, without the names that are not Wi-Fi
    /// interfaces.
    pub fn stations<'a>(
        &mut self,
        names: impl Iterator<Item = &'a IfName>,
    ) -> Result<SortedMap<IfName, Vec<Station>>> {
        let interfaces = self.interfaces()?;
        let mut stations = SortedMap::new();
        for name in names {
            if let Some(interface) = interfaces.iter().find(|interface| interface.name == *name) {
                let parts = self
                    .dump(command::GET_STATION, &number(attribute::IFINDEX, interface.index))
                    .context(|| format!("cannot list the devices that are connected to {name}"))?;
                let mut connected = Vec::new();
                for part in &parts {
                    connected.extend(decode::station(part));
                }
                stations.insert(name.clone(), connected);
            }
        }
        Ok(stations)
    }

    fn interfaces(&mut self) -> Result<Vec<WirelessInterface>> {
        let parts = self
            .dump(command::GET_INTERFACE, &AttributeWriter::default())
            .context(|| "cannot list the Wi-Fi interfaces".to_owned())?;
        let mut interfaces = Vec::new();
        for part in &parts {
            interfaces.extend(decode::interface(part));
        }
        Ok(interfaces)
    }

    fn card(&mut self, interface: &WirelessInterface) -> Result<Card, Refusal> {
        let wiphy = number(attribute::WIPHY, interface.card);
        let mut in_parts = wiphy.clone();
        // Unless asked for parts, the kernel leaves out everything that was added after Linux 3.9.
        in_parts.bytes(attribute::SPLIT_WIPHY_DUMP, &[]);
        let mut card = Card { number: interface.card, address: interface.address, ..Card::default() };
        for part in self.dump(command::GET_WIPHY, &in_parts)? {
            decode::take_card(&mut card, &part);
        }
        let question = Message::generic(self.family, command::GET_REG, wiphy.written());
        if let Some(domain) = self.socket.get(question)? {
            decode::take_domain(&mut card, &domain);
        }
        Ok(card)
    }

    fn dump(&mut self, command: u8, attributes: &AttributeWriter) -> Result<Vec<PlainMessage>, Refusal> {
        self.socket.dump(Message::generic(self.family, command, attributes.written()))
    }
}

fn number(kind: u16, number: u32) -> AttributeWriter {
    let mut attributes = AttributeWriter::default();
    attributes.native_number(kind, number);
    attributes
}
