//! Edits that lead from one firewall to another, in an order in which the kernel accepts them as one
//! transaction, or as two.

use std::fmt;

use crate::base::net::IfName;
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::{Chain, Firewall, FirewallRule, Set, SetName, TABLE};

/// Edit of our table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirewallEdit<'a> {
    /// Makes the table if it does not exist.
    AddTable,
    /// Removes the table with its whole content.
    DeleteTable,
    /// Removes all rules of a chain.
    FlushChain(Chain),
    /// Removes a chain that has no rules.
    DeleteChain(Chain),
    /// Removes a set that no rule looks at.
    DeleteSet(&'a SetName),
    /// Removes the flowtable, which no rule looks at, and with it all flows.
    DeleteFlowtable,
    /// Makes the flowtable, with its devices.
    AddFlowtable(&'a SortedSet<IfName>),
    /// Makes a set, with its elements.
    AddSet(&'a SetName, &'a Set),
    /// Removes these elements from a set.
    DeleteElements(&'a SetName, Set),
    /// Adds these elements to a set.
    AddElements(&'a SetName, Set),
    /// Makes a base chain.
    AddChain(Chain),
    /// Appends a rule to a chain. The number of the rule counts from 1.
    AddRule(Chain, usize, &'a FirewallRule),
}

impl<'a> FirewallEdit<'a> {
    /// Returns the name of the set that the edit removes, if it removes one.
    fn deleted_set(&self) -> Option<&'a SetName> {
        match self {
            Self::DeleteSet(name) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for FirewallEdit<'_> {
    /// Writes the edit as it follows the word "cannot": `add rule 3 of chain forward`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddTable => write!(f, "add table {TABLE}"),
            Self::DeleteTable => write!(f, "delete table {TABLE}"),
            Self::FlushChain(chain) => write!(f, "flush chain {}", chain.name()),
            Self::DeleteChain(chain) => write!(f, "delete chain {}", chain.name()),
            Self::DeleteSet(name) => write!(f, "delete set {name}"),
            Self::DeleteFlowtable => f.write_str("delete the flowtable"),
            Self::AddFlowtable(_) => f.write_str("add the flowtable"),
            Self::AddSet(name, _) => write!(f, "add set {name}"),
            Self::DeleteElements(name, _) => write!(f, "delete elements of set {name}"),
            Self::AddElements(name, _) => write!(f, "add elements to set {name}"),
            Self::AddChain(chain) => write!(f, "add chain {}", chain.name()),
            Self::AddRule(chain, number, _) => write!(f, "add rule {number} of chain {}", chain.name()),
        }
    }
}

/// Returns the edits from one firewall to another; `None` means no table. Equal firewalls need no edits.
///
/// Base chains that stay are kept, because the kernel waits for RCU when it removes one. Rules of a chain are
/// replaced only if they differ, and only the elements that differ are changed in sets. A flowtable is made
/// again with every change, because its flows meet no rule: the change must count for them, too. An empty
/// `from` is the exception: it represents a table that another program changed, and is replaced whole.
pub fn edits<'a>(from: Option<&'a Firewall>, to: Option<&'a Firewall>) -> Vec<FirewallEdit<'a>> {
    if from == to {
        return Vec::new();
    }
    let mut edits = Vec::new();
    if from.is_some_and(|from| to.is_none() || from.is_empty()) {
        edits.push(FirewallEdit::DeleteTable);
    }
    if let Some(to) = to {
        edits.push(FirewallEdit::AddTable);
        edit_in_place(from.unwrap_or(&EMPTY), to, &mut edits);
    }
    edits
}

/// Splits edits into two lists that are carried out one after the other: new sets, which no rule looks at
/// yet, and the other edits. The first list is empty if the table is replaced whole, because the old table
/// has sets of the same names.
pub fn in_stages(edits: Vec<FirewallEdit>) -> [Vec<FirewallEdit>; 2] {
    let replaced: Vec<&SetName> = edits.iter().filter_map(FirewallEdit::deleted_set).collect();
    let is_new =
        |edit: &FirewallEdit| matches!(edit, FirewallEdit::AddSet(name, _) if !replaced.contains(name));
    if edits.contains(&FirewallEdit::DeleteTable) || !edits.iter().any(is_new) {
        return [Vec::new(), edits];
    }
    let (mut sets, mut rest) = (vec![FirewallEdit::AddTable], Vec::new());
    for edit in edits {
        let list = if is_new(&edit) { &mut sets } else { &mut rest };
        list.push(edit);
    }
    [sets, rest]
}

/// Returns the edits that undo the first list of [`in_stages`]. `was_there` tells whether the table existed
/// before.
pub fn inverse_of_sets<'a>(was_there: bool, sets: &[FirewallEdit<'a>]) -> Vec<FirewallEdit<'a>> {
    let added = sets.iter().filter_map(|edit| match edit {
        FirewallEdit::AddSet(name, _) => Some(FirewallEdit::DeleteSet(name)),
        _ => None,
    });
    if was_there || sets.is_empty() { added.collect() } else { vec![FirewallEdit::DeleteTable] }
}

