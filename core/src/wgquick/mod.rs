//! The files of wg-quick(8), as VPN providers and apps hand them out: read without running anything, and written.

mod draft;
mod known;
mod parse;
mod piece;
mod values;
mod write;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use zeroize::Zeroizing;

use crate::base::error::{Error, Errors};
use crate::base::net::{Cidr, InterfaceAddress, PublicKey, Secret};
use crate::config::model::Host;

pub use parse::parse;

/// What a file of wg-quick says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// This end.
    pub interface: Interface,
    /// The other ends, in the order of the file.
    pub peers: Vec<Peer>,
}

/// The part `[Interface]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// A file that was read has one; where it is `None` a file is written that says where the key goes, and that works only with it.
    pub private_key: Option<Secret>,
    /// With the lengths of their networks.
    pub addresses: Vec<InterfaceAddress>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// Domains that host names are looked for in: what stands under `DNS` and is no address.
    pub search: Vec<String>,
    /// In bytes, 68 to 65535; none = wg-quick finds one.
    pub mtu: Option<u32>,
    /// UDP port, not 0; none = the kernel chooses one.
    pub listen_port: Option<u16>,
    /// Mark on the tunnel's own packets; 0 = `off`.
    pub fwmark: Option<u32>,
    /// Where its routes go.
    pub table: RoutingTable,
}

/// Where wg-quick puts the routes to what is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RoutingTable {
    /// Into `main`; a route to everything into a table of its own, with rules that lead there.
    #[default]
    Auto,
    /// Nowhere.
    Off,
    /// Into the table of this number or name.
    Named(String),
}

impl RoutingTable {
    /// Whether every packet is looked up there, without a rule of the file's author.
    pub fn is_asked_for_everything(&self) -> bool {
        // `main`, which 0 stands for as well, and `local`, which is asked before it.
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

/// A part `[Peer]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its key.
    pub public_key: PublicKey,
    /// Mixed into the handshake.
    pub preshared_key: Option<Secret>,
    /// Where it is dialled; none = it dials us.
    pub endpoint: Option<Endpoint>,
    /// What may come from it, and what is sent to it.
    pub allowed_ips: Vec<Cidr>,
    /// Seconds between keepalives; 0 = off.
    pub keepalive: u16,
}

/// Where a peer is dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address.
    pub host: Host,
    /// UDP port, not 0.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    /// `vpn.example.net:51820`, `[2001:db8::1]:51820`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

/// Reads the bytes of the file at `path`; `None` = there is no such file. Each fault is an error of its own that begins
/// `path:line:column:`.
pub fn parse_at(path: &Path, bytes: Option<Zeroizing<Vec<u8>>>) -> Result<Parsed, Errors> {
    let bytes = bytes.ok_or_else(|| {
        Error::wrong(format!(
            "{}: there is no such file; put it there as it came, with mode 600",
            path.display()
        ))
    })?;
    parse(&bytes)
        .map_err(|faults| Errors::all(faults.iter().map(|fault| Error::wrong(fault.render(path))).collect()))
}

/// What was read of a file, and what a person should know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// What it says.
    pub config: Config,
    /// What was left aside, in the order of the file.
    pub remarks: Vec<Remark>,
}

/// A line that does not do what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Counted from 1.
    pub line: usize,
    /// What about it, without a full stop.
    pub message: String,
}
