//! Host facts (stand-in until the branch lands).
use crate::net::{Cidr, IfName, InterfaceAddress};
use crate::state::Backend;
use std::collections::BTreeSet;
use std::net::IpAddr;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    pub interface: IfName,
    pub gateway: Option<IpAddr>,
    pub addresses: BTreeSet<InterfaceAddress>,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub uplink: Option<Uplink>,
    pub local: BTreeSet<Cidr>,
    pub uplink_networks: BTreeSet<Cidr>,
    pub wireguard: Option<Backend>,
    pub ipv6: bool,
    pub nftables: bool,
    pub root: bool,
}
