//! VLANs that enter: the interfaces that are made for them.

use super::{Entrance, Portal, Vlan};
use crate::base::error::Error;
use crate::base::net::IfName;
use crate::site::facts::Facts;

/// The VLAN with that number on an interface, which may not be there yet.
pub(super) fn view(parent: &IfName, id: u16, facts: &Facts) -> Vlan {
    let mtu = facts.interfaces.get(parent).copied().unwrap_or(0);
    Vlan { interface: interface(parent, id), parent: parent.clone(), id, mtu }
}

/// `eth0.30`, as everybody names them; of a long name of the parent, as much as there is room for.
fn interface(parent: &IfName, id: u16) -> IfName {
    let ending = format!(".{id}");
    let beginning = &parent.as_str()[..parent.as_str().len().min(IfName::LONGEST - ending.len())];
    [beginning, &ending].concat().parse().expect("of letters of a name, a dot and digits")
}

/// Two portals cannot have one interface, whichever way they come to it.
pub(super) fn clashes(portals: &[Portal]) -> Vec<Error> {
    let vlans = portals.iter().filter_map(|portal| match &portal.entrance {
        Entrance::Vlan(vlan) => Some((portal, vlan)),
        _ => None,
    });
    let clash = |(portal, vlan): (&Portal, &Vlan)| {
        let has_it = |other: &&Portal| {
            other.name != portal.name && other.entrance_interface() == Some(&vlan.interface)
        };
        let other = portals.iter().find(has_it)?;
        Some(Error::wrong(format!(
            "portal `{}`: the interface of VLAN {} on {} would be {}, which portal `{}` has already: let it enter one of the two only, \
             or rename {}",
            portal.name, vlan.id, vlan.parent, vlan.interface, other.name, vlan.parent
        )))
    };
    vlans.filter_map(clash).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_everybody_gives_as_long_as_there_is_room() {
        let name = |parent: &str, id| interface(&parent.parse().unwrap(), id).to_string();
        assert_eq!(name("eth0", 30), "eth0.30");
        assert_eq!(name("enp0s31f6", 4094), "enp0s31f6.4094");
        assert_eq!(name("enx001122334455", 1), "enx0011223344.1");
        assert_eq!(name("enx001122334455", 4094), "enx0011223.4094");
    }
}
