//! Texts that grow. None of these functions is inlined: their callers are many.

use std::fmt::{Display, Write as _};

/// Adds several parts to a text.
#[inline(never)]
pub fn push_all(text: &mut String, parts: &[&str]) {
    for part in parts {
        text.push_str(part);
    }
}

/// Adds an item to a list with commas.
#[inline(never)]
pub fn append(list: &mut String, item: &dyn Display) {
    let _ = write!(list, "{}{item}", if list.is_empty() { "" } else { ", " });
}
