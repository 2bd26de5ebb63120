//! Pictures: the network with its links, and the ways of its portals; the way of a packet through the kernel.

mod model;
pub mod packet;
mod picture;
mod svg;
mod text;

pub use model::{Look, Map};
pub use picture::picture;
pub use text::text;

/// Cuts a text that is longer than some characters. It then ends in an ellipsis.
fn cut(text: &mut String, width: usize) {
    if let Some((at, _)) = text.char_indices().nth(width.saturating_sub(1))
        && text.chars().count() > width
    {
        text.truncate(at);
        text.push('…');
    }
}

/// Adds a character to a text as often as it takes to make it this wide.
fn fill(text: &mut String, width: usize, letter: char) {
    for _ in text.chars().count()..width {
        text.push(letter);
    }
}
