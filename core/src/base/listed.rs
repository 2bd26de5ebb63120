//! Lists in texts.

use std::fmt::{Display, Write as _};

/// Returns the items with commas between. The items are trait objects, so that there is one function for all
/// types of items.
pub fn listed(items: &mut dyn Iterator<Item = &dyn Display>) -> String {
    let mut text = String::new();
    for item in items {
        if !text.is_empty() {
            text.push_str(", ");
        }
        let _ = write!(text, "{item}");
    }
    text
}
