//! TCP segment sizes: clamped to the tunnels' MTUs, so that connections work where ICMP is blocked.

use crate::base::net::{Family, IfName};
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::{
    Action::ClampMss,
    Condition::{Family as Of, TcpSyn},
};
use crate::plan::sets::{Rules, Sets, TUNNELS, add, add_interfaces, coming_in, leaving_in};
use crate::site::Site;

/// Returns the bytes of an IP and a TCP header without options: the difference between an MTU and its segment
/// size.
fn headers(family: Family) -> u32 {
    match family {
        Family::V4 => 40,
        Family::V6 => 60,
    }
}

/// Adds the rules that clamp segments in both directions. Both sites have them: with only one direction
/// clamped, big uploads would hang. They come first among the rules for forwarded packets: connections that
/// are accepted at once may be new, such as the data connections of FTP.
pub(super) fn rules(rules: &mut Rules, site: &Site) {
    if site.tunnels.is_empty() {
        return;
    }
    let mtus: Vec<u32> = by_mtu(site).keys().copied().collect();
    for mtu in &mtus {
        let set = if mtus.len() == 1 { TUNNELS } else { &set_name(*mtu) };
        for family in site.carried() {
            let largest = u16::try_from(mtu - headers(family)).expect("validated: an MTU has 16 bits");
            for direction in [leaving_in(set), coming_in(set)] {
                add(rules, [TcpSyn, direction, Of(family)], ClampMss(largest));
            }
        }
    }
}

/// Adds the sets of tunnels, one for each MTU.
pub(super) fn sets(sets: &mut Sets, site: &Site) {
    for (mtu, tunnels) in by_mtu(site) {
        add_interfaces(sets, &set_name(mtu), tunnels);
    }
}

fn by_mtu(site: &Site) -> SortedMap<u32, SortedSet<IfName>> {
    let mut groups = SortedMap::<u32, SortedSet<IfName>>::new();
    for (interface, tunnel) in &site.tunnels {
        groups.get_or_default(site.mtu_of(tunnel)).insert(interface.clone());
    }
    groups
}

fn set_name(mtu: u32) -> String {
    format!("mtu-{mtu}")
}
