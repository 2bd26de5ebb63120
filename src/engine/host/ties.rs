//! Ties that take traffic away from an interface: the interface that has it as a port, and the interfaces
//! that share its wire.

use crate::base::net::IfName;
use crate::base::sorted::SortedMap;
use crate::kernel::link::HostLink;
use crate::site::facts::LinkSort;
use crate::site::facts::{Master, Tie};

/// Returns the ties of a host's interfaces. `uplink` is the number of the interface to the internet.
pub(super) fn read(links: &SortedMap<u32, &HostLink>, uplink: Option<u32>) -> SortedMap<IfName, Tie> {
    let below_uplink = chain(links, uplink, &|link| link.carrier);
    let mut ties = SortedMap::<IfName, Tie>::new();
    for link in links.values() {
        let masters = chain(links, link.master, &|link| link.master);
        if let Some(master) = masters.first() {
            let holds_uplink =
                masters.iter().any(|master| below_uplink.iter().any(|one| one.index == master.index));
            let interface = master.name.clone();
            let tie: &mut Tie = ties.get_or_default(link.name.clone());
            tie.master = Some(Master { interface, sort: master.sort, holds_uplink });
        }
        let Some(carrier) = link.carrier.and_then(|index| links.get(&index)) else { continue };
        match link.sort {
            LinkSort::Sharing => {
                _ = ties.get_or_default(carrier.name.clone()).sharing.insert(link.name.clone());
            }
            LinkSort::Vlan if link.ours().is_none() => {
                _ = ties.get_or_default(carrier.name.clone()).vlans.insert(link.name.clone());
            }
            _ => {}
        }
    }
    ties
}

/// Returns the interface with the number `first`, the interface that `next` names for it, and so on.
fn chain<'a>(
    links: &SortedMap<u32, &'a HostLink>,
    first: Option<u32>,
    next: &dyn Fn(&HostLink) -> Option<u32>,
) -> Vec<&'a HostLink> {
    let mut found: Vec<&HostLink> = Vec::new();
    let mut index = first;
    // The two ends of a veth pair name each other.
    while let Some(link) = index.and_then(|index| links.get(&index))
        && !found.iter().any(|earlier| earlier.index == link.index)
    {
        found.push(link);
        index = next(link);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> IfName {
        text.parse().unwrap()
    }

    /// Returns the ties of a host whose uplink is a VLAN on a bridge over a bond. Its other interfaces are
    /// ports of another bridge, or carry further interfaces.
    fn ties(uplink: u32) -> SortedMap<IfName, Tie> {
        let link = |index, text: &str, sort, master, carrier| {
            let mut link = HostLink::example(index, text, sort);
            (link.master, link.carrier) = (master, carrier);
            link
        };
        let links = [
            link(1, "br-wan", LinkSort::Bridge, None, None),
            link(2, "bond0", LinkSort::Other, Some(1), None),
            link(3, "eth0", LinkSort::Other, Some(2), None),
            link(4, "br-wan.7", LinkSort::Vlan, None, Some(1)),
            link(5, "br-lan", LinkSort::Bridge, None, None),
            link(6, "eth1", LinkSort::Other, Some(5), None),
            link(7, "eth2", LinkSort::Other, None, None),
            link(8, "eth2.20", LinkSort::Vlan, None, Some(7)),
            link(9, "mac0", LinkSort::Sharing, None, Some(7)),
            // The two ends of a veth pair name each other; no interface has the number 99.
            link(10, "veth0", LinkSort::Other, None, Some(11)),
            link(11, "veth1", LinkSort::Other, Some(99), Some(10)),
        ];
        let links = links.iter().map(|link| (link.index, link)).collect();
        read(&links, Some(uplink))
    }

    #[test]
    fn a_port_has_a_master_that_may_hold_the_uplink() {
        let ties = ties(4);
        let master = |port: &str| ties.get(&name(port)).and_then(|tie| tie.master.clone());
        let of =
            |interface, sort, holds_uplink| Some(Master { interface: name(interface), sort, holds_uplink });
        assert_eq!(master("eth0"), of("bond0", LinkSort::Other, true));
        assert_eq!(master("bond0"), of("br-wan", LinkSort::Bridge, true));
        assert_eq!(master("eth1"), of("br-lan", LinkSort::Bridge, false));
        assert_eq!(master("eth2"), None);
        assert_eq!(master("veth1"), None);
    }

    #[test]
    fn interfaces_that_share_a_wire_are_known() {
        let eth2 = ties(10).remove(&name("eth2")).unwrap();
        assert_eq!(eth2.sharing, [name("mac0")].into());
        assert_eq!(eth2.vlans, [name("eth2.20")].into());
    }
}
