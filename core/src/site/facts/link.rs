//! The interfaces of a host, as far as they decide where its traffic goes.

use crate::base::net::IfName;
use crate::base::sorted::SortedSet;

/// Sort of an interface, to the extent that it decides where traffic goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LinkSort {
    /// A VLAN.
    Vlan,
    /// An interface that shares the link of another one, and has its own hardware address or IP address:
    /// macvlan, ipvlan.
    Sharing,
    /// A VRF.
    Vrf,
    /// A bridge.
    Bridge,
    /// An interface of any other sort.
    #[default]
    Other,
}

/// Interfaces that share or take the traffic of an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tie {
    /// Master of the interface: packets that arrive at the interface arrive at the master instead.
    pub master: Option<Master>,
    /// Interfaces on the same link whose addresses devices may take for addresses of this interface.
    pub sharing: SortedSet<IfName>,
    /// Foreign VLAN interfaces, which take the packets with their tag.
    pub vlans: SortedSet<IfName>,
}

/// Bridge, bond, team or VRF, from the view of its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    /// Interface of the master.
    pub interface: IfName,
    /// Sort of that interface.
    pub sort: LinkSort,
    /// Set if the way to the internet leads through the master.
    pub holds_uplink: bool,
}
