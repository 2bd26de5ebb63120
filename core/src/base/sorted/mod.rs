//! Maps and sets as sorted vectors: iteration follows the order of the keys, not of insertion.
//!
//! The collections of portals are small, a few hundred entries at most, but have many types. For each type, a
//! map of the standard library adds kilobytes of code: these maps make the binary for mipsel 260 kB smaller
//! (docs/decisions/0001-sorted-maps.md). A lookup takes logarithmic time. Insertion and removal move all
//! later entries, so insertion in order costs least; a long list in no order becomes a set by a sort.

mod map;
mod set;

use std::cmp::Ordering;

pub use map::{Entries, SortedMap};
pub use set::SortedSet;

/// Returns the index of an element among `number` elements, or the index at which to insert it. `compare`
/// compares the element at an index with the wanted one. The search begins at the end: insertion in order
/// costs one comparison. `compare` is a trait object, so that there is one search for all types.
fn find(number: usize, compare: &dyn Fn(usize) -> Ordering) -> Result<usize, usize> {
    let (mut low, mut high) = (0, number);
    let mut at = number.saturating_sub(1);
    while low < high {
        match compare(at) {
            Ordering::Less => low = at + 1,
            Ordering::Equal => return Ok(at),
            Ordering::Greater => high = at,
        }
        at = low.midpoint(high);
    }
    Err(low)
}

/// Inserts an element of a list. Never inlined: all collections with elements of one type share it.
#[inline(never)]
fn put<T>(list: &mut Vec<T>, at: usize, element: T) {
    list.insert(at, element);
}

/// Removes an element of a list and returns it. Never inlined, for the same reason.
#[inline(never)]
fn take<T>(list: &mut Vec<T>, at: usize) -> T {
    list.remove(at)
}

/// Returns the indices of `keys` in the order of the keys; equal keys keep their order. Objects are sorted by
/// numbers that stand for them: each type of object would otherwise get its own copy of the sort.
pub fn order(keys: &[(usize, usize)]) -> Vec<usize> {
    in_order(keys.len(), &|one, other| keys[one].cmp(&keys[other]))
}

/// Returns the numbers below `number` in the order of `compare`; equal ones keep their order. `compare` is a
/// trait object, so that there is one sort for all types.
fn in_order(number: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..number).collect();
    order.sort_by(|one, other| compare(*one, *other));
    order
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Edit {
        Insert(u8, u16),
        GetOrInsert(u8, u16),
        Add(u8, u16),
        Remove(u8),
        Retain(u8),
    }

    fn edit() -> impl Strategy<Value = Edit> {
        let key = 0..20_u8;
        prop_oneof![
            (key.clone(), 0..9_u16).prop_map(|(key, value)| Edit::Insert(key, value)),
            (key.clone(), 0..9_u16).prop_map(|(key, value)| Edit::GetOrInsert(key, value)),
            (key.clone(), 0..9_u16).prop_map(|(key, value)| Edit::Add(key, value)),
            key.clone().prop_map(Edit::Remove),
            (2..5_u8).prop_map(Edit::Retain),
        ]
    }

    proptest! {
        #[test]
        fn a_map_behaves_like_the_standard_library(edits in prop::collection::vec(edit(), 0..60)) {
            let (mut ours, mut std) = (SortedMap::new(), BTreeMap::new());
            for edit in edits {
                match edit {
                    Edit::Insert(key, value) => {
                        ours.insert(key, value);
                        std.insert(key, value);
                    }
                    Edit::GetOrInsert(key, value) => prop_assert_eq!(
                        ours.get_or_insert_with(key, || value),
                        std.entry(key).or_insert_with(|| value)
                    ),
                    Edit::Add(key, value) => {
                        *ours.get_or_default(key) += value;
                        *std.entry(key).or_default() += value;
                        prop_assert_eq!(ours.get_mut(&key), std.get_mut(&key));
                    }
                    Edit::Remove(key) => prop_assert_eq!(ours.remove_entry(&key), std.remove_entry(&key)),
                    Edit::Retain(part) => {
                        ours.retain(|key, value| (u16::from(*key) + *value) % u16::from(part) != 0);
                        std.retain(|key, value| (u16::from(*key) + *value) % u16::from(part) != 0);
                    }
                }
                prop_assert!((0..20).all(|key| ours.get(&key) == std.get(&key)));
                prop_assert!(ours.iter().eq(&std) && ours.keys().eq(std.keys()));
                prop_assert!(ours.values().eq(std.values()));
                prop_assert_eq!((ours.len(), ours.is_empty()), (std.len(), std.is_empty()));
            }
        }

        #[test]
        fn a_set_behaves_like_the_standard_library(edits in prop::collection::vec(edit(), 0..60)) {
            let (mut ours, mut std) = (SortedSet::new(), BTreeSet::new());
            for edit in edits {
                match edit {
                    Edit::Insert(element, _) | Edit::GetOrInsert(element, _) | Edit::Add(element, _) => {
                        prop_assert_eq!(ours.insert(element), std.insert(element));
                    }
                    Edit::Remove(element) => prop_assert_eq!(ours.remove(&element), std.remove(&element)),
                    Edit::Retain(part) => {
                        ours.retain(|element| element % part != 0);
                        std.retain(|element| element % part != 0);
                    }
                }
                prop_assert!((0..20).all(|element| ours.contains(&element) == std.contains(&element)));
                prop_assert!(ours.iter().eq(&std));
                prop_assert_eq!((ours.len(), ours.is_empty()), (std.len(), std.is_empty()));
            }
        }

        #[test]
        fn the_order_of_insertion_does_not_matter(one: Vec<(u8, u8)>, other: Vec<(u8, u8)>) {
            let (ours, std) = (SortedMap::from_iter(one.clone()), BTreeMap::from_iter(one.clone()));
            prop_assert!(ours.into_iter().eq(std));
            let list = one.clone();
            let (ours, std) = (SortedSet::from_iter(one.clone()), BTreeSet::from_iter(one));
            let (others, std_others) = (SortedSet::from_iter(other.clone()), BTreeSet::from_iter(other));
            prop_assert!(ours.difference(&others).eq(std.difference(&std_others)));
            prop_assert_eq!(ours.cmp(&others), std.cmp(&std_others));
            prop_assert_eq!(&SortedSet::from(list), &ours);
            prop_assert!(ours.into_iter().eq(std));
        }
    }
}
