//! Lists from iterators.

/// Iterator whose items can be put in a list.
pub trait ToList: Iterator + Sized {
    /// Returns the items in order. On mipsel, this takes half as much code as `collect`, of which each use has a
    /// copy of its own that estimates the length and fills the list without checks.
    fn list(self) -> Vec<Self::Item> {
        let mut list = Vec::new();
        self.for_each(|item| list.push(item));
        list
    }
}

impl<I: Iterator> ToList for I {}
