//! Set as a sorted vector.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::{slice, vec};

use super::{find, in_order, put, take};

/// Set in the order of its elements, with the methods of `BTreeSet` that the program uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SortedSet<T>(pub(super) Vec<T>);

impl<T> SortedSet<T> {
    /// Returns an empty set. Never inlined: a call takes half the instructions.
    #[inline(never)]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Reports whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the elements in order.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// Returns the elements in order.
    pub fn iter(&self) -> slice::Iter<'_, T> {
        self.0.iter()
    }

    /// Removes the elements for which `keep` returns false.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.0.retain(keep);
    }
}

impl<T: Ord> SortedSet<T> {
    /// Reports whether the set contains the element.
    pub fn contains<Q: Ord + ?Sized>(&self, element: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.find(element).is_ok()
    }

    /// Inserts an element; reports whether it is new.
    pub fn insert(&mut self, element: T) -> bool {
        let place = self.find(&element);
        if let Err(at) = place {
            put(&mut self.0, at, element);
        }
        place.is_err()
    }

    /// Removes an element; reports whether the set contained it.
    pub fn remove<Q: Ord + ?Sized>(&mut self, element: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        let place = self.find(element);
        if let Ok(at) = place {
            take(&mut self.0, at);
        }
        place.is_ok()
    }

    /// Returns the elements that `other` does not contain, in order.
    pub fn difference<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a T> + Clone {
        let mut rest = other.0.as_slice();
        self.iter().filter(move |element| {
            while let [first, behind @ ..] = rest {
                match first.cmp(element) {
                    Ordering::Less => rest = behind,
                    order => return order != Ordering::Equal,
                }
            }
            true
        })
    }

    /// Returns the index of the element, or the index at which to insert it.
    pub(super) fn find<Q: Ord + ?Sized>(&self, element: &Q) -> Result<usize, usize>
    where
        T: Borrow<Q>,
    {
        find(self.0.len(), &|at| self.0[at].borrow().cmp(element))
    }
}

impl<T> Default for SortedSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Ord> Extend<T> for SortedSet<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        for element in elements {
            self.insert(element);
        }
    }
}

impl<T: Ord> FromIterator<T> for SortedSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut set = Self::new();
        set.extend(elements);
        set
    }
}

impl<T: Ord> From<Vec<T>> for SortedSet<T> {
    /// Sorts a long list once. `collect` inserts one element at a time: less code, and as fast for a list
    /// that is short or in order.
    fn from(list: Vec<T>) -> Self {
        let order = in_order(list.len(), &|one, other| list[one].cmp(&list[other]));
        let mut rest: Vec<Option<T>> = list.into_iter().map(Some).collect();
        let mut set = Self::new();
        set.extend(order.into_iter().filter_map(|at| rest[at].take()));
        set
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for SortedSet<T> {
    fn from(elements: [T; N]) -> Self {
        elements.into_iter().collect()
    }
}

impl<T> IntoIterator for SortedSet<T> {
    type Item = T;
    type IntoIter = vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a SortedSet<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
