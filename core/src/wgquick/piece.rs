//! Pieces of a wg-quick file, split as wg and wg-quick split them.

use zeroize::Zeroizing;

use crate::config::fault::Span;

/// A piece of the file and its start.
#[derive(Clone, Copy)]
pub(super) struct Piece<'t> {
    pub(super) text: &'t str,
    pub(super) start: usize,
}

impl Piece<'_> {
    /// Returns the place of the piece in the file.
    pub(super) fn span(self) -> Span {
        self.start..self.start + self.text.len()
    }

    /// Returns the piece without the white space around it.
    pub(super) fn trim(self) -> Self {
        let begun = self.text.trim_start();
        Self { text: begun.trim_end(), start: self.start + self.text.len() - begun.len() }
    }

    /// Returns the pieces on both sides of the first `separator`, trimmed.
    pub(super) fn split_once(self, separator: char) -> Option<(Self, Self)> {
        let (text, behind) = self.text.split_once(separator)?;
        let start = self.start + text.len() + separator.len_utf8();
        Some((Self { text, ..self }.trim(), Self { text: behind, start }.trim()))
    }

    /// Returns the pieces between commas, trimmed.
    pub(super) fn items(self) -> Vec<Self> {
        let (mut items, mut rest) = (Vec::new(), self);
        while let Some((item, behind)) = rest.split_once(',') {
            items.push(item);
            rest = behind;
        }
        items.push(rest);
        items
    }

    /// Returns the pieces between commas and white space, without empty ones, as the shell code of wg-quick
    /// does.
    pub(super) fn words(self) -> Vec<Self> {
        let mut words = Vec::new();
        for word in self.text.split(|c: char| c == ',' || c.is_ascii_whitespace()) {
            if !word.is_empty() {
                let start = self.start + word.as_ptr().addr() - self.text.as_ptr().addr();
                words.push(Self { text: word, start });
            }
        }
        words
    }

    /// Returns the text without the white space inside, as wg reads it.
    pub(super) fn compact(self) -> Zeroizing<String> {
        let mut compact = Zeroizing::new(String::with_capacity(self.text.len()));
        compact.extend(self.text.chars().filter(|c| !c.is_whitespace()));
        compact
    }
}
