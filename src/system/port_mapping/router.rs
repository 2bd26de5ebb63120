//! Router at the other end of the uplink.

use std::net::{IpAddr, Ipv4Addr};

use crate::base::net::{IfName, InterfaceAddress};
use crate::nat::mapping::is_private;
use crate::site::facts::Uplink;

/// Router at the other end of the uplink, and this host's place in its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Router {
    /// Interface that leads to it.
    pub interface: IfName,
    /// Address of the router in the network of the uplink.
    pub address: Ipv4Addr,
    /// Address of this host in that network.
    pub client: Ipv4Addr,
}

impl Router {
    /// Returns the router at the other end of an uplink; `None` if there is none, or if this host has a
    /// public address: there is nothing to map.
    pub fn behind(uplink: &Uplink) -> Option<Self> {
        let IpAddr::V4(address) = uplink.gateway? else { return None };
        let is_near = |own: &&InterfaceAddress| own.network().contains(address.into());
        let own = uplink.addresses.iter().find(is_near)?;
        let IpAddr::V4(client) = own.address else { return None };
        is_private(client).then(|| Self { interface: uplink.interface.clone(), address, client })
    }
}
