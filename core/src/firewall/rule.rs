//! Rules of our firewall: conditions on packets, and actions.

use std::net::{IpAddr, SocketAddr};

use super::SetName;
use crate::base::net::{Cidr, Family, IfName, Mac, Mark};

/// Rule: an action for packets that meet every condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirewallRule {
    /// Conditions that must all hold.
    pub conditions: Vec<Condition>,
    /// Action on the packets that meet all conditions.
    pub action: Action,
}

/// Interfaces that a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interfaces {
    /// A single value.
    One(IfName),
    /// Interfaces in a set of kind [`super::Set::Interfaces`].
    In(SetName),
}

/// Networks that a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Networks {
    /// A single value.
    One(Cidr),
    /// Networks in a set of kind [`super::Set::Networks`].
    In(Family, SetName),
}

impl Networks {
    /// Address family of the networks.
    pub fn family(&self) -> Family {
        match self {
            Self::One(network) => network.family(),
            Self::In(family, _) => *family,
        }
    }
}

/// Networks at interfaces: the networks of one prefix length in a set of kind
/// [`super::Set::NetworksAtInterfaces`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworksAtInterfaces {
    /// Address family of the networks.
    pub family: Family,
    /// Name of the set.
    pub set: SetName,
    /// Prefix length in bits.
    pub length: u8,
}

/// Connection marks at interfaces: the pairs in a set of kind [`super::Set::MarksAtInterfaces`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarksAtInterfaces {
    /// Name of the set.
    pub set: SetName,
    /// Bits of the mark that the rule compares.
    pub mask: u32,
}

/// Parts of a packet that a condition pairs: an interface, and an address or a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pairing {
    /// Set if the interface is that which the packet goes out on; otherwise the packet came in on it.
    pub outgoing: bool,
    /// Set if the address is the destination; otherwise it is the source.
    pub destination: bool,
    /// Set if the packet must not have such a pair.
    pub negated: bool,
}

impl Pairing {
    /// The packet came in where its source, or the mark of its connection, belongs.
    pub const COMING: Self = Self { outgoing: false, destination: false, negated: false };
    /// The packet came in elsewhere.
    pub const STRAY: Self = Self { outgoing: false, destination: false, negated: true };
    /// The packet came in where its destination belongs.
    pub const FAMILIAR: Self = Self { outgoing: false, destination: true, negated: false };
    /// The packet came in where its destination does not belong.
    pub const STRANGE: Self = Self { outgoing: false, destination: true, negated: true };
    /// The packet goes out where its source, or the mark of its connection, belongs.
    pub const LEAVING: Self = Self { outgoing: true, destination: false, negated: false };

    fn positive(self) -> Self {
        Self { negated: false, ..self }
    }
}

/// Devices that a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Devices {
    /// A single value.
    One(Mac),
    /// Devices in a set of kind [`super::Set::Devices`].
    In(SetName),
}

