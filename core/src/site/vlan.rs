//! VLANs that enter: the interfaces that are made for them.

use super::Vlan;
use crate::base::net::IfName;
use crate::site::facts::Facts;

/// Returns the VLAN with this number on an interface, which may not exist yet.
pub(super) fn view(parent: &IfName, id: u16, facts: &Facts) -> Vlan {
    let mtu = facts.interfaces.get(parent).copied();
    Vlan { interface: interface(parent, id), parent: parent.clone(), id, mtu }
}

/// Returns the conventional name, such as `eth0.30`. The name of the parent is shortened if the whole would
/// be too long.
fn interface(parent: &IfName, id: u16) -> IfName {
    let ending = format!(".{id}");
    let beginning = &parent.as_str()[..parent.as_str().len().min(IfName::LONGEST - ending.len())];
    [beginning, &ending].concat().parse().expect("made of letters of a name, a dot and digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_conventional_and_cut_to_the_room_there_is() {
        let name = |parent: &str, id| interface(&parent.parse().unwrap(), id).to_string();
        assert_eq!(name("eth0", 30), "eth0.30");
        assert_eq!(name("enp0s31f6", 4094), "enp0s31f6.4094");
        assert_eq!(name("enx001122334455", 1), "enx0011223344.1");
        assert_eq!(name("enx001122334455", 4094), "enx0011223.4094");
    }
}
