//! Port mapping at a home router: PCP (RFC 6887), NAT-PMP (RFC 6886) and UPnP-IGD, as bytes and decisions.
//!
//! Every message of a router may be hostile: its size is limited, and a URL may lead to the router only. The
//! module `dialogue` asks in one protocol after the other.
//!
//! Nothing is asked for IPv6: its firewalls translate no addresses, and the pings of both sites open them.

mod dialogue;
mod http;
mod nat_pmp;
mod pcp;
#[cfg(test)]
mod tests;
mod upnp;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::str::FromStr;

pub use dialogue::{Dialogue, Progress, Question, Subject};
pub use http::{LONGEST_ANSWER, is_complete};

use super::seal::mac;
use crate::base::net::Secret;

/// UDP port at which routers answer PCP and NAT-PMP.
pub const PORT: u16 = 5351;

/// UDP port of SSDP, the search of UPnP.
pub const SEARCH_PORT: u16 = 1900;

/// Multicast address of SSDP.
pub const SEARCH_GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);

/// Lifetime to ask for in seconds (RFC 6886 § 3.3 recommends it).
pub const LIFETIME: u32 = 7200;

/// Proof that a later question about a mapping comes from the client that made it (RFC 6887 § 11.1).
pub type Nonce = [u8; 12];

/// Derives the nonce of a port's mapping from this site's private key, so that it survives a restart.
pub fn nonce(key: &Secret, port: u16) -> Nonce {
    let [high, low] = port.to_be_bytes();
    let hash = mac(key.bytes(), &[b"portals port mapping ".as_slice(), &[high, low]].concat());
    *hash.first_chunk().expect("a hash is longer")
}

/// Reports whether an address is behind a NAT: one of RFC 1918, or of a carrier's NAT (RFC 6598).
pub fn is_private(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    address.is_private() || first == 100 && second & 0xc0 == 64
}

/// Protocol of a port mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Port Control Protocol (RFC 6887).
    Pcp,
    /// NAT Port Mapping Protocol (RFC 6886).
    NatPmp,
    /// Internet Gateway Device of UPnP.
    Upnp,
}

impl Protocol {
    const ALL: [(Self, &str); 3] = [(Self::Pcp, "PCP"), (Self::NatPmp, "NAT-PMP"), (Self::Upnp, "UPnP")];
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL[*self as usize].1)
    }
}

impl FromStr for Protocol {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(protocol, _)| *protocol).ok_or(())
    }
}

/// Mapping that a router has granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// Protocol in which the router granted it.
    pub protocol: Protocol,
    /// Address and port outside of the router.
    pub external: SocketAddrV4,
    /// Time until it ends in seconds.
    pub lifetime: u32,
}

/// Refusal of a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Protocol of the answer.
    pub protocol: Protocol,
    /// Error code of that protocol; 0 if the router grants a mapping without an address, or tells none;
    /// 65535 if it grants a mapping without a port or a lifetime.
    pub code: u16,
}

impl Refusal {
    /// Code of a mapping without a port or a lifetime.
    pub(super) const NOTHING: u16 = u16::MAX;

    /// Reports whether the router refuses because it has no public address: nothing that it could map would
    /// be reached.
    pub(super) fn is_about_address(self) -> bool {
        matches!((self.protocol, self.code), (_, 0) | (Protocol::Pcp, 7) | (Protocol::NatPmp, 3))
    }

    /// Returns the reason in words; empty if the code has no meaning here.
    pub fn reason(self) -> &'static str {
        match (self.protocol, self.code) {
            _ if self.is_about_address() => "it has no public address itself",
            (Protocol::Pcp | Protocol::NatPmp, 2) | (Protocol::Upnp, 606 | 729) => "it does not allow it",
            (Protocol::Pcp, 8 | 10) | (Protocol::NatPmp, 4) | (Protocol::Upnp, 728) => "it has no room left",
            (Protocol::Pcp, 11) | (Protocol::Upnp, 718) => "another device has the port",
            // ADDRESS_MISMATCH (RFC 6887 § 7.4): the request has come through a NAT.
            (Protocol::Pcp, 12) => "another NAT is between this host and it",
            (_, Self::NOTHING) => "it grants a mapping without a port or a lifetime",
            (Protocol::Upnp, 402 | 501 | 724..=727 | 732) => "it cannot do it",
            _ => "",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} error {}", self.protocol, self.code)?;
        match self.reason() {
            "" => Ok(()),
            reason => write!(f, ": {reason}"),
        }
    }
}

/// State of a port's mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MappingState {
    /// Asked: the router has not answered yet.
    Asked,
    /// Mapped to an address and port outside of the router.
    Mapped(Protocol, SocketAddrV4),
    /// Refused by the router.
    Refused(Refusal),
    /// The router answers in none of the protocols.
    NoAnswer,
    /// The router is itself behind a NAT: its own address, and the one that a public site sees; none if the
    /// own address says it.
    SecondNat(Ipv4Addr, Option<IpAddr>),
}

impl fmt::Display for MappingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("the router is asked"),
            Self::Mapped(protocol, external) => write!(f, "mapped by {protocol} as {external}"),
            Self::Refused(refusal) => write!(f, "refused by the router ({refusal})"),
            Self::NoAnswer => f.write_str("the router answers neither PCP, NAT-PMP nor UPnP"),
            Self::SecondNat(own, seen) => {
                write!(f, "your router's own address {own} is ")?;
                match seen {
                    None => f.write_str("private")?,
                    Some(seen) => write!(f, "not {seen}, which other sites see")?,
                }
                f.write_str(": it is behind a second NAT")
            }
        }
    }
}
