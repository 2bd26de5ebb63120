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

/// Returns the settings for router advertisements on a LAN with this address.
///
/// While the exit takes no IPv6, the advertisements say so: this host is no router, and the addresses from
/// the prefix are deprecated. Devices then use IPv4 at once, and do not wait for IPv6 to time out. A changed
/// configuration restarts dnsmasq, which sends an advertisement within 5 s of its start.
pub(super) fn settings(
    portal: &Portal,
    interface: &IfName,
    lan: InterfaceAddress,
    path: &PortalPath,
) -> String {
    let prefix = lan.network().address();
    let mut text = String::new();
    let mut range = |lifetime: &str| {
        let _ = writeln!(text, "dhcp-range={prefix},ra-stateless,{},{lifetime}", lan.length);
    };
    range(&LIFETIME.to_string());
    let takes_ipv6 = path.takes(Family::V6);
    if !takes_ipv6 {
        // This word is in the place of a lifetime, which alone would be unlimited. From two ranges with the
        // same prefix, dnsmasq advertises one prefix, with the shorter lifetime, that is deprecated.
        range("deprecated");
    }
    // Devices then send no packet that is too large for the tunnel (RFC 4861 § 4.6.4). They ignore an MTU
    // that is too small for IPv6.
    let mtu = path.mtu.filter(|mtu| *mtu >= LEAST_MTU);
    let mtu = mtu.map_or_else(String::new, |mtu| format!(",mtu:{mtu}"));
    let lifetime = if takes_ipv6 { LIFETIME } else { 0 };
    let _ = writeln!(text, "ra-param={interface}{mtu},{INTERVAL},{lifetime}");
    // dnsmasq advertises the resolver of a deprecated prefix for ever. Without this setting, it advertises no
    // resolver, because the resolver's port is not 53.
    if takes_ipv6 && !portal.resolvers.is_empty() {
        let _ = writeln!(text, "dhcp-option=option6:dns-server,[{}]", lan.address);
    }
    text
}