/// Condition of a rule. Parentheses give the same condition in nft's language.
///
/// The tag is a whole word, because MIPS copies what follows it in half the instructions then.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(u32)]
pub enum Condition {
    /// The packet is IPv4 or IPv6 (`meta nfproto`). A rule that looks at an address does not have this
    /// condition: the address implies the family, and the kernel would show only one of the two.
    Family(Family),
    /// The packet came in on one of these interfaces (`iifname`).
    Incoming(Interfaces),
    /// The packet did not come in on any of these interfaces (`iifname !=`).
    NotIncoming(Interfaces),
    /// The packet goes out on one of these interfaces (`oifname`).
    Outgoing(Interfaces),
    /// The packet does not go out on any of these interfaces (`oifname !=`).
    NotOutgoing(Interfaces),
    /// The packet came in on the first and goes out on the second interface of a pair in a
    /// [`super::Set::InterfacePairs`] (`iifname . oifname @set`).
    InterfacePair(SetName),
    /// The packet comes from, or goes to, one of these networks, each at its own interface (`iifname . ip
    /// saddr & MASK @set`).
    Place(Pairing, NetworksAtInterfaces),
    /// The packet's connection mark belongs to its interface (`iifname . ct mark & MASK @set`).
    Way(Pairing, MarksAtInterfaces),
    /// The source address is in these networks (`ip saddr`).
    Source(Networks),
    /// The source address is not in these networks (`ip saddr !=`).
    NotSource(Networks),
    /// The destination address is in these networks (`ip daddr`).
    Destination(Networks),
    /// The destination address is not in these networks (`ip daddr !=`).
    NotDestination(Networks),
    /// The packet belongs to an answered connection, or to one of its errors (`ct state
    /// established,related`).
    Established,
    /// The destination of the packet's connection was translated (`ct status dnat`).
    Redirected,
    /// The packet comes from the side that opened the connection (`ct direction original`).
    FromOriginator,
    /// The packet comes from the side that answers, or is an error about such a packet (`ct direction
    /// reply`).
    FromResponder,
    /// The packet was sent by this device on a link of ours, so only incoming packets meet the condition
    /// (`ether saddr`). This must be the last condition of a rule: behind it, `nft` would encode the test of
    /// an address differently.
    Device(Devices),
    /// The packet carries this mark (`meta mark & MASK == VALUE`).
    Marked(Mark),
    /// The connection carries this mark (`ct mark & MASK == VALUE`).
    ConnectionMarked(Mark),
    /// The connection does not carry this mark (`ct mark & MASK != VALUE`).
    ConnectionNotMarked(Mark),
    /// The packet does not carry this mark (`meta mark & MASK != VALUE`).
    NotMarked(Mark),
    /// The packet is ICMP (`meta l4proto icmp`), or ICMPv6 if the family is IPv6 (`meta l4proto icmpv6`).
    Icmp(Family),
    /// The packet is UDP to one of these ports, first to last (`udp dport 67-68`).
    UdpPort(u16, u16),
    /// The packet is UDP from the first port to the second (`udp sport 40001 udp dport 52079`). In a rule,
    /// this condition separates those on the two addresses: next to each other, `nft` would encode both as
    /// one.
    UdpBetween(u16, u16),
    /// The packet is TCP to one of these ports, first to last (`tcp dport 443`).
    TcpPort(u16, u16),
    /// The packet opens a TCP connection (`tcp flags & (syn | rst) == syn`).
    TcpSyn,
}

impl Condition {
    /// Returns the name of the set that the condition looks at, if any.
    pub fn set(&self) -> Option<&SetName> {
        match self {
            Self::InterfacePair(set)
            | Self::Place(_, NetworksAtInterfaces { set, .. })
            | Self::Way(_, MarksAtInterfaces { set, .. })
            | Self::Incoming(Interfaces::In(set))
            | Self::NotIncoming(Interfaces::In(set))
            | Self::Device(Devices::In(set))
            | Self::Outgoing(Interfaces::In(set))
            | Self::NotOutgoing(Interfaces::In(set))
            | Self::Source(Networks::In(_, set))
            | Self::NotSource(Networks::In(_, set))
            | Self::Destination(Networks::In(_, set))
            | Self::NotDestination(Networks::In(_, set)) => Some(set),
            _ => None,
        }
    }

    /// Returns the address family of the packets that can meet the condition; `None` means both.
    pub fn family(&self) -> Option<Family> {
        match self {
            Self::Family(family) | Self::Icmp(family) => Some(*family),
            Self::Source(networks)
            | Self::NotSource(networks)
            | Self::Destination(networks)
            | Self::NotDestination(networks) => Some(networks.family()),
            Self::Place(_, places) => Some(places.family),
            _ => None,
        }
    }

