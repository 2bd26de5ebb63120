//! Pictures: the network with its links, and the ways of its portals; the way of a packet through the kernel.

mod model;
pub mod packet;
mod picture;
mod svg;
mod text;

pub use model::{LinkState, Live, Look, Map, PortalUse};
pub use picture::picture;
pub use text::text;

/// Returns a text of at most `width` characters. A text that is cut off ends in an ellipsis.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}
