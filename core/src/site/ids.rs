//! Interfaces, ports, tables and addresses of links and providers. All of them follow from ids, so that two
//! sites agree without talking.

use std::net::IpAddr;

use crate::base::net::{Cidr, IfName, Table};
use crate::config::model::{self, FIRST_PROVIDER, Network};
use crate::config::{site_network, site_network6};

/// Interface shared by all peers whose networks do not overlap.
pub const SHARED_INTERFACE: &str = "portals0";

/// Base of exits' routing tables: the exit that is site N has table 7700 + N. Table 7700 itself stays empty.
pub const TABLE_BASE: u32 = 7700;

/// Base of the routing tables of chains: the chain of a site with number N, counted from 0 in the order of
/// their texts, has table 8700 + N.
const CHAIN_TABLE_BASE: u32 = TABLE_BASE + 1000;

/// UDP and TCP port of portals' resolvers at their own addresses. Queries to such an address at port 53 are
/// redirected there. Therefore no other program answers them while the resolver is away, and a resolver of
/// the host that takes port 53 on all addresses does no harm.
pub const RESOLVER_PORT: u16 = 5053;

/// TCP port of the page of a portal, at the address of this router in the portal's LAN, and of the page of
/// this router. A process needs no capability to listen there, and the kernel gives it to no outgoing
/// connection (`ip_local_port_range` begins at 32768).
pub const PAGE_PORT: u16 = 10_077;

/// Returns the address of the site with this id on all its tunnels.
pub(super) fn site_address(network: &Network, id: u8) -> IpAddr {
    site_subnet(network, id).nth(1).expect("a /24 has a first address")
}

/// Returns the /24 of the site with this id.
pub(super) fn site_subnet(network: &Network, id: u8) -> Cidr {
    site_network(network.subnet, id).expect("validated: the subnet holds every id's /24")
}

/// Returns the IPv6 /56 of the site with this id, if the network has IPv6.
pub(super) fn site_subnet6(network: &Network, id: u8) -> Option<Cidr> {
    site_network6(network.subnet6?.network, id)
}

/// Returns the IPv6 address of the site with this id on all its tunnels, if the network has IPv6.
pub(super) fn site_address6(network: &Network, id: u8) -> Option<IpAddr> {
    site_subnet6(network, id)?.nth(1)
}

/// Returns the dedicated interface of an exit.
pub(super) fn exit_interface(name: &str) -> IfName {
    format!("to-{name}").parse().expect("validated: site names have up to 12 letters")
}

/// Returns the interface shared by all peers whose networks do not overlap.
pub(super) fn shared_interface() -> IfName {
    SHARED_INTERFACE.parse().expect("a valid name")
}

/// Returns the routing table of an exit that is a site.
pub(super) fn site_table(id: u8) -> Table {
    Table(TABLE_BASE + u32::from(id))
}

/// Returns the routing table of an exit that is a provider. Tables of providers come after those of sites, in
/// the order of names.
pub(super) fn provider_table(site: &model::SiteConfig, name: &str) -> Table {
    Table(TABLE_BASE + provider_number(site, name))
}

/// Returns the routing table of the chain with that number.
pub(super) fn chain_table(number: usize) -> Table {
    Table(CHAIN_TABLE_BASE + u32::try_from(number).expect("a file has fewer chains"))
}

/// Returns the port of `site` on which the link to `peer` arrives.
pub(super) fn site_port(site: &model::SiteConfig, is_exit: bool, peer: &model::SiteConfig) -> u16 {
    if is_exit { site.port + u16::from(peer.id) } else { site.port }
}

/// Returns the port of `site` on which the tunnel to one of its providers arrives.
pub(super) fn provider_port(site: &model::SiteConfig, name: &str) -> u16 {
    let port = u32::from(site.port) + provider_number(site, name);
    u16::try_from(port).expect("validated: a port has 16 bits")
}

fn provider_number(site: &model::SiteConfig, name: &str) -> u32 {
    let before = site.providers.keys().take_while(|other| other.as_str() < name).count();
    FIRST_PROVIDER + u32::try_from(before).expect("validated: each has a port")
}
