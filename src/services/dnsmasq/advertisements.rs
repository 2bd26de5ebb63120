//! Router advertisements (RFC 4861): devices of a portal give themselves IPv6 addresses, and send IPv6 to
//! this host, while the portal's exit takes it.

use std::fmt::Write as _;

use super::PortalPath;
use crate::base::net::{Family, IfName, InterfaceAddress};
use crate::site::Portal;

/// Longest time in seconds between two advertisements.
const INTERVAL: u32 = 60;

/// Time in seconds after the last advertisement for which devices go on using this router and its prefix:
/// short, so that they stop soon after the agent has. Android ignores lifetimes below 180 s
/// (`accept_ra_min_lft`), and several advertisements in a row may get lost on Wi-Fi.
const LIFETIME: u32 = 300;

/// Smallest MTU in bytes that IPv6 allows (RFC 8200 § 5).
const LEAST_MTU: u32 = 1280;

/// Adds the settings for router advertisements on a LAN with this address.
///
/// While the exit takes no IPv6, the advertisements say so: this host is no router, and the addresses from
/// the prefix are deprecated. Devices then use IPv4 at once, and do not wait for IPv6 to time out. A changed
/// configuration restarts dnsmasq, which sends an advertisement within 5 s of its start.
pub(super) fn settings(
    text: &mut String,
    portal: &Portal,
    interface: &IfName,
    lan: InterfaceAddress,
    path: &PortalPath,
) {
    let (prefix, length) = (lan.network().address(), lan.length);
    let _ = writeln!(text, "dhcp-range={prefix},ra-stateless,{length},{LIFETIME}");
    let takes_ipv6 = path.takes(Family::V6);
    if !takes_ipv6 {
        // This word is in the place of a lifetime, which alone would be unlimited. From two ranges with the
        // same prefix, dnsmasq advertises one prefix, with the shorter lifetime, that is deprecated.
        let _ = writeln!(text, "dhcp-range={prefix},ra-stateless,{length},deprecated");
    }
    // Devices then send no packet that is too large for the tunnel (RFC 4861 § 4.6.4). They ignore an MTU
    // that is too small for IPv6.
    let _ = write!(text, "ra-param={interface}");
    if let Some(mtu) = path.mtu.filter(|mtu| *mtu >= LEAST_MTU) {
        let _ = write!(text, ",mtu:{mtu}");
    }
    let _ = writeln!(text, ",{INTERVAL},{}", if takes_ipv6 { LIFETIME } else { 0 });
    // dnsmasq advertises the resolver of a deprecated prefix for ever. Without this setting, it advertises no
    // resolver, because the resolver's port is not 53.
    if takes_ipv6 && !portal.resolvers.is_empty() {
        let _ = writeln!(text, "dhcp-option=option6:dns-server,[{}]", lan.address);
    }
}
