//! Map as two sorted vectors.

use std::borrow::Borrow;
use std::{slice, vec};

use super::{SortedSet, put, take};

/// Map in the order of its keys, with the methods of `BTreeMap` that the program uses.
///
/// The keys are a set of their own: all maps with keys of one type then share the code that finds a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortedMap<K, V> {
    keys: SortedSet<K>,
    /// Value of each key, in the order of the keys.
    values: Vec<V>,
}

impl<K, V> SortedMap<K, V> {
    /// Returns an empty map. Never inlined: a call takes a third of the instructions.
    #[inline(never)]
    pub const fn new() -> Self {
        Self { keys: SortedSet::new(), values: Vec::new() }
    }

    /// Reports whether the map is empty.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Returns the entries in the order of the keys.
    pub fn iter(&self) -> Entries<'_, K, V> {
        Entries { keys: self.keys.iter(), values: self.values.iter() }
    }

    /// Returns the keys in order.
    pub fn keys(&self) -> slice::Iter<'_, K> {
        self.keys.iter()
    }

    /// Returns the values in the order of the keys.
    pub fn values(&self) -> slice::Iter<'_, V> {
        self.values.iter()
    }

    /// Returns the values for modification, in the order of the keys.
    pub fn values_mut(&mut self) -> slice::IterMut<'_, V> {
        self.values.iter_mut()
    }

    /// Returns the entries in the order of the keys, with their values for modification.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.keys.iter().zip(&mut self.values)
    }

    /// Takes the values out, in the order of the keys.
    pub fn into_values(self) -> vec::IntoIter<V> {
        self.values.into_iter()
    }

    /// Removes the entries for which `keep` returns false.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        let mut at = 0;
        while let Some(value) = self.values.get_mut(at) {
            if keep(&self.keys.0[at], value) {
                at += 1;
            } else {
                self.remove_at(at);
            }
        }
    }

    fn insert_at(&mut self, at: usize, key: K, value: V) {
        put(&mut self.keys.0, at, key);
        put(&mut self.values, at, value);
    }

    fn remove_at(&mut self, at: usize) -> (K, V) {
        (take(&mut self.keys.0, at), take(&mut self.values, at))
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// Returns the value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.keys.find(key).ok().map(|at| &self.values[at])
    }

    /// Returns the value of a key for modification.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.keys.find(key).ok().map(|at| &mut self.values[at])
    }

    /// Reports whether the map contains the key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.keys.contains(key)
    }

    /// Sets the value of a key.
    pub fn insert(&mut self, key: K, value: V) {
        match self.keys.find(&key) {
            Ok(at) => self.values[at] = value,
            Err(at) => self.insert_at(at, key, value),
        }
    }

    /// Returns the value of a key; inserts the result of `make` if the key is missing.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = self.keys.find(&key).unwrap_or_else(|at| {
            self.insert_at(at, key, make());
            at
        });
        &mut self.values[at]
    }

    /// Returns the value of a key; inserts the default value if the key is missing.
    pub fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.get_or_insert_with(key, V::default)
    }

    /// Removes a key and returns its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.remove_entry(key).map(|(_, value)| value)
    }

    /// Removes a key and returns it with its value.
    pub fn remove_entry<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
    {
        self.keys.find(key).ok().map(|at| self.remove_at(at))
    }
}

/// Iterator over the entries of a map, in the order of the keys.
pub struct Entries<'a, K, V> {
    keys: slice::Iter<'a, K>,
    values: slice::Iter<'a, V>,
}

impl<'a, K, V> Iterator for Entries<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.keys.next()?, self.values.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.values.size_hint()
    }
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord, V> Extend<(K, V)> for SortedMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for SortedMap<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::iter::Zip<vec::IntoIter<K>, vec::IntoIter<V>>;

    fn into_iter(self) -> Self::IntoIter {
        self.keys.into_iter().zip(self.values)
    }
}

impl<'a, K, V> IntoIterator for &'a SortedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Entries<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Ord + Borrow<Q>, V, Q: Ord + ?Sized> std::ops::Index<&Q> for SortedMap<K, V> {
    type Output = V;

    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("the key is there")
    }
}
