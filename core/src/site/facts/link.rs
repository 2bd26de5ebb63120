//! The interfaces of a host, as far as they decide where its traffic goes.

use crate::base::net::IfName;
use crate::base::sorted::SortedSet;

/// The sort of an interface, as far as that says where traffic goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// A VLAN.
    Vlan,
    /// An interface of its own on another one's wire, with a hardware address or an IP address that tells
    /// what is for it: macvlan, ipvlan.
    Sharing,
    /// A VRF.
    Vrf,
    /// A bridge.
    Bridge,
    /// Anything else.
    #[default]
    Other,
}

/// An interface that others have a share in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tie {
    /// The interface that it is a port of: all that comes in here comes in there.
    pub master: Option<Master>,
    /// Interfaces on the same wire whose addresses devices may take for this one's.
    pub sharing: SortedSet<IfName>,
    /// Interfaces that take what is tagged with a VLAN's number, but for ours.
    pub vlans: SortedSet<IfName>,
}

/// A bridge, bond, team or VRF, from the view of its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    /// The interface.
    pub interface: IfName,
    /// The sort of that interface.
    pub sort: Sort,
    /// Set where the way to the internet leads out of it.
    pub holds_uplink: bool,
}
