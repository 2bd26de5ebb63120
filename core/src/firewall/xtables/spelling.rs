//! Conditions as iptables can have them: single values in place of sets, each option once in a line.

use crate::base::net::{Cidr, Family, IfName, Mark};
use crate::base::sorted::SortedMap;
use crate::firewall::{
    Condition, Devices, Interfaces, MarksAtInterfaces, Networks, NetworksAtInterfaces, Pairing, Set, SetName,
};

/// Spelling of conditions for one family, with the elements of the sets.
pub(super) struct Spelling<'a> {
    pub(super) sets: Option<&'a SortedMap<SetName, Set>>,
    pub(super) family: Family,
}

impl Spelling<'_> {
    fn places(&self, pairing: Pairing, set: &SetName, length: u8) -> Vec<Vec<Condition>> {
        let Some(Set::NetworksAtInterfaces(_, places)) = self.set(set) else { return Vec::new() };
        let address = if pairing.destination { Condition::Destination } else { Condition::Source };
        let mut alternatives = Vec::new();
        for (name, first) in places {
            let network = Cidr::new(*first, length).expect("a length of the set's family");
            alternatives.push(vec![address(Networks::One(network)), at(pairing, name)]);
        }
        alternatives
    }

    fn marks(&self, pairing: Pairing, marks: &MarksAtInterfaces) -> Vec<Vec<Condition>> {
        let Some(Set::MarksAtInterfaces(pairs)) = self.set(&marks.set) else { return Vec::new() };
        let mut alternatives = Vec::new();
        for (name, value) in pairs {
            let mark = Mark { value: *value, mask: marks.mask };
            alternatives.push(vec![at(pairing, name), Condition::ConnectionMarked(mark)]);
        }
        alternatives
    }

    /// Returns the conditions without sets of which one must hold. The conditions of one list hold together.
    pub(super) fn alternatives(&self, condition: &Condition) -> Vec<Vec<Condition>> {
        match condition {
            Condition::Way(pairing, marks) => return self.marks(*pairing, marks),
            Condition::Place(pairing, NetworksAtInterfaces { set, length, .. }) => {
                return self.places(*pairing, set, *length);
            }
            // The tables of a family see no packets of another family.
            Condition::Family(_) => return vec![Vec::new()],
            _ => {}
        }
        match condition.set() {
            Some(set) => self.elements(condition, set),
            None => without_set(condition),
        }
    }

    /// Returns the alternatives of a condition that looks at this set: one for each element.
    fn elements(&self, condition: &Condition, set: &SetName) -> Vec<Vec<Condition>> {
        let mut alternatives = Vec::new();
        match self.set(set) {
            // Sets of pairs are resolved above.
            None | Some(Set::NetworksAtInterfaces(..) | Set::MarksAtInterfaces(_)) => {}
            Some(Set::Interfaces(names)) => {
                for name in names {
                    alternatives.push(vec![condition.with_interfaces(Interfaces::One(name.clone()))]);
                }
            }
            Some(Set::Devices(devices)) => {
                for mac in devices {
                    alternatives.push(vec![Condition::Device(Devices::One(*mac))]);
                }
            }
            Some(Set::Networks(.., networks)) => {
                for network in networks {
                    let mut one = self.alternatives(&condition.with_networks(Networks::One(*network)));
                    alternatives.append(&mut one);
                }
            }
            Some(Set::InterfacePairs(paths)) => {
                for (from, to) in paths {
                    alternatives.push(vec![
                        Condition::Incoming(Interfaces::One(from.clone())),
                        Condition::Outgoing(Interfaces::One(to.clone())),
                    ]);
                }
            }
        }
        alternatives
    }

    fn set(&self, name: &SetName) -> Option<&Set> {
        self.sets?.get(name)
    }

    /// Reports whether the condition is "none of these" with several values.
    pub(super) fn excepts_many(&self, condition: &Condition) -> bool {
        if let Condition::Place(pairing, _) | Condition::Way(pairing, _) = condition {
            return pairing.negated;
        }
        let several = condition.set().and_then(|set| self.set(set)).is_some_and(|set| set.len() > 1);
        several && is_negative(condition)
    }
}

/// Returns the alternatives of a condition without a set: one, or none if no packet meets the condition.
fn without_set(condition: &Condition) -> Vec<Vec<Condition>> {
    match condition {
        // iptables does not print a condition that every packet meets.
        Condition::Source(Networks::One(all)) | Condition::Destination(Networks::One(all))
            if all.length() == 0 =>
        {
            vec![Vec::new()]
        }
        Condition::NotSource(Networks::One(all)) | Condition::NotDestination(Networks::One(all))
            if all.length() == 0 =>
        {
            Vec::new()
        }
        _ => vec![vec![condition.clone()]],
    }
}

/// Reports whether the condition excludes values of an option that another condition has as well: a line of
/// iptables has each option once.
pub(super) fn is_asked_twice(condition: &Condition, all: &[Condition]) -> bool {
    let options = options(condition);
    is_negative(condition) && all.iter().filter(|other| options & self::options(other) != 0).count() > 1
}

fn is_negative(condition: &Condition) -> bool {
    matches!(
        condition,
        Condition::NotIncoming(_)
            | Condition::NotOutgoing(_)
            | Condition::NotSource(_)
            | Condition::NotDestination(_)
    )
}

/// Returns a bit for each option of a condition: `-i`, `-o`, `-s` and `-d`.
fn options(condition: &Condition) -> u8 {
    match condition {
        Condition::Incoming(_) | Condition::NotIncoming(_) => 1,
        Condition::Outgoing(_) | Condition::NotOutgoing(_) => 2,
        Condition::Way(pairing, _) if !pairing.negated => 1 + u8::from(pairing.outgoing),
        Condition::InterfacePair(_) => 1 | 2,
        Condition::Source(_) | Condition::NotSource(_) => 4,
        Condition::Place(pairing, _) if !pairing.negated => {
            (1 + u8::from(pairing.outgoing)) | if pairing.destination { 8 } else { 4 }
        }
        Condition::Destination(_) | Condition::NotDestination(_) => 8,
        _ => 0,
    }
}

fn at(pairing: Pairing, interface: &IfName) -> Condition {
    let at = if pairing.outgoing { Condition::Outgoing } else { Condition::Incoming };
    at(Interfaces::One(interface.clone()))
}