static EMPTY: Firewall = Firewall { sets: SortedMap::new(), chains: SortedMap::new(), flows: None };

/// Removes rules before the sets that they look at, and adds them after these sets.
fn edit_in_place<'a>(from: &'a Firewall, to: &'a Firewall, edits: &mut Vec<FirewallEdit<'a>>) {
    // A set that becomes one of another kind is made again. Where there is one, all rules are made again,
    // too.
    let mut stays_in_kind = true;
    for (name, old) in &from.sets {
        stays_in_kind &= to.sets.get(name).is_none_or(|new| same_kind(old, new));
    }
    let has_flows = from.flows.is_some() || to.flows.is_some();
    let stays = |chain: Chain| stays_in_kind && !(has_flows && chain == Chain::Forward);
    for (chain, rules) in &from.chains {
        let new = to.chains.get(chain);
        if !stays(*chain) || new != Some(rules) {
            edits.push(FirewallEdit::FlushChain(*chain));
        }
        if new.is_none() {
            edits.push(FirewallEdit::DeleteChain(*chain));
        }
    }
    if from.flows.is_some() {
        edits.push(FirewallEdit::DeleteFlowtable);
    }
    edit_sets(&from.sets, &to.sets, edits);
    edits.extend(to.flows.as_ref().map(FirewallEdit::AddFlowtable));
    for (chain, rules) in &to.chains {
        let old = from.chains.get(chain);
        if stays(*chain) && old == Some(rules) {
            continue;
        }
        if old.is_none() {
            edits.push(FirewallEdit::AddChain(*chain));
        }
        for (index, rule) in rules.iter().enumerate() {
            edits.push(FirewallEdit::AddRule(*chain, index + 1, rule));
        }
    }
}

fn edit_sets<'a>(
    from: &'a SortedMap<SetName, Set>,
    to: &'a SortedMap<SetName, Set>,
    edits: &mut Vec<FirewallEdit<'a>>,
) {
    let kept = |name| Some((from.get(name)?, to.get(name)?)).filter(|(old, new)| same_kind(old, new));
    for name in from.keys() {
        if kept(name).is_none() {
            edits.push(FirewallEdit::DeleteSet(name));
        }
    }
    for (name, set) in to {
        let Some((old, new)) = kept(name) else {
            edits.push(FirewallEdit::AddSet(name, set));
            continue;
        };
        // A network that grows overlaps its former self, so the former element must go first.
        if let Some(elements) = missing(old, new) {
            edits.push(FirewallEdit::DeleteElements(name, elements));
        }
        if let Some(elements) = missing(new, old) {
            edits.push(FirewallEdit::AddElements(name, elements));
        }
    }
}

fn same_kind(one: &Set, other: &Set) -> bool {
    match (one, other) {
        (Set::Interfaces(_), Set::Interfaces(_))
        | (Set::Devices(_), Set::Devices(_))
        | (Set::InterfacePairs(_), Set::InterfacePairs(_))
        | (Set::MarksAtInterfaces(_), Set::MarksAtInterfaces(_)) => true,
        (Set::NetworksAtInterfaces(one, _), Set::NetworksAtInterfaces(other, _)) => one == other,
        (Set::Networks(one, flag, _), Set::Networks(other, other_flag, _)) => {
            one == other && flag == other_flag
        }
        _ => false,
    }
}

