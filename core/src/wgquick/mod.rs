//! Reader and writer for the files of wg-quick(8), as VPN providers and apps hand them out. The reader runs
//! no commands.

mod draft;
mod entries;
mod known;
mod parse;
mod piece;
mod values;
mod write;

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::Path;

use zeroize::Zeroizing;

use crate::base::error::{Error, Errors};
use crate::base::net::{Cidr, Family, InterfaceAddress, PublicKey, Secret};
use crate::config::model::EndpointHost;

pub use parse::parse;

/// Content of a wg-quick file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WgQuickFile {
    /// Settings of this end.
    pub interface: InterfaceSection,
    /// Peers at the other ends, in the order of the file.
    pub peers: Vec<PeerSection>,
}

/// The `[Interface]` section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfaceSection {
    /// Private key; a file that was read always has one. `None` writes a placeholder that a person must
    /// replace before the file works.
    pub private_key: Option<Secret>,
    /// Addresses of this end, with the prefix lengths of their networks.
    pub addresses: Vec<InterfaceAddress>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// Search domains: the entries of `DNS` that are not addresses.
    pub search: Vec<String>,
    /// MTU in bytes, 68 to 65535; none = wg-quick chooses one.
    pub mtu: Option<u32>,
    /// UDP port, not 0; none = the kernel chooses one.
    pub listen_port: Option<u16>,
    /// Mark on the tunnel's own packets; 0 = `off`.
    pub fwmark: Option<u32>,
    /// Routing table for the peers' allowed IPs.
    pub table: RoutingTable,
}

impl InterfaceSection {
    /// Returns the name servers of the families that this end has addresses of: it can ask no others.
    pub fn resolvers(&self) -> Vec<IpAddr> {
        let has = |family| self.addresses.iter().any(|own| Family::of(own.address) == family);
        let mut resolvers = self.dns.clone();
        resolvers.retain(|resolver| has(Family::of(*resolver)));
        resolvers
    }
}

/// Routing table into which wg-quick puts the routes to the allowed IPs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RoutingTable {
    /// Table `main`; a default route is put into a separate table, with rules that lead there.
    #[default]
    Auto,
    /// Adds no routes.
    Off,
    /// Table with this number or name.
    Named(String),
}

impl RoutingTable {
    /// Reports whether the kernel looks up every packet in this table, without a rule that the file does not
    /// contain.
    pub fn sees_every_packet(&self) -> bool {
        // `main`, which is also number 0, and `local`, which the kernel asks before `main`.
        const NUMBERS: [u32; 3] = [0, 254, 255];
        match self {
            Self::Auto => true,
            Self::Off => false,
            Self::Named(name) => {
                ["main", "local", "unspec"].contains(&name.as_str())
                    || values::of_any_base(name).is_some_and(|number| NUMBERS.contains(&number))
            }
        }
    }
}

/// A `[Peer]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSection {
    /// Public key of the peer.
    pub public_key: PublicKey,
    /// Symmetric key that both ends mix into the handshake.
    pub preshared_key: Option<Secret>,
    /// Host and port at which to dial the peer; none = the peer dials this end.
    pub endpoint: Option<DialledHost>,
    /// Allowed sources of packets from the peer, and destinations of packets to it.
    pub allowed_ips: Vec<Cidr>,
    /// Seconds between keepalives; `None` = off.
    pub keepalive: Option<NonZeroU16>,
}

/// Host and port at which a peer can be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialledHost {
    /// Host name or address.
    pub host: EndpointHost,
    /// UDP port, not 0.
    pub port: u16,
}

impl fmt::Display for DialledHost {
    /// Writes `vpn.example.net:51820` or `[2001:db8::1]:51820`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            EndpointHost::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

/// Reads the bytes of the file at `path`; `None` = there is no such file. Each fault is a separate error that
/// begins with `path:line:column:`.
pub fn parse_at(path: &Path, bytes: Option<Zeroizing<Vec<u8>>>) -> Result<Parsed, Errors> {
    let bytes = bytes.ok_or_else(|| {
        Error::wrong(format!(
            "{}: there is no such file; put your provider's file there unchanged, with mode 600",
            path.display()
        ))
    })?;
    parse(&bytes).map_err(|faults| Errors::all(faults.iter().map(|fault| fault.error(path)).collect()))
}

/// Content of a file, with remarks for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// Content of the file.
    pub config: WgQuickFile,
    /// Remarks on ignored or surprising lines, in the order of the file.
    pub remarks: Vec<Remark>,
}

/// A remark on a line that does not have the effect that a person may expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Line number, counted from 1.
    pub line: usize,
    /// Text of the remark, without a full stop.
    pub message: String,
}
