//! Entrance of a portal.

use crate::base::net::{Cidr, IfName, Mac, Mark};
use crate::base::sorted::SortedSet;

/// Entrance of a portal: the traffic that enters it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entrance {
    /// Traffic that comes in on this interface, as a whole.
    Interface(IfName),
    /// Traffic on this VLAN, as a whole; its interface belongs to us.
    Vlan(Vlan),
    /// Traffic that comes in via this Wi-Fi, as a whole.
    Wifi {
        /// Interface of the Wi-Fi.
        interface: IfName,
        /// Interface of its card; equal to `interface` for the first Wi-Fi of a card.
        card: IfName,
        /// Name of the Wi-Fi.
        ssid: String,
    },
    /// Traffic from these sources on an existing LAN.
    From(SortedSet<Cidr>),
    /// Traffic from these devices on an existing LAN. Policy rules cannot match hardware addresses, so
    /// devices always have a mark.
    Mac {
        /// Hardware addresses of the devices.
        devices: SortedSet<Mac>,
        /// Mark of the portal's packets.
        mark: Mark,
    },
    /// Traffic of this router itself.
    Own,
}

/// VLAN that enters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vlan {
    /// Interface that is made for the VLAN.
    pub interface: IfName,
    /// Interface that carries the VLAN.
    pub parent: IfName,
    /// VLAN number, 1 to 4094.
    pub id: u16,
    /// MTU of the parent in bytes; `None` while there is no such interface.
    pub mtu: Option<u32>,
}

impl Entrance {
    /// Returns the interface all of whose traffic enters, if the entrance is one.
    pub fn interface(&self) -> Option<&IfName> {
        match self {
            Self::Interface(interface)
            | Self::Vlan(Vlan { interface, .. })
            | Self::Wifi { interface, .. } => Some(interface),
            Self::From(_) | Self::Mac { .. } | Self::Own => None,
        }
    }
}