    /// Returns the condition with other interfaces; a condition without interfaces stays as it is.
    #[must_use]
    pub fn with_interfaces(&self, interfaces: Interfaces) -> Self {
        match self {
            Self::Incoming(_) => Self::Incoming(interfaces),
            Self::NotIncoming(_) => Self::NotIncoming(interfaces),
            Self::Outgoing(_) => Self::Outgoing(interfaces),
            Self::NotOutgoing(_) => Self::NotOutgoing(interfaces),
            other => other.clone(),
        }
    }

    /// Returns the condition with other networks; a condition without networks stays as it is.
    #[must_use]
    pub fn with_networks(&self, networks: Networks) -> Self {
        match self {
            Self::Source(_) => Self::Source(networks),
            Self::NotSource(_) => Self::NotSource(networks),
            Self::Destination(_) => Self::Destination(networks),
            Self::NotDestination(_) => Self::NotDestination(networks),
            other => other.clone(),
        }
    }

    /// Returns the positive form of a negative condition; a positive condition stays as it is.
    #[must_use]
    pub fn opposite(&self) -> Self {
        match self {
            Self::NotIncoming(interfaces) => Self::Incoming(interfaces.clone()),
            Self::NotOutgoing(interfaces) => Self::Outgoing(interfaces.clone()),
            Self::NotSource(networks) => Self::Source(networks.clone()),
            Self::NotDestination(networks) => Self::Destination(networks.clone()),
            Self::Place(pairing, places) => Self::Place(pairing.positive(), places.clone()),
            Self::Way(pairing, marks) => Self::Way(pairing.positive(), marks.clone()),
            other => other.clone(),
        }
    }
}

/// Action of a rule. The tag is a whole word for the same reason as that of [`Condition`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Action {
    /// Ends our chain; other tables may still refuse the packet.
    Accept,
    /// Refuses the packet without an answer.
    Drop,
    /// Refuses the packet with ICMP "administratively prohibited" (`reject with icmpx admin-prohibited`).
    Reject,
    /// Gives the packet the source address of the interface that it leaves via.
    Masquerade,
    /// Gives the packet this source address (`snat ip to 10.8.0.2`). Only rules about the family of the
    /// address have this action.
    SourceNat(IpAddr),
    /// Gives a UDP packet this source address and port (`snat ip to 203.0.113.9:52079`). Only rules about UDP
    /// and the family of the address have this action.
    SourceNatTo(SocketAddr),
    /// Gives the packet the source address with the same last bits in this network (`snat ip prefix to
    /// 10.78.1.0/24`). A rule with this action names sources of the same family.
    SourcePrefix(Cidr),
    /// Sends TCP or UDP to this port of this host, at an address of the interface that the packet came in on
    /// (`redirect to :5053`).
    Redirect(u16),
    /// Sends the packet to this address instead (`dnat ip to 9.9.9.9`). Only rules about the family of the
    /// address have this action.
    DestinationNat(IpAddr),
    /// Sends a UDP packet to this address and port instead (`dnat ip to 198.51.100.2:40002`). Only rules
    /// about UDP and the family of the address have this action.
    DestinationNatTo(SocketAddr),
    /// Sends the packet to the address with the same last bits in this network (`dnat ip prefix to
    /// 192.168.1.0/24`). A rule with this action names destinations of the same family.
    DestinationPrefix(Cidr),
    /// Sets the masked bits of the packet's mark and leaves the other bits (`meta mark set meta mark & ~MASK
    /// | VALUE`). The packet goes on to the next rule.
    SetMark(Mark),
    /// Sets the masked bits of the connection mark and leaves the other bits (`ct mark set ct mark & ~MASK |
    /// VALUE`). The packet goes on to the next rule.
    SetConnectionMark(Mark),
    /// Lets the flowtable forward the next packets of the connection, in both directions: the kernel takes
    /// them as they arrive, and they meet no rule. Packets that the flowtable cannot take go on to the next
    /// rule, and so does this packet (`flow add @fast`).
    Offload,
    /// Lowers the TCP maximum segment size to this many bytes (`tcp option maxseg size set`); the kernel
    /// never raises it.
    ClampMss(u16),
}