/// Returns the elements that only `one` has, if any. Both sets must be of the same kind.
fn missing(one: &Set, other: &Set) -> Option<Set> {
    fn only<T: Ord + Clone>(one: &SortedSet<T>, other: &SortedSet<T>) -> Option<SortedSet<T>> {
        let elements: SortedSet<T> = one.difference(other).cloned().collect();
        (!elements.is_empty()).then_some(elements)
    }
    match (one, other) {
        (Set::Interfaces(one), Set::Interfaces(other)) => only(one, other).map(Set::Interfaces),
        (Set::Devices(one), Set::Devices(other)) => only(one, other).map(Set::Devices),
        (Set::InterfacePairs(one), Set::InterfacePairs(other)) => only(one, other).map(Set::InterfacePairs),
        (Set::NetworksAtInterfaces(family, one), Set::NetworksAtInterfaces(_, other)) => {
            only(one, other).map(|elements| Set::NetworksAtInterfaces(*family, elements))
        }
        (Set::MarksAtInterfaces(one), Set::MarksAtInterfaces(other)) => {
            only(one, other).map(Set::MarksAtInterfaces)
        }
        (Set::Networks(family, has_intervals, one), Set::Networks(.., other)) => {
            only(one, other).map(|elements| Set::Networks(*family, *has_intervals, elements))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::net::{Cidr, Family};
    use crate::firewall::{Action, Condition, Networks};

    /// Flows meet no rule, so that only the end of the flowtable ends them.
    #[test]
    fn every_change_makes_the_flowtable_again() {
        let with = |names: &[&str], flows: Option<&[&str]>| {
            let set = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
            let rule = |action| FirewallRule { conditions: Vec::new(), action };
            Firewall {
                sets: [(SetName("lans".to_owned()), Set::Interfaces(set(names)))].into(),
                chains: [(Chain::Forward, vec![rule(Action::Offload), rule(Action::Accept)])].into(),
                flows: flows.map(set),
            }
        };
        let made = |from: &Firewall, to: &Firewall| {
            edits(Some(from), Some(to)).iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        let (one, other) = (with(&["eth1"], Some(&["eth1"])), with(&["eth1", "eth2"], Some(&["eth1"])));
        assert_eq!(
            made(&one, &other),
            "add table portals, flush chain forward, delete the flowtable, add elements to set lans, add the \
             flowtable, add rule 1 of chain forward, add rule 2 of chain forward"
        );
        assert_eq!(made(&one, &one), "");
        let without = with(&["eth1"], None);
        assert!(!made(&without, &one).contains("delete the flowtable"));
        assert!(!made(&one, &without).contains("add the flowtable"));
    }

    /// The kernel refuses to remove a set that a rule looks at.
    #[test]
    fn a_set_of_another_kind_is_made_again_between_the_rules() {
        let name = || SetName("own".to_owned());
        let rule = FirewallRule {
            conditions: vec![Condition::Source(Networks::In(Family::V4, name()))],
            action: Action::Drop,
        };
        let one: SortedSet<Cidr> = [Cidr::host([10, 77, 1, 1].into())].into();
        let with = |set: Set| Firewall {
            sets: [(name(), set)].into(),
            chains: [(Chain::Input, vec![rule.clone()])].into(),
            flows: None,
        };
        let (from, to) =
            (with(Set::Networks(Family::V4, true, one.clone())), with(Set::Networks(Family::V4, false, one)));
        let edits: Vec<String> = edits(Some(&from), Some(&to)).iter().map(ToString::to_string).collect();
        let expected = ["add table portals", "flush chain input", "delete set own", "add set own"];
        assert_eq!(edits[..4], expected);
        assert_eq!(edits[4..], ["add rule 1 of chain input"]);
    }
}
